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
from ._passes import block, rooms, taken, values, values_and_slopes
from .activations import Activation


def states(activation: Activation, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``x^0, …, x^L``, (L + 1, N, d)."""
    result = np.empty((len(parameters) + 1, *x.shape))

    def work(chunk: slice) -> None:
        result[:, chunk] = _forward(activation, parameters, weights, x[chunk], None)

    parallel.run(work, sample_chunks(len(x), weights.size))
    return result


def final(activation: Activation, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``x^L``, (N, d)."""
    chunks = sample_chunks(len(x), weights.size)
    return np.concatenate(
        parallel.run(lambda chunk: _forward(activation, parameters, weights, x[chunk], None)[-1], chunks)
    )


def evaluate(
    activation: Activation,
    parameters: np.ndarray,
    weights: np.ndarray,
    x: np.ndarray,
    covector: Callable[[np.ndarray, slice], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """``x^L`` (N, d), and G (L, m, p) for the covector p^L that it gives; keeps 256 L m doubles a thread."""
    depth, m, _ = parameters.shape
    total = np.zeros(parameters.shape)
    free: list[np.ndarray] = []

    def work(chunk: slice, part: np.ndarray) -> np.ndarray:
        kept = taken(free, depth, len(blocks(m)))
        rows = _forward(activation, parameters, weights, x[chunk], kept)
        _adjoint(activation, parameters, weights, rows, covector(rows[-1], chunk), kept, part)
        free.append(kept)
        return rows[-1]

    return np.concatenate(add_up(work, sample_chunks(len(x), weights.size), total)), total


def _forward(
    activation: Activation, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray, kept: np.ndarray | None
) -> np.ndarray:
    """All states of a chunk of samples, (L + 1, n, d); arguments of activations go to ``kept`` (L, blocks, room)."""
    (depth, m, _), (n, d) = parameters.shape, x.shape
    rows, (spare, other) = np.empty((depth + 1, n, d)), rooms(2)
    rows[0] = x
    for layer in range(depth):
        move = np.zeros((n, d))
        for k, neurons in enumerate(blocks(m)):
            room, theta = spare if kept is None else kept[layer, k], parameters[layer, neurons]
            z = block(room, n, len(theta))
            np.matmul(rows[layer], theta[:, d:-1].T, out=z)
            z += theta[:, -1]
            move += values(activation, room, z.shape, other) @ (weights[layer, neurons, None] * theta[:, :d])
        rows[layer + 1] = rows[layer] + move / depth
    return rows


def _adjoint(
    activation: Activation,
    parameters: np.ndarray,
    weights: np.ndarray,
    rows: np.ndarray,
    back: np.ndarray,
    kept: np.ndarray,
    result: np.ndarray,
) -> None:
    """Add the gradient for a chunk of states and p^L to ``result``, each entry once."""
    (depth, m, _), (_, n, d), room = parameters.shape, rows.shape, rooms()
    for layer in reversed(range(depth)):
        move = np.zeros((n, d))
        for k, neurons in enumerate(blocks(m)):
            theta, out = parameters[layer, neurons], result[layer, neurons]
            force = block(room, n, len(theta))
            np.matmul(back, theta[:, :d].T, out=force)
            value = values_and_slopes(activation, kept[layer, k], force.shape, room)
            out[:, :d] += value.T @ back
            out[:, d:-1] += force.T @ rows[layer]
            out[:, -1] += force.sum(axis=0)
            move += force @ (weights[layer, neurons, None] * theta[:, d:-1])
        back = back + move / depth
