"""Distances between nearly parallel unit vectors from their differences, compiled; NumPy twin below."""

from __future__ import annotations

import numpy as np

from ._compile import compiled
from .vectors import load, multiply_add, splat, total

LANES = 8


@compiled
def line_gaps(u, v, cosine, near):
    """``|u_j − s v_k|²``, (m, n), for unit rows u (m, d), v (n, d) with products ``cosine``, s their signs.

    It is ``2 − 2|cosine|``, and where that is below ``near`` the sum of squares of the differences.
    """
    m, n = cosine.shape
    dim = u.shape[1]
    first, second = u.reshape(m * dim), v.reshape(n * dim)
    gap = np.empty((m, n))
    for j in range(m):
        for k in range(n):
            c = cosine[j, k]
            rough = 2.0 - 2.0 * abs(c)
            if rough < near:
                sign = 1.0 if c > 0 else -1.0
                lanes, whole = splat(0.0, LANES), dim - dim % LANES
                for a in range(0, whole, LANES):
                    offset = load(first, j * dim + a, LANES) - splat(sign, LANES) * load(second, k * dim + a, LANES)
                    lanes = multiply_add(offset, offset, lanes)
                rough = total(lanes)
                for a in range(whole, dim):
                    rough += (u[j, a] - sign * v[k, a]) ** 2
            gap[j, k] = rough
    return gap


def line_gaps_numpy(u, v, cosine, near):
    """NumPy twin of :func:`line_gaps`."""
    sign = np.where(cosine > 0, 1.0, -1.0)
    differences = u[:, None, :] - sign[:, :, None] * v[None]
    rough = 2.0 - 2.0 * np.abs(cosine)
    return np.where(rough < near, np.sum(differences**2, axis=2), rough)
