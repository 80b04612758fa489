"""Solutions in closed form, symmetries, invariants, and the accuracy of problem P."""

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.steppers import ETDRK4, RK4, SSPRK3

EPS = np.finfo(float).eps
CUBIC = mf.GradientFlow(mf.InternalEnergy(3, 1 / 3), mf.Wasserstein())


def run(flow, state, stepper, t_end):
    return list(mf.iterate(flow, state, stepper, until=t_end))[-1][1]


def distance(a, b):
    return math.sqrt(np.mean((a - b) ** 2) / np.mean(b**2))


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("steps", [1, 7])
def test_heat_flow_is_exact(dim, steps):
    torus, c, t_end = mf.Torus(12, dim), 0.8, 0.02
    rng = np.random.default_rng(dim)
    waves = [(rng.integers(-4, 5, dim), 0.1 * rng.random(), rng.random()) for _ in range(4)]

    def exact(t):
        values = np.ones(torus.shape)
        for k, amplitude, shift in waves:
            phase = 2 * np.pi * np.tensordot(k, torus.points, 1) + 2 * np.pi * shift
            values = values + amplitude * math.exp(-c * 4 * np.pi**2 * (k @ k) * t) * np.cos(phase)
        return values

    flow = mf.GradientFlow(mf.InternalEnergy(1, c), mf.Wasserstein())
    end = run(flow, torus.density(exact(0)), ETDRK4(dt=t_end / steps), t_end)
    assert np.abs(end.values - exact(t_end)).max() <= 32 * EPS * (1 + steps)


@pytest.mark.parametrize("stepper", [RK4(dt=1e-3), SSPRK3(tolerance=1e-11), ETDRK4(dt=1e-3)], ids=repr)
def test_transport_into_a_well_follows_its_characteristics(stepper):
    """V = a cos 2πx: tan πx(t) = e^s tan πx₀ with s = 4π²at, so ρ = e^{−s}/(cos² πx + e^{−2s} sin² πx) from ρ₀ = 1."""
    a, t_end = 0.02, 0.8
    s = 4 * math.pi**2 * a * t_end
    torus = mf.Torus(160)
    flow = mf.GradientFlow(mf.Potential(lambda x: a * np.cos(2 * np.pi * x)), mf.Wasserstein())
    end = run(flow, torus.density(lambda x: 1.0), stepper, t_end)
    x = np.pi * torus.points[0]
    exact = math.exp(-s) / (np.cos(x) ** 2 + math.exp(-2 * s) * np.sin(x) ** 2)
    # order 4 with rate s/t: (s/steps)^4 relative; order 3 by its tolerance
    assert distance(end.values, exact) <= 1e-9
    assert np.abs(torus.gradient(exact)).max() > 5  # far from where it began


@pytest.mark.parametrize("stepper", [RK4(), SSPRK3(), ETDRK4(dt=1e-3), ETDRK4()], ids=repr)
@pytest.mark.parametrize("dim", [1, 2])
def test_mass_is_conserved_to_rounding(stepper, dim):
    torus = mf.Torus(24 if dim == 1 else 16, dim)
    rho = torus.density(lambda *x: 2 * np.exp(0.5 * np.cos(2 * np.pi * sum(x))))
    well = mf.Potential(lambda *x: 0.05 * np.sin(2 * np.pi * x[-1]))
    for energy in (CUBIC.energy, mf.InternalEnergy(1.6) + well, 0.5 * mf.KullbackLeibler(rho)):
        flow = mf.GradientFlow(energy, mf.Wasserstein())
        masses = [state.mass for _, state, _ in mf.iterate(flow, rho, stepper, until=0.005)]
        assert np.abs(np.array(masses) / rho.mass - 1).max() <= 1e-13


@pytest.mark.filterwarnings("ignore:the density should be resolved")  # noise is not
@pytest.mark.parametrize("make", [RK4, ETDRK4])
def test_translations_and_reflections_commute_with_the_flow(make):
    torus = mf.Torus(20, dim=2)
    rng = np.random.default_rng(3)
    values = 1 + 0.1 * rng.random(torus.shape)
    stepper = make(dt=1e-4)
    end = run(CUBIC, torus.density(values), stepper, 2e-3).values
    for move in (
        lambda f: np.roll(f, (3, -7), (0, 1)),
        lambda f: f[::-1, :],
        lambda f: f.T,
        lambda f: np.roll(f[::-1, ::-1], 1, (0, 1)),
    ):
        moved = run(CUBIC, torus.density(move(values)), stepper, 2e-3).values
        assert np.abs(moved - move(end)).max() <= 64 * EPS * 20


@pytest.mark.parametrize("exponent", [1.5, 2, 3])
def test_scaling_symmetry(exponent):
    """If ρ(t) solves ∂_tρ = Δρ^m, so does λρ(λ^{m−1}t)."""
    rho = mf.Torus(32).density(lambda x: 1 + 0.4 * np.cos(2 * np.pi * x))
    flow, factor = mf.GradientFlow(mf.InternalEnergy(exponent), mf.Wasserstein()), 3.0
    speed = factor ** (exponent - 1)
    end = run(flow, rho, ETDRK4(dt=1e-4), 2e-3).values
    scaled = run(flow, mf.TorusDensity(factor * rho.values, rho.torus), ETDRK4(dt=1e-4 / speed), 2e-3 / speed).values
    assert np.abs(scaled - factor * end).max() <= 256 * EPS * factor


def test_multiples_are_a_change_of_time():
    rho = mf.Torus(32).density(lambda x: 1 + 0.4 * np.cos(2 * np.pi * x))
    single = run(CUBIC, rho, ETDRK4(dt=1e-3), 0.02).values
    double = run(mf.GradientFlow(2 * CUBIC.energy, mf.Wasserstein()), rho, ETDRK4(dt=5e-4), 0.01).values
    assert np.abs(single - double).max() <= 128 * EPS


def test_data_of_one_variable_stays_so_in_more_dimensions():
    line = mf.Torus(20).density(lambda x: 1 + 0.4 * np.cos(2 * np.pi * x))
    end = run(CUBIC, line, ETDRK4(dt=1e-3), 0.01).values
    for dim in (2, 3):
        rho = mf.Torus(20, dim).density(lambda *x: 1 + 0.4 * np.cos(2 * np.pi * x[-1]))
        values = run(CUBIC, rho, ETDRK4(dt=1e-3), 0.01).values
        assert np.abs(values - end).max() <= 128 * EPS


@pytest.mark.parametrize("stepper", [ETDRK4(tolerance=1e-8), RK4()], ids=repr)
def test_flow_of_the_divergence_converges_to_its_target(stepper):
    torus = mf.Torus(64)
    target = torus.density(lambda x: np.exp(0.7 * np.cos(2 * np.pi * x) + 0.2 * np.sin(4 * np.pi * x)), normalise=True)
    flow = mf.GradientFlow(mf.KullbackLeibler(target), mf.Wasserstein())
    rho = torus.density(lambda x: 1 + 0.5 * np.sin(2 * np.pi * x))
    ds = mf.solve(flow, rho, t_end=1.0, stepper=stepper, save_at=21, progress=False)
    assert np.abs(ds.density[-1] - target.values).max() <= 1e-9
    energy = ds.energy.values
    above = energy > 1e-13
    assert np.all(np.diff(energy[above]) < 0)
    # Holley-Stroock: the spectral gap of e^{-V} is at least 4pi² e^{-osc V}; entropy falls at twice the gap or faster
    gap = 4 * np.pi**2 * target.values.min() / target.values.max()
    assert energy[2] <= energy[0] * math.exp(-2 * gap * 0.1)


def test_flow_of_the_squared_distance_converges_to_its_target():
    torus = mf.Torus(32)
    target = torus.density(lambda x: 1 + 0.3 * np.cos(2 * np.pi * x))
    flow = mf.GradientFlow(mf.L2Distance(target), mf.Wasserstein())
    rho = torus.density(lambda x: 1 + 0.3 * np.sin(4 * np.pi * x))
    end = run(flow, rho, ETDRK4(tolerance=1e-9), 1.5)
    assert np.abs(end.values - target.values).max() <= 1e-9


@pytest.mark.parametrize("exponent", [1, 2.5])
def test_free_energy_reaches_the_gibbs_state(exponent):
    """Stationary states have δE constant: entropy and well give e^{−V}, power and well an Aronson profile."""
    torus = mf.Torus(48)
    well = mf.Potential(lambda x: 0.4 * np.cos(2 * np.pi * x))
    energy = mf.InternalEnergy(exponent) + well
    end = run(mf.GradientFlow(energy, mf.Wasserstein()), torus.density(lambda x: 1.0), ETDRK4(tolerance=1e-10), 1.0)
    assert np.ptp(energy.differential(end)) <= 1e-8
    if exponent == 1:
        gibbs = np.exp(-well.values(torus))
        assert np.abs(end.values - gibbs / gibbs.mean()).max() <= 1e-8


# ---- problem P ---------------------------------------------------------------------------------------------------


def problem_p(n):
    return mf.Torus(n, dim=2).density(
        lambda x, y: 1 + 0.5 * np.cos(2 * np.pi * x) * np.cos(2 * np.pi * y) + 0.2 * np.sin(4 * np.pi * x)
    )


@pytest.fixture(scope="module")
def resolved_p():
    """Problem P at 256² in 100 steps: both errors near 1e-9."""
    return run(CUBIC, problem_p(256), ETDRK4(dt=0.01 / 100), 0.01).values


def error_p(values, resolved):
    every = len(resolved) // len(values)
    return distance(values, resolved[::every, ::every])


@pytest.mark.parametrize("steps", [25, 30])
def test_problem_p_to_one_millionth_in_thirty_steps(resolved_p, steps):
    end = run(CUBIC, problem_p(128), ETDRK4(dt=0.01 / steps), 0.01)
    assert error_p(end.values, resolved_p) <= 1e-6


def test_problem_p_adaptively(resolved_p):
    """The default tolerance keeps the whole error below a step's, and costs no more than half as much again."""
    steps = list(mf.iterate(CUBIC, problem_p(128), ETDRK4(), until=0.01))
    assert error_p(steps[-1][1].values, resolved_p) <= 1e-6
    assert len(steps) + sum(info.rejected for _, _, info in steps) <= 45


def test_problem_p_converges_faster_than_any_power_in_space(resolved_p):
    errors = [
        error_p(run(CUBIC, problem_p(n), ETDRK4(dt=0.01 / 100), 0.01).values, resolved_p) for n in (16, 32, 64, 128)
    ]
    rates = -np.diff(np.log2(errors))
    assert rates[2] > rates[1] > rates[0] > 4, errors  # the local order grows
    assert errors[-1] <= 1e-8, errors
