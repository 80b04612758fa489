"""Outputs and gradients of two-layer networks, fused and compiled; NumPy twins below.

Neurons are packed rows ``(a, w[, b])``; ``inputs`` is d, or d + 1 with a bias, whose input is a strip of ones. Each
value of an activation is computed where it is used and never stored: memory is one tile of samples, whatever m and N.
"""

from __future__ import annotations

import numpy as np

from ._compile import compiled
from .activation_functions import FUNCTIONS
from .activations import values, values_and_slopes
from .arithmetic import tail
from .strips import BLOCK, ROW, SAMPLES, aligned, load, padded, unpack_numpy, weigh
from .thin_products import contract, expand, inner


def workspace(inputs):
    """The strips that the kernels below work on."""
    return aligned((inputs + 2 + 2 * BLOCK) * ROW)


@compiled
def _load_inputs(points, inputs, strips):
    load(points, strips)
    if inputs > points.shape[1]:
        strips[(inputs - 1) * ROW : inputs * ROW] = 1.0


@compiled
def outputs(code, packed, weights, points, result, work):
    """``result[i] = Σ_j weights[j] a_j σ(w_j·x_i + b_j)``; packed (blocks, p·BLOCK), weights (blocks, BLOCK)."""
    inputs = packed.shape[1] // BLOCK - 1
    single = packed.shape[1] // BLOCK - inputs  # a literal 1 would be a type of its own, and compile the products twice
    x, h = work[: inputs * ROW], work[inputs * ROW : (inputs + 1) * ROW]
    z = work[(inputs + 1) * ROW : (inputs + 1 + BLOCK) * ROW]
    a = work[(inputs + 1 + 2 * BLOCK) * ROW :]
    for start in range(0, points.shape[0], SAMPLES):
        tile = points[start : start + SAMPLES]
        n = padded(tile.shape[0])
        _load_inputs(tile, inputs, x)
        h[:] = 0.0
        for block in range(packed.shape[0]):
            parameters = tail(packed, block * packed.shape[1])
            weigh(parameters, single, tail(weights, block * BLOCK), 1.0, a)
            expand(tail(parameters, BLOCK), inputs, x, z, n)
            values(code, z, n)
            contract(a, single, z, h, n)
        result[start : start + tile.shape[0]] = h[: tile.shape[0]]


def outputs_numpy(code, packed, weights, points, result, work):
    """NumPy twin of :func:`outputs`."""
    parameters, inputs = _plain(packed, points)
    result[...] = FUNCTIONS[code].value(inputs @ parameters[:, 1:].T) @ (weights.ravel() * parameters[:, 0])


@compiled
def gradient(code, packed, points, residual, result, work):
    """``result[j] = Σ_i residual[i] ∇_{(a, w, b)} a_j σ(w_j·x_i + b_j)``, packed too; a neuron's weight is left out."""
    inputs = packed.shape[1] // BLOCK - 1
    single = packed.shape[1] // BLOCK - inputs  # a literal 1 would be a type of its own, and compile the products twice
    x, r = work[: inputs * ROW], work[inputs * ROW : (inputs + 1) * ROW]
    z = work[(inputs + 1) * ROW : (inputs + 1 + BLOCK) * ROW]
    q = work[(inputs + 1 + BLOCK) * ROW : (inputs + 1 + 2 * BLOCK) * ROW]
    result[:] = 0.0
    for start in range(0, points.shape[0], SAMPLES):
        tile = points[start : start + SAMPLES]
        n = padded(tile.shape[0])
        _load_inputs(tile, inputs, x)
        r[: tile.shape[0]] = residual[start : start + tile.shape[0]]
        r[tile.shape[0] :] = 0.0
        for block in range(packed.shape[0]):
            parameters, out = tail(packed, block * packed.shape[1]), tail(result, block * packed.shape[1])
            expand(tail(parameters, BLOCK), inputs, x, z, n)
            expand(parameters, single, r, q, n)
            values_and_slopes(code, z, q, n)
            inner(z, r, single, n, out)
            inner(q, x, inputs, n, tail(out, BLOCK))


def gradient_numpy(code, packed, points, residual, result, work):
    """NumPy twin of :func:`gradient`."""
    parameters, inputs = _plain(packed, points)
    hidden = inputs @ parameters[:, 1:].T
    force = residual[:, None] * FUNCTIONS[code].derivative(hidden) * parameters[:, 0]
    rows = np.column_stack([residual @ FUNCTIONS[code].value(hidden), force.T @ inputs])
    result[...] = rows.reshape(len(packed), BLOCK, -1).transpose(0, 2, 1).reshape(packed.shape)


def _plain(packed, points):
    """Parameters as rows, and the points with a column of ones where the parameters hold a bias."""
    parameters = np.empty((len(packed) * BLOCK, packed.shape[1] // BLOCK))
    unpack_numpy(packed[None], parameters[None])
    ones = np.ones((len(points), parameters.shape[1] - 1 - points.shape[1]))
    return parameters, np.concatenate([points, ones], axis=1)
