"""Right-hand sides: the pressure form against the flux form, against sums over modes, and the energy identity."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.measures import density_from_solver
from meanfield.rates import FluxRate, PressureRate, make_pressure, product_degree

EPS = np.finfo(float).eps


def energies(torus):
    target = torus.density(lambda *x: 1 + 0.02 * np.sin(2 * np.pi * x[0]))
    drift = mf.Potential(lambda *x: 0.1 * np.cos(2 * np.pi * x[-1]) + 0.05 * np.sin(2 * np.pi * x[0]))
    return {
        "heat": mf.InternalEnergy(1, 0.7),
        "fast": mf.InternalEnergy(0.5),
        "m=1.5": mf.InternalEnergy(1.5),
        "m=2": mf.InternalEnergy(2, 0.5),
        "m=2.3": mf.InternalEnergy(2.3),
        "m=3": mf.InternalEnergy(3, 1 / 3),
        "m=4.5": mf.InternalEnergy(4.5),
        "m=6": mf.InternalEnergy(6),
        "L2": mf.L2Distance(target),
        "KL": mf.KullbackLeibler(target),
        "drift": drift,
        "m=3 in a drift": mf.InternalEnergy(3, 1 / 3) + drift,
        "sum": mf.InternalEnergy(1) + 0.5 * mf.InternalEnergy(2) + mf.L2Distance(target) + 3 * drift,
        "multiple": 0.25 * mf.InternalEnergy(3),
        "multiple of a sum": 2 * (mf.InternalEnergy(2.5) + 0.3 * mf.KullbackLeibler(target)),
    }


NAMES = list(energies(mf.Torus(8)))
SIZES = {1: 96, 2: 64, 3: 40}
AMPLITUDE = {1: 0.2, 2: 0.04, 3: 0.004}  # so that powers decay to rounding within the kept modes


def resolved(dim):
    """A density whose powers, logarithms and roots decay to rounding level within the kept modes."""
    torus = mf.Torus(SIZES[dim], dim)
    a = AMPLITUDE[dim]
    return torus, torus.density(lambda *x: np.exp(a * sum(np.cos(2 * np.pi * (y - 0.1 * i)) for i, y in enumerate(x))))


def scale_of(modes, values):
    """Size of a rate's rounding: the diffusion of order-one numbers in the highest kept mode."""
    return float(modes.squared_wavenumber.max()) * np.abs(values).max()


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_pressure_form_is_the_flux_form_on_resolved_data(name, dim):
    torus, rho = resolved(dim)
    energy = energies(torus)[name]
    short, general = PressureRate(energy, torus), FluxRate(energy, mf.Wasserstein(), torus)
    a, b = short.modes.inverse(short.at(rho.values)), general.modes.inverse(general.at(rho.values))
    assert np.abs(a).max() > 1e-3  # there is something to compare
    diffusivity = max(1.0, energy.symbol(float(rho.values.min()), float(rho.values.max()))[1])
    assert np.abs(a - b).max() <= 16 * EPS * diffusivity * scale_of(short.modes, rho.values)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_energy_identity_of_the_semi_discrete_flow(name, dim):
    """<dE, rate> = -int rho |grad dE|²: what makes the flow a gradient flow, to rounding."""
    torus, rho = resolved(dim)
    energy = energies(torus)[name]
    flow = mf.GradientFlow(energy, mf.Wasserstein())
    system = flow.rate(rho)
    differential = energy.differential(rho)
    power = torus.inner(differential, system.modes.inverse(system.at(rho.values)))
    dissipation = flow.dissipation(rho)
    assert dissipation > 1e-6
    # the rate's rounding meets the oscillation of the differential
    oscillation = np.sqrt(np.mean((differential - differential.mean()) ** 2)) + EPS * np.abs(differential).max()
    noise = 16 * EPS * scale_of(system.modes, differential) * oscillation
    assert abs(power + dissipation) <= 64 * EPS * dissipation + noise


@pytest.mark.parametrize("name", NAMES)
def test_rate_of_coefficients_is_the_rate_of_values(name):
    torus, rho = resolved(2)
    system = PressureRate(energies(torus)[name], torus)
    coefficients = system.modes.forward(rho.values)
    kept = coefficients.copy()
    out = np.empty_like(coefficients)
    assert system.of(coefficients, out) is out
    assert np.array_equal(coefficients, kept)
    again = system.at(system.modes.inverse(coefficients))
    assert np.abs(out - again).max() <= 8 * EPS * scale_of(system.modes, rho.values)


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_does_not_move(name):
    torus, rho = resolved(2)
    for system in (
        PressureRate(energies(torus)[name], torus),
        FluxRate(energies(torus)[name], mf.Wasserstein(), torus),
    ):
        assert system.at(rho.values)[0, 0] == 0


def test_cubic_pressure_on_one_mode_in_closed_form():
    # (1 + a cos)^3 = 1 + 3a²/2 + (3a + 3a³/4) cos + (3a²/2) cos 2 + (a³/4) cos 3
    torus, a = mf.Torus(16), 0.5
    system = PressureRate(mf.InternalEnergy(3, 1 / 3), torus)
    found = system.at(1 + a * np.cos(2 * np.pi * torus.points[0]))
    exact = -4 * np.pi**2 / 6 * np.array([0, 3 * a + 0.75 * a**3, 4 * 1.5 * a**2, 9 * 0.25 * a**3])
    assert system.modes.kept == 4
    assert np.abs(found - exact).max() <= 16 * EPS * np.abs(exact).max()


def test_drift_on_one_mode_in_closed_form():
    # the flux is -2pi (1 + a cos) sin = -2pi (sin + a/2 sin 2)
    torus, a = mf.Torus(16), 0.5
    x = 2 * np.pi * torus.points[0]
    system = PressureRate(mf.Potential(np.cos(x)), torus)
    exact = -4 * np.pi**2 * (np.cos(x) + a * np.cos(2 * x))
    assert np.abs(system.modes.inverse(system.at(1 + a * np.cos(x))) - exact).max() <= 64 * EPS * np.abs(exact).max()


def spectrum(system, values, h):
    """Eigenvalues of the rate differenced at values, on the kept modes except the mean (d = 1)."""
    x, kept = system.modes.torus.points[0], system.modes.kept
    base, columns = system.at(values), []
    for wave in (np.cos, np.sin):
        for k in range(1, kept):
            change = (system.at(values + h * wave(2 * np.pi * k * x)) - base)[1:] / h
            columns.append(np.concatenate([2 * change.real, -2 * change.imag]))
    return np.linalg.eigvals(np.array(columns).T)


@pytest.mark.parametrize("exponent", [1, 1.5, 3])
def test_linearised_diffusion_has_its_spectrum_within_the_stated_bound(exponent):
    rho = mf.Torus(24).density(lambda x: 1 + 0.6 * np.cos(2 * np.pi * x))
    system = PressureRate(mf.InternalEnergy(exponent, 0.4), rho.torus)
    stiffness = system.stiffness(rho.values)
    found = spectrum(system, rho.values, 1e-6)
    bound = stiffness.greatest * float(system.modes.squared_wavenumber.max())
    assert -bound * (1 + 1e-5) <= found.real.min() <= -bound / 4  # holds, and is not wasteful
    assert found.real.max() < 0
    assert np.abs(found.imag).max() <= 1e-5 * bound  # similar to a symmetric matrix


def test_drift_has_its_spectrum_within_the_stated_bound():
    torus = mf.Torus(48)
    well = 0.1 * np.cos(2 * np.pi * torus.points[0])
    system = PressureRate(mf.Potential(well), torus)
    found = spectrum(system, np.ones(48), 1.0)  # linear: the difference is exact
    bound = system.stiffness(np.ones(system.modes.torus.shape)).speed * float(
        max(k.max() for k in system.modes.wavenumbers)
    )
    assert bound / 3 <= np.abs(found.imag).max() <= bound * (1 + 64 * EPS)
    # the real part is that of the symmetric part, u (Delta V)/2
    assert np.abs(found.real).max() <= 0.5 * 0.1 * 4 * np.pi**2 * (1 + 1e-9)


def test_drift_speed_is_that_of_the_slope():
    torus = mf.Torus(16, dim=2)
    system = PressureRate(mf.Potential(lambda x, y: np.cos(2 * np.pi * x) + 2 * np.sin(2 * np.pi * y)), torus)
    assert system.speed == pytest.approx(2 * np.pi * 3, rel=64 * EPS)
    assert PressureRate(mf.InternalEnergy(2), torus).speed == 0.0


@pytest.mark.parametrize(
    ("exponents", "drift", "degree"),
    [((1,), False, 1), ((1,), True, 2), ((1.5,), False, 2), ((0.5,), False, 2), ((2,), False, 2), ((2.3,), False, 3),
     ((3,), True, 3), ((1, 4.5), False, 5), ((), True, 2)],
)  # fmt: skip
def test_product_degrees(exponents, drift, degree):
    terms = sum((mf.InternalEnergy(m).pressure() for m in exponents), ())
    assert product_degree(terms, drift=drift) == degree


@pytest.mark.parametrize("exponents", [(1,), (1.5,), (2,), (2.3,), (3,), (4.5,), (5,), (7.25,), (0.5,), (1, 3)])
def test_pressure_pass_is_the_sum_of_powers(exponents):
    terms = tuple(term for m in exponents for term in mf.InternalEnergy(m, 0.3).pressure())
    values = np.random.default_rng(0).random((6, 5)) + 0.2
    exact = sum(c * values**m for c, m in terms)
    make_pressure(terms)(values)
    assert np.all(np.abs(values - exact) <= 16 * EPS * exact)


def test_values_in_are_not_modified():
    torus, rho = resolved(1)
    kept = rho.values.copy()
    for name in NAMES:
        state = density_from_solver(rho.values, torus)
        PressureRate(energies(torus)[name], torus).at(state.values)
        FluxRate(energies(torus)[name], mf.Wasserstein(), torus).at(state.values)
    assert np.array_equal(rho.values, kept)
