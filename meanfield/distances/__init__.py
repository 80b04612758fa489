"""Distances between measures: Wasserstein, exact in any dimension; sliced; conditional on the layer."""

from .conditional import ConditionalPlan, conditional_plan, conditional_wasserstein, labelled_distance
from .plans import TransportPlan, transport_plan
from .quantiles import Quantile
from .sliced import default_directions, sliced_wasserstein
from .wasserstein import wasserstein, wasserstein_circle, wasserstein_line

__all__ = [
    "ConditionalPlan",
    "Quantile",
    "TransportPlan",
    "conditional_plan",
    "conditional_wasserstein",
    "default_directions",
    "labelled_distance",
    "sliced_wasserstein",
    "transport_plan",
    "wasserstein",
    "wasserstein_circle",
    "wasserstein_line",
]
