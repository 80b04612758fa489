"""Maps of the plane: where data are asked to go, and rows that a wrong run violates."""

import numpy as np
import pytest

from meanfield.claims import Measurement, Outcome, Verdict, load_ladder
from meanfield.claims.residual_maps import map_of, map_run, map_start, of_map

LADDER = load_ladder("resnet_conditional_ot").with_parameters(points=3, fall=1e-8, t_end=250, saves=100)


@pytest.fixture(scope="module")
def ds():
    return map_run(LADDER.parameters, 6, 40, progress=False)


def rows(ds, ladder=LADDER):
    return {row.quantity.split(", t =")[0]: row for row in of_map(ladder, ds) if isinstance(row, Measurement)}


def test_moons_interlock_and_are_pulled_straight_apart():
    training = map_of(LADDER.parameters)
    upper, lower = training.x[:3], training.x[3:]
    assert upper[:, 1].min() < 0 < lower[:, 1].max()  # no line parallel to the first axis parts them
    np.testing.assert_array_equal(lower, -upper)
    np.testing.assert_array_equal((training.y - training.x)[:, 1], [1, 1, 1, -1, -1, -1])


@pytest.mark.parametrize("angle", [90, -30])
def test_rings_are_turned(angle):
    training = map_of({**LADDER.parameters, "data": "rings", "angle": angle})
    x, y = (points @ [1, 1j] for points in (training.x, training.y))
    np.testing.assert_allclose(np.abs(x), [1, 1, 1, 0.5, 0.5, 0.5], rtol=1e-15)
    np.testing.assert_allclose(np.angle(y / x, deg=True), angle, rtol=1e-14)


def test_a_training_is_confirmed(ds):
    assert ds.status == "stopped"
    assert float(ds.risk[-1] / ds.risk[0]) < 1e-8
    table = rows(ds)
    assert len(table) == 6
    assert all(row.outcome is Outcome.CONFIRMED for row in table.values())
    np.testing.assert_array_equal(ds.positions[0], map_start(LADDER.parameters, 6, 40).positions)


@pytest.mark.parametrize(
    ("change", "violated"),
    [
        (lambda ds: ds.assign(dissipation=1.1 * ds.dissipation), "fitted rate of the risk over the mean of 2m(t)"),
        (lambda ds: ds.assign(dissipation=1.001 * ds.dissipation), "relative gap of |G|² at the start"),
        (lambda ds: ds.assign(balance_defect=ds.balance_defect + 0.1), "balance defect by distance"),
        (lambda ds: ds.assign(energy=ds.energy + 1e-3 * (ds.time == ds.time[-1])), "largest rise of the energy"),
        (lambda ds: ds.isel(time=slice(20)), "risk at the end over that at the start"),
    ],
)
def test_a_wrong_run_is_told(ds, change, violated):
    outcomes = {name: row.outcome for name, row in rows(change(ds)).items() if name.startswith(violated)}
    assert list(outcomes.values()) == [Outcome.VIOLATED]


def test_what_saves_do_not_resolve_is_not_judged(ds):
    unmet = [row.unmet[0] for row in of_map(LADDER, ds.isel(time=[0, 30, -2, -1])) if isinstance(row, Verdict)]
    assert unmet[0] == "10 saves in the second half of the run (there are 2)"
    assert unmet[1].startswith("saves resolve the energy (one interval has ")
