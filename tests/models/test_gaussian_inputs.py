"""Products of neurons and risks on normal inputs: against quadrature, samples and differences, at all angles."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield import parallel
from meanfield.models.gaussian_inputs import arc_cosine, arcsine, charges_on
from meanfield.models.gaussian_training import GaussianTraining

EPS = np.finfo(float).eps
FORMS = {mf.relu: arc_cosine, mf.erf: arcsine}
both = pytest.mark.parametrize("activation", FORMS, ids=lambda a: a.name)


def case(activation, *, d=4, m=7, k=3, penalty=0.0, seed=0):
    rng = np.random.default_rng(seed)
    network = mf.TwoLayer(d, activation)
    weights = rng.random(m)
    mu = mf.ParticleMeasure(rng.standard_normal((m, d + 1)), weights / weights.sum())
    teacher = mf.ParticleMeasure(rng.standard_normal((k, d + 1)))
    return GaussianTraining(network, mf.GaussianInputs(d), teacher, penalty=penalty), mu, rng


def polar(w, v, function):
    """E function(x) for x ~ N(0, I_2), homogeneous of degree 2, by Gauss's rule between the kinks of relu."""
    kinks = [np.arctan2(z[1], z[0]) + side * np.pi / 2 for z in (w, v) for side in (-1, 1)]
    edges = np.sort(np.mod(kinks, 2 * np.pi))
    edges = np.append(edges, edges[0] + 2 * np.pi)
    nodes, weights = np.polynomial.legendre.leggauss(30)
    total = 0.0
    for left, right in pairwise(edges):
        t = left + (right - left) * (nodes + 1) / 2
        total += (right - left) / 2 * (function(np.column_stack([np.cos(t), np.sin(t)])).T @ weights)
    return 2 * total / (2 * np.pi)  # E|x|² = 2


def hermite(function):
    """E function(x) for x ~ N(0, I_2) by a product of Gauss–Hermite rules."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    x, y = np.meshgrid(nodes, nodes)
    return function(np.column_stack([x.ravel(), y.ravel()])).T @ np.outer(weights, weights).ravel() / (2 * np.pi)


@both
@pytest.mark.parametrize("seed", range(6))
def test_product_and_its_derivative_by_quadrature(activation, seed):
    w, v = np.random.default_rng(seed).standard_normal((2, 2)) * (1.0 if activation is mf.relu else 0.6)

    def integrals(function):
        return polar(w, v, function) if activation is mf.relu else hermite(function)

    value, along_v, along_w = (part[0, 0] for part in FORMS[activation](w[None], v[None]))
    assert value == pytest.approx(integrals(lambda x: activation(x @ w) * activation(x @ v)), abs=1e-12)
    expected = integrals(lambda x: x * (activation.derivative(x @ w) * activation(x @ v))[:, None])
    assert along_v * v + along_w * w == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_relu_keeps_its_digits_as_the_angle_goes_to_zero_or_pi(sign):
    t = np.logspace(-16, -0.5, 40)
    w, v = np.array([[2.0, 0.0]]), sign * np.column_stack([np.ones(40), t])
    products, angle, lengths = arc_cosine(w, v), np.arctan(t), np.hypot(1.0, t)
    rest = np.pi - angle if sign > 0 else angle
    assert np.abs(2 * np.pi * products.along_v[0] - rest).max() <= 1e-12
    assert np.abs(2 * np.pi * products.along_w[0] - lengths * np.sin(angle) / 2).max() <= 1e-13
    exact = 2 * lengths * (np.sin(angle) + sign * rest * np.cos(angle)) / (2 * np.pi)
    assert np.abs(products.value[0] - exact).max() <= 1e-13


def test_angles_in_many_dimensions():
    rng = np.random.default_rng(0)
    u = rng.standard_normal(100)
    u /= np.linalg.norm(u)
    normal = rng.standard_normal(100)
    normal -= (normal @ u) * u
    normal /= np.linalg.norm(normal)
    t = np.logspace(-9, 0, 40)
    products = arc_cosine(u[None], np.cos(t)[:, None] * u + np.sin(t)[:, None] * normal)
    assert np.abs(2 * np.pi * products.along_v[0] - (np.pi - t)).max() <= 1e-12


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e4])
def test_erf_keeps_its_digits_along_a_line(size):
    w = np.array([[0.6 * size, 0.8 * size]])
    products, double = arcsine(w, np.concatenate([w, -w])), 2 * size**2
    expected = (4 / np.pi) / np.sqrt(1 + 2 * double)
    assert products.along_v[0] == pytest.approx([expected, expected], rel=1e-12)
    assert 1 - products.value[0, 0] == pytest.approx(
        (2 / np.pi) * np.arctan2(np.sqrt(1 + 2 * double), double), rel=1e-9
    )
    assert products.value[0, 0] == -products.value[0, 1]


@both
def test_risk_against_samples(activation):
    problem, mu, rng = case(activation)
    x = rng.standard_normal((200_000, 4))
    squares = 0.5 * (problem.network.predict(mu, x) - problem.network.predict(problem.teacher, x)) ** 2
    assert abs(problem.value(mu) - squares.mean()) <= 5 * squares.std() / np.sqrt(len(x))
    labels = problem.network.predict(problem.teacher, x)
    sampled = problem.network.gradient(mu, x, labels)
    assert np.abs(problem.value_and_differential(mu)[1] - sampled).max() <= 0.02 * np.abs(sampled).max()


@both
@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_differential_against_central_differences(activation, penalty, seed):
    problem, mu, rng = case(activation, penalty=penalty, seed=seed)
    direction, step = rng.standard_normal(mu.positions.shape), 1e-3
    values = [
        problem.value(mf.ParticleMeasure(mu.positions + t * step * direction, mu.weights)) for t in (-2, -1, 1, 2)
    ]
    difference = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    value, differential = problem.value_and_differential(mu)
    assert difference == pytest.approx(np.sum(mu.weights[:, None] * differential * direction), rel=1e-7)
    assert value == problem.value(mu)
    penalty_of = 0.5 * penalty * np.sum(mu.weights * np.sum(mu.positions**2, axis=1))
    assert value - penalty_of == pytest.approx(problem.observables(mu)["risk"][1], rel=1e-14)


@both
@settings(max_examples=30, deadline=None)
@given(d=st.integers(1, 12), m=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_student_that_is_the_teacher_has_neither_risk_nor_gradient(activation, d, m, seed):
    problem, _, rng = case(activation, d=d, k=m, seed=seed)
    order = rng.permutation(m)
    value, gradient = problem.value_and_differential(mf.ParticleMeasure(problem.teacher.positions[order]))
    scale = 1 + np.abs(problem.teacher.positions).max() ** 3 * d
    assert 0 <= value <= 64 * m * EPS * scale**2
    assert np.abs(gradient).max() <= 64 * m * EPS * scale**2


@both
def test_split_neurons_and_neurons_without_weight_change_nothing(activation):
    problem, mu, rng = case(activation)
    split = mf.ParticleMeasure(np.repeat(mu.positions, 2, axis=0), np.repeat(mu.weights, 2) / 2)
    more = mf.ParticleMeasure(np.vstack([mu.positions, rng.standard_normal((3, 5))]), np.append(mu.weights, [0, 0, 0]))
    value, gradient = problem.value_and_differential(mu)
    for other, rows in ((split, slice(None, None, 2)), (more, slice(0, mu.number))):
        other_value, other_gradient = problem.value_and_differential(other)
        assert other_value == pytest.approx(value, rel=1e-12)
        assert other_gradient[rows] == pytest.approx(gradient, rel=1e-12, abs=1e-14)


@both
def test_a_neuron_without_direction(activation):
    problem, mu, _ = case(activation)
    positions = mu.positions.copy()
    positions[2, 1:] = 0.0
    gradient = problem.value_and_differential(mf.ParticleMeasure(positions))[1]
    assert np.all(np.isfinite(gradient))
    assert gradient[2, 0] == 0.0
    assert activation is mf.erf or not gradient[2, 1:].any()


def test_descent_finds_the_teacher_and_plateaus_below_its_width():
    """TWO-2: 3 teacher neurons in d = 100, step 0.1."""
    rng = np.random.default_rng(0)
    d, signs = 100, np.array([1.0, -1.0, 1.0])
    w = rng.standard_normal((3, d))
    teacher = mf.ParticleMeasure(np.column_stack([3 * signs, w / np.linalg.norm(w, axis=1)[:, None]]))
    problem = GaussianTraining(mf.TwoLayer(d, mf.relu), mf.GaussianInputs(d), teacher)
    values = []
    for m in (2, 3):
        start = rng.standard_normal((m, d))
        mu = mf.ParticleMeasure(np.column_stack([signs[:m], start / np.linalg.norm(start, axis=1)[:, None]]))
        for _ in range(1500):
            mu = mf.ParticleMeasure(mu.positions - 0.1 * problem.value_and_differential(mu)[1])
        values.append(problem.value(mu))
    assert values[0] > 0.05
    assert values[1] <= 1e-14


@both
def test_bits_do_not_depend_on_threads(activation):
    rng, before = np.random.default_rng(0), parallel.get_threads()
    w, charges = rng.standard_normal((700, 5)), rng.standard_normal(700)
    try:
        results = []
        for number in (1, 2, 4):
            parallel.set_threads(number)
            with parallel.one_thread_libraries():
                results.append(charges_on(activation, w, w, charges))
    finally:
        parallel.set_threads(before)
    for other in results[1:]:
        assert np.array_equal(results[0][0], other[0])
        assert np.array_equal(results[0][1], other[1])


def test_what_it_tells_of_itself():
    problem, mu, _ = case(mf.relu, penalty=0.5)
    assert str(problem) == (
        "TwoLayer(dim=4, activation=relu, bias=False), GaussianInputs(dim=4), teacher of 3, penalty=0.5"
    )
    assert problem.title == "TwoLayer, teacher on normal inputs"
    assert [array.shape for array in problem.data()] == [(3, 5), (3,)]
    problem.check(mu)


NETWORK, TEACHER = mf.TwoLayer(4, mf.relu), mf.ParticleMeasure(np.ones((3, 5)))
BAD = {
    "dimension 0": (lambda: mf.GaussianInputs(0), "dim must be at least 1"),
    "tanh": (
        lambda: GaussianTraining(mf.TwoLayer(4, mf.tanh), mf.GaussianInputs(4), TEACHER), r"mf.erf \(got tanh\); or",
    ),
    "kernel of tanh": (lambda: mf.GaussianInputs(2).kernel(mf.tanh, np.ones((1, 2)), np.ones((1, 2))), "got tanh"),
    "weights of another dimension": (
        lambda: mf.GaussianInputs(2).kernel(mf.erf, np.ones((1, 2)), np.ones((1, 3))), r"weights must .*\(k, 2\)",
    ),
    "bias": (
        lambda: GaussianTraining(mf.TwoLayer(4, mf.erf, bias=True), mf.GaussianInputs(4), TEACHER), "without bias",
    ),
    "other dimension": (lambda: GaussianTraining(NETWORK, mf.GaussianInputs(3), TEACHER), "network's dimension 4"),
    "logistic loss": (
        lambda: GaussianTraining(NETWORK, mf.GaussianInputs(4), TEACHER, mf.LogisticLoss()), "need the square loss",
    ),
    "labels as an array": (lambda: GaussianTraining(NETWORK, mf.GaussianInputs(4), np.ones(3)), r"teacher's \(got"),
    "teacher of another packing": (
        lambda: GaussianTraining(NETWORK, mf.GaussianInputs(4), mf.ParticleMeasure(np.ones((3, 4)))), r"packed \(a, w",
    ),
    "state of another packing": (lambda: case(mf.relu)[0].check(mf.ParticleMeasure(np.ones((3, 4)))), r"packed \(a, w"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_refused_in_one_line(name):
    call, words = BAD[name]
    with pytest.raises((ValueError, TypeError), match=words) as info:
        call()
    assert "\n" not in str(info.value)
