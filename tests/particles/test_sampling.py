"""Densities to particles and back: quantiles, lattices, random draws, mollified densities."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield.distances import Quantile
from meanfield.particles import mollify, sample, sampling, to_modes

EPS = np.finfo(float).eps
FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")


def bumps(n, dim):
    """A smooth density with a strong contrast."""
    wave = 2 * np.pi
    return mf.Torus(n, dim=dim).density(
        lambda *x: np.exp(np.sin(wave * x[0]) * sum(np.cos(wave * y) for y in x)), normalise=True
    )


def holes(n, dim, seed=0):
    """A rough density that vanishes on many cells, and on whole lines of them."""
    rng = np.random.default_rng(seed)
    values = rng.random((n,) * dim) * (rng.random((n,) * dim) < 0.4)
    values[n // 3], values[0] = 0.0, values[0] + 1.0
    return mf.Torus(n, dim=dim).density(values, normalise=True)


# ---- density to particles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [bumps(64, 1), holes(31, 1)], ids=["bumps", "holes"])
@pytest.mark.parametrize("number", [1, 7, 1000])
def test_midpoint_quantiles_are_those_of_the_quantile_function(density, number):
    exact = Quantile.from_cells(density.values)((np.arange(number) + 0.5) / number)
    found = sample(density, number)
    assert found.torus is density.torus
    assert np.all(found.weights == 1 / number)
    assert np.abs(found.positions[:, 0] - exact).max() <= 64 * EPS / density.values[density.values > 0].min()


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("rng", [None, 0], ids=["lattice", "draws"])
def test_shares_of_cells_are_their_masses(dim, rng):
    """Particles in a cell against its mass: within the discrepancy of the points."""
    number, density = 20_000, holes(6, dim)
    generator = None if rng is None else np.random.default_rng(rng)
    x = sample(density, number, rng=generator).positions
    cell = np.floor(x * 6 + 0.5).astype(int)
    assert cell.min() >= 0
    assert cell.max() < 6
    counts = np.zeros(density.torus.shape)
    np.add.at(counts, tuple(cell.T), 1)
    assert np.all(counts[density.values == 0] == 0)
    masses = density.values / density.torus.size
    error = np.abs(counts / number - masses)
    if rng is None:
        assert error.max() <= {1: 1.0, 2: 10.0, 3: 40.0}[dim] / number
    else:
        assert np.all(error <= 5 * np.sqrt(masses * (1 - masses) / number))


@pytest.mark.parametrize("dim", [2, 3])
def test_the_transform_is_the_rosenblatt_transform_axis_by_axis(dim):
    """Undone by distribution functions written out: of the first axis, then conditional on the cell reached."""
    density, u = holes(7, dim), np.random.default_rng(1).random((200, dim))
    x = sampling.inverse_rosenblatt(density.values, u)
    for point, share in zip(x, u, strict=True):
        values = density.values
        for position, part in zip(point, share, strict=True):
            masses = values.reshape(7, -1).sum(axis=1)
            cell = min(int(np.floor(position * 7 + 0.5)), 6)
            below = masses[:cell].sum() + masses[cell] * (position * 7 + 0.5 - cell)
            assert below / masses.sum() == pytest.approx(part, abs=1e-12)
            values = values[cell]


def test_ends_of_the_unit_interval_stay_in_cells_with_mass():
    values = np.array([0.0, 3.0, 1.0, 0.0])
    x = sampling.inverse_rosenblatt(values, np.array([[0.0], [np.nextafter(1.0, 0.0)]]))
    assert x[0, 0] == pytest.approx(0.125, abs=EPS)
    assert x[1, 0] == pytest.approx(0.625, abs=4 * EPS)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_lattices_are_evener_than_draws(dim):
    """Sobolev distance of order 2 to the uniform density: near 1/N against N^{−1/2} of draws; zero in d = 1."""
    torus = mf.Torus(16, dim=dim)
    uniform, kernel = torus.density(np.ones(torus.shape)), mf.SobolevKernel(2, 0.3)

    def distance(number, rng=None):
        cloud = sample(uniform, number, rng=rng)
        modes = to_modes(torus, cloud.positions, cloud.weights[:, None])[0]
        modes.flat[0] -= 1.0
        return np.sqrt(np.sum(torus.mode_weights * kernel.multiplier(torus) * np.abs(modes) ** 2))

    coarse, fine, drawn = distance(256), distance(16_384), distance(16_384, np.random.default_rng(3))
    assert fine < 0.05 * drawn
    if dim == 1:
        assert fine < 1e-12  # N > |k|: all sums vanish
    else:
        assert fine < coarse / 64**0.8


def test_quantisation_error_of_quantiles_is_the_best_there_is():
    """W2 to the uniform density: 1/(N√12); falls like 1/N for a positive one."""
    torus = mf.Torus(64)
    uniform = torus.density(np.ones(64))
    for number in (10, 333):
        error = mf.wasserstein(uniform, sample(uniform, number))
        assert error == pytest.approx(1 / (number * np.sqrt(12)), rel=1e-9)
    density = bumps(64, 1)
    errors = [mf.wasserstein(density, sample(density, number)) for number in (100, 200, 400)]
    ratios = np.array(errors[:-1]) / errors[1:]
    assert np.all(np.abs(np.log2(ratios) - 1) < 0.05)
    drawn = mf.wasserstein(density, sample(density, 400, rng=np.random.default_rng(0)))
    assert drawn > 5 * errors[-1]


def test_draws_are_reproducible_and_use_the_generator_only():
    density = bumps(16, 2)
    first, second = (sample(density, 50, rng=np.random.default_rng(7)).positions for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, sample(density, 50, rng=np.random.default_rng(8)).positions)
    assert np.array_equal(sample(density, 50).positions, sample(density, 50).positions)


# ---- particles to density --------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]), st.floats(0.08, 0.3))
def test_mollified_density_has_the_mass_is_positive_and_moves_along(seed, dim, length):
    rng = np.random.default_rng(seed)
    torus, kernel = mf.Torus(32, dim=dim), mf.GaussianKernel(length)
    cloud = mf.ParticleMeasure(3 * rng.random((9, dim)), rng.random(9), torus, normalise=True)
    density = mollify(cloud, torus, kernel)
    assert abs(density.mass - 1) <= 16 * EPS
    assert density.values.min() >= 0
    order = rng.permutation(9)
    permuted = mf.ParticleMeasure(cloud.positions[order], cloud.weights[order], torus)
    assert np.abs(mollify(permuted, torus, kernel).values - density.values).max() <= 1e-12 * density.values.max()
    moved = mf.ParticleMeasure(cloud.positions + 3 / 32, cloud.weights, torus)
    rolled = np.roll(density.values, (3,) * dim, axis=range(dim))
    assert np.abs(mollify(moved, torus, kernel).values - rolled).max() <= 2e-9 * density.values.max()


@pytest.mark.parametrize(("dim", "n"), [(1, 64), (1, 65), (2, 32), (3, 20)])
def test_mollified_density_is_a_sum_of_gaussians(dim, n):
    rng = np.random.default_rng(1)
    torus, length = mf.Torus(n, dim=dim), 3.5 / n
    cloud = mf.ParticleMeasure(rng.random((5, dim)), rng.random(5), mf.Torus(8, dim=dim), normalise=True)
    found = mollify(cloud, torus, mf.GaussianKernel(length)).values
    expected = np.zeros(torus.shape)
    for x, a in zip(cloud.positions, cloud.weights, strict=True):
        offsets = (torus.points - x.reshape(-1, *(1,) * dim))[..., None] + np.arange(-3, 4)
        factors = np.exp(-0.5 * (offsets / length) ** 2).sum(axis=-1) / (length * np.sqrt(2 * np.pi))
        expected += a * np.prod(factors, axis=0)
    assert np.abs(found - expected).max() <= 2e-9 * expected.max()


def test_sampling_and_mollifying_gives_the_mollified_density():
    density, kernel = bumps(32, 2), mf.GaussianKernel(0.1)
    back = mollify(sample(density, 20_000), density.torus, kernel)
    blurred = kernel.convolve(density.torus, density.values)
    # The sinc of the cells (order h²) is in the particles, and the lattice's discrepancy.
    assert np.abs(back.values - blurred).max() <= 5e-3 * blurred.max()


def test_other_positive_kernels_mollify_where_the_grid_resolves_them():
    torus = mf.Torus(128)
    cloud = mf.ParticleMeasure([[0.3]], torus=torus)
    density = mollify(cloud, torus, mf.SobolevKernel(3, 0.05))
    assert density.mass == pytest.approx(1, abs=16 * EPS)
    for kernel in (mf.DiracKernel(), mf.SobolevKernel(3, 0.003)):
        with pytest.raises(ValueError, match="must be non-negative") as info:
            mollify(cloud, torus, kernel)
        assert FORM.fullmatch(str(info.value))


# ---- the door --------------------------------------------------------------------------------------------------------


def test_bad_input_is_refused_in_one_line():
    torus = mf.Torus(32)
    density, cloud = bumps(32, 1), mf.ParticleMeasure([[0.3]], torus=torus)
    narrow = mf.GaussianKernel(0.02)
    refused = {
        "mass 1": lambda: sample(torus.density(np.full(32, 2.0)), 5),
        "number must be at least 1": lambda: sample(density, 0),
        "resolved by the grid": lambda: mollify(cloud, torus, narrow),
        "Torus of dimension 1": lambda: mollify(cloud, mf.Torus(32, dim=2), mf.GaussianKernel(0.2)),
        "tolerance must be positive": lambda: mollify(cloud, torus, mf.GaussianKernel(0.2), tolerance=-1.0),
    }
    for message, call in refused.items():
        with pytest.raises(ValueError, match=message) as info:
            call()
        assert FORM.fullmatch(str(info.value))
    assert mollify(cloud, mf.Torus(128), narrow).mass == pytest.approx(1)
    wrong = {
        "density must be a TorusDensity": lambda: sample(np.ones(32), 5),
        "number must be an integer": lambda: sample(density, 2.5),
        "rng must be a Generator": lambda: sample(density, 5, rng=3),
        "on a torus": lambda: mollify(mf.ParticleMeasure([[0.3]]), torus, narrow),
        "kernel on the torus": lambda: mollify(cloud, torus, mf.LaplaceKernel(0.1)),
    }
    for message, call in wrong.items():
        with pytest.raises(TypeError, match=message) as info:
            call()
        assert FORM.fullmatch(str(info.value))


def test_quantised_densities_stay_within_the_bound():
    """Of the uniform density the bound is the distance; in d = 1 the distance to the density itself is known."""
    for dim, most, blocks in ((1, 10, 10), (2, 100, 10), (3, 30, 3)):
        torus = mf.Torus(30, dim=dim)
        atoms, error = mf.particles.quantise(torus.density(np.ones(torus.shape)), most)
        assert atoms.number == blocks**dim
        assert error == pytest.approx(math.sqrt(dim / 12) / blocks, rel=1e-12)
        assert np.ptp(atoms.weights) < 1e-15
    torus = mf.Torus(40)
    density = torus.density(lambda x: np.maximum(0, np.cos(2 * np.pi * x)), normalise=True)
    for most in (1, 7, 40, 1000):
        atoms, error = mf.particles.quantise(density, most)
        assert atoms.number == min(most, 40)
        assert mf.wasserstein(density, atoms) <= error * (1 + 1e-12)
    assert error == pytest.approx(math.sqrt(1 / 12) / 40, rel=1e-12)
    with pytest.raises(ValueError, match=r"density to quantise must have mass 1 \(got 2\)"):
        mf.particles.quantise(mf.Torus(8).density(np.full(8, 2.0)))
    with pytest.raises(TypeError, match="got ndarray"):
        mf.particles.quantise(np.ones(8))
