"""Recorders: what is written, when, and what a kill leaves."""

import fcntl
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
import xarray as xr

from meanfield.output import FileRecorder, MemoryRecorder, OutputError, _file, _restart, read, restart_capacity, schema


@pytest.mark.parametrize("count", [0, 1, 4, 6])
def test_memory_and_file_give_the_identical_dataset(run, record, tmp_path, count):
    recorders = MemoryRecorder(run.layout()), FileRecorder(run.layout(), tmp_path / "run.h5")
    for recorder in recorders:
        record(recorder, count).finish("stationary", "the energy stopped", {"seed": 8})
    in_memory, from_file = (recorder.dataset() for recorder in recorders)
    xr.testing.assert_identical(in_memory, from_file)
    assert in_memory.sizes["time"] == count
    assert (from_file.status, from_file.status_message, from_file.seed) == ("stationary", "the energy stopped", 8)
    assert from_file.wall_time.volatile == 1
    np.testing.assert_array_equal(from_file["mode"], (1 - 2j) * np.arange(1, count + 1))
    np.testing.assert_array_equal(from_file.density.T, np.broadcast_to(np.arange(1.0, count + 1), (run.n, count)))


def test_file_is_hdf5_and_opens_by_itself(run, record, tmp_path):
    path = tmp_path / "run.h5"
    recorder = record(FileRecorder(run.layout(), path), 2)
    assert path.read_bytes()[:8] == b"\x89HDF\r\n\x1a\n"
    with xr.open_dataset(path) as dataset:
        assert dataset.status == "running"
        assert set(dataset.variables) == {v.name for v in run.layout().variables} | set(run.layout().sizes)
        np.testing.assert_array_equal(dataset.time, [0, 0.1, *[np.nan] * 4])
    recorder.finish("finished", "")
    with xr.open_dataset(path) as dataset:
        assert dataset.sizes["time"] == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.h5"]


def test_datasets_are_snapshots(run, record):
    recorder = record(MemoryRecorder(run.layout()), 2)
    before = recorder.dataset()
    record(recorder, 3, start=2)
    before.density[0] = -1
    assert before.sizes["time"] == 2
    assert recorder.dataset().density[0, 0] == 1


def test_a_save_changes_raw_data_only(run, record, tmp_path):
    path = tmp_path / "run.h5"
    recorder = record(FileRecorder(run.layout(), path), 1)
    before = np.frombuffer(path.read_bytes(), np.uint8)
    place = path.stat().st_ino
    record(recorder, 2, start=1)
    after = np.frombuffer(path.read_bytes(), np.uint8)
    assert path.stat().st_ino == place
    raw = np.zeros(len(before), bool)
    with h5py.File(path) as file:
        for name in [*(key for key in file if key != "restart"), *_file.SLOTS]:
            start = file[name].id.get_offset()
            raw[start : start + file[name].nbytes] = True
    changed = before != after
    assert changed.any()
    assert not changed[~raw].any()


def crash_images(run, record, tmp_path, monkeypatch):
    """Copies of the file at every moment a save hands data to the disk, the file still open."""
    images, sync = [], _file.sync

    def sync_and_copy(stream):
        sync(stream)
        images.append(shutil.copy(stream.name, tmp_path / f"image{len(images)}.h5"))

    monkeypatch.setattr(_file, "sync", sync_and_copy)
    record(FileRecorder(run.layout(), tmp_path / "run.h5"), 4)
    monkeypatch.undo()
    return images


def test_every_interrupted_save_leaves_complete_saves_and_a_whole_record(run, record, tmp_path, monkeypatch):
    saved, continued = [], []
    for image in crash_images(run, record, tmp_path, monkeypatch):
        dataset = read(image)
        saved.append(dataset.sizes["time"])
        for index in range(saved[-1]):
            for name, value in run.values(index).items():
                np.testing.assert_array_equal(dataset[name][index], value)
        resumed = FileRecorder.reopen(image, run.layout())
        continued.append(resumed.saved)
        if resumed.saved:
            expected = run.restart(resumed.saved - 1)
            assert {name: array.tolist() for name, array in resumed.restart.items()} == {
                name: np.asarray(array).tolist() for name, array in expected.items()
            }
        else:
            assert resumed.restart is None
    assert saved == [0, 1, 1, 2, 2, 3, 3, 4]
    assert continued == saved  # no complete save is ever taken back


@pytest.mark.parametrize("killed_at", [1, 4, 6])
def test_resumed_run_ends_like_the_whole_run(run, record, tmp_path, monkeypatch, killed_at):
    image = crash_images(run, record, tmp_path, monkeypatch)[killed_at]
    resumed = FileRecorder.reopen(image, run.layout())
    assert read(image).sizes["time"] == resumed.saved
    if resumed.saved:
        assert resumed.time == 0.1 * (resumed.saved - 1)
        assert resumed.values["path_length"] == resumed.saved
    record(resumed.recorder, 6, start=resumed.saved).finish("finished", "")
    whole = record(MemoryRecorder(run.layout()), 6)
    whole.finish("finished", "")
    xr.testing.assert_identical(read(image), whole.dataset())


def test_stopped_run_continues_and_finished_run_is_left_alone(run, record, tmp_path):
    path = tmp_path / "run.h5"
    record(FileRecorder(run.layout(), path), 3).finish("interrupted", "by hand", {"seed": 1})
    resumed = FileRecorder.reopen(path, run.layout())
    assert resumed.saved == 3
    assert (read(path).status, read(path).status_message, read(path).seed) == ("running", "", 1)
    record(resumed.recorder, 6, start=3).finish("finished", "")
    place = path.stat().st_ino
    resumed = FileRecorder.reopen(path, run.layout())
    assert (resumed.saved, resumed.restart) == (6, None)
    assert resumed.values["energy"] == 6
    assert path.stat().st_ino == place
    assert resumed.recorder.dataset().status == "finished"


@pytest.mark.parametrize("count", [1, 2])
def test_the_record_a_run_continued_from_outlives_the_next_save(run, record, tmp_path, count):
    path = tmp_path / "run.h5"
    record(FileRecorder(run.layout(), path), count)
    record(FileRecorder.reopen(path, run.layout()).recorder, count + 1, start=count)
    with h5py.File(path) as file:
        slots = [file[name][...] for name in _file.SLOTS]
    assert _restart.newest(slots, count).index == count - 1
    assert _restart.newest(slots, count + 1).index == count


def test_both_records_damaged_is_said(run, record, message, tmp_path):
    path = tmp_path / "run.h5"
    record(FileRecorder(run.layout(), path), 3)
    with h5py.File(path, "r+") as file:
        file[_file.SLOTS[0]][60] ^= 1
    assert FileRecorder.reopen(path, run.layout()).saved == 2
    with h5py.File(path, "r+") as file:
        file[_file.SLOTS[1]][60] ^= 1
    with pytest.raises(ValueError, match="restart record must be whole") as info:
        FileRecorder.reopen(path, run.layout())
    assert "run.h5" in message(info)


def test_records_may_outgrow_their_slots(run, tmp_path):
    path = tmp_path / "run.h5"
    recorder = FileRecorder(run.layout(restart_capacity=0), path)
    for index, size in enumerate([10, 10, 10_000]):
        recorder.save(index, index, run.values(index), {"state": np.arange(size)})
    resumed = FileRecorder.reopen(path, run.layout(restart_capacity=0))
    assert (resumed.saved, len(resumed.restart["state"])) == (3, 10_000)
    assert resumed.recorder.layout.restart_capacity > 80_000


def test_stated_capacity_holds_the_first_record_without_a_rewrite(run, tmp_path):
    path, restart = tmp_path / "run.h5", {"state": np.arange(5000.0)}
    recorder = FileRecorder(run.layout(restart_capacity=restart_capacity(restart)), path)
    place = path.stat().st_ino
    recorder.save(0, 0, run.values(0), restart)
    assert path.stat().st_ino == place
    with h5py.File(path) as file:
        assert _restart.newest([file[name] for name in _file.SLOTS], 1).index == 0


def test_other_runs_are_not_continued(run, record, message, tmp_path):
    path = tmp_path / "run.h5"
    record(FileRecorder(run.layout(), path), 2)
    before = path.read_bytes()
    other = run.layout(
        attributes={"parameters": {"m": 2, "grid": {"n": 64}, "dt": 0.1}},
        coordinates={"x": np.arange(64) / 65, "particle": 5},
        constants={"weights": np.arange(5.0)},
        n_times=5,
    ).with_observer("radius")
    with pytest.raises(ValueError, match=r"must be the run of run\.h5") as info:
        FileRecorder.reopen(path, other)
    text = message(info)
    assert "parameters.m 3 in the file, 2 now" in text
    assert "parameters.dt 'absent' in the file, 0.1 now" in text
    assert "parameters.grid" not in text
    assert "radius only now" in text
    assert "other values of x" in text
    assert "other values of weights" in text
    assert "6 saves in the file, 5 now" in text
    wider = run.layout(variables=(*schema.RUN_VARIABLES, schema.variable("density", "x")), constants={})
    with pytest.raises(ValueError, match="mass only in the file; weights only in the file"):
        FileRecorder.reopen(path, wider)
    assert path.read_bytes() == before


def test_a_lock_held_elsewhere_stops_no_save(run, record, tmp_path):
    """What `xarray.open_dataset` in another process holds as long as it is open."""
    path = tmp_path / "run.h5"
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        recorder = FileRecorder(run.layout(), path, overwrite=True, patience=0.05)
    with path.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        record(recorder, 3)
        record(FileRecorder.reopen(path, run.layout(), patience=0.05).recorder, 4, start=3).finish("finished", "")
    assert read(path).sizes["time"] == 4


@pytest.mark.parametrize("options", [{}, {"locking": False}])
def test_a_file_open_in_this_process_stops_no_save_and_shows_none_torn(run, record, tmp_path, options):
    path = tmp_path / "run.h5"
    recorder = record(FileRecorder(run.layout(), path, patience=0.5), 1)
    with xr.open_dataset(path, driver_kwds=options) as held:
        assert held.energy[0] == 1
        for count in (2, 3):
            record(recorder, count, start=count - 1)
            assert held.energy[0] == 1
            dataset = read(path)
            assert dataset.sizes["time"] == count
            for name, value in run.values(count - 1).items():
                np.testing.assert_array_equal(dataset[name][count - 1], value)
        recorder.finish("stopped", "")
        resumed = FileRecorder.reopen(path, run.layout(), patience=0.5)
        record(resumed.recorder, 6, start=3).finish("finished", "")
        assert held.energy[0] == 1
    assert read(path).sizes["time"] == 6


def test_opening_is_tried_with_and_without_the_lock_for_a_while(run, record, message, tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    recorder = record(FileRecorder(run.layout(), path), 1)
    clock, tried = [0.0], []

    def file(path, mode, locking):
        tried.append(locking)
        raise OSError("unable to lock file\n  errno = 11")

    with monkeypatch.context() as patch:
        patch.setattr(_file.time, "monotonic", lambda: clock[0])
        patch.setattr(_file.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
        patch.setattr(h5py, "File", file)
        with pytest.raises(OutputError, match="must open") as info:
            recorder.finish("finished", "")
    message(info)
    assert 60 < clock[0] < 60.1
    assert tried[:4] == [False, None, False, None]
    recorder.finish("finished", "")


def test_what_killed_writers_left_beside_the_file_is_removed(run, tmp_path):
    """A partial file of a process that lives is not ours to touch, nor is another run's."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = [f".run.h5.{dead.pid}.partial", f".run.h5.{os.getppid()}.partial", f".other.h5.{dead.pid}.partial"]
    for name in names:
        (tmp_path / name).touch()
    FileRecorder(run.layout(), tmp_path / "run.h5")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([*names[1:], "run.h5"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit of the file size stands for a full disk")
def test_a_full_disk_is_told_in_one_line_and_spares_the_last_good_save(run, record, message, tmp_path):
    """Every write past a size fails: in the middle of a save, of the rewrite at the end, of a new file."""
    import resource

    path = tmp_path / "run.h5"
    recorder = record(FileRecorder(run.layout(n_times=400), path), 2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    attempts = {
        "save": lambda: record(recorder, 3, start=2),
        "finish": lambda: recorder.finish("finished", ""),
        "resume": lambda: FileRecorder.reopen(path, run.layout(n_times=400)),
        "new": lambda: FileRecorder(run.layout(n_times=400), tmp_path / "new.h5"),
    }
    for attempt in attempts.values():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        try:
            with pytest.raises(OutputError, match="File too large") as info:
                attempt()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        message(info)
        assert [entry.name for entry in tmp_path.iterdir()] == ["run.h5"]
        dataset = read(path)
        assert dataset.sizes["time"] == 2
        for name, value in run.values(1).items():
            np.testing.assert_array_equal(dataset[name][1], value)
    resumed = FileRecorder.reopen(path, run.layout(n_times=400))
    record(resumed.recorder, 4, start=resumed.saved)
    assert (resumed.saved, read(path).sizes["time"]) == (2, 4)


def test_a_run_whose_file_was_replaced_or_removed_stops(run, record, message, tmp_path):
    path = tmp_path / "run.h5"
    first = record(FileRecorder(run.layout(), path), 1)
    second = FileRecorder(run.layout(), path, overwrite=True)
    with pytest.raises(OutputError, match="another run") as info:
        record(first, 2, start=1)
    message(info)
    with pytest.raises(OutputError, match="another run"):
        first.finish("finished", "")
    record(second, 1)
    path.unlink()
    with pytest.raises(OutputError, match="missing") as info:
        record(second, 2, start=1)
    message(info)


def test_a_failed_rewrite_leaves_the_old_file_and_nothing_else(run, record, tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    recorder = record(FileRecorder(run.layout(), path), 2)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(_file.os, "replace", lambda old, new: (_ for _ in ()).throw(OSError("no space")))
        with pytest.raises(OSError, match="no space"):
            recorder.finish("finished", "")
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.h5"]
    monkeypatch.setattr(_file.shutil, "disk_usage", lambda folder: type("usage", (), {"free": 1000}))
    with pytest.raises(ValueError, match="room for the output"):
        recorder.finish("finished", "")


@pytest.mark.parametrize("make", [MemoryRecorder, None], ids=["memory", "file"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 1.0, {}), "numbered in order"),
        ((2, 1.0, {}), "numbered in order"),
        ((1, 0.0, {}), "larger than 0"),
        ((1, np.nan, {}), "finite"),
        ((1, 1.0, {"front": np.ones(3)}), r"front must have shape \(2,\)"),
        ((1, 1.0, {"energy": 1j}), "energy must have shape .* float64"),
        ((1, 1.0, {"energie": 1.0}), r"unknown \['energie'\]"),
    ],
)
def test_saves_that_do_not_fit_are_refused(run, record, message, tmp_path, make, arguments, words):
    make = make or (lambda layout: FileRecorder(layout, tmp_path / "run.h5"))
    recorder = record(make(run.layout()), 1)
    index, time, changes = arguments
    with pytest.raises(ValueError, match=words) as info:
        recorder.save(index, time, run.values(1) | changes, None)
    message(info)
    assert recorder.dataset().sizes["time"] == 1


def test_missing_values_and_saves_past_the_end_are_refused(run, record):
    recorder = record(MemoryRecorder(run.layout()), 5)
    values = run.values(5)
    del values["mass"]
    with pytest.raises(ValueError, match=r"missing \['mass'\]"):
        recorder.save(5, 1.0, values)
    record(recorder, 6, start=5)
    with pytest.raises(ValueError, match="6 next of 6"):
        recorder.save(6, 1.0, run.values(6))
