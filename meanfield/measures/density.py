"""Densities on the torus."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .. import _check
from ..torus import Torus


@dataclass(frozen=True, eq=False)
class TorusDensity:
    """A non-negative density on the torus, by its values at the grid points.

    A value is also read as the mean over the cell centred at its point. The mass ∫ρ need not be 1.

    Parameters
    ----------
    values : (n, …, n) float — ρ at the grid points, copied
    torus : Torus
    normalise : bool — divide by the mass

    Raises
    ------
    ValueError
        If a value is negative or not finite, the mass is zero, or the shape is not the torus's.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.Torus(64).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))
    TorusDensity(mass=1, min=0.5, max=1.5, torus=Torus(n=64, dim=1, spacing=0.015625))
    """

    values: np.ndarray
    torus: Torus
    normalise: bool = field(default=False, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.torus, Torus):
            raise TypeError(f"torus must be a Torus (got {type(self.torus).__name__}); pass mf.Torus(n, dim=d)")
        values = _check.array("density values", self.values, "use torus.density", shape=self.torus.shape)
        low = values.min()
        if low < 0:
            index = tuple(int(i) for i in np.unravel_index(values.argmin(), values.shape))
            raise _check.fail(
                "a density must be non-negative", f"{low:g} at index {index}", "clip the data or add a constant"
            )
        with np.errstate(over="ignore"):
            mass = float(values.mean())
        if not np.isfinite(mass):
            raise _check.fail("a density must have finite mass", f"max {values.max():g}", "scale the data down")
        if not mass > 0:
            raise _check.fail("a density must have positive mass", f"mass {mass:g}", "pass a density that is not zero")
        if self.normalise:
            values /= mass
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    @property
    def mass(self) -> float:
        """∫ρ dx."""
        return float(self.values.mean())

    def __repr__(self) -> str:
        low, high = self.values.min(), self.values.max()
        return f"TorusDensity(mass={self.mass:.6g}, min={low:.6g}, max={high:.6g}, torus={self.torus})"


def density_from_solver(values: np.ndarray, torus: Torus) -> TorusDensity:
    """A density of values a stepper has just computed and checked: taken over without a copy or a second check."""
    state = object.__new__(TorusDensity)
    values.flags.writeable = False
    for name, value in (("values", values), ("torus", torus), ("normalise", False)):
        object.__setattr__(state, name, value)
    return state
