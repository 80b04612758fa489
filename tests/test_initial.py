"""Initial measures of neurons: their laws, their symmetries, what they refuse."""

import re

import numpy as np
import pytest
from scipy import stats

import meanfield as mf
from meanfield import initial

EPS = np.finfo(float).eps
PLAIN, BIASED, RES = mf.TwoLayer(3, mf.relu), mf.TwoLayer(3, mf.tanh, bias=True), mf.ResNet(2, mf.tanh)
NUMBER = 4000


def rng(seed=0):
    return np.random.default_rng(seed)


def is_normal(sample, deviation):
    return stats.kstest(np.ravel(sample), "norm", args=(0, deviation)).pvalue > 1e-3


@pytest.mark.parametrize("network", [PLAIN, BIASED], ids=["plain", "biased"])
def test_gaussian_neurons(network):
    mu = initial.gaussian(network, NUMBER, rng(), scale=3.0)
    network.check(mu)
    assert is_normal(mu.positions[:, 0], 1.0)
    assert all(is_normal(mu.positions[:, k], 3.0) for k in range(1, network.parameters))
    correlation = np.corrcoef(mu.positions.T) - np.eye(network.parameters)
    assert np.abs(correlation).max() <= 5 / np.sqrt(NUMBER)


@pytest.mark.parametrize("network", [PLAIN, BIASED], ids=["plain", "biased"])
def test_neurons_on_the_sphere(network):
    mu = initial.sphere(network, NUMBER, rng())
    network.check(mu)
    a, w, b = mu.positions[:, 0], mu.positions[:, 1:4], mu.positions[:, 4:]
    assert set(a) == {-1.0, 1.0}
    assert abs(a.mean()) <= 5 / np.sqrt(NUMBER)
    assert np.abs(np.linalg.norm(w, axis=1) - 1).max() <= 4 * EPS
    assert stats.kstest(w[:, 2], "uniform", args=(-1, 2)).pvalue > 1e-3  # Archimedes: heights on the sphere are uniform
    assert abs(np.mean(a * w[:, 0])) <= 5 / np.sqrt(3 * NUMBER)
    assert not b.any()


@pytest.mark.parametrize("network", [PLAIN, BIASED], ids=["plain", "biased"])
def test_antisymmetric_neurons_have_no_output(network):
    weights = rng(1).random(50)
    mu = mf.ParticleMeasure(initial.gaussian(network, 50, rng()).positions, weights / weights.sum())
    doubled, x = initial.antisymmetric(mu), rng(2).standard_normal((20, 3))
    assert np.array_equal(doubled.positions[:50], mu.positions)
    assert np.array_equal(doubled.positions[50:, 1:], mu.positions[:, 1:])
    assert np.abs(network.predict(doubled, x)).max() <= 50 * EPS * np.abs(mu.positions).max() ** 2
    assert np.abs(network.predict(mu, x)).max() > 0.01


def test_layers_are_independent_or_the_same():
    mu = initial.gaussian_layers(RES, 4, 1000, rng(), scale=3.0)
    RES.check(mu)
    assert is_normal(mu.positions[..., :2], 1.0)
    assert is_normal(mu.positions[..., 2:], 3.0)
    assert abs(np.corrcoef(mu.positions[0].ravel(), mu.positions[1].ravel())[0, 1]) <= 5 / np.sqrt(5000)
    same = [initial.gaussian_layers(RES, depth, 1000, rng(), same_layers=True).positions for depth in (4, 7)]
    assert all(np.array_equal(layer, same[0][0]) for atoms in same for layer in atoms)


@pytest.mark.parametrize("same_layers", [False, True])
def test_without_output_weights_a_residual_network_is_the_identity(same_layers):
    mu = initial.zero_output(RES, 5, 30, rng(), scale=3.0, same_layers=same_layers)
    drawn = initial.gaussian_layers(RES, 5, 30, rng(), scale=3.0, same_layers=same_layers)
    assert np.array_equal(mu.positions[..., 2:], drawn.positions[..., 2:])
    x = rng(1).standard_normal((6, 2))
    assert np.array_equal(RES.predict(mu, x), x)
    assert np.abs(RES.predict(drawn, x) - x).max() > 0.01


def test_the_same_seed_gives_the_same_bits():
    for draw in (lambda g: initial.gaussian(BIASED, 9, g), lambda g: initial.sphere(PLAIN, 9, g),
                 lambda g: initial.zero_output(RES, 2, 9, g)):  # fmt: skip
        assert np.array_equal(draw(rng()).positions, draw(rng()).positions)
        assert not np.array_equal(draw(rng()).positions, draw(rng(1)).positions)


BAD = {
    "a seed for a generator": (lambda: initial.gaussian(PLAIN, 5, 0), r"rng must be a Generator \(got int\)"),
    "the global generator": (lambda: initial.sphere(PLAIN, 5, np.random), r"rng must be a Generator \(got module\)"),
    "no generator for layers": (lambda: initial.zero_output(RES, 2, 5, None), "rng must be a Generator"),
    "no neurons": (lambda: initial.sphere(PLAIN, 0, rng()), "number must be at least 1"),
    "no layers": (lambda: initial.gaussian_layers(RES, 0, 5, rng()), "depth must be at least 1"),
    "no width": (lambda: initial.zero_output(RES, 2, 0, rng()), "width must be at least 1"),
    "no scale": (lambda: initial.gaussian(PLAIN, 5, rng(), scale=0.0), "scale must be positive"),
    "residual network": (lambda: initial.gaussian(RES, 5, rng()), r"must be a TwoLayer .*use initial.gaussian_layers"),
    "two-layer network": (lambda: initial.zero_output(PLAIN, 2, 5, rng()), r"must be a ResNet .*use initial.gaussian"),
    "a word": (lambda: initial.zero_output(RES, 2, 5, rng(), same_layers="yes"), "same_layers must be True or False"),
    "an array": (lambda: initial.antisymmetric(np.ones((2, 3))), "must be a ParticleMeasure on R"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused_in_one_line(name):
    call, words = BAD[name]
    with pytest.raises((ValueError, TypeError), match=words) as info:
        call()
    assert re.fullmatch(r"[^\n]+ \(got [^\n]+\); [^\n]+", str(info.value))
