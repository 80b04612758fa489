"""Costs and potentials: each kernel beside its NumPy twin; potentials exist for optimal plans, and only for them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog

from meanfield._kernels.transport_nd import potentials, potentials_numpy, squared_distances, squared_distances_numpy

EPS = np.finfo(float).eps
seeds = st.integers(0, 2**32 - 1)


def problem(seed, *, ties):
    """Costs; with ``ties`` on a lattice."""
    rng = np.random.default_rng(seed)
    n, m, dim = rng.integers(1, 9, 3)
    x, y = (rng.integers(0, 3, s) * 1.0 if ties else rng.normal(size=s) for s in ((n, dim), (dim, m)))
    return squared_distances(x, y, False), rng


def plan_of(cost, supply, demand):
    """First pairs of rows and columns of a best plan, by linear programming."""
    n, m = cost.shape
    marginals = np.concatenate([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    found = linprog(cost.ravel(), A_eq=marginals[:-1], b_eq=np.concatenate([supply, demand])[:-1]).x.reshape(n, m)
    rows, columns = np.nonzero(found > 0.5)  # masses are whole
    return np.searchsorted(rows, np.arange(n + 1)), columns, rows


@pytest.mark.parametrize("wrap", [False, True])
def test_distances_agree_with_the_twin(wrap):
    rng = np.random.default_rng(1)
    x, y = 3 * rng.normal(size=(7, 3)), 3 * rng.normal(size=(3, 9))
    found = squared_distances(x, y, wrap)
    np.testing.assert_allclose(found, squared_distances_numpy(x, y, wrap), rtol=8 * EPS)
    assert not wrap or found.max() <= 0.75


@settings(deadline=None, max_examples=60)
@given(seeds, st.booleans())
def test_potentials_prove_optimal_plans_from_any_guess(seed, ties):
    cost, rng = problem(seed, ties=ties)
    total = int(rng.integers(1, 60))
    supply, demand = (rng.multinomial(total, rng.dirichlet(np.full(size, 0.5))) for size in cost.shape)
    first, columns, rows = plan_of(cost, supply, demand)
    tolerance = 64 * EPS * max(1.0, cost.max())
    guess = rng.normal(size=len(demand)) * 10.0 ** rng.integers(-12, 2)
    guess[demand == 0] = np.inf
    u, v, proved = potentials(cost, first, columns, guess, tolerance)
    slow = potentials_numpy(cost, first, columns, guess, tolerance)
    np.testing.assert_array_equal(u, slow[0])
    np.testing.assert_array_equal(v, slow[1])
    assert proved
    assert slow[2]
    slack = cost - u[:, None] - v
    assert slack.min() >= -tolerance
    assert slack[rows, columns].max() <= 2 * tolerance


def test_plans_that_are_not_optimal_have_none():
    """Two targets of the best permutation exchanged: the loss, shared by two pairs, is more than the tolerance."""
    rng = np.random.default_rng(2)
    cost = rng.random((30, 30))
    best = linear_sum_assignment(cost)[1]
    for swap in range(29):
        columns = best.copy()
        columns[[swap, swap + 1]] = columns[[swap + 1, swap]]
        loss = (cost[np.arange(30), columns] - cost[np.arange(30), best]).sum()
        for solve in (potentials, potentials_numpy):
            assert not solve(cost, np.arange(31), columns, np.zeros(30), 0.49 * loss / 30)[2]
            assert solve(cost, np.arange(31), best, np.zeros(30), 1e-15)[2]


def test_arguments_are_not_modified():
    rng = np.random.default_rng(5)
    cost, guess = rng.random((6, 6)), np.zeros(6)
    copies = cost.copy(), guess.copy()
    potentials(cost, np.arange(7), linear_sum_assignment(cost)[1], guess, 1e-15)
    for before, after in zip(copies, (cost, guess)):
        np.testing.assert_array_equal(before, after)
