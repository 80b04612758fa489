"""The risk of a model on data as an energy of its controls or parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import _check
from .base import Energy


@dataclass(frozen=True, eq=False)
class Risk(Energy):
    """``E = 𝓛 + penalty``: the risk of a model on data, the energy whose gradient flow is training.

    ``Risk(network, x, y)`` for a :class:`TwoLayer` or :class:`ResNet`: ``(1/N) Σ_i ℓ(h(μ, x_i), y_i) + ½λ∫|θ|²dμ(θ)``,
    the penalty on all parameters of a neuron; with a :class:`TwoLayer`, add a :class:`Potential` for another one.
    ``Risk(two_layer, GaussianInputs(d), teacher)``: the same for the whole population of inputs x ~ N(0, I).
    ``Risk(node, rho0, loss)`` for a :class:`DensityNODE`: ``ℓ(μ_1) + ½λ|v|²``, with a distance energy as loss.

    Parameters
    ----------
    model : TwoLayer, ResNet or DensityNODE
    x : (N, d) samples, or GaussianInputs — for a DensityNODE the initial density
    y : (N,) or (N, d_out) labels, or the teacher's ParticleMeasure — for a DensityNODE the loss
    loss : Loss or None — of a network, default ``SquareLoss()``
    penalty : float — λ ≥ 0

    Raises
    ------
    ValueError, TypeError
        From the model, if the data do not fit; for a negative penalty.

    Notes
    -----
    A differential brings the value with it, so both are kept for the last state asked about (states do not change).
    """

    model: Any
    x: Any
    y: Any = None
    loss: Any = field(default=None, kw_only=True)
    penalty: float = field(default=0.0, kw_only=True)
    problem: Any = field(init=False, repr=False)
    _last: tuple[Any, float, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if _check.real("penalty", self.penalty, "pass λ >= 0") < 0:
            raise _check.fail("penalty must not be negative", repr(self.penalty), "pass λ >= 0")
        if not callable(getattr(self.model, "problem", None)):
            raise TypeError(
                f"model must be a TwoLayer, ResNet or DensityNODE (got {type(self.model).__name__}); pass one of these"
            )
        given = {} if self.loss is None else {"loss": self.loss}
        object.__setattr__(self, "problem", self.model.problem(self.x, self.y, **given, penalty=self.penalty))
        object.__setattr__(self, "_last", (None, 0.0, None))

    def __repr__(self) -> str:
        return f"Risk({self.problem})"

    def __str__(self) -> str:
        """A few words, for the title of a run."""
        return f"Risk({self.problem.title})"

    def value(self, state: Any) -> float:
        return self._last[1] if self._last[0] is state else self.problem.value(state)

    def differential(self, state: Any) -> np.ndarray:
        if self._last[0] is not state or self._last[2] is None:
            value, differential = self.problem.value_and_differential(state)
            differential.flags.writeable = False
            object.__setattr__(self, "_last", (state, value, differential))
        assert self._last[2] is not None
        return self._last[2]

    @property
    def smooth(self) -> bool:
        return getattr(self.problem, "smooth", True)

    @property
    def samples(self) -> int:
        return getattr(self.problem, "samples", 0)

    def differential_on(self, state: Any, indices: np.ndarray) -> np.ndarray:
        return self.problem.differential_on(state, indices)

    def check(self, state: Any) -> None:
        self.problem.check(state)

    def potential(self, torus: Any) -> None:
        return None

    def data(self, state: Any) -> tuple[np.ndarray, ...]:
        return self.problem.data()

    def observables(self, state: Any) -> dict[str, tuple[tuple[str, ...], Any]]:
        return self.problem.observables(state)
