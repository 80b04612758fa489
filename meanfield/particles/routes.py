"""The routes of a convolution of particles, and which one is taken when none is asked for."""

from __future__ import annotations

from enum import Enum

from ..torus import Torus

# Nanoseconds of processor time, measured by ``benchmarks/particle_convolution.py``; only their ratios matter.
PAIR, SUM, IMAGE = 0.6, 0.06, 0.4  # of a pair; of each of its sums; of each exponential of a periodic image
START, ENTRY, POINT = 6e4, 6.0, (27.0, 75.0, 400.0)  # of a transform; of an entry of its grid; of a point by dimension


class Route(Enum):
    """How a sum over pairs of particles is computed."""

    FOURIER = "non-uniform FFT on a torus, O(N + n^d log n)"
    DIRECT = "sum over pairs and periodic images, O(N²), for kernels with a closed form"
    MODES = "sum over particles and modes, O(N n^d), for tests"


def cheapest(torus: Torus, number: int, components: int, images: int) -> Route:
    """The faster of the Fourier and the direct route for a Gaussian and N particles with q components.

    Examples
    --------
    >>> import meanfield as mf
    >>> [cheapest(mf.Torus(129, dim=2), number, 1, images=0).name for number in (300, 3000)]
    ['DIRECT', 'FOURIER']
    """
    pair = PAIR + SUM * components * (1 + torus.dim)
    if images:  # one exponential for all axes otherwise
        pair += IMAGE * torus.dim * (2 * images + 1)
    transform = START + ENTRY * 2**torus.dim * torus.size + POINT[torus.dim - 1] * number
    transforms = 2 * -(-components // 2) + components * -(-torus.dim // 2)  # modes and values; slopes
    return Route.DIRECT if pair * number**2 < transforms * transform else Route.FOURIER
