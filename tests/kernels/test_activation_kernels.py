"""Compiled activations against many digits and against their NumPy twins; and that they are vector code."""

import math
import time

import mpmath
import numba
import numpy as np
import pytest

from meanfield._kernels import activations
from meanfield._kernels.strips import ROW

EPS = np.finfo(float).eps
CODES = {function: code for code, function in enumerate(("relu", "tanh", "erf", "sigmoid", "softplus", "cos"))}
LONG = np.longdouble


def arguments(size=8 * ROW):
    """Values around 0, tiny ones, large ones: a multiple of four strips."""
    rng = np.random.default_rng(3)
    signs = rng.choice([-1.0, 1.0], size)
    spread = np.concatenate([rng.uniform(-8, 8, size // 2), 10.0 ** rng.uniform(-12, 2.4, size - size // 2)])
    return spread * signs


def exact(name, z):
    """Value and derivative to more digits than double."""
    mpmath.mp.dps = 40
    one = mpmath.mpf(1)
    functions = {
        "relu": (lambda t: max(t, 0 * one), lambda t: one * (t > 0)),
        "tanh": (mpmath.tanh, lambda t: mpmath.sech(t) ** 2),
        "erf": (mpmath.erf, lambda t: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-t * t)),
        "sigmoid": (lambda t: one / (1 + mpmath.exp(-t)), lambda t: one / (2 + mpmath.exp(t) + mpmath.exp(-t))),
        "softplus": (lambda t: max(t, 0 * one) + mpmath.log1p(mpmath.exp(-abs(t))), lambda t: 1 / (1 + mpmath.exp(-t))),
        "cos": (mpmath.cos, lambda t: -mpmath.sin(t)),
    }[name]
    # the error is wanted, not the value: round after the difference to the double next to the exact number
    both = [[function(mpmath.mpf(float(t))) for t in z] for function in functions]
    near = [np.array([float(t) for t in side]) for side in both]
    rest = [np.array([float(t - mpmath.mpf(f)) for t, f in zip(side, head)]) for side, head in zip(both, near)]
    return tuple(head.astype(LONG) + tail for head, tail in zip(near, rest))


def passes(name, z):
    """σ(z) and σ'(z) by the compiled pass, which must agree with the pass of values alone."""
    value, slope, alone = z.copy(), np.ones_like(z), z.copy()
    activations.values_and_slopes(CODES[name], value, slope, ROW)
    activations.values(CODES[name], alone, ROW)
    assert np.array_equal(value, alone, equal_nan=True)
    return value, slope


@pytest.mark.parametrize("name", CODES)
def test_accuracy_as_stated(name):
    z = arguments()
    value, slope = passes(name, z)
    exact_value, exact_slope = exact(name, z)
    if name == "cos":
        bounds = (EPS * (1 + abs(z)), EPS * (1 + abs(z)))
    else:
        relative = name in ("sigmoid", "softplus")
        bounds = (3 * EPS * abs(exact_value), 4 * EPS * abs(exact_slope) if relative else 4 * EPS)
    for got, wanted, bound in zip((value, slope), (exact_value, exact_slope), bounds):
        worst = np.max((abs(got - wanted) - bound) / EPS)
        assert worst <= 0, f"{name}: error above the bound by {float(worst):.2g} eps"


@pytest.mark.parametrize("n", [1, 8, 250, ROW])
@pytest.mark.parametrize("name", CODES)
def test_passes_agree_with_their_twins_and_leave_the_rest_alone(name, n):
    rng = np.random.default_rng(n)
    z, q = rng.standard_normal((2, 8 * ROW)) * 3
    for compiled, twin, arrays in (
        (activations.values, activations.values_numpy, (z,)),
        (activations.values_and_slopes, activations.values_and_slopes_numpy, (z, q)),
    ):
        first, second = [a.copy() for a in arrays], [a.copy() for a in arrays]
        compiled(CODES[name], *first, n)
        twin(CODES[name], *second, n)
        for got, wanted, before in zip(first, second, arrays):
            got, wanted, before = (a.reshape(-1, ROW) for a in (got, wanted, before))
            assert np.all(abs(got - wanted)[:, :n] <= 16 * EPS * (1 + abs(wanted[:, :n]) + abs(before[:, :n])))
            assert np.array_equal(got[:, n:], before[:, n:])


@pytest.mark.parametrize("name", CODES)
def test_far_arguments(name):
    """No overflow on the way, the limits at infinity, NaN for NaN."""
    z = np.zeros(4 * ROW)
    z[:8] = [np.nan, np.inf, -np.inf, 1e300, -1e300, 800.0, -800.0, 0.0]
    value, slope = passes(name, z)
    assert np.isnan(value[0])
    if name == "cos":
        assert np.isnan(value[1:3]).all()
        assert np.all(abs(value[3:]) <= 1)
        assert np.all(abs(slope[3:]) <= 1)
        return
    ends = {"relu": (np.inf, 0), "tanh": (1, -1), "erf": (1, -1), "sigmoid": (1, 0), "softplus": (np.inf, 0)}[name]
    slopes = {"relu": (1, 0), "softplus": (1, 0)}.get(name, (0, 0))
    tiny = 1e-290
    assert value[1] == ends[0]
    assert abs(value[2] - ends[1]) <= tiny
    assert np.all(abs(slope[[1, 3, 5]] - slopes[0]) <= tiny)
    assert np.all(abs(slope[[2, 4, 6]] - slopes[1]) <= tiny)
    assert value[5] == min(ends[0], 800.0)
    assert value[3] == min(ends[0], 1e300)


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_odd_functions_are_odd_to_the_bit(name):
    z = arguments()
    assert np.array_equal(passes(name, z)[0], -passes(name, -z)[0])
    assert np.array_equal(passes(name, z)[1], passes(name, -z)[1])


def test_relu_at_its_kink():
    value, slope = passes("relu", np.zeros(4 * ROW))
    assert not value.any()
    assert not slope.any()


def fastest(job, repeats=30):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return min(times)


def test_the_passes_are_vector_code():
    """Ten times faster than calls of the mathematical library here; twice would already be missed by scalar code."""

    @numba.njit
    def library(z):
        for i in range(z.size):
            z[i] = math.tanh(z[i])

    z, q = np.random.default_rng(0).standard_normal((2, 16 * ROW))
    library(z.copy())
    scalar = fastest(lambda: library(z.copy()))
    for name, code in CODES.items():
        ratio = scalar / fastest(lambda code=code: activations.values_and_slopes(code, z.copy(), q.copy(), ROW))
        assert ratio > 2, f"{name}: {ratio:.1f}"
