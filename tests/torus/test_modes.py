"""Kept modes: pruned transforms against full ones, products of degree p free of aliasing, bits over threads."""

import functools
import threading

import numpy as np
import pytest

import meanfield as mf
from meanfield import parallel
from meanfield.torus import Modes

EPS = np.finfo(float).eps
CASES = [
    (n, dim, degree) for n, dim in [(24, 1), (25, 1), (16, 2), (17, 2), (8, 3), (11, 3)] for degree in (1, 2, 3, 5)
]
CASE = pytest.mark.parametrize(("n", "dim", "degree"), CASES)


def wavenumbers(modes):
    """Integer wavenumbers of a compact array, one array (compact shape) an axis."""
    return np.broadcast_arrays(*[np.rint(k / (2 * np.pi)).astype(int) for k in modes.wavenumbers])


def full(modes, f):
    """The full transform of f restricted to the kept modes."""
    return np.fft.fftn(f, norm="forward")[tuple(wavenumbers(modes))]


def band_limited(modes, rng):
    """A random real field that holds kept modes only, and its compact coefficients."""
    coefficients = full(modes, rng.standard_normal(modes.torus.shape))
    spectrum = np.zeros(modes.torus.shape, dtype=complex)
    k = wavenumbers(modes)
    spectrum[tuple(-axis for axis in k)] = np.conj(coefficients)
    spectrum[tuple(k)] = coefficients
    return np.fft.ifftn(spectrum, norm="forward").real, coefficients


@CASE
def test_the_kept_modes_are_those_below_the_cut(n, dim, degree):
    modes = Modes(mf.Torus(n, dim), degree)
    k = wavenumbers(modes)
    below = [j for j in range(-n, n) if (degree + 1) * abs(j) < n]
    assert k[0].shape == modes.shape
    for axis in range(dim - 1):
        assert sorted(set(k[axis].ravel())) == below
    assert sorted(set(k[-1].ravel())) == [j for j in below if j >= 0]
    squared = (2 * np.pi) ** 2 * sum(axis.astype(float) ** 2 for axis in k)
    assert np.abs(modes.squared_wavenumber - squared).max() <= 8 * EPS * max(squared.max(), 1)
    np.testing.assert_allclose(modes.diffusion, -squared / n**dim, rtol=8 * EPS)


@CASE
def test_pruned_transform_is_the_full_one_restricted(n, dim, degree):
    modes = Modes(mf.Torus(n, dim), degree)
    f = np.random.default_rng(n).standard_normal((n,) * dim)
    kept = f.copy()
    found = modes.forward(f)
    assert np.abs(found - full(modes, f)).max() <= 16 * EPS * np.abs(f).max()
    assert np.array_equal(f, kept)
    out = np.empty(modes.shape, dtype=complex)
    assert modes.forward(f, out=out) is out
    assert np.array_equal(out, found)
    assert np.array_equal(modes.forward(np.asfortranarray(f)), found)


@CASE
def test_round_trips(n, dim, degree):
    modes = Modes(mf.Torus(n, dim), degree)
    f, coefficients = band_limited(modes, np.random.default_rng(n))
    values = modes.inverse(coefficients)
    scale = max(np.abs(f).max(), 1e-300)
    assert np.abs(values - f).max() <= 32 * EPS * scale
    assert np.abs(modes.forward(values) - coefficients).max() <= 32 * EPS * scale
    modes.forward(np.random.default_rng(0).standard_normal(modes.torus.shape))  # leaves the scratch full
    assert np.array_equal(modes.inverse(coefficients), values)


@CASE
def test_parseval(n, dim, degree):
    modes = Modes(mf.Torus(n, dim), degree)
    f, coefficients = band_limited(modes, np.random.default_rng(n))
    assert modes.squared_norm(coefficients) == pytest.approx(np.mean(f**2), rel=64 * EPS)
    k_d = wavenumbers(modes)[-1]
    weighted = np.sum(np.broadcast_to(modes.weights, modes.shape) * np.abs(coefficients) ** 2)
    assert weighted == pytest.approx(np.mean(f**2), rel=64 * EPS)
    assert np.array_equal(np.broadcast_to(modes.weights, modes.shape), np.where(k_d == 0, 1, 2))


@CASE
def test_products_of_the_degree_are_free_of_aliasing(n, dim, degree):
    """Coefficients of a product of p band-limited fields equal the convolution, formed on a grid fine enough for it."""
    modes = Modes(mf.Torus(n, dim), degree)
    rng = np.random.default_rng(n + degree)
    factors = [band_limited(modes, rng) for _ in range(degree)]
    product = functools.reduce(np.multiply, [f for f, _ in factors])
    fine = 2 * degree * (modes.kept - 1) + 1  # resolves the whole product
    fine_torus = mf.Torus(max(fine, 4), dim)
    k = tuple(wavenumbers(modes))
    exact = np.ones(fine_torus.shape)
    for _, coefficients in factors:
        spectrum = np.zeros(fine_torus.shape, dtype=complex)
        spectrum[tuple(-axis for axis in k)] = np.conj(coefficients)
        spectrum[k] = coefficients
        exact = exact * np.fft.ifftn(spectrum, norm="forward").real
    convolution = np.fft.fftn(exact, norm="forward")[k]
    # n^d terms; products of sup norms bound every intermediate number
    scale = np.prod([np.abs(f).max() for f, _ in factors])
    assert np.abs(modes.forward(product) - convolution).max() <= 64 * EPS * degree * scale


@pytest.mark.parametrize(("n", "degree"), [(24, 2), (24, 3), (25, 2), (27, 2), (16, 3)])
def test_one_mode_more_would_be_aliased(n, degree):
    """The cut is sharp: |k| = K with (p+1)K >= n comes back on a kept mode or on itself."""
    kept = Modes(mf.Torus(n), degree).kept
    assert (degree + 1) * kept >= n > (degree + 1) * (kept - 1)
    x = mf.Torus(n).points[0]
    spectrum = np.fft.fft(np.cos(2 * np.pi * kept * x) ** degree, norm="forward")
    fine = np.fft.fft(np.cos(2 * np.pi * kept * np.arange(256) / 256) ** degree, norm="forward")
    assert np.abs(spectrum[: kept + 1] - fine[: kept + 1]).max() > 0.05


@CASE
def test_through_is_inverse_pointwise_forward(n, dim, degree):
    modes = Modes(mf.Torus(n, dim), degree)
    f, coefficients = band_limited(modes, np.random.default_rng(n))

    def cube(values):
        values *= values * values

    kept, out = coefficients.copy(), np.empty(modes.shape, dtype=complex)
    multiplier = modes.diffusion
    found = modes.through(coefficients, cube, multiplier=multiplier, out=out)
    plain = full(modes, f**3) * multiplier * n**dim
    assert found is out
    assert np.abs(found - plain).max() <= 64 * EPS * np.abs(f).max() ** 3 * max(np.abs(multiplier).max() * n**dim, 1)
    assert np.array_equal(coefficients, kept)
    assert np.array_equal(modes.forward(modes.inverse(coefficients), pointwise=cube, multiplier=multiplier), out)


def everything(n, dim):
    """Bits of every transform at a size that is cut into several chunks."""
    modes = Modes(mf.Torus(n, dim), 3)
    assert len(parallel.chunks(n, n**dim)) > 2
    f = 1 + np.random.default_rng(0).random(modes.torus.shape)

    def cube(values):
        values *= values * values

    coefficients = modes.forward(f)
    result = modes.through(coefficients, cube, multiplier=modes.diffusion, out=np.empty_like(coefficients))
    return coefficients, modes.inverse(coefficients), result, modes.squared_norm(coefficients)


@pytest.mark.parametrize(("n", "dim"), [(512, 2), (60, 3)])
def test_same_bits_for_every_number_of_threads(n, dim):
    before, found = parallel.get_threads(), []
    try:
        for number in (1, 2, 4):
            parallel.set_threads(number)
            found.append(everything(n, dim))
    finally:
        parallel.set_threads(before)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_scratch_is_made_before_threads_ask_for_it(monkeypatch):
    """From Python 3.12 on a cached property has no lock: threads that ask together each make their own."""
    makers = []
    for scratch in (vars(Modes)["_half_spectra"], vars(Modes)["_values"]):

        def make(modes, original=scratch.func):
            makers.append(threading.current_thread())
            return original(modes)

        monkeypatch.setattr(scratch, "func", make)
    before = parallel.get_threads()
    try:
        parallel.set_threads(2)
        everything(512, 2)
        modes = Modes(mf.Torus(512, 2), 3)
        zero, out = np.zeros(modes.shape, complex), np.empty(modes.shape, complex)
        modes.through(zero, lambda values: None, multiplier=modes.diffusion, out=out)
    finally:
        parallel.set_threads(before)
    assert set(makers) == {threading.main_thread()}


@pytest.mark.parametrize(("n", "dim"), [(24, 1), (25, 1), (16, 2), (17, 2), (8, 3), (9, 3)])
def test_derivatives_and_divergence(n, dim):
    """``div(f_1, …, f_d) = Σ ∂_a f_a``: by the slopes, one at a time, and by the full transform."""
    modes = Modes(mf.Torus(n, dim), 2)
    rng = np.random.default_rng(n)
    field = rng.standard_normal((dim, *modes.torus.shape))
    for spectrum, component in zip(modes.spectra, field, strict=True):
        for slab in spectrum.slabs:
            spectrum.forward_slab(component[slab], slab)
    found = np.empty(modes.shape, dtype=complex)
    modes.divergence(-0.5 / modes.torus.size, found)
    plain = -0.5 * sum(1j * k * full(modes, f) for k, f in zip(modes.wavenumbers, field, strict=True))
    scale = 2 * np.pi * n * np.abs(field).max()
    assert np.abs(found - plain).max() <= 16 * EPS * scale
    f, coefficients = band_limited(modes, rng)
    for axis, spectrum in enumerate(modes.spectra):
        slope = np.empty(modes.torus.shape)
        spectrum.scatter(coefficients, axis)
        for slab in spectrum.slabs:
            spectrum.inverse_slab(slab, slope[slab])
        plain = modes.torus.gradient(f)[axis]
        assert np.abs(slope - plain).max() <= 64 * EPS * 2 * np.pi * n * np.abs(f).max()


@pytest.mark.parametrize(("n", "dim"), [(24, 1), (25, 1), (16, 2), (17, 2), (8, 3), (9, 3)])
def test_convolution_keeps_every_mode(n, dim):
    modes, kernel = Modes(mf.Torus(n, dim), 2), mf.SobolevKernel(order=1, length=0.1)
    f = np.random.default_rng(n).standard_normal(modes.torus.shape)
    kept, out = f.copy(), np.empty_like(f)
    modes.spectra[0].convolve(f, kernel.multiplier(modes.torus) / f.size, out)
    assert np.abs(out - kernel.convolve(modes.torus, f)).max() <= 16 * EPS * np.abs(f).max()
    assert np.array_equal(f, kept)
