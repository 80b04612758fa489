"""Measured orders of every stepper against an independent integration of the same semi-discrete system.

The reference integrates the kept Fourier modes, their rate written out in NumPy, by scipy's DOP853 at 1e-13: no
code is shared with the steppers, the rates or the transforms under test.
"""

import functools
import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield import steppers
from meanfield.status import Status

EPS = np.finfo(float).eps
N, T_END, AMPLITUDE = 16, 0.02, 0.1
STEPS = np.array([40, 57, 80, 113, 160])
FLOOR = 64 * EPS  # levels below are rounding, and dropped
X = np.arange(N) / N

TARGET = 1 + 0.3 * np.sin(2 * np.pi * X)
WELL = 0.1 * np.cos(2 * np.pi * X)
PROBLEMS = {  # name: energy, P, V, degree of the product
    "m=3": (mf.InternalEnergy(3, 1 / 3), lambda r: r**3 / 3, None, 3),
    "m=3 in a drift": (mf.InternalEnergy(3, 1 / 3) + mf.Potential(WELL), lambda r: r**3 / 3, WELL, 3),
    "m=2.5": (mf.InternalEnergy(2.5, 0.4), lambda r: 0.4 * r**2.5, None, 3),
    "m=1.7": (0.5 * mf.InternalEnergy(1.7), lambda r: 0.5 * r**1.7, None, 2),
    "heat in a drift": (mf.InternalEnergy(1) + mf.Potential(5 * WELL), lambda r: r, 5 * WELL, 2),
    "KL": (mf.KullbackLeibler(mf.Torus(N).density(TARGET)), lambda r: r, -np.log(TARGET), 2),
}
STEPPERS = {"RK4": steppers.RK4, "SSPRK3": steppers.SSPRK3, "ETDRK4": steppers.ETDRK4}


def start():
    return mf.Torus(N).density(1 + AMPLITUDE * np.cos(2 * np.pi * X))


def flow_of(problem):
    return mf.GradientFlow(PROBLEMS[problem][0], mf.Wasserstein())


@functools.cache
def reference(problem):
    """Values at T_END: |k| < n/(p+1) kept, rate −(2πk)² P̂ + 2πik (ρV')̂ by full transforms."""
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

    u = np.where(kept, np.fft.rfft(start().values, norm="forward"), 0).astype(complex)
    end = solve_ivp(rate, (0, T_END), u, method="DOP853", rtol=1e-13, atol=1e-17).y[:, -1]
    return np.fft.irfft(end, N, norm="forward")


def run(problem, stepper, *, t_end=T_END):
    steps = list(mf.iterate(flow_of(problem), start(), stepper, until=t_end))
    for _, _, info in steps:
        assert info.status is Status.RUNNING, info.detail
    return steps[-1][1].values, [info for _, _, info in steps]


def error(problem, values):
    exact = reference(problem)
    return math.sqrt(np.mean((values - exact) ** 2) / np.mean(exact**2))


def assert_order(sizes, errors, order, report, floor=FLOOR):
    """A fit over at least four levels above the rounding floor, within 0.1 of the claim on both sides."""
    sizes, errors = np.array(sizes), np.array(errors)
    above = errors > floor
    local = np.diff(np.log(errors)) / np.diff(np.log(sizes))
    slope = np.polyfit(np.log(sizes[above]), np.log(errors[above]), 1)[0] if above.sum() > 1 else math.nan
    table = "\n".join(
        f"{size:12.4e} {err:10.3e} {rate:8.3f}"
        for size, err, rate in zip(sizes, errors, [math.nan, *local], strict=True)
    )
    message = f"{report}: order {order} declared, {slope:.3f} fitted\n{'size':>12} {'error':>10} {'local':>8}\n{table}"
    assert above.sum() >= 4, message
    assert abs(slope - order) <= 0.1, message


def linear_error(order, dt):
    """Global error of a method of this order on the first mode alone, whose decay rate is (2π)² P'(1) = 4π².

    ``t λ^{p+1} h^p/(p+1)! e^{−λt}`` times the relative L² size of the mode.
    """
    rate = 4 * np.pi**2
    decayed = AMPLITUDE / math.sqrt(2) * math.exp(-rate * T_END)
    return T_END * rate ** (order + 1) * dt**order / math.factorial(order + 1) * decayed


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", STEPPERS)
def test_order_is_the_declared_one(name, problem):
    make = STEPPERS[name]
    order = make(dt=1.0).order
    assert order == {"RK4": 4, "SSPRK3": 3, "ETDRK4": 4}[name]
    results = [run(problem, make(dt=T_END / steps)) for steps in STEPS]
    assert [len(infos) for _, infos in results] == list(STEPS)
    errors = [error(problem, values) for values, _ in results]
    assert_order(T_END / STEPS, errors, order, f"{name} on {problem}")
    if problem == "m=3":
        # Harmonics decay faster and add to what the first mode does alone: at most eightfold. The exponential
        # stepper treats all but the nonlinear part, of the relative size of the amplitude, exactly.
        bound = 8 * linear_error(order, T_END / STEPS[-1]) * (AMPLITUDE if name == "ETDRK4" else 1)
        assert errors[-1] <= bound, f"{name}: finest error {errors[-1]:.3e} above {bound:.3e}"


@pytest.mark.parametrize("problem", ["m=3", "m=3 in a drift", "m=2.5"])
@pytest.mark.parametrize("name", STEPPERS)
def test_error_estimate_is_that_of_an_embedded_method_of_one_order_less(name, problem):
    """One step from the same state: the estimate of an embedded method of order p − 1 scales like h^p."""
    make = STEPPERS[name]
    sizes = 2e-4 * 2.0 ** -np.arange(5)
    estimates = [run(problem, make(dt=h), t_end=h)[1][0].error for h in sizes]
    floor = EPS * (2 * np.pi * N / 4) ** 2 * sizes  # the estimate is h times a difference of rates
    assert_order(sizes, estimates, make(dt=1.0).order, f"estimate of {name} on {problem}", floor)


@pytest.mark.parametrize("problem", ["m=3", "m=3 in a drift", "m=1.7", "KL"])
@pytest.mark.parametrize("name", STEPPERS)
def test_adaptive_errors_are_proportional_to_the_tolerance(name, problem):
    tolerances = np.array([1e-6, 1e-7, 1e-8, 1e-9, 1e-10])
    errors = []
    for tolerance in tolerances:
        values, infos = run(problem, STEPPERS[name](tolerance=tolerance))
        errors.append(error(problem, values))
        assert all(info.error <= tolerance for info in infos)
    table = ", ".join(f"{t:.0e}: {e:.2e}" for t, e in zip(tolerances, errors, strict=True))
    slope = np.polyfit(np.log(tolerances), np.log(errors), 1)[0]
    # the step goes like tolerance^(1/p) and the error like step^p, up to the steps being cut evenly to meet the end
    assert abs(slope - 1) <= 0.2, f"slope {slope:.3f}; {table}"
    # each step adds at most the tolerance, and what it added decays at the rate 4pi²: at most some steps count
    assert all(e <= 8 * t for t, e in zip(tolerances, errors, strict=True)), table


def test_the_reference_is_converged():
    """The heat flow without a drift has a closed form: the reference's integrator reproduces it."""
    rho = start().values
    u = np.fft.rfft(rho, norm="forward")
    k = np.arange(N // 2 + 1)
    solution = solve_ivp(lambda t, y: -((2 * np.pi * k) ** 2) * y, (0, T_END), u.astype(complex), method="DOP853",
                         rtol=1e-13, atol=1e-17)  # fmt: skip
    assert np.abs(solution.y[:, -1] - u * np.exp(-((2 * np.pi * k) ** 2) * T_END)).max() <= 1e-14
