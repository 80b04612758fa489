"""The conditional distance: layer by layer against POT and assignments, the two bounds, geodesics, starts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

import meanfield as mf
from meanfield.distances import conditional_plan, conditional_wasserstein, labelled_distance, wasserstein

seeds = st.integers(0, 2**32 - 1)


def layers(rng, depth, width, dim, *, weighted=False):
    weights = rng.dirichlet(np.ones(width), depth) if weighted else None
    return mf.LayeredMeasure(rng.normal(size=(depth, width, dim)), weights)


def joint(mu):
    """The measure on [0, 1] × R^p, its layers at depths l/L."""
    depth = np.broadcast_to((np.arange(mu.depth) / mu.depth)[:, None, None], (*mu.positions.shape[:2], 1))
    points = np.concatenate([depth, mu.positions], axis=2)
    return mf.ParticleMeasure(points.reshape(-1, points.shape[2]), mu.weights.ravel() / mu.depth)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_layers_agree_with_pot(dim, weighted):
    import ot

    rng = np.random.default_rng(dim)
    mu, nu = layers(rng, 5, 30, dim, weighted=weighted), layers(rng, 5, 20, dim, weighted=weighted)
    squares = [
        ot.emd2(a, b, ((x[:, None] - y) ** 2).sum(axis=-1))
        for x, a, y, b in zip(mu.positions, mu.weights, nu.positions, nu.weights)
    ]
    expected = math.sqrt(np.mean(squares))
    assert conditional_wasserstein(mu, nu) == pytest.approx(expected, abs=1e-10)
    plan = conditional_plan(mu, nu)
    assert plan.value == pytest.approx(expected, abs=1e-10)
    assert [p.value**2 for p in plan.plans] == pytest.approx(squares, abs=1e-10)


def test_equal_widths_are_assignments():
    rng = np.random.default_rng(2)
    mu, nu = layers(rng, 4, 50, 3), layers(rng, 4, 50, 3)
    for layer, plan in enumerate(conditional_plan(mu, nu).plans):
        cost = ((mu.positions[layer][:, None] - nu.positions[layer]) ** 2).sum(axis=-1)
        np.testing.assert_array_equal(plan.targets, linear_sum_assignment(cost)[1])


@settings(deadline=None, max_examples=40)
@given(seeds, st.booleans())
def test_it_is_a_distance_between_its_two_bounds(seed, weighted):
    rng = np.random.default_rng(seed)
    depth, width, dim = (int(n) for n in rng.integers(1, 6, 3))
    a, b, c = (layers(rng, depth, width, dim, weighted=weighted) for _ in range(3))
    ab = conditional_wasserstein(a, b)
    assert conditional_wasserstein(a, a) == 0.0
    assert ab == pytest.approx(conditional_wasserstein(b, a), rel=1e-12)
    assert ab <= conditional_wasserstein(a, c) + conditional_wasserstein(c, b) + 1e-12
    assert ab >= wasserstein(joint(a), joint(b)) - 1e-12
    b = mf.LayeredMeasure(b.positions, a.weights)
    assert conditional_wasserstein(a, b) <= labelled_distance(a, b) * (1 + 1e-12)


def test_moving_mass_between_layers_is_not_allowed():
    """Layers exchanged: W₂ of the joint measures is at most the step in depth, the conditional distance is not."""
    mu = mf.LayeredMeasure([[[0.0, 0.0]], [[9.0, 0.0]]])
    nu = mf.LayeredMeasure([[[9.0, 0.0]], [[0.0, 0.0]]])
    assert conditional_wasserstein(mu, nu) == pytest.approx(9.0)
    assert wasserstein(joint(mu), joint(nu)) == pytest.approx(0.5)


def test_nearby_clouds_are_at_their_labelled_distance():
    rng = np.random.default_rng(3)
    mu = layers(rng, 6, 40, 3)
    gaps = np.linalg.norm(mu.positions[:, :, None] - mu.positions[:, None], axis=-1) + 10 * np.eye(40)
    moves = rng.normal(size=mu.positions.shape)
    moves *= 0.499 * gaps.min() / np.linalg.norm(moves, axis=-1).max()
    nu = mf.LayeredMeasure(mu.positions + moves)
    assert conditional_wasserstein(mu, nu) == pytest.approx(labelled_distance(mu, nu), rel=1e-13)
    far = mf.LayeredMeasure(mu.positions[:, ::-1])
    assert conditional_wasserstein(mu, far) == 0.0 < labelled_distance(mu, far)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("widths", [(30, 30), (30, 20), (12, 25)])
def test_geodesics_have_constant_speed(widths, weighted):
    rng = np.random.default_rng(4)
    mu, nu = (layers(rng, 3, width, 2, weighted=weighted) for width in widths)
    plan = conditional_plan(mu, nu)
    ends = {0.0: mu, 1.0: nu}
    for s, t in ((0.0, 0.3), (0.3, 0.8), (0.8, 1.0), (0.0, 1.0)):
        first, second = plan.geodesic(s), plan.geodesic(t)
        assert conditional_wasserstein(first, second) == pytest.approx((t - s) * plan.value, rel=1e-9)
        for time, state in ((s, first), (t, second)):
            if time in ends:
                assert conditional_wasserstein(state, ends[time]) < 1e-7
        np.testing.assert_allclose(first.weights.sum(axis=1), 1, rtol=0, atol=1e-14)
        empty = first.weights == 0  # layers with fewer pairs than others: there, where a particle with mass is
        np.testing.assert_array_equal(first.positions[empty], first.positions[np.nonzero(empty)[0], 0])


def test_geodesics_of_permutations_keep_particles_and_their_order():
    rng = np.random.default_rng(5)
    mu, nu = layers(rng, 3, 20, 2), layers(rng, 3, 20, 2)
    start = conditional_plan(mu, nu).geodesic(0.0)
    np.testing.assert_array_equal(start.positions, mu.positions)
    np.testing.assert_allclose(start.weights, mu.weights, rtol=1e-15)


def test_a_start_does_not_change_the_value():
    rng = np.random.default_rng(6)
    mu, nu = layers(rng, 4, 40, 3), layers(rng, 4, 30, 3, weighted=True)
    plan = conditional_plan(mu, nu)
    later = mf.LayeredMeasure(mu.positions + 1e-3 * rng.normal(size=mu.positions.shape))
    expected = conditional_wasserstein(later, nu)
    assert conditional_wasserstein(later, nu, start=plan) == pytest.approx(expected, rel=1e-14)
    assert conditional_plan(later, nu, start=plan).value == pytest.approx(expected, rel=1e-14)


def test_threads_do_not_change_a_bit():
    rng = np.random.default_rng(7)
    mu, nu = layers(rng, 7, 60, 3), layers(rng, 7, 50, 3, weighted=True)
    values = set()
    try:
        for threads in (1, 2, 4):
            mf.parallel.set_threads(threads)
            values.add((conditional_wasserstein(mu, nu), conditional_plan(mu, nu).geodesic(0.3).positions.tobytes()))
    finally:
        mf.parallel.set_threads(mf.parallel._default())
    assert len(values) == 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda a: conditional_wasserstein(a, mf.ParticleMeasure([[0.0]])), TypeError, "LayeredMeasures.*Particle"),
        (lambda a: conditional_wasserstein(a, mf.LayeredMeasure(np.zeros((3, 2, 2)))), ValueError, "layers.*2 and 3"),
        (lambda a: conditional_plan(a, mf.LayeredMeasure(np.zeros((2, 2, 3)))), ValueError, "dimension p.*2 and 3"),
        (lambda a: labelled_distance(a, mf.LayeredMeasure(np.zeros((2, 3, 2)))), ValueError, "widths 2 and 3"),
        (
            lambda a: labelled_distance(a, mf.LayeredMeasure(np.zeros((2, 2, 2)), [[0.5, 0.5], [0.25, 0.75]])),
            ValueError,
            "other weights",
        ),
        (lambda a: conditional_plan(a, a).geodesic(1.5), ValueError, r"t must be in \[0, 1\] \(got 1.5\)"),
        (lambda a: conditional_plan(a, a).geodesic(math.nan), ValueError, "finite"),
        (
            lambda a: conditional_plan(a, a, start=conditional_plan(*2 * [mf.LayeredMeasure(np.zeros((3, 2, 2)))])),
            ValueError,
            r"start must have 2 layers \(got 3\)",
        ),
        (
            lambda a: conditional_plan(a, a, start=conditional_plan(a, mf.LayeredMeasure(np.zeros((2, 3, 2))))),
            ValueError,
            "between 2 and 2 points.*2 and 3",
        ),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call(mf.LayeredMeasure([[[0.0, 1.0], [2.0, 3.0]], [[0.0, 2.0], [5.0, 3.0]]]))
    assert "\n" not in str(caught.value)
