"""The geodesic between two densities: it solves the shooting equations, and what a small penalty means."""

import functools

import numpy as np
import pytest

import meanfield as mf
from meanfield._check import ConvergenceError
from meanfield.geodesics import between, shoot_density
from meanfield.geodesics.between import carry_back

EPS = np.finfo(float).eps
KERNEL = mf.SobolevKernel(order=3, length=0.15)


def node_of(dim=1, depth=4, *, n=24, **options):
    return mf.DensityNODE(mf.Torus(n, dim), KERNEL, depth=depth, **options)


def pair(torus):
    """Two densities that are no translations of one another."""
    x = 2 * np.pi * torus.points
    return torus.density(1 + 0.3 * np.cos(x[0])), torus.density(1 + 0.3 * np.sin(x[-1]) + 0.1 * np.cos(2 * x[0]))


@functools.cache
def connection(dim, depth, *, n=24, penalty=1.0, tolerance=1e-6):
    node = node_of(dim, depth, n=n)
    return between(node, *pair(node.torus), penalty=penalty, tolerance=tolerance)


def order(sizes, errors):
    return -np.polyfit(np.log(sizes), np.log(errors), 1)[0]


# ---- the shooting equations ----------------------------------------------------------------------------------


def test_a_minimiser_solves_the_shooting_equations_to_order_two_in_the_layers():
    sizes = np.array([3, 4, 6, 8])
    found = [connection(1, int(depth), n=32) for depth in sizes]
    defects = [one.defect for one in found]
    assert abs(order(sizes, defects) - 2) <= 0.1, defects
    assert 1e-6 < defects[-1] <= 2e-3
    assert all(one.residual <= 1e-6 for one in found)
    spreads = [np.ptp(one.speeds) / one.length for one in found]
    assert spreads[-1] <= 1e-4


def test_two_dimensions():
    found = connection(2, 3, n=16, tolerance=1e-4)
    assert found.defect <= 2e-2
    assert found.gap < 0.25 * np.sqrt(np.mean((pair(mf.Torus(16, 2))[0].values - pair(mf.Torus(16, 2))[1].values) ** 2))
    assert np.ptp(found.speeds) <= 1e-3 * found.length


def test_the_parts_belong_together():
    node, found = node_of(1, 4, n=32), connection(1, 4, n=32)
    rho0, rho1 = pair(node.torus)
    assert np.array_equal(found.densities, node.states(found.control, rho0))
    assert np.array_equal(found.speeds, node.speeds(found.control))
    assert found.length == node.norm(found.control)
    assert found.gap == pytest.approx(np.sqrt(np.mean((found.densities[-1] - rho1.values) ** 2)), rel=1e-12)
    assert np.array_equal(found.potentials[-1], found.densities[-1] - rho1.values)
    shot = shoot_density(node, rho0, found.potentials[0])
    gap = node.norm(found.control.values - shot.control.values)
    assert found.defect == pytest.approx(gap / found.length, rel=1e-6)
    slope = node.gradient(found.control, rho0, mf.L2Distance(rho1)) + found.control.values
    assert found.residual == pytest.approx(node.norm(slope) / found.length, rel=1e-2)
    assert repr(found) == f"Connection(length={found.length:.6g}, gap={found.gap:.2g}, defect={found.defect:.2g})"


@pytest.mark.parametrize("penalty", [0.5, 2.0])
def test_the_geodesic_shot_is_found_again(penalty):
    """Towards ``ρ* = μ_1 − I_1`` the minimiser is the geodesic shot from ``(μ_0, I_0)`` with this λ, no other."""
    sizes, gaps = (3, 6), []
    for depth in sizes:
        node = node_of(1, depth)
        x = 2 * np.pi * node.torus.points[0]
        cost = penalty * (0.04 * np.sin(x) + 0.02 * np.cos(2 * x + 1))
        rho0 = node.torus.density(1 + 0.3 * np.cos(x))
        shot = shoot_density(node, rho0, cost, penalty=penalty)
        end = shot.potentials[-1] - shot.potentials[-1].mean()
        found = between(node, rho0, node.torus.density(shot.densities[-1] - end), penalty=penalty, tolerance=1e-5)
        gaps.append(node.norm(found.control.values - shot.control.values) / shot.length)
        assert found.length == pytest.approx(shot.length, rel=10 * gaps[-1])
        assert found.defect <= 2 * gaps[-1]
        start = found.potentials[0] - found.potentials[0].mean()
        assert np.abs(start - (cost - cost.mean())).max() <= 10 * gaps[-1] * np.abs(cost).max()
    assert gaps[0] <= 0.03
    assert 3 <= gaps[0] / gaps[1] <= 5, gaps  # order 2


def test_the_way_back_has_the_same_length():
    """|v| is a distance up to the gap: from the ``μ_1`` reached, with the potential reversed, one returns."""
    node, there = node_of(1, 6, n=32), connection(1, 6, n=32)
    back = shoot_density(node, node.torus.density(there.densities[-1]), -there.potentials[-1])
    assert back.length == pytest.approx(there.length, rel=2e-3)
    assert np.abs(back.densities[-1] - there.densities[0]).max() <= 2e-3


# ---- a small penalty -----------------------------------------------------------------------------------------


def test_as_the_penalty_falls_the_length_grows_to_the_distance_and_the_gap_falls_like_it():
    """ρ_1 is the end of a geodesic of known length d: ``|v| ≤ d``, ``gap ≤ √λ d``, ``d − |v|`` and gap ~ λ."""
    node = node_of(1, 3, n=16)
    x = 2 * np.pi * node.torus.points[0]
    rho0 = node.torus.density(1 + 0.2 * np.cos(x))
    fine = shoot_density(node_of(1, 24, n=16), rho0, 0.03 * np.sin(x), penalty=1.0)
    rho1, d = node.torus.density(fine.densities[-1]), fine.length
    penalties = np.array([0.8, 0.4, 0.2])
    found = [between(node, rho0, rho1, penalty=float(penalty), tolerance=1e-4) for penalty in penalties]
    lengths, gaps = np.array([one.length for one in found]), np.array([one.gap for one in found])
    assert (np.diff(lengths) > 0).all()
    assert (lengths < d).all()
    assert (gaps**2 + penalties * lengths**2 <= penalties * d**2).all()
    assert 0.8 <= -order(penalties[1:], gaps[1:]) <= 1.05, gaps
    assert 0.8 <= -order(penalties[1:], (d - lengths)[1:]) <= 1.05, d - lengths


def test_cost_grows_like_one_over_the_penalty():
    node = node_of(1, 2, n=16)
    few, many = (between(node, *pair(node.torus), penalty=p, tolerance=1e-4).steps for p in (2.0, 0.5))
    assert 2 * few <= many <= 8 * few


# ---- the potential -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dim", "substeps"), [(1, 1), (1, 3), (2, 2)])
def test_the_potential_is_carried_by_the_adjoint_of_the_densitys_scheme(dim, substeps):
    """``⟨I_s, δμ_s⟩`` is the same at every interface, to rounding, for a change of the initial density."""
    node = node_of(dim, 4, n=16, substeps=substeps)
    rng, kept = np.random.default_rng(0), mf.GaussianKernel(0.25)
    v = 0.05 * rng.standard_normal(node.control_shape)
    v = mf.Control(np.stack([kept.convolve(node.torus, layer) for layer in v]) * 3, node.torus)
    # μ_s is linear in μ_0: the states of a wave on top of a constant, less those of the constant
    wave = np.cos(2 * np.pi * (node.torus.points[0] + 0.2))
    flat, bump = (node.states(v, node.torus.density(1 + 0.1 * a * wave)) for a in (0, 1))
    potentials = carry_back(node, v, rng.standard_normal(node.torus.shape))
    products = [node.torus.inner(cost, change) for cost, change in zip(potentials, bump - flat)]
    assert np.ptp(products) <= 1e-12 * np.abs(products).max()
    assert np.abs((bump - flat)[-1] - (bump - flat)[0]).max() > 1e-3


# ---- what is refused -----------------------------------------------------------------------------------------


def test_a_density_is_at_no_distance_from_itself():
    node = node_of()
    rho0 = pair(node.torus)[0]
    found = between(node, rho0, rho0, penalty=0.1)
    assert (found.length, found.gap, found.defect, found.residual, found.steps) == (0, 0, 0, 0, 0)


def test_descent_that_does_not_arrive_is_an_error():
    node = node_of()
    with pytest.raises(
        ConvergenceError, match=r"must fall to 1e-05 of λ\|v\| \(got .* after 3 steps\); raise most_steps"
    ):
        between(node, *pair(node.torus), penalty=0.1, most_steps=3)
    with pytest.raises(ValueError, match=r"dt must not exceed"):
        between(node, *pair(node.torus), penalty=0.1, stepper=mf.steppers.Euler(dt=10.0))
    coarse = node_of(1, 1, n=128)
    with pytest.raises(ConvergenceError, match=r"refused step after \d+: a sub-step must not exceed .*raise the depth"):
        between(coarse, *pair(coarse.torus), penalty=0.01)


def test_another_stepper_finds_the_same():
    node = node_of(1, 2, n=16)
    found = [
        between(node, *pair(node.torus), penalty=2.0, tolerance=1e-4, stepper=stepper)
        for stepper in (None, mf.steppers.Heun())
    ]
    assert found[0].length == pytest.approx(found[1].length, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"node": mf.Torus(24)}, TypeError, r"node must be a DensityNODE"),
        ({"rho0": np.ones(24)}, TypeError, r"rho0 must be a TorusDensity"),
        ({"rho1": np.ones(24)}, TypeError, r"target must be a TorusDensity"),
        ({"rho1": mf.Torus(24).density(np.full(24, 1.5))}, ValueError, r"must have one mass.*normalise=True"),
        ({"rho1": mf.Torus(16).density(np.ones(16))}, ValueError, r"target must live on the node's torus"),
        ({"penalty": 0.0}, ValueError, r"penalty must be positive"),
        ({"tolerance": 0.0}, ValueError, r"tolerance must be positive"),
        ({"most_steps": 0}, ValueError, r"most_steps must be at least 1"),
        ({"node": mf.DensityNODE(mf.Torus(24), mf.SobolevKernel(order=1))}, ValueError, r"order s > d/2 \+ 1"),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused(change, error, message):
    node = node_of()
    rho0, rho1 = pair(node.torus)
    arguments = {"node": node, "rho0": rho0, "rho1": rho1, "penalty": 1.0} | change
    first = [arguments.pop(name) for name in ("node", "rho0", "rho1")]
    with pytest.raises(error, match=message):
        between(*first, **arguments)
