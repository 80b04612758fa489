"""Reading: finished, running and foreign files; the summary."""

import fcntl

import h5py
import numpy as np
import pytest
import xarray as xr

from meanfield.output import FileRecorder, describe, read, reader


@pytest.fixture
def path(run, record, tmp_path):
    record(FileRecorder(run.layout(), tmp_path / "run.h5"), 3)
    return tmp_path / "run.h5"


def lock(path):
    """Take the file's lock for writing at once; OSError when somebody reads under it."""
    with path.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_small_files_come_into_memory(path):
    dataset = read(str(path))
    path.unlink()
    np.testing.assert_array_equal(dataset.energy, [1, 2, 3])
    assert dataset.energy.variable._in_memory


def test_large_files_stay_on_disk_and_do_not_hold_the_run(path, run, monkeypatch):
    monkeypatch.setattr(reader, "_IN_MEMORY", 0)
    with read(path) as dataset:
        assert not dataset.density.variable._in_memory
        assert dataset.sizes["time"] == 3
        lock(path)
        np.testing.assert_array_equal(dataset.density[2], np.full(run.n, 3.0))
    with xr.open_dataset(path), pytest.raises(BlockingIOError):
        lock(path)


def test_a_file_open_elsewhere_in_the_process_is_read_all_the_same(path):
    with xr.open_dataset(path) as theirs:
        assert read(path).sizes["time"] == 3
        assert theirs.sizes["time"] == 6


@pytest.mark.parametrize("version", ["0.1", 1, None])
def test_unknown_schema(path, run, message, version):
    with h5py.File(path, "r+") as file:
        del file.attrs["schema_version"]
        if version is not None:
            file.attrs["schema_version"] = version
    for attempt in (read, describe, lambda path: FileRecorder.reopen(path, run.layout())):
        with pytest.raises(ValueError, match=r"schema version must be one of \('1.0',\) \(got ") as info:
            attempt(path)
        assert "run.h5" in message(info)
    lock(path)


def test_files_that_are_not_ours(message, tmp_path):
    path = tmp_path / "run.h5"
    with pytest.raises(ValueError, match=r"must exist \(got run.h5\)") as info:
        read(path)
    message(info)
    path.write_bytes(b"CDF\x01" + bytes(100))
    with pytest.raises(ValueError, match="must be HDF5") as info:
        read(path)
    message(info)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ValueError, match="must open") as info:
        read(path)
    message(info)


def test_a_lock_that_stays_is_reported(path, message, monkeypatch):
    def refuse(*arguments, **options):
        raise BlockingIOError(11, "unable to lock file\nResource temporarily unavailable")

    monkeypatch.setattr(reader, "_PATIENCE", 0.01)
    monkeypatch.setattr(xr, "open_dataset", refuse)
    with pytest.raises(ValueError, match="unable to lock file Resource") as info:
        read(path)
    message(info)


def test_saved_times():
    nan = np.nan
    assert [reader.saved_times(np.array(t)) for t in ([], [nan, nan], [0, nan], [0, 1], [0, nan, 1])] == [0, 0, 1, 2, 1]


def test_summary(path):
    text = describe(path)
    lines = {line[:13].strip(): line for line in text.splitlines()}
    assert "run.h5, schema 1.0" in lines["file"]
    assert "heat" in lines["title"]
    assert "running" in lines["status"]
    assert "3 of 6, t = 0 to 0.2" in lines["saved times"]
    assert "2, in JSON" in lines["parameters"]
    assert (lines["grid"].split(maxsplit=1)[1], lines["m"].split()[1]) == ('{"n": 64}', "3")
    assert "(time 6, x 64) density rho_t" in text
    assert "ladder" not in text


def test_summary_shortens_long_lists_and_checksums(run, tmp_path):
    parameters = {"save_at": [0.0, 0.1, 0.2, 0.3, 0.4], "data_sha256": 64 * "a", "observe": [], "flow": "Risk(ρ)"}
    layout = run.layout(attributes={"parameters": parameters, "ladder": "one\ntwo\n"})
    FileRecorder(layout, tmp_path / "run.h5")
    lines = {line[:16].strip(): line[16:].strip() for line in describe(tmp_path / "run.h5").splitlines()}
    assert lines["save_at"] == "0.0, 0.1, …, 0.4 (5)"
    assert (lines["data_sha256"], lines["observe"], lines["flow"]) == (12 * "a" + "…", "[]", "Risk(ρ)")
    assert (lines["ladder"], lines[""]) == ("one", "two")  # its lines stay below one another


def test_summary_of_a_file_without_saves(run, tmp_path):
    FileRecorder(run.layout(), tmp_path / "run.h5").finish("not finite", "the first energy is nan")
    text = describe(tmp_path / "run.h5")
    assert "not finite: the first energy is nan" in text
    assert "0 of 0\n" in text
