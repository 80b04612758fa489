"""The Wasserstein geometry: velocity, slope, and the distance it lends."""

import numpy as np
import pytest

import meanfield as mf

EPS = np.finfo(float).eps


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_velocity_and_slope_in_closed_form(dim):
    torus = mf.Torus(12, dim)
    rho = torus.density(lambda *x: 1 + 0.5 * np.cos(2 * np.pi * x[-1]))
    differential = np.sin(2 * np.pi * torus.points[-1])
    exact = np.zeros((dim, *torus.shape))
    exact[-1] = -2 * np.pi * np.cos(2 * np.pi * torus.points[-1])
    velocity = mf.Wasserstein().velocity(rho, differential)
    assert np.abs(velocity - exact).max() <= 64 * EPS * np.pi * 12
    # mean of (1 + cos/2) cos² is 1/2
    assert mf.Wasserstein().squared_norm(rho, differential) == pytest.approx(2 * np.pi**2, rel=64 * EPS)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_slope_is_the_kinetic_energy_of_the_velocity(dim):
    torus = mf.Torus(10, dim)
    rng = np.random.default_rng(dim)
    rho, differential = torus.density(0.1 + rng.random(torus.shape)), rng.standard_normal(torus.shape)
    velocity = mf.Wasserstein().velocity(rho, differential)
    kinetic = torus.inner(velocity, rho.values * velocity)
    assert mf.Wasserstein().squared_norm(rho, differential) == pytest.approx(kinetic, rel=64 * EPS)


def test_slope_is_the_dissipation_of_a_flow():
    rho = mf.Torus(64).density(lambda x: np.exp(0.5 * np.cos(2 * np.pi * x)))
    flow = mf.GradientFlow(mf.InternalEnergy(2), mf.Wasserstein())
    slope = mf.Torus(64).gradient(rho.values)[0]
    assert flow.dissipation(rho) == pytest.approx(np.mean(rho.values * 4 * slope**2), rel=256 * EPS)


def test_distance_where_there_is_one():
    geometry = mf.Wasserstein()
    line, plane = mf.Torus(32), mf.Torus(8, dim=2)
    rho = line.density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))
    assert geometry.measures(rho)
    assert not geometry.measures(plane.density(lambda x, y: 1))
    assert geometry.distance(rho, rho) == pytest.approx(0, abs=1e-12)
    shifted = line.density(np.roll(rho.values, 3))
    assert geometry.distance(rho, shifted) == mf.wasserstein(rho, shifted)
    assert 0 < geometry.distance(rho, shifted) < 3 / 32
