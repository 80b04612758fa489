"""Local Polyak–Łojasiewicz theory on flows whose constants are known in closed form."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanfield.theory import PLVerdict, certify_ball, certify_path, check_run

CERTIFIED, NOT_CERTIFIED, VIOLATED = PLVerdict


def line(constant, reach):
    """``m(r) = c (1 − r/R_0)_+²``."""
    return lambda r: constant * max(1 - r / reach, 0.0) ** 2


def quadratic(eigenvalues, start, times):
    """E = ½Σλ_k x_k² along its flow: energy, dissipation and distance to the start."""
    x = np.exp(-np.outer(times, eigenvalues)) * start
    return 0.5 * (x**2) @ eigenvalues, (x**2) @ eigenvalues**2, np.linalg.norm(x - start, axis=1)


def test_a_linear_profile_certifies_what_calculus_says():
    """Ball: max r²m/2 at R_0/2, c R_0²/32. Path: (∫√(m/2))² = c R_0²/8, four times that."""
    radii = np.linspace(0, 2, 2001)[1:]
    ball, path = (certify(line(3.0, 2.0), 1e-9, radii=radii) for certify in (certify_ball, certify_path))
    assert ball.largest_gap == pytest.approx(3 * 4 / 32, rel=1e-12)
    exact = 3 * 4 / 8
    assert exact * (1 - 3 / 2000) <= path.largest_gap < exact


def test_the_smallest_radius_that_will_do():
    found = certify_ball(lambda r: 2.0, 0.9, radii=[0.5, 1.0, 2.0])
    assert (found.verdict, found.radius, found.constant, found.rate) == (CERTIFIED, 1.0, 2.0, 4.0)


def test_a_gap_beyond_reach_is_not_certified():
    for certify in (certify_ball, certify_path):
        radii = np.linspace(0, 2, 33)[1:]
        largest = certify(line(3.0, 2.0), 0.0, radii=radii).largest_gap
        assert certify(line(3.0, 2.0), 0.999 * largest, radii=radii).verdict is CERTIFIED
        assert certify(line(3.0, 2.0), 1.001 * largest, radii=radii).verdict is NOT_CERTIFIED
        assert certify(lambda r: 0.0, 0.0, radii=radii).verdict is NOT_CERTIFIED


@given(
    m=st.lists(st.floats(0, 10), min_size=1, max_size=20).map(lambda v: sorted(v, reverse=True)), gap=st.floats(0, 5)
)
@settings(max_examples=60, deadline=None)
def test_the_path_certifies_whatever_one_ball_does(m, gap):
    """On the radii of a step function the sum of the path is the integral."""
    radii = np.arange(1.0, len(m) + 1)
    ball, path = (c(lambda r: m[int(r) - 1], gap, radii=radii) for c in (certify_ball, certify_path))
    assert path.largest_gap >= ball.largest_gap * (1 - 1e-12)


def test_what_is_certified_holds_on_a_flow_that_just_makes_it():
    """E = r-dependent slope: the flow of a 1-D energy with |E'|² = 2m(r)E exactly ends at the certified radius."""
    reach, constant = 2.0, 3.0
    radii = np.linspace(0, reach, 4097)[1:]
    root = 0.8 * math.sqrt(constant / 2) * reach / 2  # √E_0, of the largest one
    certificate = certify_path(line(constant, reach), root**2, radii=radii)
    r = np.linspace(0, reach * (1 - math.sqrt(0.2)), 2000)  # √E(r) = √E_0 − ∫√(m/2) reaches 0 at the end
    roots = root - math.sqrt(constant / 2) * (r - r**2 / (2 * reach))
    assert abs(roots[-1]) <= 1e-12
    assert certificate.verdict is CERTIFIED
    assert certificate.radius == pytest.approx(r[-1], abs=3 * reach / 4096)
    slope = 4 * roots**2 * (constant / 2) * (1 - r / reach) ** 2
    assert check_run(certificate, roots**2, slope, r, tolerance=1e-9).verdict is CERTIFIED
    assert check_run(certificate, roots**2, 0.999 * slope, r).verdict is VIOLATED


def test_a_constant_ten_times_too_large_is_caught():
    """On a quadratic energy m = λ_min is sharp: the run ends in its slowest mode."""
    times, eigenvalues = np.linspace(0, 4, 41), np.array([0.7, 2.0, 9.0])
    run = quadratic(eigenvalues, np.ones(3), times)
    radii = np.linspace(0, 10, 101)[1:]
    for factor, verdict in ((1.0, CERTIFIED), (1.05, VIOLATED), (10.0, VIOLATED)):
        certificate = certify_path(lambda r, m=0.7 * factor: m, run[0][0], radii=radii)
        assert certificate.verdict is CERTIFIED
        assert check_run(certificate, *run, time=times).verdict is verdict
        assert certificate.rate == pytest.approx(1.4 * factor)


def test_every_consequence_can_refute():
    certificate = certify_path(lambda r: 1.0, 0.5, radii=np.linspace(0, 2, 65)[1:])
    fine = np.array([0.5, 0.1]), np.array([2.0, 2.0]), np.array([0.0, 0.5])
    assert check_run(certificate, *fine, time=[0.0, 0.5]).verdict is CERTIFIED
    assert check_run(certificate, *fine, time=[0.0, 2.0]).verdict is VIOLATED  # slower than its rate
    assert check_run(certificate, fine[0], fine[1], [0.0, 1.5]).verdict is VIOLATED  # out of its ball
    assert check_run(certificate, fine[0], [2.0, 0.1], fine[2]).verdict is VIOLATED  # the inequality itself


def test_a_run_never_certifies():
    times = np.linspace(0, 9, 20)
    run = quadratic(np.array([1.0]), np.array([3.0]), times)
    small = certify_path(lambda r: 1.0, run[0][0], radii=[1.0])
    assert small.verdict is NOT_CERTIFIED
    assert check_run(small, *run, time=times).verdict is NOT_CERTIFIED


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: certify_ball(lambda r: 1.0, -1.0, radii=[1.0]), "gap must not be negative"),
        (lambda: certify_ball(lambda r: 1.0, 1.0, radii=[0.0, 1.0]), "radii must be positive and increase"),
        (lambda: certify_path(lambda r: 1.0, 1.0, radii=[2.0, 1.0]), "radii must be positive and increase"),
        (lambda: certify_path(lambda r: r, 1.0, radii=[1.0, 2.0]), "lower must be ≥ 0 and not increase"),
        (lambda: certify_path(lambda r: math.nan, 1.0, radii=[1.0]), r"lower\(radius\) must be finite"),
        (lambda: check_run(certify_ball(lambda r: 1.0, 1.0, radii=[1.0]), [1.0], [1.0, 2.0], [0.0]), "dissipation"),
    ],
)
def test_bad_input_is_refused(call, names):
    with pytest.raises(ValueError, match=names):
        call()
