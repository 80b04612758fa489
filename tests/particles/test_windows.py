"""Windows of the non-uniform FFT: the errors they are chosen by, measured mode by mode."""

import re

import numpy as np
import pytest

from meanfield._kernels.nonuniform import gather_numpy, lanes_of
from meanfield.particles import windows

EPS = np.finfo(float).eps
FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")


def errors(n, family, k):
    """Greatest error of ``cos 2πkx`` and of its derivative, relative to 1 and 2πk, interpolated by a window."""
    window = windows.build(n, family)
    x = np.random.default_rng(k).random((400, 1))
    modes = np.zeros(window.cells, dtype=complex)
    modes[[k, -k]] = 0.5 * window.correction[[k, -k]].conj()
    grid = window.cells * np.fft.ifft(modes).real
    value, slope = np.empty((400, 1)), np.empty((400, 1, 1))
    padded = np.concatenate([grid, grid[: lanes_of(window.width)]])[None]
    gather_numpy(x, window.table, window.cells, padded, value, slope)
    wave = 2 * np.pi * k
    value_error = np.abs(value - np.cos(wave * x)).max()
    return value_error, np.abs(window.cells * slope[:, :, 0] / wave + np.sin(wave * x)).max()


@pytest.mark.parametrize("family", windows.FAMILIES, ids=lambda family: str(family.width))
@pytest.mark.parametrize("n", [33, 130])
def test_errors_of_a_family_are_the_stated_ones(family, n):
    top = (n - 1) // 2
    found = np.array([errors(n, family, k) for k in (1, 2, top // 2, top - 1, top)])
    cells = windows.build(n, family).cells
    rounding = 16 * EPS * n
    stated = np.array([family.value_error, family.slope_error * cells])
    assert np.all(found.max(axis=0) <= stated + rounding)
    assert np.all(found.max(axis=0) >= stated / 50), "a better family than stated: state it"


def test_the_cheapest_sufficient_window_is_chosen():
    assert [windows.choose(129, tolerance).width for tolerance in (1e-3, 1e-7, 1e-9, 1e-12)] == [8, 12, 14, 16]
    assert windows.choose(33, 1e-9).width < windows.choose(4097, 1e-9).width
    window = windows.choose(129, 1e-9)
    assert window is windows.choose(129, 1e-9)
    assert window.cells >= 1.75 * 129
    assert not window.table.flags.writeable
    assert not window.correction.flags.writeable


def test_a_tolerance_out_of_reach_is_refused():
    for n, tolerance in ((129, 1e-15), (2**20, 1e-9)):
        with pytest.raises(ValueError, match="tolerance") as info:
            windows.choose(n, tolerance)
        assert FORM.fullmatch(str(info.value))


def test_window_and_its_slope():
    z, h = np.linspace(-5, 5, 1001), 1e-5
    value, slope = windows.profile(z, 8, 18.0)
    assert value.max() == value[500] == pytest.approx(1.0, abs=4 * EPS)
    assert np.all(value[np.abs(z) >= 4] == 0)
    assert np.all(slope[np.abs(z) >= 4] == 0)
    inside = np.abs(z) < 3.99
    difference = (windows.profile(z + h, 8, 18.0)[0] - windows.profile(z - h, 8, 18.0)[0]) / (2 * h)
    assert np.abs(difference - slope)[inside].max() <= 10 * h**2 + 4 * EPS / h
