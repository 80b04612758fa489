"""Landmarks: Hamilton's equations against a plain sum over pairs and modes, and what the implicit midpoint keeps."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield._check import ConvergenceError
from meanfield.geodesics import landmarks, shoot_landmarks

EPS = np.finfo(float).eps
KERNEL = mf.SobolevKernel(order=3, length=0.1)
DIMS = pytest.mark.parametrize("dim", [1, 2, 3])
POINTS = {1: 32, 2: 17, 3: 8}


def node_of(dim, depth=16, *, n=None, kernel=KERNEL):
    return mf.DensityNODE(mf.Torus(n or POINTS[dim], dim), kernel, depth=depth)


def cloud(dim, number=4, *, seed=0, speed=0.3):
    """Landmarks and momenta; the fastest would go about ``speed`` alone."""
    rng = np.random.default_rng(seed)
    q, p = rng.random((number, dim)), rng.standard_normal((number, dim))
    alone = modes_of(node_of(dim))[1].sum()
    return q, p * (speed / (alone * np.abs(p).max()))


def modes_of(node):
    """Wavenumbers (M, d) with |k_a| ≤ (n−1)//2, and K̂ of them, by a plain list."""
    top = (node.torus.n - 1) // 2
    k = 2 * np.pi * np.array(list(itertools.product(range(-top, top + 1), repeat=node.torus.dim)), dtype=float)
    return k, (1 + node.kernel.length**2 * np.sum(k**2, axis=1)) ** -node.kernel.order


def hamiltonian(node, q, p):
    """``½ Σ_ij p_i·p_j K(q_i − q_j)`` over pairs and modes."""
    k, weights = modes_of(node)
    phases = np.einsum("ijd,md->ijm", q[:, None] - q[None], k)
    return 0.5 * np.sum((p @ p.T)[..., None] * weights * np.cos(phases))


def rates(node, q, p):
    """Hamilton's equations by hand: sums of cosines and sines over pairs."""
    k, weights = modes_of(node)
    phases = np.einsum("ijd,md->ijm", q[:, None] - q[None], k)
    value = np.einsum("ijm,m,jd->id", np.cos(phases), weights, p)
    force = np.einsum("ij,ijm,m,md->id", p @ p.T, np.sin(phases), weights, k)
    return value, force


def distance(found, reference):
    return max(np.abs(found.positions[-1] - reference[0]).max(), np.abs(found.momenta[-1] - reference[1]).max())


def order(sizes, errors):
    return -np.polyfit(np.log(sizes), np.log(errors), 1)[0]


# ---- the equations -------------------------------------------------------------------------------------------


@DIMS
def test_rates_are_hamiltons_equations(dim):
    node = node_of(dim)
    q, p = cloud(dim)
    found = landmarks._rates(node.torus, node.kernel.multiplier(node.torus), np.stack([q, p]))
    value, force = rates(node, q, p)
    size = np.abs(p).sum() * modes_of(node)[1].sum()
    assert np.abs(found[0] - value).max() <= 64 * EPS * size
    top = 2 * np.pi * (node.torus.n // 2)
    assert np.abs(found[1] - force).max() <= 64 * EPS * size * np.abs(p).sum() * top
    for moved, rate, sign in (((1, 0), found[0], 1), ((0, 1), found[1], -1)):  # ∂H/∂p and −∂H/∂q
        for index in np.ndindex(q.shape):
            delta = np.zeros_like(q)
            delta[index] = h = 1e-5
            ends = [hamiltonian(node, q + s * moved[1] * delta, p + s * moved[0] * delta) for s in (1, -1)]
            assert sign * (ends[0] - ends[1]) / (2 * h) == pytest.approx(rate[index], rel=1e-5, abs=1e-9)


@DIMS
def test_order_two_against_an_independent_integration(dim):
    node = node_of(dim)
    q, p = cloud(dim)

    def rate(_, state):
        return np.concatenate([part.ravel() for part in rates(node, *state.reshape(2, *q.shape))])

    start = np.concatenate([q.ravel(), p.ravel()])
    reference = solve_ivp(rate, (0, 1), start, method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1].reshape(2, *q.shape)
    sizes = np.array([12, 17, 24, 34])
    errors = [distance(shoot_landmarks(node_of(dim, int(depth)), q, p), reference) for depth in sizes]
    assert abs(order(sizes, errors) - 2) <= 0.1, errors
    assert errors[-1] <= 1e-3
    assert np.abs(reference[1] - p).max() > 0.02 * np.abs(p).max()  # they do push one another


@DIMS
def test_one_landmark_moves_straight(dim):
    """``K(0)p``, p constant: the midpoint rule is exact, on the whole line, not wrapped."""
    node, q = node_of(dim, 5), np.full((1, dim), 0.9)
    p = np.array([[0.4, -0.2, 0.3][:dim]])
    found = shoot_landmarks(node, q, p)
    speed = modes_of(node)[1].sum()
    assert np.abs(found.positions[-1] - (q + speed * p)).max() <= 64 * EPS * speed
    assert np.abs(found.momenta - p).max() <= 64 * EPS * speed
    assert found.energies == pytest.approx(np.full(6, 0.5 * speed * np.sum(p**2)), rel=64 * EPS)
    assert found.length == pytest.approx(math.sqrt(speed) * np.linalg.norm(p), rel=64 * EPS)


def test_two_landmarks_head_on_in_their_own_coordinates():
    """d = 1, p, −p at ±r about ½: ``H = p²(K(0) − K(2r))`` is the law of motion of r alone."""
    node, r0, p0 = node_of(1, 200), 0.15, 0.05
    k, weights = modes_of(node)
    gap = lambda r: np.sum(weights * (1 - np.cos(k[:, 0] * 2 * r)))  # noqa: E731
    energy = p0**2 * gap(r0)
    # r' = −(H (K(0) − K(2r)))^{1/2}
    r = solve_ivp(lambda _, r: -np.sqrt(energy * gap(r)), (0, 1), [r0], rtol=1e-12, atol=1e-14).y[0, -1]
    found = shoot_landmarks(node, np.array([[0.5 - r0], [0.5 + r0]]), np.array([[p0], [-p0]]))
    assert found.positions[-1, :, 0] == pytest.approx([0.5 - r, 0.5 + r], abs=1e-6)
    assert r < 0.7 * r0


# ---- what is kept --------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2]), st.integers(1, 6))
def test_total_momentum_is_kept_to_rounding_and_the_way_back_leads_home(seed, dim, number):
    node = node_of(dim, 8, n=9)
    q, p = cloud(dim, number, seed=seed, speed=0.3)
    found = shoot_landmarks(node, q, p)
    total = found.momenta.sum(axis=1)
    assert np.abs(total - total[0]).max() <= 64 * EPS * np.abs(found.momenta).sum(axis=1).max()
    back = shoot_landmarks(node, found.positions[-1], -found.momenta[-1])
    assert np.abs(back.positions[-1] - q).max() <= 1e-11
    assert np.abs(back.momenta[-1] + p).max() <= 1e-11 * np.abs(p).max()


@DIMS
def test_the_energy_is_off_by_the_square_of_the_step(dim):
    q, p = cloud(dim)
    sizes, errors = np.array([12, 17, 24, 34]), []
    for depth in sizes:
        found = shoot_landmarks(node_of(dim, int(depth)), q, p)
        assert found.energies[0] == pytest.approx(hamiltonian(node_of(dim), q, p), rel=1e-13)
        errors.append(np.ptp(found.energies) / found.energies[0])
    assert abs(order(sizes, errors) - 2) <= 0.15, errors


def test_the_energy_does_not_drift():
    """Three landmarks that pass one another on the circle, 25 times round: the error late is the error early, where
    that of the explicit midpoint rule grows in proportion to the time."""
    node = node_of(1, 800, n=9)
    q, p = cloud(1, 3, seed=3, speed=25.0)
    energies = shoot_landmarks(node, q, p).energies
    parts = [part.max() for part in np.array_split(np.abs(energies[1:] / energies[0] - 1), 5)]
    assert 1e-6 < parts[0] < 1e-3
    assert max(parts) <= 1.1 * parts[0]
    state, h, explicit = np.stack([q, p]), 1 / node.depth, []
    for _ in range(node.depth):
        middle = state + h / 2 * landmarks._rates(node.torus, node.kernel.multiplier(node.torus), state)
        state = state + h * landmarks._rates(node.torus, node.kernel.multiplier(node.torus), middle)
        explicit.append(hamiltonian(node, *state))
    parts = [part.max() for part in np.array_split(np.abs(np.array(explicit) / energies[0] - 1), 5)]
    assert parts[-1] > 3 * parts[0]


@pytest.mark.parametrize("dim", [1, 2])
def test_a_step_is_symplectic(dim):
    """``Jᵀ Ω J = Ω`` for the derivative J of (q, p) ↦ (q, p) over four long steps."""
    node = node_of(dim, 4, n=9)
    q, p = cloud(dim, 3, speed=0.4)
    z = np.stack([q, p])

    def shoot(z):
        found = shoot_landmarks(node, z[0], z[1])
        return np.stack([found.positions[-1], found.momenta[-1]]).ravel()

    jacobian, scales = [], np.array([2e-4, 2e-4 * np.abs(p).max()])
    for index in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[index] = h = scales[index[0]]
        near, far = ((shoot(z + s * step) - shoot(z - s * step)) / (2 * s * h) for s in (1, 2))
        jacobian.append((4 * near - far) / 3)
    jacobian, half = np.stack(jacobian, axis=1), q.size
    omega = np.block([[np.zeros((half, half)), np.eye(half)], [-np.eye(half), np.zeros((half, half))]])
    assert np.abs(jacobian - np.eye(2 * half)).max() > 0.05
    assert np.abs(jacobian.T @ omega @ jacobian - omega).max() <= 1e-8


# ---- the flow around them ------------------------------------------------------------------------------------


@DIMS
def test_the_flow_of_the_control_carries_the_landmarks(dim):
    """``node.flow_map`` integrates the same field by RK4: it ends O(1/L²) away, from any representatives."""
    q, p = cloud(dim)
    q = q + np.random.default_rng(1).integers(-2, 3, q.shape)
    sizes, errors = np.array([12, 17, 24, 34]), []
    for depth in sizes:
        node = node_of(dim, int(depth))
        found = shoot_landmarks(node, q, p)
        errors.append(np.abs(node.flow_map(found.control, q) - found.positions[-1]).max())
    assert abs(order(sizes, errors) - 2) <= 0.1, errors
    assert errors[-1] <= 0.01 * np.abs(found.positions[-1] - q).max()


@DIMS
def test_the_control_is_the_field_of_the_midpoints(dim):
    """Read off the grid it moves the midpoints by a step, and its norm is twice their energy."""
    node = node_of(dim, 4)
    q, p = cloud(dim)
    found = shoot_landmarks(node, q, p)
    assert found.control.values.shape == node.control_shape
    for layer, v in enumerate(found.control.values):
        q_mid, p_mid = (0.5 * (z[layer] + z[layer + 1]) for z in (found.positions, found.momenta))
        moved = node.torus.interpolate(v, q_mid).T / node.depth
        size = np.abs(p_mid).sum() * modes_of(node)[1].sum()
        assert np.abs(moved - np.diff(found.positions, axis=0)[layer]).max() <= 1e-11 * size
        assert node.kernel.norm(node.torus, v) ** 2 == pytest.approx(2 * hamiltonian(node, q_mid, p_mid), rel=1e-9)
    assert node.norm(found.control) == pytest.approx(found.length, rel=0.01)


@DIMS
def test_symmetries(dim):
    """Translations, permutations of the landmarks, exchange of the axes, shifts by periods."""
    node = node_of(dim, 4)
    q, p = cloud(dim)
    found, shift = shoot_landmarks(node, q, p), np.array([0.3, -0.17, 0.44][:dim])
    order_of, tolerance = np.random.default_rng(0).permutation(len(q)), 1e-13
    for other, (dq, index) in {
        "translated": (shoot_landmarks(node, q + shift, p), (shift, np.s_[:, :, :])),
        "by periods": (shoot_landmarks(node, q + np.arange(1, dim + 1), p), (np.arange(1, dim + 1), np.s_[:, :, :])),
        "permuted": (shoot_landmarks(node, q[order_of], p[order_of]), (0, np.s_[:, order_of])),
        "exchanged": (shoot_landmarks(node, q[:, ::-1], p[:, ::-1]), (0, np.s_[:, :, ::-1])),
    }.values():
        assert np.abs(other.positions - (found.positions[index] + dq)).max() <= tolerance
        assert np.abs(other.momenta - found.momenta[index]).max() <= tolerance * np.abs(p).max()


def test_a_lattice_of_landmarks_is_the_density():
    """With ``p_j = −μ_0(x_j)∇I_0(x_j)/Nλ`` landmarks are a quadrature of the density's shooting equations, exact up to
    what the lattice resolves; what is left is the step of the midpoint rule."""
    torus, number, penalty = mf.Torus(48), 40, 0.5
    cost = lambda x: 0.02 * np.sin(2 * np.pi * x) + 0.01 * np.cos(4 * np.pi * x)  # noqa: E731
    slope = lambda x: 0.04 * np.pi * (np.cos(2 * np.pi * x) - np.sin(4 * np.pi * x))  # noqa: E731
    mu = lambda x: 1 + 0.3 * np.cos(2 * np.pi * x)  # noqa: E731
    x = np.arange(number)[:, None] / number
    sizes, gaps = np.array([8, 11, 16, 23]), []
    for depth in sizes:
        node = mf.DensityNODE(torus, mf.SobolevKernel(order=4, length=0.15), depth=int(depth))
        density = mf.geodesics.shoot_density(node, torus.density(mu), cost(torus.points[0]), penalty=penalty)
        points = shoot_landmarks(node, x, -mu(x) * slope(x) / (number * penalty))
        gaps.append(np.abs(points.control.values - density.control.values).max())
        assert points.length == pytest.approx(density.length, rel=1e-3)
    assert abs(order(sizes, gaps) - 2) <= 0.1, gaps
    assert gaps[-1] <= 1e-3 * np.abs(density.control.values).max()


# ---- what is refused -----------------------------------------------------------------------------------------


def test_landmarks_at_rest_stay():
    q = cloud(2)[0]
    found = shoot_landmarks(node_of(2, 3), q, np.zeros_like(q))
    assert np.array_equal(found.positions, np.broadcast_to(q, (4, *q.shape)))
    assert not found.control.values.any()
    assert found.length == 0


def test_arguments_are_left_as_they_were():
    q, p = cloud(2)
    kept = q.copy(), p.copy()
    found = shoot_landmarks(node_of(2, 2), q, p)
    assert np.array_equal(q, kept[0])
    assert np.array_equal(p, kept[1])
    assert "LandmarkGeodesic(landmarks=4, depth=2, length=" in repr(found)


def test_steps_too_long_for_the_midpoint_are_refused():
    q, p = cloud(2)
    for factor in (20, 1e3, 1e8, 1e150):
        with pytest.raises(ConvergenceError, match=r"implicit midpoint .* in layer \d.*raise the depth"):
            shoot_landmarks(node_of(2, 2), q, factor * p)
    shoot_landmarks(node_of(2, 200), q, 20 * p)


@pytest.mark.parametrize(
    ("q", "p", "message"),
    [
        (np.zeros(3), np.zeros(3), r"positions must have shape \(N, 2\) \(got shape \(3,\)\)"),
        (np.zeros((3, 1)), np.zeros((3, 1)), r"positions must have shape \(N, 2\) \(got shape \(3, 1\)\)"),
        (np.zeros((0, 2)), np.zeros((0, 2)), r"positions must have shape \(N, 2\) \(got shape \(0, 2\)\)"),
        (np.zeros((3, 2)), np.zeros((2, 2)), r"momenta must have shape \(3, 2\) \(got shape \(2, 2\)\); pass one"),
        (np.full((1, 2), np.nan), np.zeros((1, 2)), r"positions must be finite"),
        (np.zeros((1, 2)), np.full((1, 2), np.inf), r"momenta must be finite"),
    ],
)
def test_landmarks_of_a_wrong_kind_are_refused(q, p, message):
    with pytest.raises(ValueError, match=message):
        shoot_landmarks(node_of(2), q, p)


def test_no_node_and_no_flow_map_are_refused():
    q, p = cloud(2)
    with pytest.raises(TypeError, match=r"node must be a DensityNODE \(got Torus\)"):
        shoot_landmarks(mf.Torus(8, 2), q, p)
    with pytest.raises(ValueError, match=r"order s > d/2 \+ 1 = 2"):
        shoot_landmarks(node_of(2, kernel=mf.SobolevKernel(order=2)), q, p)
