"""Kernelised flows of densities: closed forms, plain sums, the exact dissipation, and what bounds their steps."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield import steppers
from meanfield.kernelised import KernelisedRate, make_first_variation
from meanfield.measures import density_from_solver
from meanfield.rates import FluxRate, PressureRate
from meanfield.status import Status
from meanfield.steppers import _fourier
from meanfield.steppers.exponential import phi_functions

EPS = np.finfo(float).eps
FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")
KERNEL = mf.SobolevKernel(order=1.5, length=0.1)
SIZES = {1: 96, 2: 48, 3: 24}
AMPLITUDE = {1: 0.2, 2: 0.02, 3: 0.001}  # so that logarithms and powers decay to rounding within the kept modes


def flat(torus):
    return torus.density(np.ones(torus.shape))


def smooth(dim):
    """A density all of whose powers and logarithms are resolved on the kept modes."""
    torus, a = mf.Torus(SIZES[dim], dim), AMPLITUDE[dim]
    return torus.density(lambda *x: np.exp(a * sum(np.cos(2 * np.pi * (y - 0.1 * i)) for i, y in enumerate(x))))


def rough(dim, seed=0, contrast=0.8):
    """A positive density with white noise in the kept modes of the rate, and in them alone."""
    torus = mf.Torus({1: 48, 2: 18, 3: 12}[dim], dim)
    modes = mf.torus.Modes(torus, 2)
    noise = modes.inverse(modes.forward(np.random.default_rng(seed).standard_normal(torus.shape)))
    return torus.density(1 + contrast * noise / np.abs(noise).max())


def energies(torus):
    target = torus.density(lambda *x: 1 + 0.1 * AMPLITUDE[torus.dim] * np.sin(2 * np.pi * x[0]))
    drift = mf.Potential(lambda *x: 0.1 * np.cos(2 * np.pi * x[-1]) + 0.05 * np.sin(2 * np.pi * x[0]))
    near = mf.Interaction(mf.GaussianKernel(0.1))
    return {
        "L2": mf.L2Distance(target),
        "KL": mf.KullbackLeibler(target),
        "Sobolev": mf.SobolevDistance(target, order=0.7),
        "interaction": near,
        "heat": mf.InternalEnergy(1, 0.7),
        "fast": mf.InternalEnergy(0.5),
        "m=1.5": mf.InternalEnergy(1.5),
        "m=2": mf.InternalEnergy(2, 0.5),
        "m=3": mf.InternalEnergy(3, 1 / 3),
        "drift": drift,
        "sum": mf.InternalEnergy(1) + 0.5 * mf.InternalEnergy(3) + mf.L2Distance(target) + 3 * drift + 2 * near,
        "two interactions": near + 3 * mf.SobolevDistance(target, order=1),
        "multiple of a sum": 2 * (mf.InternalEnergy(2.5) + 0.3 * mf.KullbackLeibler(target)),
    }


NAMES = list(energies(mf.Torus(8)))


def kernelised_rate(energy, rho, kernel=KERNEL):
    return mf.GradientFlow(energy, mf.Kernelised(kernel)).rate(rho)


def on_the_grid(system, values):
    return system.modes.inverse(system.at(values))


def by_full_transforms(energy, rho, kernel):
    """div(ρ K*(ρ∇δE)) by NumPy's transforms, nothing cut, the Nyquist mode of a derivative zero."""
    torus = rho.torus
    axes = [np.fft.fftfreq(torus.n, 1 / torus.n)] * torus.dim
    k = np.array(np.meshgrid(*axes, indexing="ij"))
    slope = 2j * np.pi * np.where(2 * np.abs(k) == torus.n, 0, k)
    multiplier = kernel.spectrum((2 * np.pi) ** 2 * (k**2).sum(axis=0))
    momentum = (
        rho.values * np.fft.ifftn(slope * np.fft.fftn(energy.differential(rho)), axes=range(1, torus.dim + 1)).real
    )
    flux = np.array([rho.values * np.fft.ifftn(multiplier * np.fft.fftn(part)).real for part in momentum])
    return sum(np.fft.ifftn(s * np.fft.fftn(part)).real for s, part in zip(slope, flux))


def noise_of(system, energy, values):
    """Size of the rounding of a rate: order-one numbers times the highest rate of its linear part, twice over."""
    high = np.abs(values).max()
    size = max(1.0, high**2, np.abs(energy.differential(density_from_solver(values.copy(), system.modes.torus))).max())
    return 64 * EPS * size * float(system.modes.squared_wavenumber.max())


# ---- the right-hand side -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_rate_is_that_of_full_transforms_on_resolved_data(name, dim):
    rho = smooth(dim)
    energy = energies(rho.torus)[name]
    system = kernelised_rate(energy, rho)
    assert isinstance(system, KernelisedRate)
    found, exact = on_the_grid(system, rho.values), by_full_transforms(energy, rho, KERNEL)
    assert np.abs(exact).max() > 1e-4  # there is something to compare
    assert np.abs(found - exact).max() <= noise_of(system, energy, rho.values)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(
    ("energy", "porous"),
    [
        (lambda torus: mf.L2Distance(flat(torus)), mf.InternalEnergy(3, 1 / 3)),  # div(ρ²∇ρ) = ⅓Δρ³
        (lambda torus: mf.KullbackLeibler(flat(torus)), mf.InternalEnergy(2, 1 / 2)),  # div(ρ∇ρ) = ½Δρ²
        (lambda torus: mf.InternalEnergy(2, 1 / 2), mf.InternalEnergy(3, 1 / 3)),
        (lambda torus: mf.InternalEnergy(3, 1 / 3), mf.InternalEnergy(4, 1 / 4)),
    ],
)
def test_the_dirac_kernel_gives_porous_media(energy, porous, dim):
    rho = smooth(dim)
    found = on_the_grid(kernelised_rate(energy(rho.torus), rho, mf.DiracKernel()), rho.values)
    other = PressureRate(porous, rho.torus)
    assert np.abs(found - on_the_grid(other, rho.values)).max() <= noise_of(other, porous, rho.values)


def test_rate_of_one_mode_in_closed_form():
    # ρ = 1 + a cos: q = ½∇ρ² = −2π(a sin + a²/2 sin 2), so K*q and ρ K*q have three modes
    torus, a = mf.Torus(16), 0.4
    kernel = mf.SobolevKernel(order=2, length=0.1)
    k1, k2 = kernel.spectrum((2 * np.pi * np.array([1.0, 2.0])) ** 2)
    system = kernelised_rate(mf.L2Distance(flat(torus)), flat(torus), kernel)
    found = system.at(1 + a * np.cos(2 * np.pi * torus.points[0]))
    flux = np.array([a * k1 + a**3 * k2 / 4, a**2 * (k1 + k2) / 2, a**3 * k2 / 4])  # of −2π sin j
    exact = np.zeros(6)
    exact[1:4] = -4 * np.pi**2 * np.arange(1, 4) * flux / 2
    assert np.abs(found - exact).max() <= 16 * EPS * np.abs(exact).max()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_kl_to_uniform_is_the_wasserstein_flow_of_the_interaction_energy(dim):
    rho = smooth(dim)
    found = on_the_grid(kernelised_rate(mf.KullbackLeibler(flat(rho.torus)), rho), rho.values)
    interaction = mf.Interaction(KERNEL)
    system = mf.GradientFlow(interaction, mf.Wasserstein()).rate(rho)
    assert isinstance(system, FluxRate)
    assert np.abs(found - on_the_grid(system, rho.values)).max() <= noise_of(system, interaction, rho.values)


def test_kl_to_uniform_and_the_interaction_energy_have_the_same_solutions():
    rho = mf.Torus(64).density(lambda x: np.exp(0.3 * np.cos(2 * np.pi * x)))
    flows = [
        mf.GradientFlow(mf.KullbackLeibler(flat(rho.torus)), mf.Kernelised(KERNEL)),
        mf.GradientFlow(mf.Interaction(KERNEL), mf.Wasserstein()),
    ]
    ends = []
    for flow in flows:
        ds = mf.solve(flow, rho, t_end=0.05, stepper=steppers.ETDRK4(tolerance=1e-10), save_at=21)
        assert np.all(np.diff(ds.energy) < 0)
        ends.append(ds.density.values)
    assert np.abs(ends[0][-1] - rho.values).max() > 0.1
    assert np.abs(ends[0] - ends[1]).max() <= 1e-8  # some hundred steps of 1e-10
    kl = mf.KullbackLeibler(flat(rho.torus))
    for values in (ends[1],):  # either functional falls along the flow of the other
        assert np.all(np.diff([kl.value(rho.torus.density(v)) for v in values]) < 0)


@pytest.mark.parametrize("name", NAMES)
def test_rate_of_coefficients_is_the_rate_of_values(name):
    rho = rough(2)
    system = kernelised_rate(energies(rho.torus)[name], rho)
    coefficients = system.modes.forward(rho.values)
    kept, out = coefficients.copy(), np.empty_like(coefficients)
    assert system.of(coefficients, out) is out
    assert np.array_equal(coefficients, kept)
    assert np.abs(out - system.at(system.modes.inverse(coefficients))).max() <= 256 * EPS * np.abs(out).max()
    assert out[0, 0] == 0  # the mass does not move


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from(NAMES), st.sampled_from(NAMES), st.floats(0.01, 100))
def test_rates_are_linear_in_the_energy(seed, first, second, factor):
    rho = rough(1, seed)
    e, f = energies(rho.torus)[first], energies(rho.torus)[second]
    a, b, both = (kernelised_rate(energy, rho).at(rho.values) for energy in (e, f, e + factor * f))
    scale = np.abs(a).max() + factor * np.abs(b).max()
    assert np.abs(a + factor * b - both).max() <= 512 * EPS * scale


@pytest.mark.parametrize("shift", [1, 5])
def test_rates_commute_with_translations(shift):
    rho = rough(1)
    energy = mf.KullbackLeibler(flat(rho.torus)) + mf.Interaction(KERNEL)
    system = kernelised_rate(energy, rho)
    moved = np.roll(on_the_grid(system, rho.values), shift)
    assert np.abs(on_the_grid(system, np.roll(rho.values, shift)) - moved).max() <= 512 * EPS * np.abs(moved).max()


def test_first_variation_has_the_slope_of_the_pressure_over_the_density():
    rho = np.linspace(0.5, 2, 101)
    for terms in ([(1.0, 1)], [(0.7, 0.5)], [(1.0, 3)], [(0.3, 1), (2.0, 1.5), (1.0, 4)]):
        pressure = [mf.InternalEnergy(m, c).pressure()[0] for c, m in terms]
        energy = sum((mf.InternalEnergy(m, c) for c, m in terms[1:]), mf.InternalEnergy(*terms[0][::-1]))
        values = rho.copy()
        make_first_variation(tuple(pressure))(values)
        exact = energy.differential(mf.Torus(101).density(rho))
        assert np.ptp(values - exact) <= 32 * EPS * np.abs(exact).max()  # equal up to a constant


def test_values_in_are_not_modified():
    rho = rough(2)
    kept = rho.values.copy()
    for name in NAMES:
        flow = mf.GradientFlow(energies(rho.torus)[name], mf.Kernelised(KERNEL))
        system = flow.rate(rho)
        system.stiffness(rho.values)
        flow.dissipation(rho)
    assert np.array_equal(rho.values, kept)


# ---- the geometry --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_dissipation_is_minus_the_rate_of_the_energy_resolved_or_not(name, dim):
    """⟨δE, ∂_tρ⟩ = −⟨q, K*q⟩: the semi-discrete flow is an exact gradient flow."""
    rho = rough(dim)
    energy = energies(rho.torus)[name]
    flow = mf.GradientFlow(energy, mf.Kernelised(KERNEL))
    power = rho.torus.inner(energy.differential(rho), on_the_grid(flow.rate(rho), rho.values))
    assert flow.dissipation(rho) > 1e-8
    assert power == pytest.approx(-flow.dissipation(rho), rel=512 * EPS)


@pytest.mark.parametrize("name", NAMES)
def test_dissipation_is_the_derivative_of_the_energy_along_the_rate(name):
    rho = rough(1)
    energy = energies(rho.torus)[name]
    flow = mf.GradientFlow(energy, mf.Kernelised(KERNEL))
    rate = on_the_grid(flow.rate(rho), rho.values)
    quotients = []
    for h in (1e-5, 2e-5):
        step = h / np.abs(rate).max()
        ends = [energy.value(rho.torus.density(rho.values + sign * step * rate)) for sign in (1, -1)]
        quotients.append((ends[0] - ends[1]) / (2 * step))
    derivative = (4 * quotients[0] - quotients[1]) / 3
    noise = 8 * EPS * abs(energy.value(rho)) * np.abs(rate).max() / 1e-5
    assert abs(derivative + flow.dissipation(rho)) <= 1e-8 * flow.dissipation(rho) + noise


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_velocity_is_the_convolved_momentum_and_carries_the_slope(dim):
    rho, geometry = rough(dim), mf.Kernelised(KERNEL)
    energy = mf.KullbackLeibler(flat(rho.torus))
    differential = energy.differential(rho)
    modes = mf.torus.Modes(rho.torus, 2)
    slope = rho.torus.gradient(modes.inverse(modes.forward(differential)))
    cut = [modes.inverse(modes.forward(rho.values * part)) for part in slope]
    exact = -KERNEL.convolve(rho.torus, np.array(cut))
    velocity = geometry.velocity(rho, differential)
    assert velocity.shape == (dim, *rho.torus.shape)
    assert np.abs(velocity - exact).max() <= 256 * EPS * np.abs(exact).max()
    kinetic = -rho.torus.inner(velocity, rho.values * slope)
    assert geometry.squared_norm(rho, differential) == pytest.approx(kinetic, rel=256 * EPS)


def test_the_slope_is_the_wasserstein_one_for_the_dirac_kernel():
    rho = smooth(2)
    differential = mf.KullbackLeibler(flat(rho.torus)).differential(rho)
    slopes = [g.squared_norm(rho, differential) for g in (mf.Kernelised(mf.DiracKernel()), mf.Wasserstein())]
    q = rho.values * rho.torus.gradient(differential)
    assert slopes[0] == pytest.approx(rho.torus.inner(q, q), rel=1e-12)  # ∫|ρ∇δ|², not ∫ρ|∇δ|²
    assert slopes[0] != pytest.approx(slopes[1], rel=1e-6)


def test_scratch_space_is_made_once_a_thread():
    from concurrent.futures import ThreadPoolExecutor

    from meanfield.geometries import _workspace

    rho, geometry = rough(2), mf.Kernelised(KERNEL)
    differential = mf.KullbackLeibler(flat(rho.torus)).differential(rho)
    _workspace.cache_clear()
    alone = geometry.squared_norm(rho, differential)
    geometry.velocity(rho, differential)
    assert _workspace.cache_info().misses == 1
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: geometry.squared_norm(rho, differential), range(200)))
    assert set(found) == {alone}
    assert 2 <= _workspace.cache_info().misses <= 3


# ---- what bounds a step ----------------------------------------------------------------------------------------------


def jacobian(system, values, h=1e-6):
    """The rate differenced at values, on the kept modes except the mean (d = 1), as a real matrix."""
    x, kept = system.modes.torus.points[0], system.modes.kept
    columns = []
    for wave in (np.cos, np.sin):
        for k in range(1, kept):
            step = h * wave(2 * np.pi * k * x)
            change = (system.at(values + step) - system.at(values - step))[1:] / (2 * h)
            columns.append(np.concatenate([2 * change.real, -2 * change.imag]))
    return np.array(columns).T


def resting(name, torus):
    """An energy and the density at which it rests, far from uniform."""
    target = torus.density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))
    kernel = mf.GaussianKernel(0.2)
    drift = mf.Potential(-kernel.convolve(torus, target.values))
    return {
        "L2": mf.L2Distance(target),
        "KL": mf.KullbackLeibler(target),
        "Sobolev": mf.SobolevDistance(target, order=1),
        "interaction in a drift": mf.Interaction(kernel) + drift,
        "L2 and KL": mf.L2Distance(target) + 2 * mf.KullbackLeibler(target),
        "KL and Sobolev": mf.KullbackLeibler(target) + mf.SobolevDistance(target, order=1),
    }[name], target


KERNELS = [
    mf.DiracKernel(), mf.GaussianKernel(0.05), mf.GaussianKernel(0.5),
    *(mf.SobolevKernel(s, eps) for s in (0.5, 1, 2, 3) for eps in (0.001, 0.03, 0.2, 1.0)),
]  # fmt: skip
RESTING = ["L2", "KL", "Sobolev", "interaction in a drift", "L2 and KL", "KL and Sobolev"]


@pytest.mark.parametrize("name", RESTING)
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_linearised_rate_at_rest_has_its_spectrum_within_the_stated_bound(kernel, name):
    """Where the target is not uniform, the mean mode of the kernel alone gives an eigenvalue ‖∇ρ‖²."""
    energy, rho = resting(name, mf.Torus(48))
    system = kernelised_rate(energy, rho, kernel)
    stiffness = system.stiffness(rho.values)
    found = np.linalg.eigvals(jacobian(system, rho.values))
    bound = stiffness.greatest * float(system.damping.max()) + stiffness.coupling
    assert np.abs(found.imag).max() <= 1e-4 * bound + 1e-6
    assert found.real.max() <= 1e-6 * bound + 1e-6
    assert -found.real.min() <= bound * (1 + 1e-6)
    wasted = 24 if "Sobolev" in name or "interaction" in name else 4
    assert -found.real.min() >= bound / wasted, f"{-found.real.min():.3g} of {bound:.3g}"


@pytest.mark.parametrize("kernel", [KERNELS[0], KERNELS[2], *KERNELS[3::3]], ids=repr)
@pytest.mark.parametrize("name", NAMES)
def test_linearised_rate_anywhere_lies_within_bound_and_transport(name, kernel):
    """Away from rest, on data whose logarithm is resolved, transport adds to the radius."""
    rho = mf.Torus(64).density(lambda x: np.exp(0.6 * np.cos(2 * np.pi * x) + 0.3 * np.sin(4 * np.pi * x)))
    energy = energies(rho.torus)[name]
    system = kernelised_rate(energy, rho, kernel)
    stiffness = system.stiffness(rho.values)
    flow = mf.GradientFlow(energy, mf.Kernelised(kernel))
    velocity = flow.geometry.velocity(rho, energy.differential(rho))
    assert stiffness.speed == pytest.approx(np.abs(velocity).max(), rel=1e-12)
    found = np.linalg.eigvals(jacobian(system, rho.values))
    radius = stiffness.greatest * float(system.damping.max()) + stiffness.coupling
    drift = stiffness.speed * 2 * np.pi * (system.modes.kept - 1)
    assert np.abs(found).max() <= (radius + drift) * (1 + 1e-4)


@pytest.mark.parametrize("name", ["Sobolev", "interaction in a drift", "KL and Sobolev"])
def test_flux_form_of_quadratic_energies_has_its_spectrum_within_the_stated_bound(name):
    """In Wasserstein: −ρH|2πk|² for interactions alone, and P' beside them."""
    energy, rho = resting(name, mf.Torus(48))
    system = mf.GradientFlow(energy, mf.Wasserstein()).rate(rho)
    assert isinstance(system, FluxRate)
    found = np.linalg.eigvals(jacobian(system, rho.values))
    stiffness = system.stiffness(rho.values)
    bound = stiffness.greatest * float(system.damping.max())
    assert bound / 4 <= -found.real.min() <= bound * (1 + 1e-6)
    assert found.real.max() <= 1e-6 * bound
    assert stiffness.speed <= 1e-10  # at rest
    low = system.stiffness(np.full(48, 0.5)).least
    assert low == pytest.approx(0.5 if name != "KL and Sobolev" else 1 + 0.5 / (1 + (32 * np.pi) ** 2), rel=0.05)


def test_uniform_densities_decay_by_the_symbol():
    torus = mf.Torus(24)
    rho = torus.density(np.full(24, 1.5))
    for name, kernel in (("L2", KERNEL), ("KL", mf.GaussianKernel(0.1)), ("Sobolev", KERNEL)):
        energy = resting(name, torus)[0]
        energy = type(energy)(rho, **({"order": 1} if name == "Sobolev" else {}))
        system = kernelised_rate(energy, rho, kernel)
        squared = system.modes.squared_wavenumber
        hessian = {"L2": 1.0, "KL": 1 / 1.5, "Sobolev": 1 / (1 + squared)}[name]
        exact = 1.5**2 * squared * kernel.spectrum(squared) * hessian
        stiffness = system.stiffness(rho.values)
        assert np.allclose(stiffness.least * system.damping, exact, rtol=1e-13, atol=0)
        assert stiffness.least == stiffness.greatest
        assert np.allclose(-np.diag(jacobian(system, rho.values))[: system.modes.kept - 1], exact[1:], rtol=1e-7)


STABLE_CASES = [
    (s, eps, energy, uniform)
    for s, eps in ((1, 1.0), (2, 1.0), (3, 1.0), (2, 0.1))
    for energy in ("L2", "KL", "Sobolev")
    for uniform in (False, True)
]


@pytest.mark.parametrize("make", [steppers.RK4, steppers.SSPRK3, steppers.Heun], ids=lambda make: make.__name__)
@pytest.mark.parametrize(("s", "eps", "name", "uniform"), STABLE_CASES)
def test_explicit_steppers_are_stable_at_their_own_step(s, eps, name, uniform, make):
    """The loss falls at every step, whatever the target: with the bound of the linear part alone it does not."""
    if make is steppers.Heun:
        with pytest.raises(ValueError, match="a flow with drift needs a stepper stable for it") as info:
            run_explicit(s, eps, name, uniform, make)
        assert FORM.fullmatch(str(info.value))
    else:
        values = run_explicit(s, eps, name, uniform, make)
        assert np.all(np.diff(values) <= 1e-13)
        assert values[-1] < values[0]


def run_explicit(s, eps, name, uniform, make):
    torus = mf.Torus(24)
    target = flat(torus) if uniform else torus.density(lambda x: 1 + 0.5 * np.sin(2 * np.pi * x))
    energy = {"L2": mf.L2Distance, "KL": mf.KullbackLeibler}.get(name, lambda t: mf.SobolevDistance(t, order=1))(target)
    flow = mf.GradientFlow(energy, mf.Kernelised(mf.SobolevKernel(s, eps)))
    rho = torus.density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))
    values = [energy.value(rho)]
    for number, (_, state, info) in enumerate(mf.iterate(flow, rho, make())):
        assert info.status is Status.RUNNING, info.detail
        values.append(energy.value(state))
        if number == 60:
            return np.array(values)


def test_the_share_of_the_exact_part_in_the_bound_of_transport():
    """ETDRK4 on u' = −zu + iyu (h = 1) is stable for |y| ≤ 2.83 + z/3, and not much further."""

    def growth(z, y):
        one, two, three = (f[0] for f in phi_functions(np.array([-z])))
        half, weight = math.exp(-z / 2), 0.5 * phi_functions(np.array([-z / 2]))[0][0]
        a = half + weight * 1j * y
        b = half + weight * 1j * y * a
        c = half * a + weight * 1j * y * (2 * b - 1)
        weights = one - 3 * two + 4 * three, 2 * two - 4 * three, 4 * three - two
        return np.abs(math.exp(-z) + 1j * y * (weights[0] + weights[1] * (a + b) + weights[2] * c))

    def bound(z):
        return mf.tableaus.rk4.imaginary_bound + _fourier.EXACT_HELPS * z

    for z in np.geomspace(1e-3, 1e4, 57):
        assert growth(z, np.linspace(0, bound(z), 101)).max() <= 1 + 1e-12
    for z in (0.5, 1.7, 3.0):
        assert growth(z, 1.05 * bound(z) + 0.05 * z) > 1


TRANSPORT = mf.Kernelised(mf.SobolevKernel(order=3, length=0.3))  # smooth velocities, modes that hardly decay


def transported(n=384):
    torus = mf.Torus(n)
    rho = torus.density(lambda x: np.exp(0.7 * np.cos(2 * np.pi * x)))
    return mf.GradientFlow(mf.L2Distance(flat(torus)), TRANSPORT), rho


def test_a_fixed_step_above_the_bound_of_transport_is_refused():
    flow, rho = transported()
    bound = steppers.ETDRK4().bound(steppers.ETDRK4().init(flow, rho))
    with pytest.raises(ValueError, match=r"dt must not exceed the stability bound .* of ETDRK4 here") as info:
        steppers.ETDRK4(dt=1.01 * bound).init(flow, rho)
    assert FORM.fullmatch(str(info.value))
    steppers.ETDRK4(dt=0.99 * bound).init(flow, rho)
    # it is a bound: at three times the step the noise in the highest modes grows, long before the estimate notices
    tops = []
    for factor in (0.99, 3.0):
        stepper = steppers.ETDRK4(dt=factor * bound)
        memory = _with(_fourier.begin(flow, rho), stepper)
        for _ in range(20):
            memory = stepper._attempt(memory, stepper.dt).memory
        tops.append(np.abs(memory.coefficients[-6:]).max())
    assert tops[0] <= 1e-15
    assert tops[1] >= 1e6 * tops[0]


def _with(memory, stepper):
    from dataclasses import replace

    return replace(memory, dt=stepper.dt, splitting=stepper._middle(memory))


def test_a_flow_that_speeds_up_ends_a_fixed_step_with_a_status():
    """Mass on a hill of a potential slides off it: K*(ρ∇V) grows, and the step that was stable is no longer."""
    torus = mf.Torus(256)
    energy = mf.Potential(lambda x: 0.2 * np.cos(2 * np.pi * x)) + 0.01 * mf.L2Distance(flat(torus))
    flow = mf.GradientFlow(energy, mf.Kernelised(mf.SobolevKernel(order=2, length=0.1)))
    rho = torus.density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))
    bound = steppers.ETDRK4().bound(steppers.ETDRK4().init(flow, rho))
    *_, (t, state, info) = mf.iterate(flow, rho, steppers.ETDRK4(dt=0.99 * bound), until=20 * bound)
    assert info.status is Status.UNSTABLE
    assert "exceeds the stability bound" in info.detail
    assert np.isfinite(state.values).all()
    for _, _, info in mf.iterate(flow, rho, steppers.ETDRK4(), until=2 * t):
        assert info.status is Status.RUNNING


def test_adaptive_steps_stay_below_the_bound_of_transport():
    flow, rho = transported()
    stepper = steppers.ETDRK4(tolerance=0.5)  # an accuracy that binds nothing
    memory, state, t, bounds, steps = stepper.init(flow, rho), rho, 0.0, [], []
    for _ in range(12):
        bounds.append(stepper.bound(memory))
        state, memory, info = stepper.step(flow, t, state, memory)
        t = info.time
        steps.append(info.dt)
    assert np.all(np.array(steps) <= np.array(bounds))
    assert np.sum(np.array(steps) == np.array(bounds)) >= 6  # it is what binds


def count(flow, rho, stepper, t_end):
    infos = [info for *_, info in mf.iterate(flow, rho, stepper, until=t_end)]
    assert infos[-1].status is Status.RUNNING, infos[-1].detail
    return len(infos)


@pytest.mark.parametrize(
    ("energy", "porous"),
    [(mf.L2Distance, mf.InternalEnergy(3, 1 / 3)), (mf.KullbackLeibler, mf.InternalEnergy(2, 1 / 2))],
)
def test_exponential_steps_are_as_long_for_short_kernels_as_for_porous_media(energy, porous):
    torus = mf.Torus(96)
    rho = torus.density(lambda x: np.exp(0.6 * np.cos(2 * np.pi * x)))
    alone = count(mf.GradientFlow(porous, mf.Wasserstein()), rho, steppers.ETDRK4(), 0.02)
    flows = [mf.GradientFlow(energy(flat(torus)), mf.Kernelised(mf.SobolevKernel(s, eps)))
             for s, eps in ((0.3, 1e-2), (1, 1e-4), (1, 1e-2), (2, 1e-2), (2, 1.0), (3, 1.0))]  # fmt: skip
    counts = [count(flow, rho, steppers.ETDRK4(), 0.02) for flow in flows]
    assert max(counts) <= 1.1 * alone
    assert max(counts[-2:]) <= 3  # not stiff at all
    memory = steppers.RK4().init(flows[1], rho)
    assert 0.02 / steppers.RK4().bound(memory) >= 10 * alone


# ---- orders, against an integration that shares no code ----------------------------------------------------------


def reference(rho, target, kernel, t_end):
    """KL and an interaction on the kept modes |k| < n/3, by NumPy and DOP853."""
    n = rho.torus.n
    k = np.arange(n // 2 + 1)
    kept, slope = 3 * k < n, 2j * np.pi * k
    multiplier = kernel.spectrum((2 * np.pi * k) ** 2)

    def cut(values):
        return np.where(kept, np.fft.rfft(values, norm="forward"), 0)

    def back(coefficients):
        return np.fft.irfft(coefficients, n, norm="forward")

    def rate(t, u):
        density = back(u)
        differential = cut(np.log(density / target.values)) + 0.5 * np.where(kept, multiplier * u, 0)
        return slope * cut(density * back(multiplier * cut(density * back(slope * differential))))

    u = cut(rho.values).astype(complex)
    return back(solve_ivp(rate, (0, t_end), u, method="DOP853", rtol=1e-13, atol=1e-16).y[:, -1])


@pytest.mark.parametrize(
    ("make", "order"),
    [(steppers.ETDRK4, 4), (steppers.RK4, 4), (steppers.SSPRK3, 3), (lambda dt: steppers.RKC2(dt=dt, stages=6), 2)],
)
def test_orders_on_a_kernelised_flow(make, order):
    torus, kernel, t_end = mf.Torus(24), mf.SobolevKernel(2, 0.1), 0.05
    target = torus.density(lambda x: 1 + 0.2 * np.sin(2 * np.pi * x))
    rho = torus.density(lambda x: 1 + 0.3 * np.cos(2 * np.pi * x))
    flow = mf.GradientFlow(mf.KullbackLeibler(target) + 0.5 * mf.Interaction(kernel), mf.Kernelised(kernel))
    exact = reference(rho, target, kernel, t_end)
    steps, errors = np.array([16, 23, 32, 45, 64]), []
    for number in steps:
        *_, (_, state, info) = mf.iterate(flow, rho, make(dt=t_end / number), until=t_end)
        assert info.status is Status.RUNNING, info.detail
        errors.append(np.abs(state.values - exact).max())
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert errors[-1] > 1e-13, errors
    assert abs(slope + order) <= 0.1, (slope, errors)
    assert errors[-1] <= {4: 1e-7, 3: 1e-6, 2: 1e-4}[order]


# ---- runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_run_keeps_its_mass_and_closes_its_balance(dim):
    torus = mf.Torus({1: 64, 2: 24, 3: 12}[dim], dim)
    rho = torus.density(lambda *x: np.exp(0.2 * sum(np.cos(2 * np.pi * y) for y in x)))
    flow = mf.GradientFlow(mf.KullbackLeibler(flat(torus)), mf.Kernelised(KERNEL))
    ds = mf.solve(flow, rho, t_end=0.02, stepper=steppers.ETDRK4(dt=5e-4), save_at=6)
    assert np.abs(ds.mass / ds.mass[0] - 1).max() <= 4 * EPS
    assert np.all(np.diff(ds.energy) < 0)
    drop = float(ds.energy[0] - ds.energy[-1])
    assert np.abs(ds.balance_defect_velocity).max() <= 1e-6 * drop
    assert np.isnan(ds.balance_defect).all()  # no distance in this geometry
    assert ds.equation == "d_t rho = div(rho K * (rho grad dE/drho))"


def test_a_resumed_run_has_the_same_bits(tmp_path):
    rho = rough(1, contrast=0.3)
    flow = mf.GradientFlow(mf.L2Distance(flat(rho.torus)), mf.Kernelised(KERNEL))
    run = {"t_end": 0.05, "save_at": 6, "progress": False}
    whole = mf.solve(flow, rho, **run)
    path = tmp_path / "run.h5"
    with pytest.warns(RuntimeWarning, match="step limit"):
        mf.solve(flow, rho, out=path, max_steps=7, **run)
    resumed = mf.solve(flow, rho, out=path, resume=True, **run)
    common = np.isin(resumed.time, whole.time)
    np.testing.assert_array_equal(resumed.density.values[-1], whole.density.values[-1])
    assert common.sum() == 6


@pytest.mark.parametrize(("n", "dim"), [(512, 2), (64, 3)])
def test_bits_do_not_depend_on_the_number_of_threads(n, dim):
    torus = mf.Torus(n, dim)
    rho = torus.density(lambda x, y, *z: np.exp(0.3 * np.cos(2 * np.pi * x) + 0.2 * np.sin(2 * np.pi * y)))
    flow = mf.GradientFlow(mf.KullbackLeibler(flat(torus)), mf.Kernelised(KERNEL))
    threads, found = mf.parallel.get_threads(), []
    try:
        for number in (1, 2, 4):
            mf.parallel.set_threads(number)
            system = flow.rate(rho)
            found.append((system.at(rho.values), system.stiffness(rho.values), flow.dissipation(rho)))
    finally:
        mf.parallel.set_threads(threads)
    for other in found[1:]:
        np.testing.assert_array_equal(other[0], found[0][0])
        assert other[1:] == found[0][1:]


# ---- bad input and warnings ------------------------------------------------------------------------------------------


def test_a_stage_below_zero_shortens_the_step_and_raises_nothing():
    """KL has no differential there; in Wasserstein, beside an interaction, the flux form evaluates it."""
    torus = mf.Torus(64)
    rho = torus.density(lambda x: 1 + 0.9 * np.cos(2 * np.pi * x))
    kl = mf.KullbackLeibler(torus.density(lambda x: 1 - 0.9 * np.cos(2 * np.pi * x)))
    for energy, geometry in (
        (kl, mf.Kernelised(mf.SobolevKernel(1, 0.3))),
        (kl + mf.Interaction(KERNEL), mf.Wasserstein()),
    ):
        flow = mf.GradientFlow(energy, geometry)
        for stepper in (steppers.ETDRK4(dt=0.5, tolerance=1e-3), steppers.RKC2(tolerance=1e-3)):
            memory = stepper.init(flow, rho)
            attempt = stepper._attempt(memory, 0.5)
            assert attempt.status in (Status.NOT_POSITIVE, Status.NOT_FINITE)
            *_, (_, _, info) = mf.iterate(flow, rho, stepper, until=1e-3)
            assert info.status is Status.RUNNING


def test_unresolved_data_warn():
    torus = mf.Torus(32)
    spike = torus.density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * 13 * x))  # 13 ≥ 32/3
    with pytest.warns(RuntimeWarning, match=r"the density should be resolved on the kept modes \|k\| < 11"):
        steppers.ETDRK4().init(mf.GradientFlow(mf.L2Distance(flat(torus)), mf.Kernelised(KERNEL)), spike)
    for energy in (mf.L2Distance, mf.KullbackLeibler):
        with pytest.warns(RuntimeWarning, match=r"the target or potential should be resolved .* \|k\| < 11") as info:
            kernelised_rate(energy(spike), flat(torus))
        assert FORM.fullmatch(str(info[0].message))
    nearly = torus.density(1 + EPS * np.random.default_rng(0).standard_normal(32))
    for energy in (mf.L2Distance(nearly), mf.KullbackLeibler(nearly), mf.Potential(lambda x: 3.0)):
        kernelised_rate(energy, flat(torus))  # constants up to rounding are resolved


@pytest.mark.parametrize(
    ("call", "error", "names"),
    [
        (lambda: mf.Kernelised("gauss"), TypeError, "Kernelised needs a kernel"),
        (lambda: mf.Interaction(0.1), TypeError, "kernel must be a Kernel"),
        (lambda: mf.SobolevDistance(flat(mf.Torus(8)), order=-1), ValueError, "order must not be negative"),
        (lambda: mf.SobolevDistance(flat(mf.Torus(8)), order="1"), TypeError, "order must be a real number"),
        (lambda: mf.SobolevDistance(np.ones(8), order=1), TypeError, "target must be a TorusDensity"),
        (lambda: mf.SobolevDistance(flat(mf.Torus(8)), order=1).value(flat(mf.Torus(10))), ValueError, "one torus"),
        (
            lambda: kernelised_rate(mf.SobolevDistance(flat(mf.Torus(8)), order=1), flat(mf.Torus(10))),
            ValueError, "one torus",
        ),
        (
            lambda: steppers.FiniteVolume().init(
                mf.GradientFlow(mf.InternalEnergy(2), mf.Kernelised(KERNEL)), flat(mf.Torus(8))
            ),
            TypeError, "FiniteVolume steps local energies in Wasserstein .*got Kernelised",
        ),
        (
            lambda: steppers.FiniteVolume().init(
                mf.GradientFlow(mf.InternalEnergy(2) + mf.Interaction(KERNEL), mf.Wasserstein()), flat(mf.Torus(8))
            ),
            TypeError, "got an interaction",
        ),
        (
            lambda: mf.GradientFlow(mf.KullbackLeibler(flat(mf.Torus(8))), mf.Kernelised(KERNEL)).check(
                mf.Torus(8).density([0.0] + [1.0] * 7)
            ),
            ValueError, "KullbackLeibler needs a positive density",
        ),
        (
            lambda: steppers.ETDRK4().init(
                mf.GradientFlow(mf.L2Distance(flat(mf.Torus(8))), mf.Kernelised(KERNEL)),
                mf.Torus(8).density([0.0] + [1.0] * 7),
            ),
            ValueError, "stays away from zero",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_refused_on_one_line(call, error, names):
    with pytest.raises(error, match=names) as info:
        call()
    assert FORM.fullmatch(str(info.value))


def test_there_is_no_distance():
    rho = flat(mf.Torus(8))
    assert not mf.Kernelised(KERNEL).measures(rho)
    with pytest.raises(TypeError, match="no distance"):
        mf.Kernelised(KERNEL).distance(rho, rho)
