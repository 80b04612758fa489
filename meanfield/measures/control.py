"""Controls: what a neural ODE is steered by, constant on each of its layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _check
from ..torus import Torus


@dataclass(frozen=True, eq=False)
class Control:
    """A control v(s, ·), constant on L layers of equal length 1/L.

    Parameters
    ----------
    values : (L, d, n, …, n) float — velocity fields on a torus, layers first, copied; without a torus (L, q, d), the
        coefficients of features, or (L, d, d)
    torus : Torus or None

    Raises
    ------
    ValueError, TypeError
        If a value is not finite, or the shape is not one of these.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.Control(np.zeros((8, 1, 64)), mf.Torus(64))
    Control(depth=8, max=0, torus=Torus(n=64, dim=1, spacing=0.015625))
    """

    values: np.ndarray
    torus: Torus | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.torus, Torus | None):
            raise TypeError(f"torus must be a Torus or None (got {type(self.torus).__name__}); pass mf.Torus(n, dim=d)")
        values = _check.array("control values", self.values, "put layers first")
        expected = (
            "(L, q, d)" if self.torus is None else f"(L, {self.torus.dim}, {', '.join(map(str, self.torus.shape))})"
        )
        inner = None if self.torus is None else (self.torus.dim, *self.torus.shape)
        if values.size == 0 or (values.ndim != 3 if inner is None else values.shape[1:] != inner):
            raise _check.fail(f"control values must have shape {expected}", f"shape {values.shape}", "put layers first")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    @property
    def depth(self) -> int:
        """The number of layers L."""
        return len(self.values)

    def __repr__(self) -> str:
        where = "" if self.torus is None else f", torus={self.torus}"
        shape = f", shape={self.values.shape}" if self.torus is None else ""
        return f"Control(depth={self.depth}, max={np.abs(self.values).max():.6g}{shape}{where})"


def control_from_solver(values: np.ndarray, torus: Torus | None) -> Control:
    """A control of finite values a stepper has just computed: taken over without a copy or a second check."""
    state = object.__new__(Control)
    values.flags.writeable = False
    for name, value in (("values", values), ("torus", torus)):
        object.__setattr__(state, name, value)
    return state
