"""Training of a two-layer network towards a teacher on normal inputs, with the risk of the whole population."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check, parallel
from ..measures import ParticleMeasure
from .gaussian_inputs import GaussianInputs, charges_on
from .losses import SQUARE, Loss, SquareLoss
from .network_training import penalised

if TYPE_CHECKING:
    from .two_layer import TwoLayer


@dataclass(frozen=True, eq=False)
class GaussianTraining:
    r"""``μ ↦ F(μ) + ½λ∫|θ|²dμ`` for inputs x ~ N(0, I) and the labels of a teacher ν.

    .. math:: F(μ) = ½ E|h(μ, x) - h(ν, x)|^2 = ½ \sum_{ij} q_i q_j\, κ(w_i, w_j), \quad
              q = a_j μ_j \text{ for neurons of μ}, \; -a_k ν_k \text{ for those of ν}.

    As :class:`meanfield.energies.Risk` asks for it: the differential is ``∇F'(μ)(θ_j) + λθ_j``, (m, d + 1).

    Parameters
    ----------
    network : TwoLayer — without bias, with ``mf.relu`` or ``mf.erf``
    inputs : GaussianInputs — of the network's dimension
    teacher : ParticleMeasure — ν, neurons (a, w) of the network
    loss : Loss — the square loss, the only one with a closed form
    penalty : float — λ

    Raises
    ------
    ValueError, TypeError
        For a network, loss or teacher of another kind.

    Notes
    -----
    One evaluation: O(m (m + k) d), k neurons of the teacher. The sum cancels as F → 0: its absolute error is about
    1e-15 times ``Σ_{ij} |q_i q_j| κ_{ij}``, and values that rounding takes below zero are returned as zero. The
    gradient has no such floor relative to its terms.

    Examples
    --------
    >>> import meanfield as mf
    >>> network, teacher = mf.TwoLayer(2, mf.relu), mf.ParticleMeasure([[1.0, 1.0, 0.0]])
    >>> GaussianTraining(network, mf.GaussianInputs(2), teacher).value(mf.ParticleMeasure([[2.0, 1.0, 0.0]]))
    0.25
    """

    network: TwoLayer
    inputs: GaussianInputs
    teacher: ParticleMeasure
    loss: Loss = SQUARE
    penalty: float = 0.0
    _teacher_energy: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.inputs.check(self.network.activation, self.network.bias)
        if self.inputs.dim != self.network.dim:
            raise _check.fail(
                f"inputs must have the network's dimension {self.network.dim}", repr(self.inputs), "pass the same dim"
            )
        if not isinstance(self.loss, SquareLoss):
            raise _check.fail("normal inputs need the square loss", repr(self.loss), "leave it out, or use samples")
        if not isinstance(self.teacher, ParticleMeasure):
            raise TypeError(
                f"labels for normal inputs are a teacher's (got {type(self.teacher).__name__}); pass a ParticleMeasure"
            )
        self.network.check(self.teacher)
        _, w, q = _neurons(self.teacher)
        with parallel.one_thread_libraries():
            object.__setattr__(self, "_teacher_energy", 0.5 * float(q @ self._field(w, w, q)[0]))

    def __repr__(self) -> str:
        return f"GaussianTraining({self})"

    def __str__(self) -> str:
        """Network, inputs, teacher and penalty; the teacher's neurons are told by the checksum of :meth:`data`."""
        return f"{self.network!r}, {self.inputs!r}, teacher of {self.teacher.number}, penalty={self.penalty:g}"

    @property
    def title(self) -> str:
        """Network and data in a few words, for the heading of a run."""
        return f"{type(self.network).__name__}, teacher on normal inputs"

    def check(self, state: Any) -> None:
        """Refuse what is not a measure of neurons of the network."""
        self.network.check(state)

    def value(self, state: ParticleMeasure) -> float:
        """The risk of the population and the penalty."""
        return self.value_and_differential(state)[0]

    def value_and_differential(self, state: ParticleMeasure) -> tuple[float, np.ndarray]:
        """Both, the differential (m, d + 1)."""
        return penalised(*self._risk_and_gradient(state), state, self.penalty)

    def data(self) -> tuple[np.ndarray, ...]:
        """The teacher's neurons and weights."""
        return self.teacher.positions, self.teacher.weights

    def observables(self, state: ParticleMeasure) -> dict[str, tuple[tuple[str, ...], Any]]:
        """The risk without the penalty."""
        return {"risk": ((), self._risk_and_gradient(state)[0])}

    def _risk_and_gradient(self, state: ParticleMeasure) -> tuple[float, np.ndarray]:
        a, w, q = _neurons(state)
        _, v, p = _neurons(self.teacher)
        with parallel.one_thread_libraries():
            potential, gradient = self._field(w, np.concatenate([w, v]), np.concatenate([q, -p]))
            to_teacher = self._field(v, w, q)[0]
            risk = 0.5 * float(q @ potential - p @ to_teacher) + self._teacher_energy
        return max(risk, 0.0), np.concatenate([potential[:, None], a[:, None] * gradient], axis=1)

    def _field(self, w: np.ndarray, v: np.ndarray, charges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return charges_on(self.network.activation, w, v, charges)


def _neurons(mu: ParticleMeasure) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Output weights a (m,), inner weights w (m, d) and charges ``a_j μ_j`` (m,)."""
    a = mu.positions[:, 0]
    return a, np.ascontiguousarray(mu.positions[:, 1:]), a * mu.weights
