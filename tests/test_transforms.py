"""Fourier transforms: both backends against NumPy and against direct sums, and the choice between them."""

import re

import numpy as np
import pytest

from meanfield import transforms

EPS = np.finfo(float).eps
FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")


def backends():
    try:
        return [transforms.choose("scipy"), transforms.choose("ducc0")]
    except ValueError:
        return [transforms.choose("scipy")]


@pytest.fixture(params=backends(), ids=lambda backend: backend.name)
def backend(request):
    return request.param


def close(a, b, terms):
    """Equal up to the rounding of an FFT: eps times log of the length, in the largest entry."""
    assert np.abs(a - b).max() <= 4 * EPS * max(1, np.log2(terms)) * np.abs(b).max()


@pytest.mark.parametrize("n", [4, 5, 12, 27, 64, 101])
def test_last_axis_agrees_with_numpy(backend, n):
    f = np.random.default_rng(n).standard_normal((3, 2, n))
    kept, modes = f.copy(), np.empty((3, 2, n // 2 + 1), dtype=complex)
    backend.forward_real(f, modes)
    close(modes, np.fft.rfft(f), n)
    assert np.array_equal(f, kept)
    kept, back = modes.copy(), np.empty_like(f)
    backend.inverse_real(modes, back)
    close(back, n * f, n)
    assert np.array_equal(modes, kept)


@pytest.mark.parametrize("n", [4, 5, 12, 27, 64, 101])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_complex_transforms_agree_with_numpy_on_views(backend, n, axis):
    rng = np.random.default_rng(n)
    shape = [4, 5, 6]
    shape[axis] = n
    whole = rng.standard_normal((2 * shape[0], shape[1], shape[2] + 3)) + 1j * rng.standard_normal(1)
    view = whole[::2, :, 1:-2]
    f, outside = view.copy(), whole[1::2].copy()
    backend.forward(view, axis)
    close(view, np.fft.fft(f, axis=axis), n)
    backend.inverse(view, axis)
    close(view, n * f, n)
    assert np.array_equal(whole[1::2], outside)


@pytest.mark.parametrize("shape", [(9,), (8,), (7, 7), (6, 5), (5, 5, 5)])
def test_evaluation_is_the_direct_sum(backend, shape):
    rng = np.random.default_rng(7)
    modes = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    points = rng.random((23, len(shape)))
    k = np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in shape], indexing="ij")
    phase = sum(np.multiply.outer(points[:, a], k[a]) for a in range(len(shape)))
    direct = np.sum(modes * np.exp(2j * np.pi * phase), axis=tuple(range(1, len(shape) + 1)))
    found = backend.plan(points, modes.shape, 1e-13).evaluate(modes)
    assert np.abs(found - direct).max() <= 1e-12 * np.abs(modes).sum()


def test_backends_agree():
    if len(backends()) < 2:
        pytest.skip("one backend installed")
    f = np.random.default_rng(3).standard_normal((16, 32))
    first, second = (np.empty((16, 17), dtype=complex) for _ in range(2))
    for backend, out in zip(backends(), (first, second), strict=True):
        backend.forward_real(f, out)
        backend.forward(out, 0)
    close(first, second, f.size)


def test_a_backend_is_deterministic(backend):
    f = np.random.default_rng(3).standard_normal((8, 257))
    outs = [np.empty((8, 129), dtype=complex) for _ in range(2)]
    for out in outs:
        backend.forward_real(f, out)
        backend.forward(out, 0)
    assert np.array_equal(*outs)


def test_description_names_library_and_version(backend):
    assert re.fullmatch(r"(scipy\.fft \d[\w.]+, finufft \d[\w.]+|ducc0 \d[\w.]+)", backend.description)


def test_choice(monkeypatch):
    assert transforms.choose("scipy").name == "scipy"
    monkeypatch.setattr(transforms.util, "find_spec", lambda name: None)
    assert transforms.choose().name == "scipy"
    with pytest.raises(ValueError, match="ducc0 must be installed") as info:
        transforms.choose("ducc0")
    assert FORM.fullmatch(str(info.value))
    monkeypatch.setattr(transforms.util, "find_spec", lambda name: object())
    assert transforms.choose().name == transforms.choose("ducc0").name == "ducc0"
    with pytest.raises(ValueError, match="got 'fftw'") as info:
        transforms.choose("fftw")
    assert FORM.fullmatch(str(info.value))
