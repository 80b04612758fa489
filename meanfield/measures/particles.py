"""Particles: weighted points in R^d or on the torus."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .. import _check
from ..torus import Torus

SUM_TOLERANCE = 1e-9  # how far weights may sum from 1: what a user's own division leaves, with room


@dataclass(frozen=True, eq=False)
class ParticleMeasure:
    """The probability measure ``Σ_i a_i δ_{x_i}`` of N particles in R^d, or on a torus.

    Parameters
    ----------
    positions : (N, d) float — x_i, copied; on a torus any representative modulo 1: positions are never wrapped, so that
        displacements and centres of mass make sense (``wrapped`` gives those in [0, 1))
    weights : (N,) float or None — a_i ≥ 0 with sum 1; None means 1/N each
    torus : Torus or None — None is R^d
    normalise : bool — divide the weights by their sum

    Raises
    ------
    ValueError, TypeError
        For no particles, values that are not finite, negative weights or weights that do not sum to 1, or another
        dimension than the torus's.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.ParticleMeasure([[0.25], [1.5]], torus=mf.Torus(64))
    ParticleMeasure(number=2, dim=1, torus=Torus(n=64, dim=1, spacing=0.015625))
    """

    positions: np.ndarray
    weights: np.ndarray = field(default=None)  # type: ignore[arg-type]  # None: filled in, equal ones
    torus: Torus | None = None
    normalise: bool = field(default=False, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.torus, Torus | None):
            raise TypeError(f"torus must be a Torus or None (got {type(self.torus).__name__}); pass mf.Torus(n, dim=d)")
        positions = _check.array("positions", self.positions, "pass finite points as rows (N, d)")
        dim = "d" if self.torus is None else str(self.torus.dim)
        fits = positions.ndim == 2 and positions.size > 0 and (dim == "d" or positions.shape[1] == int(dim))
        if not fits:
            raise _check.fail(
                f"positions must have shape (N, {dim}) with N >= 1", f"shape {positions.shape}", "stack points as rows"
            )
        positions.flags.writeable = False
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "weights", checked_weights(self.weights, positions.shape[:1], self.normalise))

    @property
    def number(self) -> int:
        """N, the number of particles."""
        return len(self.positions)

    @property
    def dim(self) -> int:
        """d, the dimension of the space."""
        return self.positions.shape[1]

    @property
    def wrapped(self) -> np.ndarray:
        """Positions modulo 1, (N, d) in [0, 1)."""
        rest = np.mod(self.positions, 1.0)
        return np.where(rest < 1.0, rest, 0.0)  # −1e−17 modulo 1 rounds to 1

    def __repr__(self) -> str:
        where = "" if self.torus is None else f", torus={self.torus}"
        return f"ParticleMeasure(number={self.number}, dim={self.dim}{where})"


def checked_weights(weights: np.ndarray | None, shape: tuple[int, ...], normalise: bool) -> np.ndarray:
    """Read-only weights of this shape that are ≥ 0 and sum to 1 along the last axis; equal ones for None."""
    if weights is None:
        result = np.full(shape, 1.0 / shape[-1])
    else:
        result = _check.array("weights", weights, "pass one weight a particle", shape=shape)
        if result.min() < 0:
            index = tuple(int(i) for i in np.unravel_index(result.argmin(), shape))
            raise _check.fail(
                "weights must be non-negative", f"{result[index]:g} at index {index}", "remove or clip it"
            )
        with np.errstate(over="ignore"):
            sums = result.sum(axis=-1, keepdims=True)
        usable = bool((sums > 0).all() and np.isfinite(sums).all())
        if normalise and usable:
            result /= sums
        worst = float(sums.flat[np.abs(sums - 1).argmax()])
        if not usable or (not normalise and abs(worst - 1) > SUM_TOLERANCE):
            raise _check.fail(
                "weights must sum to 1",
                f"{worst:.6g}, shape {shape}",
                "divide them by weights.sum(axis=-1) or pass normalise=True",
            )
    result.flags.writeable = False
    return result


def particles_from_solver(positions: np.ndarray, like: ParticleMeasure) -> ParticleMeasure:
    """The particles of ``like`` at new finite positions a stepper has just computed, without a copy or a check."""
    state = object.__new__(ParticleMeasure)
    positions.flags.writeable = False
    for name, value in (
        ("positions", positions), ("weights", like.weights), ("torus", like.torus), ("normalise", False),
    ):  # fmt: skip
        object.__setattr__(state, name, value)
    return state
