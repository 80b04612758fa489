"""Least-cost plans between weighted points by POT or scipy, and their proof."""

from __future__ import annotations

import math

import numpy as np

from .. import _check

_UNITS = 2**52  # of mass: sums of them are exact in float64, in which POT counts
_PIVOTS = 10_000  # for each point
_ROUNDING = float(np.finfo(np.float64).eps)  # of the largest cost: what one difference of costs may lose
_SLACK = 2  # roundings a pair may be left with; POT's own potentials leave hundreds


def cheapest(
    x: np.ndarray, a: np.ndarray, y: np.ndarray, b: np.ndarray, *, wrap: bool, guess: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (2, k), whole units (k,) and potentials (n,), (m,) of an optimal plan; ``guess`` (m,) is of the latter."""
    from .._kernels.transport_nd import squared_distances

    cost = squared_distances(np.ascontiguousarray(x), np.ascontiguousarray(y.T), wrap)
    supply, demand, equal = whole_units(a, b)
    reduced, prices = (cost, np.zeros(b.size)) if guess is None else _reduce(cost, supply, demand, guess)
    permutation = equal and a.size == b.size
    assigned = permutation and guess is not None  # where most pairs cost zero, a fifth of the simplex's time
    if assigned:
        pairs, units = _assignment(reduced), supply
    else:
        pairs, units, v = _network_simplex(reduced, supply, demand)
        prices = prices + v
    largest = _ROUNDING * float(cost.max())
    u, v, tight = _potentials(cost, pairs, prices, _SLACK * largest)
    if not tight and permutation and not assigned:  # costs of many sizes: POT compares sums of them, scipy single ones
        pairs, units = _assignment(reduced), supply
        u, v, tight = _potentials(cost, pairs, prices, _SLACK * largest)
    gap = 0.0 if tight else float(units @ (cost[tuple(pairs)] - u[pairs[0]] - v[pairs[1]]) / units.sum())
    tolerance = largest * (64 + a.size + b.size)
    if gap > tolerance:
        raise _check.ConvergenceError(
            f"the plan found is not optimal (potentials prove W2^2 to {gap:g} only, rounding is {tolerance:g}); "
            "please report the clouds"
        )
    return pairs, units, u, v


def _potentials(
    cost: np.ndarray, pairs: np.ndarray, prices: np.ndarray, slack: float
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Potentials (n,), (m,) below the costs, and whether every pair of the plan is within ``slack`` of its cost."""
    from .._kernels.transport_nd import potentials

    first = np.searchsorted(pairs[0], np.arange(len(cost) + 1))
    return potentials(cost, first, pairs[1], prices, slack)


def is_equal(weights: np.ndarray) -> bool:
    """Whether all weights are the same number."""
    return bool((weights == weights[0]).all())


def whole_units(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Weights as whole numbers of one sum, and whether both are equal ones: then exact fractions, else of 2^52."""
    if is_equal(a) and is_equal(b):
        common = math.gcd(a.size, b.size)
        return np.full(a.size, b.size / common), np.full(b.size, a.size / common), True
    supply, demand = (np.rint(w * (_UNITS / math.fsum(w))) for w in (a, b))
    missing = supply.sum() - demand.sum()
    # only where sums differ: the same weights in another order must remain the same units
    short = demand if missing > 0 else supply
    short[short.argmax()] += abs(missing)
    return supply, demand, False


def _reduce(
    cost: np.ndarray, supply: np.ndarray, demand: np.ndarray, guess: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Costs of the same optimal plans, low where they carry mass if ``guess`` is good, and the potentials taken off."""
    guess = guess - guess.max()  # a constant is free to choose, and a large one would cost digits
    reduced = cost - guess
    low = reduced.min(axis=1)
    if supply @ low + demand @ guess <= supply @ cost.min(axis=1):  # zero bounds the least cost better: near clouds
        return cost, np.zeros_like(guess)
    reduced -= low[:, None]
    return reduced, guess


def _assignment(cost: np.ndarray) -> np.ndarray:
    """The pairs (2, n) of a best permutation."""
    from scipy.optimize import linear_sum_assignment

    return np.stack(linear_sum_assignment(cost))


def _network_simplex(
    cost: np.ndarray, supply: np.ndarray, demand: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (2, k), units (k,) and potentials of columns (m,)."""
    from ot.lp.emd_wrap import emd_c  # not ot.emd: that turns a failure into a warning

    flows, _, _, v, outcome = emd_c(supply, demand, cost, _PIVOTS * sum(cost.shape), 1)
    if outcome != 1:
        reason = {0: "infeasible", 2: "unbounded", 3: f"{_PIVOTS} pivots a point were not enough"}.get(outcome, outcome)
        raise _check.ConvergenceError(f"POT's network simplex did not finish ({reason}); check the weights")
    pairs = np.stack(np.divmod(np.flatnonzero(flows), demand.size))
    units = flows[tuple(pairs)]
    sums = (np.bincount(index, units, mass.size) for index, mass in zip(pairs, (supply, demand)))
    if not all(map(np.array_equal, sums, (supply, demand))):
        raise _check.ConvergenceError("POT's plan does not have the marginals it was given; please report the clouds")
    return pairs, units, v
