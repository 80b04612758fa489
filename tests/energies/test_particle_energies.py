"""Energies of particles: values and differentials against plain sums, differentials against differences of values."""

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.status import Refusal, Status

EPS = np.finfo(float).eps
NUFFT = 1e-11  # ten times the tolerance the energies ask of their transforms
POINTS = {1: (16, 17), 2: (8, 9), 3: (6, 7)}
CASES = [(dim, n) for dim, sizes in POINTS.items() for n in sizes]


def cloud(dim, torus=None, number=11, seed=0):
    """Weighted particles, outside the unit cell too."""
    rng = np.random.default_rng(seed)
    return mf.ParticleMeasure(rng.uniform(-1, 2, (number, dim)), rng.dirichlet(np.ones(number)), torus)


def rough(torus, seed=1):
    """A density of white noise: all modes are there, those at n/2 too."""
    return torus.density(0.2 + np.random.default_rng(seed).random(torus.shape), normalise=True)


def carried(torus):
    """The wave vectors 2πk, |k_a| ≤ (n−1)//2, (M, d)."""
    top = (torus.n - 1) // 2
    axes = np.meshgrid(*[np.arange(-top, top + 1)] * torus.dim, indexing="ij")
    return 2 * np.pi * np.stack([axis.ravel() for axis in axes], axis=1)


def modes_of(measure):
    """Its Fourier coefficients at those, by a plain sum over particles or grid points."""
    k = carried(measure.torus)
    if isinstance(measure, mf.ParticleMeasure):
        return np.exp(-1j * k @ measure.positions.T) @ measure.weights
    points = np.stack([axis.ravel() for axis in np.broadcast_arrays(*measure.torus.points)])
    return np.exp(-1j * k @ points) @ measure.values.ravel() / measure.torus.size


def slopes_of(torus, modes, x):
    """∇ of the field with these modes, (N, d)."""
    k = carried(torus)
    return (np.exp(1j * x @ k.T) @ (1j * k * modes[:, None])).real


def squares(torus):
    return (carried(torus) ** 2).sum(axis=1)


@pytest.mark.parametrize(("dim", "n"), CASES)
@pytest.mark.parametrize("kernel", [mf.GaussianKernel(0.1), mf.SobolevKernel(1.5, 0.2), mf.DiracKernel()], ids=repr)
def test_interaction_is_its_sum_over_modes(kernel, dim, n):
    torus = mf.Torus(n, dim)
    state, energy = cloud(dim, torus), mf.Interaction(kernel)
    modes, multiplier = modes_of(state), kernel.spectrum(squares(torus))
    assert energy.value(state) == pytest.approx(0.5 * np.sum(multiplier * abs(modes) ** 2), rel=NUFFT)
    exact = slopes_of(torus, multiplier * modes, state.positions)
    assert np.abs(energy.differential(state) - exact).max() <= NUFFT * np.sum(multiplier * squares(torus) ** 0.5)


@pytest.mark.parametrize(("dim", "n"), CASES)
@pytest.mark.parametrize("order", [0, 1, 2.5])
@pytest.mark.parametrize("target", ["density", "cloud"])
def test_sobolev_distance_is_its_sum_over_modes(target, order, dim, n):
    torus = mf.Torus(n, dim)
    state, goal = cloud(dim, torus), rough(torus) if target == "density" else cloud(dim, torus, number=7, seed=2)
    energy, gap = mf.SobolevDistance(goal, order=order), modes_of(state) - modes_of(goal)
    multiplier = (1 + squares(torus)) ** -float(order)
    assert energy.value(state) == pytest.approx(0.5 * np.sum(multiplier * abs(gap) ** 2), rel=NUFFT)
    exact = slopes_of(torus, multiplier * gap, state.positions)
    assert np.abs(energy.differential(state) - exact).max() <= NUFFT * np.sum(multiplier * squares(torus) ** 0.5)


@pytest.mark.parametrize(("dim", "n"), CASES)
def test_a_density_sees_a_target_of_particles_through_the_modes_they_carry(dim, n):
    torus = mf.Torus(n, dim)
    rho, goal = rough(torus), cloud(dim, torus)
    energy, back = mf.SobolevDistance(goal, order=1), mf.SobolevDistance(rho, order=1)
    assert energy.value(rho) == pytest.approx(back.value(goal), rel=NUFFT)
    direction = np.random.default_rng(3).standard_normal(torus.shape)
    ends = [energy.value(torus.density(rho.values + sign * 0.01 * direction)) for sign in (1, -1)]
    assert (ends[0] - ends[1]) / 0.02 == pytest.approx(torus.inner(energy.differential(rho), direction), rel=1e-9)


def test_the_distance_to_the_own_particles_is_zero():
    torus = mf.Torus(16, 2)
    state = cloud(2, torus)
    same = mf.ParticleMeasure(state.positions[::-1] + 3, state.weights[::-1], torus)
    energy = mf.SobolevDistance(same, order=1)
    assert energy.value(state) <= NUFFT**2 * torus.size
    assert np.abs(energy.differential(state)).max() <= NUFFT * torus.n


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("kernel", [mf.GaussianKernel(0.4), mf.MaternKernel(2.5, 0.7), mf.LaplaceKernel(0.5)], ids=repr)
def test_interaction_in_space_is_its_double_sum(kernel, dim):
    state = cloud(dim)
    value = 0.5 * state.weights @ kernel(state.positions, state.positions) @ state.weights
    assert mf.Interaction(kernel).value(state) == pytest.approx(value, rel=64 * EPS)


def test_interaction_of_gaussians_in_space_has_the_known_gradient():
    state, length = cloud(2), 0.4
    gaps = state.positions[:, None] - state.positions
    kernel = np.exp(-0.5 * (gaps**2).sum(axis=2) / length**2)
    exact = -np.einsum("ij,ijd,j->id", kernel, gaps, state.weights) / length**2
    assert np.abs(mf.Interaction(mf.GaussianKernel(length)).differential(state) - exact).max() <= 64 * EPS / length**2


def well(*x):
    """A landscape on the torus that no grid resolves exactly."""
    return np.exp(0.3 * sum(np.cos(2 * np.pi * (one + 0.1 * a)) for a, one in enumerate(x)))


def bowl(*x):
    return sum((one - 0.3) ** 4 for one in x)


def slope_of_bowl(*x):
    return [4 * (one - 0.3) ** 3 for one in x]


@pytest.mark.parametrize(("dim", "n"), CASES)
def test_potential_on_a_torus_is_the_polynomial_through_its_carried_modes(dim, n):
    torus = mf.Torus(n, dim)
    state = cloud(dim, torus)
    values = np.random.default_rng(4).random(torus.shape)
    modes = modes_of(torus.density(values))
    energy = mf.Potential(values)
    exact = (np.exp(1j * state.positions @ carried(torus).T) @ modes).real
    assert energy.value(state) == pytest.approx(state.weights @ exact, rel=NUFFT)
    assert np.abs(energy.differential(state) - slopes_of(torus, modes, state.positions)).max() <= NUFFT * torus.size


def test_potential_with_a_gradient_is_taken_as_it_is():
    torus = mf.Torus(8, 2)
    energy = mf.Potential(well, gradient=lambda x, y: (0 * x, 2.0))
    state = cloud(2, torus)
    assert energy.value(state) == pytest.approx(state.weights @ well(*state.positions.T), rel=8 * EPS)
    np.testing.assert_array_equal(energy.differential(state), np.tile([0.0, 2.0], (11, 1)))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_differential_of_kullback_leibler_is_minus_the_score(dim):
    """log ρ* is a polynomial of degree one here, so the grid has it exactly."""
    torus = mf.Torus({1: 16, 2: 8, 3: 6}[dim], dim)
    target = torus.density(lambda *x: np.exp(0.8 * sum(np.cos(2 * np.pi * one) for one in x)), normalise=True)
    state = cloud(dim, torus)
    energy = mf.KullbackLeibler(target)
    exact = 0.8 * 2 * np.pi * np.sin(2 * np.pi * state.positions)
    assert np.abs(energy.differential(state) - exact).max() <= NUFFT * 2 * np.pi
    assert math.isnan(energy.value(state))
    assert np.abs((2 * energy).differential(state) - 2 * exact).max() <= NUFFT * 4 * np.pi


def energies(dim, torus):
    """Every energy of finite value, with a sum of multiples."""
    if torus is None:
        made = [mf.Interaction(mf.GaussianKernel(0.5)), mf.Interaction(mf.MaternKernel(2.5, 0.8)),
                mf.Potential(bowl, gradient=slope_of_bowl)]  # fmt: skip
        return [*made, 0.5 * made[0] + 2 * made[2]]
    made = [mf.Interaction(mf.SobolevKernel(2, 0.1)), mf.SobolevDistance(rough(torus), order=1), mf.Potential(well)]
    return [*made, mf.SobolevDistance(cloud(dim, torus, seed=5), order=2), made[0] + 3 * (made[1] + 0.5 * made[2])]


@pytest.mark.parametrize(("periodic", "which"), [(True, i) for i in range(5)] + [(False, i) for i in range(4)])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_differential_is_the_derivative_of_the_value(periodic, which, dim):
    """Fourth-order differences: dE(x + hu)/dh = Σ a_i ∇δE(x_i)·u_i, the weights divided out."""
    torus = mf.Torus(POINTS[dim][0], dim) if periodic else None
    energy, state = energies(dim, torus)[which], cloud(dim, torus)
    u = np.random.default_rng(6).standard_normal(state.positions.shape)
    slope = float(np.sum(state.weights[:, None] * energy.differential(state) * u))
    h = 1e-3
    values = [
        energy.value(mf.ParticleMeasure(state.positions + s * h * u, state.weights, torus)) for s in (1, -1, 2, -2)
    ]
    found = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)
    assert found == pytest.approx(slope, rel=3e-7, abs=3e-7 * np.abs(energy.differential(state)).max())


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_values_do_not_depend_on_representatives_nor_on_the_order_of_particles(dim):
    torus = mf.Torus(POINTS[dim][1], dim)
    state = cloud(dim, torus)
    rng = np.random.default_rng(7)
    order = rng.permutation(state.number)
    moved = state.positions[order] + rng.integers(-5, 5, state.positions.shape)
    other = mf.ParticleMeasure(moved, state.weights[order], torus)
    for energy in energies(dim, torus):
        assert energy.value(other) == pytest.approx(energy.value(state), rel=NUFFT)
        change = np.abs(energy.differential(other) - energy.differential(state)[order]).max()
        assert change <= 20 * NUFFT * torus.n**dim


def test_an_empty_weight_moves_and_is_not_seen():
    torus = mf.Torus(16)
    state = cloud(1, torus)
    more = mf.ParticleMeasure([*state.positions, [0.123]], [*state.weights, 0.0], torus)
    for energy in energies(1, torus):
        assert energy.value(more) == pytest.approx(energy.value(state), rel=NUFFT)
        slopes = energy.differential(more)
        assert np.abs(slopes[:-1] - energy.differential(state)).max() <= NUFFT * torus.n
        assert abs(slopes[-1, 0]) > 1e-3


def refused(call):
    with pytest.raises((ValueError, TypeError)) as info:
        call()
    assert "\n" not in str(info.value)
    return str(info.value)


def test_states_an_energy_is_not_defined_on_are_refused():
    torus, space = mf.Torus(8), cloud(1)
    flat = torus.density(np.ones(8))
    assert "closed form (got SobolevKernel" in refused(lambda: mf.Interaction(mf.SobolevKernel(2)).check(space))
    radial = mf.Interaction(mf.MaternKernel(1.5))
    for state in (cloud(1, torus), flat):
        assert "must have Fourier coefficients (got MaternKernel" in refused(lambda state=state: radial.check(state))
    assert "kernel must be a Kernel (got float)" in refused(lambda: mf.Interaction(0.1))
    for energy in (mf.SobolevDistance(flat, order=1), mf.KullbackLeibler(flat)):
        for state in (space, cloud(1, mf.Torus(10))):
            text = refused(lambda energy=energy, state=state: energy.check(state))
            assert "must live on one torus" in text
    assert "must be on a torus" in refused(lambda: mf.SobolevDistance(space, order=1))
    twice = torus.density(np.full(8, 2.0))
    for call in (
        lambda: mf.SobolevDistance(twice, order=1).check(cloud(1, torus)),
        lambda: mf.SobolevDistance(cloud(1, torus), order=1).check(twice),
        lambda: mf.KullbackLeibler(twice).check(cloud(1, torus)),
    ):
        assert "a density must have mass 1 (got 2)" in refused(call)
    assert "target must be a TorusDensity" in refused(lambda: mf.KullbackLeibler(cloud(1, torus)))


def test_potentials_that_do_not_fit_are_refused():
    space = cloud(2)
    assert "need the gradient" in refused(lambda: mf.Potential(bowl).check(space))
    assert "must be a callable" in refused(lambda: mf.Potential(np.ones((8, 8)), gradient=slope_of_bowl).check(space))
    assert "must have 2 components (got 1)" in refused(
        lambda: mf.Potential(bowl, gradient=lambda x, y: [x]).check(space)
    )
    wrong = mf.Potential(lambda x, y: np.where(x > 0, np.nan, x), gradient=slope_of_bowl)
    with pytest.raises(Refusal, match=r"potential must be finite \(got nan at particle") as info:
        wrong.check(space)
    assert info.value.status is Status.NOT_FINITE
    steep = mf.Potential(bowl, gradient=lambda x, y: (x, np.full_like(x, np.inf)))
    assert "gradient must be finite (got inf at particle 0)" in refused(lambda: steep.check(space))


def test_data_tell_targets_apart():
    torus = mf.Torus(16)
    state = cloud(1, torus)
    goals = [mf.SobolevDistance(cloud(1, torus, seed=seed), order=1).data(state)[0] for seed in (1, 2)]
    assert not np.array_equal(*goals)
    wells = [mf.Potential(f).data(state)[0] for f in (well, lambda x: 2 * well(x))]
    assert not np.array_equal(*wells)
