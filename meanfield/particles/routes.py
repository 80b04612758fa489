"""The routes of a convolution of particles, and which one is taken when none is asked for."""

from __future__ import annotations

from enum import Enum

from ..torus import Torus


class Route(Enum):
    """How a sum over pairs of particles is computed."""

    FOURIER = "non-uniform FFT on the torus, O(N + n^d log n)"
    DIRECT = "sum over pairs and periodic images, O(N²), for kernels with a closed form"
    MODES = "sum over particles and modes, O(N n^d), for tests"


def cheapest(torus: Torus, number: int, images: int) -> Route:
    """The faster of the Fourier and the direct route for a Gaussian."""
    return Route.DIRECT if number < 1000 else Route.FOURIER
