"""States: validated at the door, read-only, described by their numbers."""

import re

import numpy as np
import pytest

import meanfield as mf
from meanfield.measures import density_from_solver

FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")


def test_values_are_copied_and_read_only():
    given = np.ones((8, 8))
    density = mf.TorusDensity(given, mf.Torus(8, dim=2))
    given[0, 0] = 7.0
    assert density.values[0, 0] == 1.0
    assert given.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        density.values[0, 0] = 2.0
    with pytest.raises(AttributeError):
        density.values = given
    assert density.values.flags.c_contiguous
    assert mf.TorusDensity(
        np.asfortranarray(np.random.default_rng(0).random((8, 8))), mf.Torus(8, 2)
    ).values.flags.c_contiguous


def test_mass_and_normalisation():
    torus = mf.Torus(16)
    density = torus.density(lambda x: 3 + np.cos(2 * np.pi * x))
    assert density.mass == pytest.approx(3, abs=1e-15)
    assert mf.TorusDensity(density.values, torus, normalise=True).mass == pytest.approx(1, abs=1e-15)
    assert mf.TorusDensity(density.values, torus).mass == density.mass
    assert torus.density([0.0] * 15 + [1.0]).mass == 1 / 16  # a density may vanish


def test_integers_become_floats():
    density = mf.TorusDensity(np.arange(1, 9), mf.Torus(8))
    assert density.values.dtype == np.float64


def test_repr():
    density = mf.Torus(64).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))
    assert repr(density) == "TorusDensity(mass=1, min=0.5, max=1.5, torus=Torus(n=64, dim=1, spacing=0.015625))"


def test_densities_compare_by_identity_and_can_be_keys():
    one, two = (mf.Torus(8).density(lambda x: 1) for _ in range(2))
    assert one != two
    assert len({one, two, one}) == 2


def test_a_solvers_values_are_taken_over():
    values = np.ones(8)
    density = density_from_solver(values, mf.Torus(8))
    assert density.values is values
    assert not values.flags.writeable
    assert isinstance(density, mf.TorusDensity)
    assert repr(density) == repr(mf.Torus(8).density(np.ones(8)))


@pytest.mark.parametrize(
    ("values", "error", "names"),
    [
        (np.ones(7), ValueError, "shape"),
        (np.ones((8, 8)), ValueError, "shape"),
        ([1, 1, 1, -1e-300, 1, 1, 1, 1], ValueError, "non-negative.*index \\(3,\\)"),
        ([1, 1, np.nan, 1, 1, 1, 1, 1], ValueError, "finite.*nan at index \\(2,\\)"),
        ([1, 1, np.inf, 1, 1, 1, 1, 1], ValueError, "finite.*inf at index \\(2,\\)"),
        (np.zeros(8), ValueError, "positive mass"),
        (np.ones(8) + 0j, TypeError, "real numbers"),
        (["a"] * 8, TypeError, "real numbers"),
        (None, (TypeError, ValueError), "density values"),
        ([[1], [1, 2]], TypeError, "real numbers"),
    ],
)
def test_bad_values_are_refused_on_one_line(values, error, names):
    with pytest.raises(error, match=names) as info:
        mf.TorusDensity(values, mf.Torus(8))
    assert FORM.fullmatch(str(info.value))


def test_a_torus_is_asked_for():
    with pytest.raises(TypeError, match="torus must be a Torus") as info:
        mf.TorusDensity(np.ones(8), 8)
    assert FORM.fullmatch(str(info.value))


def test_weights_whose_sum_overflows_are_refused():
    with pytest.raises(ValueError, match=r"weights must sum to 1 \(got inf, shape \(2,\)\)"):
        mf.ParticleMeasure([[0.0], [1.0]], [1e308, 1e308], normalise=True)
