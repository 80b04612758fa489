"""Residual networks: exact gradients, independent routes, invariances, lifts, memory."""

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


def case(activation=mf.tanh, *, d=3, depth=4, m=11, samples=30, seed=0, **lifts):
    rng = np.random.default_rng(seed)
    network, weights = mf.ResNet(d, activation, **lifts), rng.random((depth, m))
    mu = mf.LayeredMeasure(rng.standard_normal((depth, m, 2 * d + 1)), weights, normalise=True)
    x, y = rng.standard_normal((samples, network.inputs)), rng.choice([-1.0, 1.0], (samples, network.outputs))
    return network, mu, x, y, rng


def moved(mu, direction, t):
    return mf.LayeredMeasure(mu.positions + t * direction, mu.weights)


def paired(mu, gradient, direction):
    """``∫∫ ⟨G, V⟩ dμ(·|s) ds``."""
    return np.sum(mu.weights[..., None] * gradient * direction) / mu.depth


def by_loops(network, mu, x):
    """The recursion, neuron by neuron."""
    d, states = network.dim, [np.array(x)]
    for layer in range(mu.depth):
        new = states[-1].copy()
        for a, theta in zip(mu.weights[layer], mu.positions[layer]):
            u, w, b = theta[:d], theta[d : 2 * d], theta[2 * d]
            new += (a / mu.depth) * network.activation(states[-1] @ w + b)[:, None] * u
        states.append(new)
    return np.array(states)


@pytest.mark.parametrize("activation", BUILT_IN, ids=lambda a: a.name)
def test_states_are_the_recursion(activation):
    network, mu, x, _, _ = case(activation, samples=300)
    states = by_loops(network, mu, x)
    for net in (network, through_blas(network)):
        assert np.abs(net.states(mu, x) - states).max() <= 64 * EPS * np.abs(states).max()
        assert np.array_equal(net.states(mu, x)[0], x)
        assert np.array_equal(net.predict(mu, x), net.states(mu, x)[-1])


def central(network, mu, x, y, loss, direction, step):
    """The derivative along a direction, of order 4 in the step."""
    risks = [network.risk(moved(mu, direction, t * step), x, y, loss) for t in (-2, -1, 1, 2)]
    return (risks[0] - 8 * risks[1] + 8 * risks[2] - risks[3]) / (12 * step)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("activation", BUILT_IN, ids=lambda a: a.name)
def test_gradient_against_central_differences(activation, loss):
    network, mu, x, y, rng = case(activation)
    direction = rng.standard_normal(mu.positions.shape)
    exact = paired(mu, network.gradient(mu, x, y, loss), direction)
    smooth = activation.smooth and isinstance(loss, mf.SquareLoss | mf.LogisticLoss)
    if smooth:
        assert central(network, mu, x, y, loss, direction, 2e-4) == pytest.approx(exact, rel=1e-8)
    else:  # relu, hinge, Huber: the difference is exact up to rounding until a kink is crossed
        errors = [abs(central(network, mu, x, y, loss, direction, step) / exact - 1) for step in (1e-4, 1e-5, 1e-6)]
        assert min(errors) <= 1e-8, errors


@pytest.mark.parametrize("activation", [a for a in BUILT_IN if a.smooth], ids=lambda a: a.name)
def test_taylor_rest_is_of_order_two(activation):
    network, mu, x, y, rng = case(activation)
    direction = rng.standard_normal(mu.positions.shape)
    slope = paired(mu, network.gradient(mu, x, y), direction)
    steps = 0.02 * 0.5 ** np.arange(5)
    rest = [network.risk(moved(mu, direction, t), x, y) - network.risk(mu, x, y) - t * slope for t in steps]
    orders = np.diff(np.log(np.abs(rest))) / np.diff(np.log(steps))
    assert np.all(np.abs(orders[1:] - 2) <= 0.1), orders


@settings(max_examples=30, deadline=None)
@given(
    d=st.integers(1, 12), depth=st.integers(1, 4), m=st.integers(1, 20), samples=st.integers(1, 600),
    activation=st.sampled_from(BUILT_IN), seed=st.integers(0, 99),
)  # fmt: skip
def test_fused_and_blas_routes_agree(d, depth, m, samples, activation, seed):
    network, mu, x, y, _ = case(activation, d=d, depth=depth, m=m, samples=samples, seed=seed)
    other, loss = through_blas(network), mf.LogisticLoss()
    states = network.states(mu, x)
    size = 1 + np.abs(mu.positions).max()
    growth = (1 + np.abs(states).max()) * (size * size * d) ** 2 * np.exp(d * size)
    for name, arguments in (("states", ()), ("risk", (y, loss)), ("gradient", (y, loss))):
        first, second = (getattr(net, name)(mu, x, *arguments) for net in (network, other))
        assert np.abs(first - second).max() <= 64 * EPS * growth, name


@pytest.mark.parametrize("d", [_doors.FUSED_DIM, _doors.FUSED_DIM + 1])
def test_large_dimensions(d):
    """The last of the fused kernels, and the first through BLAS with compiled activations."""
    network, mu, x, y, _ = case(mf.erf, d=d, depth=2, m=300)
    assert _doors.fused(d, mf.erf) == (d == _doors.FUSED_DIM)
    first, second = (net.gradient(mu, x, y) for net in (network, through_blas(network)))
    assert np.abs(first - second).max() <= 64 * d * EPS * np.abs(first).max()
    assert np.abs(network.predict(mu, x) - through_blas(network).predict(mu, x)).max() <= 64 * d * EPS


def test_several_blocks_of_neurons_and_chunks_of_samples():
    network, mu, x, y, _ = case(d=2, depth=2, m=523, samples=700)
    first, second = (net.gradient(mu, x, y) for net in (network, through_blas(network)))
    assert np.abs(first - second).max() <= 1e-13
    assert np.abs(network.gradient(mu, x[:600], y[:600]) * 6 / 7 - first).max() > 1e-4  # the last samples count


@pytest.mark.parametrize("make", [lambda n: n, through_blas], ids=["fused", "blas"])
def test_a_measure_has_no_order_and_no_empty_particles(make):
    network, mu, x, y, rng = case()
    network = make(network)
    h, g = network.predict(mu, x), network.gradient(mu, x, y)
    tolerance = 256 * EPS * (1 + np.abs(g).max() + np.abs(h).max())
    order = np.stack([rng.permutation(mu.width) for _ in range(mu.depth)])
    positions = np.take_along_axis(mu.positions, order[..., None], axis=1)
    shuffled = mf.LayeredMeasure(positions, np.take_along_axis(mu.weights, order, axis=1))
    assert np.abs(network.predict(shuffled, x) - h).max() <= tolerance
    expected = np.take_along_axis(g, order[..., None], axis=1)
    assert np.abs(network.gradient(shuffled, x, y) - expected).max() <= tolerance
    extra = rng.standard_normal((mu.depth, 5, network.parameters))
    padded = mf.LayeredMeasure(
        np.concatenate([mu.positions, extra], axis=1), np.concatenate([mu.weights, np.zeros((mu.depth, 5))], axis=1)
    )
    assert np.abs(network.predict(padded, x) - h).max() <= tolerance
    assert np.abs(network.gradient(padded, x, y)[:, : mu.width] - g).max() <= tolerance


def test_equal_weights_multiply_the_euclidean_gradient_by_depth_and_width():
    network, mu, x, y, _ = case(d=1, depth=3, m=2)
    mu = mf.LayeredMeasure(mu.positions)
    plain = np.zeros_like(mu.positions)
    for index in np.ndindex(*plain.shape):
        direction = np.zeros_like(plain)
        direction[index] = 1.0
        plain[index] = central(network, mu, x, y, mf.SquareLoss(), direction, 2e-4)
    assert np.abs(network.gradient(mu, x, y) - 6 * plain).max() <= 1e-8


def test_at_the_identity_the_gradient_is_that_of_the_features():
    """u = 0: states rest, ``∫∫|G|² dμ = N^{-2} Σ K_ij ⟨p_i, p_j⟩`` with K the Gram matrix of the features (COT-3)."""
    network, mu, x, y, _ = case(samples=20)
    positions = mu.positions.copy()
    positions[..., :3] = 0.0
    mu = mf.LayeredMeasure(positions, mu.weights)
    assert np.array_equal(network.predict(mu, x), x)
    features = mf.tanh(np.einsum("lmk,nk->lmn", positions[..., 3:6], x) + positions[..., 6:])
    gram = np.einsum("lm,lmi,lmj->ij", mu.weights, features, features) / mu.depth
    p, g = x - y, network.gradient(mu, x, y)
    assert paired(mu, g, g) == pytest.approx(np.sum(gram * (p @ p.T)) / 20**2, rel=64 * EPS)
    assert not g[..., 3:].any()


@pytest.mark.parametrize("make", [lambda n: n, through_blas], ids=["fused", "blas"])
@pytest.mark.parametrize("loss", LOSSES[:2], ids=str)
def test_fixed_lifts(loss, make):
    rng = np.random.default_rng(3)
    lift, readout = rng.standard_normal((3, 5)), rng.standard_normal((1, 3))
    network, mu, x, y, rng = case(lift=lift, readout=readout)
    network = make(network)
    inner = mf.ResNet(3, mf.tanh)
    assert np.abs(network.states(mu, x) - inner.states(mu, x @ lift.T)).max() <= 1e-14
    assert np.abs(network.predict(mu, x) - inner.predict(mu, x @ lift.T) @ readout.T).max() <= 1e-14
    direction = rng.standard_normal(mu.positions.shape)
    exact = paired(mu, network.gradient(mu, x, y, loss), direction)
    assert central(network, mu, x, y, loss, direction, 2e-4) == pytest.approx(exact, rel=1e-8)
    assert network.risk(mu, x, y[:, 0], loss) == network.risk(mu, x, y, loss)


def test_risk_sums_over_components_and_averages_over_samples():
    network, mu, x, y, _ = case()
    h = network.predict(mu, x)
    assert network.risk(mu, x, y) == pytest.approx(0.5 * np.sum((h - y) ** 2) / len(x), rel=8 * EPS)
    risk, gradient = network.evaluate(mu, x, y, mf.SquareLoss())
    assert risk == network.risk(mu, x, y)
    assert np.array_equal(gradient, network.gradient(mu, x, y))


def test_nothing_given_is_changed():
    network, mu, x, y, _ = case()
    before = [a.copy() for a in (mu.positions, mu.weights, x, y)]
    network.gradient(mu, x, y)
    network.states(mu, x)
    assert all(np.array_equal(now, then) for now, then in zip((mu.positions, mu.weights, x, y), before))


def test_memory_is_far_below_one_activation_array_a_layer():
    network, mu, x, y, _ = case(d=2, depth=32, m=256, samples=512)
    network.gradient(mu, x, y)
    before = mf.parallel.get_threads()
    mf.parallel.set_threads(1)
    tracemalloc.start()
    network.gradient(mu, x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    mf.parallel.set_threads(before)
    assert peak <= 8 * (5 * mu.positions.size + 2 * 33 * 3 * 264) + 2**18  # L·N·m doubles would be 33 MB
