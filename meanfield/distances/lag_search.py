"""Search for the lag of one quantile function against another that minimises the convex cost on the circle."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .. import _check
from .quantiles import Quantile

EPS = float(np.finfo(np.float64).eps)
_RELATIVE_GAP = 1e-15  # of W₂², between the value found and a lower bound for the minimum over lags
_ABSOLUTE_GAP = 1e-26  # of W₂² at mass 1: 1e-13 in W₂, below what rounding of positions leaves
_SEARCH_LIMIT = 400


class Probe(NamedTuple):
    """The cost at one lag with its one-sided derivatives."""

    lag: float
    cost: float
    minus: float
    plus: float


class Minimum(NamedTuple):
    """Best probe, estimated lag of the minimum, and whether the best probe's cost is known to be minimal."""

    best: Probe
    lag: float
    resolved: bool


def minimise(probe: Callable[[float], Probe], width: float, resolution: float, mass: float) -> Minimum:
    """Minimum of the convex cost, from a bracket grown from lag 0 in steps ``width``.

    Secant steps on the slopes are fast where C is smooth, meeting points of tangents where it has kinks, and bisection
    makes sure. The search ends unresolved once the tangents meet within ``resolution`` of an end of the bracket: there
    is a kink then, closer than rounding of cumulated masses can tell.
    """
    start = probe(0.0)
    while True:
        if start.minus <= 0.0 <= start.plus:
            return Minimum(start, start.lag, True)
        new = probe(start.lag + width if start.plus < 0.0 else start.lag - width)
        if start.plus < 0.0 < new.minus or new.plus < 0.0 < start.minus:
            break
        start, width = new, 2 * width
    low, high = sorted((start, new))
    for count in range(_SEARCH_LIMIT):
        size, fall, climb = high.lag - low.lag, -low.plus, high.minus
        meet = min(max((low.cost - high.cost + climb * size) / (fall + climb), 0.0), size)
        # a lower bound of C: the height at which the tangents meet, the lag being known to `resolution` only
        best, gap = (
            (low, fall * (meet + resolution)) if low.cost <= high.cost else (high, climb * (size - meet + resolution))
        )
        if gap <= max(_RELATIVE_GAP * best.cost, _ABSOLUTE_GAP * mass):
            return Minimum(best, low.lag + meet, True)
        if min(meet, size - meet) < resolution:
            return Minimum(best, low.lag + meet, False)
        lag = low.lag + (size * fall / (fall + climb), meet, size / 2)[count % 3]
        if not low.lag < lag < high.lag:
            lag = low.lag + size / 2
        if not low.lag < lag < high.lag:
            return Minimum(best, lag, False)
        new = probe(lag)
        if new.minus <= 0.0 <= new.plus:
            return Minimum(new, lag, True)
        low, high = (new, high) if new.plus < 0.0 else (low, new)
    raise _check.ConvergenceError(
        f"the search for the lag on the circle did not end ({_SEARCH_LIMIT} probes, gap {gap}); check the masses"
    )


def largest_kink(mu: Quantile, nu: Quantile, lag: float, reach: float) -> tuple[int, int, float]:
    """Where both quantile functions rise most within ``reach`` of mass at this lag: a boundary of μ, the nearest of ν.

    Returns the piece of μ that starts there, the piece of ν, and the period the latter is in.
    """
    starts, starts_nu = np.cumsum(mu.masses) - mu.masses, np.cumsum(nu.masses) - nu.masses
    rise = mu(starts + reach) - mu(starts - reach)
    rise *= nu(starts - lag + reach) - nu(starts - lag - reach)
    first = int(np.argmax(rise))
    place = starts[first] - lag
    turns = np.round((place - starts_nu) / nu.total)
    second = int(np.argmin(np.abs(starts_nu + turns * nu.total - place)))
    return first, second, float(turns[second])
