"""What the finite volumes keep for every step and every datum: sign, mass, energy, order, L¹ distance, symmetry."""

import itertools
import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.theory import barenblatt_cell_means, barenblatt_time
from meanfield.torus.finite_volume import FiniteVolumes

EPS = np.finfo(float).eps
EXPONENTS = [1, 1.5, 2, 2.5, 3, 5]
SIZES = {1: 24, 2: 9, 3: 5}
KINDS = ("random", "zeros", "spike", "checkerboard", "contrast", "tiny", "layers")
STEPS = 10.0 ** np.arange(-6, 7, 2)  # dt/h²
PRINCIPLE = [("two-point", 2), ("upwind", 1)]  # monotone fluxes, where nothing is added


def datum(kind, shape, rng):
    """Non-negative data a smooth scheme would stumble over."""
    values = rng.random(shape)
    if kind == "zeros":
        values[rng.random(shape) < 0.6] = 0.0
        values.flat[0] = 1.0
    elif kind == "spike":
        values = np.zeros(shape)
        values.flat[rng.integers(values.size)] = values.size
    elif kind == "checkerboard":
        values = (np.indices(shape).sum(axis=0) % 2).astype(float)
    elif kind == "contrast":
        values = 10.0 ** rng.uniform(-12, 0, shape)
    elif kind == "tiny":
        values = np.where(rng.random(shape) < 0.5, 1e-300, values)
        values.flat[0] = 1.0
    elif kind == "layers":  # in d > 1 most lines are empty, some hold 1e-300 only
        values = np.zeros(shape)
        values[0], values[2] = 1e-300, rng.random(shape[1:])
    return values


def scheme(dim, m, order, potential=None, n=None):
    torus = mf.Torus(SIZES[dim] if n is None else n, dim)
    return FiniteVolumes(torus, np.array([0.7]), np.array([float(m)]), potential, order)


def energy(values, m, potential=None):
    """E = ∫f + ∫Vρ and the size of its terms, which its rounding is relative to."""
    density = np.log(np.where(values > 0, values, 1.0)) * values if m == 1 else values**m / (m - 1)
    terms = 0.7 * density + (0.0 if potential is None else potential * values)
    bound = 0.0 if potential is None else np.abs(potential * values)
    return math.fsum(terms.ravel()) / terms.size, float(np.mean(np.abs(terms) + bound + values))


def sweep(fv, values, k):
    return fv.step(values, k / fv.torus.n**2, tuple(range(fv.torus.dim)))


# ---- every step --------------------------------------------------------------------------------------------------


def check_step(fv, values, k, m, potential, label):
    """A converged step keeps everything; whether it converged."""
    before = values.copy()
    after, iterations, converged = sweep(fv, values, k)
    assert np.array_equal(values, before), "the data were changed"
    if converged:
        assert np.all(after >= 0), label
        assert abs(after.sum() / values.sum() - 1) <= 1e-13, label
        (e0, size0), (e1, size1) = energy(values, m, potential), energy(after, m, potential)
        assert e1 - e0 <= 64 * EPS * (size0 + size1), label
        assert iterations <= 60 * 30  # a continuation adds up to some thirty solves
    return converged


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("m", EXPONENTS)
@pytest.mark.parametrize("order", [1, 2])
def test_sign_mass_and_energy_without_a_potential(dim, m, order):
    """Every step converges, from one millionth to a million times h²."""
    fv, rng = scheme(dim, m, order), np.random.default_rng([dim, order])
    for kind, k in itertools.product(KINDS[: None if dim > 1 else -1], STEPS):
        values = datum(kind, fv.torus.shape, rng)
        assert check_step(fv, values, k, m, None, (kind, k)), f"{kind} at dt = {k:g} h² did not converge"


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("m", EXPONENTS)
@pytest.mark.parametrize("order", [1, 2])
def test_sign_mass_and_energy_with_a_potential(dim, m, order):
    """Where the solve converges everything is kept; up to dt = h² and for gentle potentials it always does."""
    rng = np.random.default_rng([dim, order])
    torus = scheme(dim, m, order).torus
    smooth = 0.3 * sum(np.cos(2 * np.pi * x) for x in torus.points)
    tried, stalled = 0, 0
    for kind, k, rough in itertools.product(KINDS[: None if dim > 1 else -1], STEPS, (False, True)):
        potential = rng.standard_normal(torus.shape) if rough else smooth
        fv = scheme(dim, m, order, potential)
        converged = check_step(fv, datum(kind, torus.shape, rng), k, m, potential, (kind, k, rough))
        assert converged or (k > 1 and rough), (kind, k, rough)
        tried, stalled = tried + 1, stalled + (not converged)
    assert stalled <= 0.06 * tried


@pytest.mark.parametrize("m", [0.5, 0.8])
@pytest.mark.parametrize("order", [1, 2])
def test_fast_diffusion_of_positive_data(m, order):
    fv, rng = scheme(1, m, order), np.random.default_rng(7)
    for k in STEPS:
        values = rng.random(24) + 0.1
        after, _, converged = sweep(fv, values, k)
        if k <= 100:
            assert converged
        if converged:
            assert after.min() >= values.min() * (1 - 64 * EPS * (1 + k))
            assert abs(after.sum() / values.sum() - 1) <= 1e-13
            assert energy(after, m)[0] <= energy(values, m)[0] + 64 * EPS * energy(values, m)[1]


@pytest.mark.parametrize("order", [1, 2])
def test_a_pure_drift_moves_mass_downhill(order):
    torus = mf.Torus(32)
    potential = np.cos(2 * np.pi * torus.points[0])
    fv = FiniteVolumes(torus, np.zeros(0), np.zeros(0), potential, order)
    for kind, k in itertools.product(KINDS[:-1], STEPS):
        values = datum(kind, (32,), np.random.default_rng(3))
        after, _, converged = sweep(fv, values, k)
        assert converged
        assert np.all(after >= 0)
        assert abs(after.sum() / values.sum() - 1) <= 1e-13
        assert np.mean(potential * after) <= np.mean(potential * values) + 64 * EPS * values.mean()


@pytest.mark.parametrize("order", [1, 2])
def test_several_powers(order):
    torus = mf.Torus(24)
    fv = FiniteVolumes(torus, np.array([0.5, 1.0, 0.1]), np.array([1.0, 2.0, 3.5]), None, order)
    for kind, k in itertools.product(KINDS[:-1], STEPS):
        values = datum(kind, (24,), np.random.default_rng(5))
        after, _, converged = sweep(fv, values, k)
        assert converged
        assert np.all(after >= 0)
        assert abs(after.sum() / values.sum() - 1) <= 1e-13


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_a_very_long_step_reaches_equilibrium(order, m):
    """Implicit Euler over an infinite time is the minimiser: the constant."""
    fv = scheme(1, m, order)
    values = datum("zeros", (24,), np.random.default_rng(1))
    for _ in range(3):
        values, _, converged = sweep(fv, values, 1e6)
        assert converged
    assert np.ptp(values) <= 1e-8 * values.mean()  # noise eps · dt/h² · ρ^m in the fluxes


# ---- two solutions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("m", EXPONENTS)
@pytest.mark.parametrize(("name", "order"), PRINCIPLE)
def test_contraction_in_l1_and_order(dim, m, name, order):
    """Monotone fluxes: distances in L¹ never grow, and ordered data stay ordered."""
    fv, rng = scheme(dim, m, order), np.random.default_rng([dim, order, int(2 * m)])
    for kinds, k in itertools.product(itertools.combinations(KINDS[:6], 2), (1e-2, 1.0, 1e2)):
        one, two = (datum(kind, fv.torus.shape, rng) for kind in kinds)
        a, b, high = (sweep(fv, values, k)[0] for values in (one, two, np.maximum(one, two)))
        size = np.maximum(one, two).max()
        tolerance = 64 * EPS * one.size * (1 + k) * (size + size**m)  # fluxes are known to eps · dt/h² · ρ^m
        assert np.abs(a - b).sum() <= np.abs(one - two).sum() + tolerance, (kinds, k)
        assert np.all(np.maximum(a, b) <= high + tolerance), (kinds, k)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_first_order_upwind_contracts_in_a_potential_too(m):
    rng = np.random.default_rng(17)
    potential = 0.5 * rng.standard_normal(24)
    fv = scheme(1, m, 1, potential)
    for kinds, k in itertools.product(itertools.combinations(KINDS[:6], 2), (1e-2, 0.1, 1.0)):
        one, two = (datum(kind, (24,), rng) for kind in kinds)
        (a, _, first), (b, _, second) = sweep(fv, one, k), sweep(fv, two, k)
        assert first
        assert second
        tolerance = 64 * EPS * 24 * (1 + k) * (one.max() + two.max()) ** max(m, 2)
        assert np.abs(a - b).sum() <= np.abs(one - two).sum() + tolerance, (kinds, k)


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize(("name", "order"), PRINCIPLE)
def test_maximum_principle(m, name, order):
    fv, rng = scheme(1, m, order), np.random.default_rng(23)
    for kind, k in itertools.product(KINDS[:6], (1e-2, 1.0, 1e2)):
        values = datum(kind, (24,), rng)
        after, _, _ = sweep(fv, values, k)
        tolerance = 256 * EPS * (1 + k) * (values.max() + values.max() ** m)
        assert values.min() - tolerance <= after.min()
        assert after.max() <= values.max() + tolerance


# ---- symmetries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(("order", "with_potential"), [(1, False), (2, False), (1, True), (2, True)])
@pytest.mark.parametrize("m", [1, 1.5, 3])
def test_translations_and_reflections(dim, order, with_potential, m):
    rng = np.random.default_rng([dim, order])
    shape, axes = scheme(dim, m, order).torus.shape, tuple(range(dim))
    potential = 0.3 * rng.standard_normal(shape) if with_potential else None
    maps = [lambda f: np.flip(f, 0), lambda f: np.roll(f, (1, 3, 2)[:dim], axes), lambda f: np.flip(f, axes)]
    for kind, k in itertools.product(("random", "zeros", "spike"), (0.1, 1.0)):
        values = datum(kind, shape, rng)
        after = sweep(scheme(dim, m, order, potential), values, k)[0]
        for moved in maps:
            there = None if potential is None else moved(potential)
            found = sweep(scheme(dim, m, order, there), np.ascontiguousarray(moved(values)), k)[0]
            tolerance = 1e3 * EPS * (1 + k) * (values.max() + values.max() ** max(m, 2))
            assert np.abs(found - moved(after)).max() <= tolerance, (kind, k)


def test_the_axes_are_treated_alike():
    """Swapping the axes and the order of the sweeps changes no bit."""
    fv, rng = scheme(2, 2, 2), np.random.default_rng(2)
    values = datum("zeros", (9, 9), rng)
    one = fv.step(values, 0.01, (0, 1))[0]
    other = fv.step(np.ascontiguousarray(values.T), 0.01, (1, 0))[0]
    assert np.array_equal(one, other.T)


@pytest.mark.parametrize("order", [1, 2])
def test_data_that_depend_on_one_axis_follow_the_line(order):
    fv, line = scheme(2, 2, order, n=16), scheme(1, 2, order, n=16)
    rho = datum("zeros", (16,), np.random.default_rng(2))
    flat = line.step(rho, 0.01, (0,))[0]
    for axis in (0, 1):
        values = np.ascontiguousarray(np.moveaxis(np.broadcast_to(rho, (16, 16)), 1, axis))
        found = np.moveaxis(fv.step(values, 0.01, (0, 1))[0], axis, 1)
        assert np.abs(found - flat).max() <= 64 * EPS * 0.01 * 16**2 * rho.max()


# ---- equilibria, dissipation, moments ----------------------------------------------------------------------------


def equilibrium(m, level, potential, c=0.7):
    """ξ = level on the support, V above level outside."""
    if m == 1:
        return np.exp((level - potential) / c - 1)
    return (np.maximum(level - potential, 0) * (m - 1) / (c * m)) ** (1 / (m - 1))


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("m", EXPONENTS)
@pytest.mark.parametrize("level", [2.0, 0.2])
def test_steady_states_stay_put(dim, order, m, level):
    """Gibbs states and those with a free boundary, where V is above the level: for every step."""
    torus = mf.Torus(32 if dim == 1 else 16, dim)
    potential = np.sum([np.cos(2 * np.pi * x) for x in torus.points], axis=0) / dim
    rho = equilibrium(m, level, potential)
    assert (rho.min() == 0) == (level < 1 and m > 1)
    fv = scheme(dim, m, order, potential, n=torus.n)
    assert fv.dissipation(rho) <= (16 * EPS * torus.n) ** 2 * rho.max() ** max(1, m) * 4
    for k in (1.0, 100.0):
        after, _, converged = sweep(fv, rho, k)
        assert converged
        assert np.abs(after - rho).max() <= 64 * EPS * (1 + k) * rho.max() * (1 + rho.max() ** (m - 1)), k


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("with_potential", [False, True])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_the_dissipation_is_what_the_energy_loses(order, with_potential, m):
    torus = mf.Torus(32, 2)
    x, y = torus.points
    potential = 0.2 * np.sin(2 * np.pi * (x + y)) if with_potential else None
    fv = scheme(2, m, order, potential, n=32)
    rho = 1 + 0.4 * np.cos(2 * np.pi * x) * np.sin(2 * np.pi * y)
    rate, defects = fv.dissipation(rho), []
    for k in (1e-2, 5e-3, 2.5e-3):
        after, _, _ = sweep(fv, rho, k)
        lost = energy(rho, m, potential)[0] - energy(after, m, potential)[0]
        defects.append(1 - lost / (k * torus.spacing**2 * rate))
    assert 0 < defects[-1] < 0.02
    assert np.log2(defects[0] / defects[1]) == pytest.approx(1, abs=0.1)
    assert np.log2(defects[1] / defects[2]) == pytest.approx(1, abs=0.1)


def test_the_dissipation_converges_to_that_of_the_flow():
    flow = mf.GradientFlow(mf.InternalEnergy(2, 0.7), mf.Wasserstein())
    gaps = []
    for n in (32, 64, 128):
        rho = mf.Torus(n).density(lambda x: 1 + 0.4 * np.cos(2 * np.pi * x))
        gaps.append(abs(scheme(1, 2, 2, n=n).dissipation(rho.values) / flow.dissipation(rho) - 1))
    assert np.log2(gaps[0] / gaps[1]) == pytest.approx(2, abs=0.1)
    assert np.log2(gaps[1] / gaps[2]) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(("order", "with_potential"), [(1, False), (2, False), (1, True), (2, True)])
def test_the_speed_is_that_of_a_short_step(order, with_potential):
    """In d = 1 the L¹ norm of the rate; in d = 2, summed over the axes, at least that."""
    for dim in (1, 2):
        torus = scheme(dim, 2, order).torus
        potential = 0.2 * np.sin(2 * np.pi * torus.points[0]) if with_potential else None
        fv = scheme(dim, 2, order, potential)
        values = np.random.default_rng(1).random(torus.shape) + 0.5
        change = np.abs(sweep(fv, values, 1e-6)[0] - values).mean() / (1e-6 * torus.spacing**2)
        if dim == 1:
            assert fv.speed(values) == pytest.approx(change, rel=1e-4)
        else:
            assert change <= fv.speed(values) * (1 + 1e-4) <= 2 * math.sqrt(2) * change


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("m", [1.5, 2, 3])
@pytest.mark.parametrize("k", [0.01, 0.1, 0.4])
def test_law_of_the_second_moment(dim, m, k):
    """Every sweep of the two-point flux adds ``2 dt ∫P(ρ')``: second differences of |x|² are exact."""
    n = 64
    fv = scheme(dim, m, 2, n=n)
    start = barenblatt_time(0.1, dim=dim, exponent=m)
    values = barenblatt_cell_means(n, start, dim=dim, exponent=m, center=0.5)
    for axis in range(dim):
        square = (fv.torus.points[axis] - 0.5) ** 2
        dt = k / n**2
        after, _, converged = fv.step(values, dt, (axis,))
        assert converged
        assert np.moveaxis(after, axis, 0)[0].max() <= 1e-20  # nothing reaches the cut
        gained = np.mean(square * (after - values))
        assert abs(gained - 2 * dt * 0.7 * np.mean(after**m)) <= 64 * EPS * (1 + k) * values.max() ** max(1, m - 1)
        values = after


# ---- bits --------------------------------------------------------------------------------------------------------


def test_steps_are_functions_of_their_arguments():
    fv = scheme(2, 3, 1)
    values = datum("zeros", (9, 9), np.random.default_rng(9))
    first, again = (fv.step(values, 0.01, (0, 1)) for _ in range(2))
    assert np.array_equal(first[0], again[0])
    assert first[1:] == again[1:]
