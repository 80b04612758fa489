"""The finite-volume stepper: orders, step control, statuses and refusals, memory, bits over threads, whole runs."""

import dataclasses
import math
import re
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield import parallel
from meanfield.claims.runs import barenblatt_datum
from meanfield.status import Status
from meanfield.steppers import ETDRK4, RK4, RKC2, SSPRK3, FiniteVolume
from meanfield.theory import barenblatt_cell_means, barenblatt_time
from meanfield.torus.finite_volume import FiniteVolumes

EPS = np.finfo(float).eps
FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")
WELL = mf.Potential(lambda x, *rest: 0.1 * np.sin(2 * np.pi * x))
REFERENCE = 768  # points of the Fourier references: resolved to rounding, and divisible by all levels


def gradient_flow(energy):
    return mf.GradientFlow(energy, mf.Wasserstein())


POROUS = gradient_flow(mf.InternalEnergy(2))


def target(n):
    return mf.KullbackLeibler(mf.Torus(n).density(lambda x: 1 + 0.3 * np.sin(2 * np.pi * x)))


PROBLEMS = {
    "m = 1": lambda n: mf.InternalEnergy(1),
    "m = 2": lambda n: mf.InternalEnergy(2),
    "m = 3": lambda n: mf.InternalEnergy(3, 1 / 3),
    "m = 2 in a well": lambda n: mf.InternalEnergy(2) + WELL,
    "m = 3 in a well": lambda n: mf.InternalEnergy(3, 1 / 3) + WELL,
    "KL": target,
}


def profile(x, *rest):
    waves = 0.3 * np.cos(2 * np.pi * x) + 0.1 * np.sin(4 * np.pi * x)
    return 1 + waves + sum(0.2 * np.cos(2 * np.pi * y) for y in rest)


def bump(n=64, dim=1):
    """A density that is zero on most of the torus."""
    torus = mf.Torus(n, dim)
    return torus.density(np.maximum(0.0, 1 - 30 * torus.radius() ** 2))


def run(flow, state, stepper, until):
    """The last state and the infos; every step accepted."""
    steps = list(mf.iterate(flow, state, stepper, until=until))
    for _, _, info in steps:
        assert info.status is Status.RUNNING, info.detail
    return steps[-1][1], [info for _, _, info in steps]


def cell_means(values, n):
    """Means over n cells an axis of a resolved density, at the coarser points."""
    for axis in range(values.ndim):
        k = np.fft.fftfreq(len(values), 1 / len(values)).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
        values = np.fft.ifft(np.fft.fft(values, axis=axis) * np.sinc(k / n), axis=axis).real
    return values[(slice(None, None, len(values) // n),) * values.ndim]


def slope_of(sizes, errors):
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


def table(sizes, errors):
    local = [math.nan, *(np.diff(np.log(errors)) / np.diff(np.log(sizes)))]
    return "\n".join(f"{n:8g} {e:10.3e} {s:7.3f}" for n, e, s in zip(sizes, errors, local, strict=True))


# ---- order in space ----------------------------------------------------------------------------------------------


def space_errors(problem, levels, make, t_end, dim=1, reference=REFERENCE):
    """L² errors in cell means against the Fourier solution."""
    start = mf.Torus(reference, dim).density(profile)
    exact, _ = run(gradient_flow(PROBLEMS[problem](reference)), start, ETDRK4(tolerance=1e-10), t_end)
    errors = []
    for n in levels:
        datum = mf.Torus(n, dim).density(cell_means(start.values, n))
        found, _ = run(gradient_flow(PROBLEMS[problem](n)), datum, make(), t_end)
        errors.append(float(np.sqrt(np.mean((found.values - cell_means(exact.values, n)) ** 2))))
    return errors


@pytest.mark.parametrize("problem", PROBLEMS)
def test_order_two_in_space_with_the_step_it_chooses(problem):
    """Two-point flux without, reconstructed upwind flux with a potential; the time error follows h²."""
    levels = [32, 48, 64, 96, 128]
    errors = space_errors(problem, levels, FiniteVolume, 5e-3)
    assert abs(slope_of(levels, errors) + 2) <= 0.1, table(levels, errors)
    assert errors[-1] <= 2e-4, table(levels, errors)  # (2π)² h² of the waves: 0.4 · 40/12/128² and as much in time


@pytest.mark.parametrize("problem", ["m = 2", "m = 3", "m = 3 in a well"])
def test_order_two_in_space_alone(problem):
    """With a step so short that only space is left."""
    levels = [16, 24, 32, 48]
    errors = space_errors(problem, levels, lambda: FiniteVolume(tolerance=1e-4), 2e-3)
    assert abs(slope_of(levels, errors) + 2) <= 0.2 if "well" in problem else 0.1, table(levels, errors)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_upwind_is_of_order_one_from_below(problem):
    levels = [64, 96, 128, 192, 256]
    errors = space_errors(problem, levels, lambda: FiniteVolume(order=1, tolerance=2e-4), 2e-3)
    assert -1.02 <= slope_of(levels, errors) <= -0.85, table(levels, errors)


@pytest.mark.parametrize("problem", ["m = 2", "m = 2 in a well"])
def test_order_two_in_two_dimensions(problem):
    levels = [48, 64, 96, 128]
    errors = space_errors(problem, levels, FiniteVolume, 1e-3, dim=2, reference=384)
    assert abs(slope_of(levels, errors) + 2) <= 0.1, table(levels, errors)


# ---- order in time -----------------------------------------------------------------------------------------------


def semi_discrete(dim, n, order, m, potential, start, t_end):
    """The scheme's own ODE, its fluxes written out in NumPy, by scipy's DOP853."""

    def rate(t, y):
        rho, total = y.reshape(start.shape), np.zeros(start.shape)
        for axis in range(dim):
            left, right = np.roll(rho, 1, axis), np.roll(rho, -1, axis)
            xi = m / (m - 1) * rho ** (m - 1) + (0 if potential is None else potential)
            drop = xi - np.roll(xi, -1, axis)
            if order == 2 and potential is None:
                flux = rho**m - right**m
            else:
                tilt = 0.0
                if order == 2:
                    back, front = rho - left, right - rho
                    size = np.minimum(np.minimum(abs(back), abs(front)), abs(back + front) / 4)
                    tilt = np.where(back * front > 0, np.sign(front) * size, 0)
                flux = np.where(drop > 0, drop * (rho + tilt), drop * np.roll(rho - tilt, -1, axis))
            total -= (flux - np.roll(flux, 1, axis)) * n**2
        return total.ravel()

    end = solve_ivp(rate, (0, t_end), start.ravel(), method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
    return end.reshape(start.shape)


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("well", [False, True])
def test_order_one_in_time_with_a_given_step(dim, order, well):
    n, t_end, steps = 16, 0.01, np.array([40, 60, 80, 120, 160])
    flow = gradient_flow(mf.InternalEnergy(2) + WELL) if well else POROUS
    datum = mf.Torus(n, dim).density(profile)
    potential = flow.energy.potential(datum.torus)
    exact = semi_discrete(dim, n, order, 2, potential, datum.values, t_end)
    errors = []
    for number in steps:
        found, infos = run(flow, datum, FiniteVolume(order=order, dt=t_end / number), t_end)
        assert len(infos) == number
        errors.append(float(np.abs(found.values - exact).mean()))
    assert abs(slope_of(steps, errors) + 1) <= 0.1, table(steps, errors)
    assert errors[-1] <= 20 * t_end / steps[-1]  # ½ dt ∫|∂_tt ρ|, λ = 8π² in two harmonics: up to about 20


def test_the_estimate_is_half_the_second_difference():
    """``½ dt |∂_ttρ| / |∂_tρ|``: for one decaying mode of the heat flow, half its rate times dt."""
    n, dt = 32, 1e-4
    rho = mf.Torus(n).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))
    _, infos = run(gradient_flow(mf.InternalEnergy(1)), rho, FiniteVolume(dt=dt), 10 * dt)
    rate = 4 * n**2 * math.sin(math.pi / n) ** 2
    assert infos[0].error == 0
    for info in infos[1:]:
        assert info.error == pytest.approx(0.5 * dt * rate, rel=dt * rate)


@pytest.mark.parametrize(("dim", "levels"), [(1, (40, 80)), (2, (24, 32))])
@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("order", [1, 2])
def test_without_a_step_the_time_error_is_below_that_of_space(dim, levels, m, order):
    """Barenblatt data: refining time alone 16-fold moves the solution by less than what space is wrong by."""
    start, end = (barenblatt_time(radius, dim=dim, exponent=m) for radius in (0.15, 0.3))
    shares = []
    for n in levels:
        first, last = (
            barenblatt_cell_means(n, t, dim=dim, exponent=m, center=0.5 + 0.25 / n) for t in (start, end)
        )  # fmt: skip
        flow, datum = gradient_flow(mf.InternalEnergy(m)), mf.Torus(n, dim).density(first)
        coarse, _ = run(flow, datum, FiniteVolume(order=order), end - start)
        allowed = 20 / n**2 if order == 2 else 1 / n
        fine, _ = run(flow, datum, FiniteVolume(order=order, tolerance=allowed / 16), end - start)
        shares.append(np.abs(coarse.values - fine.values).sum() / np.abs(fine.values - last).sum())
    assert max(shares) <= 0.6, shares
    assert min(shares) >= 0.02, shares  # and the steps are not shorter than they need be


# ---- step control ------------------------------------------------------------------------------------------------


def test_adaptive_steps_keep_their_tolerance_and_grow_as_the_flow_slows():
    _, infos = run(POROUS, bump(), FiniteVolume(), 0.1)
    allowed = 20 / 64**2
    assert all(info.error <= allowed for info in infos)
    assert infos[-2].dt > 50 * infos[0].dt
    assert all(b.dt <= 4 * a.dt * (1 + 1e-12) for a, b in pairwise(infos))
    assert sum(info.rejected for info in infos) <= 0.1 * len(infos)
    assert np.mean([info.iterations for info in infos]) <= 5


@pytest.mark.parametrize("order", [1, 2])
def test_the_number_of_steps_follows_the_tolerance(order):
    counts = [len(run(POROUS, bump(), FiniteVolume(order=order, tolerance=tol), 0.05)[1]) for tol in (4e-3, 1e-3)]
    assert counts[1] / counts[0] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("order", [1, 2])
def test_steps_are_not_bound_by_the_grid(order):
    """The same tolerance on four times finer cells: as many steps, far beyond h²."""
    counts, longest = [], []
    for n in (32, 128):
        _, infos = run(POROUS, mf.Torus(n).density(profile), FiniteVolume(order=order, tolerance=0.02), 0.05)
        counts.append(len(infos))
        longest.append(max(info.dt for info in infos) * n**2)
    assert counts[1] <= 1.2 * counts[0]
    assert longest[1] > 4


def test_a_step_that_is_too_long_is_rejected_and_shortened():
    stepper, state, t = FiniteVolume(), bump(), 0.0
    memory = stepper.init(POROUS, state)
    for _ in range(5):
        state, memory, info = stepper.step(POROUS, t, state, memory)
        t = info.time
    hasty = dataclasses.replace(memory, dt=1e3 * memory.dt)
    _, after, info = stepper.step(POROUS, t, state, hasty)
    assert info.rejected >= 1
    assert info.dt < hasty.dt
    assert info.error <= 20 / 64**2
    assert after.dt <= 4 * info.dt


@pytest.mark.parametrize("options", [{}, {"dt": 3e-4}, {"tolerance": 1e-2}])
def test_steps_never_pass_until_and_meet_it(options):
    stepper, state, t = FiniteVolume(**options), bump(), 0.0
    memory, until = stepper.init(POROUS, state), 1.1e-3
    while t < until:
        before = t
        state, memory, info = stepper.step(POROUS, t, state, memory, until)
        t = info.time
        assert info.status is Status.RUNNING
        assert before < t <= until
    assert t == until
    if "dt" in options:
        _, infos = run(POROUS, bump(), stepper, until)
        assert len(infos) == 4
        assert np.ptp([info.dt for info in infos]) <= 8 * EPS * until


@pytest.mark.parametrize("energy", ["m = 1", "m = 2", "KL"])
@pytest.mark.parametrize("options", [{}, {"dt": 1e-2}])
@pytest.mark.parametrize("order", [1, 2])
def test_a_run_passes_through_its_equilibrium(energy, options, order):
    """Where the energy vanishes its rounding is that of its terms: no step is refused for that."""
    n = 32
    flow = gradient_flow(PROBLEMS[energy](n))
    state, infos = run(flow, mf.Torus(n).density(profile), FiniteVolume(order=order, **options), 2.0)
    end = flow.energy.target.values if energy == "KL" else np.ones(n)
    assert np.abs(state.values - end * state.mass).max() <= 1e-10
    assert sum(info.rejected for info in infos) <= 0.2 * len(infos)


def test_a_constant_stays_constant():
    rho = mf.Torus(16).density(lambda x: 2.0)
    for options in ({}, {"dt": 1.0}):
        for order in (1, 2):
            stepper = FiniteVolume(order=order, **options)
            state, _, info = stepper.step(POROUS, 0.0, rho, stepper.init(POROUS, rho))
            assert (info.dt, info.iterations) == (1.0, 0)
            assert np.array_equal(state.values, rho.values)


# ---- every step of a run -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("m", [1, 1.5, 2, 3])
@pytest.mark.parametrize("well", [False, True])
@pytest.mark.parametrize("order", [1, 2])
def test_sign_mass_and_energy_along_a_run_from_a_density_that_touches_zero(dim, m, well, order):
    energy = mf.InternalEnergy(m) + WELL if well else mf.InternalEnergy(m)
    rho, flow = bump(64 if dim == 1 else 16, dim), gradient_flow(energy)
    assert rho.values.min() == 0
    before = flow.energy.value(rho)
    for _, state, info in mf.iterate(flow, rho, FiniteVolume(order=order), until=0.05):
        assert info.status is Status.RUNNING, info.detail
        assert state.values.min() >= 0
        assert abs(state.mass / rho.mass - 1) <= 1e-12
        now = flow.energy.value(state)
        assert now <= before + 1e-14 * (abs(before) + rho.mass)
        before = now
    spread = np.count_nonzero(state.values > 1e-6 * state.values.max()) / np.count_nonzero(rho.values)
    assert spread > 1.2  # the front has moved


def test_nothing_moves_outside_the_support_in_one_short_step():
    rho = bump(64)
    state, _ = run(POROUS, rho, FiniteVolume(dt=1e-6), 1e-6)
    edge = np.flatnonzero(rho.values)
    assert state.values[edge[-1] + 4 :].max() <= 1e-9
    assert state.values.min() >= 0


# ---- statuses and refusals ---------------------------------------------------------------------------------------


def rough_spike(n=128):
    """A datum and a landscape on which an implicit step of 10⁶ h² is out of reach, by continuation too."""
    values = np.zeros(n)
    values[5] = n
    return gradient_flow(
        mf.InternalEnergy(3) + mf.Potential(np.random.default_rng(0).standard_normal(n))
    ), mf.Torus(n).density(values)  # fmt: skip


@pytest.mark.parametrize("order", [1, 2])
def test_a_solve_that_stalls_ends_a_fixed_run_and_shortens_an_adaptive_one(order, monkeypatch):
    monkeypatch.setattr(FiniteVolumes, "step", stalls_above(1e-4, FiniteVolumes.step))
    rho = bump()
    stepper = FiniteVolume(order=order, dt=1e-3)
    (_, state, info), = mf.iterate(POROUS, rho, stepper, until=0.1)  # fmt: skip
    assert info.status is Status.NOT_CONVERGED
    assert (info.dt, info.time) == (0.0, 0.0)
    assert "stalled at dt = 0.001" in info.detail
    assert state is rho
    state, infos = run(POROUS, rho, FiniteVolume(order=order), 2e-3)
    assert max(info.dt for info in infos) <= 1e-4
    assert sum(info.rejected for info in infos) > 0


def stalls_above(longest, step):
    def patched(self, values, dt, axes):
        after, iterations, converged = step(self, values, dt, axes)
        return after, iterations, converged and dt <= longest

    return patched


def test_a_real_stall_is_reported():
    flow, rho = rough_spike()
    (_, state, info), = mf.iterate(flow, rho, FiniteVolume(dt=1e6 / 128**2), until=1e3)  # fmt: skip
    assert info.status is Status.NOT_CONVERGED
    assert state is rho
    _, infos = run(flow, rho, FiniteVolume(), 1e-4)  # adaptive steps get along
    assert infos[-1].time == 1e-4


def test_a_rise_of_the_energy_is_refused(monkeypatch):
    step = FiniteVolumes.step

    def wrong(self, values, dt, axes):  # conservative and non-negative, but uphill
        _, iterations, converged = step(self, values, dt, axes)
        return values + 1e-3 * (values - values.mean()) * (values > 0.5), iterations, converged

    monkeypatch.setattr(FiniteVolumes, "step", wrong)
    rho = mf.Torus(32).density(profile)
    (_, state, info), = mf.iterate(POROUS, rho, FiniteVolume(dt=1e-4), until=1e-3)  # fmt: skip
    assert info.status is Status.NOT_CONVERGED
    assert "the energy rose by" in info.detail
    assert state is rho
    *_, (_, _, info) = mf.iterate(POROUS, rho, FiniteVolume(), until=1e-3)
    assert info.status is Status.NOT_CONVERGED
    assert info.rejected > 1


def test_an_overflow_is_not_finite():
    rho = mf.Torus(16).density(lambda x: 1e100 * (1 + 0.5 * np.cos(2 * np.pi * x)))
    flow = gradient_flow(mf.InternalEnergy(3))
    (_, state, info), = mf.iterate(flow, rho, FiniteVolume(dt=1e8), until=1e9)  # fmt: skip
    assert info.status in (Status.NOT_FINITE, Status.NOT_CONVERGED)
    assert state is rho


def test_solve_reports_a_stall():
    flow, rho = rough_spike()
    with pytest.warns(RuntimeWarning, match=r"status not converged: .*stalled at dt"):
        ds = mf.solve(flow, rho, t_end=1e3, stepper=FiniteVolume(dt=1e6 / 128**2), progress=False)
    assert ds.status == "not converged"
    assert ds.sizes["time"] == 1


@pytest.mark.parametrize("make", [RK4, SSPRK3, ETDRK4, RKC2])
def test_fourier_steppers_send_to_finite_volumes_where_the_density_is_zero(make):
    with pytest.raises(ValueError, match=r"steppers\.FiniteVolume\(\)") as info:
        mf.iterate(POROUS, bump(), make())
    assert FORM.fullmatch(str(info.value))


@pytest.mark.parametrize("m", [0.5, 0.99])
def test_fast_diffusion_refuses_a_density_that_vanishes(m):
    flow = gradient_flow(mf.InternalEnergy(m))
    for call in (
        lambda: FiniteVolume().init(flow, bump()),
        lambda: mf.iterate(flow, bump(), FiniteVolume()),
        lambda: mf.solve(flow, bump(), t_end=1.0, stepper=FiniteVolume(), progress=False),
    ):
        with pytest.raises(ValueError, match="needs a positive density") as info:
            call()
        assert FORM.fullmatch(str(info.value))
    state, _ = run(flow, mf.Torus(32).density(profile), FiniteVolume(), 0.01)
    assert np.ptp(state.values) < np.ptp(profile(np.arange(32) / 32))


@pytest.mark.parametrize("dim", [1, 2])
def test_a_barenblatt_support_larger_than_the_cell_is_refused(dim):
    for radius in (0.5, 0.7):
        with pytest.raises(ValueError, match=r"support must stay inside the unit cell") as info:
            barenblatt_datum({"coefficient": 1.0, "radius_start": radius}, 32, m=2, dim=dim)
        assert FORM.fullmatch(str(info.value))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [({"order": 3}, ValueError, "order must be 1 or 2"), ({"order": 0}, ValueError, "order must be 1 or 2"),
     ({"dt": 0.0}, ValueError, "dt"), ({"dt": math.inf}, ValueError, "dt"), ({"dt": "1"}, TypeError, "dt"),
     ({"tolerance": -1e-3}, ValueError, "tolerance"), ({"tolerance": math.nan}, ValueError, "tolerance"),
     ({"dt": 1e-3, "tolerance": 1e-3}, ValueError, "exclude each other")],
)  # fmt: skip
def test_bad_parameters_are_refused(options, error, text):
    with pytest.raises(error, match=text) as info:
        FiniteVolume(**options)
    assert FORM.fullmatch(str(info.value))


def test_other_states_are_refused():
    with pytest.raises(TypeError, match=r"FiniteVolume moves a TorusDensity \(got ndarray\); use torus\.density"):
        FiniteVolume().init(POROUS, np.ones(8))


# ---- memory and bits ---------------------------------------------------------------------------------------------

STEPPERS = [FiniteVolume(), FiniteVolume(order=1), FiniteVolume(dt=3e-4), FiniteVolume(order=1, dt=3e-4)]
EVERY = pytest.mark.parametrize("stepper", STEPPERS, ids=repr)
CASES = pytest.mark.parametrize(("dim", "well"), [(1, False), (1, True), (2, False), (2, True)])


def case(dim, well):
    flow = gradient_flow(mf.InternalEnergy(1.5) + WELL) if well else POROUS
    return flow, bump(32 if dim == 1 else 12, dim)


@EVERY
@CASES
def test_an_old_memory_stepped_again_gives_the_same_bits(stepper, dim, well):
    flow, state = case(dim, well)
    memory, t, kept = stepper.init(flow, state), 0.0, []
    for _ in range(6):
        before = (t, state, memory)
        state, memory, info = stepper.step(flow, t, state, memory, t + 5e-4)
        kept.append((*before, state.values, info))
        t = info.time
    for t, state, memory, values, info in reversed(kept):
        again, _, same = stepper.step(flow, t, state, memory, t + 5e-4)
        assert np.array_equal(again.values, values)
        assert same == info


@EVERY
@CASES
def test_packed_and_unpacked_memory_gives_the_same_bits(stepper, dim, well):
    flow, state = case(dim, well)
    memory, t = stepper.init(flow, state), 0.0
    for step in range(7):
        packed = stepper.pack(memory)
        assert all(isinstance(value, np.ndarray) and not value.dtype.hasobject for value in packed.values())
        twin = mf.TorusDensity(state.values, state.torus)
        restored = stepper.unpack(flow, twin, {name: value.copy() for name, value in packed.items()})
        until = t + 4e-4 if step % 2 else math.inf
        state, memory, info = stepper.step(flow, t, state, memory, until)
        other, restored, same = stepper.step(flow, t, twin, restored, until)
        assert np.array_equal(state.values, other.values), step
        assert info == same
        assert (memory.dt, memory.energy, memory.number) == (restored.dt, restored.energy, restored.number)
        t = info.time


def test_sweeps_alternate():
    """Every other step starts with the last axis; the order is part of the memory."""
    flow, state = case(2, False)
    stepper = FiniteVolume(dt=3e-4)
    scheme, memory, values, t = stepper.scheme(flow, state), stepper.init(flow, state), state.values, 0.0
    for number in range(4):
        values, _, _ = scheme.step(values, 3e-4, (0, 1) if number % 2 == 0 else (1, 0))
        state, memory, info = stepper.step(flow, t, state, memory)
        t = info.time
        assert np.array_equal(state.values, values)
        assert memory.number == number + 1


@EVERY
def test_a_state_the_memory_does_not_know_starts_afresh(stepper):
    first, second = bump(), mf.Torus(64).density(profile)
    memory = stepper.init(POROUS, first)
    fresh, _, _ = stepper.step(POROUS, 0.0, second, stepper.init(POROUS, second), 1e-4)
    other, _, _ = stepper.step(POROUS, 0.0, second, memory, 1e-4)
    assert np.array_equal(fresh.values, other.values)


@pytest.mark.parametrize(("order", "well"), [(1, False), (2, False), (1, True), (2, True)])
def test_same_bits_for_every_number_of_threads(order, well):
    energy = mf.InternalEnergy(1.5) + WELL if well else mf.InternalEnergy(2)
    rho, flow = bump(128, 2), gradient_flow(energy)
    assert len(parallel.chunks(128, 128**2 * 32)) == 8
    before, runs = parallel.get_threads(), []
    try:
        for number in (1, 2, 4):
            parallel.set_threads(number)
            steps = []
            for t, state, info in mf.iterate(flow, rho, FiniteVolume(order=order), until=1e-2):
                steps.append((t, info, state.values, FiniteVolume(order=order).dissipation(flow, state)))
                if len(steps) == 4:
                    break
            runs.append(steps)
    finally:
        parallel.set_threads(before)
    for other in runs[1:]:
        for first, second in zip(runs[0], other, strict=True):
            assert first[:2] == second[:2]
            assert np.array_equal(first[2], second[2])
            assert first[3] == second[3]


# ---- whole runs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("well", [False, True])
def test_the_balance_closes_at_the_order_of_the_step(order, well):
    """FLOW-1 in the scheme's own slope: first order in dt."""
    flow = gradient_flow(mf.InternalEnergy(2) + WELL) if well else POROUS
    rho, t_end, steps = mf.Torus(32).density(profile), 0.01, np.array([20, 40, 80, 160])
    defects = []
    for number in steps:
        ds = mf.solve(flow, rho, t_end=t_end, stepper=FiniteVolume(order=order, dt=t_end / number), progress=False)
        defects.append(abs(float(ds.balance_defect_velocity[-1])) / float(ds.energy[0] - ds.energy[-1]))
    assert slope_of(steps, defects) <= -0.9, table(steps, defects)
    assert defects[-1] <= 0.01, table(steps, defects)


def test_the_balance_by_distance_is_closed_by_steps_saves_and_grid():
    defects = []
    for n, steps in ((32, 40), (64, 160)):
        rho = mf.Torus(n).density(profile)
        ds = mf.solve(
            POROUS, rho, t_end=0.01, stepper=FiniteVolume(dt=0.01 / steps), save_at=steps + 1, progress=False
        )  # fmt: skip
        defects.append(abs(float(ds.balance_defect[-1])) / float(ds.energy[0] - ds.energy[-1]))
    assert defects[1] <= defects[0] / 3
    assert defects[1] <= 0.02


@pytest.mark.parametrize("dim", [1, 2])
def test_a_run_is_written_and_read_in_the_schema(dim, tmp_path):
    rho, out = bump(32 if dim == 1 else 12, dim), tmp_path / "run.h5"
    ds = mf.solve(
        POROUS, rho, t_end=5e-3, stepper=FiniteVolume(), save_at=5, out=out, progress=False,
        observe={"least": lambda state: state.values.min()},
    )  # fmt: skip
    read = mf.output.read(out)
    for name in ds.variables:
        np.testing.assert_array_equal(read[name].values, ds[name].values)
    assert (read.status, read.sizes["time"]) == ("finished", 5)
    assert np.all(np.diff(read.energy) < 0)
    assert np.all(read.least >= 0)
    assert np.abs(read.mass / read.mass[0] - 1).max() <= 1e-13
    assert np.array_equal(read.density[0].values, rho.values)
    again = mf.solve(
        POROUS, rho, t_end=5e-3, stepper=FiniteVolume(), save_at=5, out=out, progress=False, resume=True,
        observe={"least": lambda state: state.values.min()},
    )  # fmt: skip
    np.testing.assert_array_equal(again.density.values, ds.density.values)


def test_fourier_and_finite_volumes_agree_on_a_positive_problem():
    """Two discretisations and three steppers of one equation."""
    rho = mf.Torus(96).density(profile)
    fourier, _ = run(POROUS, rho, ETDRK4(tolerance=1e-9), 0.01)
    stabilised, _ = run(POROUS, rho, RKC2(tolerance=1e-8), 0.01)
    volumes, _ = run(POROUS, rho, FiniteVolume(), 0.01)
    assert np.abs(fourier.values - stabilised.values).max() <= 1e-6
    assert np.abs(fourier.values - volumes.values).max() <= 40 / 96**2  # (2π)² h² times the amplitude


@pytest.mark.filterwarnings("ignore:the run ended early")
@pytest.mark.parametrize("stepper", [FiniteVolume(), FiniteVolume(dt=1e-4), FiniteVolume(order=1, dt=1e-4)])
def test_fast_diffusion_never_leaves_its_domain_by_an_exception(stepper, tmp_path):
    torus = mf.Torus(32)
    rho = torus.density(1e-300 + np.maximum(0, np.cos(2 * np.pi * torus.points[0])))
    flow = gradient_flow(mf.InternalEnergy(0.5))
    ds = mf.solve(flow, rho, t_end=1e-3, stepper=stepper, out=tmp_path / "a.h5", progress=False)
    assert ds.status in ("finished", "not positive")
    assert ds.density.values.min() > 0
