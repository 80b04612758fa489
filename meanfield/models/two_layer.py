"""Two-layer networks in the mean-field scaling, as functions of the measure of their neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _check, parallel
from ..measures import ParticleMeasure
from . import _doors, _two_layer_blas, _two_layer_fused
from .activations import Activation
from .gaussian_inputs import GaussianInputs
from .gaussian_training import GaussianTraining
from .losses import SQUARE, Loss
from .network_training import NetworkTraining


@dataclass(frozen=True)
class TwoLayer:
    r"""The network of one hidden layer ``h(μ, x) = ∫ a σ(w·x + b) dμ(a, w, b)``, with scalar output.

    .. math:: F(μ) = \frac1N \sum_i ℓ(h(μ, x_i), y_i), \quad F'(μ)(θ) = \frac1N \sum_i ∂_hℓ(h(μ, x_i), y_i)\, φ(θ, x_i),
              \quad φ((a, w, b), x) = a\, σ(w·x + b).

    Parameters
    ----------
    dim : int — d, the dimension of the data
    activation : Activation — σ
    bias : bool — neurons are packed ``(a, w, b)``, p = d + 2; without, ``(a, w)``, p = d + 1

    Raises
    ------
    ValueError, TypeError
        For a dimension below 1 or an activation that is no ``Activation``; in the methods, for particles or data that
        do not fit, labels the loss is not defined for, and gradients through an activation without derivative.

    Notes
    -----
    Measures are :class:`ParticleMeasure` on R^p. Risks are means over the data. The gradient at a particle is that of
    F'(μ), the Euclidean derivative divided by the particle's weight (times m for equal weights).
    A built-in activation and d ≤ 256 run through fused kernels: 6 m N d flops and two evaluations of σ a neuron and
    sample for risk and gradient, memory O(N + m d). All else runs through BLAS: 4 m N d flops, 256 m doubles a thread.
    Bits do not depend on the number of threads.

    References
    ----------
    Chizat and Bach (2018), NeurIPS; Mei, Montanari and Nguyen (2018), PNAS 115; Rotskoff and Vanden-Eijnden (2018).

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.TwoLayer(dim=2, activation=mf.relu)
    >>> mu = mf.ParticleMeasure([[1.0, 1.0, 0.0], [2.0, 0.0, -1.0]])
    >>> network.predict(mu, [[3.0, 1.0], [1.0, -2.0]])
    array([1.5, 2.5])
    """

    dim: int
    activation: Activation
    bias: bool = False

    def __post_init__(self) -> None:
        _doors.network(self.dim, self.activation)
        if not isinstance(self.bias, bool):
            raise TypeError(f"bias must be True or False (got {self.bias!r}); pass bias=True for neurons (a, w, b)")

    @property
    def parameters(self) -> int:
        """p, the number of parameters of a neuron."""
        return self.dim + 1 + self.bias

    def predict(self, mu: ParticleMeasure, x: np.ndarray) -> np.ndarray:
        """``h(μ, x_i)``, points (N, d) to (N,)."""
        self.check(mu)
        return self._outputs(mu.positions, np.asarray(mu.weights), _doors.rows("points", x, self.dim))

    def risk(self, mu: ParticleMeasure, x: np.ndarray, y: np.ndarray, loss: Loss = SQUARE) -> float:
        """``F(μ)``, the mean of the loss; points (N, d), labels (N,)."""
        self.check(mu)
        x, y = self.data(x, y, loss)
        return float(np.mean(loss.value(self._outputs(mu.positions, np.asarray(mu.weights), x), y)))

    def gradient(self, mu: ParticleMeasure, x: np.ndarray, y: np.ndarray, loss: Loss = SQUARE) -> np.ndarray:
        """``∇F'(μ)(θ_j)`` at the particles, (m, p)."""
        self.check(mu)
        return self.evaluate(mu, *self.data(x, y, loss), loss)[1]

    def first_variation(
        self, mu: ParticleMeasure, x: np.ndarray, y: np.ndarray, probe: np.ndarray, loss: Loss = SQUARE
    ) -> np.ndarray:
        """``F'(μ)(θ)`` at any parameters θ, (k, p) to (k,).

        Samples and probes change places: ``Σ_i r_i σ(w·x_i)`` is a network of neurons x_i, weights r_i, at the point w.
        """
        x, residual, probe = self._residual(mu, x, y, probe, loss)
        ones = np.ones((len(x), 1))
        neurons = np.concatenate([ones, x, ones], axis=1)[:, : self.parameters]
        return probe[:, 0] * self._outputs(neurons, residual, probe[:, 1:])

    def first_variation_gradient(
        self, mu: ParticleMeasure, x: np.ndarray, y: np.ndarray, probe: np.ndarray, loss: Loss = SQUARE
    ) -> np.ndarray:
        """``∇F'(μ)(θ)`` at any parameters θ, (k, p) to (k, p)."""
        _doors.differentiable(self.activation)
        x, residual, probe = self._residual(mu, x, y, probe, loss)
        if _doors.fused(self.dim, self.activation):
            return _two_layer_fused.gradient(self.activation, probe, x, residual)
        with parallel.one_thread_libraries():
            return _two_layer_blas.gradient(self.activation, probe, x, residual)

    def gradient_pairwise(self, mu: ParticleMeasure, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        r"""The gradient for the square loss as the force between charges, (m, p).

        .. math:: ∇_θ\Bigl(\sum_j μ_j ⟨φ(θ, ·), φ(θ_j, ·)⟩ - ⟨φ(θ, ·), y⟩\Bigr), \quad
                  ⟨f, g⟩ = \frac1N\sum_i f(x_i) g(x_i).

        An independent route to :meth:`gradient`, of cost O(m² N p), for tests.
        """
        _doors.differentiable(self.activation)
        self.check(mu)
        x, y = self.data(x, y, SQUARE)
        with parallel.one_thread_libraries():
            return _two_layer_blas.gradient_pairwise(self.activation, mu.positions, np.asarray(mu.weights), x, y)

    def evaluate(self, mu: ParticleMeasure, x: np.ndarray, y: np.ndarray, loss: Loss) -> tuple[float, np.ndarray]:
        """Risk and gradient in one pass, for a measure that :meth:`check` and data that :meth:`data` have seen."""
        _doors.differentiable(self.activation)

        def residual(h: np.ndarray, chunk: slice) -> np.ndarray:
            return loss.derivative(h, y[chunk]) / len(x)

        if _doors.fused(self.dim, self.activation):
            h, gradient = _two_layer_fused.evaluate(self.activation, mu.positions, np.asarray(mu.weights), x, residual)
        else:
            with parallel.one_thread_libraries():
                h, gradient = _two_layer_blas.evaluate(
                    self.activation, mu.positions, np.asarray(mu.weights), x, residual
                )
        return float(np.mean(loss.value(h, y))), gradient

    def problem(
        self, x: np.ndarray | GaussianInputs, y: Any = None, loss: Loss = SQUARE, *, penalty: float = 0.0
    ) -> NetworkTraining | GaussianTraining:
        """The training problem of samples and labels, or of normal inputs and a teacher, for :class:`mf.Risk`."""
        if isinstance(x, GaussianInputs):
            return GaussianTraining(self, x, y, loss, penalty)
        return NetworkTraining(self, x, y, loss, penalty=penalty)

    def data(self, x: np.ndarray, y: np.ndarray, loss: Loss = SQUARE) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, d) and labels (N,) as new arrays, or an error that says what does not fit."""
        x = _doors.rows("points", x, self.dim)
        return x, _doors.labels(y, (len(x),), loss)

    def check(self, mu: ParticleMeasure) -> None:
        """Refuse a measure that is not one of neurons of this network."""
        if not isinstance(mu, ParticleMeasure) or mu.torus is not None:
            kind = type(mu).__name__ + (" on a torus" if isinstance(mu, ParticleMeasure) else "")
            raise TypeError(
                f"a two-layer network needs a ParticleMeasure on R^p (got {kind}); pass its neurons as rows"
            )
        if mu.dim != self.parameters:
            rule = f"positions must have shape (m, {self.parameters}){self._packing}"
            raise _check.fail(rule, f"shape {mu.positions.shape}", "pack one neuron a row")

    @property
    def _packing(self) -> str:
        return f", packed {'(a, w, b)' if self.bias else '(a, w)'} with w of {self.dim} entries"

    def _outputs(self, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
        if _doors.fused(self.dim, self.activation):
            return _two_layer_fused.outputs(self.activation, parameters, weights, x)
        with parallel.one_thread_libraries():
            return _two_layer_blas.outputs(self.activation, parameters, weights, x)

    def _residual(
        self, mu: ParticleMeasure, x: np.ndarray, y: np.ndarray, probe: np.ndarray, loss: Loss
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Checked points, ``∂_hℓ/N`` there, and the checked probe."""
        self.check(mu)
        x, y = self.data(x, y, loss)
        probe = _doors.rows("probe", probe, self.parameters, self._packing)
        return x, loss.derivative(self._outputs(mu.positions, np.asarray(mu.weights), x), y) / len(x), probe
