"""Distances between consecutive states of a flow: every plan starts from the potentials of the one before."""

from __future__ import annotations

import numpy as np

from ..measures import LayeredMeasure, ParticleMeasure, TorusDensity
from .conditional import conditional_wasserstein, mean_root, plans_of_layers
from .plans import cloud, plan_between
from .wasserstein import wasserstein

Followed = ParticleMeasure | LayeredMeasure | TorusDensity


def followed_distance(a: Followed, b: Followed, guess: np.ndarray | None) -> tuple[float, np.ndarray | None]:
    """W₂, or d of layered measures, of two states of one flow, and the potentials for the next pair.

    Parameters
    ----------
    a, b : two states of one kind and size
    guess : (N,) or (L, m) float, or None — the potentials that the pair before has left

    Returns
    -------
    distance : float — exact, as without a guess
    potentials : (N,) or (L, m) float — at the particles of b; None where plans are sorted, not searched for
    """
    if isinstance(a, LayeredMeasure) and isinstance(b, LayeredMeasure):
        if a.positions.shape[2] == 1:
            return conditional_wasserstein(a, b), None
        plans = plans_of_layers(a, b, guess)
        return mean_root([plan.value for plan in plans]), np.stack([plan.potentials[1] for plan in plans])
    if isinstance(a, ParticleMeasure) and isinstance(b, ParticleMeasure) and a.dim > 1:
        found = plan_between(*cloud(a), *cloud(b), wrap=a.torus is not None, guess=guess)
        return found.value, found.potentials[1]
    return wasserstein(a, b), None  # type: ignore[arg-type]  # neither is layered here
