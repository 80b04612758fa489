"""Residual networks through the fused kernels: chunks of at most 256 samples, each through the whole depth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import parallel
from ._chunks import add_up, read_only, sample_chunks
from .activations import Activation


def states(activation: Activation, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``x^0, …, x^L``, (L + 1, N, d)."""
    from .._kernels import strips

    result, packed = np.empty((len(parameters) + 1, *x.shape)), _packed(parameters, weights)

    def work(chunk: slice) -> None:
        for layer, rows in enumerate(_forward(activation, *packed, x[chunk])):
            strips.store(rows, result[layer, chunk])

    parallel.run(work, sample_chunks(len(x), weights.size))
    return result


def final(activation: Activation, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``x^L``, (N, d)."""
    from .._kernels import strips

    result, packed = np.empty(x.shape), _packed(parameters, weights)

    def work(chunk: slice) -> None:
        strips.store(_forward(activation, *packed, x[chunk])[-1], result[chunk])

    parallel.run(work, sample_chunks(len(x), weights.size))
    return result


def evaluate(
    activation: Activation,
    parameters: np.ndarray,
    weights: np.ndarray,
    x: np.ndarray,
    covector: Callable[[np.ndarray, slice], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """``x^L`` (N, d), and G (L, m, p) for the covector p^L that it gives."""
    from .._kernels import resnet, strips

    end, d = np.empty(x.shape), x.shape[1]
    packed, padded = _packed(parameters, weights)
    total = strips.aligned(*packed.shape)
    total[...] = 0.0

    def work(chunk: slice, part: np.ndarray) -> None:
        n, rows = chunk.stop - chunk.start, _forward(activation, packed, padded, x[chunk])
        strips.store(rows[-1], end[chunk])
        back = strips.aligned(d * strips.ROW)
        back[...] = 0.0
        back.reshape(d, strips.ROW)[:, :n] = covector(end[chunk], chunk).T
        resnet.adjoint(activation.code, packed, padded, rows, back, n, part, resnet.workspace(d))

    add_up(work, sample_chunks(len(x), weights.size), total)
    result = np.empty(parameters.shape)
    strips.unpack(total, result)
    return end, result


def _packed(parameters: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (L, blocks, p·BLOCK) and weights (L, blocks, BLOCK), zero where a block has no neuron."""
    from .._kernels import strips

    (depth, m, p), number = parameters.shape, strips.blocks(parameters.shape[1])
    packed, padded = strips.aligned(depth, number, p * strips.BLOCK), np.zeros((depth, number * strips.BLOCK))
    strips.pack(read_only(parameters), packed)
    padded[:, :m] = weights
    return packed, padded.reshape(depth, number, strips.BLOCK)


def _forward(activation: Activation, packed: np.ndarray, padded: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The strips of all states of a chunk of samples, (L + 1, (d + 1)·ROW), the last strip of ones."""
    from .._kernels import resnet, strips

    d = x.shape[1]
    rows = strips.aligned(len(packed) + 1, (d + 1) * strips.ROW)
    strips.load(read_only(x), rows[0])
    rows[0, d * strips.ROW :] = 1.0
    resnet.forward(activation.code, packed, padded, rows, len(x), resnet.workspace(d))
    return rows
