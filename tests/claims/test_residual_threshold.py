"""What is observed of convergence and what is certified: rows that a wrong certificate violates."""

import numpy as np
import pytest

from meanfield.claims import Outcome, Verdict, load_ladder
from meanfield.claims.residual_threshold import observed_threshold, of_threshold, threshold_study

LADDER = load_ladder("resnet_threshold").with_parameters(steps=200)


@pytest.fixture(scope="module")
def ds():
    levels = {"displacement": [1e-4, 0.3, 10], "width": [16]}
    return threshold_study(LADDER.parameters, levels, 2, progress=False)


def rows(ds):
    return {row.quantity.split(", ")[0]: row.outcome for row in of_threshold(LADDER, ds)}


def test_what_is_certified_is_seen(ds):
    assert set(rows(ds).values()) == {Outcome.CONFIRMED}
    assert len(rows(ds)) == 5
    np.testing.assert_array_equal(observed_threshold(ds), [0.3])


@pytest.mark.parametrize(
    ("change", "violated"),
    [
        (lambda ds: ds.assign(certified_rate=10 * ds.certified_rate), "time of convergence over its certified bound"),
        (lambda ds: ds.assign(certified_rate=ds.certified_rate + 1e-4), "certified runs that do not converge"),
        (lambda ds: ds.assign(certified=1e4 * ds.certified), "largest δ from which all seeds converge over"),
        (lambda ds: ds.assign(certified=ds.certified_closed), "largest δ certified along the path"),
    ],
)
def test_a_wrong_certificate_is_told(ds, change, violated):
    outcomes = rows(change(ds))
    assert [outcome for name, outcome in outcomes.items() if name.startswith(violated)] == [Outcome.VIOLATED]


def test_a_gap_in_the_middle_ends_the_observed_threshold(ds):
    time = ds.arrival.copy()
    time[0, 0, 1] = np.inf
    np.testing.assert_array_equal(observed_threshold(ds.assign(arrival=time)), [0.0])


def test_without_a_certificate_nothing_is_compared(ds):
    (row,) = of_threshold(LADDER, ds.isel(displacement=[1, 2]))
    assert isinstance(row, Verdict)
    assert row.unmet == ("a displacement is certified: take smaller ones, or more neurons",)
