"""Quadratic energies of densities: Sobolev distances and interactions against plain sums and finite differences."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.energies.base import InteractionTerm

EPS = np.finfo(float).eps
KERNELS = [mf.GaussianKernel(0.1), mf.SobolevKernel(order=1.5, length=0.2), mf.DiracKernel()]


def noise(dim, seed=0):
    """Two densities of white noise, an even and an odd number of points."""
    torus = mf.Torus({1: 16, 2: 9, 3: 6}[dim], dim)
    rng = np.random.default_rng(seed)
    return tuple(torus.density(0.2 + rng.random(torus.shape)) for _ in range(2))


def sum_over_modes(torus, values, multiplier):
    """½ Σ_k h(k)|f̂(k)|² over all modes of NumPy's full transform."""
    k = np.meshgrid(*[np.fft.fftfreq(torus.n, 1 / torus.n)] * torus.dim, indexing="ij")
    squared = sum((2 * np.pi * one) ** 2 for one in k)
    return 0.5 * np.sum(multiplier(squared) * np.abs(np.fft.fftn(values, norm="forward")) ** 2)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("order", [0, 0.5, 1, 3])
def test_sobolev_distance_is_its_sum_over_modes(order, dim):
    rho, target = noise(dim)
    exact = sum_over_modes(rho.torus, rho.values - target.values, lambda squared: (1 + squared) ** -float(order))
    assert mf.SobolevDistance(target, order=order).value(rho) == pytest.approx(exact, rel=64 * EPS)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_sobolev_distance_of_order_zero_is_the_l2_distance(dim):
    rho, target = noise(dim)
    ours, other = mf.SobolevDistance(target, order=0), mf.L2Distance(target)
    assert ours.value(rho) == pytest.approx(other.value(rho), rel=64 * EPS)
    assert np.abs(ours.differential(rho) - other.differential(rho)).max() <= 16 * EPS


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_interaction_is_its_double_sum(kernel):
    """½ n^{−2} Σ_ij K(x_i − x_j)ρ_iρ_j with K = Σ_k K̂(k) e^{2πik·x} summed by hand."""
    rho, _ = noise(1)
    n = rho.torus.n
    k = np.arange(-(n // 2) + 1, n // 2)
    offsets = np.arange(n) / n
    values = kernel.spectrum((2 * np.pi * k) ** 2.0) @ np.cos(2 * np.pi * np.outer(k, offsets))
    values += kernel.spectrum(np.array((np.pi * n) ** 2)) * np.cos(np.pi * n * offsets)  # the Nyquist mode
    matrix = values[(np.arange(n)[:, None] - np.arange(n)) % n]
    energy = mf.Interaction(kernel)
    assert energy.value(rho) == pytest.approx(0.5 * rho.values @ matrix @ rho.values / n**2, rel=256 * EPS)
    assert np.abs(energy.differential(rho) - matrix @ rho.values / n).max() <= 256 * EPS


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_interaction_is_its_sum_over_modes(kernel, dim):
    rho, _ = noise(dim)
    exact = sum_over_modes(rho.torus, rho.values, kernel.spectrum)
    assert mf.Interaction(kernel).value(rho) == pytest.approx(exact, rel=64 * EPS)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(
    "make", [lambda target: mf.SobolevDistance(target, order=1.5), lambda _: mf.Interaction(KERNELS[0])]
)
def test_differential_is_the_derivative_of_the_value(make, dim):
    """Exact for a quadratic: a central difference of any step has no remainder."""
    rho, target = noise(dim, seed=2)
    torus, energy = rho.torus, make(target)
    direction = np.random.default_rng(3).standard_normal(torus.shape)
    h = 0.1 * rho.values.min() / np.abs(direction).max()
    ends = [energy.value(torus.density(rho.values + sign * h * direction)) for sign in (1, -1)]
    slope = torus.inner(energy.differential(rho), direction)
    assert abs((ends[0] - ends[1]) / (2 * h) - slope) <= 64 * EPS * abs(ends[0]) / h + 64 * EPS * abs(slope)


@pytest.mark.parametrize("dim", [1, 2])
def test_terms_and_potential_make_up_the_differential(dim):
    """δE = Hρ + V: what the short forms of flows are built from."""
    rho, target = noise(dim)
    torus = rho.torus
    for energy in (
        mf.SobolevDistance(target, order=1),
        mf.Interaction(KERNELS[1]),
        2 * mf.Interaction(KERNELS[0]) + 0.5 * mf.SobolevDistance(target, order=2),
        3 * (mf.Interaction(KERNELS[0]) + mf.Interaction(KERNELS[1])),
    ):
        field = energy.potential(torus)
        total = np.zeros(torus.shape) if field is None else field.copy()
        for term in energy.interaction():
            assert isinstance(term, InteractionTerm)
            multiplier = term.coefficient * term.spectrum(torus.squared_wavenumber)
            total += torus.values(multiplier * torus.coefficients(rho.values))
        assert np.abs(total - energy.differential(rho)).max() <= 64 * EPS * np.abs(total).max()
        assert energy.pressure() == ()


def test_sums_and_multiples():
    rho, target = noise(1)
    near, far = mf.Interaction(KERNELS[0]), mf.SobolevDistance(target, order=1)
    total = near + 2 * (far + 3 * near)
    assert total.value(rho) == pytest.approx(7 * near.value(rho) + 2 * far.value(rho), rel=64 * EPS)
    assert [term.coefficient for term in total.interaction()] == [1.0, 2.0, 6.0]
    assert (mf.InternalEnergy(2) + near).interaction() == near.interaction()


def test_the_target_tells_runs_apart():
    rho, target = noise(1)
    fields = [mf.SobolevDistance(one, order=1).data(rho) for one in (rho, target)]
    assert not np.array_equal(fields[0][0], fields[1][0])
    assert mf.Interaction(KERNELS[0]).data(rho) == ()
    assert repr(mf.Interaction(KERNELS[0])) == "Interaction(kernel=GaussianKernel(length=0.1))"
