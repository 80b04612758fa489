"""Decay laws against a small method-of-lines computation and their discrete counterparts."""

import math

import numpy as np
import pytest
from scipy import integrate

from meanfield.theory import (
    FIRST_EIGENVALUE,
    dissipation_bound,
    relaxation_rate,
    second_moment_rate,
    self_similar_exponents,
    two_point_eigenvalue,
)


def two_point(rho, exponent, coefficient):
    """c Δ_h ρ^m on the circle."""
    power = rho**exponent
    return coefficient * rho.size**2 * (np.roll(power, 1) - 2 * power + np.roll(power, -1))


def test_exponents_balance_mass_and_equation():
    for d in (1, 2, 3):
        for m in (1.5, 2.0, 3.0):
            alpha, beta = self_similar_exponents(d, m)
            assert alpha == pytest.approx(d * beta)  # mass: t^{-α} (t^β)^d is constant
            assert alpha + 1 == pytest.approx(m * alpha + 2 * beta)  # ∂_t ρ ~ Δρ^m
    assert self_similar_exponents(2, 3.0) == pytest.approx((1 / 3, 1 / 6))


@pytest.mark.parametrize(("exponent", "coefficient", "mean"), [(3.0, 1 / 3, 1.0), (2.0, 0.5, 1.7), (1.0, 1.0, 0.4)])
def test_relaxation_rate_is_observed(exponent, coefficient, mean):
    n = 32
    rate = relaxation_rate(mean, exponent=exponent, coefficient=coefficient, eigenvalue=two_point_eigenvalue(n))
    start = mean * (1 + 1e-3 * np.cos(2 * np.pi * np.arange(n) / n + 0.3))
    times = np.linspace(0, 2 / rate, 11)
    run = integrate.solve_ivp(
        lambda t, rho: two_point(rho, exponent, coefficient),
        (0, times[-1]),
        start,
        "LSODA",
        times,
        rtol=1e-10,
        atol=1e-14,
    )
    half = 0.5 * np.mean((run.y - mean) ** 2, axis=0)
    assert -np.polyfit(times, np.log(half), 1)[0] == pytest.approx(rate, rel=1e-4)


def test_relaxation_rate_of_the_kernelised_limit():
    assert relaxation_rate(1.0, exponent=3, coefficient=1 / 3) == pytest.approx(8 * math.pi**2, rel=1e-15)


@pytest.mark.parametrize("exponent", [1.0, 1.5, 3.0])
def test_dissipation_bound_holds_far_from_equilibrium_and_is_sharp_near_it(exponent):
    rng = np.random.default_rng(4)
    n = 24
    options = dict(exponent=exponent, coefficient=0.7, eigenvalue=two_point_eigenvalue(n))

    def both(rho):
        deviation = rho - rho.mean()
        dissipation = -np.mean(deviation * two_point(rho, exponent, 0.7))
        return dissipation, dissipation_bound(np.mean(deviation**2), rho.min(), **options)

    for _ in range(200):
        dissipation, bound = both(rng.random(n) + rng.random())
        assert dissipation >= bound > 0
    dissipation, bound = both(1 + 1e-6 * np.cos(2 * np.pi * np.arange(n) / n))
    assert dissipation == pytest.approx(bound, rel=1e-5)


def test_dissipation_bound_needs_the_minimum():
    rho = 1 + 1e-6 * np.cos(2 * np.pi * np.arange(24) / 24)
    dissipation = -np.mean((rho - 1) * two_point(rho, 3.0, 1.0))
    eigenvalue = two_point_eigenvalue(24)
    assert dissipation < dissipation_bound(np.var(rho), 1.1 * rho.min(), exponent=3, eigenvalue=eigenvalue)


def test_dissipation_bound_vanishes_with_the_density():
    assert dissipation_bound(0.3, 0.0, exponent=2) == 0.0


def test_grid_eigenvalue_is_that_of_the_matrix_and_tends_to_the_torus():
    n = 12
    matrix = -np.array([two_point(column, 1.0, 1.0) for column in np.eye(n)])
    assert np.linalg.eigvalsh(matrix)[1] == pytest.approx(two_point_eigenvalue(n), rel=1e-12)
    assert two_point_eigenvalue(10**6) == pytest.approx(FIRST_EIGENVALUE, rel=1e-11)
    gaps = [1 - two_point_eigenvalue(n) / FIRST_EIGENVALUE for n in (64, 128)]
    assert gaps[0] * 64**2 == pytest.approx(math.pi**2 / 3, rel=1e-3)
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=1e-3)


def test_second_moment_law_is_exact_for_the_two_point_flux():
    n = 40
    x = np.arange(n) / n - 0.5
    u = np.maximum(0.09 - x**2, 0.0) * (1.2 + np.sin(9 * x))
    growth = np.mean(x**2 * two_point(u, 2.5, 0.4))
    assert growth == pytest.approx(second_moment_rate(np.mean(u**2.5), dim=1, coefficient=0.4), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: self_similar_exponents(1, 1.0), "exponent must be above 1"),
        (lambda: self_similar_exponents(0, 2.0), "dim must be at least 1"),
        (lambda: relaxation_rate(0.0, exponent=2), "mean must be positive"),
        (lambda: relaxation_rate(1.0, exponent=0.9), "exponent must be at least 1"),
        (lambda: relaxation_rate(1.0, exponent=2, coefficient=-1), "coefficient must be positive"),
        (lambda: dissipation_bound(-1.0, 0.5, exponent=2), "squared_distance must not be negative"),
        (lambda: dissipation_bound(1.0, -0.5, exponent=2), "minimum must not be negative"),
        (lambda: dissipation_bound(1.0, 0.5, exponent=2, eigenvalue=0.0), "eigenvalue must be positive"),
        (lambda: two_point_eigenvalue(1), "n must be at least 2"),
        (lambda: second_moment_rate(-1.0, dim=1), "power_integral must not be negative"),
    ],
)
def test_what_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
