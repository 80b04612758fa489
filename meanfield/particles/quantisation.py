"""Densities as few atoms, with a bound of what that changes."""

from __future__ import annotations

import math

import numpy as np

from .. import _check
from ..measures import ParticleMeasure, TorusDensity
from .sampling import require_probability


def quantise(density: TorusDensity, most: int = 2000) -> tuple[ParticleMeasure, float]:
    r"""At most ``most`` atoms for a density constant on cells, and a bound of their W₂ to it.

    The cells c, of centres x_c, are gathered in blocks B, equally many on every axis. A block becomes an atom of its
    mass at its centre of mass x̄_B, and spreading the atoms out again is a plan, whose cost is

    .. math:: W_2^2 ≤ \sum_B \sum_{c ∈ B} ρ_c n^{-d} \Big(|x_c - \bar x_B|^2 + \frac{d}{12 n^2}\Big).

    Parameters
    ----------
    density : TorusDensity — of mass 1
    most : int — blocks at most, at least 1; with ``n^d`` or more every cell is one

    Returns
    -------
    particles : ParticleMeasure — on the density's torus; blocks without mass keep an atom of weight zero
    error : float — the bound: W₂ of any measure to the density and to the atoms differ by no more

    Raises
    ------
    ValueError, TypeError
        For something else than a density, one whose mass is not 1, or no atoms.

    Notes
    -----
    O(n^d). The bound falls like ``most^{−1/d}``, to √(d/12)/n. In d = 1 ``wasserstein`` takes the density itself.

    References
    ----------
    Graf and Luschgy (2000), Foundations of Quantization for Probability Distributions, sec. 6.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> atoms, error = quantise(mf.Torus(64, dim=2).density(np.ones((64, 64))), most=100)
    >>> atoms.number, round(error, 6), round((2 / 12) ** 0.5 / 10, 6)
    (100, 0.041186, 0.040825)
    """
    require_probability(density, "quantise")
    most = _check.integer("most", most, "pass a number of atoms", at_least=1)
    n, dim, masses = density.torus.n, density.torus.dim, density.values.ravel() / density.torus.size
    blocks = 1
    while blocks < n and (blocks + 1) ** dim <= most:
        blocks += 1
    part = np.arange(n) * blocks // n  # of an axis; a block is the product of parts
    index = np.zeros(density.torus.shape, dtype=np.int64)
    for axis in range(dim):
        index = index * blocks + part.reshape((n,) + (1,) * (dim - 1 - axis))
    cells, block = density.torus.points.reshape(dim, -1), index.ravel()
    weights = np.bincount(block, masses, blocks**dim)
    shares = np.where(weights > 0, weights, 1.0)
    means = np.stack([np.bincount(block, masses * axis, blocks**dim) for axis in cells], axis=1) / shares[:, None]
    spread = np.square(cells - means[block].T).sum(axis=0) + dim / (12 * n**2)
    return ParticleMeasure(means, weights, density.torus, normalise=True), math.sqrt(float(masses @ spread))
