"""Compiled kernels of particles against their NumPy twins, and the vectors and the exponential they are made of."""

import inspect

import numba
import numpy as np
import pytest

from meanfield._kernels import pairs
from meanfield._kernels.vector_math import exp
from meanfield._kernels.vectors import larger, load, nearest, splat, square_root, store, total

EPS = np.finfo(float).eps
LANES = pairs.LANES


# ---- vectors ---------------------------------------------------------------------------------------------------------


@numba.njit(error_model="numpy")
def exponentials(x, out):
    for i in range(0, x.size, 8):
        store(out, i, exp(load(x, i, 8)))


@numba.njit(error_model="numpy")
def arithmetic(x, y, out):
    a, b = load(x, 0, 4), load(y, 0, 4)
    store(out, 0, a + b)
    store(out, 4, a - b)
    store(out, 8, a * b)
    store(out, 12, a / b)
    store(out, 16, larger(a, b))
    store(out, 20, nearest(a))
    store(out, 24, square_root(b))
    store(out, 28, splat(total(a), a))


def test_exponential_is_accurate_to_two_eps():
    x = np.concatenate([np.linspace(-708, 708, 80_000), np.linspace(-1, 1, 40_000), -np.logspace(-300, 2, 8_000)])
    found = np.empty_like(x)
    exponentials(x, found)
    exact = np.exp(x.astype(np.longdouble))
    assert np.max(np.abs(found - exact) / exact) <= 2 * EPS


def test_exponential_of_very_negative_numbers_is_negligible_and_of_zero_is_one():
    x = np.array([0.0, -0.0, -708.0, -709.0, -745.0, -1e4, -1e300, -np.inf])
    found = np.empty_like(x)
    exponentials(x, found)
    assert np.array_equal(found[:2], [1.0, 1.0])
    assert np.all(found[3:] == found[2])
    assert 0 < found[2] < 1e-307


def test_vectors_do_what_numpy_does():
    x, y = np.array([1.5, -2.5, 0.1, 7.0]), np.array([0.3, 2.0, 5.0, 9.0])
    out = np.empty(32)
    arithmetic(x, y, out)
    expected = [x + y, x - y, x * y, x / y, np.maximum(x, y), np.rint(x), np.sqrt(y)]
    assert np.array_equal(out[:28], np.concatenate(expected))
    assert np.abs(out[28:] - x.sum()).max() <= 4 * EPS * np.abs(x).sum()


# ---- pairs -----------------------------------------------------------------------------------------------------------

FORMS = {  # rate, squared, inverse, value form, slope form
    "Gaussian": (3.0, True, False, (1.0,), (-6.0,)),
    "Matern 5/2": (2.0, False, False, (1 / 3, 1.0, 1.0), (-4 / 3, -4 / 3)),
    "Laplace": (1.5, False, True, (1.0,), (-2.25,)),
}


def clouds(number, sources, dim, components, seed=0):
    """Targets as columns, sources of which the first is a target, strengths."""
    rng = np.random.default_rng(seed)
    targets, y = rng.random((dim, number)), rng.random((sources, dim))
    y[0] = targets[:, 0]
    return targets, y, rng.standard_normal((sources, components))


def outputs(number, dim, components):
    """Sums that are already there, to be added to."""
    return np.full((components, number), 0.5), np.full((components, dim, number), -0.25)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(("dim", "components", "sources"), [(1, 1, 1), (2, 1, 33), (3, 3, 32), (2, 2, 31), (7, 2, 70)])
def test_radial_pairs_agree_with_their_twin(name, dim, components, sources):
    rate, squared, inverse, value_form, slope_form = FORMS[name]
    given = clouds(2 * LANES, sources, dim, components)
    results = []
    for function in (pairs.radial_pairs, pairs.radial_pairs_numpy):
        kept = [array.copy() for array in given]
        value, gradient = outputs(2 * LANES, dim, components)
        function(*kept, rate, squared, inverse, np.array(value_form), np.array(slope_form), value, gradient)
        assert all(np.array_equal(now, then) for now, then in zip(kept, given, strict=True)), "an input was changed"
        results.append((value, gradient))
    scale = sources * max(1.0, abs(slope_form[0]))
    for compiled, plain in zip(*results, strict=True):
        assert np.abs(compiled - plain).max() <= 16 * EPS * scale


@pytest.mark.parametrize("images", [0, 1, 3])
@pytest.mark.parametrize(("dim", "components", "sources"), [(1, 1, 5), (2, 2, 33), (3, 1, 70)])
def test_periodic_pairs_agree_with_their_twin(images, dim, components, sources):
    targets, y, b = clouds(LANES, sources, dim, components)
    rate = {0: 100.0, 1: 20.0, 3: 2.0}[images]
    results = []
    for function in (pairs.periodic_pairs, pairs.periodic_pairs_numpy):
        value, gradient = outputs(LANES, dim, components)
        function(3 * targets - 1, y, b, rate, images, value, gradient)
        results.append((value, gradient))
    for compiled, plain in zip(*results, strict=True):
        assert np.abs(compiled - plain).max() <= 64 * EPS * sources * max(1.0, rate)


def test_add_block_agrees_with_its_twin():
    rng = np.random.default_rng(1)
    kernel, slopes = rng.random(pairs.BLOCK * LANES), rng.random(2 * pairs.BLOCK * LANES)
    b, results = rng.standard_normal((40, 3)), []
    for function in (pairs.add_block, pairs.add_block_numpy):
        value, gradient = outputs(2 * LANES, 2, 3)
        function(kernel, slopes, b, 9, 30, LANES, value, gradient)
        results.append((value, gradient))
    for compiled, plain in zip(*results, strict=True):
        assert np.abs(compiled - plain).max() <= 32 * EPS * np.abs(b).sum()
        assert np.all(compiled[..., :LANES] == compiled[0, ..., :1].flat[0]), "another column was written to"


def test_a_target_has_the_same_bits_in_any_company():
    targets, y, b = clouds(4 * LANES, 50, 2, 2)
    form = (3.0, True, False, np.ones(1), -6 * np.ones(1))
    whole, part = outputs(4 * LANES, 2, 2), outputs(LANES, 2, 2)
    pairs.radial_pairs(targets, y, b, *form, *whole)
    pairs.radial_pairs(np.ascontiguousarray(targets[:, 40 : 40 + LANES]), y, b, *form, *part)
    for all_of_it, some in zip(whole, part, strict=True):
        assert np.array_equal(all_of_it[..., 40 : 40 + LANES], some)


def test_every_kernel_has_a_twin():
    kernels = {name for name, value in vars(pairs).items() if hasattr(value, "targetoptions")}
    kernels = {name for name in kernels if getattr(pairs, name).py_func.__module__ == pairs.__name__}
    twins = {name.removesuffix("_numpy") for name in vars(pairs) if name.endswith("_numpy")}
    assert kernels == twins
    for name in kernels:
        assert inspect.signature(getattr(pairs, name).py_func) == inspect.signature(getattr(pairs, f"{name}_numpy"))
