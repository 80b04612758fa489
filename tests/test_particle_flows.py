"""Flows of particles: velocities in both geometries, slopes, runs, their records and their balance."""

import json
import math
import re

import numpy as np
import pytest

import meanfield as mf
from meanfield import parallel
from meanfield.flow import PAIRS
from meanfield.status import Status
from meanfield.velocities import SteinField, VelocityField, entropy_of

EPS = np.finfo(float).eps
NUFFT = 1e-11  # ten times the tolerance the energies ask of their transforms
FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")
POINTS = {1: (16, 17), 2: (8, 9), 3: (6, 7)}
CASES = [(dim, n) for dim, sizes in POINTS.items() for n in sizes]
RK4 = mf.steppers.RK4


def cloud(dim, torus=None, number=11, seed=0):
    rng = np.random.default_rng(seed)
    return mf.ParticleMeasure(rng.uniform(-1, 2, (number, dim)), rng.dirichlet(np.ones(number)), torus)


def wave(torus, height=0.8):
    """A density whose logarithm is a polynomial of degree one."""
    return torus.density(lambda *x: np.exp(height * sum(np.cos(2 * np.pi * one) for one in x)), normalise=True)


def carried(torus):
    """The wave vectors 2πk, |k_a| ≤ (n−1)//2, (M, d)."""
    top = (torus.n - 1) // 2
    axes = np.meshgrid(*[np.arange(-top, top + 1)] * torus.dim, indexing="ij")
    return 2 * np.pi * np.stack([axis.ravel() for axis in axes], axis=1)


def pairs_on_torus(kernel, state):
    """K(x_i − x_j) and ∇K(x_i − x_j), (N, N) and (N, N, d), as plain sums over modes."""
    k = carried(state.torus)
    multiplier = kernel.spectrum((k**2).sum(axis=1))
    phases = np.exp(1j * (state.positions[:, None] - state.positions) @ k.T)
    return (phases @ multiplier).real, (phases @ (1j * multiplier[:, None] * k)).real


def pairs_in_space(kernel, state):
    """The same on R^d for a Gaussian of height one."""
    gaps = state.positions[:, None] - state.positions
    values = np.exp(-0.5 * (gaps**2).sum(axis=2) / kernel.length**2)
    return values, -values[..., None] * gaps / kernel.length**2


# ---- velocities --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dim", "n"), CASES)
@pytest.mark.parametrize("kernel", [mf.GaussianKernel(0.15), mf.SobolevKernel(2, 0.2)], ids=repr)
def test_the_stein_velocity_is_its_double_sum(kernel, dim, n):
    """Liu & Wang 2016, eq. (8): Σ_j a_j (K(x_i − x_j)∇log ρ*(x_j) − ∇K(x_i − x_j)), here 3 KL + an MMD."""
    torus = mf.Torus(n, dim)
    state, target = cloud(dim, torus), wave(torus)
    distance = mf.SobolevDistance(cloud(dim, torus, seed=3), order=1)
    flow = mf.GradientFlow(3 * mf.KullbackLeibler(target) + distance, mf.Kernelised(kernel))
    field = flow.rate(state)
    assert type(field) is SteinField
    assert entropy_of(flow.energy) == 3
    values, slopes = pairs_on_torus(kernel, state)
    score = -0.8 * 2 * np.pi * np.sin(2 * np.pi * state.positions)
    force = 3 * score - distance.differential(state)
    exact = np.einsum("ij,j,jd->id", values, state.weights, force) - 3 * np.einsum("ijd,j->id", slopes, state.weights)
    assert np.abs(field.velocity(state) - exact).max() <= NUFFT * 3 * np.abs(slopes).max() * 2 * np.pi


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_kernelised_velocity_in_space_is_its_double_sum(dim):
    state, kernel = cloud(dim), mf.GaussianKernel(0.6)
    energy = mf.Interaction(mf.GaussianKernel(0.3))
    geometry = mf.Kernelised(kernel)
    values, slopes = pairs_in_space(kernel, state)
    covector = energy.differential(state)
    exact = -np.einsum("ij,j,jd->id", values, state.weights, covector)
    found = mf.GradientFlow(energy, geometry).rate(state).velocity(state)
    assert np.abs(found - exact).max() <= 64 * EPS * np.abs(covector).max()
    np.testing.assert_array_equal(geometry.velocity(state, covector), found)
    with_entropy = geometry.particle_velocity(state, covector, entropy=2.0)
    exact = exact - 2 * np.einsum("ijd,j->id", slopes, state.weights)
    assert np.abs(with_entropy - exact).max() <= 64 * EPS * np.abs(slopes).max()
    with pytest.raises(ValueError, match="needs a torus"):
        geometry.particle_squared_norm(state, covector, entropy=2.0)


def test_the_wasserstein_velocity_of_particles_is_minus_their_differential():
    torus = mf.Torus(17, 2)
    state = cloud(2, torus)
    energy = 2 * mf.Interaction(mf.GaussianKernel(0.1)) + mf.SobolevDistance(wave(torus), order=1)
    field = mf.GradientFlow(energy, mf.Wasserstein()).rate(state)
    assert type(field) is VelocityField
    np.testing.assert_array_equal(field.velocity(state), -energy.differential(state))


@pytest.mark.parametrize(("dim", "n"), CASES)
def test_the_slope_is_the_sum_over_modes_of_the_covector_field(dim, n):
    """Σ_k K̂|ĝ|², ĝ = Σ_j a_j (∇δE(x_j) + 2πik c) e^{−2πik·x_j}: for KL the kernelised Stein discrepancy."""
    torus = mf.Torus(n, dim)
    state, kernel = cloud(dim, torus), mf.GaussianKernel(0.15)
    flow = mf.GradientFlow(2 * mf.KullbackLeibler(wave(torus)), mf.Kernelised(kernel))
    k = carried(torus)
    terms = flow.energy.differential(state)[None] + 2j * k[:, None]
    modes = np.einsum("kj,j,kjd->kd", np.exp(-1j * k @ state.positions.T), state.weights, terms)
    exact = np.sum(kernel.spectrum((k**2).sum(axis=1))[:, None] * abs(modes) ** 2)
    assert flow.dissipation(state) == pytest.approx(exact, rel=NUFFT * 10)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("geometry", [mf.Wasserstein(), mf.Kernelised(mf.GaussianKernel(0.2))], ids=repr)
def test_the_slope_is_minus_the_derivative_of_the_energy(geometry, dim, periodic):
    """Fourth-order differences of E along the velocity, and ⟨∇δE, v⟩ exactly."""
    torus = mf.Torus(POINTS[dim][0], dim) if periodic else None
    state = cloud(dim, torus)
    energy = mf.Interaction(mf.GaussianKernel(0.3))
    energy = energy + mf.SobolevDistance(wave(torus), order=1) if periodic else energy
    flow = mf.GradientFlow(energy, geometry)
    covector, velocity = energy.differential(state), flow.rate(state).velocity(state)
    slope = flow.dissipation(state)
    assert slope == pytest.approx(-np.sum(state.weights[:, None] * covector * velocity), rel=10 * NUFFT)
    assert slope == geometry.squared_norm(state, covector)
    h = 1e-3 / np.abs(velocity).max()
    ends = [mf.ParticleMeasure(state.positions + s * h * velocity, state.weights, torus) for s in (1, -1, 2, -2)]
    values = [energy.value(end) for end in ends]
    assert (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h) == pytest.approx(-slope, rel=1e-6)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_one_particle_under_kullback_leibler_climbs_the_kernel_times_the_score(dim):
    """∇K(0) = 0, so a single particle follows K(0)∇log ρ*: Stein's flow seeks the mode."""
    torus = mf.Torus({1: 32, 2: 16, 3: 9}[dim], dim)
    state = mf.ParticleMeasure(np.full((1, dim), 0.3), torus=torus)
    kernel = mf.SobolevKernel(3, 0.2)
    flow = mf.GradientFlow(mf.KullbackLeibler(wave(torus)), mf.Kernelised(kernel))
    top = np.sum(kernel.spectrum((carried(torus) ** 2).sum(axis=1)))
    exact = -top * 0.8 * 2 * np.pi * math.sin(0.6 * math.pi)
    assert np.abs(flow.rate(state).velocity(state) - exact).max() <= NUFFT * abs(exact) * 10


# ---- particles and densities are two views of one flow ------------------------------------------------------------

DATUM = (lambda x: 1 + 0.5 * np.cos(2 * np.pi * x), lambda x: 1 + 0.3 * np.sin(4 * np.pi * x))


def quantiles(torus, number):
    """The midpoint quantiles of the datum, x + sin(2πx)/4π = (i + ½)/N, by Newton's method."""
    u = (np.arange(number) + 0.5) / number
    x = u.copy()
    for _ in range(50):
        x -= (x + 0.25 / np.pi * np.sin(2 * np.pi * x) - u) / DATUM[0](x)
    return mf.ParticleMeasure(x[:, None], torus=torus)


def both_views(energy_of, geometry, number):
    """The velocity of a density's flow at its quantiles, and that of the quantiles as particles."""
    torus = mf.Torus(96)
    rho, goal = (torus.density(f) for f in DATUM)
    flow = mf.GradientFlow(energy_of(goal), geometry)
    state = quantiles(torus, number)
    field = geometry.velocity(rho, flow.energy.differential(rho))
    return torus.interpolate(field[0], state.positions), flow.rate(state).velocity(state)[:, 0], flow, rho, state


@pytest.mark.parametrize(
    ("energy_of", "geometry"),
    [
        (mf.KullbackLeibler, mf.Kernelised(mf.GaussianKernel(0.08))),
        (mf.KullbackLeibler, mf.Kernelised(mf.SobolevKernel(3, 0.1))),
        (lambda goal: mf.SobolevDistance(goal, order=3), mf.Kernelised(mf.GaussianKernel(0.08))),
        (lambda goal: mf.SobolevDistance(goal, order=3), mf.Wasserstein()),
        (lambda goal: mf.Interaction(mf.GaussianKernel(0.1)), mf.Wasserstein()),
    ],
    ids=["KL, Gaussian", "KL, Sobolev", "MMD", "MMD, Wasserstein", "interaction"],
)
def test_with_many_particles_the_velocity_is_that_of_the_density(energy_of, geometry):
    """On the circle midpoint quantiles integrate smooth functions faster than any power of N."""
    gaps, slopes = [], []
    for number in (20, 400):
        exact, found, flow, rho, state = both_views(energy_of, geometry, number)
        gaps.append(np.abs(found - exact).max() / np.abs(exact).max())
        slopes.append(abs(flow.dissipation(state) / flow.dissipation(rho) - 1))
    assert gaps[0] > 1e-9  # twenty are still told apart from the density
    assert max(gaps[1], slopes[1]) <= 1e-9, (gaps, slopes)


def test_the_kernelised_flow_of_particles_tends_to_that_of_the_density():
    """W₂ between the two runs of KL is the quantisation of N quantiles, at most sup ρ/(inf ρ N√12) or so."""
    torus = mf.Torus(64)
    rho, goal = (torus.density(f) for f in DATUM)
    flow = mf.GradientFlow(mf.KullbackLeibler(goal), mf.Kernelised(mf.GaussianKernel(0.1)))
    dense = mf.solve(flow, rho, t_end=0.05, save_at=3, progress=False)
    gaps = []
    for number in (40, 80, 160):
        particles = mf.solve(
            flow, quantiles(torus, number), t_end=0.05, save_at=3, stepper=RK4(tolerance=1e-6), progress=False
        )
        gaps.append(mf.compare(particles, dense).values * number * math.sqrt(12))
    assert np.all(np.array(gaps)[:, -1] <= 1.3)  # the density has moved towards one that lies in [0.7, 1.3]
    assert np.all(np.array(gaps) >= 0.7)
    assert float(np.abs(particles.positions[-1] - particles.positions[0]).max()) > 0.02


# ---- runs --------------------------------------------------------------------------------------------------------


def mmd(geometry=None, order=1, torus=None):
    torus = torus or mf.Torus(32)
    return mf.GradientFlow(mf.SobolevDistance(wave(torus), order=order), geometry or mf.Wasserstein())


def test_every_pair_of_particles_runs():
    torus = mf.Torus(64)
    kernel = mf.GaussianKernel(0.1)
    hills = mf.Potential(lambda x: np.cos(2 * np.pi * x))
    blob = mf.BlobEnergy(2, mollifier=kernel, torus=torus)
    finite = [mf.Interaction(kernel), mf.SobolevDistance(wave(torus), order=1), hills, blob]
    made = {(mf.ParticleMeasure, type(e), type(g)) for e in finite for g in (mf.Wasserstein(), mf.Kernelised(kernel))}
    made |= {(mf.ParticleMeasure, mf.KullbackLeibler, mf.Kernelised)}
    assert made == {pair for pair in PAIRS if pair[0] is mf.ParticleMeasure and pair[1] is not mf.Risk}
    cases = [(e, g) for e in (*finite, finite[0] + 2 * finite[2]) for g in (mf.Wasserstein(), mf.Kernelised(kernel))]
    for energy, geometry in [*cases, (mf.KullbackLeibler(wave(torus)) + finite[0], mf.Kernelised(kernel))]:
        state = cloud(1, torus)
        ds = mf.solve(mf.GradientFlow(energy, geometry), state, t_end=1e-3, save_at=3, progress=False)
        assert ds.status == "finished"
        assert np.isnan(ds.energy).all() if "Kullback" in repr(energy) else np.all(np.diff(ds.energy) < 0)
        assert float(ds.dissipation.min()) > 0


def test_what_a_run_records(tmp_path):
    torus = mf.Torus(16, 2)
    state = cloud(2, torus)
    ds = mf.solve(mmd(torus=torus), state, t_end=0.1, save_at=4, out=tmp_path / "run.h5", progress=False)
    assert ds.positions.dims == ("time", "particle", "component")
    assert ds.weights.dims == ("particle",)
    np.testing.assert_array_equal(ds.weights, state.weights)
    np.testing.assert_array_equal(ds.positions[0], state.positions)  # unwrapped
    assert json.loads(ds.torus) == {"n": 16, "dim": 2}
    assert "mass" not in ds
    assert "density" not in ds
    assert "lojasiewicz_slope" not in ds
    assert ds.equation == "d_t rho = div(rho grad dE/drho)"
    last = mf.ParticleMeasure(ds.positions[-1], ds.weights, torus)
    flow = mmd(torus=torus)
    assert float(ds.energy[-1]) == flow.energy.value(last)
    assert float(ds.dissipation[-1]) == flow.dissipation(last)
    assert ds.identical(mf.output.read(tmp_path / "run.h5"))
    space = mf.solve(
        mf.GradientFlow(mf.Interaction(mf.GaussianKernel(1.0)), mf.Wasserstein()), cloud(3), t_end=0.1, progress=False
    )
    assert "torus" not in space.attrs
    assert space.sizes["component"] == 3


def test_a_run_keeps_what_its_energy_keeps():
    """Interactions are translation invariant: the centre of mass stays; the energy falls at every step."""
    for torus in (mf.Torus(32, 2), None):
        state = cloud(2, torus)
        flow = mf.GradientFlow(mf.Interaction(mf.GaussianKernel(0.2)), mf.Wasserstein())
        energies = [flow.energy.value(state)]
        for _, after, _ in mf.iterate(flow, state, RK4(tolerance=1e-6), until=0.1):
            energies.append(flow.energy.value(after))
        assert len(energies) > 5
        assert np.all(np.diff(energies) <= 1e-12 * energies[0])
        drift = after.weights @ after.positions - state.weights @ state.positions
        assert np.abs(drift).max() <= 1e-11
        assert np.abs(after.positions - state.positions).max() > 0.02
        assert after.weights is state.weights


def test_a_potential_carries_particles_on_characteristics():
    """x' = −(x − c): exact, to the order of RK4, in R^d; weights are carried along."""
    centre = np.array([0.5, -0.25])
    well = mf.Potential(
        lambda x, y: 0.5 * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2),
        gradient=lambda x, y: (x - centre[0], y - centre[1]),
    )
    state = cloud(2)
    ds = mf.solve(mf.GradientFlow(well, mf.Wasserstein()), state, t_end=1.0, stepper=RK4(dt=0.05), progress=False)
    exact = centre + (state.positions - centre) * math.exp(-1)
    assert np.abs(ds.positions[-1].values - exact).max() <= 0.05**4 / 120 * np.abs(state.positions - centre).max()


@pytest.mark.parametrize(
    ("stepper", "order"), [(mf.steppers.Euler, 1), (mf.steppers.Heun, 2), (mf.steppers.SSPRK3, 3), (RK4, 4)]
)
@pytest.mark.parametrize("geometry", [mf.Wasserstein(), mf.Kernelised(mf.GaussianKernel(0.15))], ids=repr)
def test_the_orders_of_the_steppers_on_particles(geometry, stepper, order):
    torus = mf.Torus(24)
    energy = (
        mf.Interaction(mf.SobolevKernel(3, 0.2)) if geometry == mf.Wasserstein() else mf.KullbackLeibler(wave(torus))
    )
    flow, state = mf.GradientFlow(energy, geometry), cloud(1, torus, number=8, seed=1)
    t_end = 0.04 if geometry == mf.Wasserstein() else 0.016

    def end(make, steps):
        for _, after, info in mf.iterate(flow, state, make(dt=t_end / steps), until=t_end):
            assert not info.detail, info.detail
        return after.positions

    reference = end(RK4, 320)
    steps = np.array([10, 14, 20, 28])
    errors = [np.abs(end(stepper, one) - reference).max() for one in steps]
    fitted = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(fitted - order) <= 0.15, (errors, fitted)
    assert errors[-1] <= 1e-2**order


def test_particles_that_lie_together_move_as_one_in_few_steps():
    torus = mf.Torus(32)
    runs = []
    for number in (1, 7):
        state = mf.ParticleMeasure(np.full((number, 1), 0.3), torus=torus)
        ds = mf.solve(mmd(torus=torus), state, t_end=20.0, max_steps=400, progress=False)
        assert ds.status == "finished"
        runs.append(ds.positions.values[-1])
    assert np.ptp(runs[1]) <= 1e-12
    assert runs[1][0] == pytest.approx(runs[0][0], abs=1e-6)
    assert abs(runs[0][0, 0]) < 0.3  # towards the mode at 0


def test_a_run_stopped_between_saves_goes_on(tmp_path):
    """The step that the stop cut in two is another one; all else is as without it."""
    torus = mf.Torus(32)
    flow = mf.GradientFlow(mf.KullbackLeibler(wave(torus)), mf.Kernelised(mf.SobolevKernel(2, 0.2)))
    common = {"t_end": 0.12, "save_at": 7, "stepper": RK4(tolerance=1e-5), "progress": False}
    whole = mf.solve(flow, cloud(1, torus), **common)
    part = mf.solve(flow, cloud(1, torus), **common, out=tmp_path / "run.h5", stop=lambda t, _: t > 0.041)
    assert (part.status, part.sizes["time"]) == ("stopped", 4)
    rest = mf.solve(flow, cloud(1, torus), **common, out=tmp_path / "run.h5", resume=True)
    assert (rest.status, rest.sizes["time"]) == ("finished", 8)
    planned = np.isin(rest.time, whole.time)
    np.testing.assert_array_equal(rest.positions[planned][:3], whole.positions[:3])
    assert np.abs(rest.positions.values[planned] - whole.positions.values).max() <= 1e-5


def test_a_run_cut_at_a_save_goes_on_in_the_same_bits(tmp_path):
    """Stopped exactly at a save, no step is cut in two: everything but the clock is the same."""
    torus = mf.Torus(24, 2)
    state = cloud(2, torus)
    for index, (flow, stepper) in enumerate(
        [
            (mmd(torus=torus), None),
            (mmd(mf.Kernelised(mf.GaussianKernel(0.2)), torus=torus), mf.steppers.SSPRK3(tolerance=1e-3)),
            (mf.GradientFlow(mf.KullbackLeibler(wave(torus)), mf.Kernelised(mf.GaussianKernel(0.2))), RK4()),
        ]
    ):
        common = {"t_end": 0.3, "save_at": 7, "stepper": stepper, "progress": False}
        whole, out = mf.solve(flow, state, **common), tmp_path / f"{index}.h5"
        third = float(whole.time[3])
        mf.solve(flow, state, **common, out=out, stop=lambda t, _, third=third: t == third)
        rest = mf.solve(flow, state, **common, out=out, resume=True)
        for name in set(whole.variables) - {"wall_time"}:
            np.testing.assert_array_equal(rest[name].values, whole[name].values, err_msg=name)
        other = mf.ParticleMeasure(state.positions, torus=torus)
        with pytest.raises(ValueError, match="a resumed run must be the run of"):
            mf.solve(flow, other if index else cloud(2, torus, seed=9), **common, out=out, resume=True)


def same_bits(compute):
    before, results = parallel.get_threads(), []
    try:
        for number in (1, 2, 4):
            parallel.set_threads(number)
            results.append(compute())
    finally:
        parallel.set_threads(before)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_same_bits_for_every_number_of_threads_on_the_torus():
    """Points enough for two grids of the non-uniform transform."""
    torus = mf.Torus(16)
    state = mf.ParticleMeasure(np.random.default_rng(0).random((270_000, 1)), torus=torus)
    energy = mf.SobolevDistance(wave(torus), order=1)
    stein = mf.GradientFlow(mf.KullbackLeibler(wave(torus)) + energy, mf.Kernelised(mf.GaussianKernel(0.1)))
    rate = stein.rate(state)
    same_bits(lambda: (energy.value(state), rate.velocity(state), stein.dissipation(state)))


def test_same_bits_of_a_run_in_space():
    """Targets enough for three chunks of the direct sum."""
    flow = mf.GradientFlow(mf.Interaction(mf.MaternKernel(1.5, 0.5)), mf.Kernelised(mf.GaussianKernel(0.5)))
    state = mf.ParticleMeasure(np.random.default_rng(0).random((2500, 2)))

    def run():
        ds = mf.solve(flow, state, t_end=0.5, stepper=RK4(dt=0.25), progress=False)
        return [ds[name].values for name in sorted(set(ds.variables) - {"wall_time"})]

    same_bits(run)


# ---- how runs end ------------------------------------------------------------------------------------------------


def ending(match, flow, state, **options):
    with pytest.warns(RuntimeWarning, match=match):
        return mf.solve(flow, state, progress=False, **options)


def test_how_runs_end():
    torus = mf.Torus(32)
    state = cloud(1, torus)
    assert mf.solve(mmd(), state, t_end=1.0, stop=lambda mu: True, progress=False).status == "stopped"
    ds = ending("step limit", mmd(), state, t_end=1.0, stepper=RK4(dt=1e-3), max_steps=3)
    assert (ds.status, float(ds.time[-1])) == ("step limit", pytest.approx(3e-3))


def test_a_velocity_that_climbs_is_found_out():
    uphill = mf.Potential(lambda x: 0.5 * x**2, gradient=lambda x: (-x,))
    flow = mf.GradientFlow(uphill, mf.Wasserstein())
    ds = ending("the energy rose", flow, cloud(1), t_end=1.0)
    assert ds.status == "unstable"
    assert ds.sizes["time"] == 1


def test_a_flow_that_ends_in_finite_time_keeps_its_last_good_state():
    """x' = 4x³ from x = 2 reaches infinity at t = 1/32."""
    flow = mf.GradientFlow(mf.Potential(lambda x: -(x**4), gradient=lambda x: (-4 * x**3,)), mf.Wasserstein())
    state = mf.ParticleMeasure([[1.0], [2.0]])
    ds = ending("inaccurate|not finite|unstable", flow, state, t_end=1.0)
    assert float(ds.time[-1]) == pytest.approx(1 / 32, rel=1e-3)
    assert ds.positions.values[-1, 1, 0] > 1e3
    ds = ending("gradient must be finite", flow, state, t_end=1.0, stepper=RK4(dt=1e-3))
    assert ds.status == "not finite"
    assert np.isfinite(ds.positions).all()
    ds = ending("moves no t", flow, state, t_end=1.0, stepper=RK4())
    assert ds.status == "unstable"


def test_a_stage_that_overflows_ends_the_flow():
    """Before it meets a sum over pairs, which takes finite points only."""
    steep = mf.Potential(lambda x: 0 * x, gradient=lambda x: (np.where(x < 9.0, -3.0, -1e308),))
    flow = mf.GradientFlow(mf.Interaction(mf.GaussianKernel(10.0)) + steep, mf.Wasserstein())
    *_, (_, state, info) = mf.iterate(flow, cloud(1), RK4(dt=8.0), until=80.0)
    assert info.status is Status.NOT_FINITE
    assert "a stage has led to infinity" in info.detail
    assert np.isfinite(state.positions).all()


def test_a_step_above_the_bound_is_refused():
    with pytest.raises(ValueError, match="stability bound") as info:
        mf.solve(mmd(), cloud(1, mf.Torus(32)), t_end=10.0, stepper=mf.steppers.Euler(dt=5.0), progress=False)
    assert FORM.fullmatch(str(info.value))


# ---- refusals ----------------------------------------------------------------------------------------------------

TORUS = mf.Torus(16)
FLAT = TORUS.density(np.ones(16))
KERNEL = mf.GaussianKernel(0.1)
REFUSED = {
    "internal": (mf.InternalEnergy(2), mf.Wasserstein(), "InternalEnergy in Wasserstein moves TorusDensity .*or one of "
                 "the energies BlobEnergy, Interaction, Potential, Risk, SobolevDistance"),
    "entropy": (mf.KullbackLeibler(FLAT), mf.Wasserstein(), "moves TorusDensity .*; take the geometry Kernelised"),
    "L2": (mf.L2Distance(FLAT), mf.Kernelised(KERNEL), "L2Distance in Kernelised moves TorusDensity .*KullbackLeibler"),
    "one of a sum": (mf.Interaction(KERNEL) + 2 * mf.L2Distance(FLAT), mf.Wasserstein(), "L2Distance in Wasserstein"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_pairs_are_refused_by_name(name):
    energy, geometry, text = REFUSED[name]
    with pytest.raises(TypeError, match=text) as info:
        mf.solve(mf.GradientFlow(energy, geometry), cloud(1, TORUS), t_end=1.0)
    assert FORM.fullmatch(str(info.value))


@pytest.mark.parametrize("stepper", [mf.steppers.ETDRK4(), mf.steppers.FiniteVolume(), mf.steppers.RKC2()], ids=repr)
def test_steppers_of_densities_are_refused(stepper):
    with pytest.raises(TypeError, match=r"moves a TorusDensity \(got ParticleMeasure\)"):
        mf.solve(mmd(torus=TORUS), cloud(1, TORUS), t_end=1.0, stepper=stepper)


def test_kernels_that_are_not_defined_where_the_particles_are():
    energy = mf.Potential(lambda x: x, gradient=lambda x: (1.0,))
    for kernel, state, text in (
        (mf.SobolevKernel(2), cloud(1), "closed form"),
        (mf.DiracKernel(), cloud(1), "closed form"),
        (mf.MaternKernel(1.5), cloud(1, TORUS), "Fourier coefficients"),
        (mf.MaternKernel(1.5), FLAT, "Fourier coefficients"),
    ):
        with pytest.raises(ValueError, match=text):
            mf.Kernelised(kernel).check(state)
        with pytest.raises(ValueError, match=text) as info:
            mf.solve(
                mf.GradientFlow(energy if state is not FLAT else mf.L2Distance(FLAT), mf.Kernelised(kernel)),
                state,
                t_end=1.0,
            )
        assert FORM.fullmatch(str(info.value))
    with pytest.raises(TypeError, match=r"Kernelised needs a kernel \(got float\)"):
        mf.Kernelised(0.1)


# ---- balance -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dim", "periodic"), [(1, True), (1, False), (2, True), (3, False)])
def test_the_balance_by_distance_is_of_first_order_in_the_spacing_of_saves(dim, periodic):
    """FLOW-1 with W₂ between saves: W₂ ≤ length, and W₂²/Δt underestimates the action by O(Δt²)."""
    torus = mf.Torus({1: 32, 2: 16}[dim], dim) if periodic else None
    flow = mmd(torus=torus) if periodic else mf.GradientFlow(mf.Interaction(mf.GaussianKernel(0.5)), mf.Wasserstein())
    state = cloud(dim, torus, number=20)
    defects, spacings = [], (8, 16, 32)
    for number in spacings:
        options = {"save_at": number + 1, "stepper": RK4(dt=(0.4 if periodic else 1.0) / 64), "progress": False}
        ds = mf.solve(flow, state, t_end=0.4 if periodic else 1.0, **options)
        drop = float(ds.energy[0] - ds.energy[-1])
        defects.append(float(ds.balance_defect[-1]) / drop)
        assert abs(float(ds.balance_defect_velocity[-1])) <= 1e-6 * drop
    assert np.all(np.array(defects) > 0)  # the distance never exceeds the length
    orders = -np.diff(np.log(defects)) / math.log(2)
    assert np.all(orders >= 1), (defects, orders)
    assert defects[-1] <= 0.01


def test_the_balance_sees_a_wrong_metric(monkeypatch):
    """A velocity a tenth too long: E falls faster than slope and speed allow."""
    velocity = mf.Wasserstein.velocity
    monkeypatch.setattr(mf.Wasserstein, "velocity", lambda self, *a: 1.1 * velocity(self, *a))
    ds = mf.solve(mmd(), cloud(1, mf.Torus(32), number=20), t_end=0.4, save_at=33, progress=False)
    assert abs(float(ds.balance_defect_velocity[-1])) > 0.05 * float(ds.energy[0] - ds.energy[-1])


def test_kernelised_runs_have_the_balance_by_velocity_alone():
    for energy, known in ((mf.SobolevDistance(wave(TORUS), order=1), True), (mf.KullbackLeibler(wave(TORUS)), False)):
        flow = mf.GradientFlow(energy, mf.Kernelised(KERNEL))
        ds = mf.solve(flow, cloud(1, TORUS), t_end=0.05, save_at=5, stepper=RK4(tolerance=1e-6), progress=False)
        assert np.isnan(ds.balance_defect).all()
        defect = np.abs(ds.balance_defect_velocity.values).max()
        assert defect <= 1e-4 * float(ds.energy[0] - ds.energy[-1]) if known else math.isnan(defect)
