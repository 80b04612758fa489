"""Particles: convolution with kernels, modes of particle measures, densities to particles and back."""

from .convolution import from_modes, to_modes
from .quantisation import quantise
from .routes import Route
from .sampling import mollify, sample

__all__ = ["Route", "from_modes", "mollify", "quantise", "sample", "to_modes"]
