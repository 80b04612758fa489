"""Runs killed with SIGKILL end in the same bits as runs that were left alone, and no save is lost on the way."""

import kill_harness
import numpy as np
import pytest


def test_a_killed_run_ends_in_the_same_bits(tmp_path):
    name, aims = "FiniteVolume order 2, in a well, d = 2", ["save"]
    tally = kill_harness.kill_case(name, aims, np.random.default_rng(7), tmp_path)
    assert tally.kills == 1, tally
    assert tally.clean, tally


def test_a_reader_every_50_ms_disturbs_nothing_and_sees_no_torn_save(tmp_path):
    name = "ETDRK4 adaptive, in a well, d = 1"
    with kill_harness.a_reader() as reader:
        tally = kill_harness.kill_case(name, ["anywhere"], np.random.default_rng(8), tmp_path, reader)
    assert tally.kills == 1, tally
    assert tally.reads >= 6, tally
    assert tally.clean, tally


@pytest.mark.ladder
def test_fifty_kills_over_all_steppers():
    totals = kill_harness.run_all(kills=2)
    text = kill_harness.table(totals)
    print(text)
    assert sum(tally.kills for tally in totals.values()) >= 50, text
    assert all(tally.kills >= 6 for tally in totals.values()), text
    assert all(tally.inside >= 1 for tally in totals.values()), text
    assert all(tally.clean for tally in totals.values()), (text, [tally.notes for tally in totals.values()])
