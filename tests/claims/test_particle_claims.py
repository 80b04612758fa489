"""Claims on particle flows: hypotheses, that they can fail, and the clouds and quantiles they rest on."""

import dataclasses

import numpy as np
import pytest

import meanfield as mf
from meanfield import claims
from meanfield.claims import Outcome, load_ladder, particle_runs, particles
from meanfield.claims.particle_runs import (
    BlobRun,
    fine_cells,
    lattice_start,
    quantile_function,
    quantile_means,
    sunflower,
)
from meanfield.distances.quantiles import Quantile
from meanfield.theory import barenblatt_second_moment, barenblatt_time


def small(name, levels, **changes):
    """A ladder that takes a moment."""
    ladder = load_ladder(name)
    levels = {axis: levels.get(axis, values) for axis, values in ladder.levels.items()}
    return dataclasses.replace(ladder, levels=levels, quick=levels, seeds=ladder.seeds and 4).with_parameters(**changes)


def blob(**changes):
    return small("blob_barenblatt", {"line": [25, 50, 100, 200], "square": [6, 8, 11]}, **changes)


def densities(**changes):
    levels = {"line": [32, 64, 128], "draws": [16, 32, 64], "plane": [16, 32, 64]}
    coarse = {"cells": 4096, "n": 64, "n_plane": 16, "cells_plane": 64, "finer": 8, "tolerance": 1e-7}
    return small("blob_densities", levels, **coarse, **changes)


def violated(verdict):
    return {m.quantity.partition(",")[0] for m in verdict.measurements if m.outcome is Outcome.VIOLATED}


@pytest.mark.parametrize(
    ("claim", "ladder"),
    [("BLOB-1", blob(exponent=[1, 2])), ("BLOB-1", blob(width=0.5)), ("BLOB-1", blob(radius_end=0.4)),
     ("BLOB-2", densities(order=2)), ("BLOB-2", densities(amplitude=1.0))],
)  # fmt: skip
def test_outside_its_hypotheses_a_claim_says_nothing(claim, ladder):
    assert claims.get(claim).check(ladder=ladder).outcome is Outcome.HYPOTHESES_NOT_MET


def test_small_ladders_are_not_violated():
    """So that what follows fails for the reason it names."""
    assert not violated(claims.get("BLOB-1").check(ladder=blob(exponent=[2])))
    assert not violated(claims.get("BLOB-2").check(ladder=densities()))


def test_a_velocity_off_by_a_percent_is_violated(monkeypatch):
    """BLOB-1: the front is then off by a fixed share, which no number of particles mends."""
    plain = mf.BlobEnergy.differential
    monkeypatch.setattr(mf.BlobEnergy, "differential", lambda self, mu: 1.03 * plain(self, mu))
    bad = violated(claims.get("BLOB-1").check(ladder=blob(exponent=[2])))
    assert "W2 to the means of the quantile function" in bad


def test_a_push_is_violated(monkeypatch):
    """BLOB-1: a velocity that is no gradient of an energy of differences moves the centre of mass."""
    plain = mf.BlobEnergy.differential
    monkeypatch.setattr(mf.BlobEnergy, "differential", lambda self, mu: plain(self, mu) + 1e-10)
    assert violated(claims.get("BLOB-1").check(ladder=blob(exponent=[2]))) == {
        "largest drift of the centre of mass over the path"
    }


def test_particles_of_another_kernel_are_violated(monkeypatch):
    """BLOB-2: a length off by a percent leaves a gap."""
    monkeypatch.setattr(particles, "SobolevKernel", lambda order, length: mf.SobolevKernel(order, 1.01 * length))
    bad = violated(claims.get("BLOB-2").check(ladder=densities()))
    assert "gap over (∫1/ρ)^½/(N√12)" in bad


def test_lattices_hold_the_mass_of_their_cells():
    law = {"m": 2, "coefficient": 1.0, "radius": 0.5}
    t = barenblatt_time(0.5, dim=1, exponent=2)
    mu = lattice_start(10, t, dim=1, **law)
    edges = np.linspace(-0.5, 0.5, 11)
    np.testing.assert_allclose(mu.weights, np.diff(0.75 * (edges / 0.5) - 0.25 * (edges / 0.5) ** 3), rtol=1e-12)
    square = lattice_start(20, barenblatt_time(0.5, dim=2, exponent=2), dim=2, **law)
    assert 20**2 * np.pi / 4 == pytest.approx(square.number, rel=0.03)
    assert np.linalg.norm(square.positions, axis=1).max() < 0.5
    moment = barenblatt_second_moment(barenblatt_time(0.5, dim=2, exponent=2), dim=2, exponent=2)
    assert float(square.weights @ (square.positions**2).sum(axis=1)) == pytest.approx(moment, rel=0.01)


@pytest.mark.parametrize("m", [2, 3])
def test_sunflowers_have_the_moments_of_barenblatt(m):
    mu = sunflower(4000, m=m, radius=0.8)
    t = barenblatt_time(0.8, dim=2, exponent=m)
    moment = barenblatt_second_moment(t, dim=2, exponent=m)
    assert float(np.mean(np.sum(mu.positions**2, axis=1))) == pytest.approx(moment, rel=1e-3)
    assert np.abs(mu.positions.mean(axis=0)).max() < 1e-3


@pytest.mark.parametrize("dim", [1, 2])
def test_fine_cells_are_means_of_the_trigonometric_polynomial(dim):
    """The mean of cos 2πx over [x − h/2, x + h/2] is cos 2πx sin(πh)/(πh)."""
    state = mf.Torus(9, dim).density(lambda *x: 1 + 0.5 * np.cos(2 * np.pi * x[0]) + 0.2 * np.sin(2 * np.pi * x[-1]))
    fine = fine_cells(state, 40, shift=0.5)
    x = mf.Torus(40, dim).points + 0.5 / 40
    damped = np.sinc(1 / 40)
    exact = 1 + damped * (0.5 * np.cos(2 * np.pi * x[0]) + 0.2 * np.sin(2 * np.pi * x[-1]))
    np.testing.assert_allclose(fine.values, exact, atol=1e-14)


def test_quantile_means_of_closed_forms():
    """Of a uniform piece the midpoints; of an atom the atom; across a jump the mean of both sides."""
    np.testing.assert_allclose(
        quantile_means(Quantile.from_histogram([0.0, 1.0], [1.0]), 4), [0.125, 0.375, 0.625, 0.875]
    )
    halves = Quantile.from_points([0.0, 1.0])
    np.testing.assert_allclose(quantile_means(halves, 2), [0.0, 1.0], atol=1e-15)
    np.testing.assert_allclose(quantile_means(halves, 3), [0.0, 0.5, 1.0], atol=1e-15)
    uneven = quantile_function(mf.Torus(16).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x)), 1000)
    u = (np.arange(500_000) + 0.5) / 500_000
    np.testing.assert_allclose(quantile_means(uneven, 5), uneven(u).reshape(5, -1).mean(axis=1), atol=1e-10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 3}, "dim must be 1 or 2 (got 3)"),
        ({"data": "sine"}, "data must be one of barenblatt, cosine (got 'sine')"),
        ({"radius_end": 0.5}, "radii must satisfy radius_start < radius_end < 1/2 (got 0.15 and 0.5)"),
        ({"radius_start": 0.4}, "radii must satisfy"),
        ({"saves": 1}, "saves must be at least 2"),
        ({"n": 4}, "n must be at least 8"),
    ],
)  # fmt: skip
def test_bad_input_of_a_run(changes, message):
    parameters = {**load_ladder("blob_porous_medium").parameters, **changes}
    with pytest.raises(ValueError) as info:
        BlobRun(parameters, 10)
    assert message in str(info.value)


def test_the_grid_of_a_run_resolves_its_mollifier_and_no_more():
    for across in (7, 50, 333):
        run = BlobRun({**load_ladder("blob_porous_medium").parameters, "n": 16}, across)
        torus = run.particles.torus
        assert particle_runs.blob_flow(run.p, run.spacing, m=2, torus=torus) == run.flow
        with pytest.raises(ValueError, match="resolved by the grid"):
            particle_runs.blob_flow(run.p, run.spacing, m=2, torus=mf.Torus(max(4, torus.n - 6)))
