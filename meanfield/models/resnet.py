"""Residual networks of infinite depth and arbitrary width, as functions of the layered measure of their neurons."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from .. import _check, parallel
from ..measures import LayeredMeasure
from . import _doors, _resnet_blas, _resnet_fused
from .activations import Activation
from .losses import SQUARE, Loss
from .network_training import NetworkTraining


@dataclass(frozen=True, eq=False)
class ResNet:
    r"""The residual network ``x'(s) = ∫ u σ(w·x + b) dμ(u, w, b | s)``, s in [0, 1], by L layers of m particles.

    .. math:: x^{l+1} = x^l + \frac1L \sum_j a_{lj}\, u_{lj}\, σ(w_{lj}·x^l + b_{lj}), \quad x^0 = A x, \quad h = B x^L,
              \quad \mathrm{Risk}(μ) = \frac1N \sum_i ℓ(h(x_i), y_i)
    .. math:: p^l = p^{l+1} + \frac1L \sum_j a_{lj} (u_{lj}·p^{l+1})\, σ'_{lj}\, w_{lj}, \quad p^L = B^T ∂_hℓ / N, \quad
              G_{lj} = \sum_i D_{(u, w, b)}[u_{lj} σ(w_{lj}·x_i^l + b_{lj})]^T p_i^{l+1}.

    Parameters
    ----------
    dim : int — d, the dimension of the states; particles are packed ``(u, w, b)``, p = 2d + 1
    activation : Activation — σ
    lift : (d, d_in) float or None — A, fixed; None is the identity
    readout : (d_out, d) float or None — B, fixed; None is the identity

    Raises
    ------
    ValueError, TypeError
        For a dimension below 1, an activation that is no ``Activation`` or lifts that do not fit; in the methods, for
        particles or data that do not fit, labels the loss is not defined for, and gradients through an activation
        without derivative.

    Notes
    -----
    The loss sums over the components of the output, the risk is a mean over the data. The gradient is that of the
    flow: the Euclidean derivative divided by ``a_lj/L`` (times L m for equal weights), exact for the layers above.
    A built-in activation and d ≤ 256 run through fused kernels that compute activations twice instead of keeping them:
    14 L m N d flops for risk and gradient; beyond the result, memory for L (256 d + m p) doubles a thread. All else
    runs through BLAS: 10 L m N d flops, 256 L m doubles more a thread. Bits do not depend on the number of threads.

    References
    ----------
    Barboni, Peyré and Vialard (2024), arXiv:2403.12887.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> network = mf.ResNet(dim=1, activation=mf.relu)
    >>> mu = mf.LayeredMeasure([[[1.0, 1.0, 0.0]], [[2.0, 0.0, 3.0]]])
    >>> network.states(mu, [[4.0]]).ravel()
    array([4., 6., 9.])
    """

    dim: int
    activation: Activation
    lift: np.ndarray | None = field(default=None, kw_only=True)
    readout: np.ndarray | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _doors.network(self.dim, self.activation)
        for name, axis in (("lift", 0), ("readout", 1)):
            matrix = getattr(self, name)
            if matrix is None:
                continue
            shape = f"({self.dim}, d_in)" if name == "lift" else f"(d_out, {self.dim})"
            matrix = _check.array(name, matrix, f"pass a matrix {shape}")
            if matrix.ndim != 2 or matrix.shape[axis] != self.dim or matrix.size == 0:
                raise _check.fail(
                    f"{name} must have shape {shape}", f"shape {matrix.shape}", "transpose it or change dim"
                )
            matrix.flags.writeable = False
            object.__setattr__(self, name, matrix)

    @property
    def parameters(self) -> int:
        """p = 2d + 1, the number of parameters of a neuron."""
        return 2 * self.dim + 1

    @property
    def inputs(self) -> int:
        """d_in, the dimension of the data."""
        return self.dim if self.lift is None else self.lift.shape[1]

    @property
    def outputs(self) -> int:
        """d_out, the dimension of the outputs."""
        return self.dim if self.readout is None else self.readout.shape[0]

    def predict(self, mu: LayeredMeasure, x: np.ndarray) -> np.ndarray:
        """``h(x_i)``, points (N, d_in) to (N, d_out)."""
        self.check(mu)
        return self._predict(mu, _doors.rows("points", x, self.inputs))

    def states(self, mu: LayeredMeasure, x: np.ndarray) -> np.ndarray:
        """``x^0, …, x^L`` as (L + 1, N, d), points (N, d_in)."""
        self.check(mu)
        x = _doors.rows("points", x, self.inputs)
        with self._scope():
            return self._route.states(self.activation, mu.positions, np.asarray(mu.weights), self._lifted(x))

    def risk(self, mu: LayeredMeasure, x: np.ndarray, y: np.ndarray, loss: Loss = SQUARE) -> float:
        """``Risk(μ)``; points (N, d_in), labels (N, d_out), or (N,) for a single output."""
        self.check(mu)
        x, y = self.data(x, y, loss)
        return float(np.sum(loss.value(self._predict(mu, x), y)) / len(x))

    def gradient(self, mu: LayeredMeasure, x: np.ndarray, y: np.ndarray, loss: Loss = SQUARE) -> np.ndarray:
        """The field G at the particles, (L, m, p)."""
        self.check(mu)
        return self.evaluate(mu, *self.data(x, y, loss), loss)[1]

    def evaluate(self, mu: LayeredMeasure, x: np.ndarray, y: np.ndarray, loss: Loss) -> tuple[float, np.ndarray]:
        """Risk and gradient in one pass, for a measure that :meth:`check` and data that :meth:`data` have seen."""
        _doors.differentiable(self.activation)

        def covector(state: np.ndarray, chunk: slice) -> np.ndarray:
            slope = loss.derivative(self._read(state), y[chunk]) / len(x)
            return slope if self.readout is None else slope @ self.readout

        with self._scope():
            final, gradient = self._route.evaluate(
                self.activation, mu.positions, np.asarray(mu.weights), self._lifted(x), covector
            )
            return float(np.sum(loss.value(self._read(final), y)) / len(x)), gradient

    def problem(self, x: np.ndarray, y: Any = None, loss: Loss = SQUARE, *, penalty: float = 0.0) -> NetworkTraining:
        """The training problem of these samples and labels, for :class:`mf.Risk`."""
        return NetworkTraining(self, x, y, loss, penalty=penalty)

    def data(self, x: np.ndarray, y: np.ndarray, loss: Loss = SQUARE) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, d_in) and labels (N, d_out) as new arrays, or an error that says what does not fit."""
        x = _doors.rows("points", x, self.inputs)
        shape = (len(x), self.outputs)
        if self.outputs == 1 and np.ndim(y) == 1:
            return x, _doors.labels(y, shape[:1], loss).reshape(shape)
        return x, _doors.labels(y, shape, loss)

    def check(self, mu: LayeredMeasure) -> None:
        """Refuse a measure that is not one of neurons of this network."""
        if not isinstance(mu, LayeredMeasure):
            raise TypeError(f"a residual network needs a LayeredMeasure (got {type(mu).__name__}); put layers first")
        if mu.positions.shape[2] != self.parameters:
            rule = f"positions must have shape (L, m, {self.parameters}), packed (u, w, b)"
            raise _check.fail(
                f"{rule} with u and w of {self.dim} entries", f"shape {mu.positions.shape}", "pack one neuron a row"
            )

    def __repr__(self) -> str:
        sizes = f"dim={self.dim}, activation={self.activation}, inputs={self.inputs}, outputs={self.outputs}"
        return f"ResNet({sizes})"

    @property
    def _route(self) -> ModuleType:
        return _resnet_fused if _doors.fused(self.dim, self.activation) else _resnet_blas

    def _scope(self) -> AbstractContextManager:
        """BLAS on one thread where it is called at all: entering the scope costs as much as a small network."""
        fixed = self.lift is None and self.readout is None
        return nullcontext() if fixed and self._route is _resnet_fused else parallel.one_thread_libraries()

    def _lifted(self, x: np.ndarray) -> np.ndarray:
        return x if self.lift is None else x @ self.lift.T

    def _read(self, state: np.ndarray) -> np.ndarray:
        return state if self.readout is None else state @ self.readout.T

    def _predict(self, mu: LayeredMeasure, x: np.ndarray) -> np.ndarray:
        with self._scope():
            return self._read(self._route.final(self.activation, mu.positions, np.asarray(mu.weights), self._lifted(x)))
