"""Flow maps: closed forms, composition, inverse, Jacobians, the right-invariant metric, and what is refused.

Closed form: ``x' = A sin 2πx`` has ``tan πx(s) = e^{2πAs} tan πx(0)``; each axis may have its own A and phase.
"""

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield import tableaus
from meanfield.torus import flow_map

EPS = np.finfo(float).eps
NUFFT = 10 * flow_map.ACCURACY  # of an evaluation off the grid, times the sum of the coefficients
KERNEL = mf.SobolevKernel(order=4, length=0.1)
POINTS = {1: 64, 2: 32, 3: 12}
AMPLITUDES, PHASES = (0.11, -0.08, 0.06), (0.1, 0.35, 0.8)


def node_of(dim, *, n=None, depth=8, **options):
    return mf.DensityNODE(mf.Torus(n or POINTS[dim], dim), KERNEL, depth=depth, **options)


@functools.cache
def smooth_control(node, size=0.05, seed=0):
    """A control of a few waves that moves points by about ``size``, different on every layer."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(node.control_shape)
    smooth = np.stack([mf.GaussianKernel(0.2).convolve(node.torus, layer) for layer in noise])
    return smooth * (size / np.abs(smooth).max())


def separable(node):
    """``v_a = A_a sin 2π(x_a − c_a)``, the same on all layers."""
    field = [a * np.sin(2 * np.pi * (x - c)) for a, c, x in zip(AMPLITUDES, PHASES, node.torus.points)]
    return np.broadcast_to(np.stack(field), node.control_shape)


def exact(x, s=1.0):
    """The flow of :func:`separable` at points (N, d), and the Jacobian determinant there."""
    moved, determinant = np.empty_like(x), np.ones(len(x))
    for axis, (a, c) in enumerate(zip(AMPLITUDES, PHASES[: x.shape[1]])):
        y, g = x[:, axis] - c, math.exp(2 * np.pi * a * s)
        turn = np.round(y)  # the branch of tan: y in [−½, ½] stays there
        tangent = np.tan(np.pi * (y - turn))
        moved[:, axis] = c + turn + np.arctan(g * tangent) / np.pi
        determinant *= g * (1 + tangent**2) / (1 + (g * tangent) ** 2)
    return moved, determinant


def points_of(dim, number=40, seed=1):
    return np.random.default_rng(seed).uniform(-2, 3, (number, dim))  # any representatives


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_flow_in_closed_form_is_of_order_four_and_not_wrapped(dim):
    x = points_of(dim)
    sizes, errors = np.array([4, 6, 8, 12, 16]), []
    for substeps in sizes:
        node = node_of(dim, n=8, depth=1, substeps=int(substeps))  # the field is one wave
        errors.append(np.abs(node.flow_map(separable(node), x) - exact(x)[0]).max())
    slope = -np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert abs(slope - 4) <= 0.1, (errors, slope)
    # one step of RK4 on x' = A sin: error below h⁵ (2πA)⁴ A; steps add up
    assert errors[-1] <= (2 * np.pi * max(AMPLITUDES)) ** 4 * max(AMPLITUDES) / sizes[-1] ** 4


@pytest.mark.parametrize("tableau", [tableaus.euler, tableaus.heun, tableaus.ssprk3, tableaus.rk4])
def test_advection_has_the_order_of_its_tableau(tableau):
    node, x = node_of(1, depth=1), points_of(1)
    sizes = np.array([40, 57, 80, 113]) if tableau.order == 1 else np.array([8, 11, 16, 23])
    errors = []
    for r in sizes:
        moved = flow_map.advect(node.torus, separable(node), x, tableau=tableau, substeps=int(r), step=1 / r)
        errors.append(np.abs(moved - exact(x)[0]).max())
    slope = -np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert abs(slope - tableau.order) <= 0.1, (errors, slope)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_translations_are_exact_and_leave_the_unit_cell(dim):
    node = node_of(dim, n=10, depth=64)
    speeds = np.random.default_rng(0).uniform(1, 2, (node.depth, dim)) * np.array([1, -1, 1])[:dim]
    v = np.broadcast_to(speeds.reshape(node.depth, dim, *[1] * dim), node.control_shape)
    shift, x = speeds.mean(axis=0), points_of(dim)  # more than a period
    tolerance = NUFFT * np.abs(speeds).sum()
    assert np.abs(node.flow_map(v, x) - (x + shift)).max() <= tolerance
    assert np.abs(node.inverse_flow_map(v, x) - (x - shift)).max() <= tolerance


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_grid_and_points_agree(dim):
    node = node_of(dim, depth=3)
    v = smooth_control(node)
    phi, inverse = node.flow_map(v), node.inverse_flow_map(v)
    assert phi.shape == inverse.shape == (dim, *node.torus.shape)
    x = flow_map.grid_points(node.torus)
    for on_grid, at in ((phi, node.flow_map), (inverse, node.inverse_flow_map)):
        assert np.array_equal(flow_map.on_grid(node.torus, at(v, x)), on_grid)
        shifts = np.random.default_rng(0).integers(-3, 4, x.shape)
        assert np.abs(at(v, x + shifts) - shifts - at(v, x)).max() <= 40 * EPS  # rounding of x + 3, not amplified
    displacement = node.flow_map(v, x[::7]) - x[::7]
    assert 0.005 < np.abs(displacement).max() < 0.05


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_velocities_are_read_off_the_grid_as_trigonometric_polynomials(dim):
    """One Euler step is x + v(x); an even and an odd grid, the Nyquist mode included."""
    for n in (8, 9):
        torus, x = mf.Torus(n, dim), points_of(dim)
        v = np.random.default_rng(n).standard_normal((dim, *torus.shape))
        moved = flow_map.advect(torus, [v], x, tableau=tableaus.euler, substeps=1, step=0.1)
        size = sum(np.abs(torus.full_spectrum(part)).sum() for part in v)
        assert np.abs(moved - (x + 0.1 * torus.interpolate(v, x).T)).max() <= NUFFT * size


def test_no_control_is_the_identity_to_the_bit():
    node, x = node_of(2), points_of(2)
    assert np.array_equal(node.flow_map(node.zero(), x), x)
    assert np.array_equal(node.flow_map(node.zero()), node.torus.points)
    assert node.flow_map(node.zero(), np.zeros((0, 2))).shape == (0, 2)


# ---- the group -----------------------------------------------------------------------------------------------


def concatenated(v, w):
    """v, then w, in half the time each."""
    return np.concatenate([2 * v, 2 * w])


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_controls_one_after_the_other_compose_flow_maps(dim):
    node = node_of(dim, depth=4)
    twice = mf.DensityNODE(node.torus, KERNEL, depth=8)
    v, w, x = smooth_control(node), smooth_control(node, seed=1), points_of(dim)
    both = twice.flow_map(concatenated(v, w), x)
    tolerance = 8 * NUFFT * 0.05 * np.sqrt(node.torus.size)
    assert np.abs(both - node.flow_map(w, node.flow_map(v, x))).max() <= tolerance
    assert np.abs(both - node.flow_map(v, node.flow_map(w, x))).max() > 1e-4  # they do not commute
    back = twice.inverse_flow_map(concatenated(v, w), x)
    assert np.abs(back - node.inverse_flow_map(v, node.inverse_flow_map(w, x))).max() <= tolerance


@pytest.mark.parametrize(("dim", "sizes"), [(1, (8, 12, 16, 24)), (2, (8, 12, 16, 24))])
def test_maps_on_the_grid_compose_spectrally(dim, sizes):
    """``compose`` reads the outer map off its grid values: its error falls faster than any power."""
    errors = []
    for n in sizes:
        node = node_of(dim, n=n, depth=1, substeps=6)
        v, w = separable(node), -0.5 * np.roll(separable(node), n // 4, axis=-1)
        phi, psi = node.flow_map(v), node.flow_map(w)
        exactly = flow_map.on_grid(node.torus, node.flow_map(w, node.flow_map(v, flow_map.grid_points(node.torus))))
        errors.append(np.abs(flow_map.compose(node.torus, psi, phi) - exactly).max())
    assert errors[-1] <= 1e-10, errors
    assert all(b < 0.1 * a for a, b in itertools.pairwise(errors)), errors


def test_compose_with_the_identity_and_of_three():
    node = node_of(2, depth=2)
    torus = node.torus
    maps = [node.flow_map(smooth_control(node, seed=seed)) for seed in range(3)]
    identity = np.array(torus.points)
    tolerance = NUFFT * 0.05 * np.sqrt(torus.size)
    assert np.abs(flow_map.compose(torus, maps[0], identity) - maps[0]).max() <= tolerance
    assert np.array_equal(flow_map.compose(torus, identity, maps[0]), maps[0])
    left = flow_map.compose(torus, flow_map.compose(torus, maps[0], maps[1]), maps[2])
    right = flow_map.compose(torus, maps[0], flow_map.compose(torus, maps[1], maps[2]))
    assert np.abs(left - right).max() <= 1e-9  # both are resolved, to what n = 32 gives


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_inverse_undoes_the_flow(dim):
    """Forwards and backwards by RK4: the even terms of its error remain, order 5."""
    sizes, errors, x = np.array([2, 3, 4, 6]), [], points_of(dim)
    for substeps in sizes:
        node = node_of(dim, n=8, depth=2, substeps=int(substeps))
        v = separable(node) * np.array([1.5, -2.0]).reshape(2, *[1] * (dim + 1))
        errors.append(np.abs(node.inverse_flow_map(v, node.flow_map(v, x)) - x).max())
    slope = -np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert abs(slope - 5) <= 0.2, (errors, slope)
    assert errors[-1] <= 1e-7


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2]))
def test_random_flows_are_undone_by_their_inverse_on_the_grid(seed, dim):
    node = mf.DensityNODE(mf.Torus(24, dim), KERNEL, depth=4, substeps=2)
    v = smooth_control.__wrapped__(node, size=0.04, seed=seed)
    phi, inverse = node.flow_map(v), node.inverse_flow_map(v)
    assert flow_map.jacobian_determinant(node.torus, phi).min() > 0
    for one, other in ((phi, inverse), (inverse, phi)):
        assert np.abs(flow_map.compose(node.torus, one, other) - node.torus.points).max() <= 2e-7


# ---- Jacobians -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_jacobian_determinant_in_closed_form(dim):
    node = node_of(dim, n={1: 64, 2: 48, 3: 32}[dim], depth=1, substeps=16)
    x = flow_map.grid_points(node.torus)
    phi = flow_map.on_grid(node.torus, exact(x)[0])
    determinant = flow_map.jacobian_determinant(node.torus, phi)
    tolerance = {1: 1e-12, 2: 1e-9, 3: 1e-6}[dim]  # what n resolves of arctan(g tan)
    assert np.abs(determinant.ravel() - exact(x)[1]).max() <= tolerance


@pytest.mark.parametrize("dim", [1, 2])
def test_jacobian_range_is_the_determinant_at_the_preimages(dim):
    """Two routes: the pushed density 1/det DΦ∘Φ^{−1} (a PDE), and the spectral derivative of Φ at Φ^{−1}(grid)."""
    node = node_of(dim, n=96 if dim == 1 else 64, depth=4, substeps=8)
    v = smooth_control(node, size=0.06)
    determinant = flow_map.jacobian_determinant(node.torus, node.flow_map(v))
    back = np.moveaxis(node.inverse_flow_map(v), 0, -1).reshape(-1, dim)
    at_images = node.torus.interpolate(determinant, back)
    low, high = node.jacobian_range(v)
    assert 0 < low < 0.95
    assert high > 1.05
    assert low == pytest.approx(at_images.min(), rel=1e-8)
    assert high == pytest.approx(at_images.max(), rel=1e-8)
    assert (1 / at_images).mean() == pytest.approx(1, abs=1e-12)  # the pushed density has mass one


# ---- the right-invariant metric ------------------------------------------------------------------------------


def velocity_of_a_path(node, path, at, delta):
    """``∂_s γ_s∘γ_s^{−1}`` at the grid by central differences; ``path(s, x)`` moves points, ``at`` are preimages."""
    s, x = at
    difference = (path(s + delta, x) - path(s - delta, x)) / (2 * delta)
    return flow_map.on_grid(node.torus, difference)


def partial(node, v, s):
    """The control that follows v up to s and then rests: its flow map is Φ_s."""
    share = np.clip(s * node.depth - np.arange(node.depth), 0, 1)
    return v * share.reshape(-1, *[1] * (node.torus.dim + 1))


@pytest.mark.parametrize("dim", [1, 2])
def test_length_is_right_invariant(dim):
    """The velocity recovered from s ↦ Φ_s∘ψ is v whatever ψ, so the length is; from s ↦ ψ∘Φ_s it is another."""
    node = node_of(dim, n=32 if dim == 1 else 24, depth=3, substeps=4)
    v, w = smooth_control(node), smooth_control(node, size=0.04, seed=5)
    grid = flow_map.grid_points(node.torus)

    def right(s, x):
        return node.flow_map(partial(node, v, s), node.flow_map(w, x))

    def left(s, x):
        return node.flow_map(w, node.flow_map(partial(node, v, s), x))

    found, errors = {"right": [], "left": []}, []
    for layer in range(node.depth):
        s = (layer + 0.5) / node.depth
        start = node.inverse_flow_map(w, node.inverse_flow_map(partial(node, v, s), grid))
        from_left = node.inverse_flow_map(partial(node, v, s), node.inverse_flow_map(w, grid))
        velocity = velocity_of_a_path(node, right, (s, start), 1e-3)
        errors.append(np.abs(velocity - v[layer]).max() / np.abs(v).max())
        found["right"].append(node.kernel.norm(node.torus, velocity))
        found["left"].append(node.kernel.norm(node.torus, velocity_of_a_path(node, left, (s, from_left), 1e-3)))
    assert max(errors) <= 2e-5  # δ²/6 of the third derivative in s, and of Φ∘Φ^{−1} the error of RK4
    length = math.sqrt(np.mean(np.square(found["right"])))
    assert length == pytest.approx(node.norm(v), rel=2e-5)
    assert np.abs(np.array(found["left"]) / found["right"] - 1).max() > 0.02


def test_the_velocity_of_a_composed_path_is_recovered_at_order_two():
    node = node_of(1, depth=1, substeps=24)
    v, x = separable(node), points_of(1)
    w = smooth_control(node, seed=3)
    start = node.flow_map(w, x)
    there = node.torus.interpolate(v[0], node.flow_map(partial(node, v, 0.5), start)).T
    deltas, errors = np.array([0.2, 0.14, 0.1, 0.07]), []
    for delta in deltas:
        ahead, behind = (node.flow_map(partial(node, v, 0.5 + sign * delta), start) for sign in (1, -1))
        errors.append(np.abs((ahead - behind) / (2 * delta) - there).max())
    slope = np.polyfit(np.log(deltas), np.log(errors), 1)[0]
    assert abs(slope - 2) <= 0.1, (errors, slope)


def test_the_norm_of_a_control_is_the_length_at_constant_speed():
    """Concatenation in half the time: the squared norm is 2|v|² + 2|w|², the length of the whole path the sum."""
    node = node_of(1, depth=2)
    v, w = (np.broadcast_to(smooth_control(node, seed=s)[:1], node.control_shape) for s in (0, 1))
    twice = mf.DensityNODE(node.torus, KERNEL, depth=4)
    both = concatenated(v, w)
    assert twice.norm(both) ** 2 == pytest.approx(2 * node.norm(v) ** 2 + 2 * node.norm(w) ** 2, rel=1e-12)
    assert np.mean(twice.speeds(both)) == pytest.approx(node.norm(v) + node.norm(w), rel=1e-12)


# ---- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_kernel_without_flow_maps_is_refused(dim):
    torus, limit, x = mf.Torus(8, dim), dim / 2 + 1, np.zeros((1, dim))
    for kernel in (mf.SobolevKernel(order=limit), mf.SobolevKernel(order=limit - 0.4), mf.DiracKernel()):
        node = mf.DensityNODE(torus, kernel, depth=2)
        for method in (node.flow_map, node.inverse_flow_map):
            for args in ((), (x,)):
                with pytest.raises(
                    ValueError, match=rf"order s > d/2 \+ 1 = {limit:g} \(got .*Kernel.*raise the order"
                ):
                    method(node.zero(), *args)
    for kernel in (mf.SobolevKernel(order=limit + 1e-9), mf.GaussianKernel(0.1)):
        node = mf.DensityNODE(torus, kernel, depth=2)
        assert np.array_equal(node.flow_map(node.zero(), x), x)


def test_a_rough_control_is_refused():
    """White noise of a size the steps bear: the map folds between grid points."""
    for dim in (1, 2):
        node = node_of(dim, n=32, depth=16)
        v = 0.1 * np.random.default_rng(0).standard_normal(node.control_shape)
        for method in (node.flow_map, node.inverse_flow_map):
            with pytest.raises(ValueError, match=r"must have det > 0 \(got -.*smoother control"):
                method(v)
        assert node.jacobian_range(v)[0] < 0


def test_a_control_too_large_for_its_depth_is_refused_and_the_depth_named_will_do():
    node = node_of(1, depth=2)
    v = np.broadcast_to(30 * smooth_control(node)[0], node.control_shape)
    with pytest.raises(ValueError, match=r"sub-step must not exceed .*use depth=(\d+), or substeps=(\d+)") as error:
        node.flow_map(v)
    depth = int(str(error.value).split("depth=")[1].split(",")[0])
    deeper = mf.DensityNODE(node.torus, KERNEL, depth=depth)
    assert np.isfinite(deeper.flow_map(np.broadcast_to(v[0], deeper.control_shape), np.array([[0.2]]))).all()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(3), r"x must have shape \(N, 2\) \(got shape \(3,\)\); stack"),
        (np.zeros((3, 1)), r"x must have shape \(N, 2\) \(got shape \(3, 1\)\)"),
        (np.array([[0.0, np.nan]]), r"x must be finite \(got nan at index \(0, 1\)\)"),
    ],
)
def test_points_of_a_wrong_kind_are_refused(x, message):
    node = node_of(2, depth=1)
    with pytest.raises(ValueError, match=message):
        node.flow_map(node.zero(), x)


def test_controls_that_are_no_controls_are_refused():
    node = node_of(1, depth=2)
    with pytest.raises(ValueError, match=r"control must be finite \(got NaN or infinity in layer 1\)"):
        node.flow_map(np.where(np.arange(2)[:, None, None] == 1, np.nan, np.zeros(node.control_shape)))
    with pytest.raises(ValueError, match=r"control must have shape \(2, 1, 64\).*node.zero"):
        node.flow_map(np.zeros((2, 64)))


def test_arguments_are_left_as_they_were():
    node = node_of(2, depth=2)
    v, x = smooth_control(node).copy(), points_of(2)
    kept = v.copy(), x.copy()
    node.flow_map(v, x)
    node.flow_map(v)
    assert np.array_equal(v, kept[0])
    assert np.array_equal(x, kept[1])
