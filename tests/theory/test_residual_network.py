"""A-priori bounds of residual networks against gradients at random and adverse measures of the ball."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield.theory import (
    ActivationBounds,
    PLVerdict,
    ResidualBounds,
    certify_ball,
    certify_residual,
    check_run,
    feature_gram,
    initial_dissipation,
    initial_rates,
)

EPS = np.finfo(float).eps
GEOMETRY = mf.ConditionalWasserstein()


def problem(*, d=2, depth=6, m=40, samples=4, seed=0, spread=3.0, activation=mf.tanh, weighted=False, **lifts):
    rng = np.random.default_rng(seed)
    network = mf.ResNet(d, activation, **lifts)
    positions = spread * rng.standard_normal((depth, m, 2 * d + 1))
    positions[..., :d] = 0.0
    mu = mf.LayeredMeasure(positions, rng.random((depth, m)) if weighted else None, normalise=weighted)
    x, y = rng.standard_normal((samples, network.inputs)), rng.standard_normal((samples, network.outputs))
    return network, mu, x, y, rng


def ratio(network, mu, x, y):
    """``|G|²/(2 Risk)``."""
    return GEOMETRY.squared_norm(mu, network.gradient(mu, x, y)) / (2 * network.risk(mu, x, y))


def displaced(mu, direction, radius):
    """The measure whose particles moved by a distance ``radius`` in all, along ``direction``."""
    length = math.sqrt(np.sum(mu.weights * (direction**2).sum(axis=2)) / mu.depth)
    return mf.LayeredMeasure(mu.positions + radius / length * direction, mu.weights)


# ---- u = 0 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lifted", [False, True])
@pytest.mark.parametrize("activation", [mf.tanh, mf.erf, mf.relu], ids=str)
def test_the_closed_form_of_the_first_slope(activation, lifted):
    rng = np.random.default_rng(5)
    lifts = {"lift": rng.standard_normal((2, 3)), "readout": rng.standard_normal((1, 2))} if lifted else {}
    network, mu, x, y, _ = problem(activation=activation, samples=9, weighted=True, **lifts)
    exact = GEOMETRY.squared_norm(mu, network.gradient(mu, x, y))
    assert initial_dissipation(network, mu, x, y) == pytest.approx(exact, rel=256 * EPS)
    least, largest = initial_rates(network, mu, x)
    assert least * (1 - 1e-12) <= exact / network.risk(mu, x, y) <= largest * (1 + 1e-12)


def test_both_first_rates_are_attained():
    network, mu, x, _, _ = problem()
    _, vectors = np.linalg.eigh(feature_gram(network, mu, x).mean(axis=0))
    for rate, vector in zip(initial_rates(network, mu, x), (vectors[:, 0], vectors[:, -1])):
        y = x + np.outer(vector, [0.3, -0.4])
        assert initial_dissipation(network, mu, x, y) / network.risk(mu, x, y) == pytest.approx(rate, rel=1e-11)


# ---- on the ball ---------------------------------------------------------------------------------------------------


def test_at_radius_0_the_constant_is_sharp():
    """The same atoms in every layer, residuals in the slowest direction: |G|² = 2 m(0) Risk."""
    network, mu, x, _, _ = problem()
    mu = mf.LayeredMeasure(np.repeat(mu.positions[:1], 6, axis=0))
    _, vectors = np.linalg.eigh(feature_gram(network, mu, x)[0])
    bounds = ResidualBounds(network, mu, x)
    for bound, column in ((bounds.lower, 0), (bounds.upper, -1)):
        y = x + np.outer(vectors[:, column], [1.0, 0.0])
        assert ratio(network, mu, x, y) == pytest.approx(bound(0.0), rel=1e-10)


CASES = [
    {},
    {"weighted": True, "depth": 1},
    {"activation": mf.erf, "spread": 2.0},
    {"activation": mf.sigmoid, "d": 1, "samples": 2},
    {"activation": mf.cos, "spread": 1.0},
    {"readout": np.array([[0.5, -1.5]]), "lift": np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 2.0]])},
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join(c) or "plain")
@given(seed=st.integers(0, 2**31), share=st.floats(0.01, 0.9), slow=st.booleans(), part=st.integers(0, 2))
@settings(max_examples=25, deadline=None)
def test_both_bounds_hold_on_the_ball(case, seed, share, slow, part):
    """Random moves of everything, of u alone or of (w, b) alone; residuals random or in the slowest direction."""
    network, mu, x, _, _ = problem(**case)
    rng = np.random.default_rng(seed)
    bounds = ResidualBounds(network, mu, x)
    assert bounds.lower(0.0) > 0
    radius, direction = share * bounds.reach(), rng.standard_normal(mu.positions.shape)
    if part:
        direction[..., network.dim :] *= part == 1
        direction[..., : network.dim] *= part == 2
    moved = displaced(mu, direction, radius)
    residual = rng.standard_normal((len(x), network.outputs))
    if slow:
        residual = np.outer(np.linalg.eigh(feature_gram(network, mu, x).mean(axis=0))[1][:, 0], residual[0])
    found = ratio(network, moved, x, network.predict(moved, x) - residual)
    assert bounds.lower(radius) * (1 - 1e-9) <= found <= bounds.upper(radius) * (1 + 1e-9)


@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join(c) or "plain")
def test_features_and_covectors_change_no_more_than_said(case):
    """Adverse moves: u against wσ', so that all contracts, (w, b) along the data; features as an operator, by layer."""
    network, mu, x, _, _ = problem(**case)
    bounds, d = ResidualBounds(network, mu, x), network.dim
    radius = 0.5 * bounds.reach()
    start = network.states(mu, x)[0]
    before = mu.positions[..., d : 2 * d] @ start.T + mu.positions[..., 2 * d :]
    slope = network.activation.derivative
    for share in (0.0, 0.5, 1.0):
        direction = np.zeros_like(mu.positions)
        direction[..., :d] = -mu.positions[..., d : 2 * d] * slope(before[..., :1])
        direction *= math.sqrt(1 - share**2) / math.sqrt(np.sum(mu.weights * (direction**2).sum(axis=2)) / mu.depth)
        direction[..., d:] = share * np.append(start[0], 1.0) / np.linalg.norm(np.append(start[0], 1.0))
        moved = displaced(mu, direction, radius)
        states = network.states(moved, x)[:-1]
        pre = np.einsum("lmd,lid->lmi", moved.positions[..., d : 2 * d], states) + moved.positions[..., 2 * d :]
        change = np.sqrt(mu.weights)[..., None] * (network.activation(pre) - network.activation(before))
        assert np.sqrt(np.mean(np.linalg.norm(change, ord=2, axis=(1, 2)) ** 2)) <= bounds.feature_change(radius)
        u, w = moved.positions[..., :d], moved.positions[..., d : 2 * d]
        step = np.eye(d) + np.einsum("lm,lmi,lmd,lme->lide", mu.weights, slope(pre), u, w) / mu.depth
        least = np.linalg.norm(step, ord=-2, axis=(2, 3)).prod(axis=0).min()
        assert least >= 1 - bounds.covector_change(radius)
        if share == 0 and bounds.activation.bell:
            assert least < 1 - 0.15 * bounds.covector_change(radius)  # the move is adverse: the bound is of this size


def test_the_sharper_bound_beats_the_closed_form_where_it_certifies():
    """COT-5's setting: (w, b) ~ N(0, 9 I), N = 6, d = 2, L = 10, m = 100."""
    network, mu, x, _, _ = problem(depth=10, m=100, samples=6)
    bounds = ResidualBounds(network, mu, x)
    for radius in np.linspace(0.0, bounds.reach(), 9):
        assert bounds.lower(radius) >= bounds.coarse(radius)
    radii = np.linspace(0.0, bounds.reach(), 129)[1:]
    printed = certify_ball(bounds.coarse, 0.0, radii=radii).largest_gap
    assert certify_residual(network, mu, x, x).largest_gap >= 36 * printed  # of the risk: 6 × in displacement


def test_many_layers_approach_the_continuum():
    """Alike layers: the norm of the triangular matrix grows to 2/π of its entries' sum."""
    network, mu, x, _, _ = problem(depth=1)
    values = []
    for depth in (1, 10, 200):
        layers = mf.LayeredMeasure(np.repeat(mu.positions, depth, axis=0))
        bounds = ResidualBounds(network, layers, x)
        values.append(bounds._through_states(0.0))
        assert bounds.lower(0.01) == pytest.approx(ResidualBounds(network, layers, x[::-1]).lower(0.01), rel=1e-12)
    slopes = network.activation.derivative(mu.positions[0, :, 2:4] @ x.T + mu.positions[0, :, 4:])
    weighted = np.linalg.norm(mu.positions[0, :, 2:4], axis=1)[:, None] * slopes
    limit = 2 / math.pi * np.linalg.norm(weighted, ord=2) / math.sqrt(mu.width)
    assert values[0] == 0 < values[1] < values[2] < limit
    assert values[2] == pytest.approx(limit, rel=0.01)


# ---- certificates --------------------------------------------------------------------------------------------------


def descent(network, mu, x, y, steps, dt=1.0):
    """Gradient descent: risk, |G|² and distance to the start, every ten steps."""
    rows, state = [], mu
    for step in range(steps + 1):
        gradient = network.gradient(state, x, y)
        if step % 10 == 0:
            slope = GEOMETRY.squared_norm(state, gradient)
            rows.append([network.risk(state, x, y), slope, mf.conditional_wasserstein(mu, state)])
        state = mf.LayeredMeasure(state.positions - dt * gradient, mu.weights)
    return np.array(rows).T


def test_what_is_certified_is_seen_and_a_wrong_constant_is_caught():
    """A run ends in the slowest direction, where the constant is sharp but for its margin."""
    network, mu, x, y, _ = problem(depth=4, m=60, samples=3)
    y = x + 1e-3 * y
    certificate = certify_residual(network, mu, x, y)
    assert certificate.verdict is PLVerdict.CERTIFIED
    run = descent(network, mu, x, y, 200)
    time = np.arange(0.0, 201.0, 10.0)
    assert check_run(certificate, *run, time=time, tolerance=1e-6).verdict is PLVerdict.CERTIFIED
    lower = ResidualBounds(network, mu, x).lower
    wrong = dataclasses.replace(certificate, lower=lambda r: 10 * lower(r), verdict=PLVerdict.NOT_CERTIFIED)
    assert check_run(wrong, *run).verdict is PLVerdict.BOUND_VIOLATED


def test_large_displacements_are_not_certified():
    network, mu, x, y, _ = problem()
    assert certify_residual(network, mu, x, x).verdict is PLVerdict.CERTIFIED
    assert certify_residual(network, mu, x, x + y).verdict is PLVerdict.NOT_CERTIFIED


def test_fewer_features_than_data_certify_nothing():
    network, mu, x, y, _ = problem(m=3, samples=4)
    bounds = ResidualBounds(network, mu, x)
    assert bounds.lower(0.0) == 0 == bounds.reach()
    assert certify_residual(network, mu, x, x + 1e-9 * y).verdict is PLVerdict.NOT_CERTIFIED


def test_a_readout_that_is_not_onto_certifies_nothing():
    readout = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    network, mu, x, _, _ = problem(readout=readout)
    assert ResidualBounds(network, mu, x).lower(0.0) == 0


def test_other_activations_need_their_bounds():
    triangle = mf.Activation("arctan", np.arctan, lambda z: 1 / (1 + z**2))
    network, mu, x, _, _ = problem(activation=triangle)
    with pytest.raises(ValueError, match=r"need \|σ\| and \|σ'\| bounded.*\(got arctan\); pass activation="):
        ResidualBounds(network, mu, x)
    plain, bell = (ResidualBounds(network, mu, x, ActivationBounds(math.pi / 2, 1.0, b)) for b in (False, True))
    assert 0 < plain.lower(0.01) < bell.lower(0.01)


def test_a_start_that_moves_its_states_is_refused():
    network, mu, x, y, _ = problem()
    moved = displaced(mu, np.ones_like(mu.positions), 1.0)
    for call in (
        lambda: initial_dissipation(network, moved, x, y),
        lambda: initial_rates(network, moved, x),
        lambda: ResidualBounds(network, moved, x),
        lambda: certify_residual(network, moved, x, y),
    ):
        with pytest.raises(ValueError, match=r"u must be 0 in every particle \(got \|u\| up to"):
            call()
    with pytest.raises(ValueError, match="a radius must not be negative"):
        ResidualBounds(network, mu, x).lower(-1.0)
    with pytest.raises(ValueError, match="closed form needs"):
        ResidualBounds(*problem(activation=mf.erf)[:3]).coarse(0.1)
