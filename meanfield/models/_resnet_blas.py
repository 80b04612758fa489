"""Residual networks in NumPy and BLAS: for any activation, and for d where products outweigh the passes between them.

Chunks of at most 256 samples, each through the whole depth, arguments of activations kept on the way; neurons in blocks
that stay in the cache between a product and the passes over it. Call inside
:func:`meanfield.parallel.one_thread_libraries`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import parallel
from ._chunks import add_up, blocks, sample_chunks
from .activations import Activation


def states(activation: Activation, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``x^0, …, x^L``, (L + 1, N, d)."""
    result = np.empty((len(parameters) + 1, *x.shape))

    def work(chunk: slice) -> None:
        result[:, chunk] = _forward(activation, parameters, weights, x[chunk])

    parallel.run(work, sample_chunks(len(x), weights.size))
    return result


def final(activation: Activation, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``x^L``, (N, d)."""
    chunks = sample_chunks(len(x), weights.size)
    return np.concatenate(parallel.run(lambda chunk: _forward(activation, parameters, weights, x[chunk])[-1], chunks))


def evaluate(
    activation: Activation,
    parameters: np.ndarray,
    weights: np.ndarray,
    x: np.ndarray,
    covector: Callable[[np.ndarray, slice], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """``x^L`` (N, d), and G (L, m, p) for the covector p^L that it gives; keeps 256 L m doubles a thread."""
    total, (depth, m, _), d = np.zeros(parameters.shape), parameters.shape, x.shape[1]

    def work(chunk: slice, part: np.ndarray) -> np.ndarray:
        kept: list[np.ndarray] = []
        rows = _forward(activation, parameters, weights, x[chunk], kept)
        back = covector(rows[-1], chunk)
        for layer in reversed(range(depth)):
            old, back = back, back.copy()
            for block in reversed(blocks(m)):
                neurons, z = parameters[layer, block], kept.pop()
                force = old @ neurons[:, :d].T
                force *= activation.derivative(z)  # type: ignore[misc]
                part[layer, block, :d] += activation(z).T @ old
                part[layer, block, d:-1] += force.T @ rows[layer]
                part[layer, block, -1] += force.sum(axis=0)
                back += force @ (weights[layer, block, None] * neurons[:, d:-1]) / depth
        return rows[-1]

    return np.concatenate(add_up(work, sample_chunks(len(x), weights.size), total)), total


def _forward(
    activation: Activation,
    parameters: np.ndarray,
    weights: np.ndarray,
    x: np.ndarray,
    kept: list[np.ndarray] | None = None,
) -> np.ndarray:
    """All states of a chunk of samples, (L + 1, n, d); the arguments of the activations are put into ``kept``."""
    depth, m, _ = parameters.shape
    d = x.shape[1]
    rows = np.empty((depth + 1, *x.shape))
    rows[0] = x
    for layer in range(depth):
        rows[layer + 1] = rows[layer]
        for block in blocks(m):
            neurons = parameters[layer, block]
            z = rows[layer] @ neurons[:, d:-1].T
            z += neurons[:, -1]
            rows[layer + 1] += activation(z) @ (weights[layer, block, None] * neurons[:, :d]) / depth
            if kept is not None:
                kept.append(z)
    return rows
