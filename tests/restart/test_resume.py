"""What resume=True continues, what it leaves alone and what it refuses: every end a run can have."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import meanfield as mf
from meanfield.output import FileRecorder, OutputError, _file, read, reader
from meanfield.steppers import ETDRK4, RK4, FiniteVolume

FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")
FLOW = mf.GradientFlow(mf.InternalEnergy(3, 1 / 3), mf.Wasserstein())


STEEP = mf.Torus(64).density(lambda x: np.exp(np.log(40) / 2 * np.cos(2 * np.pi * x)))


class Killed(BaseException):
    """Stands for SIGKILL inside one process: nobody catches it."""


def bump(n=32):
    return mf.Torus(n).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))


def solve(state=None, **options):
    options = {"t_end": 0.01, "stepper": ETDRK4(dt=5e-4), "save_at": 6, "progress": False, **options}
    return mf.solve(options.pop("flow", FLOW), bump() if state is None else state, **options)


def killed(monkeypatch, out, *, at, before="save", **options):
    """Run into a file and be killed before call number `at` of the recorder's method; its other calls are done."""
    calls, methods = [], {name: getattr(FileRecorder, name) for name in ("save", "finish")}

    def mortal(name):
        def method(self, *arguments, **named):
            calls.append(name)
            if calls.count(before) >= at:  # the dead do nothing more, not even the end of a run that failed
                raise Killed
            return methods[name](self, *arguments, **named)

        return method

    with monkeypatch.context() as patch:
        for name in methods:
            patch.setattr(FileRecorder, name, mortal(name))
        with pytest.raises(Killed):
            solve(out=out, **options)
    assert read(out).status == "running"


def assert_same(a, b):
    assert a.attrs == b.attrs
    assert set(a.variables) == set(b.variables)
    for name in set(a.variables) - {"wall_time"}:
        assert a[name].values.tobytes() == b[name].values.tobytes(), name


def refused(out, error=ValueError, **options):
    """The message of a refused resume; the file is untouched."""
    before = out.read_bytes()
    with pytest.raises(error) as info:
        solve(out=out, resume=True, **options)
    assert out.read_bytes() == before
    assert FORM.fullmatch(str(info.value)), str(info.value)
    return str(info.value)


# ---- ends --------------------------------------------------------------------------------------------------------

ENDS = {
    "finished": {},
    "stopped between saves": {"stop": lambda t, rho: t > 0.0043},
    "stopped at a save": {"stop": lambda t, rho: t > 0.0039},
    "stopped at the end": {"stop": lambda t, rho: t > 0.0099},
    "step limit": {"max_steps": 9},
    "step limit at a save": {"max_steps": 8},
    "not finite": {
        "flow": mf.GradientFlow(mf.InternalEnergy(2.5, 1 / 3) + mf.Potential(lambda x: 3 * np.cos(2 * np.pi * x)),
                                mf.Wasserstein()),
        "state": STEEP, "stepper": ETDRK4(dt=2.1e-3, error_limit=1e9), "t_end": 1.0, "save_at": 301,
    },
    "inaccurate": {"state": STEEP, "stepper": ETDRK4(dt=5e-5), "save_at": 101},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:the run ended early:RuntimeWarning")
@pytest.mark.parametrize(
    ("name", "before", "at"),
    [("finished", "save", 1), *((name, *moment) for name in ENDS for moment in (("save", -1), ("finish", 1)))],
)
def test_a_run_killed_on_the_way_to_its_end_ends_there(name, before, at, tmp_path, monkeypatch):
    """Also between the file's creation and the first save, and between the last save and the end."""
    out, options = tmp_path / "run.h5", ENDS[name]
    whole = solve(**options)
    saves = whole.sizes["time"]
    assert name.startswith(whole.status)
    assert saves >= 3
    killed(monkeypatch, out, at=at if at > 0 else saves, before=before, **options)
    assert read(out).sizes["time"] == (saves if before == "finish" else 0 if at == 1 else saves - 1)
    assert_same(solve(out=out, resume=True, **options), whole)
    assert_same(solve(out=out, resume=True, **options), whole)  # it has ended: once more changes nothing
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.h5"]


def test_a_finished_run_is_returned_and_not_touched(tmp_path):
    out = tmp_path / "run.h5"
    whole = solve(out=out, resume=True)  # no file yet: it starts anew
    before = out.read_bytes()
    assert_same(solve(out=out, resume=True), whole)
    assert out.read_bytes() == before


@pytest.mark.filterwarnings("ignore:the run ended early:RuntimeWarning")
def test_a_run_that_ended_early_goes_on_when_it_may(tmp_path):
    """Another stopping rule, a larger number of steps in all: the planned rows are those of the uninterrupted run."""
    out = tmp_path / "run.h5"
    assert solve(out=out, max_steps=3).status == "step limit"
    assert solve(out=out, resume=True, max_steps=3).sizes["time"] == 2
    assert solve(out=out, resume=True, max_steps=7).status == "step limit"
    assert solve(out=out, resume=True, stop=lambda t, rho: t > 0.0049).status == "stopped"
    ended, whole = solve(out=out, resume=True), solve()
    assert ended.status_message == whole.status_message == "the final time was reached; 20 steps"
    assert list(np.setdiff1d(ended.time, whole.time)) == pytest.approx([0.0015, 0.0035, 0.005], abs=1e-12)
    assert np.array_equal(ended.sel(time=whole.time).density, whole.density)


def test_a_run_too_large_for_memory_resumes(tmp_path, monkeypatch):
    """Then the reader keeps the file open."""
    out = tmp_path / "run.h5"
    killed(monkeypatch, out, at=4)
    monkeypatch.setattr(reader, "_IN_MEMORY", 1000)
    with solve(out=out, resume=True) as ended:
        assert_same(ended.load(), solve())
    with solve(out=out, resume=True) as first, solve(out=out, resume=True) as second:
        assert_same(first.load(), second.load())


def test_a_run_makes_its_file_once_and_rewrites_it_once_at_the_end(tmp_path, monkeypatch):
    """The restart record keeps its size, from the first save on."""
    writes, write = [], _file.write
    monkeypatch.setattr(_file, "write", lambda *a, **o: writes.append(1) or write(*a, **o))
    for number, stepper in enumerate([ETDRK4(), RK4(), FiniteVolume(order=1), FiniteVolume()], start=1):
        solve(out=tmp_path / f"{number}.h5", stepper=stepper)
        assert len(writes) == 2 * number, stepper


# ---- refusals ----------------------------------------------------------------------------------------------------

OTHERS = {
    "stepper": ({"stepper": ETDRK4(dt=2e-4)}, ["parameters.stepper", "dt=0.0005", "dt=0.0002"]),
    "t_end": ({"t_end": 0.02}, ["parameters.t_end 0.01 in the file, 0.02 now", "parameters.save_at[1] 0.002 in the"]),
    "save_at": ({"save_at": 300}, ["parameters.save_at 6 entries in the file, 300 now"]),
    "datum": ({"state": mf.Torus(32).density(lambda x: 1 + 0.5 * np.sin(2 * np.pi * x))}, ["initial_state_sha256"]),
    "grid": ({"state": bump(64)}, ["Torus(n=32, dim=1", "Torus(n=64, dim=1", "other values of x", "density ('time',"]),
    "dimension": ({"state": mf.Torus(8, dim=2).density(lambda x, y: 1 + 0 * x)}, ["dim=2", "y only now"]),
    "flow": ({"flow": mf.GradientFlow(mf.InternalEnergy(2), mf.Wasserstein())}, ["exponent=3", "exponent=2"]),
    "observer": ({"observe": {"top": lambda rho: rho.values.max()}}, ["parameters.observe", "top only now"]),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_another_run_is_refused_and_the_differences_are_listed(name, tmp_path, monkeypatch):
    out, (change, words) = tmp_path / "run.h5", OTHERS[name]
    killed(monkeypatch, out, at=4)
    text = refused(out, **change)
    assert "a resumed run must be the run of run.h5" in text
    for word in words:
        assert word in text
    assert len(text) < 700
    assert_same(solve(out=out, resume=True), solve())  # and the run itself still goes on


def damage_records(out, *slots):
    with h5py.File(out, "r+") as file:
        for slot in slots:
            file[_file.SLOTS[slot]][100] ^= 1


def test_a_damaged_restart_record_costs_one_save_and_two_are_refused(tmp_path, monkeypatch):
    out = tmp_path / "run.h5"
    killed(monkeypatch, out, at=4)  # saves 0, 1, 2: the newest record is in slot 0
    damage_records(out, 0)
    resumed = []
    reopen = FileRecorder.reopen
    monkeypatch.setattr(FileRecorder, "reopen", lambda *a, **o: resumed.append(reopen(*a, **o)) or resumed[-1])
    assert_same(solve(out=out, resume=True), solve())
    assert resumed[0].saved == 2
    out.unlink()
    killed(monkeypatch, out, at=4)
    damage_records(out, 0, 1)
    assert "restart record must be whole (got run.h5, both damaged)" in refused(out)
    assert read(out).sizes["time"] == 3
    with h5py.File(out, "r+") as file:  # wiped: a run with saves has had a record
        for slot in _file.SLOTS:
            file[slot][:] = 0
    assert "restart record must be whole (got run.h5, none for its 3 saves)" in refused(out)


@pytest.mark.parametrize("left", [0.99, 0.6, 0.1])
def test_a_truncated_file_is_refused(left, tmp_path, monkeypatch):
    out = tmp_path / "run.h5"
    killed(monkeypatch, out, at=4)
    os.truncate(out, int(left * out.stat().st_size))
    monkeypatch.setattr(reader.time, "sleep", lambda seconds: pytest.fail("nobody holds it: nothing to wait for"))
    assert "run.h5" in refused(out)


def test_files_of_another_schema_or_kind_are_refused(tmp_path, monkeypatch):
    out = tmp_path / "run.h5"
    killed(monkeypatch, out, at=4)
    with h5py.File(out, "r+") as file:
        file.attrs["schema_version"] = "9.9"
    assert "schema version must be one of" in refused(out)
    with h5py.File(out, "w") as file:
        file["x"] = np.arange(3)
    assert "schema version must be one of" in refused(out)
    out.write_text("not HDF5")
    assert "must be HDF5" in refused(out)


# ---- people ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "stage", "call"),
    [
        ("start", "_lay_out", 1),
        ("start", "_sync_path", 1),
        ("resume", "_lay_out", 1),
        ("resume", "_copy", 1),
        ("resume", "_sync_path", 1),
        ("end", "_lay_out", 2),  # the first call takes the file over
        ("end", "_copy", 2),
        ("end", "_sync_path", 3),  # the file and its folder are synced
    ],
)
def test_killed_while_a_whole_file_is_written(moment, stage, call, tmp_path, monkeypatch):
    """A partial file stays beside the old one: harmless, and gone with the next rewrite."""
    out = tmp_path / "run.h5"
    if moment != "start":
        killed(monkeypatch, out, at=4)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    function, calls = getattr(_file, stage), []

    def kill(*arguments):
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return function(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(_file, stage, kill)
        patch.setattr(_file.os, "getpid", lambda: dead.pid)
        patch.setattr(Path, "unlink", lambda *a, **o: None)  # a killed process cleans nothing up
        with pytest.raises(Killed):
            solve(out=out, resume=True)
    left = {entry.name for entry in tmp_path.iterdir()}
    assert left == {f".run.h5.{dead.pid}.partial"} | ({"run.h5"} if moment != "start" else set())
    if moment != "start":
        assert read(out).sizes["time"] == (6 if moment == "end" else 3)
    assert_same(solve(out=out, resume=True), solve())
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.h5"]


def test_ctrl_c_keeps_the_saves_and_the_run_resumes(tmp_path, monkeypatch):
    """The signal itself, in the middle of a step, of a save between row and time, and of the last rewrite."""
    sync, calls = _file.sync, []

    def press(stream):
        calls.append(1)
        if len(calls) == 7:  # save 3, its row and record on the disk, its time not
            os.kill(os.getpid(), signal.SIGINT)
        sync(stream)

    def in_a_step(t, rho):
        if 0.0044 < t < 0.0046:
            os.kill(os.getpid(), signal.SIGINT)
        return False

    out = tmp_path / "run.h5"
    for options, saved in (({"stop": in_a_step}, 3), ({}, 3)):
        calls.clear()
        with monkeypatch.context() as patch:
            if not options:
                patch.setattr(_file, "sync", press)
            with pytest.raises(KeyboardInterrupt):
                solve(out=out, overwrite=True, **options)
        assert (read(out).status, read(out).sizes["time"]) == ("interrupted", saved)
        assert_same(solve(out=out, resume=True), solve())
    with monkeypatch.context() as patch:
        patch.setattr(_file, "_copy", lambda *arguments: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            solve(out=out, overwrite=True)
    assert (read(out).status, read(out).sizes["time"]) == ("running", 6)
    assert_same(solve(out=out, resume=True), solve())


def test_looking_at_a_running_file_for_as_long_as_one_likes_stops_nothing(tmp_path):
    """`xarray.open_dataset` kept open in another process, with HDF5's lock; the run's saves and its end go on."""
    out = tmp_path / "run.h5"
    look = "import sys, xarray; ds = xarray.open_dataset(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    looking = []

    def open_it(t, rho):
        if t > 0.003 and not looking:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            looking.append(subprocess.Popen([sys.executable, "-c", look, str(out)], **pipes))
            assert looking[0].stdout.readline() == "open\n"
        return False

    ended = solve(out=out, stop=open_it)
    looking[0].communicate("")
    assert looking[0].returncode == 0
    assert_same(ended, solve())


def test_a_full_disk_leaves_the_last_good_save_and_the_run_goes_on_later(tmp_path, monkeypatch):
    """In one line; the disk is full from the fourth save on."""
    out, put, calls = tmp_path / "run.h5", _file.put, []
    each = len(solve().data_vars) + 2  # variables, record and time

    def full(stream, place, values):
        calls.append(values.nbytes)
        if len(calls) > 3 * each and values.nbytes > 8:
            stream.write(values.reshape(-1).view(np.uint8)[:100].data)
            raise OSError(28, "No space left on device")
        put(stream, place, values)

    with monkeypatch.context() as patch:
        patch.setattr(_file, "put", full)
        with pytest.raises(OutputError, match="No space left on device") as info:
            solve(out=out)
    assert FORM.fullmatch(str(info.value))
    with xr.open_dataset(out) as dataset:
        assert int(np.isfinite(dataset.time).sum()) == 3
        assert np.isfinite(dataset.density[:3]).all()
    assert_same(solve(out=out, resume=True), solve())
