"""States and gradients of mean-field residual networks, fused and compiled; NumPy twins below.

One call takes a chunk of at most 256 samples through the whole depth. Neurons are packed rows ``(u, w, b)``,
p = 2d + 1. The states of the chunk are kept, (L + 1) × (d + 1) strips with a last strip of ones for the bias;
activations are computed again on the way back, which is faster than to move L·m·n doubles through memory.
"""

from __future__ import annotations

import numpy as np

from ._compile import compiled
from .activation_functions import FUNCTIONS
from .activations import values, values_and_slopes
from .arithmetic import tail
from .strips import BLOCK, ROW, aligned, padded, unpack_numpy, weigh
from .thin_products import contract, expand, inner


def workspace(dim):
    """The strips that the kernels below work on."""
    return aligned((2 * dim + 2 * BLOCK) * ROW)


@compiled
def forward(code, packed, weights, states, n, work):
    """``x^{l+1} = x^l + (1/L) Σ_j weights[l, j] u_j σ(w_j·x^l + b_j)``, from ``states[0]`` through all layers.

    packed (L, blocks, p·BLOCK), weights (L, blocks, BLOCK), states (L + 1, (d + 1)·ROW), n samples.
    """
    depth, blocks, size = packed.shape
    d = (size // BLOCK - 1) // 2
    u, z = work[d * ROW : 2 * d * ROW], work[2 * d * ROW : (2 * d + BLOCK) * ROW]
    for layer in range(depth):
        x, new = states[layer], states[layer + 1]
        new[:] = x
        for block in range(layer * blocks, (layer + 1) * blocks):
            parameters = tail(packed, block * size)
            weigh(parameters, d, tail(weights, block * BLOCK), 1.0 / depth, u)
            expand(tail(parameters, d * BLOCK), d + 1, x, z, padded(n))
            values(code, z, padded(n))
            contract(u, d, z, new, padded(n))


def forward_numpy(code, packed, weights, states, n, work):
    """NumPy twin of :func:`forward`."""
    depth, d, rows = _plain(packed, states, n)
    for layer in range(depth):
        u, w = _neurons(packed[layer], d)
        value = FUNCTIONS[code].value(w @ rows[layer])
        rows[layer + 1] = rows[layer]
        rows[layer + 1, :d] += (weights[layer].reshape(-1, 1) * u).T @ value / depth


@compiled
def adjoint(code, packed, weights, states, covector, n, result, work):
    """Gradient ``result[l, j] += Σ_i D_θ[u_j σ(w_j·x_i + b_j)]ᵀ p_i^{l+1}``, packed too; weight and 1/L are left out.

    ``covector`` holds the strips of p^L, zero beyond the samples, and becomes p^0:
    ``p^l = p^{l+1} + (1/L) Σ_j weights[l, j] (u_j·p^{l+1}) σ'(w_j·x^l + b_j) w_j``.
    Each entry of ``result`` is added to once: chunks that share it in turn, or have each their own, summed in the same
    order, give the same bits.
    """
    depth, blocks, size = packed.shape
    d = (size // BLOCK - 1) // 2
    old, w = work[: d * ROW], work[d * ROW : 2 * d * ROW]
    z, q = work[2 * d * ROW : (2 * d + BLOCK) * ROW], work[(2 * d + BLOCK) * ROW :]
    for layer in range(depth - 1, -1, -1):
        x = states[layer]
        old[:] = covector
        for block in range(layer * blocks, (layer + 1) * blocks):
            parameters, out = tail(packed, block * size), tail(result, block * size)
            expand(tail(parameters, d * BLOCK), d + 1, x, z, padded(n))
            expand(parameters, d, old, q, padded(n))
            values_and_slopes(code, z, q, padded(n))
            inner(z, old, d, padded(n), out)
            inner(q, x, d + 1, padded(n), tail(out, d * BLOCK))
            weigh(tail(parameters, d * BLOCK), d, tail(weights, block * BLOCK), 1.0 / depth, w)
            contract(w, d, q, covector, padded(n))


def adjoint_numpy(code, packed, weights, states, covector, n, result, work):
    """NumPy twin of :func:`adjoint`."""
    depth, d, rows = _plain(packed, states, n)
    back = covector.reshape(d, ROW)[:, :n]
    for layer in range(depth - 1, -1, -1):
        u, w = _neurons(packed[layer], d)
        hidden = w @ rows[layer]
        force = (u @ back) * FUNCTIONS[code].derivative(hidden)
        gradient = np.hstack([FUNCTIONS[code].value(hidden) @ back.T, force @ rows[layer].T])
        result[layer] += gradient.reshape(-1, BLOCK, 2 * d + 1).transpose(0, 2, 1).reshape(result[layer].shape)
        back += (weights[layer].reshape(-1, 1) * w[:, :d]).T @ force / depth


def _plain(packed, states, n):
    """L, d and the states of n samples as (L + 1, d + 1, n)."""
    d = (packed.shape[2] // BLOCK - 1) // 2
    return len(packed), d, states.reshape(len(states), d + 1, ROW)[:, :, :n]


def _neurons(packed, d):
    """u (m, d) and (w, b) (m, d + 1) of a layer, m a multiple of BLOCK."""
    parameters = np.empty((len(packed) * BLOCK, 2 * d + 1))
    unpack_numpy(packed[None], parameters[None])
    return parameters[:, :d], parameters[:, d:]
