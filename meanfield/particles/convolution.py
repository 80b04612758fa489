r"""Convolution of particle measures with kernels, value and gradient in one pass, by the route that fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _check, parallel
from ..torus import GaussianKernel, Kernel, RadialForm, RadialKernel, Torus
from ..torus.kernels import require_torus
from . import direct, fourier
from .routes import Route, cheapest

ACCURATE = 1e-12  # of transforms inside energies, whose differentials are compared with their values
SHARE = 0.25  # of the tolerance, asked of each of the two transforms: their errors add up
SMALLEST = 1e-12  # tolerance: what the libraries' windows reach in double precision, with a digit to spare


def convolve(
    kernel: Kernel | RadialKernel,
    torus: Torus | None,
    x: np.ndarray,
    b: np.ndarray,
    *,
    tolerance: float = 1e-9,
    route: Route | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What :meth:`meanfield.torus.Kernel.convolve_particles` documents."""
    if not isinstance(route, Route | None):
        raise TypeError(f"route must be a Route or None (got {route!r}); use meanfield.particles.Route")
    tolerance = checked_tolerance(tolerance)
    if torus is None:
        form = _closed_form(kernel, route)
        x = _points(x, None)
        return direct.radial(form, x, _strengths(b, len(x)))
    require_torus(torus)
    if not isinstance(kernel, Kernel):
        raise _check.fail("a kernel on a torus must have Fourier coefficients", repr(kernel), "use SobolevKernel")
    x = _points(x, torus)
    b = _strengths(b, len(x))
    if isinstance(kernel, GaussianKernel):
        route = _gaussian_route(kernel, torus, b.shape, tolerance, route)
        if route is Route.DIRECT:
            return direct.periodic(kernel, x, b, tolerance)
    if route is Route.DIRECT:
        raise _check.fail("the direct sum on a torus is for Gaussians", repr(kernel), "use Route.FOURIER or MODES")
    if route is Route.MODES:
        with parallel.one_thread_libraries():
            return direct.modes(torus, kernel.multiplier(torus), x, b)
    at = fourier.Points(torus, x, SHARE * tolerance)
    modes = fourier.spread(at, b)
    modes *= kernel.multiplier(torus)
    return fourier.values_and_slopes(at, modes)


def to_modes(torus: Torus, x: np.ndarray, b: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
    """The Fourier coefficients of ``Σ_j b_j δ_{x_j}`` on a torus, ``Σ_j b_j e^{−2πik·x_j}``.

    Times ``kernel.multiplier(torus)``, they are those of ``K * Σ_j b_j δ_{x_j}``, whose grid values are
    ``torus.values`` of them.

    Parameters
    ----------
    torus : Torus
    x : (N, d) float — any representatives
    b : (N, q) float
    tolerance : float

    Returns
    -------
    (q, n, …, n//2+1) complex — zero unless ``|k_a| ≤ (n−1)//2``

    Raises
    ------
    ValueError, TypeError
        For shapes that do not fit, values that are not finite, no particles, or a tolerance that cannot be reached.

    Notes
    -----
    O(N + n^d log n) by a non-uniform FFT of type 1; the error is at most the tolerance times the root mean square of
    the modes of strengths of this size and random sign.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> modes = mf.particles.to_modes(mf.Torus(5), np.array([[0.25]]), np.array([[2.0]]))
    >>> np.round(modes, 6) + 0.0
    array([[ 2.+0.j,  0.-2.j, -2.+0.j]])
    """
    require_torus(torus)
    x = _points(x, torus)
    b = _strengths(b, len(x))
    return fourier.spread(fourier.Points(torus, x, checked_tolerance(tolerance)), b)


def from_modes(
    torus: Torus, modes: np.ndarray, x: np.ndarray, tolerance: float = 1e-9
) -> tuple[np.ndarray, np.ndarray]:
    """Values and gradients at points of the real fields with these Fourier coefficients, ``Σ_k c_k e^{2πik·x_i}``.

    Parameters
    ----------
    torus : Torus
    modes : (q, n, …, n//2+1) complex — half spectra as of ``torus.coefficients``; modes ``|k_a| = n/2`` are left out
    x : (N, d) float — any representatives
    tolerance : float

    Returns
    -------
    value : (N, q) float
    gradient : (N, q, d) float

    Raises
    ------
    ValueError, TypeError
        For shapes that do not fit, values that are not finite, no points, or a tolerance that cannot be reached.

    Notes
    -----
    O(N + n^d log n) by a non-uniform FFT of type 2; the values are the transpose of :func:`to_modes`.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> torus = mf.Torus(8)
    >>> wave = torus.coefficients(np.sin(2 * np.pi * torus.points[0]))
    >>> value, gradient = mf.particles.from_modes(torus, wave[None], np.array([[0.25], [-0.5]]))
    >>> np.round(value[:, 0], 6) + 0.0, np.round(gradient[:, 0, 0] / (2 * np.pi), 6) + 0.0
    (array([1., 0.]), array([ 0., -1.]))
    """
    require_torus(torus)
    tolerance = checked_tolerance(tolerance)
    modes, half = np.asarray(modes, dtype=np.complex128), torus.squared_wavenumber.shape
    if modes.ndim != torus.dim + 1 or modes.shape[1:] != half:
        raise _check.fail(f"modes must have shape (q, {str(half)[1:]}", f"shape {modes.shape}", "stack coefficients")
    if not np.isfinite(modes.sum()):
        raise _check.fail("modes must be finite", "NaN or infinity", "pass finite coefficients")
    return fourier.values_and_slopes(fourier.Points(torus, _points(x, torus), tolerance), modes)


# What flows call at every step, with points that are checked already: two real arrays share a complex transform.


def modes_of(torus: Torus, x: np.ndarray, b: np.ndarray, tolerance: float = ACCURATE) -> np.ndarray:
    """Modes of strengths (N,) on the half spectrum (n, …, n//2+1), of (N, q) on q of them."""
    modes = fourier.spread(fourier.Points(torus, x, tolerance), b.reshape(len(x), -1))
    return modes if b.ndim == 2 else modes[0]


def values_at(torus: Torus, modes: np.ndarray, x: np.ndarray, tolerance: float = ACCURATE) -> np.ndarray:
    """The real fields of half spectra (q, …) at points, (N, q)."""
    return fourier.values(fourier.Points(torus, x, tolerance), modes)


def gradient_at(torus: Torus, modes: np.ndarray, x: np.ndarray, tolerance: float = ACCURATE) -> np.ndarray:
    """The gradient of the real field of one half spectrum at points, (N, d)."""
    return fourier.slopes(fourier.Points(torus, x, tolerance), modes)


def _gaussian_route(
    kernel: GaussianKernel, torus: Torus, shape: tuple[int, ...], tolerance: float, route: Route | None
) -> Route:
    """The route asked for, or the cheapest: the direct one only where it is the sum over the torus's modes."""
    if route in (Route.FOURIER, Route.MODES):
        return route
    if direct.summable(kernel, torus, tolerance):
        return route or cheapest(torus, shape[0], shape[1], direct.images(kernel, tolerance))
    if route is Route.DIRECT:
        raise _check.fail(
            f"a direct sum on {torus} needs a Gaussian neither narrower nor wider than tolerance {tolerance:g} allows",
            repr(kernel),
            "use Route.FOURIER or MODES, which sum the torus's modes",
        )
    return Route.FOURIER


def _closed_form(kernel: Kernel | RadialKernel, route: Route | None) -> RadialForm:
    if not isinstance(kernel, GaussianKernel | RadialKernel):
        raise _check.fail("a kernel on R^d must have a closed form", repr(kernel), "use MaternKernel, or pass a torus")
    if route not in (None, Route.DIRECT):
        raise _check.fail("on R^d sums are direct", str(route), "pass a torus, or route=None")
    return kernel.radial_form()


def checked_tolerance(tolerance: Any) -> float:
    """A tolerance between 1e-12 and 0.1."""
    value = _check.positive("tolerance", tolerance, "pass a number such as 1e-9")
    if value > 0.1:
        raise _check.fail("tolerance must be at most 0.1", repr(tolerance), "pass a number such as 1e-9")
    if value < SMALLEST:
        raise _check.fail(f"tolerance must be at least {SMALLEST:g}", repr(tolerance), "use Route.MODES for more")
    return value


def _points(x: Any, torus: Torus | None) -> np.ndarray:
    """Finite points as contiguous rows; not copied where they already are."""
    dim = "d" if torus is None else str(torus.dim)
    x = np.ascontiguousarray(_finite("x", x, "pass finite points as rows"))
    if x.ndim != 2 or x.size == 0 or (torus is not None and x.shape[1] != torus.dim):
        raise _check.fail(f"x must have shape (N, {dim}) with N >= 1", f"shape {x.shape}", "stack points as rows")
    return x


def _strengths(b: Any, number: int) -> np.ndarray:
    b = np.ascontiguousarray(_finite("b", b, "pass one row of strengths a point"))
    if b.ndim != 2 or len(b) != number or b.shape[1] == 0:
        raise _check.fail(
            f"b must have shape ({number}, q) with q >= 1", f"shape {b.shape}", "pass one row of strengths a point"
        )
    return b


def _finite(name: str, value: Any, remedy: str) -> np.ndarray:
    """As ``_check.array`` without its copy: a sum shows what is not finite, and only then is it looked for."""
    array = _check.real_array(name, value, remedy)
    with np.errstate(all="ignore"):
        finite = np.isfinite(array.sum())
    return array if finite else _check.array(name, array, remedy)
