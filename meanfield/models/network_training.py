"""Training data of a network: samples, loss and penalty, as a problem in the measure of its neurons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import _check
from ..measures import LayeredMeasure, ParticleMeasure
from .losses import SQUARE, Loss

Neurons = ParticleMeasure | LayeredMeasure


@dataclass(frozen=True, eq=False)
class NetworkTraining:
    """``μ ↦ F(μ) + ½λ∫|θ|²dμ`` for given samples and loss, as :class:`meanfield.energies.Risk` asks for it.

    The penalty acts on all parameters of a neuron; a layered measure integrates over depth too.

    Parameters
    ----------
    network : TwoLayer or ResNet
    x : (N, d) float — samples
    y : (N,) or (N, d_out) float — labels
    loss : Loss
    penalty : float — λ
    """

    network: Any
    x: np.ndarray
    y: np.ndarray
    loss: Loss = SQUARE
    penalty: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        if self.y is None:
            raise _check.fail("the risk of a network needs labels", "y=None", "pass Risk(network, x, y)")
        for name, array in zip("xy", self.network.data(self.x, self.y, self.loss)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __str__(self) -> str:
        """Network, loss and penalty; the samples are told by the checksum of :meth:`data`."""
        return f"{self.network!r}, {self.loss!r}, samples={self.samples}, penalty={self.penalty:g}"

    @property
    def title(self) -> str:
        """Network and loss in a few words, for the heading of a run."""
        return f"{type(self.network).__name__}, {type(self.loss).__name__}"

    @property
    def samples(self) -> int:
        """N, the number of samples."""
        return len(self.x)

    @property
    def smooth(self) -> bool:
        """Whether activation and loss have continuous derivatives."""
        return self.network.activation.smooth and self.loss.smooth

    def check(self, state: Any) -> None:
        """Refuse what is not a measure of the network's neurons, and a network that has no gradient."""
        self.network.check(state)
        with np.errstate(over="ignore", invalid="ignore"):  # steppers refuse to start where they overflow
            self.value_and_differential(state)

    def value(self, state: Neurons) -> float:
        """The risk and the penalty."""
        risk = self.network.risk(state, self.x, self.y, self.loss)
        return risk + self.penalty * half_square(state) if self.penalty else risk

    def value_and_differential(self, state: Neurons) -> tuple[float, np.ndarray]:
        """Both, the differential at the particles in mean-field scaling."""
        return self._at(state, self.x, self.y)

    def differential_on(self, state: Neurons, indices: np.ndarray) -> np.ndarray:
        """The differential of the mean over the samples with these indices, and of the penalty."""
        return self._at(state, self.x[indices], self.y[indices])[1]

    def data(self) -> tuple[np.ndarray, ...]:
        """Samples and labels."""
        return self.x, self.y

    def observables(self, state: Neurons) -> dict[str, tuple[tuple[str, ...], Any]]:
        """The risk without the penalty."""
        return {"risk": ((), self.network.risk(state, self.x, self.y, self.loss))}

    def _at(self, state: Neurons, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        value, differential = self.network.evaluate(state, x, y, self.loss)
        return penalised(value, differential, state, self.penalty)


def half_square(state: Neurons) -> float:
    """``½∫|θ|²dμ``, over depth too where there are layers."""
    squares = np.sum(state.weights * np.sum(state.positions**2, axis=-1), axis=-1)  # of one layer, or of each
    return 0.5 * float(np.mean(squares))


def penalised(value: float, differential: np.ndarray, state: Neurons, penalty: float) -> tuple[float, np.ndarray]:
    """Risk and differential with the penalty ``½λ∫|θ|²dμ`` added."""
    if not penalty:
        return value, differential
    return value + penalty * half_square(state), differential + penalty * state.positions
