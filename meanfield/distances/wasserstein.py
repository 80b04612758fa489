r"""The quadratic Wasserstein distance in one dimension, exact for piecewise-constant densities and weighted points."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import _check
from ..measures import TorusDensity
from .lag_search import EPS, Probe, largest_kink, minimise
from .quantiles import Quantile

_MASS_TOLERANCE = 1e-9


def wasserstein(mu: Any, nu: Any) -> float:
    r"""W₂ between two states, with the distance of their space.

    .. math:: W_2^2(μ, ν) = \min_π ∫ |x - y|^2 \, dπ(x, y), \quad π \text{ of marginals } μ, ν.

    Parameters
    ----------
    mu, nu : TorusDensity
        Densities on the circle T¹ = R/Z, possibly on different grids; values are means over cells centred at the
        grid points, and the density is taken constant on each cell.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        For states without a distance here.
    ValueError
        If a density is negative somewhere or the masses differ by more than 1e-9 of their size.

    Notes
    -----
    The measures may have any common mass M; then the plans have mass M too.

    References
    ----------
    Delon, Salomon and Sobolevski (2010), SIAM J. Appl. Math. 70; Rabin, Delon and Gousseau (2011), J. Math. Imaging
    Vision 41.

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield.torus import Torus
    >>> bump = Torus(4, dim=1).density(np.array([4.0, 0.0, 0.0, 0.0]))
    >>> moved = Torus(4, dim=1).density(np.array([0.0, 4.0, 0.0, 0.0]))
    >>> wasserstein(bump, moved)
    0.25
    """
    for state in (mu, nu):
        if not isinstance(state, TorusDensity) or state.torus.dim != 1:
            kind = type(state).__name__
            if isinstance(state, TorusDensity):
                kind += f" in dimension {state.torus.dim}"
            raise TypeError(
                f"wasserstein needs two TorusDensity states in dimension 1 (got {kind}); for points or histograms "
                "build Quantile objects and call wasserstein_line or wasserstein_circle"
            )
    return wasserstein_circle(Quantile.from_cells(mu.values), Quantile.from_cells(nu.values))


def wasserstein_line(mu: Quantile, nu: Quantile) -> float:
    r"""W₂ on the line between measures given by their quantile functions.

    .. math:: W_2^2(μ, ν) = ∫_0^M |F^{-1}(u) - G^{-1}(u)|^2 \, du.

    Parameters
    ----------
    mu, nu : Quantile
        Measures of equal mass M: histograms, weighted points, or one of each.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the masses differ by more than 1e-9 of their size.

    Notes
    -----
    Exact up to rounding: the difference is linear between merged breakpoints, and its square is integrated there in
    closed form. Cost O(p + q) for p and q pieces. Masses equal up to 1e-9 are brought to that of μ by a factor.

    References
    ----------
    Villani (2003), Topics in Optimal Transportation, Theorem 2.18.

    Examples
    --------
    >>> spread = Quantile.from_histogram([0.0, 1.0], [1.0])
    >>> round(wasserstein_line(spread, Quantile.from_points([0.5])) * math.sqrt(12), 12)
    1.0
    """
    return math.sqrt(_probe_maker(mu, nu, anchor=(0, 0, 0.0))(0.0).cost)


def wasserstein_circle(mu: Quantile, nu: Quantile) -> float:
    r"""W₂ on the circle R/Z between measures given by the quantile functions of any of their lifts.

    .. math:: W_2^2(μ, ν) = \min_θ C(θ), \quad C(θ) = ∫_0^M |F^{-1}(u) - G^{-1}(u - θ)|^2 \, du,

    with F^{-1}(u + M) = F^{-1}(u) + 1. C is convex and C'(θ) = 2∫(F^{-1}(u) − G^{-1}(u − θ)) dG^{-1}(u − θ).

    Parameters
    ----------
    mu, nu : Quantile
        Measures of equal mass M, each within one period.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a support is longer than one period, or the masses differ by more than 1e-9 of their size.
    ConvergenceError
        If the search for the lag does not end.

    Notes
    -----
    C(θ) is exact as on the line. The search keeps a bracket of the minimum and stops when a lower bound drawn from
    the tangents at both ends is within 1e-15 of C (or 1e-26 M). Where both measures have a vacuum at the same u, C has
    a kink that no floating-point θ hits; the lag is then counted from that pair of gaps, where zero is exact.
    Measured against 60 digits: rounding leaves 2e-16 where densities are positive or W₂ > 1e-2, and a measure is at
    distance 0 from itself. Masses that differ in their last digit on both sides of a gap g are moved across it: an
    error ε in them, ours or the data's, gives ε g²/2W₂, about 1e-13 at W₂ = 1e-5, 1e-11 at 1e-7 and 1e-9 at 1e-9.
    Cost O(p + q) a probe; 1 to 20 probes, up to 60 beside a kink.

    References
    ----------
    Delon, Salomon and Sobolevski (2010), SIAM J. Appl. Math. 70; Rabin, Delon and Gousseau (2011),
    J. Math. Imaging Vision 41.

    Examples
    --------
    >>> wasserstein_circle(Quantile.from_points([0.125]), Quantile.from_points([0.875]))
    0.25
    """
    for name, measure in (("mu", mu), ("nu", nu)):
        length = float(measure.right[-1] - measure.left[0])
        if length > 1 + 4 * EPS:
            raise _check.fail(f"{name} must lie within one period of length 1", f"length {length}", "wrap it: x % 1")
    mass = mu.total
    resolution = (64 + math.sqrt(mu.masses.size + nu.masses.size)) * EPS * mass
    periods = float(math.floor(mu.left[0]) - math.floor(nu.left[0]))
    found = minimise(_probe_maker(mu, nu, anchor=(0, 0, periods)), mass / 4, resolution, mass)
    if not found.resolved:
        first, second, turn = largest_kink(mu, nu, found.lag, 4 * resolution)
        probe = _probe_maker(mu, nu, anchor=(first, second, turn + periods))
        refined = minimise(probe, 8 * resolution, 0.0, mass)
        found = min(found, refined, key=lambda minimum: minimum.best.cost)
    return math.sqrt(found.best.cost)


def _probe_maker(mu: Quantile, nu: Quantile, *, anchor: tuple[int, int, float]) -> Callable[[float], Probe]:
    """The cost as a function of the lag counted from ``anchor`` (piece of μ, piece of ν, periods of ν)."""
    from .._kernels.transport_1d import sweep

    if abs(mu.total - nu.total) > _MASS_TOLERANCE * max(mu.total, nu.total):
        raise _check.fail("masses must be equal to 1e-9", f"{mu.total} and {nu.total}", "normalise the measures first")
    masses = nu.masses
    if mu.total != nu.total:
        masses = masses * (mu.total / nu.total)
        masses.setflags(write=False)  # the kernel is compiled once, for read-only arrays

    def probe(lag: float) -> Probe:
        return Probe(lag, *sweep(mu.masses, mu.left, mu.right, masses, nu.left, nu.right, *anchor, lag))

    return probe
