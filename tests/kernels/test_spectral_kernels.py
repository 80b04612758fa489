"""Compiled kernels against their NumPy twins, and the folder they are cached in."""

import inspect
from pathlib import Path

import numpy as np
import pytest

from meanfield._kernels import _compile, spectral

EPS = np.finfo(float).eps
SIZE = 203


def draw(kind, rng):
    """Arguments of the kernels by kind: r real positive, c complex, s scalar."""
    if kind == "s":
        return float(rng.random())
    real = rng.random(SIZE) + 0.1
    return real if kind == "r" else real + 1j * rng.standard_normal(SIZE)


KERNELS = {  # argument kinds; the last of them are written to, counted by the number
    "etd_first": ("rrsrcc", 0),
    "etd_second": ("rrsrccc", 1),
    "etd_third": ("rrsrccccc", 1),
    "etd_last": ("rrrrsrcccccc", 1),
    "etd_error": ("rsrccc", 0),
    "chebyshev_stage": ("sssssccccc", 0),
}


@pytest.mark.parametrize("name", KERNELS)
def test_exponential_passes_agree_with_their_twins(name):
    kinds, written = KERNELS[name]
    rng = np.random.default_rng(5)
    given = [draw(kind, rng) for kind in kinds]
    results = []
    for function in (getattr(spectral, name), getattr(spectral, f"{name}_numpy")):
        arguments = [np.copy(value) if isinstance(value, np.ndarray) else value for value in given]
        out = np.full(SIZE, np.nan + 0j)
        function(*arguments, out)
        inputs = arguments[: len(arguments) - written]
        assert all(np.array_equal(now, then) for now, then in zip(inputs, given, strict=False)), "an input was changed"
        results.append([out, *arguments[len(arguments) - written :]])
    for compiled, plain in zip(*results, strict=True):
        assert np.abs(compiled - plain).max() <= 16 * EPS * np.abs(plain).max()


@pytest.mark.parametrize("exponent", [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5])
def test_power_agrees_with_its_twin(exponent):
    given = np.concatenate([[0.0, 1e-30], np.random.default_rng(1).random(SIZE) * 40])
    compiled, plain = given.copy(), given.copy()
    spectral.power(compiled, 0.3, int(exponent), exponent % 1 == 0.5)
    spectral.power_numpy(plain, 0.3, int(exponent), exponent % 1 == 0.5)
    assert np.all(np.abs(compiled - plain) <= 8 * EPS * np.abs(plain) + np.finfo(float).tiny)


@pytest.mark.parametrize(
    ("work", "kept"), [((1, 1, 9), (1, 1, 4)), ((1, 12, 7), (1, 5, 3)), ((8, 8, 5), (3, 3, 2)), ((9, 9, 5), (9, 9, 5))]
)
def test_gather_and_scatter_agree_with_their_twins(work, kept):
    rng = np.random.default_rng(2)
    spectrum = rng.standard_normal(work) + 1j * rng.standard_normal(work)
    multiplier = rng.random(kept)
    first, second = (np.full(kept, np.nan + 0j) for _ in range(2))
    spectral.gather(spectrum, multiplier, first)
    spectral.gather_numpy(spectrum, multiplier, second)
    assert np.array_equal(first, second)
    back, twin = (np.full(work, np.nan + 0j) for _ in range(2))
    spectral.scatter(first, back)
    spectral.scatter_numpy(first, twin)
    assert np.array_equal(back, twin)
    again = np.empty(kept, dtype=complex)
    spectral.gather(back, np.ones(kept), again)
    assert np.array_equal(again, first)
    assert np.count_nonzero(back) == first.size


def test_kept_rows_are_the_lowest_wavenumbers():
    frequencies = np.fft.fftfreq(12, 1 / 12)
    assert list(frequencies[spectral.kept_rows(12, 5)]) == [0, 1, 2, -2, -1]
    assert spectral.kept_rows(1, 1) == [0]


def test_squared_norm_and_combine_agree_with_their_twins():
    rng = np.random.default_rng(4)
    coefficients = rng.standard_normal((7, 11)) + 1j * rng.standard_normal((7, 11))
    norm = spectral.squared_norm(coefficients)
    assert norm == pytest.approx(spectral.squared_norm_numpy(coefficients), rel=16 * EPS)
    u, rates, weights = draw("c", rng), np.stack([draw("c", rng) for _ in range(3)]), rng.standard_normal(3)
    compiled, plain = np.empty_like(u), np.empty_like(u)
    spectral.combine(u, 0.3, weights, rates, compiled)
    spectral.combine_numpy(u, 0.3, weights, rates, plain)
    assert np.abs(compiled - plain).max() <= 16 * EPS * np.abs(plain).max()


def test_combine_in_place_and_without_idle_terms():
    rng = np.random.default_rng(8)
    size = spectral.PIECE + 3
    u, rates = rng.standard_normal(size) + 0j, np.full((3, size), np.nan + 0j)
    rates[1] = 1j
    kept = u.copy()
    spectral.combine(u, 2.0, np.array([0.0, 0.5, 0.0]), rates, u)  # zero weights: what lies there is not read
    assert np.array_equal(u, kept + 1j)
    spectral.combine(u, 2.0, np.empty(0), rates, u)
    assert np.array_equal(u, kept + 1j)


COMPACT = pytest.mark.parametrize(
    ("work", "kept"), [((1, 1, 9), (1, 1, 4)), ((1, 12, 7), (1, 5, 3)), ((8, 8, 5), (3, 3, 2))]
)


@COMPACT
def test_slope_and_divergence_agree_with_their_twins(work, kept):
    rng = np.random.default_rng(6)
    dim = sum(m > 1 for m in work)
    spectra = rng.standard_normal((dim, *work)) + 1j * rng.standard_normal((dim, *work))
    vectors = [rng.standard_normal((dim, m)) for m in kept]
    compiled, plain = (np.full(kept, np.nan + 0j) for _ in range(2))
    spectral.gather_divergence(spectra, *vectors, -0.3, compiled)
    spectral.gather_divergence_numpy(spectra, *vectors, -0.3, plain)
    assert np.abs(compiled - plain).max() <= 16 * EPS * np.abs(plain).max()
    there, twin = (np.full(work, np.nan + 0j) for _ in range(2))
    spectral.scatter_slope(plain, *(vector[-1] for vector in vectors), there)
    spectral.scatter_slope_numpy(plain, *(vector[-1] for vector in vectors), twin)
    assert np.abs(there - twin).max() <= 16 * EPS * np.abs(twin).max()
    assert np.count_nonzero(there) == plain.size


def test_products_agree_with_their_twins():
    rng = np.random.default_rng(7)
    a, b, c, d = rng.standard_normal((4, SIZE))
    for name, factors in {"multiply": (a, b), "multiply_add": (a, b, c, d)}.items():
        compiled, plain = np.full(SIZE, np.nan), np.full(SIZE, np.nan)
        getattr(spectral, name)(*factors, compiled)
        getattr(spectral, f"{name}_numpy")(*factors, plain)
        assert np.abs(compiled - plain).max() <= 4 * EPS * np.abs(plain).max()


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("points", [5, spectral.PIECE, 2 * spectral.PIECE + 3])
def test_transport_stage_agrees_with_its_twin(dim, points):
    """On a block that neither begins nor ends with the arrays, whose other entries stay as they are."""
    rng = np.random.default_rng(points)
    low, whole = 7, points + 11
    density, velocity = rng.standard_normal(whole), rng.standard_normal((dim, whole))
    given = rng.standard_normal((dim, whole)), rng.standard_normal((dim, points))
    (gradient, slopes), (twin, twin_slopes) = [[f.copy() for f in given] for _ in range(2)]
    spectral.transport_stage(density, velocity, gradient, low, slopes)
    spectral.transport_stage_numpy(density, velocity, twin, low, twin_slopes)
    for found, plain in ((gradient, twin), (slopes, twin_slopes)):
        assert np.abs(found - plain).max() <= 8 * EPS * dim * np.abs(plain).max()
    assert np.array_equal(gradient[:, :low], given[0][:, :low])
    assert np.array_equal(gradient[:, low + points :], given[0][:, low + points :])
    assert np.array_equal(slopes[1:], given[1][1:])


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("points", [3, spectral.PIECE, 2 * spectral.PIECE + 5])
def test_greatest_sum_agrees_with_its_twin_and_sees_what_is_not_finite(dim, points):
    field = np.random.default_rng(points).standard_normal((dim, points))
    field[:, points // 2] *= -10
    found = spectral.greatest_sum(field)
    assert found == pytest.approx(spectral.greatest_sum_numpy(field), rel=4 * EPS)
    for bad in (np.nan, np.inf, -np.inf):
        for place in (0, points - 1):
            spoilt = field.copy()
            spoilt[-1, place] = bad
            assert np.isnan(spectral.greatest_sum(spoilt))
            assert np.isnan(spectral.greatest_sum_numpy(spoilt))


def test_every_kernel_has_a_twin_and_a_test():
    kernels = {name for name, value in vars(spectral).items() if hasattr(value, "py_func")}
    twins = {name.removesuffix("_numpy") for name, value in vars(spectral).items() if name.endswith("_numpy")}
    others = {
        "power", "gather", "scatter", "squared_norm", "combine", "scatter_slope", "gather_divergence",
        "multiply", "multiply_add", "transport_stage", "greatest_sum",
    }  # fmt: skip
    assert kernels == twins == set(KERNELS) | others
    for name in kernels:
        assert inspect.signature(getattr(spectral, name).py_func) == inspect.signature(
            getattr(spectral, f"{name}_numpy")
        )


def test_cache_folder_carries_a_digest_of_the_sources(tmp_path, monkeypatch):
    sources = tmp_path / "kernels"
    sources.mkdir()
    (sources / "a.py").write_text("x = 1\n")
    (sources / "b.py").write_text("y = 1\n")
    monkeypatch.setattr(_compile, "__file__", str(sources / "a.py"))
    monkeypatch.setenv("MEANFIELD_CACHE_DIR", str(tmp_path))
    before = _compile.cache_folder()
    assert before.parent == tmp_path / "meanfield"
    assert _compile.cache_folder() == before
    (sources / "b.py").write_text("y = 2\n")  # a callee in another file
    after = _compile.cache_folder()
    assert after != before
    assert after.is_dir()


def test_cache_folder_falls_back_to_a_temporary_one(tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("a file where the folder should be\n")
    monkeypatch.setenv("MEANFIELD_CACHE_DIR", str(tmp_path / "taken"))
    folder = _compile.cache_folder()
    assert folder.is_dir()
    assert folder.name.startswith("meanfield-kernels-")
    folder.rmdir()


def test_kernels_are_cached_there_and_the_users_setting_is_put_back():
    import numba

    cached = Path(spectral.power._cache.cache_path)
    assert Path(_compile._FOLDER) in [cached, *cached.parents]
    assert numba.config.CACHE_DIR != _compile._FOLDER
