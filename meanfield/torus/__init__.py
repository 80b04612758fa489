"""The unit torus: grid, Fourier calculus, kept modes of products."""

from .grid import Torus
from .modes import Modes

__all__ = ["Modes", "Torus"]
