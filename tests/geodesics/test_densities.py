"""Density geodesics: Hamilton's equations, orders against an independent integration, the optimality system."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield import tableaus
from meanfield.geodesics import shoot_density
from meanfield.geodesics.densities import ShootingEquations

EPS = np.finfo(float).eps
KERNEL = mf.SobolevKernel(order=3, length=0.15)
PENALTY = 0.5
POINTS = {1: 32, 2: 16, 3: 9}
DIMS = pytest.mark.parametrize("dim", [1, 2])


def node_of(dim, depth=8, *, n=None, **options):
    return mf.DensityNODE(mf.Torus(n or POINTS[dim], dim), KERNEL, depth=depth, **options)


def data(torus):
    """A density and a cost with waves along and across the axes."""
    x = 2 * np.pi * torus.points
    rho0 = torus.density(1 + 0.3 * np.cos(x[0]) + 0.2 * np.sin(x.sum(axis=0)))
    return rho0, 0.03 * np.sin(x[0] - 0.3) + 0.015 * np.cos(x[-1] + 1)


def shoot(node, **options):
    return shoot_density(node, *data(node.torus), penalty=PENALTY, **options)


def order(sizes, errors):
    return -np.polyfit(np.log(sizes), np.log(errors), 1)[0]


@functools.cache
def reference(dim):
    """``(μ_1, I_1)`` by full transforms and DOP853: modes |k_a| < n/3 of every product."""
    torus = mf.Torus(POINTS[dim], dim)
    k = np.meshgrid(*[np.fft.fftfreq(torus.n, 1 / torus.n)] * dim, indexing="ij")
    kept = np.all([3 * np.abs(part) < torus.n for part in k], axis=0)
    multiplier = (1 + KERNEL.length**2 * sum((2 * np.pi * part) ** 2 for part in k)) ** -KERNEL.order

    def project(f, factor=1.0):
        return np.fft.ifftn(factor * kept * np.fft.fftn(f)).real

    def rate(_, state):
        mu, cost = state.reshape(2, *torus.shape)
        slopes = [project(cost, 2j * np.pi * part) for part in k]
        v = [project(mu * slope, -multiplier / PENALTY) for slope in slopes]
        flux = sum(project(mu * part, -2j * np.pi * axis) for part, axis in zip(v, k))
        return np.stack([flux, -project(sum(a * b for a, b in zip(v, slopes)))]).ravel()

    rho0, cost = data(torus)
    start = np.stack([rho0.values, cost]).ravel()
    end = solve_ivp(rate, (0, 1), start, method="DOP853", rtol=1e-13, atol=1e-15).y[:, -1]
    return end.reshape(2, *torus.shape)


# ---- the equations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_rates_are_hamiltons_equations_of_half_the_squared_speed(dim):
    """With p = −I: dH in any direction is ``∫(−∂_sp·δμ + ∂_sμ·δp)``, exactly, also for data that are not resolved."""
    node, rng = node_of(dim), np.random.default_rng(dim)
    system, torus = ShootingEquations(node, PENALTY), node.torus
    values = rng.standard_normal((4, *torus.shape))
    mu, cost, d_mu, d_cost = (system.modes.forward(f) for f in values)

    def energy(h):
        return 0.5 * PENALTY * system.velocity_and_speed(np.stack([mu + h * d_mu, cost + h * d_cost]))[1] ** 2

    h = 1e-3  # H is of degree 4 in h: two central differences give its slope exactly
    slope = (8 * (energy(h) - energy(-h)) - (energy(2 * h) - energy(-2 * h))) / (12 * h)
    rate = [system.modes.inverse(part) for part in system.rate(np.stack([mu, cost]))]
    d_mu, d_cost = system.modes.inverse(d_mu), system.modes.inverse(d_cost)
    assert torus.inner(rate[1], d_mu) - torus.inner(rate[0], d_cost) == pytest.approx(slope, rel=1e-9)


def test_the_first_velocity_in_closed_form():
    """Flat density, cost cos: ``v = −K*∇I/λ`` runs to where the cost is low, one wave of height ``2π a K̂(1)/λ``."""
    node, a = node_of(1, depth=400), 1e-3
    x = 2 * np.pi * node.torus.points[0]
    found = shoot_density(node, node.torus.density(1.0 + 0 * x), a * np.cos(x), penalty=PENALTY)
    height = 2 * np.pi * a / PENALTY * (1 + (2 * np.pi * KERNEL.length) ** 2) ** -KERNEL.order
    assert np.abs(found.control.values[0, 0] - height * np.sin(x)).max() <= 2e-3 * height  # half a layer later
    assert found.densities[-1][np.argmin(np.cos(x))] > 1  # mass gathers where the cost is low
    speed = 2 * np.pi * a / PENALTY * math.sqrt(0.5 * (1 + (2 * np.pi * KERNEL.length) ** 2) ** -KERNEL.order)
    assert found.speeds == pytest.approx(np.full(401, speed), rel=1e-12)
    assert found.length == pytest.approx(speed, rel=1e-12)


@DIMS
def test_order_four_against_an_independent_integration(dim):
    sizes = np.array([4, 6, 8, 11])
    errors = [np.abs(found.densities[-1] - reference(dim)[0]).max() for found in map(node_shot(dim), sizes)]
    costs = [np.abs(found.potentials[-1] - reference(dim)[1]).max() for found in map(node_shot(dim), sizes)]
    assert abs(order(sizes, errors) - 4) <= 0.1, errors
    assert abs(order(sizes, costs) - 4) <= 0.1, costs
    assert errors[-1] <= 1e-6
    assert np.abs(reference(dim)[0] - data(mf.Torus(POINTS[dim], dim))[0].values).max() > 0.05


def node_shot(dim):
    return functools.cache(lambda depth: shoot(node_of(dim, int(depth))))


def test_the_order_is_that_of_the_nodes_method():
    sizes = np.array([8, 11, 16, 23])
    shots = [shoot(node_of(1, int(depth), tableau=tableaus.ssprk3)) for depth in sizes]
    errors = [np.abs(found.densities[-1] - reference(1)[0]).max() for found in shots]
    assert abs(order(sizes, errors) - 3) <= 0.1, errors


def test_substeps_refine_the_steps_and_leave_the_layers():
    coarse, fine = shoot(node_of(1, 4)), shoot(node_of(1, 4, substeps=2))
    finest = shoot(node_of(1, 8))
    assert fine.control.values.shape == coarse.control.values.shape
    assert np.array_equal(fine.densities, finest.densities[::2])  # the same steps of 1/16
    assert np.array_equal(fine.speeds, finest.speeds[::2])
    assert 0 < np.abs(fine.control.values - coarse.control.values).max() < 1e-4


# ---- what is kept --------------------------------------------------------------------------------------------


@DIMS
def test_the_speed_is_constant_to_the_order_of_the_method(dim):
    sizes, errors = np.array([23, 32, 45, 64]), []
    for depth in sizes:
        found = shoot(node_of(dim, int(depth)))
        errors.append(np.ptp(found.speeds) / found.length)
    assert abs(order(sizes, errors) - 4) <= 0.1, errors
    assert errors[-1] <= 1e-10
    assert found.length == pytest.approx(found.speeds[0], rel=1e-5)


@DIMS
def test_shooting_back_returns(dim):
    sizes, errors = np.array([3, 4, 6, 8]), []
    for depth in sizes:
        node = node_of(dim, int(depth))
        there = shoot(node)
        end = node.torus.density(there.densities[-1])
        back = shoot_density(node, end, -there.potentials[-1], penalty=PENALTY)
        gap = (
            np.abs(back.densities - there.densities[::-1]).max(),
            np.abs(back.potentials + there.potentials[::-1]).max(),
        )
        errors.append(max(gap))
        assert np.abs(back.control.values + there.control.values[::-1]).max() <= 10 * max(gap)
    assert order(sizes, errors) >= 3.9, errors
    assert errors[-1] <= 1e-5


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2]), st.floats(0.1, 10.0))
def test_invariants(seed, dim, factor):
    """Mass is kept; only I/λ matters, up to a constant; translations commute."""
    node, rng = node_of(dim, 2, n=16), np.random.default_rng(seed)
    smooth = mf.GaussianKernel(0.15)
    mu, cost = (smooth.convolve(node.torus, rng.standard_normal(node.torus.shape)) for _ in range(2))
    rho0 = node.torus.density(1 + 0.3 * mu / np.abs(mu).max())
    cost = 0.01 * cost / np.abs(cost).max()
    found = shoot_density(node, rho0, cost)
    masses = found.densities.reshape(3, -1).mean(axis=1)
    assert np.abs(masses - rho0.mass).max() <= 32 * EPS
    tolerance = 256 * EPS
    scaled = shoot_density(node, rho0, factor * (cost + 3), penalty=factor)
    speed = np.abs(found.control.values).max()
    assert np.abs(scaled.densities - found.densities).max() <= tolerance * 100  # of the constant 3 in I, beside 0.01
    assert np.abs(scaled.control.values - found.control.values).max() <= tolerance * 100 * speed
    assert np.abs(scaled.potentials / factor - 3 - found.potentials).max() <= tolerance * 3
    moved = shoot_density(node, node.torus.density(np.roll(rho0.values, 3, axis=-1)), np.roll(cost, 3, axis=-1))
    assert np.abs(moved.densities - np.roll(found.densities, 3, axis=-1)).max() <= tolerance
    assert np.abs(moved.control.values - np.roll(found.control.values, 3, axis=-1)).max() <= tolerance * speed


def test_modes_beyond_the_kept_ones_stay_where_they_are():
    torus = mf.Torus(32)
    rho0, cost = data(torus)
    rough = 1e-6 * np.cos(2 * np.pi * 14 * torus.points[0])
    node = node_of(1, 4)
    smooth, found = (shoot_density(node, torus.density(rho0.values + r), cost + r) for r in (0, rough))
    assert np.abs(found.densities - rough - smooth.densities).max() <= 64 * EPS
    assert np.array_equal(found.densities[0], rho0.values + rough)
    with pytest.warns(RuntimeWarning, match=r"rho0 should be resolved"):
        shoot_density(node, torus.density(rho0.values + 1e5 * rough), cost)
    with pytest.warns(RuntimeWarning, match=r"potential should be resolved"):
        shoot_density(node, rho0, cost + 100 * rough + 3)  # its constant does not count


# ---- what it is good for -------------------------------------------------------------------------------------


@DIMS
def test_the_control_moves_the_density_and_the_flow_map_carries_both(dim):
    """The neural ODE with this control: ``μ_1``, the potential ``I_1∘Φ = I_0``, each O(1/L²) away."""
    sizes, errors, costs = np.array([6, 8, 11, 16]), [], []
    for depth in sizes:
        node = node_of(dim, int(depth), n=32)
        (rho0, cost), found = data(node.torus), shoot(node)
        errors.append(np.abs(node.forward(found.control, rho0).values - found.densities[-1]).max())
        phi = np.moveaxis(node.flow_map(found.control), 0, -1).reshape(-1, dim)
        costs.append(np.abs(node.torus.interpolate(found.potentials[-1], phi) - cost.ravel()).max())
    assert abs(order(sizes, errors) - 2) <= 0.1, errors
    assert abs(order(sizes, costs) - 2) <= 0.1, costs
    assert errors[-1] <= 1e-3
    assert node.norm(found.control) == pytest.approx(found.length, rel=1e-4)


@DIMS
def test_the_control_is_stationary_for_the_risk_whose_differential_is_the_end_of_the_potential(dim):
    """``ℓ = ½‖μ − ρ*‖²`` with ``ρ* = μ_1 − I_1``: then ``∇ℓ(μ_1) + λv = 0`` in V, by the node's exact gradient."""
    sizes, errors = np.array([6, 8, 11, 16]), []
    for depth in sizes:
        node = node_of(dim, int(depth))
        found, rho0 = shoot(node), data(node.torus)[0]
        end = found.potentials[-1] - found.potentials[-1].mean()
        loss = mf.L2Distance(node.torus.density(found.densities[-1] - end))
        slope = node.gradient(found.control, rho0, loss) + PENALTY * found.control.values
        errors.append(node.norm(slope) / (PENALTY * found.length))
        wrong = node.gradient(found.control, rho0, loss) - PENALTY * found.control.values
        assert node.norm(wrong) > PENALTY * found.length
    assert abs(order(sizes, errors) - 2) <= 0.1, errors
    assert errors[-1] <= 5e-3


# ---- what is refused -----------------------------------------------------------------------------------------


def test_a_flat_cost_moves_nothing():
    node = node_of(2, 2)
    rho0 = data(node.torus)[0]
    found = shoot_density(node, rho0, np.full(node.torus.shape, 2.0))
    assert np.array_equal(found.densities, np.broadcast_to(rho0.values, found.densities.shape))
    assert found.length == 0
    assert repr(found) == "DensityGeodesic(depth=2, length=0, torus=Torus(n=16, dim=2, spacing=0.0625))"


def test_arguments_are_left_as_they_were():
    node = node_of(1, 2)
    rho0, cost = data(node.torus)
    kept = cost.copy()
    shoot_density(node, rho0, cost)
    assert np.array_equal(cost, kept)


def test_steps_beyond_the_bound_are_refused_and_the_depth_named_will_do():
    node = node_of(1, 1, n=128)
    rho0, cost = data(node.torus)
    with pytest.raises(ValueError, match=r"a step must not exceed .*layer 0 of 1\); use depth=\d+") as error:
        shoot_density(node, rho0, cost, penalty=0.05)
    depth = int(str(error.value).split("depth=")[1].split(",")[0])
    assert depth > 1
    shoot_density(node_of(1, depth, n=128), rho0, cost, penalty=0.05)


def test_a_density_that_becomes_negative_is_refused():
    node = node_of(1, 32, n=24)
    rho0, cost = data(node.torus)
    with pytest.raises(ValueError, match=r"density must stay non-negative \(got min -.* at s = 0\.\d+\); take more"):
        shoot_density(node, rho0, 16 * cost, penalty=PENALTY)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"node": mf.Torus(32)}, TypeError, r"node must be a DensityNODE \(got Torus\)"),
        ({"rho0": np.ones(32)}, TypeError, r"rho0 must be a TorusDensity \(got ndarray\)"),
        ({"rho0": mf.Torus(16).density(np.ones(16))}, ValueError, r"rho0 must live on the node's torus"),
        ({"potential": np.zeros(16)}, ValueError, r"potential must have shape \(32,\) \(got shape \(16,\)\)"),
        ({"potential": np.full(32, np.nan)}, ValueError, r"potential must be finite"),
        ({"penalty": 0}, ValueError, r"penalty must be positive \(got 0\)"),
        ({"penalty": -1.0}, ValueError, r"penalty must be positive \(got -1.0\)"),
        (
            {"node": mf.DensityNODE(mf.Torus(32), mf.SobolevKernel(order=1.5), depth=2)},
            ValueError,
            r"order s > d/2 \+ 1 = 1.5 \(got SobolevKernel",
        ),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused(change, error, message):
    node = node_of(1)
    rho0, cost = data(node.torus)
    arguments = {"node": node, "rho0": rho0, "potential": cost, "penalty": 1.0} | change
    with pytest.raises(error, match=message):
        shoot_density(*list(arguments.values())[:3], penalty=arguments["penalty"])
