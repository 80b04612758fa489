"""Potential energies: a fixed landscape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import _check
from ..measures import TorusDensity
from ..torus import Torus
from .base import Energy, PowerTerm


@dataclass(frozen=True, eq=False)
class Potential(Energy):
    """``E(ρ) = ∫Vρ``; differential V; Wasserstein flow ``∂_tρ = div(ρ∇V)`` (transport down the landscape).

    Parameters
    ----------
    V : callable ``V(x[, y[, z]])`` of the coordinate arrays, periodic and smooth, or an array (n, …, n)

    Raises
    ------
    ValueError
        When the values on a state's grid are not finite or have another shape.
    """

    V: Callable | np.ndarray

    def __post_init__(self) -> None:
        if not callable(self.V):
            field = _check.array("potential", self.V, "pass finite values on the grid, or a callable")
            field.flags.writeable = False
            object.__setattr__(self, "V", field)

    def __repr__(self) -> str:  # no addresses, no rows of numbers: files record it
        name = getattr(self.V, "__name__", type(self.V).__name__)
        return f"Potential({name if callable(self.V) else f'array {np.shape(self.V)}'})"

    def values(self, torus: Torus) -> np.ndarray:
        """V on the grid, (n, …, n)."""
        field = self.V(*torus.points) if callable(self.V) else self.V
        if np.ndim(field) == 0:
            field = np.full(torus.shape, field)
        return _check.array("potential", field, "let V return finite values on the grid", shape=torus.shape)

    def value(self, state: TorusDensity) -> float:
        return float(np.mean(self.values(state.torus) * state.values))

    def differential(self, state: TorusDensity) -> np.ndarray:
        return self.values(state.torus)

    def pressure(self) -> tuple[PowerTerm, ...]:
        return ()

    def potential(self, torus: Torus) -> np.ndarray:
        return self.values(torus)

    def check(self, state: TorusDensity) -> None:
        self.values(state.torus)
