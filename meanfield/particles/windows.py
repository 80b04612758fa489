r"""Windows of the non-uniform Fourier transform: which one a tolerance needs, its table and its Fourier transform."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .. import _check

QUADRATURE = 64  # points of the Gauss–Legendre rule for a window's Fourier transform: exact to rounding
SHARPNESS = 0.98  # of the largest exponent that keeps the aliases of the highest mode outside the main lobe


@dataclass(frozen=True)
class Family:
    """A width and an oversampling, and what they were measured to deliver (see ``tests/particles/test_windows.py``).

    ``value_error`` bounds the relative error of a single mode; ``slope_error`` times the number of cells that of its
    derivative: differentiating the window raises aliases of a low mode by the ratio of the frequencies.
    """

    width: int
    oversampling: float
    terms: int
    value_error: float
    slope_error: float


ROOM = 4  # two transforms, and errors that add over the axes
FAMILIES = (
    Family(width=8, oversampling=2.0, terms=5, value_error=5e-7, slope_error=5e-8),
    Family(width=12, oversampling=2.0, terms=6, value_error=2e-10, slope_error=5e-12),
    Family(width=14, oversampling=1.75, terms=7, value_error=3e-11, slope_error=3e-13),
    Family(width=16, oversampling=2.0, terms=8, value_error=1e-13, slope_error=7e-16),
)


@dataclass(frozen=True, eq=False)
class Window:
    r"""The window ``φ(z) = r I_1(βr) / I_1(β)``, ``r² = 1 − (2z/w)²``, on cells of a grid finer than the torus's.

    Against the window of Kaiser and Bessel, ``I_0(βr)``, it vanishes at its ends, which makes the aliases of its
    derivative ten times smaller.

    Parameters
    ----------
    width : int — w, cells it covers
    cells : int — cells an axis
    table : (2, PARTS, terms, lanes) float — φ and φ' on parts of a cell (see ``_kernels.nonuniform``)
    correction : (2K+1,) complex — ``e^{2πikh/cells} / φ̂(k)`` in FFT order, h the shift of the padded grid

    References
    ----------
    Barnett, Magland and af Klinteberg (2019), SIAM J. Sci. Comput. 41, for windows and error estimates.
    """

    width: int
    cells: int
    table: np.ndarray
    correction: np.ndarray


def choose(n: int, tolerance: float) -> Window:
    """The cheapest window that carries the modes ``|k| ≤ (n−1)//2`` to the tolerance.

    Raises
    ------
    ValueError
        If no window does: values and derivatives in double precision cannot be that accurate.
    """
    for family in FAMILIES:
        reached = ROOM * max(family.value_error, family.slope_error * family.oversampling * n)
        if reached <= tolerance:
            return build(n, family)
    raise _check.fail(
        f"a tolerance on {n} points per axis must be at least {reached:.1g}", repr(tolerance), "raise it or take fewer"
    )


@lru_cache(maxsize=16)
def build(n: int, family: Family) -> Window:
    """The window of a family for a torus of n points an axis."""
    from scipy.fft import next_fast_len

    from .._kernels.nonuniform import PARTS, lanes_of

    width, lanes = family.width, lanes_of(family.width)
    cells = next_fast_len(max(math.ceil(family.oversampling * n), lanes), real=True)
    beta = SHARPNESS * math.pi * width * (1 - n / (2 * cells))
    # Polynomials through Chebyshev points of each part; entry r of a window lies at z = offset + w/2 − 1 − r.
    t = 0.5 + 0.5 * np.cos(np.pi * (np.arange(family.terms) + 0.5) / family.terms)
    z = (np.arange(PARTS)[:, None, None] + t[:, None]) / PARTS + width / 2 - 1 - np.arange(width)
    table = np.zeros((2, PARTS, family.terms, lanes))
    table[..., :width] = np.linalg.solve(np.vander(t), np.stack(profile(z, width, beta)))
    k = np.fft.ifftshift(np.arange(-((n - 1) // 2), (n - 1) // 2 + 1))
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE)
    z = nodes * width / 2
    transform = np.cos(2 * np.pi / cells * np.outer(k, z)) @ (weights * width / 2 * profile(z, width, beta)[0])
    correction = np.exp(2j * np.pi * k * (width // 2 - 1) / cells) / transform
    for array in (table, correction):
        array.flags.writeable = False
    return Window(width, cells, table, correction)


def profile(z: np.ndarray, width: int, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """φ and φ' at z, 0 outside the support."""
    from scipy.special import ive  # I_ν(x) e^{−x}

    y = 2 * z / width
    r = np.sqrt(np.maximum(1 - y * y, 0.0))
    size = np.exp(beta * (r - 1)) / ive(1, beta)
    inside = np.abs(y) < 1
    value = np.where(inside, r * ive(1, beta * r) * size, 0.0)
    slope = np.where(inside, -2 / width * beta * y * ive(0, beta * r) * size, 0.0)
    return value, slope
