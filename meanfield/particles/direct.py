r"""Sums over all pairs of particles, and over all particles and modes: what the fast route is compared with."""

from __future__ import annotations

import math

import numpy as np

from .. import parallel
from ..torus import GaussianKernel, RadialForm, Torus

TARGETS = 1024  # of a chunk at most, so that threads share evenly
ENTRIES = 2**21  # of a matrix of phases


def radial(form: RadialForm, x: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``Σ_j K(x_i − x_j) b_j`` and its gradient on R^d, (N, q) and (N, q, d)."""
    from .._kernels.pairs import radial_pairs

    value_form, slope_form = (np.array(c, dtype=float) for c in (form.value, form.slope))

    def pairs(targets: np.ndarray, value: np.ndarray, gradient: np.ndarray) -> None:
        radial_pairs(
            targets, x, b, form.rate, form.squared, form.inverse, value_form, slope_form, value, gradient
        )  # fmt: skip

    return _over_targets(pairs, x, b)


def periodic(kernel: GaussianKernel, x: np.ndarray, b: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """The same for the Gaussian of mass 1 on the unit torus, as a sum over images."""
    from .._kernels.pairs import periodic_pairs

    rate, number = 0.5 / kernel.length**2, images(kernel, tolerance)
    reduced = x - np.floor(x)

    def pairs(targets: np.ndarray, value: np.ndarray, gradient: np.ndarray) -> None:
        periodic_pairs(targets, reduced, b, rate, number, value, gradient)

    value, gradient = _over_targets(pairs, reduced, b)
    height = (math.sqrt(2 * math.pi) * kernel.length) ** -x.shape[1]
    value *= height
    gradient *= height
    return value, gradient


def images(kernel: GaussianKernel, tolerance: float) -> int:
    """Periodic images a side of the nearest one, so that what is left out is below the tolerance.

    The next image is ``images + ½`` away at least. Wide Gaussians are nearly constant: their gradient is smaller than
    that of one image by ``e^{−2π²ℓ²}``. Two more decades cover the factors before the exponentials, and the axes.
    """
    reach = kernel.length * math.sqrt(2 * (math.log(100 / tolerance) + 2 * (math.pi * kernel.length) ** 2))
    return max(0, math.ceil(reach - 0.5))


def resolved(kernel: GaussianKernel, torus: Torus, tolerance: float) -> bool:
    """Whether the modes the torus lacks contribute less than the tolerance to the Gaussian and its gradient."""
    first = (torus.n - 1) // 2 + 1
    if kernel.spectrum(np.array((2 * np.pi * first) ** 2)) > 0.5:  # cut off before it falls
        return False
    k = np.arange(first, first + 64 + int(2 / kernel.length))
    tail = 2 * math.sqrt(2 * math.pi) * kernel.length * kernel.spectrum((2 * np.pi * k) ** 2)
    slope = tail * 2 * np.pi * k * kernel.length
    return torus.dim * max(float(tail.sum()), float(slope.sum())) <= 0.1 * tolerance


def summable(kernel: GaussianKernel, torus: Torus, tolerance: float) -> bool:
    """Whether the sum over images is that over the torus's modes: Gaussian resolved, and slopes do not cancel."""
    cancelled = float(np.finfo(float).eps) * math.exp(min(2 * (math.pi * kernel.length) ** 2, 700.0))
    return 10 * cancelled <= tolerance and resolved(kernel, torus, tolerance)


def _over_targets(pairs, x: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chunks of targets over the threads; each target meets the sources in their order, so chunks change no bit."""
    from .._kernels.pairs import LANES

    (number, dim), components = x.shape, b.shape[1]
    value, gradient = np.empty((number, components)), np.empty((number, components, dim))

    def chunk(first: int) -> None:
        part = x[first : first + TARGETS]
        width = -(-len(part) // LANES) * LANES
        targets = np.zeros((dim, width))
        targets[:, : len(part)] = part.T
        values, gradients = np.zeros((components, width)), np.zeros((components, dim, width))
        pairs(targets, values, gradients)
        value[first : first + TARGETS] = values[:, : len(part)].T
        gradient[first : first + TARGETS] = np.moveaxis(gradients[:, :, : len(part)], 2, 0)

    parallel.run(chunk, range(0, number, TARGETS))
    return value, gradient


def modes(torus: Torus, multiplier: np.ndarray, x: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sums over the modes ``|k_a| ≤ (n−1)//2`` of a multiplier on the half spectrum, term by term.

    By BLAS, which the caller keeps on one thread: that scope costs more than the sums of a few particles.
    """
    low = (torus.n + 1) // 2
    k = np.r_[0:low, 1 - low : 0]
    spectrum = multiplier[np.ix_(*[k] * (torus.dim - 1), k[:low])].reshape(-1, low) * torus.mode_weights[:low]
    waves = [k] * (torus.dim - 1) + [k[:low]]
    chunk = max(1, ENTRIES // spectrum.size)
    parts = [slice(i, i + chunk) for i in range(0, len(x), chunk)]

    def phases(part: slice) -> tuple[np.ndarray, np.ndarray]:
        """``e^{2πik·x}`` of the leading axes together (P, (2K+1)^{d−1}), and of the last one (P, K+1)."""
        lead = np.ones((len(x[part]), 1))
        for a, wave in enumerate(waves):
            last = np.exp(2j * np.pi * np.outer(x[part, a], wave))
            if a < torus.dim - 1:
                lead = (lead[:, :, None] * last[:, None, :]).reshape(len(last), -1)
        return lead, last

    def transform(part: slice) -> np.ndarray:
        lead, last = phases(part)
        return np.stack([(lead.conj() * b[part, c, None]).T @ last.conj() for c in range(b.shape[1])])

    def evaluate(part: slice) -> None:
        lead, last = phases(part)
        for c in range(b.shape[1]):
            terms = lead * (last @ coefficients[c].T)
            value[part, c] = terms.sum(axis=1).real
            for a in range(torus.dim - 1):
                shape = (len(terms), len(k) ** a, len(k), -1)
                gradient[part, c, a] = -2 * np.pi * terms.imag.reshape(shape).sum(axis=(1, 3)) @ k
            slopes = lead * ((last * k[:low]) @ coefficients[c].T)
            gradient[part, c, -1] = -2 * np.pi * slopes.imag.sum(axis=1)

    value, gradient = np.empty(b.shape), np.empty((*b.shape, torus.dim))
    coefficients = sum(parallel.run(transform, parts)) * spectrum
    parallel.run(evaluate, parts)
    return value, gradient
