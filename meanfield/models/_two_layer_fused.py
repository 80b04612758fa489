"""Two-layer networks through the fused kernels: samples split over threads for outputs, neurons for gradients.

Either way each thread writes its own part of the result, and nothing is summed over threads.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from .. import parallel
from ._chunks import SAMPLES, read_only
from .activations import Activation


def outputs(activation: Activation, parameters: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``h(μ, x_i)``, (N,)."""
    return _outputs(activation, _packed(parameters), weights, x)


def gradient(activation: Activation, parameters: np.ndarray, x: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """``Σ_i r_i ∇φ(θ_j, x_i)``, (m, p)."""
    return _gradient(activation, _packed(parameters), len(parameters), x, residual)


def evaluate(
    activation: Activation,
    parameters: np.ndarray,
    weights: np.ndarray,
    x: np.ndarray,
    residual: Callable[[np.ndarray, slice], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs h (N,), and the gradient (m, p) for the residual that they give."""
    packed = _packed(parameters)
    h = _outputs(activation, packed, weights, x)
    return h, _gradient(activation, packed, len(parameters), x, residual(h, slice(None)))


def _packed(parameters: np.ndarray) -> np.ndarray:
    from .._kernels import strips

    m, p = parameters.shape
    packed = strips.aligned(strips.blocks(m), p * strips.BLOCK)
    strips.pack(read_only(parameters[None]), packed[None])
    return read_only(packed)


def _outputs(activation: Activation, packed: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    from .._kernels import strips, two_layer

    padded = np.zeros((len(packed), strips.BLOCK))
    padded.reshape(-1)[: len(weights)] = weights
    x, result = read_only(x), np.empty(len(x))
    tiles = -(-len(x) // SAMPLES)
    edges = [min(piece.start * SAMPLES, len(x)) for piece in _pieces(tiles, packed, x)] + [len(x)]

    def work(piece: tuple[int, int]) -> None:
        a, b = piece
        space = two_layer.workspace(packed.shape[1] // strips.BLOCK - 1)
        two_layer.outputs(activation.code, packed, padded, x[a:b], result[a:b], space)

    parallel.run(work, list(pairwise(edges)))
    return result


def _gradient(activation: Activation, packed: np.ndarray, m: int, x: np.ndarray, residual: np.ndarray) -> np.ndarray:
    from .._kernels import strips, two_layer

    x, residual, part = read_only(x), read_only(residual), strips.aligned(*packed.shape)

    def work(piece: slice) -> None:
        space = two_layer.workspace(packed.shape[1] // strips.BLOCK - 1)
        two_layer.gradient(activation.code, packed[piece], x, residual, part[piece], space)

    parallel.run(work, _pieces(len(packed), packed, x))
    result = np.empty((m, packed.shape[1] // strips.BLOCK))
    strips.unpack(part[None], result[None])
    return result


def _pieces(length: int, packed: np.ndarray, x: np.ndarray) -> list[slice]:
    """``range(length)``, of tiles or blocks, cut by the work there is: neurons × samples."""
    from .._kernels import strips

    return parallel.chunks(length, len(packed) * strips.BLOCK * len(x))
