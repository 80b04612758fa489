"""Least-cost shipment: each kernel beside its NumPy twin, and shipments that use every branch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanfield._kernels.transport_nd import (
    column_minima,
    column_minima_numpy,
    ship,
    ship_numpy,
    smallest,
    squared_distances,
    squared_distances_numpy,
    violation,
    violation_numpy,
)

EPS = np.finfo(float).eps
seeds = st.integers(0, 2**32 - 1)
NOTHING = np.empty((3, 0), np.int64)
FOREVER = 10**9


def units(rng, n, total):
    """Whole masses, some of them zero, that sum to ``total``."""
    return rng.multinomial(total, rng.dirichlet(np.full(n, 0.5)))


def problem(seed, *, ties):
    """Costs, and whole masses of one sum; with ``ties`` on a lattice."""
    rng = np.random.default_rng(seed)
    n, m, dim = rng.integers(1, 12, 3)
    x, y = (rng.integers(0, 3, s) * 1.0 if ties else rng.normal(size=s) for s in ((n, dim), (dim, m)))
    total = int(rng.integers(1, 60))
    return squared_distances(x, y, False), units(rng, n, total), units(rng, m, total)


@pytest.mark.parametrize("wrap", [False, True])
def test_distances_agree_with_the_twin(wrap):
    rng = np.random.default_rng(1)
    x, y = 3 * rng.normal(size=(7, 3)), 3 * rng.normal(size=(3, 9))
    found = squared_distances(x, y, wrap)
    np.testing.assert_allclose(found, squared_distances_numpy(x, y, wrap), rtol=8 * EPS)
    assert not wrap or found.max() <= 0.75


@pytest.mark.parametrize("size", [1, 7, 8, 9, 16, 37])
def test_smallest_is_the_first_minimum(size):
    rng = np.random.default_rng(size)
    for _ in range(20):
        values = rng.integers(0, 4, size) * 1.0
        values[rng.random(size) < 0.3] = np.inf
        assert smallest(values) == values.argmin()


def test_minima_and_violations_agree_with_the_twins():
    rng = np.random.default_rng(2)
    cost, u, v = rng.random((6, 9)), rng.random(6), rng.random(9)
    np.testing.assert_array_equal(column_minima(cost, u), column_minima_numpy(cost, u))
    rows, columns = rng.integers(0, 6, 5), rng.integers(0, 9, 5)
    np.testing.assert_allclose(violation(cost, u, v, rows, columns), violation_numpy(cost, u, v, rows, columns))


@settings(deadline=None, max_examples=150)
@given(seeds, st.booleans())
def test_shipments_agree_with_the_twin_and_prove_themselves(seed, ties):
    cost, supply, demand = problem(seed, ties=ties)
    prices = column_minima(cost, np.zeros(len(supply)))
    plan, u, v, left = ship(cost, supply, demand, prices, NOTHING, FOREVER)
    slow, *_ = ship_numpy(cost, supply, demand, prices)
    scale = 64 * EPS * max(1.0, cost.max())
    assert left == 0
    assert plan[2].min() > 0
    np.testing.assert_array_equal(np.bincount(plan[0], plan[2], len(supply)), supply)
    np.testing.assert_array_equal(np.bincount(plan[1], plan[2], len(demand)), demand)
    total, expected = (float((p[2] * cost[p[0], p[1]]).sum()) for p in (plan, slow))
    assert abs(total - expected) <= scale * supply.sum()
    assert max(violation(cost, u, v, plan[0], plan[1])) <= scale


@settings(deadline=None, max_examples=80)
@given(seeds, st.booleans())
def test_any_prices_and_any_plan_are_a_start(seed, ties):
    cost, supply, demand = problem(seed, ties=ties)
    rng = np.random.default_rng(seed)
    best, _, v, _ = ship(cost, supply, demand, np.zeros(len(demand)), NOTHING, FOREVER)
    value = float((best[2] * cost[best[0], best[1]]).sum())
    other, *_ = ship(rng.permuted(cost.ravel()).reshape(cost.shape), supply, demand, v, NOTHING, FOREVER)
    for prices, plan in ((v, best), (v + 0.3 * rng.normal(size=v.size), best), (v, other)):
        again, u, w, left = ship(cost, supply, demand, prices, plan, FOREVER)
        assert left == 0
        assert (again[2] * cost[again[0], again[1]]).sum() == pytest.approx(value, rel=1e-13, abs=1e-13)
        assert max(violation(cost, u, w, again[0], again[1])) <= 64 * EPS * max(1.0, cost.max())


def test_a_limit_leaves_units_and_a_plan_made_so_far():
    cost, supply, demand = problem(5, ties=False)
    plan, u, v, left = ship(cost, supply, demand, np.zeros(len(demand)), NOTHING, 1)
    assert 0 < left == supply.sum() - plan[2].sum()
    assert max(violation(cost, u, v, plan[0], plan[1])) <= 64 * EPS * cost.max()


def test_more_arcs_than_a_tree_are_kept():
    """On ties a plan may have more pairs than n + m: storage grows."""
    rng = np.random.default_rng(0)
    place = np.stack(np.meshgrid(*2 * [np.arange(12) / 12]), -1).reshape(-1, 2)
    cost = squared_distances(place, np.ascontiguousarray(place.T), True)
    supply, demand = units(rng, 144, 10**6), units(rng, 144, 10**6)
    plan, u, v, left = ship(cost, supply, demand, np.zeros(144), NOTHING, FOREVER)
    assert plan.shape[1] > 2 * 144
    assert left == 0
    np.testing.assert_array_equal(np.bincount(plan[0], plan[2], 144), supply)
    assert max(violation(cost, u, v, plan[0], plan[1])) <= 64 * EPS


def test_arguments_are_not_modified():
    cost, supply, demand = problem(5, ties=False)
    prices = np.zeros(len(demand))
    copies = [array.copy() for array in (cost, supply, demand, prices)]
    ship(cost, supply, demand, prices, NOTHING, FOREVER)
    for before, after in zip(copies, (cost, supply, demand, prices)):
        np.testing.assert_array_equal(before, after)
