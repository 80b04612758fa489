"""The unit torus: grid, Fourier calculus, kernels, kept modes of products."""

from .grid import Torus
from .kernels import DiracKernel, GaussianKernel, Kernel, SobolevKernel
from .modes import Modes
from .radial import LaplaceKernel, MaternKernel, RadialForm, RadialKernel

__all__ = [
    "DiracKernel",
    "GaussianKernel",
    "Kernel",
    "LaplaceKernel",
    "MaternKernel",
    "Modes",
    "RadialForm",
    "RadialKernel",
    "SobolevKernel",
    "Torus",
]
