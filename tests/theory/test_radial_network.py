"""The reduced flow of (a, |w|): averages in closed form, its energy, and two-layer networks of growing size."""

import numpy as np
import pytest
from scipy import special

import meanfield as mf
from meanfield.theory import RadialNetwork


def target(length):
    return 2 * np.cos(length)


def cloud(n=9, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.random(n)
    return mf.ParticleMeasure(rng.normal([0.5, 1.5], 1.0, (n, 2)), weights / weights.sum())


def energy(radial, mu):
    return radial.risk(mu) + 0.5 * radial.penalty * mu.weights @ np.sum(mu.positions**2, axis=1)


@pytest.mark.parametrize("dim", [2, 3, 5, 20])
def test_averages_of_cos_over_spheres_are_bessel_functions(dim):
    radial, length = RadialNetwork(dim, mf.cos, target), np.linspace(0.1, 8, 30)
    exact = special.gamma(dim / 2) * (2 / length) ** (dim / 2 - 1) * special.jv(dim / 2 - 1, length)
    assert radial.predict(mf.ParticleMeasure([[3.0, 1.0]]), length) == pytest.approx(3 * exact, abs=1e-13)


@pytest.mark.parametrize("dim", [2, 3, 10, 340])
def test_risk_without_neurons_is_that_of_the_labels(dim):
    radial = RadialNetwork(dim, mf.cos, lambda length: length**4)
    moment = np.prod(dim + 2.0 * np.arange(4))  # E|x|⁸
    assert radial.risk(mf.ParticleMeasure([[0.0, 1.0]])) == pytest.approx(0.5 * moment, rel=1e-12)


@pytest.mark.parametrize("activation", [mf.softplus, mf.cos], ids=lambda a: a.name)
@pytest.mark.parametrize("penalty", [0.0, 0.2])
def test_velocity_is_minus_the_gradient_of_the_energy(activation, penalty):
    radial, mu = RadialNetwork(4, activation, target, penalty=penalty), cloud()
    direction, step = np.random.default_rng(1).standard_normal(mu.positions.shape), 1e-3
    values = [
        energy(radial, mf.ParticleMeasure(mu.positions + t * step * direction, mu.weights)) for t in (-2, -1, 1, 2)
    ]
    difference = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    assert difference == pytest.approx(-np.sum(mu.weights[:, None] * radial.velocity(mu) * direction), rel=1e-8)


def test_velocity_is_that_of_a_network_on_symmetric_data():
    """In the plane, neurons and data repeated at 24 angles: the force is radial, and that of the reduction."""
    turns, shares = np.arange(24) * 2 * np.pi / 24, (np.arange(2000) + 0.5) / 2000
    circle, lengths = np.column_stack([np.cos(turns), np.sin(turns)]), np.sqrt(-2 * np.log1p(-shares))
    x, labels = np.kron(lengths[:, None], circle), np.repeat(target(lengths), 24)
    radial = mf.ParticleMeasure(np.array([[1.0, 0.4], [-0.5, 1.3], [2.0, 0.9]]))
    a, r = radial.positions.T
    neurons = mf.ParticleMeasure(np.column_stack([np.repeat(a, 24), np.kron(r[:, None], circle)]))
    force = -mf.TwoLayer(2, mf.softplus).gradient(neurons, x, labels)
    reduced = np.repeat(RadialNetwork(2, mf.softplus, target).velocity(radial), 24, axis=0)
    outwards = np.sum(force[:, 1:] * np.tile(circle, (3, 1)), axis=1)
    across = force[:, 1:] - outwards[:, None] * np.tile(circle, (3, 1))
    assert np.abs(across).max() <= 1e-12
    assert np.abs(np.column_stack([force[:, 0], outwards]) - reduced).max() <= 2e-3 * np.abs(reduced).max()


def test_time_steps_are_of_order_four_and_dissipate():
    radial = RadialNetwork(3, mf.cos, target, penalty=0.1, nodes=24)
    start, found = radial.start(8), []
    for steps in (2, 4, 8, 16, 64):
        found.append(radial.solve(start, t_end=2.0, steps=steps))
    errors = [np.abs(mu.positions - found[-1].positions).max() for mu in found[:-1]]
    orders = np.log2(errors[:-1]) - np.log2(errors[1:])
    assert abs(orders[-1] - 4) <= 0.3, orders
    assert errors[-1] <= 1e-5
    assert energy(radial, found[-1]) < 0.9 * energy(radial, start)


def test_quantiles_start_at_those_of_the_normal_law_and_stay_in_order_for_a_while():
    radial = RadialNetwork(3, mf.softplus, target, nodes=24)
    start = radial.start(200, scale=2.0, a=-0.5)
    drawn = 2 * np.linalg.norm(np.random.default_rng(0).standard_normal((100_000, 3)), axis=1)
    assert np.mean(drawn < start.positions[99, 1]) == pytest.approx(99.5 / 200, abs=0.01)
    assert np.all(start.positions[:, 0] == -0.5)
    assert np.all(np.diff(radial.solve(start, t_end=1.0, steps=8).positions[:, 1]) > 0)


def lengths_after(activation, dim, m, seed):
    """|w_i| at t = 2 of m neurons on 4m samples, by Heun's method, with those at the start."""
    rng, network = np.random.default_rng(seed), mf.TwoLayer(dim, activation)
    positions, x = np.column_stack([np.ones(m), rng.standard_normal((m, dim))]), rng.standard_normal((4 * m, dim))
    y, dt, before = target(np.linalg.norm(x, axis=1)), 0.2, np.linalg.norm(positions[:, 1:], axis=1)
    for _ in range(10):
        first = network.gradient(mf.ParticleMeasure(positions), x, y)
        second = network.gradient(mf.ParticleMeasure(positions - dt * first), x, y)
        positions = positions - dt / 2 * (first + second)
    return before, np.linalg.norm(positions[:, 1:], axis=1)


def test_networks_approach_it_like_the_root_of_their_width():
    """W₂ from |w_i| to the reduction, and the distance to what the reduced flow makes of the |w_i| at the start."""
    radial, dim, widths, seeds = RadialNetwork(3, mf.softplus, target, nodes=24), 3, (24, 96, 384), 5
    limit = radial.solve(radial.start(400), t_end=2.0, steps=8)
    moved = mf.wasserstein(*(mf.ParticleMeasure(mu.positions[:, 1:]) for mu in (radial.start(400), limit)))
    quantiles, errors = mf.ParticleMeasure(limit.positions[:, 1:]), []
    for m in widths:
        squares = []
        for seed in range(seeds):
            before, after = lengths_after(mf.softplus, dim, m, seed)
            pushed = radial.solve(mf.ParticleMeasure(np.column_stack([np.ones(m), before])), t_end=2.0, steps=8)
            distance = mf.wasserstein(mf.ParticleMeasure(after[:, None]), quantiles)
            squares.append([distance**2, np.mean((after - np.abs(pushed.positions[:, 1])) ** 2)])
        errors.append(np.sqrt(np.mean(squares, axis=0)))
    slopes = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert np.all(np.abs(slopes + 0.5) <= 0.2), (slopes, errors)
    assert errors[-1][0] <= 0.5 * moved, (errors, moved)
    assert errors[-1][1] <= 0.1 * moved, (errors, moved)


RADIAL = RadialNetwork(3, mf.cos, target)
BAD = {
    "a line": (lambda: RadialNetwork(1, mf.cos, target), "dim must be at least 2"),
    "too many dimensions": (lambda: RadialNetwork(341, mf.cos, target), "dim must be at most 340"),
    "a word": (lambda: RadialNetwork(3, "cos", target), "must be an Activation"),
    "relu": (lambda: RadialNetwork(3, mf.relu, target), "needs a smooth activation"),
    "penalty": (lambda: RadialNetwork(3, mf.cos, target, penalty=-1.0), "penalty must not be negative"),
    "labels": (lambda: RadialNetwork(3, mf.cos, np.sum), r"labels must have shape \(40,\)"),
    "neurons": (lambda: RADIAL.velocity(mf.ParticleMeasure(np.ones((2, 4)))), r"rows \(a, r\)"),
    "no steps": (lambda: RADIAL.solve(RADIAL.start(3), t_end=1.0, steps=0), "steps must be at least 1"),
    "no time": (lambda: RADIAL.solve(RADIAL.start(3), t_end=0.0, steps=1), "t_end must be positive"),
    "no quantiles": (lambda: RADIAL.start(0), "number must be at least 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused_in_one_line(name):
    call, words = BAD[name]
    with pytest.raises((ValueError, TypeError), match=words) as info:
        call()
    assert "\n" not in str(info.value)
