"""Spreading of points on a periodic grid, its transpose, and the order to visit them in, compiled; NumPy twins below.

A point at x, in units of cells, meets the ``width`` grid points nearest to it on every axis, with weights ``φ(x − l)``
of a window φ. Grids are padded, (n + lanes) entries an axis: the window of a point in cell i covers the entries i …
i + width − 1, so nothing wraps in the loops. The last axis is read in vectors of ``lanes`` entries, with weight zero
beyond the width. A table (2, PARTS, terms, lanes) holds φ and φ' on parts of a cell as polynomials of the offset in
the part, highest power first. The factories return one function for each width and dimension: loops of fixed length.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba.extending import register_jitable

from ._compile import compiled
from .vectors import load, multiply_add, splat, store, total

PARTS = 16  # of a cell


def lanes_of(width: int) -> int:
    """Entries of the last axis read at a time: 8 or 16, at least the width."""
    return 8 if width <= 8 else 16


@register_jitable
def locate(x, cells):
    """The cell of a position on the unit circle, the part of the cell, and the offset in the part, in [0, 1)."""
    u = (x - np.floor(x)) * cells
    cell = int(u)  # = cells where x − floor(x) rounds to 1: the padding takes it
    u = (u - cell) * PARTS
    part = int(u)
    return cell, part, u - part


@register_jitable
def horner(table, start, length, lanes, offset, out, place):
    """``out[place:place+lanes]``: the polynomials ``table[start:start+length]`` at ``offset``, a vector."""
    weights = load(table, start, offset)
    for i in range(start + lanes, start + length, lanes):
        weights = multiply_add(weights, offset, load(table, i, offset))
    store(out, place, weights)


@cache
def make_spread(width: int, dim: int):
    """The function ``spread(x, b, table, cells, grid)``: add ``b_pc φ(x_p − l)`` to entry l of padded grid c.

    x (N, dim) float, any representatives; b (N, q); grid (q, side, …, side) with side = cells + lanes.
    """
    lanes = lanes_of(width)
    planes, rows = width if dim == 3 else 1, width if dim > 1 else 1

    @compiled
    def spread(x, b, table, cells, grid):
        side, coefficients, entries = cells + lanes, table.reshape(table.size), grid.reshape(grid.size)
        length, size = table.shape[2] * lanes, side**dim
        window = np.ones(3 * lanes)  # weights of the three axes; 1 for axes that are not there
        for p in range(x.shape[0]):
            corner = 0
            for a in range(dim):
                cell, part, offset = locate(x[p, a], cells)
                horner(coefficients, part * length, length, lanes, splat(offset, lanes), window, (3 - dim + a) * lanes)
                corner = corner * side + cell
            for c in range(b.shape[1]):
                last = load(window, 2 * lanes, lanes) * splat(b[p, c], lanes)
                for i in range(planes):
                    for j in range(rows):
                        place = c * size + corner + (i * side + j) * side
                        weight = splat(window[i] * window[lanes + j], lanes)
                        store(entries, place, multiply_add(weight, last, load(entries, place, lanes)))

    return spread


@cache
def make_gather(width: int, dim: int):
    """The function ``gather(x, table, cells, grid, value, gradient)``: ``Σ_l φ(x_p − l) grid_c[l]``, and its gradient.

    x (N, dim) float, any representatives; grid (q, side, …, side); value (N, q) and gradient (N, q, dim) are written.
    The gradient is in units of cells: that of a function of x on the unit torus is ``cells`` times it.
    """
    lanes = lanes_of(width)
    planes, rows = width if dim == 3 else 1, width if dim > 1 else 1

    @compiled
    def gather(x, table, cells, grid, value, gradient):
        side, coefficients, entries = cells + lanes, table.reshape(table.size), grid.reshape(grid.size)
        length, size = table.shape[2] * lanes, side**dim
        window, slopes = np.ones(3 * lanes), np.zeros(3 * lanes)  # φ and φ' on the three axes
        for p in range(x.shape[0]):
            corner = 0
            for a in range(dim):
                cell, part, offset = locate(x[p, a], cells)
                t, place = splat(offset, lanes), (3 - dim + a) * lanes
                horner(coefficients, part * length, length, lanes, t, window, place)
                horner(coefficients, (PARTS + part) * length, length, lanes, t, slopes, place)
                corner = corner * side + cell
            last, last_slope = load(window, 2 * lanes, lanes), load(slopes, 2 * lanes, lanes)
            for c in range(value.shape[1]):
                plain = splat(0.0, lanes)  # sums over the first two axes: φφ, φφ', φ'φ
                second, first = plain, plain
                for i in range(planes):
                    plane, plane_slope = splat(0.0, lanes), splat(0.0, lanes)
                    for j in range(rows):
                        row = load(entries, c * size + corner + (i * side + j) * side, lanes)
                        plane = multiply_add(splat(window[lanes + j], lanes), row, plane)
                        if dim > 1:
                            plane_slope = multiply_add(splat(slopes[lanes + j], lanes), row, plane_slope)
                    plain = multiply_add(splat(window[i], lanes), plane, plain)
                    if dim > 1:
                        second = multiply_add(splat(window[i], lanes), plane_slope, second)
                    if dim > 2:
                        first = multiply_add(splat(slopes[i], lanes), plane, first)
                value[p, c] = total(plain * last)
                gradient[p, c, dim - 1] = total(plain * last_slope)
                if dim > 1:
                    gradient[p, c, dim - 2] = total(second * last)
                if dim > 2:
                    gradient[p, c, 0] = total(first * last)

    return gather


@compiled
def order_by_box(x, boxes, order):
    """``order`` lists the points box by box, ``boxes`` boxes an axis on the unit torus, a stable counting sort."""
    n, dim = x.shape
    box, start = np.empty(n, dtype=np.int64), np.zeros(boxes**dim + 1, dtype=np.int64)
    for p in range(n):
        number = 0
        for a in range(dim):
            number = number * boxes + min(int((x[p, a] - np.floor(x[p, a])) * boxes), boxes - 1)
        box[p] = number
        start[number + 1] += 1
    for i in range(1, start.size):
        start[i] += start[i - 1]
    for p in range(n):
        order[start[box[p]]] = p
        start[box[p]] += 1


def order_by_box_numpy(x, boxes, order):
    """NumPy twin of :func:`order_by_box`."""
    cell = np.minimum(((x - np.floor(x)) * boxes).astype(int), boxes - 1)
    order[:] = np.argsort(cell @ boxes ** np.arange(x.shape[1] - 1, -1, -1), kind="stable")


def windows_numpy(x, table, cells):
    """Entries (N, dim, lanes) that a point meets on each axis, their weights φ, and φ' (the twins' common part)."""
    u = (x - np.floor(x)) * cells
    cell = u.astype(int)
    part = ((u - cell) * PARTS).astype(int)
    offset = (u - cell) * PARTS - part
    powers = offset[..., None] ** np.arange(table.shape[2] - 1, -1, -1)
    weights, slopes = np.einsum("iNatl,Nat->iNal", table[:, part], powers)
    return cell[..., None] + np.arange(table.shape[3]), weights, slopes


def spread_numpy(x, b, table, cells, grid):
    """NumPy twin of the functions of :func:`make_spread`."""
    places, weights, _ = windows_numpy(x, table, cells)
    for place, weight, strength in zip(places, weights, b, strict=True):
        outer = weight[0]
        for axis in weight[1:]:
            outer = np.multiply.outer(outer, axis)
        grid[(slice(None), *np.ix_(*place))] += np.multiply.outer(strength, outer)


def gather_numpy(x, table, cells, grid, value, gradient):
    """NumPy twin of the functions of :func:`make_gather`."""
    places, weights, slopes = windows_numpy(x, table, cells)
    for p, place in enumerate(places):
        near = grid[(slice(None), *np.ix_(*place))]
        for derived in (None, *range(x.shape[1])):
            result = near
            for a in reversed(range(x.shape[1])):
                result = result @ (slopes if a == derived else weights)[p, a]
            if derived is None:
                value[p] = result
            else:
                gradient[p, :, derived] = result
