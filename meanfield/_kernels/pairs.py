"""Sums over pairs of particles, value and gradient in one pass, compiled; NumPy twins below.

A kernel is given as ``K = P(t) e^{−t}``, ``∇K = Q(t) e^{−t} (x − y)``, with t a multiple of ``|x − y|`` or its square,
or is a Gaussian on the unit torus. Targets are columns (d, n), n a multiple of ``LANES``: that many are one vector.
Sources come in blocks, whose kernel values are kept for all components of the strengths. Every target adds its sources
in their order, so that targets may be spread over threads in any way.
"""

from __future__ import annotations

import numpy as np

from ._compile import compiled
from .vector_math import exp
from .vectors import larger, load, multiply_add, nearest, splat, square_root, store

LANES = 32  # four registers of AVX-512: sums of products wait for one another less
BLOCK = 32  # sources at a time
TINY = 1e-150  # the least t a reciprocal is taken of
FARTHEST = 708.0  # the greatest t: beyond, e^{−t} is nothing, but a polynomial in t may overflow


@compiled
def add_block(kernel, slopes, strengths, first, last, column, value, gradient):
    """Add a block of sources to a vector of targets: ``value_c += Σ_j K_j b_jc``, ``gradient_ca += Σ_j G_aj b_jc``."""
    (components, dim, n) = gradient.shape
    values, gradients = value.reshape(value.size), gradient.reshape(gradient.size)
    for c in range(components):
        part = splat(0.0, LANES)
        for j in range(last - first):
            part = multiply_add(load(kernel, j * LANES, LANES), splat(strengths[first + j, c], LANES), part)
        place = c * n + column
        store(values, place, load(values, place, LANES) + part)
        for a in range(dim):
            part = splat(0.0, LANES)
            for j in range(last - first):
                slope = load(slopes, (a * BLOCK + j) * LANES, LANES)
                part = multiply_add(slope, splat(strengths[first + j, c], LANES), part)
            place = (c * dim + a) * n + column
            store(gradients, place, load(gradients, place, LANES) + part)


def add_block_numpy(kernel, slopes, strengths, first, last, column, value, gradient):
    """NumPy twin of :func:`add_block`."""
    b, (_, dim, _) = strengths[first:last], gradient.shape
    values = kernel.reshape(BLOCK, LANES)[: last - first]
    derivatives = slopes.reshape(dim, BLOCK, LANES)[:, : last - first]
    value[:, column : column + LANES] += b.T @ values
    gradient[:, :, column : column + LANES] += np.einsum("jc,ajl->cal", b, derivatives)


@compiled
def radial_pairs(targets, sources, strengths, rate, squared, inverse, value_form, slope_form, value, gradient):
    """Add ``Σ_j K(x_i − y_j) b_jc`` to value (q, n) and its gradient in x_i to gradient (q, d, n), on R^d.

    ``t = rate·|x − y|``, or ``rate·|x − y|²`` if ``squared``; ``K = P(t) e^{−t}``, ``∇K = Q(t) e^{−t} (x − y)``, and
    ``Q(t)/t`` for Q(t) if ``inverse``, with gradient 0 where x = y. The forms hold coefficients, the highest first.
    """
    dim, n = targets.shape
    points = targets.reshape(targets.size)
    kernel, slopes = np.empty(BLOCK * LANES), np.empty(dim * BLOCK * LANES)
    for column in range(0, n, LANES):
        for first in range(0, sources.shape[0], BLOCK):
            last = min(first + BLOCK, sources.shape[0])
            for j in range(last - first):
                distance = splat(0.0, LANES)
                for a in range(dim):
                    offset = load(points, a * n + column, LANES) - splat(sources[first + j, a], LANES)
                    store(slopes, (a * BLOCK + j) * LANES, offset)
                    distance = multiply_add(offset, offset, distance)
                t = (distance if squared else square_root(distance)) * splat(-rate, LANES)
                t = larger(t, splat(-FARTHEST, LANES))
                decay = exp(t)
                t = splat(0.0, LANES) - t
                p, q = splat(value_form[0], LANES), splat(slope_form[0], LANES)
                for m in range(1, value_form.size):
                    p = multiply_add(p, t, splat(value_form[m], LANES))
                for m in range(1, slope_form.size):
                    q = multiply_add(q, t, splat(slope_form[m], LANES))
                if inverse:
                    q = q / larger(t, splat(TINY, LANES))
                store(kernel, j * LANES, p * decay)
                q = q * decay
                for a in range(dim):
                    place = (a * BLOCK + j) * LANES
                    store(slopes, place, load(slopes, place, LANES) * q)
            add_block(kernel, slopes, strengths, first, last, column, value, gradient)


def radial_pairs_numpy(targets, sources, strengths, rate, squared, inverse, value_form, slope_form, value, gradient):
    """NumPy twin of :func:`radial_pairs`."""
    offset = targets[:, :, None] - sources.T[:, None, :]
    distance = np.sum(offset**2, axis=0)
    t = np.minimum(rate * (distance if squared else np.sqrt(distance)), FARTHEST)
    slope = np.polyval(slope_form, t) / (np.maximum(t, TINY) if inverse else 1.0)
    value += ((np.polyval(value_form, t) * np.exp(-t)) @ strengths).T
    gradient += np.einsum("ij,aij,jc->cai", slope * np.exp(-t), offset, strengths)


@compiled
def periodic_pairs(targets, sources, strengths, rate, images, value, gradient):
    """As :func:`radial_pairs` for the Gaussian of the unit torus, ``K(x) = Π_a Σ_m e^{−rate (x_a + m)²}``.

    The sum is over the images ``|m| ≤ images`` of the offset nearest to zero.
    """
    dim, n = targets.shape
    points = targets.reshape(targets.size)
    kernel, slopes = np.empty(BLOCK * LANES), np.empty(dim * BLOCK * LANES)
    zero, scale, slope_scale = splat(0.0, LANES), splat(-rate, LANES), splat(-2.0 * rate, LANES)
    for column in range(0, n, LANES):
        for first in range(0, sources.shape[0], BLOCK):
            last = min(first + BLOCK, sources.shape[0])
            for j in range(last - first):
                product, distance = splat(1.0, LANES), zero
                for a in range(dim):
                    offset = load(points, a * n + column, LANES) - splat(sources[first + j, a], LANES)
                    offset = offset - nearest(offset)
                    if images == 0:  # one exponential for all axes
                        distance = multiply_add(offset, offset, distance)
                        logarithmic = offset * slope_scale
                    else:
                        factor, slope = zero, zero
                        for m in range(-images, images + 1):
                            image = offset + splat(float(m), LANES)
                            term = exp(image * image * scale)
                            factor = factor + term
                            slope = multiply_add(image, term, slope)
                        product = product * factor
                        logarithmic = slope * slope_scale / factor
                    store(slopes, (a * BLOCK + j) * LANES, logarithmic)
                if images == 0:
                    product = exp(distance * scale)
                store(kernel, j * LANES, product)
                for a in range(dim):
                    place = (a * BLOCK + j) * LANES
                    store(slopes, place, load(slopes, place, LANES) * product)
            add_block(kernel, slopes, strengths, first, last, column, value, gradient)


def periodic_pairs_numpy(targets, sources, strengths, rate, images, value, gradient):
    """NumPy twin of :func:`periodic_pairs`."""
    offset = targets[:, :, None] - sources.T[:, None, :]
    offset -= np.round(offset)
    shifted = offset[..., None] + np.arange(-images, images + 1)
    terms = np.exp(-rate * shifted**2)
    factors, slopes = terms.sum(axis=-1), -2 * rate * np.sum(shifted * terms, axis=-1)
    kernel = np.prod(factors, axis=0)
    value += (kernel @ strengths).T
    gradient += np.einsum("aij,jc->cai", slopes / factors * kernel, strengths)
