"""Models: what a state predicts, its risk, and the exact derivative of the discrete risk. No optimiser."""

from .density_node import DensityNODE

__all__ = ["DensityNODE"]
