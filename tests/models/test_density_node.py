"""DensityNODE: exact gradients by several routes, flow maps against densities, bits, and one-line refusals."""

import itertools
import re
from functools import partial

import numpy as np
import pytest

import meanfield as mf
from meanfield import parallel, transforms
from meanfield.torus import flow_map

EPS = np.finfo(float).eps
FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")
LOSSES = {"L2": mf.L2Distance, "KL": mf.KullbackLeibler, "Sobolev": partial(mf.SobolevDistance, order=1)}
LOSS = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
SIZES = [(24, 1, 4), (12, 2, 3), (8, 3, 2)]
SIZE = pytest.mark.parametrize(("n", "dim", "depth"), SIZES)


def make(n, dim, depth, *, order=3.0, **options):
    """A node, an initial density, a target of its mass, two smooth random controls."""
    torus = mf.Torus(n, dim)
    node = mf.DensityNODE(torus, mf.SobolevKernel(order=order, length=0.1), depth=depth, **options)
    rho0 = torus.density(lambda x, *rest: 1 + 0.3 * np.cos(2 * np.pi * (x + sum(rest))))
    target = torus.density(
        lambda x, *rest: 1 + 0.2 * np.sin(2 * np.pi * x) + sum(0.1 * np.cos(2 * np.pi * y) for y in rest),
        normalise=True,
    )
    rng = np.random.default_rng(n)
    v, dv = (0.1 * node.kernel.convolve(torus, rng.standard_normal(node.control_shape)) for _ in range(2))
    return node, rho0, target, v, dv


def pairing(f, g):
    """``∫∫ f·g dx ds`` of two arrays (L, d, n, …, n)."""
    return float(np.sum(f * g)) * f.shape[1] / f.size


def equal(a, b):
    return np.array_equal(a, b)


# ---- gradients ---------------------------------------------------------------------------------------------------


@SIZE
@LOSS
def test_taylor_remainder_is_of_order_two(n, dim, depth, loss):
    node, rho0, target, v, dv = make(n, dim, depth)
    risk, slope = node.risk_and_differential(v, rho0, loss(target))
    first, steps = pairing(slope, dv), 2.0 ** -np.arange(2, 9)
    remainders = [abs(node.risk(v + h * dv, rho0, loss(target)) - risk - h * first) for h in steps]
    order = np.polyfit(np.log(steps), np.log(remainders), 1)[0]
    assert order == pytest.approx(2.0, abs=0.05), (steps, remainders)


@SIZE
@LOSS
@pytest.mark.parametrize("substeps", [1, 2])
def test_directional_derivative_against_extrapolated_differences(n, dim, depth, loss, substeps):
    node, rho0, target, v, dv = make(n, dim, depth, substeps=substeps)
    found = pairing(node.differential(v, rho0, loss(target)), dv)

    def central(h):
        return (node.risk(v + h * dv, rho0, loss(target)) - node.risk(v - h * dv, rho0, loss(target))) / (2 * h)

    rows = [central(h) for h in (0.08, 0.04, 0.02)]
    for power in (4, 16):
        rows = [(power * b - a) / (power - 1) for a, b in itertools.pairwise(rows)]
    assert rows[0] == pytest.approx(found, rel=1e-8)


@SIZE
@LOSS
def test_duality_of_gradient_and_tangent(n, dim, depth, loss):
    """``⟨δℓ(μ_1), δμ_1⟩ = ∫⟨∇𝓛, δv⟩_V ds``."""
    node, rho0, target, v, dv = make(n, dim, depth)
    change, end = node.tangent(v, dv, rho0), node.forward(v, rho0)
    left = float(np.mean(loss(target).differential(end) * change))
    gradient = node.gradient(v, rho0, loss(target))
    right = np.mean([node.kernel.inner(node.torus, g, w) for g, w in zip(gradient, dv, strict=True)])
    assert left == pytest.approx(right, rel=1e-11)
    assert left == pytest.approx(pairing(node.differential(v, rho0, loss(target)), dv), rel=1e-12)


@SIZE
def test_gradient_is_the_kernel_applied_to_the_differential(n, dim, depth):
    node, rho0, target, v, _ = make(n, dim, depth)
    loss = mf.L2Distance(target)
    risk, gradient = node.risk_and_gradient(v, rho0, loss)
    same, slope = node.risk_and_differential(v, rho0, loss)
    plain = node.kernel.convolve(node.torus, slope)
    assert np.abs(gradient - plain).max() <= 32 * EPS * np.abs(slope).max()
    assert risk == same == node.risk(v, rho0, loss) == loss.value(node.forward(v, rho0))
    assert equal(gradient, node.gradient(mf.Control(v, node.torus), rho0, loss))


def test_gradient_at_zero_is_that_of_the_continuous_problem():
    """At v = 0 nothing moves: ``∇𝓛 = K * (μ_0 ∇δℓ(μ_0))`` in every layer."""
    node, rho0, target, _, _ = make(24, 2, 3)
    loss = mf.L2Distance(target)
    plain = node.kernel.convolve(node.torus, rho0.values * node.torus.gradient(loss.differential(rho0)))
    found = node.gradient(node.zero(), rho0, loss)
    assert np.abs(found - plain).max() <= 256 * EPS * np.abs(plain).max()
    assert np.abs(found - found[0]).max() <= 64 * EPS * np.abs(plain).max()


@pytest.mark.parametrize(("n", "dim", "depth", "substeps"), [(24, 1, 5, 1), (12, 2, 5, 1), (12, 2, 4, 2), (8, 3, 3, 1)])
def test_checkpoints_give_the_same_bits(n, dim, depth, substeps):
    node, rho0, target, v, _ = make(n, dim, depth, substeps=substeps)
    plain = node.gradient(v, rho0, mf.L2Distance(target))
    for number in (1, 2, 3, depth, depth + 4):
        other = mf.DensityNODE(node.torus, node.kernel, depth=depth, substeps=substeps, checkpoints=number)
        assert equal(other.gradient(v, rho0, mf.L2Distance(target)), plain)


def test_memory_beyond_the_gradient_does_not_grow_with_the_depth():
    import tracemalloc

    peaks = []
    for depth in (4, 16):
        node, rho0, target, v, _ = make(64, 2, depth)
        tracemalloc.start()
        try:
            gradient = node.gradient(v, rho0, mf.L2Distance(target))
            peaks.append((tracemalloc.get_traced_memory()[1] - gradient.nbytes) / rho0.values.nbytes)
        finally:
            tracemalloc.stop()
    assert peaks[0] <= 4 + 20
    assert abs(peaks[1] - peaks[0]) <= 1.5  # the first call also imports and compiles


@pytest.mark.parametrize(("n", "dim", "depth"), [(512, 2, 2), (60, 3, 1)])
def test_same_bits_for_every_number_of_threads(n, dim, depth):
    assert len(parallel.chunks(n, n**dim)) > 2
    torus = mf.Torus(n, dim)
    node = mf.DensityNODE(torus, mf.SobolevKernel(order=3, length=0.1), depth=depth)
    rho0, target = (torus.density(lambda x, *_, s=s: 1 + 0.3 * np.cos(2 * np.pi * x + s)) for s in (0.0, 1.0))
    v = np.full(node.control_shape, 5e-4) * (1 + rho0.values)
    before, found = parallel.get_threads(), []
    try:
        for number in (1, 2, 4):
            parallel.set_threads(number)
            found.append((*node.risk_and_gradient(v, rho0, mf.L2Distance(target)), node.tangent(v, v, rho0)))
    finally:
        parallel.set_threads(before)
    for other in found[1:]:
        assert all(equal(a, b) for a, b in zip(found[0], other, strict=True))


@SIZE
def test_both_transforms_agree(n, dim, depth, monkeypatch):
    pytest.importorskip("ducc0")
    results = []
    for name in ("scipy", "ducc0"):
        monkeypatch.setattr("meanfield.torus._half_spectrum.transforms", transforms.choose(name))
        node, rho0, target, v, _ = make(n, dim, depth)
        results.append(node.gradient(v, rho0, mf.L2Distance(target)))
    assert np.abs(results[0] - results[1]).max() <= 1e-13 * np.abs(results[0]).max()


# ---- forward -----------------------------------------------------------------------------------------------------


@SIZE
def test_nothing_moves_at_zero_and_mass_stays(n, dim, depth):
    node, rho0, _, v, _ = make(n, dim, depth)
    kept = v.copy()
    assert equal(node.forward(node.zero(), rho0).values, rho0.values)
    states = node.states(v, rho0)
    assert states.shape == (depth + 1, *node.torus.shape)
    assert equal(states[0], rho0.values)
    assert equal(states[-1], node.forward(v, rho0).values)
    assert np.abs(states.mean(axis=tuple(range(1, dim + 1))) - rho0.mass).max() <= 8 * EPS
    assert equal(v, kept)
    with pytest.raises(ValueError, match="read-only"):
        node.forward(v, rho0).values[...] = 0


def test_a_constant_velocity_translates():
    torus = mf.Torus(48)
    node = mf.DensityNODE(torus, mf.SobolevKernel(order=3, length=0.1), depth=64)
    rho0 = torus.density(lambda x: 1 + 0.3 * np.cos(2 * np.pi * x) + 0.1 * np.sin(4 * np.pi * x))
    moved = torus.density(lambda x: 1 + 0.3 * np.cos(2 * np.pi * (x - 0.3)) + 0.1 * np.sin(4 * np.pi * (x - 0.3)))
    v = np.full(node.control_shape, 0.3)
    # RK4 turns mode k by z = 2πk·0.3/64 a step, with an error z⁵/120: 64 steps, k = 2 and amplitude 0.1, k = 1 and 0.3
    bound = 64 / 120 * (0.3 * (2 * np.pi * 0.3 / 64) ** 5 + 0.1 * (4 * np.pi * 0.3 / 64) ** 5)
    assert np.abs(node.forward(v, rho0).values - moved.values).max() <= bound + 64 * EPS


def test_speeds_and_norm():
    node, _, _, v, _ = make(12, 2, 3)
    speeds = node.speeds(v)
    assert speeds == pytest.approx([node.kernel.norm(node.torus, layer) for layer in v])
    assert node.norm(v) == pytest.approx(np.sqrt(np.mean(speeds**2)))


def test_an_unresolved_density_warns():
    node, _, _, v, _ = make(12, 2, 3)
    spike = node.torus.density(lambda x, y: 1 + 0.9 * np.cos(2 * np.pi * 5 * x))
    with pytest.warns(RuntimeWarning, match=r"rho0 should be resolved .* \(got 0\.\d+ .*\); take more points"):
        node.forward(v, spike)


# ---- flow maps ---------------------------------------------------------------------------------------------------


def smooth(n, substeps, depth=8):
    torus = mf.Torus(n, 2)
    node = mf.DensityNODE(torus, mf.SobolevKernel(order=3, length=0.1), depth=depth, substeps=substeps)
    x, y = 2 * np.pi * torus.points
    v = np.zeros(node.control_shape)
    v[:, 0], v[:, 1] = 0.1 * np.sin(y) + 0.05 * np.sin(x), 0.1 * np.cos(x)
    v[0] *= 0.5
    return node, v


def test_flow_map_and_its_inverse():
    node, v = smooth(32, 4)
    x = np.random.default_rng(1).random((20, 2))
    there = node.flow_map(v, x)
    assert np.abs(there - x).max() > 0.05
    assert np.abs(node.inverse_flow_map(v, there) - x).max() <= 1e-8
    phi, inverse = node.flow_map(v), node.inverse_flow_map(v)
    assert phi.shape == (2, 32, 32)
    assert np.abs(flow_map.compose(node.torus, phi, inverse) - node.torus.points).max() <= 1e-7
    errors = []
    for substeps in (1, 2, 4):  # forth and back: the leading error terms of RK4 cancel, one order more
        node, v = smooth(32, substeps)
        errors.append(np.abs(node.inverse_flow_map(v, node.flow_map(v, x)) - x).max())
    assert errors[0] / errors[2] >= 4**4


def test_jacobians_by_two_routes():
    """``Φ_# 1 = det D(Φ^{−1})``: the continuity equation against characteristics."""
    node, v = smooth(48, 4)
    one = mf.TorusDensity(np.ones(node.torus.shape), node.torus)
    pushed = node.forward(v, one).values
    determinant = flow_map.jacobian_determinant(node.torus, node.inverse_flow_map(v))
    assert np.ptp(pushed) > 0.1
    assert np.abs(pushed - determinant).max() <= 1e-7
    low, high = node.jacobian_range(v)
    assert (low, high) == pytest.approx((1 / determinant.max(), 1 / determinant.min()), rel=1e-7)


def test_density_is_the_image_under_the_flow_map_and_rk4_is_of_order_four():
    """``μ_1(Φ(x)) det DΦ(x) = μ_0(x)``."""
    node, v = smooth(48, 16)
    torus = node.torus
    rho0 = torus.density(lambda x, y: 1 + 0.3 * np.cos(2 * np.pi * x) * np.sin(2 * np.pi * y))
    phi = node.flow_map(v)
    points = np.moveaxis(phi, 0, -1).reshape(-1, 2)
    errors, numbers = [], [1, 2, 4, 8]
    for substeps in numbers:
        node, v = smooth(48, substeps)
        there = torus.interpolate(node.forward(v, rho0).values, points).reshape(torus.shape)
        errors.append(np.abs(there * flow_map.jacobian_determinant(torus, phi) - rho0.values).max())
    order = -np.polyfit(np.log(numbers), np.log(errors), 1)[0]
    assert order == pytest.approx(4.0, abs=0.1), errors
    assert errors[-1] <= 1e-6


# ---- refusals ----------------------------------------------------------------------------------------------------


def refusals():
    node, rho0, target, v, dv = make(12, 2, 3)
    loss, other = mf.L2Distance(target), mf.Torus(16, 2)
    heavy = mf.TorusDensity(1.1 * rho0.values, node.torus)
    elsewhere = other.density(lambda x, y: 1 + 0 * x)
    holes = v.copy()
    holes[1, 0, 2, 3] = np.nan
    rough = mf.DensityNODE(node.torus, mf.SobolevKernel(order=2.0, length=0.1), depth=3)
    x = np.zeros((4, 2))
    return {
        "shape": (lambda: node.risk(v[1:], rho0, loss), ValueError, r"shape \(3, 2, 12, 12\) .*got shape \(2, 2, 12"),
        "type": (lambda: node.risk("v", rho0, loss), TypeError, "a control"),
        "not finite": (lambda: node.risk(holes, rho0, loss), ValueError, "finite .*layer 1"),
        "infinite": (lambda: node.speeds(np.where(np.isnan(holes), np.inf, v)), ValueError, "finite .*layer 1"),
        "depth": (lambda: node.gradient(1e3 * v, rho0, loss), ValueError, r"use depth=\d+, or substeps=\d+"),
        "tangent shape": (lambda: node.tangent(v, dv[:1], rho0), ValueError, "shape"),
        "control's torus": (
            lambda: node.risk(mf.Control(np.zeros((3, 2, 16, 16)), other), rho0, loss), ValueError, "control must live"
        ),
        "rho0's torus": (lambda: node.risk(v, elsewhere, loss), ValueError, "rho0 must live"),
        "target's torus": (lambda: node.risk(v, rho0, mf.L2Distance(elsewhere)), ValueError, "target must live"),
        "masses": (lambda: node.gradient(v, heavy, loss), ValueError, "one mass.*got 1.1 and 1"),
        "rho0": (lambda: node.forward(v, rho0.values), TypeError, "TorusDensity"),
        "loss": (lambda: node.risk(v, rho0, target), TypeError, "distance energy"),
        "order": (lambda: rough.flow_map(v), ValueError, r"order s > d/2 \+ 1 = 2"),
        "order, inverse": (lambda: rough.inverse_flow_map(v, x), ValueError, r"order s > d/2 \+ 1 = 2"),
        "points": (lambda: node.flow_map(v, x[:, :1]), ValueError, r"shape \(N, 2\)"),
        "torus": (lambda: mf.DensityNODE(12, node.kernel), TypeError, "torus"),
        "kernel": (lambda: mf.DensityNODE(node.torus, 3.0), TypeError, "kernel"),
        "tableau": (lambda: mf.DensityNODE(node.torus, node.kernel, tableau="rk4"), TypeError, "tableau"),
        "no depth": (lambda: mf.DensityNODE(node.torus, node.kernel, depth=0), ValueError, "depth"),
        "no substeps": (lambda: mf.DensityNODE(node.torus, node.kernel, substeps=0), ValueError, "substeps"),
        "no checkpoints": (lambda: mf.DensityNODE(node.torus, node.kernel, checkpoints=0), ValueError, "checkpoints"),
    }  # fmt: skip


@pytest.mark.parametrize("name", refusals())
def test_refusals_say_the_rule_the_value_and_the_remedy(name):
    job, error, words = refusals()[name]
    with pytest.raises(error) as caught:
        job()
    assert FORM.fullmatch(str(caught.value)), caught.value
    assert re.search(words, str(caught.value)), caught.value


def test_the_depth_that_a_refusal_names_works_and_one_less_does_not():
    node, rho0, target, v, _ = make(12, 2, 3)
    layer = v[0] / np.abs(v[0]).max()
    slow_first = np.stack(
        [0.3 * layer, 0.5 * layer, layer]
    )  # the fastest layer decides, not the first that is too fast
    for options in ({}, {"substeps": 2}):
        node = mf.DensityNODE(node.torus, node.kernel, depth=3, **options)
        with pytest.raises(ValueError, match="use depth=") as caught:
            node.risk(slow_first, rho0, mf.L2Distance(target))
        depth, substeps = map(int, re.findall(r"(?:depth|substeps)=(\d+)", str(caught.value)))
        for number, more, works in (
            (depth, options, True),
            (depth - 1, options, False),
            (3, {"substeps": substeps}, True),
        ):
            other = mf.DensityNODE(node.torus, node.kernel, depth=number, **more)
            job = (np.stack([layer] * number), rho0, mf.L2Distance(target))
            if works:
                assert np.isfinite(other.risk_and_gradient(*job)[1]).all()
            else:
                with pytest.raises(ValueError, match="use depth="):
                    other.risk(*job)


def test_a_density_that_turns_negative_is_refused():
    node, _, _, v, _ = make(12, 2, 3)
    steep = node.torus.density(lambda x, y: 1 + np.cos(2 * np.pi * x))
    with pytest.raises(ValueError, match=r"non-negative \(got min -"):
        node.forward(0.2 * v / np.abs(v).max(), steep)


def test_a_flow_map_that_folds_is_refused():
    torus = mf.Torus(16)
    node = mf.DensityNODE(torus, mf.SobolevKernel(order=3, length=0.1), depth=8)
    v = 0.5 * np.sin(2 * np.pi * 5 * torus.points) * np.ones(node.control_shape)
    with pytest.raises(ValueError, match=r"det > 0 \(got "):
        node.flow_map(v)
