"""Restart records: whole or absent."""

import numpy as np
import pytest

from meanfield.output import _restart


def test_arrays_come_back_as_they_went(run):
    arrays = run.restart(3) | {"file": np.array([], dtype=np.uint64), "complex": np.array([[1 + 2j]]), "self": np.True_}
    record = _restart.newest([_restart.encode(arrays, 3)], 4)
    assert record.index == 3
    assert list(record.arrays) == list(arrays)
    for name, value in arrays.items():
        assert record.arrays[name].dtype == np.asarray(value).dtype
        np.testing.assert_array_equal(record.arrays[name], value, strict=True)


def test_every_truncation_and_every_flipped_byte_is_noticed(run):
    new, old = _restart.encode(run.restart(1), 1), _restart.encode(run.restart(0), 0)
    rng = np.random.default_rng(0)
    for cut in rng.integers(1, len(new), 50):
        slot = np.concatenate([new[:cut], 255 - new[cut:]])
        assert _restart.newest([slot, old], 2).index == 0
    for place in [0, 8, 16, 24, *rng.integers(0, len(new), 50)]:
        slot = new.copy()
        slot[place] ^= 1
        assert _restart.newest([slot, old], 2).index == 0


def test_newest_of_the_saves_that_are_complete(run):
    slots = [_restart.encode(run.restart(index), index) for index in (4, 5)]
    assert _restart.newest(slots, 6).index == 5
    assert _restart.newest(slots, 5).index == 4
    assert _restart.newest(slots, 4) is None


def test_nothing_written_is_absent_and_both_damaged_is_an_error(run):
    empty, torn = np.zeros(500, np.uint8), _restart.encode(run.restart(0), 0).copy()
    torn[-1] ^= 1
    assert _restart.newest([], 3) is None
    assert _restart.newest([empty, empty], 3) is None
    assert _restart.newest([torn, empty], 3) is None
    with pytest.raises(ValueError, match="whole"):
        _restart.newest([torn, torn], 3)


def test_objects_are_refused(message):
    with pytest.raises(TypeError, match="dtype object") as info:
        _restart.encode({"state": np.array([print])}, 0)
    message(info)
