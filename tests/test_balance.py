"""The energy balance: its integrals to order 4, its defects to the orders of stepper and saves."""

import itertools

import numpy as np
import pytest

import meanfield as mf
from meanfield.balance import Balance, RunningIntegral
from meanfield.steppers import ETDRK4, RK4

EPS = np.finfo(float).eps
FLOW = mf.GradientFlow(mf.InternalEnergy(3, 1 / 3), mf.Wasserstein())


def integrate(times, f):
    integral = RunningIntegral()
    values = []
    for t in times:
        integral.add(t, f(t))
        values.append(integral.value)
    return np.array(values)


def uneven(number, seed=0):
    """Times in [0, 1] whose spacings vary by a factor of about three."""
    steps = np.random.default_rng(seed).uniform(0.5, 1.5, number)
    return np.concatenate([[0.0], np.cumsum(steps) / steps.sum()])


def test_cubics_are_integrated_exactly_at_every_time_from_the_fourth():
    times = uneven(20)
    values = integrate(times, lambda t: 1 + t - 3 * t**2 + 4 * t**3)
    exact = times + times**2 / 2 - times**3 + times**4
    assert np.abs(values[3:] - exact[3:]).max() <= 64 * EPS
    assert values[0] == 0.0
    assert values[1] == pytest.approx((times[1]) * (1 + 1 + times[1] - 3 * times[1] ** 2 + 4 * times[1] ** 3) / 2)


@pytest.mark.parametrize("spacing", ["even", "uneven"])
def test_order_is_four(spacing):
    numbers = np.array([16, 32, 64, 128, 256])
    errors = []
    for number in numbers:
        times = np.linspace(0, 1, number + 1) if spacing == "even" else np.linspace(0, 1, number + 1) ** 1.5
        errors.append(abs(integrate(times, lambda t: np.exp(3 * t))[-1] - np.expm1(3) / 3))
    slope = np.polyfit(np.log(1 / numbers), np.log(errors), 1)[0]
    assert abs(slope - 4) <= 0.25, (slope, errors)
    assert errors[-1] <= 1e-7 * np.expm1(3)


def test_steps_of_very_different_size_do_no_harm():
    times = np.concatenate([[0.0], np.cumsum(np.geomspace(1e-9, 0.1, 40))])
    assert integrate(times, np.exp)[-1] == pytest.approx(np.expm1(times[-1]), rel=1e-6)
    times = np.sort(np.concatenate([np.linspace(0, 1, 201), np.linspace(0, 1, 201)[1:-1:20] + 1e-10]))
    assert integrate(times, np.exp)[-1] == pytest.approx(np.expm1(1), rel=1e-7)


@pytest.mark.parametrize("cut", range(1, 9))
def test_packed_integrals_continue_to_the_same_bits(cut):
    times = uneven(8)
    whole = RunningIntegral()
    integral = RunningIntegral()
    for i, t in enumerate(times):
        if i == cut:
            integral = RunningIntegral.unpack(integral.pack())
        whole.add(t, np.exp(t))
        integral.add(t, np.exp(t))
        assert integral.value == whole.value
    assert isinstance(whole.value, float)


def bump(n=32):
    return mf.Torus(n).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))


@pytest.mark.parametrize("make", [RK4, ETDRK4])
def test_velocity_defect_vanishes_at_order_four_in_the_step(make):
    rho = mf.Torus(32).density(lambda x: 1 + 0.1 * np.cos(2 * np.pi * x))
    steps, defects = np.array([40, 57, 80, 113, 160]), []
    for number in steps:
        ds = mf.solve(FLOW, rho, t_end=0.02, stepper=make(dt=0.02 / number), progress=False)
        defects.append(abs(float(ds.balance_defect_velocity[-1])))
    slope = np.polyfit(np.log(1 / steps), np.log(defects), 1)[0]
    assert abs(slope - 4) <= 0.2, (slope, defects)
    assert defects[-1] <= 1e-6 * float(ds.energy[0] - ds.energy[-1])


def test_distance_defect_vanishes_as_saves_and_grid_are_refined():
    defects = []
    for saves, n in ((5, 64), (9, 128), (17, 256), (33, 512)):
        ds = mf.solve(FLOW, bump(n), t_end=0.02, stepper=ETDRK4(dt=2.5e-4), save_at=saves, progress=False)
        defects.append(abs(float(ds.balance_defect[-1])))
    drop = float(ds.energy[0] - ds.energy[-1])
    slope = np.polyfit(np.log([1 / 4, 1 / 8, 1 / 16, 1 / 32]), np.log(defects), 1)[0]
    assert slope >= 1, (slope, defects)
    assert defects[-1] <= 1e-2 * drop


def test_defects_are_put_together_as_stated():
    ds = mf.solve(FLOW, bump(64), t_end=0.02, stepper=ETDRK4(dt=5e-4), save_at=[0.004, 0.006, 0.015], progress=False)
    drop = ds.energy.values[0] - ds.energy.values
    slope = drop - ds.balance_defect_velocity.values  # the integral of |dE|²
    densities = [mf.TorusDensity(values, mf.Torus(64)) for values in ds.density.values]
    speed = [
        mf.wasserstein(a, b) ** 2 / dt for a, b, dt in zip(densities, densities[1:], np.diff(ds.time), strict=False)
    ]
    expected = drop - 0.5 * np.concatenate([[0.0], np.cumsum(speed)]) - 0.5 * slope
    assert np.abs(ds.balance_defect.values - expected).max() <= 64 * EPS * drop[-1]
    assert np.trapezoid(ds.dissipation, ds.time) > slope[-1] > drop[-1] / 2
    assert np.abs(ds.balance_defect.values).max() > 1e-6 * drop[-1]


def test_path_length_and_slope_of_heat_in_closed_form():
    """Near equilibrium rho = 1 + a e^{-lt} cos: |dE|² = a² (2pi)² e^{-2lt}/2 to leading order, l = 4pi²."""
    a, rate, t_end = 1e-4, 4 * np.pi**2, 0.05
    flow = mf.GradientFlow(mf.InternalEnergy(1), mf.Wasserstein())
    rho = mf.Torus(16).density(lambda x: 1 + a * np.cos(2 * np.pi * x))
    ds = mf.solve(flow, rho, t_end=t_end, stepper=ETDRK4(dt=5e-4), progress=False)
    speed = a * 2 * np.pi / np.sqrt(2)
    assert float(ds.path_length[-1]) == pytest.approx(speed * -np.expm1(-rate * t_end) / rate, rel=1e-6)
    assert float(ds.dissipation[-1]) == pytest.approx(speed**2 * np.exp(-2 * rate * t_end), rel=1e-6)
    assert abs(float(ds.balance_defect_velocity[-1])) <= 1e-6 * float(ds.energy[0] - ds.energy[-1])


def test_a_packed_balance_continues_to_the_same_bits():
    states = [(t, rho) for t, rho, _ in mf.iterate(FLOW, bump(), ETDRK4(dt=1e-3), until=0.012)]
    balance, other = (Balance(FLOW, FLOW.dissipation, 0.0, bump()) for _ in range(2))
    for i, (t, rho) in enumerate(states):
        balance.step(t, rho)
        other.step(t, rho)
        if i % 3 == 2:
            saved = balance.save(t, rho)
            assert saved == other.save(t, rho)
            packed = {key: value.copy() for key, value in other.pack().items()}
            other = Balance(FLOW, FLOW.dissipation, 0.0, bump())
            other.unpack(t, rho, packed)
    assert saved["balance_defect"] != saved["balance_defect_velocity"]


def test_no_distance_is_not_a_number():
    rho = mf.Torus(8, dim=2).density(lambda x, y: 1 + 0.1 * np.cos(2 * np.pi * y))
    assert np.isnan(Balance(FLOW, FLOW.dissipation, 0.0, rho).save(0.0, rho)["balance_defect"])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layered", [False, True])
def test_plans_between_saves_start_from_the_one_before_and_find_the_same(layered, weighted, monkeypatch):
    """Distances are those of cold plans; every pair but the first is given potentials."""
    from meanfield.distances import conditional, following, plans

    rng, guesses = np.random.default_rng(3), []
    plain = plans.plan_between

    def noted(*given, guess, **options):
        guesses.append(guess is not None)
        return plain(*given, guess=guess, **options)

    for module in (conditional, following):
        monkeypatch.setattr(module, "plan_between", noted)
    shape = (3, 30, 2) if layered else (30, 2)
    weights = rng.dirichlet(np.ones(30), shape[:1] if layered else None) if weighted else None
    kind = mf.LayeredMeasure if layered else mf.ParticleMeasure
    states = [kind(rng.standard_normal(shape) * (1 + 0.1 * k), weights) for k in range(4)]
    geometry, guess = (mf.ConditionalWasserstein() if layered else mf.Wasserstein()), None
    for a, b in itertools.pairwise(states):
        found, guess = geometry.followed_distance(a, b, guess)
        count = len(guesses)
        assert found == pytest.approx(geometry.distance(a, b), rel=1e-14)
        del guesses[count:]
    layers = 3 if layered else 1
    assert guesses == [False] * layers + [True] * 2 * layers


def test_a_resumed_run_of_particles_keeps_the_bits_of_its_balance(tmp_path):
    rng = np.random.default_rng(0)
    flow = mf.GradientFlow(mf.Interaction(mf.GaussianKernel(0.5)), mf.Wasserstein())
    cloud = mf.ParticleMeasure(rng.standard_normal((40, 2)), rng.dirichlet(np.ones(40)))
    options = {"t_end": 1.0, "save_at": 9, "progress": False, "stepper": mf.steppers.RK4(dt=0.025)}
    whole = mf.solve(flow, cloud, **options)
    with pytest.warns(RuntimeWarning, match="step limit"):
        mf.solve(flow, cloud, out=tmp_path / "run.h5", max_steps=25, **options)
    resumed = mf.solve(flow, cloud, out=tmp_path / "run.h5", resume=True, **options)
    assert np.isfinite(whole.balance_defect).all()
    for name in ("positions", "balance_defect"):
        np.testing.assert_array_equal(resumed[name], whole[name])
    resumed.close()


def test_a_run_hands_each_plan_to_the_next_one_and_so_does_its_continuation(tmp_path, monkeypatch):
    given, plain = [], mf.Wasserstein.followed_distance

    def noted(self, a, b, guess):
        given.append(guess)
        return plain(self, a, b, guess)

    monkeypatch.setattr(mf.Wasserstein, "followed_distance", noted)
    flow = mf.GradientFlow(mf.Interaction(mf.GaussianKernel(0.5)), mf.Wasserstein())
    cloud = mf.ParticleMeasure(np.random.default_rng(0).standard_normal((20, 2)))
    options = {"t_end": 1.0, "save_at": 5, "progress": False, "stepper": mf.steppers.RK4(dt=0.05)}
    mf.solve(flow, cloud, **options)
    whole, given[:] = list(given), []
    with pytest.warns(RuntimeWarning, match="step limit"):
        mf.solve(flow, cloud, out=tmp_path / "run.h5", max_steps=10, **options)
    mf.solve(flow, cloud, out=tmp_path / "run.h5", resume=True, **options).close()
    assert [guess is None for guess in whole] == [True, False, False, False]
    for one, two in zip(whole[1:], given[1:], strict=True):
        np.testing.assert_array_equal(one, two)
