"""Somebody who looks at a run's file every 50 ms: ``python kill_reader.py``, told where on its standard input.

Each line names a file and its reference (.npz), or is empty for a pause; it answers the line before with a JSON count
of what it has seen. A row counts as torn when its time is there and one of its values is not the reference's.
"""

import json
import select
import sys
import time
import traceback

import numpy as np
import xarray as xr

from meanfield.output import read

EVERY = 0.05


def compare(dataset, reference):
    """How many rows have their time, and the names of variables that differ from the reference there."""
    times = dataset.time.values
    saved = int(np.isnan(times).argmax()) if np.isnan(times).any() else len(times)
    torn = [] if np.isfinite(dataset.wall_time.values[:saved]).all() else ["wall_time"]
    for name, expected in reference.items():
        rows = slice(0, saved if name == "time" or dataset[name].dims[:1] == ("time",) else None)
        if dataset[name].values[rows].tobytes() != expected[rows].tobytes():
            torn.append(name)
    return saved, torn


def look(path, reference, seen):
    """Read the file both ways; new files may not be there yet, afterwards they must be."""
    for way in (read, lambda path: xr.open_dataset(path, engine="h5netcdf")):
        try:
            with way(path) as dataset:
                saved, torn = compare(dataset, reference)
        except Exception as error:
            absent = isinstance(error, FileNotFoundError) or "must exist" in str(error)
            if not absent or seen["reads"]:
                seen["errors"].append(traceback.format_exc(limit=3))
        else:
            seen["reads"] += 1
            seen["torn"] += [f"{name} of {saved} rows" for name in torn]
            seen["lost"] += saved < seen["saved"]
            seen["saved"] = saved
            seen["stages"] = sorted({*seen["stages"], saved})


def main():
    task, seen = None, {}
    print("ready", flush=True)
    while True:
        start = time.monotonic()
        if task:
            look(*task, seen)
        if not select.select([sys.stdin], [], [], max(0.0, EVERY - (time.monotonic() - start)))[0]:
            continue
        words = sys.stdin.readline()
        if task:
            print(json.dumps(seen), flush=True)
        if not words:
            return
        seen = {"reads": 0, "torn": [], "errors": [], "lost": 0, "saved": 0, "stages": []}
        path, _, reference = words.strip().partition("\t")
        task = (path, dict(np.load(reference))) if path else None


if __name__ == "__main__":
    main()
