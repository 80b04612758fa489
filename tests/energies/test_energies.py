"""Energies: values in closed form, differentials against central differences, sums, multiples, refusals."""

import math
import re

import numpy as np
import pytest

import meanfield as mf
from meanfield.energies import Multiple, Sum
from meanfield.energies.base import PowerTerm

EPS = np.finfo(float).eps
FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")


def torus_and_density(dim=1, n=24):
    torus = mf.Torus(n if dim < 3 else 8, dim)
    return torus, torus.density(lambda *x: np.exp(0.4 * sum(np.cos(2 * np.pi * (a - 0.1)) for a in x)))


def energies(torus):
    """Every energy of densities, by a name for the test's report."""
    target = torus.density(lambda *x: 1 + 0.3 * np.sin(2 * np.pi * x[0]))
    single = {
        "entropy": mf.InternalEnergy(1, 0.7),
        "fast": mf.InternalEnergy(0.5),
        "m=1.5": mf.InternalEnergy(1.5, 2.0),
        "m=2": mf.InternalEnergy(2),
        "m=2.3": mf.InternalEnergy(2.3, 0.4),
        "m=3": mf.InternalEnergy(3, 1 / 3),
        "L2": mf.L2Distance(target),
        "KL": mf.KullbackLeibler(target),
        "potential": mf.Potential(lambda *x: np.cos(4 * np.pi * x[-1])),
    }
    return single | {
        "sum": single["m=3"] + single["potential"] + single["KL"],
        "multiple": 0.3 * single["L2"],
        "multiple of a sum": 2 * (single["m=2"] + 0.5 * single["entropy"]),
    }


NAMES = list(energies(mf.Torus(8)))


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_differential_is_the_derivative_of_the_value(name, dim):
    torus, rho = torus_and_density(dim)
    energy = energies(torus)[name]
    direction = np.random.default_rng(dim).uniform(-1, 1, torus.shape)
    slope = torus.inner(energy.differential(rho), direction)
    errors = []
    for h in (1e-1 * 2.0**-i for i in range(6)):
        ahead, behind = (energy.value(torus.density(rho.values + s * h * direction)) for s in (1, -1))
        errors.append(abs((ahead - behind) / (2 * h) - slope))
    # second order in h until rounding: the last error is a 1/1024 of the first, or noise of size eps E/h
    noise = 32 * EPS * (1 + abs(energy.value(rho))) / 3e-3
    assert errors[-1] <= 1.5 * errors[0] / 4**5 + noise, errors
    assert errors[-1] <= 1e-3 * (1 + abs(slope)), errors


def mode(torus, amplitude=0.5):
    return torus.density(lambda *x: 1 + amplitude * np.cos(2 * np.pi * x[0]))


@pytest.mark.parametrize("dim", [1, 2])
def test_values_in_closed_form(dim):
    torus = mf.Torus(16, dim)
    rho = mode(torus)  # means of cos², cos⁴ are 1/2, 3/8
    assert mf.InternalEnergy(2, 0.5).value(rho) == pytest.approx(0.5 * (1 + 0.25 / 2), rel=8 * EPS)
    assert mf.InternalEnergy(3, 1 / 3).value(rho) == pytest.approx((1 + 3 * 0.25 / 2) / 6, rel=8 * EPS)
    assert mf.InternalEnergy(5).value(rho) == pytest.approx((1 + 10 / 8 + 5 / 16 * 3 / 8) / 4, rel=8 * EPS)
    assert mf.L2Distance(mode(torus, -0.25)).value(rho) == pytest.approx(0.5 * 0.75**2 / 2, rel=8 * EPS)
    assert mf.Potential(lambda *x: np.cos(2 * np.pi * x[0])).value(rho) == pytest.approx(0.25, rel=8 * EPS)
    assert mf.Potential(3.0).value(rho) == pytest.approx(3.0, rel=8 * EPS)


def test_entropies_in_closed_form():
    # int (1 + a cos) log(1 + a cos) = 1 - s + log((1 + s)/2), s = sqrt(1 - a²); the mean converges like r^n
    torus, s = mf.Torus(64), math.sqrt(0.75)
    exact = 1 - s + math.log((1 + s) / 2)
    assert mf.InternalEnergy(1, 2.0).value(mode(torus)) == pytest.approx(2 * exact, rel=32 * EPS)
    flat, constant = mode(torus, 0), mf.TorusDensity(np.full(64, 2.0), torus)
    assert mf.KullbackLeibler(flat).value(mode(torus)) == pytest.approx(exact, rel=32 * EPS)
    assert mf.KullbackLeibler(constant).value(mode(torus)) == pytest.approx(exact - math.log(2), rel=32 * EPS)
    assert mf.KullbackLeibler(mode(torus)).value(mode(torus)) == 0.0
    assert mf.InternalEnergy(1).value(torus.density(np.eye(64)[0] * 64)) == pytest.approx(math.log(64), rel=8 * EPS)
    assert mf.InternalEnergy(0.5).value(constant) == pytest.approx(-2 * math.sqrt(2), rel=8 * EPS)


def test_differentials_in_closed_form():
    torus = mf.Torus(16)
    rho, target = mode(torus), mode(torus, 0.2)
    x = rho.values
    for energy, exact in [
        (mf.InternalEnergy(3, 1 / 3), x**2 / 2),
        (mf.InternalEnergy(1.5, 2.0), 6 * np.sqrt(x)),
        (mf.InternalEnergy(0.5), -1 / np.sqrt(x)),
        (mf.InternalEnergy(1, 0.3), 0.3 * (np.log(x) + 1)),
        (mf.L2Distance(target), x - target.values),
        (mf.KullbackLeibler(target), np.log(x / target.values) + 1),
    ]:
        assert np.abs(energy.differential(rho) - exact).max() <= 8 * EPS * np.abs(exact).max()


@pytest.mark.parametrize("name", NAMES)
def test_pressure_and_potential_belong_to_the_differential(name):
    """P' = rho f'': the gradient of the differential is P'(rho)/rho grad rho + grad V."""
    torus, rho = torus_and_density(n=64)
    energy = energies(torus)[name]
    derivative = sum(c * m * rho.values ** (m - 1) for c, m in energy.pressure())
    field = energy.potential(torus)
    slope = torus.gradient(np.zeros(64) if field is None else field)[0]
    expected = derivative / rho.values * torus.gradient(rho.values)[0] + slope
    found = torus.gradient(energy.differential(rho))[0]
    assert np.abs(found - expected).max() <= 256 * EPS * 64 * np.pi


@pytest.mark.parametrize("name", NAMES)
def test_symbol_bounds_the_diffusivity(name):
    torus, rho = torus_and_density()
    energy = energies(torus)[name]
    least, greatest = energy.symbol(float(rho.values.min()), float(rho.values.max()))
    derivative = np.zeros(24) + sum(c * m * rho.values ** (m - 1) for c, m in energy.pressure())
    slack = 8 * EPS * max(abs(greatest), 1)
    assert least <= derivative.min() + slack
    assert greatest >= derivative.max() - slack
    if len(energy.pressure()) == 1:
        assert least == pytest.approx(derivative.min(), rel=8 * EPS)
        assert greatest == pytest.approx(derivative.max(), rel=8 * EPS)


def test_symbol_at_zero():
    assert mf.InternalEnergy(3, 1 / 3).symbol(0.0, 2.0) == (0.0, 4.0)
    assert mf.InternalEnergy(1, 0.7).symbol(0.0, 2.0) == (0.7, 0.7)
    with np.errstate(divide="raise"):
        assert mf.InternalEnergy(0.5).symbol(0.0, 4.0)[1] == np.inf


def test_sums_and_multiples():
    torus, rho = torus_and_density()
    entropy, cubic, drift = mf.InternalEnergy(1), mf.InternalEnergy(3), mf.Potential(lambda x: np.sin(2 * np.pi * x))
    total = entropy + 2 * (cubic + 0.5 * drift)
    assert isinstance(total, Sum)
    value = entropy.value(rho) + 2 * cubic.value(rho) + drift.value(rho)
    assert total.value(rho) == pytest.approx(value, rel=16 * EPS)
    assert total.terms() == (entropy, 2 * cubic, Multiple(0.5 * drift, 2))
    assert total.pressure() == (PowerTerm(1.0, 1), PowerTerm(2.0, 3))
    assert np.abs(total.potential(torus) - drift.values(torus)).max() <= 4 * EPS
    assert (entropy + cubic).potential(torus) is None
    assert (entropy + cubic) + drift == entropy + (cubic + drift)
    assert 2 * cubic == cubic * 2.0 == np.float64(2) * cubic
    assert (2 * (3 * cubic)).pressure() == (PowerTerm(6.0, 3),)


def test_checks_reach_the_parts():
    torus = mf.Torus(8)
    touching = torus.density([0.0] + [1.0] * 7)
    for energy in (mf.InternalEnergy(0.7), 2 * mf.InternalEnergy(0.7), mf.InternalEnergy(3) + mf.InternalEnergy(0.5)):
        with pytest.raises(ValueError, match="positive density") as info:
            energy.check(touching)
        assert FORM.fullmatch(str(info.value))
    mf.InternalEnergy(1).check(touching)  # the heat equation takes zeros, by finite volumes


TOUCHING = mf.Torus(8).density([0.0] + [1.0] * 7)
ELSEWHERE = mf.Torus(10).density(np.ones(10))
RHO = mf.Torus(8).density(np.ones(8))


@pytest.mark.parametrize(
    ("call", "error", "names"),
    [
        (lambda: mf.InternalEnergy(0), ValueError, "exponent must be positive"),
        (lambda: mf.InternalEnergy(-1.0), ValueError, "exponent must be positive"),
        (lambda: mf.InternalEnergy(math.inf), ValueError, "exponent must be finite"),
        (lambda: mf.InternalEnergy("3"), TypeError, "exponent must be a real number"),
        (lambda: mf.InternalEnergy(2, 0.0), ValueError, "coefficient must be positive"),
        (lambda: mf.InternalEnergy(2, math.nan), ValueError, "coefficient must be finite"),
        (lambda: mf.InternalEnergy(1).differential(TOUCHING), ValueError, "positive density"),
        (lambda: mf.InternalEnergy(0.5).differential(TOUCHING), ValueError, "positive density"),
        (lambda: mf.KullbackLeibler(RHO).differential(TOUCHING), ValueError, "positive density"),
        (lambda: mf.KullbackLeibler(TOUCHING), ValueError, "target of a KullbackLeibler energy must be positive"),
        (lambda: mf.KullbackLeibler(np.ones(8)), TypeError, "target must be a TorusDensity"),
        (lambda: mf.L2Distance(np.ones(8)), TypeError, "target must be a TorusDensity"),
        *[
            (lambda kind=kind, method=method: getattr(kind(RHO), method)(ELSEWHERE), ValueError, "one torus")
            for kind in (mf.L2Distance, mf.KullbackLeibler)
            for method in ("value", "differential", "check")
        ],
        (lambda: mf.L2Distance(RHO).potential(mf.Torus(8, 2)), ValueError, "one torus"),
        (lambda: mf.Potential(np.ones(7)).value(RHO), ValueError, "potential must have shape"),
        (lambda: mf.Potential(lambda x: np.ones(7)).check(RHO), ValueError, "potential must have shape"),
        (lambda: mf.Potential(lambda x: x * np.nan).check(RHO), ValueError, "potential must be finite"),
        (lambda: mf.Potential([np.inf] * 8), ValueError, "potential must be finite"),
        (lambda: mf.Potential(lambda x: 1j * x).check(RHO), TypeError, "real numbers"),
        (lambda: mf.Potential("well"), TypeError, "real numbers"),
        (lambda: -1 * mf.InternalEnergy(2), ValueError, "multiple of an energy must be positive"),
        (lambda: 0 * mf.InternalEnergy(2), ValueError, "multiple of an energy must be positive"),
        (lambda: mf.InternalEnergy(2) * "2", TypeError, "must be a real number"),
    ],
)
def test_bad_input_is_refused_on_one_line(call, error, names):
    with pytest.raises(error, match=names) as info:
        call()
    assert FORM.fullmatch(str(info.value))


def test_an_energy_adds_to_energies_only():
    with pytest.raises(TypeError, match="unsupported operand"):
        mf.InternalEnergy(2) + 1


def test_a_potential_keeps_its_own_copy_and_prints_no_addresses():
    field = np.zeros(8)
    energy = mf.Potential(field)
    field[0] = 5.0
    assert energy.value(RHO) == 0.0
    assert not energy.V.flags.writeable
    assert repr(energy) == "Potential(array (8,))"
    assert repr(mf.Potential(np.cos)) == "Potential(cos)"
    assert "0x" not in repr(mf.Potential(lambda x: x))
