"""RKC2: order, error estimate, stability interval and strip, number of stages, adaptive steps, refusals, bits."""

import functools
import math
import re
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield.status import Status
from meanfield.steppers import ETDRK4, RK4, RKC2, SSPRK3, _fourier
from meanfield.steppers.stabilised import (
    DAMPING,
    DRIFT,
    MOST_STAGES,
    chebyshev_weights,
    stability_interval,
    stages_for,
)

EPS = np.finfo(float).eps
FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")
N, T_END = 16, 0.02
X = np.arange(N) / N
WELL = 0.1 * np.cos(2 * np.pi * X)
PROBLEMS = {  # name: energy, P, V, degree of the product
    "m=3": (mf.InternalEnergy(3, 1 / 3), lambda r: r**3 / 3, None, 3),
    "m=3 in a drift": (mf.InternalEnergy(3, 1 / 3) + mf.Potential(WELL), lambda r: r**3 / 3, WELL, 3),
    "m=2.5": (mf.InternalEnergy(2.5, 0.4), lambda r: 0.4 * r**2.5, None, 3),
    "heat in a drift": (mf.InternalEnergy(1) + mf.Potential(5 * WELL), lambda r: r, 5 * WELL, 2),
}


def flow_of(energy):
    return mf.GradientFlow(energy, mf.Wasserstein())


CUBIC = flow_of(mf.InternalEnergy(3, 1 / 3))


def bump(n=32, amplitude=0.5, dim=1):
    return mf.Torus(n, dim).density(lambda *x: 1 + amplitude * np.cos(2 * np.pi * x[0]))


def contrast_40(n=64, dim=1):
    return mf.Torus(n, dim).density(lambda *x: np.exp(math.log(40) / 2 * np.cos(2 * np.pi * x[0])))


def run(flow, state, stepper, until):
    steps = list(mf.iterate(flow, state, stepper, until=until))
    for _, _, info in steps:
        assert info.status is Status.RUNNING, info.detail
    return steps[-1][1], [info for _, _, info in steps]


def distance(a, b):
    return math.sqrt(np.mean((a - b) ** 2) / np.mean(b**2))


def polynomial(stages, z):
    """The stability polynomial R(z): the recursion of the weights on y' = λy, h = 1, λ = z."""
    w, z = chebyshev_weights(stages), np.asarray(z, dtype=complex)
    far, near = np.ones_like(z), 1 + w.first * z
    for j in range(2, stages + 1):
        new = 1 - w.mu[j] - w.nu[j] + w.mu[j] * near + w.nu[j] * far + w.mu_rate[j] * z * near + w.gamma[j] * z
        far, near = near, new
    return near


# ---- the stability polynomial ------------------------------------------------------------------------------------

STAGES = [2, 3, 4, 5, 8, 13, 30, 100, MOST_STAGES]


@pytest.mark.parametrize("stages", STAGES)
def test_stability_interval(stages):
    """|R| ≤ 1 on [−β, 0], damped to about 1 − ε/3 inside, and β is all there is: 2 % beyond it |R| > 1 (s large)."""
    beta = stability_interval(stages)
    inside = np.abs(polynomial(stages, -np.linspace(0, beta, 200 * stages)))
    assert inside.max() <= 1 + 64 * EPS * stages**2  # the recursion's rounding grows like s²
    z = -np.linspace(0.05 * beta if stages > 2 else 0.3, 0.98 * beta, 200 * stages)
    assert np.abs(polynomial(stages, z)).max() <= 1 - 0.9 * DAMPING / 3 + 0.02
    if stages >= 8:
        assert np.abs(polynomial(stages, [-1.02 * beta]))[0] > 1
    assert beta == pytest.approx(0.653 * (stages**2 - 1), rel=1e-3)


@pytest.mark.parametrize("stages", STAGES)
def test_stability_polynomial_is_of_order_two(stages):
    h = np.array([0.1, 0.05, 0.025, 0.0125])
    gaps = np.abs(polynomial(stages, -h).real - np.exp(-h))
    slope = np.polyfit(np.log(h), np.log(gaps), 1)[0]
    assert abs(slope - 3) <= 0.1
    constant = gaps[-1] / h[-1] ** 3  # 1/6 for two stages down to about 1/15 for many
    assert 0.06 <= constant <= 0.17


@pytest.mark.parametrize("stages", STAGES)
def test_stability_polynomial_is_the_shifted_chebyshev_one(stages):
    """``R(z) = a_s + b_s T_s(w_0 + w_1 z)``, by NumPy's Chebyshev series."""
    series = np.polynomial.chebyshev.Chebyshev([0] * stages + [1])
    w0 = 1 + DAMPING / stages**2
    first, second = series.deriv()(w0), series.deriv(2)(w0)
    w1, b = first / second, second / first**2
    z = -np.linspace(0, stability_interval(stages), 101)
    exact = 1 - b * series(w0) + b * series(w0 + w1 * z)
    assert np.abs(polynomial(stages, z) - exact).max() <= 64 * EPS * stages**2


@pytest.mark.parametrize("stages", [2, 3, 4, 5, 6, 7, 8, 13, 30, 100])
def test_a_drift_stays_within_the_strip(stages):
    """Along the real interval, at the height drifts are held to, nothing grows by more than 2 % a step."""
    x = np.concatenate([np.linspace(0, 10, 2001), np.linspace(0, stability_interval(stages), 4001)])
    x = x[x <= stability_interval(stages)]
    for height in (0.25 * DRIFT, 0.5 * DRIFT, DRIFT):
        assert np.abs(polynomial(stages, -x + 1j * height)).max() <= 1.021


def test_number_of_stages_is_the_smallest_that_covers():
    for length in [1e-9, 1.0, 1.95, 1.97, 5.0, 5.3, 100.0, 12345.6, 1.6e5]:
        stages = stages_for(length)
        assert stability_interval(stages) >= length * (1 - 4 * EPS)
        assert stages == 2 or stability_interval(stages - 1) < length * (1 + 4 * EPS)
    assert stages_for(1e-9) == 2


# ---- order and estimate ------------------------------------------------------------------------------------------


@functools.cache
def reference(problem):
    """The kept modes by DOP853, the rate written out in NumPy."""
    _, pressure, potential, degree = PROBLEMS[problem]
    k = np.arange(N // 2 + 1)
    kept = (degree + 1) * k < N
    if potential is not None:
        slope = np.fft.irfft(np.where(2 * k == N, 0, 2j * np.pi * k) * np.fft.rfft(potential), N)

    def rate(t, coefficients):
        rho = np.fft.irfft(coefficients, N, norm="forward")
        out = -((2 * np.pi * k) ** 2) * np.fft.rfft(pressure(rho), norm="forward")
        if potential is not None:
            out = out + 2j * np.pi * k * np.fft.rfft(rho * slope, norm="forward")
        return np.where(kept, out, 0)

    u = np.where(kept, np.fft.rfft(bump(N, 0.1).values, norm="forward"), 0).astype(complex)
    end = solve_ivp(rate, (0, T_END), u, method="DOP853", rtol=1e-13, atol=1e-17).y[:, -1]
    return np.fft.irfft(end, N, norm="forward")


def slope_of(sizes, errors):
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("stages", [5, 8, 20])
def test_order_two_at_fixed_stages(problem, stages):
    steps, flow = np.array([40, 57, 80, 113, 160]), flow_of(PROBLEMS[problem][0])
    assert stages_for(T_END / 40 * _fourier.spectral_radius(RKC2().init(flow, bump(N, 0.1)))) <= 5
    errors = []
    for number in steps:
        state, infos = run(flow, bump(N, 0.1), RKC2(dt=T_END / number, stages=stages), T_END)
        assert {info.iterations for info in infos} == {stages}
        assert len(infos) == number
        errors.append(distance(state.values, reference(problem)))
    assert abs(slope_of(T_END / steps, errors) - 2) <= 0.1, errors
    # the first mode alone: t λ³h²/c e^{−λt} of its share, c from 6 to 15.5; harmonics add at most eightfold
    rate = 4 * np.pi**2
    alone = T_END * rate**3 * (T_END / steps[-1]) ** 2 / 6 * 0.1 / math.sqrt(2) * math.exp(-rate * T_END)
    assert errors[-1] <= 8 * alone


@pytest.mark.parametrize("problem", PROBLEMS)
def test_order_two_with_the_stages_it_needs(problem):
    """The error constant moves with the stages, by less than three; the errors stay below the bound of order two."""
    flow, errors, steps = flow_of(PROBLEMS[problem][0]), [], np.array([10, 20, 40, 80, 160])
    for number in steps:
        state, _ = run(flow, bump(N, 0.1), RKC2(dt=T_END / number), T_END)
        errors.append(distance(state.values, reference(problem)))
    assert -2.3 <= slope_of(steps, errors) <= -1.5, errors


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("stages", [5, 12])
def test_the_estimate_is_of_order_three(problem, stages):
    flow, sizes = flow_of(PROBLEMS[problem][0]), 2e-4 * 2.0 ** -np.arange(5)
    estimates = [run(flow, bump(N, 0.1), RKC2(dt=h, stages=stages), h)[1][0].error for h in sizes]
    assert abs(slope_of(sizes, estimates) - 3) <= 0.1, estimates


@pytest.mark.parametrize("stages", [2, 8, 40])
def test_the_estimate_in_closed_form(stages):
    """One mode of the heat flow: ``0.8(1 − R) + 0.4 z(1 + R)`` of its share, about z³/15."""
    rho, h = bump(N, 0.1), 1e-3
    z = -4 * np.pi**2 * h
    _, (info,) = run(flow_of(mf.InternalEnergy(1)), rho, RKC2(dt=h, stages=stages), h)
    r = polynomial(max(stages, info.iterations), [z]).real[0]
    share = 0.1 / math.sqrt(2) / math.sqrt(1 + 0.005)
    assert info.error == pytest.approx(abs(0.8 * (1 - r) + 0.4 * z * (1 + r)) * share, rel=1e-9)


@pytest.mark.filterwarnings("ignore:the density should be resolved")  # all modes at once
@pytest.mark.parametrize("stages", [2, 3, 7, 40])
def test_one_step_is_the_stability_polynomial(stages):
    """The heat flow is diagonal: every kept mode is multiplied by R(−(2πk)²h)."""
    rng = np.random.default_rng(1)
    rho = mf.Torus(32).density(1 + 0.2 * (rng.random(32) - 0.5))
    top = float(RKC2().init(flow_of(mf.InternalEnergy(1)), rho).system.modes.squared_wavenumber.max())
    h = 0.99 * stability_interval(stages) / top
    state, (info,) = run(flow_of(mf.InternalEnergy(1)), rho, RKC2(dt=h, stages=stages), h)
    assert info.iterations == stages
    k = np.arange(17)
    kept = 2 * k < 32  # a linear rate: degree 1
    factor = np.where(
        kept & ((2 * np.pi * k) ** 2 <= top * (1 + EPS)), polynomial(stages, -h * (2 * np.pi * k) ** 2), 0
    )
    exact = np.fft.irfft(factor * np.fft.rfft(rho.values), 32)
    assert np.abs(state.values - exact).max() <= 64 * EPS * stages


# ---- stages and steps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2])
def test_the_number_of_stages_is_automatic(dim):
    """For ``D max|2πk|²``, D = max ρ² and |k_a| ≤ n/4 − 1: about sqrt(dt·radius/0.65), far beyond explicit bounds."""
    rho = bump(32 if dim == 1 else 16, dim=dim)
    top = 2 * math.pi * (rho.torus.n // 4 - 1)
    radius = 1.5**2 * dim * top**2
    for dt in (1e-5, 1e-4, 1e-3, 1e-2):
        _, _, info = RKC2(dt=dt).step(CUBIC, 0.0, rho, RKC2(dt=dt).init(CUBIC, rho))
        assert info.iterations == stages_for(dt * radius)
        assert info.dt == dt
        assert info.iterations == pytest.approx(math.sqrt(dt * radius / 0.653), abs=2)
    _, _, info = RKC2(dt=1e-5, stages=9).step(CUBIC, 0.0, rho, RKC2(dt=1e-5, stages=9).init(CUBIC, rho))
    assert info.iterations == 9


def test_the_stages_follow_the_state():
    """As the maximum falls, so does the spectral radius."""
    rho = contrast_40()
    _, infos = run(CUBIC, rho, RKC2(dt=1e-4), 0.02)
    counts = [info.iterations for info in infos]
    assert counts[0] > 2 * counts[-1]
    assert all(b <= a for a, b in pairwise(counts))


@pytest.mark.parametrize("amplitude", [1e-3, 0.5, 0.9])
def test_fixed_steps_far_beyond_the_explicit_bound_are_stable(amplitude):
    rng = np.random.default_rng(0)
    rho = mf.TorusDensity(bump(32, amplitude).values + 1e-6 * rng.standard_normal(32), mf.Torus(32))
    bound = RK4().bound(RK4().init(CUBIC, rho))
    state, infos = run(CUBIC, rho, RKC2(dt=20 * bound), 2000 * bound)
    assert len(infos) == 100
    assert np.ptp(state.values) < 0.5 * np.ptp(rho.values)


@pytest.mark.filterwarnings("ignore:the density should be resolved")  # all modes at once
@pytest.mark.parametrize("coefficient", [1e-6, 2e-3, 0.1, 0.2, 0.26, 1.0])
def test_the_longest_step_in_a_drift_is_stable(coefficient):
    """Weak to moderate diffusion, where the bound is that of the drift: rough data do not blow up."""
    well = mf.Potential(lambda x: 2 * np.cos(2 * np.pi * x))
    flow = flow_of(mf.InternalEnergy(1, coefficient) + well)
    rho = mf.Torus(128).density(1 + 0.1 * np.random.default_rng(0).standard_normal(128))
    longest = RKC2._longest(RKC2().init(flow, rho))
    top = 2 * math.pi * (math.ceil(128 / 3) - 1)
    assert longest <= DRIFT / (4 * math.pi * top) * (1 + 1e-12)
    if coefficient >= 2e-3:  # below, the well is resolved by no grid of this size for long
        _, infos = run(flow, rho, RKC2(dt=0.999 * longest), 60 * longest)
        assert infos[-1].status is Status.RUNNING
    with pytest.raises(ValueError, match="dt must not exceed"):
        RKC2(dt=1.001 * longest).init(flow, rho)


# ---- adaptive steps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", PROBLEMS)
def test_adaptive_errors_follow_the_tolerance(problem):
    """A local error of order three held to the tolerance: global errors go like tolerance^(2/3)."""
    tolerances, errors = np.array([1e-5, 1e-6, 1e-7, 1e-8, 1e-9]), []
    for tolerance in tolerances:
        state, infos = run(flow_of(PROBLEMS[problem][0]), bump(N, 0.1), RKC2(tolerance=tolerance), T_END)
        errors.append(distance(state.values, reference(problem)))
        assert all(info.error <= tolerance for info in infos)
        assert sum(info.rejected for info in infos) <= 3
    assert abs(slope_of(tolerances, errors) - 2 / 3) <= 0.1, errors


def test_the_default_tolerance():
    rho = bump()
    for stepper in (RKC2(), RKC2(tolerance=1e-6)):
        _, infos = run(CUBIC, rho, stepper, 0.01)
        assert 1e-8 < max(info.error for info in infos) <= 1e-6
    assert RKC2().control == RKC2(tolerance=1e-6).control
    assert RKC2(dt=1e-3).control.tolerance is None
    _, infos = run(CUBIC, rho, RKC2(dt=1e-3, tolerance=1e-7), 0.01)  # with both, dt is the first step
    assert infos[0].dt <= 1e-3
    assert max(info.error for info in infos) <= 1e-7


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("drift", [False, True])
def test_contrast_40(m, drift):
    """No splitting, whatever the contrast: fewer rates than the explicit method needs, the same solution."""
    energy = mf.InternalEnergy(m, 1 / m)
    flow = flow_of(energy + mf.Potential(lambda x: 0.5 * np.cos(2 * np.pi * x)) if drift else energy)
    rho = contrast_40()
    state, infos = run(flow, rho, RKC2(tolerance=1e-6), 0.02)
    other, explicit = run(flow, rho, RK4(), 0.02)
    assert distance(state.values, other.values) <= 2e-5
    rates = sum(info.iterations * (1 + info.rejected) for info in infos)
    assert rates <= 0.75 * 4 * len(explicit)
    assert infos[-2].dt > 5 * infos[0].dt
    assert abs(state.mass / rho.mass - 1) <= 1e-13


def test_contrast_40_in_two_dimensions():
    rho, flow = contrast_40(24, 2), flow_of(mf.InternalEnergy(2))
    state, infos = run(flow, rho, RKC2(tolerance=1e-5), 0.02)
    line, _ = run(flow, contrast_40(24), RKC2(tolerance=1e-5), 0.02)
    assert np.abs(state.values - line.values[:, None]).max() <= 1e-3
    other, _ = run(flow, rho, ETDRK4(tolerance=1e-8), 0.02)
    assert distance(state.values, other.values) <= 2e-4
    assert max(info.iterations for info in infos) > 3


def test_a_drift_is_followed_to_its_gibbs_state():
    well = mf.Potential(lambda x: 0.3 * np.cos(2 * np.pi * x))
    rho = bump(32)
    state, _ = run(flow_of(mf.InternalEnergy(1) + well), rho, RKC2(tolerance=1e-8), 1.0)
    gibbs = np.exp(-0.3 * np.cos(2 * np.pi * np.arange(32) / 32))
    assert np.abs(state.values - gibbs / gibbs.mean()).max() <= 1e-6


def test_a_step_that_is_too_long_is_rejected():
    rho = bump(32, 0.9)
    stepper = RKC2(dt=5e-3, tolerance=1e-8)
    _, memory, info = stepper.step(CUBIC, 0.0, rho, stepper.init(CUBIC, rho))
    assert info.rejected >= 1
    assert info.error <= 1e-8
    assert info.dt < 5e-3
    assert memory.dt <= 4 * info.dt


# ---- refusals ----------------------------------------------------------------------------------------------------


def test_a_density_that_touches_zero_is_refused():
    for low in (0.0, 1e-13):
        with pytest.raises(ValueError, match=r"stays away from zero .*FiniteVolume") as info:
            RKC2().init(CUBIC, mf.Torus(8).density([low] + [1.0] * 7))
        assert FORM.fullmatch(str(info.value))


def test_a_flow_without_diffusion_is_refused():
    flow = flow_of(mf.Potential(lambda x: np.cos(2 * np.pi * x)))
    with pytest.raises(ValueError, match="RKC2 needs a flow with diffusion") as info:
        RKC2().init(flow, bump())
    assert FORM.fullmatch(str(info.value))


def test_a_step_of_more_than_500_stages_is_refused():
    rho = bump(128)
    longest = stability_interval(MOST_STAGES) / _fourier.spectral_radius(RKC2().init(CUBIC, rho))
    with pytest.raises(ValueError, match=r"dt must not exceed .* here") as info:
        mf.iterate(CUBIC, rho, RKC2(dt=1.01 * longest))
    assert FORM.fullmatch(str(info.value))
    for stepper in (RKC2(dt=0.999 * longest), RKC2(tolerance=1.0)):
        _, _, info = stepper.step(CUBIC, 0.0, rho, stepper.init(CUBIC, rho))
        assert info.iterations <= MOST_STAGES
    assert info.status is Status.RUNNING


@pytest.mark.parametrize(
    ("options", "error"),
    [({"dt": 0.0}, ValueError), ({"dt": -1e-3}, ValueError), ({"dt": math.inf}, ValueError), ({"dt": "1"}, TypeError),
     ({"tolerance": 0}, ValueError), ({"tolerance": math.nan}, ValueError), ({"tolerance": True}, TypeError),
     ({"stages": 1}, ValueError), ({"stages": MOST_STAGES + 1}, ValueError), ({"stages": 2.5}, TypeError)],
)  # fmt: skip
def test_bad_parameters_are_refused(options, error):
    with pytest.raises(error, match=next(iter(options))) as info:
        RKC2(**options)
    assert FORM.fullmatch(str(info.value))


def test_other_states_are_refused():
    with pytest.raises(TypeError, match=r"moves a TorusDensity \(got ndarray\)"):
        RKC2().init(CUBIC, np.ones(8))


def test_a_stage_below_zero_ends_a_fixed_run_and_shortens_an_adaptive_one():
    """A narrow well of mass drains a neighbourhood to below zero where the grid does not resolve it."""
    flow = flow_of(mf.InternalEnergy(2, 1e-4) + mf.Potential(lambda x: 2 * np.cos(2 * np.pi * x)))
    rho = bump(32)
    *_, (t, state, info) = mf.iterate(flow, rho, RKC2(dt=1e-4), until=1.0)
    assert info.status in (Status.NOT_POSITIVE, Status.NOT_FINITE)
    assert (info.dt, info.time) == (0.0, t)
    assert t > 0
    assert state.values.min() > 0
    *_, (t, state, info) = mf.iterate(flow, rho, RKC2(tolerance=1e-4), until=1.0)
    assert info.status in (Status.NOT_POSITIVE, Status.NOT_FINITE)
    assert state.values.min() > 0


# ---- memory and bits ---------------------------------------------------------------------------------------------

STEPPERS = [RKC2(), RKC2(dt=2e-4), RKC2(dt=1e-3, tolerance=1e-6), RKC2(stages=12)]
EVERY = pytest.mark.parametrize("stepper", STEPPERS, ids=repr)


@EVERY
def test_an_old_memory_stepped_again_gives_the_same_bits(stepper):
    flow = flow_of(mf.InternalEnergy(2.5) + mf.Potential(lambda x: 0.1 * np.sin(2 * np.pi * x)))
    state, t, kept = bump(), 0.0, []
    memory = stepper.init(flow, state)
    for _ in range(4):
        before = (t, state, memory)
        state, memory, info = stepper.step(flow, t, state, memory, t + 4e-4)
        kept.append((*before, state.values, info))
        t = info.time
    for t, state, memory, values, info in reversed(kept):
        again, _, same = stepper.step(flow, t, state, memory, t + 4e-4)
        assert np.array_equal(again.values, values)
        assert same == info


@EVERY
def test_packed_and_unpacked_memory_gives_the_same_bits(stepper):
    state, t = bump(), 0.0
    memory = stepper.init(CUBIC, state)
    for step in range(9):
        packed = stepper.pack(memory)
        assert all(isinstance(value, np.ndarray) and not value.dtype.hasobject for value in packed.values())
        twin = mf.TorusDensity(state.values, state.torus)
        restored = stepper.unpack(CUBIC, twin, {name: value.copy() for name, value in packed.items()})
        until = t + 1.7e-3 if step % 2 else math.inf
        state, memory, info = stepper.step(CUBIC, t, state, memory, until)
        other, _, same = stepper.step(CUBIC, t, twin, restored, until)
        assert np.array_equal(state.values, other.values), step
        assert info == same
        t = info.time


@EVERY
def test_steps_never_pass_until_and_meet_it(stepper):
    state, t, until = bump(), 0.0, 7.3e-4
    memory = stepper.init(CUBIC, state)
    while t < until:
        before = t
        state, memory, info = stepper.step(CUBIC, t, state, memory, until)
        t = info.time
        assert info.status is Status.RUNNING
        assert before < t <= until
    assert t == until


@EVERY
def test_a_state_the_memory_does_not_know_starts_afresh(stepper):
    first, second = bump(), bump(amplitude=0.3)
    fresh, _, _ = stepper.step(CUBIC, 0.0, second, stepper.init(CUBIC, second), 1e-4)
    other, _, _ = stepper.step(CUBIC, 0.0, second, stepper.init(CUBIC, first), 1e-4)
    assert np.array_equal(fresh.values, other.values)


@EVERY
def test_a_constant_stays_constant(stepper):
    rho = mf.Torus(16).density(lambda x: 2.0)
    state, infos = run(CUBIC, rho, stepper, 1e-2)
    assert np.abs(state.values - 2).max() <= 64 * EPS * len(infos)


def test_declared_order_and_description():
    assert RKC2().order == 2 < SSPRK3().order
    assert repr(RKC2(dt=1e-3)) == "RKC2(dt=0.001, tolerance=None, stages=2)"
