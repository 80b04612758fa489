"""Two-layer networks: exact gradients, independent routes, invariances, memory."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield.models import _doors

EPS = np.finfo(float).eps
BUILT_IN = [mf.relu, mf.tanh, mf.erf, mf.sigmoid, mf.softplus, mf.cos]
LOSSES = [mf.SquareLoss(), mf.LogisticLoss(), mf.HingeLoss(), mf.HuberLoss(delta=0.5)]


def through_blas(network):
    """The same network by the other route: an activation without a compiled kernel."""
    return dataclasses.replace(network, activation=dataclasses.replace(network.activation, code=None))


def case(activation=mf.tanh, *, d=3, m=13, samples=40, bias=True, seed=0):
    rng = np.random.default_rng(seed)
    network, weights = mf.TwoLayer(d, activation, bias), rng.random(m)
    mu = mf.ParticleMeasure(rng.standard_normal((m, network.parameters)), weights / weights.sum())
    return network, mu, rng.standard_normal((samples, d)), rng.choice([-1.0, 1.0], samples), rng


def moved(mu, direction, t):
    return mf.ParticleMeasure(mu.positions + t * direction, mu.weights)


def away_from_kinks(network, mu, x, y, loss, direction):
    """How far one may go before relu, hinge or Huber change their piece: a first-order bound, halved."""
    inputs = np.column_stack([x, np.ones(len(x))])[:, : network.parameters - 1]
    z, dz = inputs @ mu.positions[:, 1:].T, inputs @ direction[:, 1:].T
    h = network.predict(mu, x)
    dh = (network.predict(moved(mu, direction, 1e-4), x) - h) / 1e-4
    corner = {"HingeLoss": h * y - 1, "HuberLoss": np.abs(h - y) - 0.5}.get(type(loss).__name__, np.ones(1))
    return 0.5 * min(np.min(np.abs(z / dz)), np.min(np.abs(corner)) / np.abs(dh).max())


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("activation", BUILT_IN, ids=lambda a: a.name)
def test_gradient_against_central_differences(activation, loss):
    network, mu, x, y, rng = case(activation)
    direction = rng.standard_normal(mu.positions.shape)
    step = min(2e-4, 0.5 * away_from_kinks(network, mu, x, y, loss, direction))
    risks = [network.risk(moved(mu, direction, t * step), x, y, loss) for t in (-2, -1, 1, 2)]
    difference = (risks[0] - 8 * risks[1] + 8 * risks[2] - risks[3]) / (12 * step)  # of order 4
    exact = np.sum(mu.weights[:, None] * network.gradient(mu, x, y, loss) * direction)
    assert difference == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("activation", [a for a in BUILT_IN if a.smooth], ids=lambda a: a.name)
def test_taylor_rest_is_of_order_two(activation):
    network, mu, x, y, rng = case(activation)
    direction = rng.standard_normal(mu.positions.shape)
    slope = np.sum(mu.weights[:, None] * network.gradient(mu, x, y) * direction)
    steps = 0.02 * 0.5 ** np.arange(5)
    rest = [network.risk(moved(mu, direction, t), x, y) - network.risk(mu, x, y) - t * slope for t in steps]
    orders = np.diff(np.log(np.abs(rest))) / np.diff(np.log(steps))
    assert np.all(np.abs(orders[1:] - 2) <= 0.1), orders


@settings(max_examples=40, deadline=None)
@given(
    d=st.integers(1, 12), m=st.integers(1, 40), samples=st.integers(1, 600), bias=st.booleans(),
    activation=st.sampled_from(BUILT_IN), seed=st.integers(0, 99),
)  # fmt: skip
def test_fused_and_blas_routes_agree(d, m, samples, bias, activation, seed):
    network, mu, x, y, rng = case(activation, d=d, m=m, samples=samples, bias=bias, seed=seed)
    other, loss = through_blas(network), mf.LogisticLoss()
    probe = rng.standard_normal((5, network.parameters))
    scale = 64 * (d + m) * EPS * (1 + np.abs(x).max()) * (1 + np.abs(mu.positions).max()) ** 2
    for name, arguments in (
        ("predict", ()), ("risk", (y, loss)), ("gradient", (y, loss)), ("first_variation", (y, probe, loss)),
        ("first_variation_gradient", (y, probe, loss)),
    ):  # fmt: skip
        first, second = (getattr(net, name)(mu, x, *arguments) for net in (network, other))
        assert np.abs(first - second).max() <= scale, name


def test_both_routes_are_taken():
    assert _doors.fused(_doors.FUSED_DIM, mf.tanh)
    assert not _doors.fused(_doors.FUSED_DIM + 1, mf.tanh)
    assert not _doors.fused(2, dataclasses.replace(mf.tanh, code=None))
    d = _doors.FUSED_DIM + 2
    network, mu, x, y, _ = case(mf.erf, d=d, m=300)
    first, second = (net.gradient(mu, x, y) for net in (network, through_blas(network)))
    assert np.abs(first - second).max() <= 64 * d * EPS * np.abs(first).max()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", BUILT_IN, ids=lambda a: a.name)
def test_force_between_charges_is_the_gradient(activation, bias):
    network, mu, x, y, _ = case(activation, bias=bias)
    assert np.abs(network.gradient_pairwise(mu, x, y) - network.gradient(mu, x, y)).max() <= 1e-12


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_first_variation_is_the_derivative_towards_a_point_mass(loss):
    network, mu, x, y, rng = case()
    probe, step = rng.standard_normal((4, network.parameters)), 1e-6
    values = network.first_variation(mu, x, y, probe, loss)
    at_mu = mu.weights @ network.first_variation(mu, x, y, mu.positions, loss)
    for theta, value in zip(probe, values):
        risks = []
        for t in (step, 2 * step):
            weights = np.append((1 - t) * mu.weights, t)
            risks.append(network.risk(mf.ParticleMeasure(np.vstack([mu.positions, theta]), weights), x, y, loss))
        slope = (4 * risks[0] - risks[1] - 3 * network.risk(mu, x, y, loss)) / (2 * step)
        assert slope == pytest.approx(value - at_mu, abs=1e-8)


def test_first_variation_and_its_gradient_belong_together():
    network, mu, x, y, rng = case()
    assert np.array_equal(network.first_variation_gradient(mu, x, y, mu.positions), network.gradient(mu, x, y))
    probe, direction = rng.standard_normal((2, 7, network.parameters))
    difference = network.first_variation(mu, x, y, probe + 1e-5 * direction) - network.first_variation(
        mu, x, y, probe - 1e-5 * direction
    )
    slope = np.sum(network.first_variation_gradient(mu, x, y, probe) * direction, axis=1)
    assert np.abs(difference / 2e-5 - slope).max() <= 1e-9


def test_first_variation_needs_no_derivative():
    step = mf.Activation("step", lambda z: np.where(z > 0, 1.0, 0.0))
    network, mu, x, y, _ = case(step)
    features = np.column_stack([x, np.ones(len(x))]) @ mu.positions[:, 1:].T > 0
    residual = (network.predict(mu, x) - y) / len(x)
    expected = mu.positions[:, 0] * (residual @ features)
    assert np.abs(network.first_variation(mu, x, y, mu.positions) - expected).max() <= 1e-14
    with pytest.raises(ValueError, match=r"a gradient needs an activation with a derivative \(got .*step"):
        network.gradient(mu, x, y)


@pytest.mark.parametrize("make", [lambda n: n, through_blas], ids=["fused", "blas"])
def test_a_measure_has_no_order_and_no_empty_particles(make):
    network, mu, x, y, rng = case(samples=70)
    network = make(network)
    h, g = network.predict(mu, x), network.gradient(mu, x, y)
    tolerance = 64 * EPS * (1 + np.abs(g).max())
    order = rng.permutation(mu.number)
    shuffled = mf.ParticleMeasure(mu.positions[order], mu.weights[order])
    assert np.abs(network.predict(shuffled, x) - h).max() <= tolerance
    assert np.abs(network.gradient(shuffled, x, y) - g[order]).max() <= tolerance
    extra = rng.standard_normal((6, network.parameters))
    padded = mf.ParticleMeasure(np.vstack([mu.positions, extra]), np.append(mu.weights, np.zeros(6)))
    assert np.abs(network.predict(padded, x) - h).max() <= tolerance
    assert np.abs(network.gradient(padded, x, y)[: mu.number] - g).max() <= tolerance
    twice = mf.ParticleMeasure(np.repeat(mu.positions, 2, axis=0), np.repeat(mu.weights / 2, 2))
    assert np.abs(network.gradient(twice, x, y)[::2] - g).max() <= tolerance


def test_equal_weights_multiply_the_euclidean_gradient_by_m():
    rng = np.random.default_rng(5)
    network, positions = mf.TwoLayer(1, mf.tanh), rng.standard_normal((4, 2))
    x, y = rng.standard_normal((9, 1)), rng.standard_normal(9)
    plain = np.zeros((4, 2))
    for i, j in np.ndindex(4, 2):
        up, down = positions.copy(), positions.copy()
        up[i, j] += 1e-5
        down[i, j] -= 1e-5
        up, down = (network.risk(mf.ParticleMeasure(p), x, y) for p in (up, down))
        plain[i, j] = (up - down) / 2e-5
    assert np.abs(network.gradient(mf.ParticleMeasure(positions), x, y) - 4 * plain).max() <= 1e-9


def test_relu_networks_are_homogeneous():
    """``a ∂_a F' = w·∂_w F'``: what conserves a² − |w|² along the flow."""
    network, mu, x, y, _ = case(mf.relu, bias=False)
    g = network.gradient(mu, x, y)
    assert np.abs(mu.positions[:, 0] * g[:, 0] - np.sum(mu.positions[:, 1:] * g[:, 1:], axis=1)).max() <= 1e-14


def test_nothing_given_is_changed_and_one_pass_is_two_calls():
    network, mu, x, y, _ = case()
    before = [a.copy() for a in (mu.positions, mu.weights, x, y)]
    risk, gradient = network.evaluate(mu, x, y, mf.SquareLoss())
    assert risk == network.risk(mu, x, y)
    assert np.array_equal(gradient, network.gradient(mu, x, y))
    assert all(np.array_equal(now, then) for now, then in zip((mu.positions, mu.weights, x, y), before))


def test_memory_does_not_grow_with_neurons_times_samples():
    network, mu, x, y, _ = case(mf.relu, d=2, m=20_000, samples=1_000, bias=False)
    network.gradient(mu, x, y)
    tracemalloc.start()
    network.gradient(mu, x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 8 * (6 * mu.positions.size + 40 * len(x)) + 2**20  # one array (N, m) would be 160 MB
