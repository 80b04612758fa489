"""Distances of nearly parallel unit vectors: compiled against NumPy, and against the exact ones."""

import numpy as np
import pytest

from meanfield._kernels.line_gaps import line_gaps, line_gaps_numpy

EPS = np.finfo(float).eps


def units(rng, number, dim):
    rows = rng.standard_normal((number, dim))
    return rows / np.linalg.norm(rows, axis=1)[:, None]


@pytest.mark.parametrize("dim", [1, 2, 7, 8, 19, 100])
def test_kernel_agrees_with_its_twin(dim):
    rng = np.random.default_rng(dim)
    u, v = units(rng, 9, dim), units(rng, 5, dim)
    v[1], v[3] = u[2], -u[4]
    v[2] = u[7] + 1e-4 * v[2]
    for near in (0.0, 1e-5, 3.0):
        found, expected = (function(u, v, u @ v.T, near) for function in (line_gaps, line_gaps_numpy))
        assert np.abs(found - expected).max() <= 8 * dim * EPS
        assert near == 0.0 or (found[2, 1] == 0.0 and found[4, 3] == 0.0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_small_gaps_keep_their_digits(sign):
    angles = np.logspace(-12, -3, 10)
    u = np.array([[1.0, 0.0]])
    v = sign * np.column_stack([np.cos(angles), np.sin(angles)])
    gap = line_gaps(u, v, u @ v.T, 1e-5)
    assert np.abs(np.sqrt(gap[0]) / (2 * np.sin(angles / 2)) - 1).max() <= 4 * EPS
