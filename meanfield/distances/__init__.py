"""Distances between measures: Wasserstein on the circle and the line."""

from .quantiles import Quantile
from .wasserstein import wasserstein, wasserstein_circle, wasserstein_line

__all__ = ["Quantile", "wasserstein", "wasserstein_circle", "wasserstein_line"]
