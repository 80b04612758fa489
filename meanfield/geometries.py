"""Geometries: what turns a differential into a velocity, and measures speeds and distances.

A geometry is the only place where a metric is applied; energies know nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .measures import TorusDensity


class Geometry(Protocol):
    """What a gradient flow asks of its geometry."""

    def velocity(self, state: TorusDensity, differential: np.ndarray) -> np.ndarray:
        """Velocity of the flow from the energy's L² differential."""

    def squared_norm(self, state: TorusDensity, differential: np.ndarray) -> float:
        """``|∂E|²``: the squared metric slope, which equals the squared metric speed of the flow."""

    def measures(self, state: TorusDensity) -> bool:
        """Whether :meth:`distance` exists for states like this one."""

    def distance(self, a: TorusDensity, b: TorusDensity) -> float:
        """Distance of two states, computed without reference to any velocity."""


@dataclass(frozen=True)
class Wasserstein:
    """The Wasserstein-2 geometry: velocity ``v = −∇δE/δρ``, continuity equation ``∂_tρ + div(ρv) = 0``.

    ``|∂E|² = ∫ρ|∇δE/δρ|²``. The distance is W₂, available for densities in dimension 1 (exact quantile functions).

    References
    ----------
    Otto 2001; Ambrosio, Gigli & Savaré 2008, Gradient Flows, ch. 8 and 10.
    """

    def velocity(self, state: TorusDensity, differential: np.ndarray) -> np.ndarray:
        """``−∇(δE/δρ)``, (d, n, …, n)."""
        return -state.torus.gradient(differential)

    def squared_norm(self, state: TorusDensity, differential: np.ndarray) -> float:
        """``∫ρ|∇δE/δρ|²``."""
        return state.torus.dirichlet(differential, state.values)

    def measures(self, state: TorusDensity) -> bool:
        """Whether W₂ between states like this one is implemented: densities in d = 1."""
        return isinstance(state, TorusDensity) and state.torus.dim == 1

    def distance(self, a: TorusDensity, b: TorusDensity) -> float:
        """W₂(a, b)."""
        from .distances import wasserstein

        return wasserstein(a, b)
