"""Two-layer networks in NumPy and BLAS: for any activation, and for d where products outweigh the passes between them.

Chunks of at most 256 samples; neurons in blocks that stay in the cache between a product and the passes over it. Call
inside :func:`meanfield.parallel.one_thread_libraries`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._chunks import add_up, blocks, sample_chunks
from ._passes import block, rooms, taken, values, values_and_slopes
from .activations import Activation


def outputs(activation: Activation, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``h(μ, x_i)``, (N,)."""

    def work(chunk: slice, _: np.ndarray) -> np.ndarray:
        return _forward(activation, parameters, weights, _inputs(parameters, x[chunk]), None)

    return np.concatenate(add_up(work, sample_chunks(len(x), len(parameters)), np.empty(0)))


def gradient(activation: Activation, parameters: np.ndarray, x: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """``Σ_i r_i ∇φ(θ_j, x_i)``, (m, p)."""
    weights = np.zeros(len(parameters))
    return evaluate(activation, parameters, weights, x, lambda h, chunk: residual[chunk])[1]


def evaluate(
    activation: Activation,
    parameters: np.ndarray,
    weights: np.ndarray,
    x: np.ndarray,
    residual: Callable[[np.ndarray, slice], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs h (N,), and the gradient (m, p) for the residual that they give; keeps m × 256 doubles a thread."""
    total = np.zeros(parameters.shape)
    free: list[np.ndarray] = []

    def work(chunk: slice, part: np.ndarray) -> np.ndarray:
        inputs = _inputs(parameters, x[chunk])
        kept = taken(free, len(blocks(len(parameters))))
        h, room = _forward(activation, parameters, weights, inputs, kept), rooms()
        r = residual(h, chunk)
        for k, neurons in enumerate(blocks(len(parameters))):
            out = part[neurons]
            slope = block(room, len(inputs), len(out))
            slope[...] = r[:, None]
            out[:, 0] += r @ values_and_slopes(activation, kept[k], slope.shape, room)
            out[:, 1:] += slope.T @ inputs
        free.append(kept)
        return h

    h = np.concatenate(add_up(work, sample_chunks(len(x), len(parameters)), total))
    total[:, 1:] *= parameters[:, :1]
    return h, total


def _forward(
    activation: Activation, parameters: np.ndarray, weights: np.ndarray, inputs: np.ndarray, kept: np.ndarray | None
) -> np.ndarray:
    """Outputs of a chunk of samples, (n,); arguments of activations go to ``kept`` (blocks, room)."""
    h, (spare, other), amplitudes = np.zeros(len(inputs)), rooms(2), weights * parameters[:, 0]
    for k, neurons in enumerate(blocks(len(parameters))):
        room, w = spare if kept is None else kept[k], parameters[neurons, 1:]
        z = block(room, len(inputs), len(w))
        np.matmul(inputs, w.T, out=z)
        h += values(activation, room, z.shape, other) @ amplitudes[neurons]
    return h


def gradient_pairwise(
    activation: Activation, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """``Σ_j μ_j ⟨∇φ(θ_i), φ(θ_j)⟩ − ⟨∇φ(θ_i), y⟩``, (m, p), the interactions of all pairs first."""
    inputs, a = _inputs(parameters, x), parameters[:, 0]
    z = inputs @ parameters[:, 1:].T
    value, slope = activation(z), a * activation.derivative(z)  # type: ignore[misc]
    result = np.empty(parameters.shape)
    for k in range(parameters.shape[1]):
        derivative = value if k == 0 else slope * inputs[:, k - 1 : k]
        interaction = derivative.T @ (a * value) / len(x)
        result[:, k] = interaction @ weights - derivative.T @ y / len(x)
    return result


def _inputs(parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Points, with a column of ones where neurons have a bias."""
    ones = np.ones((len(x), parameters.shape[1] - 1 - x.shape[1]))
    return np.concatenate([x, ones], axis=1) if ones.size else x
