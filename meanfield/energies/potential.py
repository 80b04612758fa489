"""Potential energies: a fixed landscape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .. import _check
from ..measures import ParticleMeasure, TorusDensity
from ..status import Refusal, Status
from ..torus import Torus
from .base import Energy, PowerTerm


@dataclass(frozen=True, eq=False)
class Potential(Energy):
    """``E(ρ) = ∫Vρ``; differential V; Wasserstein flow ``∂_tρ = div(ρ∇V)`` (transport down the landscape).

    Parameters
    ----------
    V : callable ``V(x[, y[, z]])`` of the coordinate arrays, periodic and smooth, or an array (n, …, n)
    gradient : callable of the same arguments or None — the d components of ∇V, which particles in R^d need. On a torus
        particles can do without: they take V as the sum of its modes ``|k_a| ≤ (n−1)//2`` on the grid

    Raises
    ------
    ValueError
        When the values on a state's grid are not finite or have another shape.
    """

    V: Callable | np.ndarray
    gradient: Callable | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not callable(self.V):
            values = _check.array("potential", self.V, "pass finite values on the grid, or a callable")
            values.flags.writeable = False
            object.__setattr__(self, "V", values)

    def __repr__(self) -> str:  # no addresses, no rows of numbers: files record it
        name = getattr(self.V, "__name__", type(self.V).__name__)
        return f"Potential({name if callable(self.V) else f'array {np.shape(self.V)}'})"

    def values(self, torus: Torus) -> np.ndarray:
        """V on the grid, (n, …, n)."""
        values = self.V(*torus.points) if callable(self.V) else self.V
        if np.ndim(values) == 0:
            values = np.full(torus.shape, values)
        return _check.array("potential", values, "let V return finite values on the grid", shape=torus.shape)

    def value(self, state: TorusDensity | ParticleMeasure) -> float:
        if isinstance(state, ParticleMeasure):
            return float(state.weights @ self._at_particles(state))
        return float(np.mean(self.values(state.torus) * state.values))

    def differential(self, state: TorusDensity | ParticleMeasure) -> np.ndarray:
        if isinstance(state, ParticleMeasure):
            return self._slope_at_particles(state)
        return self.values(state.torus)

    def pressure(self) -> tuple[PowerTerm, ...]:
        return ()

    def potential(self, torus: Torus) -> np.ndarray:
        return self.values(torus)

    def check(self, state: TorusDensity | ParticleMeasure) -> None:
        if isinstance(state, ParticleMeasure):
            self._at_particles(state), self._slope_at_particles(state)
        else:
            self.values(state.torus)

    def data(self, state: TorusDensity | ParticleMeasure) -> tuple[np.ndarray, ...]:
        return (self._at_particles(state),) if isinstance(state, ParticleMeasure) else (self.values(state.torus),)

    def _at_particles(self, state: ParticleMeasure) -> np.ndarray:
        if self.gradient is None and state.torus is not None:
            from ..particles.convolution import values_at

            return values_at(state.torus, self._modes(state.torus)[None], state.positions)[:, 0]
        if not callable(self.V):
            raise _check.fail(
                "a potential with a gradient, or in R^d, must be a callable", repr(self), "pass V and gradient so"
            )
        values = np.broadcast_to(np.asarray(self.V(*state.positions.T), dtype=float), (state.number,))
        return _finite("potential", values, "let V return finite values")

    def _modes(self, torus: Torus) -> np.ndarray:
        return torus.coefficients(self.values(torus))

    def _slope_at_particles(self, state: ParticleMeasure) -> np.ndarray:
        if self.gradient is None:
            if state.torus is None:
                raise _check.fail("particles in R^d need the gradient of a potential", repr(self), "pass gradient=")
            from ..particles.convolution import gradient_at

            return gradient_at(state.torus, self._modes(state.torus), state.positions)
        columns = [np.broadcast_to(part, (state.number,)) for part in self.gradient(*state.positions.T)]
        if len(columns) != state.dim:
            raise _check.fail(
                f"gradient must have {state.dim} components", f"{len(columns)}", "return one array a dimension"
            )
        return _finite("gradient", np.stack(columns, axis=1).astype(float, copy=False), "let it return finite values")


def _finite(name: str, values: np.ndarray, remedy: str) -> np.ndarray:
    """Values at particles; where they are not finite a flow has come to its end."""
    finite = np.isfinite(values)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise Refusal(
            Status.NOT_FINITE, f"{name} must be finite (got {values[index]} at particle {index[0]}); {remedy}"
        )
    return values
