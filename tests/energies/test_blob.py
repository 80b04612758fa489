"""Blob energies: differentials against differences of values, uniform data, what flows keep, refusals."""

import math
import re

import numpy as np
import pytest

import meanfield as mf
from meanfield.status import Refusal

EPS = np.finfo(float).eps
EXPONENTS = [1, 1.5, 2, 3]
SPACES = ["R^1", "R^2", "R^3", "T^1", "T^2"]


def cloud(space, number=24, seed=0):
    """Particles of different weights, some of them over the edge of the period."""
    rng, dim = np.random.default_rng(seed), int(space[-1])
    torus = mf.Torus(48, dim) if space[0] == "T" else None
    return mf.ParticleMeasure(0.4 + rng.normal(size=(number, dim)), rng.dirichlet(np.ones(number)), torus)


def blob(exponent, space, length=None):
    """On a torus wide enough for the entropy of few particles to be finite."""
    torus = cloud(space).torus
    return mf.BlobEnergy(exponent, 0.7, mollifier=mf.GaussianKernel(length or (0.15 if torus else 0.5)), torus=torus)


def density_by_loops(mu, length):
    """``ζ*μ`` at the particles of R^d, straight from the definition."""
    squares = np.sum((mu.positions[:, None] - mu.positions) ** 2, axis=2)
    return np.exp(-0.5 * squares / length**2) @ mu.weights / (2 * math.pi * length**2) ** (mu.dim / 2)


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("space", SPACES)
def test_differential_is_the_derivative_of_the_value(exponent, space):
    """dE/dx_i = a_i ∇(δE/δμ)(x_i): central differences, of order 2 until rounding."""
    mu, energy = cloud(space), blob(exponent, space)
    direction = np.random.default_rng(1).normal(size=mu.positions.shape)
    slope = float(np.sum(mu.weights[:, None] * energy.differential(mu) * direction))
    errors = []
    for step in (1e-2, 1e-3, 1e-4):
        ahead, behind = (
            energy.value(mf.ParticleMeasure(mu.positions + sign * step * direction, mu.weights, mu.torus))
            for sign in (1, -1)
        )
        errors.append(abs((ahead - behind) / (2 * step) - slope))
    noise = (1e-12 if space[0] == "T" else 32 * EPS) * abs(energy.value(mu)) / 1e-4
    assert errors[2] <= 2e-4 * errors[0] + noise, errors
    assert errors[2] <= 1e-4 * abs(slope), errors


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("dim", [1, 2])
def test_value_in_space_is_the_sum_over_particles(exponent, dim):
    mu = cloud(f"R^{dim}")
    rho = density_by_loops(mu, 0.5)
    per_mass = np.log(rho) if exponent == 1 else rho ** (exponent - 1) / (exponent - 1)
    assert blob(exponent, f"R^{dim}").value(mu) == pytest.approx(0.7 * float(mu.weights @ per_mass), rel=64 * EPS)


@pytest.mark.parametrize(("exponent", "value"), [(1, 0.0), (1.5, 2.0), (2, 1.0), (3, 0.5)])
def test_uniform_data_have_density_one_and_do_not_move(exponent, value):
    """∫f(1) = c/(m−1), or 0 for the entropy; a lattice finer than the mollifier is uniform to rounding."""
    torus = mf.Torus(64)
    mu = mf.ParticleMeasure(np.arange(48)[:, None] / 48 + 0.01, torus=torus)
    energy = mf.BlobEnergy(exponent, 3.0, mollifier=mf.GaussianKernel(0.06), torus=torus)
    assert energy.value(mu) == pytest.approx(3 * value, abs=1e-11)
    assert np.abs(energy.differential(mu)).max() <= 1e-10


@pytest.mark.parametrize("exponent", [1, 2, 3])
def test_one_narrow_particle_on_a_torus_has_the_integral_of_the_mollifier(exponent):
    """E(δ) = c∫ζ^m/(m−1), and −log(ℓ√(2πe)) for the entropy, where the tails of ζ on the torus do not matter."""
    length, torus = 0.13 if exponent == 1 else 0.05, mf.Torus(128)
    energy = mf.BlobEnergy(exponent, mollifier=mf.GaussianKernel(length), torus=torus)
    found = energy.value(mf.ParticleMeasure([[0.3]], torus=torus))
    height = 1 / (length * math.sqrt(2 * math.pi))
    exact = math.log(height) - 0.5 if exponent == 1 else height ** (exponent - 1) / math.sqrt(exponent) / (exponent - 1)
    assert found == pytest.approx(exact, rel=5e-3 if exponent == 1 else 1e-9)


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("space", SPACES)
def test_translations_move_the_differential_along_and_push_nobody(exponent, space):
    """In R^d exactly; on a torus by whole cells of the grid, as the quadrature is that of the grid."""
    mu, energy = cloud(space), blob(exponent, space)
    shift = 5 / 48 if mu.torus else 1.3
    moved = mf.ParticleMeasure(mu.positions + shift, mu.weights, mu.torus)
    slope, noise = energy.differential(mu), 1e-11 if mu.torus else 1e-13
    assert energy.value(moved) == pytest.approx(energy.value(mu), rel=noise)
    assert np.abs(energy.differential(moved) - slope).max() <= 10 * noise * np.abs(slope).max()
    if not mu.torus:
        assert np.abs(mu.weights @ slope).max() <= noise * np.abs(slope).max()


@pytest.mark.parametrize("exponent", [1, 2, 3])
@pytest.mark.parametrize("space", ["R^1", "R^2", "T^1", "T^2"])
def test_a_flow_lowers_the_energy_and_keeps_the_centre_of_mass(exponent, space):
    mu = cloud(space)
    flow, stepper = mf.GradientFlow(blob(exponent, space), mf.Wasserstein()), mf.steppers.RK4(tolerance=1e-6)
    ds = mf.solve(flow, mu, t_end=0.05, stepper=stepper, save_at=6, progress=False)
    assert ds.status == "finished"
    assert np.all(np.diff(ds.energy) < 0)
    assert float(ds.energy[0] - ds.energy[-1]) > 1e-3 * abs(float(ds.energy[0]))
    assert np.abs(mu.weights @ (ds.positions.values[-1] - ds.positions.values[0])).max() <= 1e-9
    assert abs(float(ds.balance_defect_velocity[-1])) <= 1e-3 * float(ds.energy[0] - ds.energy[-1])


def test_a_lone_particle_without_weight_does_not_spoil_the_others():
    """Its density is subnormal; the others, and the value, are those of the cloud without it."""
    mu = cloud("R^3")
    mu = mf.ParticleMeasure(40 * mu.positions, mu.weights)
    more = mf.ParticleMeasure(np.vstack([mu.positions, [[3000.0, 0.0, 0.0]]]), np.append(mu.weights, 0.0))
    for exponent in EXPONENTS:
        energy = blob(exponent, "R^3", length=20)
        assert energy.value(more) == pytest.approx(energy.value(mu), rel=8 * EPS)
        slope, others = energy.differential(more), energy.differential(mu)
        np.testing.assert_allclose(slope[:-1], others, rtol=1e-13, atol=1e-13 * np.abs(others).max())
        assert np.isfinite(slope).all()


@pytest.mark.parametrize(("space", "exponent", "sums"), [("R^2", 2, 1), ("R^2", 3, 2), ("T^2", 2, 1), ("T^2", 3, 1)])
def test_value_and_differential_share_what_they_cost(monkeypatch, space, exponent, sums):
    """Sums over pairs, or mollified densities, for any number of questions about one state; anew for the next one."""
    name = "_convolved" if space[0] == "R" else "_on_grid"
    calls, plain = [], getattr(mf.BlobEnergy, name)
    monkeypatch.setattr(mf.BlobEnergy, name, lambda self, *args: calls.append(1) or plain(self, *args))
    mu, nu, energy = cloud(space), cloud(space, seed=1), blob(exponent, space)
    for _ in range(3):
        energy.value(mu)
        slope = energy.differential(mu)
    assert len(calls) == sums
    with pytest.raises(ValueError, match="read-only"):
        slope[0] = 0.0
    other = blob(exponent, space).differential(nu)
    calls.clear()
    np.testing.assert_array_equal(energy.differential(nu), other)
    assert len(calls) == sums


def test_energies_are_equal_by_their_parameters():
    used, fresh = blob(2, "T^1"), blob(2, "T^1")
    used.differential(cloud("T^1"))
    assert (used, hash(used), repr(used)) == (fresh, hash(fresh), repr(fresh))
    assert used != blob(3, "T^1")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"exponent": 0.5}, ValueError, "exponent must be at least 1 (got 0.5); fast diffusion has no blob method"),
        ({"exponent": math.nan}, ValueError, "exponent must be"),
        ({"coefficient": 0.0}, ValueError, "coefficient must be"),
        ({"mollifier": mf.SobolevKernel(3, 0.1)}, TypeError, "must be a GaussianKernel (got SobolevKernel)"),
        ({"mollifier": None}, TypeError, "must be a GaussianKernel (got NoneType)"),
        ({"mollifier": mf.GaussianKernel(0.03), "torus": mf.Torus(32)}, ValueError, "resolved by the grid, length >= "),
    ],
)  # fmt: skip
def test_bad_parameters(arguments, error, message):
    with pytest.raises(error) as info:
        mf.BlobEnergy(**{"mollifier": mf.GaussianKernel(0.1), **arguments})
    assert message in str(info.value)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("n", [4, 5, 31, 32, 64, 100, 1000])
def test_the_length_named_is_one_that_would_do(n):
    torus = mf.Torus(n)
    with pytest.raises(ValueError) as info:
        mf.BlobEnergy(mollifier=mf.GaussianKernel(1e-4), torus=torus)
    named = float(re.search(r"length >= (\S+) on", str(info.value))[1])
    mf.BlobEnergy(mollifier=mf.GaussianKernel(named), torus=torus)
    with pytest.raises(ValueError):
        mf.BlobEnergy(mollifier=mf.GaussianKernel(0.98 * named), torus=torus)


@pytest.mark.parametrize("torus", [None, mf.Torus(64), mf.Torus(48, 2)])
def test_particles_of_another_space_are_refused(torus):
    flow = mf.GradientFlow(blob(2, "T^1"), mf.Wasserstein())
    mu = mf.ParticleMeasure(np.zeros((3, torus.dim if torus else 1)), torus=torus)
    with pytest.raises(ValueError, match="must live on one space"):
        flow.check(mu)


def test_values_of_what_is_not_on_the_space_are_refused_too():
    torus = mf.Torus(32)
    energy = mf.BlobEnergy(2, mollifier=mf.GaussianKernel(0.1), torus=torus)
    for ask in (energy.value, energy.differential):
        with pytest.raises(ValueError, match="one space"):
            ask(mf.ParticleMeasure([[0.5]]))
        with pytest.raises(TypeError, match=r"of particles \(got TorusDensity\)"):
            ask(torus.density(np.ones(32)))


def test_the_entropy_of_a_density_with_gaps_is_refused_before_any_step():
    torus = mf.Torus(256)
    flow = mf.GradientFlow(mf.BlobEnergy(1, mollifier=mf.GaussianKernel(0.01), torus=torus), mf.Wasserstein())
    with pytest.raises(Refusal, match=r"needs ζ\*μ > 0 on the grid .*; widen ζ"):
        mf.solve(flow, mf.ParticleMeasure([[0.5]], torus=torus), t_end=1.0)
