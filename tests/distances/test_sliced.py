"""Sliced W₂: stored directions, closed forms, POT on the same directions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield.distances import default_directions, sliced_wasserstein, wasserstein

seeds = st.integers(0, 2**32 - 1)


def cloud(rng, n, dim, *, weighted=False):
    return mf.ParticleMeasure(rng.normal(size=(n, dim)), rng.dirichlet(np.ones(n)) if weighted else None)


@pytest.mark.parametrize("dim", [1, 2, 3, 5, 11])
def test_default_directions_are_orthonormal_frames(dim):
    directions = default_directions(dim)
    assert directions.shape == ((32 * dim, dim) if dim > 1 else (1, 1))
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(directions.T @ directions / len(directions), np.eye(dim) / dim, atol=1e-14)
    assert directions is default_directions(dim)
    assert not directions.flags.writeable


def test_stored_directions_do_not_change():
    """The first direction in R^3, up to its sign: another one would change every stored result."""
    first = [0.1609400465586488, 0.5448893952007093, 0.8229178867976471]
    np.testing.assert_allclose(np.abs(default_directions(3)[0]), first, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_pot_on_the_same_directions(weighted):
    import ot

    rng = np.random.default_rng(1)
    mu, nu = cloud(rng, 40, 3, weighted=weighted), cloud(rng, 40, 3, weighted=weighted)
    directions = rng.normal(size=(20, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    theirs = ot.sliced_wasserstein_distance(
        mu.positions, nu.positions, mu.weights, nu.weights, projections=directions.T, p=2
    )
    assert sliced_wasserstein(mu, nu, directions=directions) == pytest.approx(float(theirs), rel=1e-10)


@settings(deadline=None, max_examples=30)
@given(seeds, st.booleans())
def test_it_is_a_pseudo_distance_below_w2(seed, weighted):
    rng = np.random.default_rng(seed)
    dim = int(rng.integers(1, 5))
    a, b, c = (cloud(rng, int(n), dim, weighted=weighted) for n in rng.integers(1, 15, 3))
    ab = sliced_wasserstein(a, b)
    assert sliced_wasserstein(a, a) == 0.0
    assert ab == pytest.approx(sliced_wasserstein(b, a), rel=1e-9)
    assert ab <= sliced_wasserstein(a, c) + sliced_wasserstein(c, b) + 1e-12
    assert ab <= wasserstein(a, b) / math.sqrt(dim) * (1 + 1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3, 7])
def test_a_translate_is_at_its_length_over_root_d(dim):
    rng = np.random.default_rng(dim)
    mu, shift = cloud(rng, 30, dim), rng.normal(size=dim)
    nu = mf.ParticleMeasure(mu.positions + shift)
    assert sliced_wasserstein(mu, nu) == pytest.approx(np.linalg.norm(shift) / math.sqrt(dim), rel=1e-13)


def test_the_mean_over_the_circle_is_met():
    """δ_0 and two atoms at ±e: the square is the mean of cos² over the circle, 1/2; exact for equally spaced angles."""
    mu, nu = mf.ParticleMeasure([[0.0, 0.0]]), mf.ParticleMeasure([[1.0, 0.0], [-1.0, 0.0]])
    assert sliced_wasserstein(mu, nu) == pytest.approx(math.sqrt(0.5), rel=1e-14)


def test_threads_do_not_change_a_bit():
    rng = np.random.default_rng(2)
    mu, nu = cloud(rng, 500, 3), cloud(rng, 500, 3)
    values = set()
    try:
        for threads in (1, 2, 4):
            mf.parallel.set_threads(threads)
            values.add(sliced_wasserstein(mu, nu))
    finally:
        mf.parallel.set_threads(mf.parallel._default())
    assert len(values) == 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda mu: sliced_wasserstein(mu, mf.ParticleMeasure([[0.0]])), ValueError, r"one space.*R\^2 and R\^1"),
        (lambda mu: sliced_wasserstein(*2 * [mf.ParticleMeasure([[0.0]], torus=mf.Torus(8))]), ValueError, "slices"),
        (lambda mu: sliced_wasserstein(mu, mu, directions=[[1.0, 1.0]]), ValueError, "unit vectors.*1.41"),
        (lambda mu: sliced_wasserstein(mu, mu, directions=[1.0, 0.0]), ValueError, r"shape \(K, 2\)"),
        (lambda mu: sliced_wasserstein(mu, mu, directions=np.ones((0, 2))), ValueError, r"K >= 1"),
        (lambda mu: sliced_wasserstein(mu, mf.ParticleMeasure([[1e200, 0.0]])), ValueError, "must be finite"),
        (lambda mu: sliced_wasserstein(mu, 3), TypeError, "ParticleMeasures.*int"),
        (lambda mu: default_directions(0), ValueError, "at least 1"),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call(mf.ParticleMeasure([[0.0, 1.0], [2.0, 0.0]]))
    assert "\n" not in str(caught.value)
