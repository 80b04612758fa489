"""Two-layer networks in NumPy and BLAS: for any activation, and for d where products outweigh the passes between them.

Chunks of at most 256 samples; neurons in blocks that stay in the cache between a product and the passes over it. Call
inside :func:`meanfield.parallel.one_thread_libraries`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._chunks import add_up, blocks, sample_chunks
from .activations import Activation


def outputs(activation: Activation, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``h(μ, x_i)``, (N,)."""
    chunks, amplitudes = sample_chunks(len(x), len(parameters)), weights * parameters[:, 0]

    def work(chunk: slice, _: np.ndarray) -> np.ndarray:
        inputs, h = _inputs(parameters, x[chunk]), np.zeros(chunk.stop - chunk.start)
        for block in blocks(len(parameters)):
            h += activation(inputs @ parameters[block, 1:].T) @ amplitudes[block]
        return h

    return np.concatenate(add_up(work, chunks, np.empty(0)))


def gradient(activation: Activation, parameters: np.ndarray, x: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """``Σ_i r_i ∇φ(θ_j, x_i)``, (m, p)."""
    weights = np.zeros(len(parameters))
    return evaluate(activation, parameters, weights, x, lambda h, rows: residual[rows])[1]


def evaluate(
    activation: Activation,
    parameters: np.ndarray,
    weights: np.ndarray,
    x: np.ndarray,
    residual: Callable[[np.ndarray, slice], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs h (N,), and the gradient (m, p) for the residual that they give; keeps m × 256 doubles a thread."""
    chunks, amplitudes = sample_chunks(len(x), len(parameters)), weights * parameters[:, 0]
    total = np.zeros(parameters.shape)

    def work(chunk: slice, part: np.ndarray) -> np.ndarray:
        inputs, h = _inputs(parameters, x[chunk]), np.zeros(chunk.stop - chunk.start)
        kept = []
        for block in blocks(len(parameters)):
            z = inputs @ parameters[block, 1:].T
            h += activation(z) @ amplitudes[block]
            kept.append(z)
        r = residual(h, chunk)
        forced = r[:, None] * inputs
        for block, z in zip(blocks(len(parameters)), kept):
            part[block, 0] += r @ activation(z)
            part[block, 1:] += activation.derivative(z).T @ forced  # type: ignore[misc]
        return h

    h = np.concatenate(add_up(work, chunks, total))
    total[:, 1:] *= parameters[:, :1]
    return h, total


def gradient_pairwise(
    activation: Activation, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """``Σ_j μ_j ⟨∇φ(θ_i), φ(θ_j)⟩ − ⟨∇φ(θ_i), y⟩``, (m, p), the interactions of all pairs first."""
    inputs = _inputs(parameters, x)
    z, a = inputs @ parameters[:, 1:].T, parameters[:, 0]
    features, value, slope = a * activation(z), activation(z), a * activation.derivative(z)  # type: ignore[misc]
    result = np.empty(parameters.shape)
    for k in range(parameters.shape[1]):
        derivative = value if k == 0 else slope * inputs[:, k - 1 : k]
        interaction = derivative.T @ features / len(x)
        result[:, k] = interaction @ weights - derivative.T @ y / len(x)
    return result


def _inputs(parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Points, with a column of ones where neurons have a bias."""
    ones = np.ones((len(x), parameters.shape[1] - 1 - x.shape[1]))
    return np.concatenate([x, ones], axis=1) if ones.size else x
