"""W₂ of particles in d = 1: line, circle, particles beside densities."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield.distances import Quantile, transport_plan, wasserstein, wasserstein_circle, wasserstein_line

seeds = st.integers(0, 2**32 - 1)
CIRCLE = mf.Torus(8)


def particles(rng, n, *, weighted=False, torus=None):
    weights = rng.dirichlet(np.ones(n)) if weighted else None
    return mf.ParticleMeasure(4 * rng.random((n, 1)) - 2, weights, torus)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "m"), [(400, 400), (300, 450)])
def test_line_agrees_with_pot(n, m, weighted):
    import ot

    rng = np.random.default_rng(n)
    mu, nu = particles(rng, n, weighted=weighted), particles(rng, m, weighted=weighted)
    arrays = mu.positions[:, 0], nu.positions[:, 0], mu.weights, nu.weights
    assert wasserstein(mu, nu) == pytest.approx(math.sqrt(ot.emd2_1d(*arrays)), rel=1e-12)


@pytest.mark.parametrize("torus", [None, CIRCLE])
def test_many_points_agree_with_the_sweep_of_quantiles(torus):
    """Enough points to sort on threads."""
    rng = np.random.default_rng(1)
    mu, nu = particles(rng, 2**17, torus=torus), particles(rng, 2**17, torus=torus)
    quantiles = [Quantile.from_points(s.positions[:, 0] if torus is None else s.wrapped[:, 0]) for s in (mu, nu)]
    slow = (wasserstein_line if torus is None else wasserstein_circle)(*quantiles)
    assert wasserstein(mu, nu) == pytest.approx(slow, rel=1e-12)


def test_equal_weights_on_the_line_sort_twice_and_nothing_more(monkeypatch):
    calls = []
    sort = np.sort
    monkeypatch.setattr(np, "sort", lambda x: calls.append(len(x)) or sort(x))
    monkeypatch.setattr(np, "argsort", lambda *_: pytest.fail("an index was sorted"))
    rng = np.random.default_rng(2)
    wasserstein(particles(rng, 50), particles(rng, 50))
    assert calls == [50, 50]


@settings(deadline=None, max_examples=40)
@given(seeds, st.booleans())
def test_circle_agrees_with_plans_of_nearest_images(seed, weighted):
    rng = np.random.default_rng(seed)
    mu, nu = (particles(rng, int(n), weighted=weighted, torus=CIRCLE) for n in rng.integers(1, 30, 2))
    assert wasserstein(mu, nu) == pytest.approx(transport_plan(mu, nu).value, abs=1e-12)


def test_grids_of_the_tori_do_not_matter():
    rng = np.random.default_rng(3)
    mu = particles(rng, 20, torus=CIRCLE)
    assert wasserstein(mu, mf.ParticleMeasure(mu.positions + 1, torus=mf.Torus(64))) <= 1e-15


@pytest.mark.parametrize("weighted", [False, True])
def test_particles_beside_a_density(weighted):
    """Against the density's atoms at the centres of 200 sub-cells a cell, and in either order."""
    rng = np.random.default_rng(4)
    parts, n = 200, 6
    values = rng.random(n) + 0.1
    density = mf.Torus(n).density(values, normalise=True)
    mu = particles(rng, 15, weighted=weighted, torus=CIRCLE)
    places = (np.arange(n * parts) + 0.5) / (n * parts) - 0.5 / n
    weights = np.repeat(density.values, parts)
    atoms = mf.ParticleMeasure(places[:, None], weights, CIRCLE, normalise=True)
    value = wasserstein(mu, density)
    assert value == pytest.approx(wasserstein(density, mu), abs=1e-13)
    # W₂² of a sub-cell and its centre is width²/12, which adds to that of the atoms, up to the cut sub-cells
    expected = math.sqrt(wasserstein(mu, atoms) ** 2 + (1 / (n * parts)) ** 2 / 12)
    assert value == pytest.approx(expected, rel=1e-5)


def test_one_particle_and_the_uniform_density():
    """W₂² = ∫|x|² over a period = 1/12, wherever the particle is."""
    density = mf.Torus(32).density(np.ones(32))
    for place in (0.0, 0.3, -7.77):
        particle = mf.ParticleMeasure([[place]], torus=CIRCLE)
        assert wasserstein(particle, density) == pytest.approx(1 / math.sqrt(12), rel=1e-14)


def test_a_density_of_another_mass_is_refused():
    density = mf.Torus(32).density(2 * np.ones(32))
    with pytest.raises(ValueError, match="masses must be equal"):
        wasserstein(mf.ParticleMeasure([[0.5]], torus=CIRCLE), density)


def test_quantiles_of_points_drop_those_without_weight():
    quantile = Quantile.from_points([0.5, 0.0, 0.2], weights=[0.5, 0.5, 0.0])
    assert quantile.left.tolist() == [0.0, 0.5]
    with pytest.raises(ValueError, match="positive mass"):
        Quantile.from_points([0.5, 0.0], weights=[0.0, 0.0])
