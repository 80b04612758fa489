"""The continuity equation, its tangent and its adjoint: exact transposes, stage by stage, for every tableau."""

import itertools

import numpy as np
import pytest

import meanfield as mf
from meanfield import tableaus
from meanfield.tableaus import Tableau
from meanfield.torus.continuity import Continuity

EPS = np.finfo(float).eps
SIZES = [(17, 1), (16, 1), (12, 2), (13, 2), (8, 3), (7, 3)]


def tableau(name, a, b, order, bound):
    return Tableau(name, a, b, order, (*b, 0.0), bound, bound, "for the test")


TABLEAUS = [
    tableaus.rk4,
    tableaus.ssprk3,
    tableau("Euler", ((),), (1.0,), 1, 2.0),
    tableau("midpoint", ((), (0.5,)), (0.0, 1.0), 2, 2.0),  # a weight that vanishes
    tableau("dense", ((), (0.3,), (-0.2, 0.9)), (0.2, 0.5, 0.3), 1, 2.0),
]


def make(n, dim, method=tableaus.rk4, substeps=1, step=0.1):
    return Continuity(mf.Torus(n, dim), method, substeps, step)


def draw(equation, rng):
    """Compact coefficients of a random density and of a random potential, and two velocities."""
    shape = equation.torus.shape
    u, potential = (equation.modes.forward(rng.standard_normal(shape)) for _ in range(2))
    return u, potential, *0.1 * rng.standard_normal((2, equation.torus.dim, *shape))


def inner(equation, f, g):
    """The mean of the product of two real fields, from their coefficients."""
    return float(np.sum(equation.modes.weights * (f * g.conj()).real))


def mean(f, g):
    return float(np.sum(f * g)) / f[0].size


@pytest.mark.parametrize(("n", "dim"), SIZES)
def test_rate_is_minus_the_divergence_of_the_product(n, dim):
    equation = make(n, dim)
    u, _, v, _ = draw(equation, np.random.default_rng(n))
    torus, found = equation.torus, np.empty_like(u)
    whole = np.empty(torus.shape)
    equation.rate(u, v, found, whole)
    kept = tuple(np.rint(np.broadcast_to(k, u.shape) / (2 * np.pi)).astype(int) for k in equation.modes.wavenumbers)
    values = equation.modes.inverse(u)
    assert np.array_equal(values, whole)
    plain = -sum(
        1j * k * np.fft.fftn(values * v_a, norm="forward")[kept]
        for k, v_a in zip(equation.modes.wavenumbers, v, strict=True)
    )
    assert np.abs(found - plain).max() <= 32 * EPS * 2 * np.pi * n * np.abs(values).max() * np.abs(v).max()


@pytest.mark.parametrize(("n", "dim"), SIZES)
def test_transposed_rate_is_the_transpose(n, dim):
    """``⟨A_v u, I⟩ = ⟨u, A_v* I⟩``, and ``⟨A_w u, I⟩ = ∫ w·u∇I`` for every w."""
    equation = make(n, dim)
    u, potential, v, w = draw(equation, np.random.default_rng(n + dim))
    rate, back, gradient = np.empty_like(u), np.empty_like(u), np.zeros_like(v)
    equation.rate(u, v, rate)
    kept = u.copy(), potential.copy(), v.copy()
    equation.transposed_rate(potential, v, u, gradient, back)
    assert all(np.array_equal(a, b) for a, b in zip(kept, (u, potential, v), strict=True))
    scale = 2 * np.pi * n * np.abs(v).max()
    assert abs(inner(equation, rate, potential) - inner(equation, u, back)) <= 64 * EPS * scale
    equation.rate(u, w, rate)
    assert abs(inner(equation, rate, potential) - mean(w, gradient)) <= 64 * EPS * scale
    once = gradient.copy()
    equation.transposed_rate(potential, v, u, gradient, back)
    assert np.abs(gradient - 2 * once).max() <= 4 * EPS * np.abs(once).max()  # it adds


@pytest.mark.parametrize("method", TABLEAUS, ids=lambda method: method.name)
@pytest.mark.parametrize("substeps", [1, 3])
@pytest.mark.parametrize(("n", "dim"), [(17, 1), (12, 2), (7, 3)])
def test_adjoint_of_a_layer_is_the_transpose_of_its_tangent(n, dim, method, substeps):
    """``⟨δu', I⟩ = ⟨δu, A*I⟩ + ∫ δv·gradient`` for every (δu, δv)."""
    equation = make(n, dim, method, substeps, 0.05)
    rng = np.random.default_rng(substeps)
    (u, potential, v, dv), (du, *_) = draw(equation, rng), draw(equation, rng)
    record, gradient = equation.record(np.empty_like(v)), np.zeros_like(v)
    end = equation.forward(u, v, record)
    same, change = equation.tangent(u, du, v, dv)
    assert np.array_equal(end, same)
    back = equation.adjoint(record, potential, v, gradient)
    left, right = inner(equation, change, potential), inner(equation, du, back) + mean(dv, gradient)
    scale = np.sqrt(inner(equation, change, change) * inner(equation, potential, potential))
    assert abs(left - right) <= 64 * EPS * scale


@pytest.mark.parametrize("method", TABLEAUS, ids=lambda method: method.name)
@pytest.mark.parametrize(("n", "dim"), [(17, 1), (12, 2)])
def test_tangent_is_the_derivative_of_forward(n, dim, method):
    equation = make(n, dim, method, 2, 0.05)
    u, du, v, dv = draw(equation, np.random.default_rng(3))
    _, change = equation.tangent(u, du, v, dv)

    def slope(h):
        return (equation.forward(u + h * du, v + h * dv) - equation.forward(u - h * du, v - h * dv)) / (2 * h)

    extrapolated = (4 * slope(0.005) - slope(0.01)) / 3
    assert np.abs(extrapolated - change).max() <= 1e-8 * np.abs(change).max()


@pytest.mark.parametrize(("n", "dim", "substeps"), [(17, 1, 1), (12, 2, 1), (12, 2, 3), (7, 3, 2)])
def test_stored_stages_and_stages_computed_again_give_the_same_bits(n, dim, substeps):
    equation = make(n, dim, substeps=substeps)
    u, potential, v, _ = draw(equation, np.random.default_rng(4))
    stages, size = substeps * 4, int(np.prod(equation.modes.shape))
    results = []
    for room, parts in ((2 * size * stages, (substeps, 4)), (2 * size * stages - 1, (1, 1)), (2 * size, (1, 1))):
        record, gradient = equation.record(np.empty(room)), np.zeros_like(v)
        assert record.shape == (*parts, *equation.modes.shape)
        end = equation.forward(u, v, record)
        results.append((end, equation.adjoint(record, potential, v, gradient), gradient))
    assert np.array_equal(results[0][0], equation.forward(u, v))
    for one, other in itertools.pairwise(results):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("n", "dim"), SIZES)
def test_a_layer_keeps_the_mass_to_the_bit_and_a_vanishing_velocity_everything(n, dim):
    equation = make(n, dim, step=0.01)
    u, _, v, _ = draw(equation, np.random.default_rng(5))
    assert equation.forward(u, v).flat[0] == u.flat[0]
    assert np.array_equal(equation.forward(u, 0 * v), u)


@pytest.mark.parametrize("method", [tableaus.rk4, tableaus.ssprk3], ids=lambda method: method.name)
@pytest.mark.parametrize("dim", [1, 2])
def test_the_greatest_step_is_where_stability_ends(method, dim):
    """For a constant velocity along the diagonal the highest mode turns at exactly the rate of the bound."""
    torus = mf.Torus(12, dim)
    v = np.ones((dim, *torus.shape))
    k = make(12, dim).modes.kept - 1
    bound = make(12, dim, method).greatest_step(Continuity.speed(v))
    wave = np.cos(2 * np.pi * k * torus.points.sum(axis=0))
    for factor, grows in ((0.999, False), (1.01, True)):
        equation = make(12, dim, method, 200, factor * bound)
        u = equation.modes.forward(wave)
        growth = np.abs(equation.forward(u, v)).max() / np.abs(u).max()
        assert (growth > 1) == grows
    assert make(12, dim).greatest_step(0.0) == np.inf
