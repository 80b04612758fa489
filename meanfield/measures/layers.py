"""Layered measures: one cloud of particles a layer, the marginal on depth uniform."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .. import _check
from .particles import checked_weights


@dataclass(frozen=True, eq=False)
class LayeredMeasure:
    """The measure ``μ(·|s) ds`` on [0, 1] × R^p: layer l = 0 … L−1 of length 1/L holds ``Σ_j a_lj δ_{w_lj}``.

    The first marginal is Lebesgue measure, exactly: the weights of every layer sum to 1.

    Parameters
    ----------
    positions : (L, m, p) float — w_lj, copied
    weights : (L, m) float or None — a_lj ≥ 0, each layer with sum 1; None means 1/m each
    normalise : bool — divide each layer's weights by their sum

    Raises
    ------
    ValueError, TypeError
        For layers of different width, no particles, values that are not finite, weights that are negative or do not
        sum to 1 in every layer.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.LayeredMeasure(np.zeros((4, 10, 5)))
    LayeredMeasure(depth=4, width=10, parameters=5)
    """

    positions: np.ndarray
    weights: np.ndarray = field(default=None)  # type: ignore[arg-type]  # None: filled in, equal ones
    normalise: bool = field(default=False, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        positions = self.positions
        if isinstance(positions, list | tuple):
            shapes = {np.shape(layer) for layer in positions}
            if len(shapes) > 1:
                raise _check.fail(
                    "layers must have one width and one number of parameters", f"shapes {sorted(shapes)}", "pad or cut"
                )
        positions = _check.array("positions", positions, "pass finite parameters (L, m, p)")
        if positions.ndim != 3 or positions.size == 0:
            raise _check.fail(
                "positions must have shape (L, m, p), each at least 1", f"shape {positions.shape}", "put layers first"
            )
        positions.flags.writeable = False
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "weights", checked_weights(self.weights, positions.shape[:2], self.normalise))

    @property
    def depth(self) -> int:
        """L, the number of layers."""
        return self.positions.shape[0]

    @property
    def width(self) -> int:
        """m, the number of particles in a layer."""
        return self.positions.shape[1]

    def __repr__(self) -> str:
        return f"LayeredMeasure(depth={self.depth}, width={self.width}, parameters={self.positions.shape[2]})"


def layers_from_solver(positions: np.ndarray, like: LayeredMeasure) -> LayeredMeasure:
    """The layers of ``like`` at new finite positions a stepper has just computed, without a copy or a check."""
    state = object.__new__(LayeredMeasure)
    positions.flags.writeable = False
    for name, value in (("positions", positions), ("weights", like.weights), ("normalise", False)):
        object.__setattr__(state, name, value)
    return state
