"""Laws of decay of kernelised flows against sums over modes."""

import math

import numpy as np
import pytest

from meanfield.theory import algebraic_exponent, crossover_time, mode_rate


def test_rates_of_modes():
    for k in (1, 2.5, 40):
        squared = 4 * math.pi**2 * k**2
        assert mode_rate(k, order=0) == pytest.approx(squared, rel=1e-15)
        assert mode_rate(k, order=2, length=0.3) == pytest.approx(squared / (1 + 0.09 * squared) ** 2, rel=1e-15)
        assert mode_rate(k, order=1, loss_order=2) == pytest.approx(squared / (1 + squared) ** 3, rel=1e-14)


@pytest.mark.parametrize(("s", "q", "r"), [(2, 0, 1), (1.5, 0, 0.75), (3, 0, 2), (1, 1, 1), (2, 1, 0.5)])
def test_the_loss_of_a_power_spectrum_decays_by_the_exponent(s, q, r):
    """Σ k^{−2q} k^{−2r−1} e^{−2λ(k)t} far inside a spectrum that is long enough."""
    k = np.arange(1, 200_001, dtype=float)
    rates = np.array([mode_rate(one, order=s, loss_order=q) for one in k[:100]])
    squared = (2 * np.pi * k) ** 2
    every = squared * (1 + squared) ** -float(s + q)
    assert rates == pytest.approx(every[:100], rel=1e-13)
    times = np.array([crossover_time(one, order=s, loss_order=q) for one in (100, 400)])
    loss = [np.sum(k ** (-2.0 * q - 2 * r - 1) * np.exp(-2 * every * t)) for t in times]
    slope = math.log(loss[1] / loss[0]) / math.log(times[1] / times[0])
    assert slope == pytest.approx(-algebraic_exponent(regularity=r, order=s, loss_order=q), rel=0.01)


def test_at_its_crossover_a_mode_has_decayed_by_one_e_fold():
    for s, q, length in ((2, 0, 1.0), (1.5, 1, 1.0), (3, 0, 0.2)):
        k = 100 / length
        time = crossover_time(k, order=s, length=length, loss_order=q)
        assert time * mode_rate(k, order=s, length=length, loss_order=q) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: mode_rate(0, order=1), "wavenumber must be positive"),
        (lambda: mode_rate(1, order=-1), "order must not be negative"),
        (lambda: mode_rate(1, order=1, length=0), "length must be positive"),
        (lambda: mode_rate(1, order=1, loss_order=-0.5), "loss_order must not be negative"),
        (lambda: algebraic_exponent(regularity=1, order=1), r"order \+ loss_order must exceed 1 \(got 1\)"),
        (lambda: algebraic_exponent(regularity=0, order=2), "regularity must be positive"),
        (lambda: crossover_time(-1, order=2), "wavenumber must be positive"),
    ],
)
def test_bad_input_is_refused(call, names):
    with pytest.raises(ValueError, match=names):
        call()
