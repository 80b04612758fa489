"""Claims on kernels of particles can fail: loose transforms, sums over pairs, wrong metrics and lengths show."""

from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from meanfield import claims
from meanfield.claims import Outcome, balance, kernelised, load_ladder, particle_kernels
from meanfield.claims.kernelised_runs import kernelised as make_flow
from meanfield.geometries import Kernelised, Wasserstein
from meanfield.particles import Route
from meanfield.torus import GaussianKernel, SobolevKernel, Torus


def outcomes(measurements):
    return {measurement.quantity: measurement.outcome for measurement in measurements}


def test_loose_transforms_are_violated(monkeypatch):
    convolve = SobolevKernel.convolve_particles

    def loose(self, torus, x, b, tolerance, route):
        return convolve(self, torus, x, b, 1000 * tolerance, route)

    monkeypatch.setattr(SobolevKernel, "convolve_particles", loose)
    torus, tolerances = Torus(129), [1e-6, 1e-9]
    assert particle_kernels.error_of(SobolevKernel(2, 0.1), torus, 1000, tolerances) > 1
    assert particle_kernels.error_of(GaussianKernel(0.1), torus, 1000, tolerances) < 1


@pytest.mark.parametrize("by_pairs", [False, True])
def test_sums_over_pairs_are_violated(by_pairs, monkeypatch):
    """Their processor time grows like N²."""
    ladder, n = load_ladder("particle_convolution"), 129
    p = dict(ladder.parameters)
    if by_pairs:
        monkeypatch.setattr(particle_kernels, "SobolevKernel", lambda order, length: GaussianKernel(length))
        monkeypatch.setattr(particle_kernels, "Route", SimpleNamespace(FOURIER=Route.DIRECT))
    spent = [particle_kernels.seconds(Torus(n), number, p) for number in (2000, 8000)]
    growth = np.log(spent[1] / spent[0]) / np.log(4)
    quantity = ladder.expected["growth of processor time with N, at most"]
    assert quantity.measured(growth).outcome is (Outcome.VIOLATED if by_pairs else Outcome.CONFIRMED), growth


def test_the_clock_is_asked_often_enough(monkeypatch):
    calls = []
    monkeypatch.setattr(SobolevKernel, "convolve_particles", lambda *a: calls.append(1))
    p = dict(load_ladder("particle_convolution").parameters) | {"least_seconds": 1e-3}
    particle_kernels.seconds(Torus(9), 10, p)
    assert len(calls) > 1


def test_a_kernel_that_shortens_too_slowly_is_violated(monkeypatch):
    """KPM-4 in W₂: the length enters squared, so its fourth root makes half an order."""

    def slow(name, torus, *, order, length, loss_order=0.0):
        return make_flow(name, torus, order=order, length=0.02 * (length / 0.02) ** 0.25)

    ladder = load_ladder("kernelised_limit").with_parameters(orders_of_particles=[2], particles=480)
    levels = ladder.level_set(quick=True)
    assert set(outcomes(kernelised.short_kernels_from_barenblatt(ladder, levels)).values()) == {Outcome.CONFIRMED}
    monkeypatch.setattr(kernelised, "kernelised", slow)
    assert set(outcomes(kernelised.short_kernels_from_barenblatt(ladder, levels)).values()) == {Outcome.VIOLATED}


@pytest.mark.parametrize(
    "change", [{"particles": 300}, {"radius_end": 0.55}, {"orders_of_particles": [1, 2]}], ids=lambda c: next(iter(c))
)
def test_the_limit_of_short_kernels_says_when_it_says_nothing(change):
    ladder = load_ladder("kernelised_limit").with_parameters(**change)
    assert claims.get("KPM-4").check(quick=True, ladder=ladder).outcome is Outcome.HYPOTHESES_NOT_MET


def few_of_balance(number):
    """The first measurements on the circle: both geometries by the step, then by the spacing of saves."""
    ladder = load_ladder("balance").with_parameters(particles=20, n_of_particles=[32, 16])
    return outcomes(islice(balance.balance_of_particles(ladder, ladder.level_set(quick=True)), number))


def test_a_slope_off_by_little_is_violated(monkeypatch):
    norm = Kernelised.particle_squared_norm
    monkeypatch.setattr(Kernelised, "particle_squared_norm", lambda *a: (1 + 1e-5) * norm(*a))
    found = few_of_balance(2)
    assert [outcome for name, outcome in found.items() if "Wasserstein" in name] == [Outcome.CONFIRMED]
    assert [outcome for name, outcome in found.items() if "Kernelised" in name] == [Outcome.VIOLATED]


def test_a_distance_off_by_little_is_violated(monkeypatch):
    exact = Wasserstein.followed_distance

    def off(*given):
        distance, guess = exact(*given)
        return 0.99 * distance, guess

    monkeypatch.setattr(Wasserstein, "followed_distance", off)
    found = few_of_balance(3)
    assert [outcome for name, outcome in found.items() if "saves" in name] == [Outcome.VIOLATED]


def test_saves_between_steps_are_outside_the_claim():
    ladder = load_ladder("balance").with_parameters(steps_in_saves=60)
    assert claims.get("FLOW-1").check(quick=True, ladder=ladder).outcome is Outcome.HYPOTHESES_NOT_MET
