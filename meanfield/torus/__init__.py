"""The unit torus: grid, Fourier calculus, kernels, kept modes of products."""

from .grid import Torus
from .kernels import DiracKernel, GaussianKernel, Kernel, SobolevKernel
from .modes import Modes

__all__ = ["DiracKernel", "GaussianKernel", "Kernel", "Modes", "SobolevKernel", "Torus"]
