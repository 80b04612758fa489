"""The sliced Wasserstein distance: one-dimensional distances of projections on stored directions."""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Any

import numpy as np

from .. import _check, parallel
from ..measures import ParticleMeasure
from .plans import check_clouds, cloud
from .wasserstein import line_between

_FRAMES = 32


def sliced_wasserstein(mu: ParticleMeasure, nu: ParticleMeasure, *, directions: Any = None) -> float:
    r"""The root mean square of W₂ between projections of two clouds in R^d on fixed directions.

    .. math:: SW_2^2(μ, ν) = \frac1K \sum_k W_2^2(θ_k·μ, θ_k·ν), \quad |θ_k| = 1.

    Parameters
    ----------
    mu, nu : ParticleMeasure
        Clouds in R^d.
    directions : (K, d) float or None
        Unit vectors θ_k; by default the stored ``default_directions(d)``, 32 d of them (1 in d = 1).

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        For other states, clouds on a torus or of different dimension, directions that are not unit vectors.

    Notes
    -----
    Exact for the given directions: a pseudo-distance, the same at every call, that does not tell apart clouds with the
    same projections. The default ones are orthonormal frames, so that SW₂² ≤ W₂²/d, with equality for a translate. As
    an estimate of the mean over the whole sphere its error is that of 32 frames. Cost O(K N log N); threads over
    directions.

    References
    ----------
    Rabin, Peyré, Delon and Bernot (2012), Wasserstein barycenter and its application to texture mixing.

    Examples
    --------
    >>> mu = ParticleMeasure([[0.0, 0.0], [1.0, 2.0]])
    >>> nu = ParticleMeasure([[3.0, 4.0], [4.0, 6.0]])
    >>> round(sliced_wasserstein(mu, nu) * math.sqrt(2), 12)
    5.0
    """
    check_clouds(mu, nu)
    if mu.torus is not None:
        raise _check.fail("clouds to be sliced must be in R^d", f"T^{mu.dim}", "use wasserstein: a torus has no slices")
    if directions is None:
        directions = default_directions(mu.dim)
    else:
        directions = _check.array("directions", directions, f"pass unit vectors as rows (K, {mu.dim})")
        if directions.ndim != 2 or directions.shape[1] != mu.dim or not len(directions):
            rule = f"directions must have shape (K, {mu.dim}), K >= 1"
            raise _check.fail(rule, f"shape {directions.shape}", "stack them as rows")
        lengths = np.linalg.norm(directions, axis=1)
        worst = float(lengths[np.abs(lengths - 1).argmax()])
        if abs(worst - 1) > 1e-12:
            raise _check.fail("directions must be unit vectors", f"length {worst:.15g}", "divide by their lengths")
    squares = parallel.run(partial(_square, mu, nu), directions)
    return math.sqrt(sum(squares) / len(squares))


def _square(mu: ParticleMeasure, nu: ParticleMeasure, direction: np.ndarray) -> float:
    """W₂² of the projections. Not by BLAS, whose bits depend on its threads."""
    (x, a), (y, b) = cloud(mu), cloud(nu)
    return line_between(np.einsum("ia,a->i", x, direction), a, np.einsum("ia,a->i", y, direction), b) ** 2


@cache
def default_directions(dim: int) -> np.ndarray:
    """The stored directions in R^d, (32 d, d): 32 orthonormal frames, equally spaced for d = 2; (1, 1) for d = 1.

    In d ≥ 3 the frames are random with a fixed seed, from bits that no release of NumPy changes.

    Examples
    --------
    >>> default_directions(3).shape
    (96, 3)
    """
    dim = _check.integer("dim", dim, "pass the dimension of the clouds", at_least=1)
    if dim == 1:
        directions = np.ones((1, 1))
    elif dim == 2:
        angles = np.pi * (np.arange(2 * _FRAMES) + 0.5) / (2 * _FRAMES)
        directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    else:
        from scipy.special import ndtri

        bits = np.random.PCG64(0).random_raw(_FRAMES * dim * dim)
        normal = ndtri(((bits >> 11) + 0.5) / 2.0**53).reshape(_FRAMES, dim, dim)
        directions = np.linalg.qr(normal)[0].reshape(-1, dim)
    directions.setflags(write=False)
    return directions
