"""The optimality certificate: searches against exact maxima, verdicts on optima and on students that are stuck."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield.theory import _search, optimality_certificate

EPS = np.finfo(float).eps
RELU = mf.TwoLayer(2, mf.relu)
PENALTY = 0.01


def data(network=RELU, *, samples=15, seed=3):
    """A target that relu represents with a few neurons."""
    x = np.random.default_rng(seed).standard_normal((samples, network.dim))
    return x, np.abs(x[:, 0]) - np.maximum(x[:, -1], 0)


def trained(network, mu, x, y, *, penalty=PENALTY, step=0.2, steps, loss=None):
    positions, loss = mu.positions, loss or mf.SquareLoss()
    for _ in range(steps):
        gradient = network.evaluate(mf.ParticleMeasure(positions, mu.weights), x, y, loss)[1]
        positions = positions - step * (gradient + penalty * positions)
    return mf.ParticleMeasure(positions, mu.weights)


def energy(network, mu, x, y, penalty, loss=None):
    squares = np.sum(mu.positions**2, axis=1)
    return network.risk(mu, x, y, loss or mf.SquareLoss()) + 0.5 * penalty * mu.weights @ squares


def start(network, m, seed=1):
    return mf.initial.sphere(network, m, np.random.default_rng(seed))


# ---- the searches ----------------------------------------------------------------------------------------------------


def first_variation(activation, x, seed=0):
    slopes = np.random.default_rng(seed).standard_normal(len(x)) / len(x)
    return _search.first_variation(activation, x, slopes)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", [mf.relu, mf.tanh], ids=lambda a: a.name)
def test_first_variation_is_the_networks(activation, bias):
    rng, network = np.random.default_rng(0), mf.TwoLayer(3, activation, bias)
    x, y, mu = rng.standard_normal((20, 3)), rng.standard_normal(20), mf.initial.gaussian(network, 6, rng)
    inputs = np.column_stack([x, np.ones(20)])[:, : network.parameters - 1]
    s = _search.first_variation(activation, inputs, (network.predict(mu, x) - y) / 20)
    probe = np.column_stack([np.ones(7), rng.standard_normal((7, network.parameters - 1))])
    value, gradient = s(probe[:, 1:])
    assert value == pytest.approx(network.first_variation(mu, x, y, probe), abs=1e-13)
    assert gradient == pytest.approx(network.first_variation_gradient(mu, x, y, probe)[:, 1:], abs=1e-13)


def test_blocks_of_rows_change_nothing(monkeypatch):
    x, w = np.random.default_rng(0).standard_normal((2, 30, 4))
    whole = first_variation(mf.tanh, x)(w)
    monkeypatch.setattr(_search, "_ENTRIES", 7 * 30)
    for one, other in zip(whole, first_variation(mf.tanh, x)(w)):
        assert np.abs(one - other).max() <= 32 * EPS * np.abs(x).max()


@settings(max_examples=15, deadline=None)
@given(samples=st.integers(1, 40), seed=st.integers(0, 999))
def test_nothing_on_the_circle_is_greater_than_the_exact_maximum_and_the_search_finds_it(samples, seed):
    x = np.random.default_rng(seed).standard_normal((samples, 2))
    s, turn = first_variation(mf.relu, x, seed), np.linspace(0, 2 * np.pi, 5001)
    exact, circle = (
        np.abs(s(_search.candidates_on_circle(s, x))[0]).max(),
        np.column_stack([np.cos(turn), np.sin(turn)]),
    )
    heights = np.abs(s(circle)[0])
    assert heights.max() * (1 - 1e-14) <= exact <= heights.max() + 1e-3 * np.abs(x).max()
    first = _search._best_of_each(-heights, circle, 4)
    found = max(np.abs(s(_search.ascend(s, x, w))[0]).max() for w in first)
    assert (1 - 1e-12) * exact <= found <= (1 + 1e-14) * exact


def every_cell(x, slopes):
    """max |s| on the sphere of R^3 for relu by trying the peak of every face, edge and corner of the arrangement."""

    def s(w):
        return np.maximum(w @ x.T, 0) @ slopes

    corners = np.array([np.cross(a, b) for a, b in itertools.combinations(x, 2)])
    corners /= np.linalg.norm(corners, axis=1)[:, None]
    inside = []
    for w in np.concatenate([corners, -corners]):  # cells, edges around a corner: all sides of its two planes
        near = np.abs(x @ w) < 1e-10
        for signs in itertools.product((0, 1), repeat=2):
            active = (x @ w > 0).astype(float)
            active[near] = signs
            slope = (slopes * active) @ x
            inside += [slope, *(slope - (slope @ n) / (n @ n) * n for n in x[near])]
    inside = np.array(inside)
    lengths = np.linalg.norm(inside, axis=1)
    inside = inside[lengths > 1e-12] / lengths[lengths > 1e-12][:, None]
    return np.abs(s(np.concatenate([corners, -corners, inside, -inside]))).max()


@pytest.mark.parametrize("seed", range(5))
def test_search_on_the_sphere_finds_the_greatest_of_all_cells(seed):
    rng = np.random.default_rng(seed)
    x, slopes = rng.standard_normal((8, 3)), rng.standard_normal(8) / 8
    s = _search.first_variation(mf.relu, x, slopes)
    where, height, exact = _search.greatest_on_sphere(s, x, rng.standard_normal((2, 3)), 512, 8)
    assert not exact
    assert np.linalg.norm(where) == pytest.approx(1, rel=1e-14)
    assert abs(height) == pytest.approx(every_cell(x, slopes), rel=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_search_in_the_box_goes_below_a_dense_grid(seed):
    x = np.random.default_rng(seed).standard_normal((10, 2))
    s, size = first_variation(mf.tanh, x, seed), 8.0
    where, bottom = _search.least_in_box(s, 0.02, size, np.ones((1, 2)), 512, 8)
    axis = np.linspace(-size, size, 201)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    dense = (0.01 * np.sum(grid**2, axis=1) - s(grid)[0] ** 2 / 0.04).min()
    assert bottom <= dense + 1e-14
    assert bottom == pytest.approx(0.01 * where @ where - s(where[None])[0][0] ** 2 / 0.04, rel=1e-13)
    assert bottom >= dense - 0.01


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_a_student_at_an_optimum_passes():
    """TWO-3, with steps four times as long and as few."""
    x, y = data()
    mu = trained(RELU, start(RELU, 60), x, y, steps=4000)
    found = optimality_certificate(RELU, mu, x, y, penalty=PENALTY)
    assert found.optimal
    assert found.exact
    assert (found.tolerance, found.level) == (0.05 * PENALTY, 0.0)
    assert abs(found.least) <= 1e-6 * PENALTY, "some |s| reaches λ: there are neurons"
    assert found.on_support <= 1e-6 * PENALTY
    assert 0 <= found.gap <= 1e-7
    assert str(found).startswith("optimal to 0.0005: G has the least value ")


@pytest.mark.parametrize("name", ["too narrow", "one sign", "asleep"])
def test_a_student_that_is_stuck_fails(name):
    x, y = data()
    mu = start(RELU, 2 if name == "too narrow" else 60)
    if name == "one sign":  # |a| = |w|: signs never change, and half of the target is out of reach
        mu = mf.ParticleMeasure(np.column_stack([np.abs(mu.positions[:, 0]), mu.positions[:, 1:]]))
    if name == "asleep":  # all data on one side, all neurons on the other
        x[:, 0], positions = np.abs(x[:, 0]) + np.abs(x[:, 1]), mu.positions.copy()
        positions[:, 1:] = [-1.0, 0.0]
        mu = mf.ParticleMeasure(positions)
    mu = trained(RELU, mu, x, y, steps=3000)
    found = optimality_certificate(RELU, mu, x, y, penalty=PENALTY)
    assert not found.optimal
    assert found.least < -10 * PENALTY
    assert found.on_support < 0.1 * PENALTY, "it is stationary: only the search shows that it is not optimal"
    assert str(found).startswith("not optimal")


def test_where_the_least_value_is_new_neurons_lower_the_energy():
    x, y = data()
    mu = trained(RELU, start(RELU, 2), x, y, steps=1500)
    found, before = optimality_certificate(RELU, mu, x, y, penalty=PENALTY), energy(RELU, mu, x, y, PENALTY)
    assert np.linalg.norm(found.where[1:]) == pytest.approx(1)
    variation = RELU.first_variation(mu, x, y, found.where[None])[0] + PENALTY
    assert variation == pytest.approx(found.least, rel=1e-12)
    for share in (1e-3, 1e-4):
        more = mf.ParticleMeasure(np.vstack([mu.positions, found.where]), np.append((1 - share) * mu.weights, share))
        assert energy(RELU, more, x, y, PENALTY) < before + 0.9 * share * found.least


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("loss", [mf.SquareLoss(), mf.LogisticLoss(), mf.HuberLoss(delta=0.3)], ids=str)
def test_the_gap_bounds_the_excess_energy(loss, seed):
    x, y = data()
    y, m, rng = np.sign(y) if isinstance(loss, mf.LogisticLoss) else y, 40, np.random.default_rng(seed)
    best = trained(RELU, start(RELU, m), x, y, steps=1200, loss=loss)
    least = energy(RELU, best, x, y, PENALTY, loss)
    at_best = optimality_certificate(RELU, best, x, y, penalty=PENALTY, loss=loss)
    assert at_best.gap <= 0.2 * least
    for size in (1.0, 0.1, 0.01):
        other = mf.ParticleMeasure(best.positions + size * rng.standard_normal(best.positions.shape))
        gap = optimality_certificate(RELU, other, x, y, penalty=PENALTY, loss=loss).gap
        assert energy(RELU, other, x, y, PENALTY, loss) - least <= gap


def test_smooth_neurons_are_judged_against_their_mean():
    network, penalty = mf.TwoLayer(1, mf.tanh), 0.02
    x = np.linspace(-1, 1, 10)[:, None]
    y = 4 * np.sin(2 * x[:, 0])
    mu = trained(network, mf.initial.gaussian(network, 20, np.random.default_rng(0)), x, y, penalty=penalty, steps=9000)
    found = optimality_certificate(network, mu, x, y, penalty=penalty)
    assert found.optimal, found
    assert found.level < -10 * found.tolerance, "neurons have equal weights and cannot vanish: G is negative on them"
    bad = mf.ParticleMeasure(mu.positions * [1.0, 1.5])
    excess = energy(network, bad, x, y, penalty) - energy(network, mu, x, y, penalty)
    assert not (other := optimality_certificate(network, bad, x, y, penalty=penalty)).optimal
    assert -found.gap <= excess <= other.gap


def test_a_bias_is_one_more_entry_of_w():
    network = mf.TwoLayer(1, mf.relu, bias=True)
    x = np.linspace(-1, 1, 9)[:, None]
    y = np.abs(x[:, 0] - 0.25)
    mu = trained(network, mf.initial.gaussian(network, 40, np.random.default_rng(0)), x, y, steps=6000)
    found = optimality_certificate(network, mu, x, y, penalty=PENALTY)
    assert found.exact
    assert found.optimal
    assert found.where.shape == (3,)


def test_particles_without_weight_and_neurons_that_fit_exactly():
    x, y = data()
    mu = trained(RELU, start(RELU, 60), x, y, steps=4000)
    more = mf.ParticleMeasure(np.vstack([mu.positions, [[5.0, 1.0, 2.0]]]), np.append(mu.weights, 0.0))
    assert optimality_certificate(RELU, more, x, y, penalty=PENALTY).optimal
    for network in (RELU, mf.TwoLayer(2, mf.tanh)):
        none = mf.ParticleMeasure(np.zeros((1, 3)))
        found = optimality_certificate(network, none, x, 0 * y, penalty=PENALTY)
        assert found.optimal
        assert found.gap == 0.0


def test_one_dimension_has_two_directions():
    network, x = mf.TwoLayer(1, mf.relu), np.array([[1.0], [-2.0]])
    found = optimality_certificate(network, mf.ParticleMeasure([[0.0, 1.0]]), x, np.array([0.3, -0.8]), penalty=1.0)
    assert found.exact
    assert found.least == pytest.approx(1 - 0.8)
    assert found.where == pytest.approx([-1.0, -1.0])


NEURONS = mf.ParticleMeasure(np.ones((3, 3)))
BAD = {
    "no penalty": (lambda: optimality_certificate(RELU, NEURONS, *data(), penalty=0.0), "needs a penalty"),
    "negative penalty": (lambda: optimality_certificate(RELU, NEURONS, *data(), penalty=-1.0), "needs a penalty"),
    "residual network": (
        lambda: optimality_certificate(mf.ResNet(2, mf.tanh), NEURONS, *data(), penalty=1.0), "must be a TwoLayer",
    ),
    "packing": (
        lambda: optimality_certificate(mf.TwoLayer(2, mf.relu, True), NEURONS, *data(), penalty=1.0), r"\(a, w, b\)",
    ),
    "labels": (lambda: optimality_certificate(RELU, NEURONS, data()[0], np.ones(2), penalty=1.0), "labels must have"),
    "degree": (
        lambda: optimality_certificate(
            mf.TwoLayer(2, mf.Activation("cube", lambda z: z**3, lambda z: 3 * z**2, homogeneity=3)), NEURONS, *data(),
            penalty=1.0,
        ), "degree 3",
    ),
    "no derivative": (
        lambda: optimality_certificate(mf.TwoLayer(2, mf.Activation("step", np.sign)), NEURONS, *data(), penalty=1.0),
        "with a derivative",
    ),
    "tolerance": (
        lambda: optimality_certificate(RELU, NEURONS, *data(), penalty=1.0, tolerance=0.0), "tolerance must be pos",
    ),
    "radius": (
        lambda: optimality_certificate(mf.TwoLayer(2, mf.tanh), NEURONS, *data(), penalty=1.0, radius=-1.0), "radius",
    ),
    "more starts than probes": (
        lambda: optimality_certificate(RELU, NEURONS, *data(), penalty=1.0, probes=4, starts=8), "probes must be at le",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_refused_in_one_line(name):
    call, words = BAD[name]
    with pytest.raises((ValueError, TypeError), match=words) as info:
        call()
    assert "\n" not in str(info.value)
