"""Least-cost shipment between weighted points: whole units, first prices, shortest paths, network simplex, proof."""

from __future__ import annotations

import math

import numpy as np

from .. import _check

_UNITS = 2**52  # of mass: sums of them are exact in float64, in which the network simplex counts
# Visits of each row by shortest paths before the network simplex takes over; with unequal weights it takes over soon,
# unless nearly everything has found its place by then, as from a good start.
_FEW_VISITS, _NEARLY, _VISITS = 8, 1 / 16, 64
_LAST_VISITS = 10_000
_PIVOTS = 10_000  # for each point
_ROUNDING = 2**6 * float(np.finfo(np.float64).eps)  # of the largest cost, between a plan and the proof


def cheapest(
    x: np.ndarray, a: np.ndarray, y: np.ndarray, b: np.ndarray, *, wrap: bool, guess: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (2, k), whole units (k,) and prices u (n,), v (m,) of an optimal plan; ``guess`` (m,) is a first v."""
    from .._kernels.transport_nd import ship, squared_distances, violation

    cost = squared_distances(np.ascontiguousarray(x), np.ascontiguousarray(y.T), wrap)
    largest = float(cost.max())
    supply, demand, equal = whole_units(a, b)
    prices = _first_prices(cost, x, a, y, b, wrap) if guess is None else guess
    plan, few = np.empty((3, 0), np.int64), _FEW_VISITS * len(x)
    plan, u, v, left = ship(cost, supply, demand, prices, plan, few)
    if left and (equal or left < _NEARLY * supply.sum()):
        plan, u, v, left = ship(cost, supply, demand, v, plan, _VISITS * len(x))
    if left:
        plan, prices = _network_simplex(cost, supply, demand)
        plan, u, v, left = ship(cost, supply, demand, prices, plan, _LAST_VISITS * len(x))
    below, above = violation(cost, u, v, plan[0], plan[1])
    if left or not max(below, above) <= _ROUNDING * largest:
        raise _check.ConvergenceError(
            f"no plan was proved optimal ({left} of {supply.sum()} units left, slack from {-below:g} to {above:g}, "
            f"largest cost {largest:g}); please report the clouds"
        )
    plan = plan[:, np.lexsort((plan[1], plan[0]))]
    return plan[:2], plan[2], u, v


def is_equal(weights: np.ndarray) -> bool:
    """Whether all weights are the same number."""
    return bool((weights == weights[0]).all())


def whole_units(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Weights as whole numbers of one sum, and whether both are equal ones: then exact fractions, else of 2^52."""
    if is_equal(a) and is_equal(b):
        common = math.gcd(a.size, b.size)
        return np.full(a.size, b.size // common), np.full(b.size, a.size // common), True
    supply, demand = (np.rint(w * (_UNITS / math.fsum(w))).astype(np.int64) for w in (a, b))
    missing = supply.sum() - demand.sum()
    # only where sums differ: the same weights in another order must remain the same units
    short = demand if missing > 0 else supply
    short[short.argmax()] += abs(missing)
    return supply, demand, False


def _first_prices(
    cost: np.ndarray, x: np.ndarray, a: np.ndarray, y: np.ndarray, b: np.ndarray, wrap: bool
) -> np.ndarray:
    """Prices of columns from the potential of the map that scales each coordinate of x to the spread of y.

    They are exact for clouds that differ by such a map; prices of zero would send everything to the nearest points.
    """
    from .._kernels.transport_nd import column_minima

    u = np.zeros(len(x))
    if not wrap:
        spread, other = (np.sqrt(np.einsum("i,ia->a", w, np.square(z))) for w, z in ((a, x), (b, y)))
        scale = np.divide(other, spread, out=np.ones_like(spread), where=spread > 0)
        u = np.einsum("ia,a->i", np.square(x), 1 - scale)
    return column_minima(cost, u)


def _network_simplex(cost: np.ndarray, supply: np.ndarray, demand: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A plan (3, k) and prices (m,) by POT, which leaves slack of about 1e-14 n times the largest cost."""
    from ot.lp.emd_wrap import emd_c  # not ot.emd: that turns a failure into a warning

    from .._kernels.transport_nd import column_minima

    rows, columns = np.flatnonzero(supply), np.flatnonzero(demand)
    part = np.ascontiguousarray(cost[np.ix_(rows, columns)])
    masses = supply[rows].astype(np.float64), demand[columns].astype(np.float64)
    flows, _, _, v, outcome = emd_c(*masses, part, _PIVOTS * sum(cost.shape), 1)
    if outcome != 1:
        reason = {0: "infeasible", 2: "unbounded", 3: f"{_PIVOTS} pivots a point were not enough"}.get(outcome, outcome)
        raise _check.ConvergenceError(f"POT's network simplex did not finish ({reason}); check the weights")
    used = np.nonzero(flows)
    sums = (np.bincount(index, flows[used], mass.size) for index, mass in zip(used, masses))
    if not all(np.array_equal(found, mass) for found, mass in zip(sums, masses)):
        raise _check.ConvergenceError("POT's plan does not have the marginals it was given; please report the clouds")
    prices = column_minima(cost, (cost[:, columns] - v).min(axis=1))  # those of points without weight, too
    plan = np.stack([rows[used[0]], columns[used[1]], flows[used].astype(np.int64)])
    return plan, prices
