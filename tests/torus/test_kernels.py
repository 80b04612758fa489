"""Kernels on the torus and on R^d: closed forms, the spaces they reproduce, refusals."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gamma, kv

import meanfield as mf
from meanfield.torus.kernels import significant

EPS = np.finfo(float).eps
FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")
ON_TORUS = [mf.SobolevKernel(2.5, 0.2), mf.SobolevKernel(1), mf.GaussianKernel(0.1), mf.DiracKernel()]
ON_SPACE = [mf.GaussianKernel(0.7), mf.LaplaceKernel(0.7), mf.MaternKernel(1.5, 0.7), mf.MaternKernel(4.5, 0.7)]


def wavevectors(torus):
    """k of every mode in FFT order, (n, …, n, d)."""
    k = np.fft.fftfreq(torus.n, 1 / torus.n)
    return np.stack(np.meshgrid(*[k] * torus.dim, indexing="ij"), axis=-1)


def full_multiplier(kernel, torus):
    """K̂ of every mode from its formula."""
    squared = np.sum((2 * np.pi * wavevectors(torus)) ** 2, axis=-1)
    if isinstance(kernel, mf.SobolevKernel):
        return 1 / (1 + kernel.length**2 * squared) ** kernel.order
    return np.exp(-(kernel.length**2) * squared / 2) if isinstance(kernel, mf.GaussianKernel) else np.ones_like(squared)


def smooth(torus, seed, top=3):
    """A random trigonometric polynomial of degree ``top``."""
    rng, f = np.random.default_rng(seed), np.zeros(torus.shape)
    for _ in range(4):
        k = rng.integers(-top, top + 1, torus.dim)
        f = f + rng.standard_normal() * np.cos(2 * np.pi * (np.tensordot(k, torus.points, 1) + rng.random()))
    return f


TORI = [mf.Torus(12), mf.Torus(13), mf.Torus(8, dim=2), mf.Torus(7, dim=2), mf.Torus(6, dim=3)]


# ---- the torus -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torus", TORI, ids=repr)
@pytest.mark.parametrize("kernel", ON_TORUS, ids=repr)
def test_multiplier_is_the_formula_on_the_half_spectrum(kernel, torus):
    expected = full_multiplier(kernel, torus)[..., : torus.n // 2 + 1]
    found = kernel.multiplier(torus)
    assert np.abs(found / expected - 1).max() <= 256 * EPS
    assert found.flat[0] == 1.0
    assert np.all((found > 0) & (found <= 1))


@pytest.mark.parametrize("torus", TORI, ids=repr)
@pytest.mark.parametrize("kernel", ON_TORUS, ids=repr)
def test_convolution_is_the_direct_sum(kernel, torus):
    """``∫K(x − y) f(y) dy`` as a sum over grid points, K from its modes one by one."""
    f = np.random.default_rng(0).standard_normal(torus.shape)
    k, x = wavevectors(torus).reshape(-1, torus.dim), torus.points.reshape(torus.dim, -1)
    waves = np.exp(2j * np.pi * k @ x)
    values = (full_multiplier(kernel, torus).reshape(-1) @ waves).real.reshape(torus.shape)  # K at the grid points
    index = np.indices(torus.shape).reshape(torus.dim, -1)
    differences = (index[:, :, None] - index[:, None, :]) % torus.n
    expected = (values[tuple(differences)] @ f.reshape(-1)).reshape(torus.shape) / torus.size
    found = kernel.convolve(torus, f)
    assert np.abs(found - expected).max() <= 64 * EPS * torus.size * np.abs(f).max()


@pytest.mark.parametrize("kernel", ON_TORUS, ids=repr)
def test_fields_are_convolved_component_by_component(kernel):
    torus = mf.Torus(8, dim=2)
    field = np.random.default_rng(0).standard_normal((2, 3, 8, 8))
    kept = field.copy()
    found = kernel.convolve(torus, field)
    assert np.array_equal(field, kept)
    for index in np.ndindex(2, 3):
        assert np.array_equal(found[index], kernel.convolve(torus, field[index]))


@pytest.mark.parametrize("kernel", ON_TORUS, ids=repr)
@pytest.mark.parametrize("torus", [mf.Torus(32), mf.Torus(16, dim=2)], ids=repr)
def test_deconvolution_undoes_convolution_of_resolved_fields(kernel, torus):
    f = smooth(torus, 1)
    back = kernel.deconvolve(torus, kernel.convolve(torus, f))
    worst = 1 / kernel.multiplier(torus)[significant(torus, f) != 0].min()
    assert np.abs(back - f).max() <= 16 * EPS * worst * np.abs(f).max()
    assert np.abs(kernel.deconvolve(torus, f)).max() < 2 * worst * np.abs(f).max(), "rounding was blown up"


@pytest.mark.parametrize("kernel", ON_TORUS, ids=repr)
@pytest.mark.parametrize("torus", [mf.Torus(17), mf.Torus(16), mf.Torus(16, dim=2), mf.Torus(9, dim=3)], ids=repr)
def test_inner_product_is_the_sum_over_modes(kernel, torus):
    u, v = smooth(torus, 1), smooth(torus, 1) + smooth(torus, 2)
    modes = [np.fft.fftn(f, norm="forward") for f in (u, v)]
    kept = np.abs(modes[0] * modes[1]) > 1e-20
    weights = 1 / full_multiplier(kernel, torus)[kept]
    expected = np.sum(weights * (modes[0] * modes[1].conj())[kept]).real
    scale = np.sum(weights * np.abs(modes[0] * modes[1])[kept])
    assert kernel.inner(torus, u, v) == pytest.approx(expected, abs=256 * EPS * scale)
    assert kernel.inner(torus, u, v) == pytest.approx(kernel.inner(torus, v, u), abs=16 * EPS * scale)
    assert kernel.norm(torus, u) == pytest.approx(np.sqrt(kernel.inner(torus, u, u)), rel=4 * EPS)
    fields = kernel.inner(torus, np.stack([u, v]), np.stack([v, v]))
    assert fields == pytest.approx(kernel.inner(torus, u, v) + kernel.inner(torus, v, v), rel=1e-12)


@pytest.mark.parametrize("kernel", ON_TORUS[:3], ids=repr)
def test_kernel_reproduces_values(kernel):
    """``⟨K(· − x), u⟩_V = u(x)`` at grid points: the representative of a Dirac mass."""
    torus = mf.Torus(16, dim=2)
    u, delta = smooth(torus, 3), np.zeros(torus.shape)
    delta[3, 5] = torus.size
    found = kernel.inner(torus, kernel.convolve(torus, delta), u)
    assert found == pytest.approx(u[3, 5], abs=1e-10 * np.abs(u).max())


def test_order_zero_spaces_and_their_relatives():
    torus = mf.Torus(32)
    f = smooth(torus, 5)
    assert mf.DiracKernel().inner(torus, f, f) == pytest.approx(torus.inner(f, f), rel=1e-13)
    for order in (0.5, 2):
        squared = mf.SobolevKernel(order, 0.3).inner(torus, f, f)
        assert squared == pytest.approx(torus.sobolev_norm(f, order, length=0.3) ** 2, rel=1e-12)
    assert mf.SobolevKernel(2).length == 1.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(32, 1), (12, 2)]), st.sampled_from(ON_TORUS[:3]))
def test_divergence_bound(seed, size, kernel):
    torus = mf.Torus(*size)
    v = np.stack([smooth(torus, seed + a) for a in range(torus.dim)])
    divergence = np.abs(torus.divergence(v)).max()
    assert divergence <= kernel.divergence_bound(torus) * kernel.norm(torus, v) * (1 + 1e-12)


def test_divergence_bound_is_attained_by_the_gradient_of_the_kernel():
    for torus in (mf.Torus(33), mf.Torus(15, dim=2)):  # odd: the Nyquist mode has no gradient on the grid
        kernel = mf.SobolevKernel(2.5, 0.2)
        delta = np.zeros(torus.shape)
        delta.flat[0] = torus.size
        v = torus.gradient(kernel.convolve(torus, delta))
        divergence = np.abs(torus.divergence(v)).max()
        assert divergence == pytest.approx(kernel.divergence_bound(torus) * kernel.norm(torus, v), rel=1e-10)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_flow_maps_need_regularity(dim):
    enough = dim / 2 + 1
    mf.SobolevKernel(enough + 0.01).require_flow_map(dim)
    mf.GaussianKernel(0.1).require_flow_map(dim)
    mf.MaternKernel(1.5).require_flow_map(dim)
    for kernel in (mf.SobolevKernel(enough), mf.DiracKernel(), mf.LaplaceKernel(1.0), mf.MaternKernel(0.5)):
        with pytest.raises(ValueError, match=f"dimension {dim} needs a kernel of order s > d/2") as info:
            kernel.require_flow_map(dim)
        assert FORM.fullmatch(str(info.value))


# ---- R^d -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0.5, 1.5, 2.5, 3.5, 10.5])
def test_matern_kernel_is_the_bessel_function(order):
    r = np.linspace(0.01, 3, 50)
    t = np.sqrt(2 * order) * r / 0.8
    expected = 2 ** (1 - order) / gamma(order) * t**order * kv(order, t)
    found = mf.MaternKernel(order, 0.8)(np.zeros((1, 2)), np.stack([0.6 * r, 0.8 * r], axis=1))[0]
    assert np.abs(found - expected).max() <= 1e-13


@pytest.mark.parametrize("kernel", ON_SPACE, ids=repr)
def test_kernels_on_space_are_positive_definite_and_one_at_zero(kernel):
    x = np.random.default_rng(0).random((40, 3))
    matrix = kernel(x, x)
    assert np.array_equal(matrix, matrix.T)
    assert np.all(np.diag(matrix) == 1.0)
    assert np.linalg.eigvalsh(matrix).min() > -1e-13
    assert kernel(x[:5], x).shape == (5, 40)


def test_relatives_of_the_matern_kernel():
    x, y = np.random.default_rng(1).random((2, 20, 2))
    assert np.array_equal(mf.LaplaceKernel(0.3)(x, y), mf.MaternKernel(0.5, 0.3)(x, y))
    distance = np.linalg.norm(x[:, None] - y, axis=2)
    assert np.abs(mf.LaplaceKernel(0.3)(x, y) - np.exp(-distance / 0.3)).max() <= 8 * EPS
    gaussian = mf.GaussianKernel(0.3)(x, y)
    gaps = [np.abs(mf.MaternKernel(order, 0.3)(x, y) - gaussian).max() for order in (2.5, 5.5, 10.5)]
    assert gaps[0] > 1.7 * gaps[1] > 3 * gaps[2]  # the Gaussian is the limit, at order 1/ν
    assert mf.MaternKernel(2.5).regularity(3) == 4.0
    assert mf.LaplaceKernel(1.0).regularity(2) == 1.5


@pytest.mark.parametrize("kernel", ON_SPACE, ids=repr)
def test_closed_form_has_the_slope_of_its_value(kernel):
    form, h = kernel.radial_form(), 1e-6
    for r in (0.3, 1.1):
        value, up, down = (kernel(np.zeros((1, 1)), np.array([[s]]))[0, 0] for s in (r, r + h, r - h))
        t = form.rate * (r * r if form.squared else r)
        slope = np.polyval(form.slope, t) * np.exp(-t) / (t if form.inverse else 1.0) * r
        assert slope == pytest.approx((up - down) / (2 * h), abs=1e-8)
        assert value == pytest.approx(np.polyval(form.value, t) * np.exp(-t), rel=8 * EPS)


def test_bad_parameters_are_refused_in_one_line():
    refused = [
        lambda: mf.SobolevKernel(0), lambda: mf.SobolevKernel(2, -1.0), lambda: mf.SobolevKernel(np.nan),
        lambda: mf.GaussianKernel(0.0), lambda: mf.LaplaceKernel(-1), lambda: mf.MaternKernel(2),
        lambda: mf.MaternKernel(-0.5), lambda: mf.MaternKernel(11.5), lambda: mf.MaternKernel(1.5, 0),
        lambda: mf.GaussianKernel(1e200), lambda: mf.SobolevKernel(2, 1e-200), lambda: mf.LaplaceKernel(1e-80),
    ]  # fmt: skip
    for make in refused:
        with pytest.raises(ValueError, match=r"must (be|lie)") as info:
            make()
        assert FORM.fullmatch(str(info.value))
    for make in (lambda: mf.SobolevKernel("2"), lambda: mf.MaternKernel(True), lambda: mf.LaplaceKernel(None)):
        with pytest.raises(TypeError, match="real number"):
            make()


@pytest.mark.parametrize("kernel", [mf.SobolevKernel(2), mf.GaussianKernel(0.1)])
def test_arguments_the_wrong_way_round_are_refused(kernel):
    torus = mf.Torus(8)
    f = np.ones(8)
    for call in (kernel.convolve, kernel.deconvolve):
        with pytest.raises(TypeError, match=r"torus must be a Torus \(got ndarray\).*the torus first"):
            call(f, torus)


@pytest.mark.parametrize("length", [1e-75, 1e75])
def test_the_longest_and_shortest_lengths_give_numbers(length):
    x, b, torus = np.array([[0.0], [0.3], [0.3]]), np.ones((3, 1)), mf.Torus(8)
    for kernel in (mf.GaussianKernel(length), mf.MaternKernel(10.5, length), mf.LaplaceKernel(length)):
        value, gradient = kernel.convolve_particles(None, x, b)
        np.testing.assert_allclose(value[:, 0], [3, 3, 3] if length > 1 else [1, 2, 2], rtol=1e-12)
        assert np.isfinite(gradient).all()
    for kernel in (mf.GaussianKernel(length), mf.SobolevKernel(3, length)):
        assert np.isfinite(np.hstack([part.ravel() for part in kernel.convolve_particles(torus, x, b)])).all()


def test_fields_of_another_grid_are_refused_in_one_line():
    torus, kernel = mf.Torus(8, dim=2), mf.SobolevKernel(2)
    calls = [
        lambda: kernel.convolve(torus, np.zeros((8, 7))),
        lambda: kernel.deconvolve(torus, np.zeros(8)),
        lambda: kernel.inner(torus, np.zeros((8, 8)), np.zeros((2, 8, 8))),
        lambda: kernel.inner(torus, np.zeros((7, 7)), np.zeros((7, 7))),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="shape") as info:
            call()
        assert FORM.fullmatch(str(info.value))
    with pytest.raises(TypeError, match="array of real numbers"):
        kernel.convolve(torus, 1j * np.ones((8, 8)))
