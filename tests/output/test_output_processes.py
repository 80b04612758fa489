"""Other processes: readers during the saves, and SIGKILL in the middle of them."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from meanfield.output import FileRecorder, Layout, read, variable

N_TIMES, N = 3000, 3000

# One row is one save: all entries are its index. The restart record repeats it.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from meanfield.output import FileRecorder
sys.path.insert(0, sys.argv[3])
from test_output_processes import N, make_layout

path, count = Path(sys.argv[1]), int(sys.argv[2])
if path.exists():
    resumed = FileRecorder.reopen(path, make_layout())
    recorder, start = resumed.recorder, resumed.saved
    assert start == 0 or (resumed.restart["state"] == start - 1).all()
else:
    recorder, start = FileRecorder(make_layout(), path), 0
print("ready", flush=True)
for index in range(start, start + count):
    row = np.full(N, float(index))
    recorder.save(index, index, {"density": row, "energy": index}, {"state": row})
"""


def make_layout():
    return Layout((variable("energy"), variable("density", "x")), {"x": N}, {}, N_TIMES, restart_capacity=2**16)


def start_writer(path, count):
    folder = str(Path(__file__).parent)
    command = [sys.executable, "-W", "error", "-c", WRITER, str(path), str(count), folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def assert_rows_are_whole(dataset):
    saved = int(np.isfinite(dataset.time.values).sum())  # read before the variables
    index = np.arange(saved)
    np.testing.assert_array_equal(dataset.energy[:saved], index)
    np.testing.assert_array_equal(dataset.density[:saved, 0], index)
    np.testing.assert_array_equal(dataset.density[:saved, -1], index)
    return saved


def test_readers_neither_disturb_the_run_nor_see_half_a_save(tmp_path):
    path, count = tmp_path / "run.h5", 800
    with start_writer(path, count) as writer:
        seen = set()
        while writer.poll() is None:
            seen.add(assert_rows_are_whole(read(path)))
            with xr.open_dataset(path) as dataset:
                seen.add(assert_rows_are_whole(dataset))
            time.sleep(0.003)
        assert writer.wait() == 0, writer.stderr.read()
    assert read(path).sizes["time"] == count
    assert len(seen) >= 5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_killed_run_leaves_whole_saves_and_continues(tmp_path, seed):
    path, rng = tmp_path / "run.h5", np.random.default_rng(seed)
    progress = [0]
    for _ in range(2):
        with start_writer(path, N_TIMES) as writer:
            while (saved := read(path).sizes["time"]) <= progress[-1] + 3:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.01))
            writer.kill()
        with xr.open_dataset(path) as dataset:
            progress.append(assert_rows_are_whole(dataset))
        assert progress[-1] >= saved
    resumed = FileRecorder.reopen(path, make_layout())
    assert progress[-1] - 1 <= resumed.saved <= progress[-1]
    np.testing.assert_array_equal(resumed.restart["state"], np.full(N, resumed.saved - 1.0))
