"""Verdicts: the rules of each relation, on both sides of each threshold."""

import numpy as np
import pytest
import xarray as xr

from meanfield.claims import Ladder, Measurement, Outcome, Relation, Verdict, fit_rate

AT_MOST, AT_LEAST = Relation.AT_MOST, Relation.AT_LEAST


@pytest.mark.parametrize(
    ("measured", "interval", "outcome"),
    [
        (2.04, None, Outcome.CONFIRMED),
        (2.06, None, Outcome.VIOLATED),
        (1.94, None, Outcome.VIOLATED),
        (2.04, (2.0, 2.08), Outcome.CONFIRMED),
        (1.9, (1.88, 1.92), Outcome.VIOLATED),
        (2.1, (2.08, 2.12), Outcome.VIOLATED),
        (1.9, (1.84, 1.96), Outcome.CONSISTENT),  # the interval reaches theory, the estimate does not
        (2.0, (1.4, 2.6), Outcome.CONSISTENT),  # too wide: holds the rivals 1.5 and 2.5
        (2.0, (1.6, 2.4), Outcome.CONFIRMED),
        (2.0, (-np.inf, np.inf), Outcome.CONSISTENT),
        (np.nan, None, Outcome.VIOLATED),
        (np.inf, (1.9, 2.1), Outcome.VIOLATED),
        (2.0, (np.nan, np.nan), Outcome.VIOLATED),
    ],
)
def test_equality(measured, interval, outcome):
    row = Measurement("order", measured, 2.0, tolerance=0.05, interval=interval, rivals=(1.5, 2.5))
    assert row.outcome is outcome


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("measured", "interval", "outcome"),
    [
        (1.0, None, Outcome.CONFIRMED),
        (1.1, None, Outcome.CONFIRMED),
        (1.11, None, Outcome.VIOLATED),
        (-50.0, None, Outcome.CONFIRMED),
        (1.0, (0.9, 1.1), Outcome.CONFIRMED),
        (1.0, (0.9, 1.2), Outcome.CONSISTENT),
        (1.2, (1.05, 1.35), Outcome.CONSISTENT),
        (1.2, (1.15, 1.25), Outcome.VIOLATED),
        (np.nan, None, Outcome.VIOLATED),
        (-np.inf, None, Outcome.VIOLATED),
    ],
)
def test_bounds_are_mirror_images(sign, measured, interval, outcome):
    relation = AT_MOST if sign > 0 else AT_LEAST
    mirrored = interval and tuple(sorted(sign * bound for bound in interval))
    row = Measurement("ratio", sign * measured, sign * 1.0, relation, tolerance=0.1, interval=mirrored)
    assert row.outcome is outcome


def test_rows_show_which_way_the_tolerance_goes():
    relations = {Relation.EQUAL: "= 2 ± 0.1", AT_MOST: "≤ 2 + 0.1", AT_LEAST: "≥ 2 − 0.1"}
    for relation, text in relations.items():
        row = Measurement("q", 2.0, 2.0, relation, tolerance=0.1, interval=(1.95, 2.05)).row()
        assert row == ("q", "2 [1.95, 2.05]", text, "confirmed")


def test_without_rivals_two_tolerances_must_be_excluded():
    narrow = Measurement("rate", 2.0, 2.0, tolerance=0.1, interval=(1.85, 2.15))
    wide = Measurement("rate", 2.0, 2.0, tolerance=0.1, interval=(1.75, 2.15))
    assert (narrow.outcome, wide.outcome) == (Outcome.CONFIRMED, Outcome.CONSISTENT)


def test_exactness_is_counted_in_roundings():
    eps = np.finfo(float).eps
    assert Measurement.exactness("mass", 6 * eps, multiple=3, scale=2.0).outcome is Outcome.CONFIRMED
    assert Measurement.exactness("mass", 6.1 * eps, multiple=3, scale=2.0).outcome is Outcome.VIOLATED
    assert Measurement.exactness("mass", 0.0, multiple=3, scale=2.0).row()[2] == "≤ 1.332e-15 (3 eps × 2)"


@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_a_slope_wrong_by_a_tenth_is_violated(noise):
    ladder = Ladder.from_toml(
        """
        id = ["DEMO-1"]
        title = "t"
        source = "s"
        exact = true
        levels = {n = [10, 20, 40, 80, 160], quick = [10, 20, 40]}
        parameters = {}
        expected.order = {slope = -2, tolerance = 0.05, source = "s"}
        """.replace("        ", ""),
        name="demo",
    )
    n = np.array(ladder.levels["n"], dtype=float)
    wiggle = np.exp(noise * np.array([1.0, -1, 1, -1, 1]))
    outcomes = [
        ladder.expected["order"].measured(fit_rate(xr.DataArray(wiggle * n**slope, coords={"n": n}), "n")).outcome
        for slope in (-1.9, -2.0, -2.1)
    ]
    assert outcomes == [Outcome.VIOLATED, Outcome.CONFIRMED, Outcome.VIOLATED]


CONFIRMED = Measurement("a", 1.0, 1.0, tolerance=0.1)
CONSISTENT = Measurement("b", 1.0, 1.0, tolerance=0.1, interval=(0.0, 2.0))
VIOLATED = Measurement("c", 2.0, 1.0, tolerance=0.1)


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        ((CONFIRMED, CONFIRMED), Outcome.CONFIRMED),
        ((CONSISTENT, CONFIRMED), Outcome.CONSISTENT),
        ((CONFIRMED, VIOLATED, CONSISTENT), Outcome.VIOLATED),
    ],
)
def test_the_worst_row_decides(rows, outcome):
    verdict = Verdict("PME-1", "statement", "source", "ladder", True, rows)
    assert verdict.outcome is outcome
    assert str(verdict).splitlines()[-1] == f"{outcome}: {outcome.sentence} (ladder ladder, quick levels)"


def test_a_verdict_says_something():
    with pytest.raises(ValueError, match=r"PME-1 needs measurements or unmet hypotheses"):
        Verdict("PME-1", "statement", "source", "ladder", False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"theory": np.nan, "tolerance": 0.1}, r"theory for 'q' must be finite \(got nan\)"),
        ({"tolerance": 0.0}, r"'q' is claimed equal: its tolerance must be > 0"),
        ({"tolerance": -1.0}, r"tolerance of 'q' must be ≥ 0"),
        ({"tolerance": np.nan}, r"tolerance of 'q' must be ≥ 0"),
        ({"tolerance": 0.1, "interval": (2.0, 1.0)}, r"interval of 'q' must be \(low, high\)"),
        ({"tolerance": 0.1, "rivals": (1.05,)}, r"rivals of 'q' must lie outside theory ± tolerance \(got \[1.05\]\)"),
        ({"relation": AT_MOST, "rivals": (3.0,)}, r"rivals of 'q' need relation = \(got ≤\)"),
    ],
)
def test_bad_measurements_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Measurement(**{"quantity": "q", "measured": 1.0, "theory": 1.0, **options})
