"""What claims share: runs that are refused, Barenblatt data, fronts read off a grid, and a run that is cut short."""

import numpy as np
import pytest

from meanfield.claims import contraction, free_boundary, load_ladder, runs
from meanfield.claims.free_boundary import front_radius
from meanfield.status import Status
from meanfield.steppers import FiniteVolume
from meanfield.theory import barenblatt_radius
from meanfield.torus import Torus
from meanfield.torus.finite_volume import FiniteVolumes

EPS = np.finfo(float).eps


@pytest.fixture
def stalls(monkeypatch):
    """Every solve stalls."""
    step = FiniteVolumes.step
    monkeypatch.setattr(
        FiniteVolumes, "step", lambda self, values, dt, axes: (*step(self, values, dt, axes)[:2], False)
    )


def test_a_refused_step_never_passes_for_a_result(stalls):
    """A run that stopped early keeps its energy, its mass and its distances: nothing may be read off it."""
    parameters = dict(load_ladder("porous_medium_barenblatt").parameters)
    with pytest.raises(RuntimeError, match=r"a step was refused: .*stalled"):
        free_boundary.barenblatt_run(parameters, 16, m=2, dim=1, order=2)
    flow, torus = runs.porous_medium(parameters, exponent=2), Torus(16)
    with pytest.raises(RuntimeError, match="a step was refused"):
        contraction.path(flow, contraction.positive_pair(torus)[0], FiniteVolume(dt=1e-4), 1e-3)
    with pytest.raises(RuntimeError, match="a step was refused"):
        runs.final(flow, runs.cosine(16, 0.5), FiniteVolume(), 1e-3)


def test_accepted_steps_are_those_of_the_run():
    flow = runs.porous_medium({"exponent": 2, "coefficient": 1.0})
    steps = list(runs.accepted(flow, runs.cosine(16, 0.5), FiniteVolume(dt=1e-4), 1e-3))
    assert len(steps) == 10
    assert steps[-1][0] == 1e-3
    assert all(info.status is Status.RUNNING for _, _, info in steps)


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("mean", [None, 0.5, 2.0])
def test_barenblatt_data_have_their_radius_and_their_mass(dim, mean):
    parameters = {"coefficient": 0.7, "radius_start": 0.2} | ({} if mean is None else {"mean": mean})
    _, datum, age = runs.barenblatt_datum(parameters, 24, m=3, dim=dim)
    mass = 1.0 if mean is None else mean
    assert datum.mass == pytest.approx(mass, rel=64 * EPS)
    assert barenblatt_radius(age, dim=dim, exponent=3, coefficient=0.7, mass=mass) == pytest.approx(0.2, rel=64 * EPS)
    axis = datum.values if dim == 1 else datum.values.max(axis=1)
    held = np.flatnonzero(axis) / 24
    assert 0.3 - 1 / 24 <= held.min() <= 0.31
    assert 0.7 <= held.max() <= 0.71 + 1 / 24


@pytest.mark.parametrize("n", [64, 65, 256])
@pytest.mark.parametrize("centre", [0.0, 0.3, 0.501])
def test_the_front_is_read_off_between_points(n, centre):
    """A tent: linear interpolation is exact where the sample above and the one below lie on one line."""
    x = np.abs((np.arange(n) / n - centre + 0.5) % 1 - 0.5)
    tent = np.maximum(0.0, 1 - x / 0.2) + 1e-3  # level 1/2 of the highest sample
    top = tent.max()
    radius = 0.2 * (1 - (0.5 * top - 1e-3))
    assert front_radius(tent, 0.5) == pytest.approx(radius, abs=1e-12)


def test_the_front_of_a_full_circle_is_half_its_length():
    assert front_radius(np.ones(16), 1e-3) == 0.5
    spike = np.zeros(16)
    spike[0] = 1.0
    assert 0 < front_radius(spike, 1e-3) < 1 / 16


@pytest.mark.parametrize("t_end", [1e-3, 0.02])
def test_a_run_cut_short_of_the_last_regime_says_so_and_keeps_its_other_rows(t_end):
    ladder = load_ladder("porous_medium_regimes").with_parameters(t_end=t_end, saves=41, tolerance=5e-3)
    ds = free_boundary.regimes_run(dict(ladder.parameters), 32, progress=False)
    *rows, last = free_boundary.of_regimes(ladder, ds)
    assert len(rows) == 2
    assert "reaches its exponential regime (contrast " in last.unmet[0]
    with pytest.raises(ValueError, match=r"hypotheses of PME-6 must be met .*; pass a later t_end"):
        list(free_boundary.regimes(ladder, {"n": [32]}))


@pytest.mark.parametrize(("name", "value"), [("front_level", 0), ("front_level", 2), ("saves", 7.5), ("saves", 2)])
def test_parameters_of_the_regimes_are_checked_before_the_run(name, value):
    ladder = load_ladder("porous_medium_regimes").with_parameters(**{name: value})
    with pytest.raises(ValueError, match=name):
        free_boundary.regimes_run(dict(ladder.parameters), 32, progress=False)
