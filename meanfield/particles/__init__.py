"""Particles: convolution with kernels, modes of particle measures."""

from .convolution import from_modes, to_modes
from .routes import Route

__all__ = ["Route", "from_modes", "to_modes"]
