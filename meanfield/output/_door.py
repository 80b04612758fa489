"""Refusals at the door of a file: before a run writes it, and before a run continues it."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.output import _file, _restart, reader, schema

if TYPE_CHECKING:
    import h5py


def check_destination(path: str | os.PathLike[str], *, overwrite: bool = False, resume: bool = False) -> Path:
    """The path of the output, resolved, or a refusal, before any work is done.

    Parameters
    ----------
    path : str or path — the file to write
    overwrite : bool — replace an existing file
    resume : bool — continue an existing file; without one the run starts anew

    Raises
    ------
    ValueError — the folder is missing or closed to us, the path is a folder, a file is there and neither option was
    passed, or both were.
    """
    path = Path(path).resolve()
    if overwrite and resume:
        raise _check.fail("overwrite and resume exclude each other", "both True", "pass one of them")
    if path.is_dir():
        raise _check.fail("output path must be a file", f"folder {path.name}", "add a file name, as run.h5")
    if not path.parent.is_dir():
        raise _check.fail("output folder must exist", str(path.parent), "create it or pass another path")
    if path.exists() and resume:
        reader.require_hdf5(path)
    elif path.exists() and not overwrite:
        written = datetime.datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
        got = f"{path.name}, written {written}, {_status(path)}"
        raise _check.fail("output file exists", got, "pass overwrite=True, resume=True or another path")
    probe = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _check.fail(
            "output folder must be writable", f"{path.parent}: {error.strerror}", "pass another path"
        ) from error
    return path


def require_same_run(file: h5py.File, layout: schema.Layout, name: str) -> None:
    """Refuse to continue a file whose run differs from the layout's: every difference is listed.

    Raises
    ------
    ValueError — other parameters, variables, coordinates or constants, or more saves than planned now.
    """
    found = _parameter_differences(file.attrs["parameters"], layout.attributes["parameters"])
    there = {key for key in file if key != _file.RESTART} - {schema.TIME}
    here = {item.name for item in layout.variables} | set(layout.coordinates)
    found += [f"{key} only in the file" for key in sorted(there - here)]
    found += [f"{key} only now" for key in sorted(here - there)]
    for item in layout.variables:
        if item.name in there:
            data, rows = file[item.name], int(item.along_time)
            dims = tuple(dim[0].name.removeprefix("/") for dim in data.dims)
            if (dims, data.dtype, data.shape[rows:]) != (item.dims, item.dtype, layout.shape(item)[rows:]):
                found.append(f"{item.name} {dims} {data.shape} {data.dtype} in the file")
    for key, values in (dict(layout.coordinates) | dict(layout.constants)).items():
        if key in there and not np.array_equal(file[key][...], values, equal_nan=True):
            found.append(f"other values of {key} in the file")
    if len(file[schema.TIME]) > layout.n_times:
        found.append(f"{len(file[schema.TIME])} saves in the file, {layout.n_times} now")
    if found:
        raise _check.fail(
            f"a resumed run must be the run of {name}",
            "; ".join(found),
            "pass the file's parameters, overwrite=True or another path",
        )


def restart_record(file: h5py.File, saved: int, name: str) -> _restart.Record | None:
    """The newest whole restart record of an open file, None without saves or at the end of a run.

    Raises
    ------
    ValueError — both records are damaged, or missing.
    """
    try:
        record = _restart.newest([file[slot] for slot in _file.SLOTS if slot in file], saved)
    except ValueError as error:
        raise _damaged(f"{name}, both damaged") from error
    if saved and record is None and file.attrs["status"] != schema.FINISHED:
        raise _damaged(f"{name}, none for its {saved} saves")  # a save's record is written before the save counts
    return record


def _damaged(got: str) -> ValueError:
    return _check.fail("restart record must be whole", got, "run again with overwrite=True or to another path")


def _parameter_differences(there: str, here: str) -> list[str]:
    """Differences of two texts of parameters, by key where both are JSON mappings."""
    try:
        old, new = _flat(json.loads(there)), _flat(json.loads(here))
    except json.JSONDecodeError:
        old, new = {"parameters": there}, {"parameters": here}
    keys = sorted(set(old) | set(new))
    return [
        _difference(key, old.get(key, "absent"), new.get(key, "absent"))
        for key in keys
        if old.get(key, "absent") != new.get(key, "absent")
    ]


def _difference(key: str, old: Any, new: Any) -> str:
    """One difference in words; of two lists their lengths, or the first entry that differs."""
    if isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            return f"{key} {len(old)} entries in the file, {len(new)} now"
        index = next(i for i, (a, b) in enumerate(zip(old, new)) if a != b)
        key, old, new = f"{key}[{index}]", old[index], new[index]
    return f"{key} {old!r} in the file, {new!r} now"


def _flat(value: Any, prefix: str = "parameters") -> dict[str, Any]:
    """Nested mappings as one, the keys joined by dots."""
    if not isinstance(value, dict):
        return {prefix: value}
    return {key: item for name, inner in value.items() for key, item in _flat(inner, f"{prefix}.{name}").items()}


def _status(path: Path) -> str:
    """What stands at a path: the status of a run's file, or another kind of file."""
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            return f"status {file.attrs['status']}"
    except (OSError, KeyError):
        return "not a run's file"
