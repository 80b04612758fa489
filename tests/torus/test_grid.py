"""Fourier calculus on the torus: exact on resolved modes, right at the Nyquist mode, refusals at the door."""

import re

import numpy as np
import pytest

import meanfield as mf
from meanfield import parallel

EPS = np.finfo(float).eps
FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")
GRIDS = [(16, 1), (15, 1), (12, 2), (13, 2), (8, 3), (9, 3)]
GRID = pytest.mark.parametrize(("n", "dim"), GRIDS)


def wave(torus, k, shift=0.3):
    """cos(2 pi k.x + shift), its gradient and its Laplacian."""
    index = np.tensordot(k, np.rint(torus.points * torus.n).astype(int), 1) % torus.n  # no rounding in large phases
    phase = 2 * np.pi * index / torus.n + shift
    gradient = np.stack([-2 * np.pi * component * np.sin(phase) for component in k])
    return np.cos(phase), gradient, -((2 * np.pi) ** 2) * np.dot(k, k) * np.cos(phase)


def resolved_waves(torus, number=6):
    """Random integer wavenumbers below the Nyquist one, the largest of each sign included."""
    rng = np.random.default_rng(torus.n)
    top = (torus.n - 1) // 2
    return [*rng.integers(-top, top + 1, (number, torus.dim)), np.full(torus.dim, top), np.full(torus.dim, -top)]


@GRID
def test_derivatives_are_exact_on_resolved_modes(n, dim):
    torus = mf.Torus(n, dim)
    top = np.pi * n
    for k in resolved_waves(torus):
        f, gradient, laplacian = wave(torus, k)
        assert np.abs(torus.gradient(f) - gradient).max() <= 32 * EPS * top
        assert np.abs(torus.laplacian(f) - laplacian).max() <= 32 * EPS * dim * top**2
        assert np.abs(torus.divergence(torus.gradient(f)) - laplacian).max() <= 64 * EPS * dim * top**2


@pytest.mark.parametrize(("n", "dim"), [(16, 1), (12, 2), (8, 3)])
def test_nyquist_mode(n, dim):
    torus = mf.Torus(n, dim)
    for axis in range(dim):
        f = np.cos(np.pi * n * torus.points[axis])
        assert np.abs(torus.gradient(f)).max() <= 32 * EPS * np.pi * n
        assert np.abs(torus.laplacian(f) + (np.pi * n) ** 2 * f).max() <= 64 * EPS * dim * (np.pi * n) ** 2
    if dim > 1:  # the other axis is not touched
        f = np.cos(np.pi * n * torus.points[0]) * np.sin(2 * np.pi * torus.points[1])
        across = 2 * np.pi * np.cos(np.pi * n * torus.points[0]) * np.cos(2 * np.pi * torus.points[1])
        assert np.abs(torus.gradient(f)[1] - across).max() <= 32 * EPS * np.pi * n
        assert np.abs(torus.gradient(f)[0]).max() <= 32 * EPS * np.pi * n


@GRID
def test_divergence_is_minus_the_adjoint_of_the_gradient(n, dim):
    torus = mf.Torus(n, dim)
    rng = np.random.default_rng(1)
    f, u = rng.standard_normal(torus.shape), rng.standard_normal((dim, *torus.shape))  # Nyquist modes included
    scale = np.sqrt(torus.inner(u, u) * torus.inner(f, f)) * np.pi * n * np.sqrt(dim)
    assert abs(torus.inner(torus.gradient(f), u) + torus.inner(f, torus.divergence(u))) <= 32 * EPS * scale
    assert abs(torus.integral(torus.divergence(u))) <= 32 * EPS * np.pi * n * np.abs(u).max()


@GRID
def test_dirichlet_integral_is_that_of_the_gradient(n, dim):
    torus = mf.Torus(n, dim)
    rng = np.random.default_rng(2)
    f, weight = rng.standard_normal(torus.shape), rng.random(torus.shape)
    direct = np.mean(weight * np.sum(torus.gradient(f) ** 2, axis=0))
    assert torus.dirichlet(f, weight) == pytest.approx(direct, rel=32 * EPS)


def test_gradient_and_dirichlet_keep_their_bits_over_threads():
    torus = mf.Torus(384, dim=2)
    assert len(parallel.chunks(torus.n, torus.size)) > 1
    f = np.random.default_rng(0).standard_normal(torus.shape)
    before, found = parallel.get_threads(), []
    try:
        for number in (1, 2, 4):
            parallel.set_threads(number)
            found.append((torus.gradient(f), torus.dirichlet(f, f**2)))
    finally:
        parallel.set_threads(before)
    for gradient, dirichlet in found[1:]:
        assert np.array_equal(gradient, found[0][0])
        assert dirichlet == found[0][1]


@GRID
def test_coefficients_are_those_of_the_definition_and_return(n, dim):
    torus = mf.Torus(n, dim)
    f = np.random.default_rng(3).standard_normal(torus.shape)
    modes = torus.coefficients(f)
    index = tuple(np.random.default_rng(4).integers(0, torus.n // 2, dim))
    wave = np.exp(-2j * np.pi * np.tensordot(index, torus.points, 1))
    assert abs(modes[index] - np.mean(f * wave)) <= 16 * EPS * np.abs(f).max()
    assert np.abs(torus.values(modes) - f).max() <= 32 * EPS * np.abs(f).max()


@GRID
def test_sobolev_norms_in_closed_form(n, dim):
    torus = mf.Torus(n, dim)
    for k in resolved_waves(torus, 3):
        f, _, _ = wave(torus, k)
        for order, length in ((-1.5, 1.0), (0, 1.0), (1, 1.0), (2, 0.1)):
            mean_square = np.mean(f**2)  # 1/2, or cos² of the shift for k = 0
            exact = np.sqrt((1 + (length * 2 * np.pi) ** 2 * np.dot(k, k)) ** order * mean_square)
            # rounding of an FFT in the mode of largest weight
            floor = EPS * (1 + (length * np.pi * n) ** 2 * dim) ** (max(order, 0) / 2)
            assert abs(torus.sobolev_norm(f, order, length=length) - exact) <= 32 * (floor + EPS * exact)


def test_sobolev_norms_of_two_waves_add_in_squares_and_order_zero_is_parseval():
    torus = mf.Torus(12, dim=2)
    rng = np.random.default_rng(5)
    f = rng.standard_normal(torus.shape)
    assert torus.sobolev_norm(f, 0) == pytest.approx(np.sqrt(torus.inner(f, f)), rel=32 * EPS)
    first, second = wave(torus, np.array([1, -2]))[0], wave(torus, np.array([3, 1]))[0]
    both = torus.sobolev_norm(first + second, 1.5) ** 2
    apart = torus.sobolev_norm(first, 1.5) ** 2 + torus.sobolev_norm(second, 1.5) ** 2
    assert both == pytest.approx(apart, rel=64 * EPS)
    nyquist = np.cos(np.pi * 12 * torus.points[1])
    assert torus.sobolev_norm(nyquist, 1) == pytest.approx(np.sqrt(1 + (12 * np.pi) ** 2), rel=32 * EPS)


def direct_sum(torus, f, x):
    """The trigonometric polynomial through f at points, mode by mode; Nyquist modes read as cosines."""
    spectrum = np.fft.fftn(f, norm="forward")
    result = spectrum
    for axis in range(torus.dim):
        k = np.fft.fftfreq(torus.n, 1 / torus.n)
        basis = np.exp(2j * np.pi * np.multiply.outer(x[:, axis], k))
        if torus.n % 2 == 0:
            basis[:, torus.n // 2] = np.cos(np.pi * torus.n * x[:, axis])
        result = np.einsum("pk,k...->p...", basis, result) if axis == 0 else np.einsum("pk,pk...->p...", basis, result)
    return result.real


@GRID
def test_interpolation_is_the_direct_sum(n, dim):
    torus = mf.Torus(n, dim)
    rng = np.random.default_rng(6)
    f, x = rng.standard_normal(torus.shape), rng.uniform(-2, 3, (31, dim))
    # the non-uniform transform is asked for 1e-13 in the norm of the modes
    scale = np.abs(np.fft.fftn(f, norm="forward")).sum()
    assert np.abs(torus.interpolate(f, x) - direct_sum(torus, f, x)).max() <= 1e-12 * scale
    nodes = torus.points.reshape(dim, -1).T
    assert np.abs(torus.interpolate(f, nodes) - f.reshape(-1)).max() <= 1e-12 * scale
    fields = np.stack([f, 2 * f, f**2])
    assert torus.interpolate(fields, x).shape == (3, 31)
    assert np.array_equal(torus.interpolate(fields, x)[2], torus.interpolate(f**2, x))
    assert torus.interpolate(f, np.zeros((0, dim))).shape == (0,)
    assert torus.interpolate(fields, np.zeros((0, dim))).shape == (3, 0)


def test_interpolation_halves_the_nyquist_mode_between_the_points():
    torus = mf.Torus(8)
    x = np.linspace(0, 1, 17)[:, None]
    f = np.cos(8 * np.pi * torus.points[0])
    assert np.abs(torus.interpolate(f, x) - np.cos(8 * np.pi * x[:, 0])).max() <= 1e-12


def test_integral_and_inner_are_means():
    torus = mf.Torus(8, dim=2)
    x, y = torus.points
    assert torus.integral(3 + np.cos(2 * np.pi * x) * np.sin(4 * np.pi * y)) == pytest.approx(3, abs=16 * EPS)
    f = np.cos(2 * np.pi * x)
    assert torus.inner(f, f) == pytest.approx(0.5, abs=16 * EPS)
    assert torus.inner(np.stack([f, f]), np.stack([f, 2 * f])) == pytest.approx(1.5, abs=16 * EPS)


def test_radius_is_the_distance_on_the_torus():
    assert np.allclose(mf.Torus(4).radius(0.0), [0, 0.25, 0.5, 0.25], rtol=0, atol=EPS)
    torus = mf.Torus(10, dim=2)
    images = np.array([[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    centre = np.array([0.9, 0.2])
    nearest = np.inf
    for image in images:
        offset = torus.points - (centre + image)[:, None, None]
        nearest = np.minimum(nearest, np.sqrt(np.sum(offset**2, axis=0)))
    assert np.abs(torus.radius(centre) - nearest).max() <= 8 * EPS
    assert np.abs(torus.radius(centre + 3) - nearest).max() <= 32 * EPS
    assert torus.radius().max() == pytest.approx(np.sqrt(0.5), abs=8 * EPS)


def test_grid_description():
    torus = mf.Torus(64, dim=2)
    assert repr(torus) == "Torus(n=64, dim=2, spacing=0.015625)"
    assert (torus.shape, torus.size, torus.spacing) == ((64, 64), 4096, 1 / 64)
    assert torus.points.shape == (2, 64, 64)
    assert torus.points[0, 3, 5] == 3 / 64
    assert torus.points[1, 3, 5] == 5 / 64
    assert not torus.points.flags.writeable
    assert torus == mf.Torus(64, 2)
    assert torus != mf.Torus(64, 3)


def test_density_takes_functions_constants_and_arrays():
    torus = mf.Torus(8, dim=2)
    assert np.array_equal(torus.density(lambda x, y: 1 + x + 2 * y).values, 1 + torus.points[0] + 2 * torus.points[1])
    assert np.array_equal(torus.density(lambda x, y: 2).values, np.full((8, 8), 2.0))
    assert torus.density(np.full((8, 8), 4.0), normalise=True).mass == 1.0


def test_arrays_in_are_not_modified():
    torus = mf.Torus(8, dim=2)
    f = np.random.default_rng(0).standard_normal((8, 8))
    u, kept = np.stack([f, f]), f.copy()
    torus.gradient(f), torus.laplacian(f), torus.divergence(u), torus.interpolate(f, np.zeros((1, 2)))
    torus.sobolev_norm(f, 1), torus.dirichlet(f, f), torus.values(torus.coefficients(f))
    assert np.array_equal(f, kept)
    assert np.array_equal(u, [kept, kept])


@pytest.mark.parametrize(
    ("call", "error", "names"),
    [
        (lambda t: mf.Torus(3), ValueError, "n must be at least 4"),
        (lambda t: mf.Torus(8.0), TypeError, "n must be an integer"),
        (lambda t: mf.Torus(8, 4), ValueError, "dim must be 1, 2 or 3"),
        (lambda t: mf.Torus(8, 0), ValueError, "dim must be at least 1"),
        (lambda t: t.gradient(np.zeros(8)), ValueError, "shape"),
        (lambda t: t.laplacian(np.zeros((8, 9))), ValueError, "shape"),
        (lambda t: t.integral(np.zeros(8)), ValueError, "shape"),
        (lambda t: t.sobolev_norm(np.zeros(8), 1), ValueError, "shape"),
        (lambda t: t.divergence(np.zeros((8, 8))), ValueError, "field must have shape"),
        (lambda t: t.dirichlet(np.zeros((8, 8)), np.zeros(8)), ValueError, "shape"),
        (lambda t: t.inner(np.zeros((8, 8)), np.zeros((1, 8, 8))), ValueError, "one shape"),
        (lambda t: t.inner(np.zeros((8, 9)), np.zeros((8, 9))), ValueError, "one shape"),
        (lambda t: t.interpolate(np.zeros((8, 8)), np.zeros((3, 1))), ValueError, "x must have shape"),
        (lambda t: t.interpolate(np.zeros((8, 8)), np.zeros(2)), ValueError, "x must have shape"),
        (lambda t: t.interpolate(np.zeros((8, 8)), [[0.0, np.nan]]), ValueError, "index \\(0, 1\\)"),
        (lambda t: t.interpolate(np.zeros(8), np.zeros((3, 2))), ValueError, "shape"),
        (lambda t: t.radius([0.0, 0.0, 0.0]), ValueError, "center must be a float or 2 floats"),
        (lambda t: t.density(lambda x, y: np.ones(3)), ValueError, "shape \\(3,\\)"),
        (lambda t: t.density(lambda x, y: x - 2), ValueError, "non-negative"),
        (lambda t: t.density(lambda x, y: 1 + 1j * x), TypeError, "real numbers"),
        (lambda t: t.density("gauss"), TypeError, "real numbers"),
    ],
)
def test_bad_input_is_refused_on_one_line(call, error, names):
    with pytest.raises(error, match=names) as info:
        call(mf.Torus(8, dim=2))
    assert FORM.fullmatch(str(info.value))
