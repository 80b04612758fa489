"""W₂ between clouds: POT, scipy and linear programmes as other routes, proofs, starts, failures, the axioms."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog

import meanfield as mf
from meanfield._check import ConvergenceError
from meanfield.distances import TransportPlan, _least_cost, plans, transport_plan, wasserstein

EPS = np.finfo(float).eps
seeds = st.integers(0, 2**32 - 1)


def cloud(rng, n, dim, *, weighted=False, torus=False, zeros=0):
    weights = None
    if weighted:
        weights = rng.dirichlet(np.ones(n))
        weights[:zeros] = 0
        weights /= weights.sum()
    positions = 3 * rng.random((n, dim)) - 1 if torus else rng.normal(size=(n, dim))
    return mf.ParticleMeasure(positions, weights, mf.Torus(8, dim=dim) if torus else None)


def costs(mu, nu):
    """Squared distances by another route than the library's."""
    gap = np.abs(mu.positions[:, None] - nu.positions)
    if mu.torus is not None:
        gap = np.abs(mu.wrapped[:, None] - nu.wrapped)
        gap = np.minimum(gap, 1 - gap)
    return (gap**2).sum(axis=-1)


def check_plan(plan, mu, nu):
    """Marginals, value, and the proof by potentials."""
    cost = costs(mu, nu)
    scale = cost.max()
    assert np.all(plan.masses > 0)
    for index, measure in ((plan.sources, mu), (plan.targets, nu)):
        marginal = np.bincount(index, plan.masses, measure.number)
        np.testing.assert_allclose(marginal, measure.weights, rtol=0, atol=measure.number * EPS)
    slack = cost - plan.potentials[0][:, None] - plan.potentials[1]
    assert slack.min() > -64 * EPS * scale
    assert slack[plan.sources, plan.targets].max() < 64 * EPS * scale  # whatever the number of points
    assert plan.value**2 == pytest.approx(float((plan.masses * cost[plan.sources, plan.targets]).sum()), rel=1e-12)


CASES = [(30, 40, 2), (40, 30, 3), (35, 35, 4), (35, 35, 1), (1, 20, 2), (60, 3, 2)]


@pytest.mark.parametrize("torus", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "m", "dim"), CASES)
def test_clouds_agree_with_pot_and_with_a_linear_programme(n, m, dim, weighted, torus):
    import ot

    if torus and dim > 3:
        dim = 3
    rng = np.random.default_rng(n + m + dim)
    mu, nu = cloud(rng, n, dim, weighted=weighted, torus=torus), cloud(rng, m, dim, weighted=weighted, torus=torus)
    cost, value = costs(mu, nu), wasserstein(mu, nu)
    assert value == pytest.approx(math.sqrt(ot.emd2(mu.weights, nu.weights, cost)), abs=1e-10)
    marginals = np.concatenate([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    programme = linprog(cost.ravel(), A_eq=marginals[:-1], b_eq=np.concatenate([mu.weights, nu.weights])[:-1])
    assert value == pytest.approx(math.sqrt(programme.fun), abs=1e-10)
    plan = transport_plan(mu, nu)
    assert plan.value == pytest.approx(value, rel=1e-12)  # d = 1: sorted, and here by the matrix of costs
    check_plan(plan, mu, nu)


@pytest.mark.parametrize("torus", [False, True])
def test_equal_weights_are_an_assignment(torus):
    rng = np.random.default_rng(3)
    mu, nu = cloud(rng, 300, 3, torus=torus), cloud(rng, 300, 3, torus=torus)
    plan = transport_plan(mu, nu)
    rows, columns = linear_sum_assignment(costs(mu, nu))
    np.testing.assert_array_equal(plan.sources, rows)
    np.testing.assert_array_equal(plan.targets, columns)
    assert plan.value**2 == pytest.approx(costs(mu, nu)[rows, columns].mean(), rel=1e-13)


def test_the_network_simplex_and_the_assignment_agree(monkeypatch):
    """A start between equal weights and numbers goes through scipy, all else through POT; both are proved the same."""
    rng = np.random.default_rng(4)
    mu, nu, fewer = cloud(rng, 120, 2), cloud(rng, 120, 2), cloud(rng, 90, 2)
    cold, other = transport_plan(mu, nu), transport_plan(mu, fewer)
    calls, simplex = [], _least_cost._network_simplex
    monkeypatch.setattr(_least_cost, "_network_simplex", lambda *a: calls.append(1) or simplex(*a))
    started = transport_plan(mu, nu, start=transport_plan(nu, mu, start=cold.reverse).reverse)
    assert not calls
    check_plan(started, mu, nu)
    np.testing.assert_array_equal(started.targets, cold.targets)
    assert started.value == cold.value
    assert wasserstein(mu, fewer, start=other) == pytest.approx(other.value, rel=1e-14)
    assert len(calls) == 1


def test_points_without_weight():
    """They carry nothing, and the potentials hold there, too."""
    rng = np.random.default_rng(4)
    mu, nu = cloud(rng, 120, 2, weighted=True, zeros=7), cloud(rng, 90, 2, weighted=True, zeros=5)
    plan = transport_plan(mu, nu)
    for found in (plan, plan.reverse.reverse, transport_plan(mu, nu, start=plan)):
        check_plan(found, mu, nu)
        assert found.sources.min() == 7
        assert found.targets.min() == 5


def test_small_distances_keep_their_digits():
    rng = np.random.default_rng(0)
    mu = cloud(rng, 300, 2, weighted=True)
    step = 1e-9 * rng.normal(size=(300, 2))
    nu = mf.ParticleMeasure(mu.positions + step, mu.weights)
    gap = np.square(nu.positions - mu.positions).sum(axis=1)
    assert wasserstein(mu, nu) == pytest.approx(math.sqrt((mu.weights * gap).sum()), rel=1e-12)
    other = mf.ParticleMeasure(nu.positions, mu.weights * (1 + 1e-8 * rng.random(300)), normalise=True)
    plan = transport_plan(mu, other)
    check_plan(plan, mu, other)
    assert plan.value < 1e-4
    assert wasserstein(mu, other, start=plan) == pytest.approx(plan.value, rel=1e-12)


@settings(deadline=None, max_examples=60)
@given(seeds, st.booleans(), st.booleans())
def test_it_is_a_distance(seed, weighted, torus):
    rng = np.random.default_rng(seed)
    dim = int(rng.integers(1, 4))
    a, b, c = (cloud(rng, n, dim, weighted=weighted, torus=torus) for n in rng.integers(1, 12, 3))
    order = rng.permutation(a.number)
    same = mf.ParticleMeasure(a.positions[order], a.weights[order], a.torus)
    ab = wasserstein(a, b)
    assert wasserstein(a, a) == 0.0
    assert wasserstein(a, same) <= 1e-15 if dim > 1 else wasserstein(a, same) <= 3e-8
    assert ab > 0
    assert ab == pytest.approx(wasserstein(b, a), rel=1e-12)
    assert ab <= wasserstein(a, c) + wasserstein(c, b) + 1e-12
    if torus:
        assert ab <= math.sqrt(dim) / 2


@settings(deadline=None, max_examples=40)
@given(seeds, st.booleans())
def test_a_translate_is_at_the_length_of_the_translation(seed, weighted):
    rng = np.random.default_rng(seed)
    mu = cloud(rng, int(rng.integers(1, 40)), int(rng.integers(1, 5)), weighted=weighted)
    shift = 10.0 ** rng.uniform(-6, 6) * rng.normal(size=mu.dim)
    nu = mf.ParticleMeasure(mu.positions + shift, mu.weights)
    expected = math.sqrt((mu.weights * np.square(nu.positions - mu.positions).sum(axis=1)).sum())
    assert wasserstein(mu, nu) == pytest.approx(expected, rel=1e-13)
    assert expected == pytest.approx(np.linalg.norm(shift), rel=1e-8)


@settings(deadline=None, max_examples=40)
@given(seeds, st.booleans())
def test_on_a_torus_any_representative_will_do(seed, weighted):
    rng = np.random.default_rng(seed)
    dim = int(rng.integers(1, 4))
    mu, nu = (cloud(rng, int(rng.integers(1, 30)), dim, weighted=weighted, torus=True) for _ in range(2))
    moved = mf.ParticleMeasure(mu.positions + rng.integers(-5, 6, mu.positions.shape), mu.weights, mu.torus)
    shift = rng.normal(size=dim)
    both = [mf.ParticleMeasure(state.positions + shift, state.weights, state.torus) for state in (mu, nu)]
    value = wasserstein(mu, nu)
    assert wasserstein(moved, nu) == pytest.approx(value, abs=1e-14)
    assert wasserstein(*both) == pytest.approx(value, abs=1e-14)


def test_a_translate_on_the_torus_goes_the_short_way():
    torus = mf.Torus(8, dim=2)
    positions = np.random.default_rng(6).random((50, 2))
    mu, nu = mf.ParticleMeasure(positions, torus=torus), mf.ParticleMeasure(positions - (0.01, -0.99), torus=torus)
    assert wasserstein(mu, nu) == pytest.approx(0.01 * math.sqrt(2), rel=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "m"), [(60, 60), (50, 70), (70, 50)])
def test_a_start_does_not_change_the_value(n, m, weighted):
    rng = np.random.default_rng(7)
    mu, nu = cloud(rng, n, 3, weighted=weighted), cloud(rng, m, 3, weighted=weighted)
    plan = transport_plan(mu, nu)
    later = [
        mf.ParticleMeasure(state.positions + [9.0, 0, 0] + 1e-3 * rng.normal(size=state.positions.shape), state.weights)
        for state in (mu, nu)
    ]
    expected = wasserstein(*later)
    assert wasserstein(*later, start=plan) == pytest.approx(expected, rel=1e-14)
    again = transport_plan(*later, start=plan)
    check_plan(again, *later)
    assert wasserstein(mu, nu, start=again) == pytest.approx(plan.value, rel=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("good", "shift", "noise"), [(0, 0, 0), (0, 0, 1e-12), (0, 0, 1e12), (1, 1e12, 0), (1, 0, 0.1)]
)
def test_a_bad_start_does_no_harm(good, shift, noise, weighted):
    rng = np.random.default_rng(8)
    mu, nu = cloud(rng, 80, 3, weighted=weighted), cloud(rng, 80, 3, weighted=weighted)
    plan = transport_plan(mu, nu)
    other = [good * potential + shift + noise * rng.normal(size=80) for potential in plan.potentials]
    start = dataclasses.replace(plan, potentials=tuple(other))
    again = transport_plan(mu, nu, start=start)
    check_plan(again, mu, nu)
    assert again.value == pytest.approx(plan.value, rel=1e-14)


def test_a_start_is_left_aside_where_costs_are_as_good():
    """Between near clouds the way to the nearest point is nearly optimal; an earlier pair's potentials are not."""
    rng = np.random.default_rng(8)
    mu = cloud(rng, 80, 3, weighted=True)
    near = [mf.ParticleMeasure(mu.positions + 1e-3 * rng.normal(size=(80, 3)), mu.weights) for _ in range(2)]
    for nu, kept in ((near[1], True), (cloud(rng, 80, 3, weighted=True), False)):
        cost, guess = costs(near[0], nu), transport_plan(mu, nu if not kept else near[0]).potentials[1]
        reduced, v = _least_cost._reduce(cost, mu.weights, nu.weights, guess)
        assert (reduced is cost) is kept
        assert kept == (not v.any())


def test_a_lattice_full_of_ties_is_proved_too():
    place = np.stack(np.meshgrid(*2 * [np.arange(12) / 12]), -1).reshape(-1, 2)
    rng, torus = np.random.default_rng(8), mf.Torus(8, dim=2)
    for weighted in (False, True):
        weights = [rng.dirichlet(np.ones(144)) if weighted else None for _ in range(2)]
        mu, nu = mf.ParticleMeasure(place, weights[0], torus), mf.ParticleMeasure(place + 1 / 24, weights[1], torus)
        plan = transport_plan(mu, nu)
        check_plan(plan, mu, nu)
        again = transport_plan(mu, nu, start=plan)
        check_plan(again, mu, nu)
        assert again.value == pytest.approx(plan.value, rel=1e-13)
        assert weighted or plan.value == pytest.approx(math.sqrt(2) / 24, rel=1e-13)


def test_an_outlier_in_both_clouds_does_not_hide_the_rest():
    """POT alone returns 15 times the distance here: next to costs of 1e12 it does not see those of 1e-6."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    y = x.copy()
    x[0] = y[0] = 1e6
    mu, nu = mf.ParticleMeasure(x), mf.ParticleMeasure(y + 1e-3 * rng.normal(size=(400, 2)))
    best = math.sqrt(costs(mu, nu)[linear_sum_assignment(costs(mu, nu))].mean())
    assert wasserstein(mu, nu) == pytest.approx(best, rel=1e-9)


def test_clouds_of_many_scales_are_proved_by_their_value():
    """Some pairs are off by more than rounding, but not the sum over them, which is what bounds the distance."""
    rng, n = np.random.default_rng(3), 600

    def scattered():
        sizes = 10.0 ** rng.integers(-8, 1, (n, 1))
        return mf.ParticleMeasure(sizes * rng.normal(size=(n, 2)), rng.dirichlet(np.ones(n)))

    mu, nu = scattered(), scattered()
    plan = transport_plan(mu, nu)
    lower = sum(float(w @ potential) for w, potential in zip((mu.weights, nu.weights), plan.potentials))
    assert lower == pytest.approx(plan.value**2, rel=1e-9)


def test_a_plan_can_be_turned_round():
    rng = np.random.default_rng(9)
    mu, nu = cloud(rng, 10, 2, weighted=True), cloud(rng, 14, 2, weighted=True)
    plan = transport_plan(mu, nu)
    check_plan(plan.reverse, nu, mu)
    assert plan.reverse.sources.tolist() == sorted(plan.targets.tolist())
    assert repr(plan) == f"TransportPlan(value={plan.value:.6g}, points=(10, 14), pairs={plan.masses.size})"
    assert not plan.masses.flags.writeable


def test_pivots_that_run_out_are_an_error(monkeypatch):
    rng = np.random.default_rng(10)
    mu, nu = cloud(rng, 60, 2, weighted=True), cloud(rng, 60, 2, weighted=True)
    monkeypatch.setattr(_least_cost, "_PIVOTS", 1)
    with pytest.raises(ConvergenceError, match="1 pivots a point were not enough"):
        wasserstein(mu, nu)


def test_a_plan_of_other_marginals_is_an_error(monkeypatch):
    from ot.lp import emd_wrap

    def short(a, b, cost, *_):
        return np.diag(np.minimum(a, b)), 0.0, np.zeros(60), np.zeros(60), 1

    monkeypatch.setattr(emd_wrap, "emd_c", short)
    rng = np.random.default_rng(10)
    with pytest.raises(ConvergenceError, match="marginals"):
        wasserstein(cloud(rng, 60, 2, weighted=True), cloud(rng, 60, 2, weighted=True))


@pytest.mark.parametrize("started", [False, True])
def test_a_plan_that_is_not_optimal_is_an_error(started, monkeypatch):
    """The proof is independent of who found the plan."""
    rng = np.random.default_rng(11)
    mu, nu = cloud(rng, 20, 2), cloud(rng, 20, 2)
    start, rows = transport_plan(mu, nu), np.stack(2 * [np.arange(20)])
    monkeypatch.setattr(_least_cost, "_assignment", lambda _: rows)
    monkeypatch.setattr(_least_cost, "_network_simplex", lambda *_: (rows, np.ones(20), np.zeros(20)))
    with pytest.raises(ConvergenceError, match="not optimal"):
        wasserstein(mu, nu, start=start if started else None)


def test_weights_become_whole_units_of_one_sum():
    rng = np.random.default_rng(12)
    a, b = rng.dirichlet(np.ones(50)), rng.dirichlet(np.ones(70))
    supply, demand, equal = _least_cost.whole_units(a, b)
    assert supply.sum() == demand.sum()
    assert not equal
    assert np.abs(supply / 2**52 - a).max() <= 70 * EPS
    order = rng.permutation(50)
    again, permuted, _ = _least_cost.whole_units(a, a[order])
    np.testing.assert_array_equal(again[order], permuted)
    assert [units.tolist() for units in _least_cost.whole_units(np.full(4, 0.25), np.full(6, 1 / 6))[:2]] == [
        [3] * 4,
        [2] * 6,
    ]


def test_values_do_not_depend_on_threads():
    rng = np.random.default_rng(13)
    clouds = [cloud(rng, n, dim) for dim in (1, 2) for n in (300, 300)]
    values = set()
    try:
        for threads in (1, 2, 4):
            mf.parallel.set_threads(threads)
            values.add((wasserstein(*clouds[:2]), wasserstein(*clouds[2:])))
    finally:
        mf.parallel.set_threads(mf.parallel._default())
    assert len(values) == 1


def points(n, dim, torus=None):
    return mf.ParticleMeasure(np.arange(n * dim).reshape(n, dim) / 10, torus=torus)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: wasserstein(points(3, 2), points(3, 3)), ValueError, r"one space.*R\^2 and R\^3"),
        (lambda: wasserstein(points(3, 2), points(3, 2, mf.Torus(8, dim=2))), ValueError, r"R\^2 and T\^2.*torus"),
        (lambda: wasserstein(points(3, 1), mf.Torus(8).density(np.ones(8))), TypeError, r"ParticleMeasure on R\^1"),
        (
            lambda: wasserstein(points(3, 2, mf.Torus(8, dim=2)), mf.Torus(8, dim=2).density(np.ones((8, 8)))),
            TypeError,
            r"ParticleMeasure on T\^2",
        ),
        (
            lambda: wasserstein(mf.LayeredMeasure(np.zeros((2, 2, 2))), points(3, 2)),
            TypeError,
            "conditional_wasserstein",
        ),
        (lambda: transport_plan(points(3, 2), np.ones((3, 2))), TypeError, "ParticleMeasures.*ndarray"),
        (
            lambda: wasserstein(points(3, 2), points(3, 2), start=transport_plan(points(3, 2), points(4, 2))),
            ValueError,
            "between 3 and 3 points.*3 and 4",
        ),
        (lambda: wasserstein(points(3, 2), points(3, 2), start="cold"), TypeError, "TransportPlan.*got str"),
        (lambda: wasserstein(points(3, 2), np.ones((3, 2))), TypeError, "got ndarray"),
        (
            lambda: wasserstein(points(3, 2), mf.ParticleMeasure([[1e200, 0.0]])),
            ValueError,
            "must be finite.*1e\\+200",
        ),
        (lambda: wasserstein(points(3, 1), mf.ParticleMeasure([[1e200]])), ValueError, "must be finite"),
        (lambda: wasserstein(points(1, 1), mf.ParticleMeasure([[1e200]])), ValueError, "must be finite"),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_matrix_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(plans, "_LARGEST", 5)
    with pytest.raises(ValueError, match=r"n m <= 5 \(got 3 and 2\)"):
        wasserstein(points(3, 2), points(2, 2))


def test_plans_are_public():
    assert isinstance(transport_plan(points(2, 2), points(2, 2)), TransportPlan)
