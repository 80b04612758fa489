"""Kill runs with SIGKILL at random moments, continue them, and compare with the uninterrupted ones, bit for bit.

Run it for the whole table, about two minutes on two cores:

    python tests/restart/kill_harness.py [--kills 2] [--seed 0] [--jobs 2]
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import xarray as xr
from kill_cases import N_SAVES, NAMES, STEPPERS, make_case
from kill_reader import compare

import meanfield as mf
from meanfield.output import read

FOLDER = Path(__file__).parent
WITHIN = {"save": 0.04, "open": 0.02, "finish": 0.03}  # seconds an aimed, slowed operation lasts, about


@dataclass(frozen=True)
class Tally:
    """What happened to one case, or to many."""

    kills: int = 0
    inside: int = 0  # of them inside a save, a creation or the last rewrite
    lost: int = 0
    changed: int = 0
    reads: int = 0
    torn: int = 0
    notes: tuple = field(default=())

    def __add__(self, other):
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    @property
    def clean(self):
        return not (self.lost or self.changed or self.torn or self.notes)


@contextmanager
def python(script, *arguments):
    command = [sys.executable, "-W", "error", str(FOLDER / script), *map(str, arguments)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, bufsize=1, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def reference_of(name):
    """The uninterrupted run, in memory, and how long it takes, compilation apart."""
    flow, state, options = make_case(name)
    dataset = mf.solve(flow, state, **options, progress=False)
    return dataset, N_SAVES * float(np.median(np.diff(dataset.wall_time)))


def plan(rng, kills):
    """Where to aim: all kinds in turn, the end of the run last."""
    kinds = [*rng.permutation(["open", "save", "anywhere"]), "save", "anywhere"]
    last = rng.choice(["finish", "save", "anywhere"], p=[0.5, 0.25, 0.25])
    return [*(kinds[i % len(kinds)] for i in range(kills - 1)), last]


def kill_once(name, path, aim, rng, seconds):
    """Run until the moment aimed at; (whether SIGKILL hit it running, the last save it reported, was it inside one)."""
    first = read(path).sizes["time"] if path.exists() else 0
    index = first + rng.integers(max(1, (N_SAVES - 1 - first) * 2 // 3))
    delay = rng.uniform(0, WITHIN.get(aim, 1.5 * seconds / N_SAVES))
    with python("kill_runner.py", name, path, aim if aim in ("open", "finish") else f"{aim}:{index}") as process:
        lines = []
        for line in process.stdout:
            lines.append(line.split())
            if lines[-1] == ["aim"]:
                time.sleep(delay)
                process.send_signal(signal.SIGKILL)
        errors = process.stderr.read()
        code = process.wait()
    assert code in (0, -signal.SIGKILL), errors
    saved = max((int(words[1]) + 1 for words in lines if words[0] == "saved"), default=0)
    return code == -signal.SIGKILL, saved, lines[-1][0] in ("saving", "writing")


def kill_case(name, aims, rng, folder, reader=None):
    """Kill a case once for every aim, let it end, compare; a Tally."""
    whole, seconds = reference_of(name)
    arrays = {key: data.values for key, data in whole.variables.items() if key != "wall_time"}
    path, tally, known = Path(folder) / "run.h5", Tally(), 0
    if reader:
        np.savez(Path(folder) / "reference.npz", **arrays)
        reader.stdin.write(f"{path}\t{Path(folder) / 'reference.npz'}\n")
    for aim in aims:
        hit, reported, inside = kill_once(name, path, aim, rng, seconds)
        tally += Tally(kills=int(hit), inside=int(hit and inside))
        if not path.exists():  # killed while the file was made
            tally += Tally(lost=max(known, reported))
            continue
        for way in (read, lambda path: xr.open_dataset(path, engine="h5netcdf")):
            with way(path) as dataset:
                saved, torn = compare(dataset, arrays)
            tally += Tally(lost=max(0, max(known, reported) - saved), changed=len(torn))
        known = saved
    flow, state, options = make_case(name)
    with mf.solve(flow, state, **options, out=path, resume=True, progress=False) as ended:
        tally += Tally(changed=sum(ended[key].values.tobytes() != value.tobytes() for key, value in arrays.items()))
        tally += Tally(changed=int(ended.attrs != whole.attrs or set(ended.variables) != set(whole.variables)))
    left = [entry.name for entry in Path(folder).iterdir() if entry.name not in ("run.h5", "reference.npz")]
    if left:
        tally = replace(tally, notes=(*tally.notes, f"{name}: left behind {left}"))
    if reader:
        time.sleep(0.15)
        reader.stdin.write("\n")
        seen = json.loads(reader.stdout.readline())
        tally += Tally(lost=seen["lost"], reads=seen["reads"], torn=len(seen["torn"]), notes=tuple(seen["errors"]))
    return tally


@contextmanager
def a_reader():
    with python("kill_reader.py") as reader:
        assert reader.stdout.readline() == "ready\n", reader.stderr.read()
        yield reader


def run_all(*, kills=2, seed=0, jobs=2, names=NAMES):
    """Every case with so many kills, a reader beside each; stepper -> Tally."""

    def work(share):
        with a_reader() as reader:
            for number, name in share:
                rng = np.random.default_rng([seed, number])
                with tempfile.TemporaryDirectory() as folder:
                    yield name, kill_case(name, plan(rng, kills), rng, folder, reader)

    numbered = list(enumerate(names))
    with ThreadPoolExecutor(jobs) as pool:
        parts = list(pool.map(lambda job: list(work(numbered[job::jobs])), range(jobs)))
    totals = {stepper: Tally() for stepper in STEPPERS}
    for name, tally in (pair for part in parts for pair in part):
        totals[name.split(", ")[0]] += tally
    return totals


def table(totals):
    """The tallies as text, one stepper a row and the sum below."""
    heads = ("stepper", "kills", "inside a write", "saves lost", "bits changed", "reads", "torn", "errors")
    rows = {**totals, "all": sum(totals.values(), Tally())}
    lines = [f"{heads[0]:<22}" + "".join(f"{head:>16}" for head in heads[1:])]
    for stepper, t in rows.items():
        counts = (t.kills, t.inside, t.lost, t.changed, t.reads, t.torn, len(t.notes))
        lines.append(f"{stepper:<22}" + "".join(f"{count:>16}" for count in counts))
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("kills", 2), ("seed", 0), ("jobs", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    totals = run_all(**vars(parser.parse_args(argv)))
    print(table(totals), *(note for t in totals.values() for note in t.notes), sep="\n")
    return totals


if __name__ == "__main__":
    sys.exit(not all(tally.clean for tally in main().values()))
