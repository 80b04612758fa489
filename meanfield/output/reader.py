"""Read a run's file back, or say what it holds; safe at any time, also while the run is writing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from meanfield import _check
from meanfield.output import _file, schema

if TYPE_CHECKING:
    import xarray as xr

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_IN_MEMORY = 2**28  # bytes; a larger dataset stays on disk
_LONG = 4  # entries of a list told one by one
_PATIENCE = 5.0  # seconds; a save holds the file for milliseconds


def read(path: str | os.PathLike[str]) -> xr.Dataset:
    """The dataset of a run's file: finished, running or interrupted.

    Saves that are not there yet, or never will be, are left out: every time in the result comes with all its values.

    Parameters
    ----------
    path : str or path — an output file

    Returns
    -------
    xarray.Dataset — in memory below 256 MiB, else lazily from the open file; close it when done

    Raises
    ------
    ValueError — no such file, not HDF5, or a schema version unknown here.

    Notes
    -----
    The file is read without its lock, so that a reader never delays the run: times are read before the variables, and
    a run writes them after.
    """
    path = Path(path)
    with _opened(path) as dataset:
        cut = _saved(dataset)
        if cut.nbytes < _IN_MEMORY:
            return cut.load()
    return _saved(_open(path))


def describe(path: str | os.PathLike[str]) -> str:
    """A summary for people: title, equation, status, saved times, variables, parameters, versions; a line each.

    Raises
    ------
    ValueError — as `read`.
    """
    path = Path(path)
    with _opened(path) as dataset:
        attributes = dataset.attrs
        status = f"{attributes['status']}: {attributes['status_message']}".removesuffix(": ")
        lines = [("file", f"{path.name}, schema {attributes['schema_version']}, {path.stat().st_size / 2**20:.2f} MiB")]
        lines += [(name, str(attributes[name])) for name in ("title", "equation")]
        lines += [("status", status), ("saved times", _span(dataset))]
        for name, data in dataset.variables.items():
            sizes = ", ".join(f"{dim} {size}" for dim, size in data.sizes.items())
            lines.append((f"  {name}", f"({sizes}) {data.attrs.get('long_name', '')}"))
        lines += _parameters(str(attributes["parameters"]))
        names = ("seed", "ladder", "versions", "transforms", "machine", "references")
        lines += [(name, str(attributes[name])) for name in names]
    lines = [(name, text) for name, text in lines if text]
    width = max(len(name) for name, _ in lines) + 2
    indent = "\n" + " " * width  # a ladder has many lines
    return "\n".join(f"{name:<{width}}{text}".replace("\n", indent).rstrip() for name, text in lines)


def _parameters(text: str) -> list[tuple[str, str]]:
    """One line a parameter where they are a JSON mapping, long lists by their ends, checksums by their beginning."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        return [("parameters", text)]
    return [("parameters", f"{len(found)}, in JSON"), *((f"  {name}", _short(name, found[name])) for name in found)]


def _short(name: str, value: object) -> str:
    if isinstance(value, list) and len(value) > _LONG:
        return f"{value[0]}, {value[1]}, …, {value[-1]} ({len(value)})"
    if name.endswith("_sha256"):
        return f"{value}"[:12] + "…"
    return value if isinstance(value, str) else json.dumps(value)


def _saved(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset without the times that are not saved yet."""
    if schema.TIME not in dataset:
        return dataset
    return dataset.isel(time=slice(0, saved_times(dataset[schema.TIME].values)))


def _span(dataset: xr.Dataset) -> str:
    """How many times are saved, and which; nothing for a sweep, which has none."""
    if schema.TIME not in dataset:
        return ""
    times = dataset[schema.TIME].values
    saved = saved_times(times)
    return f"{saved} of {len(times)}" + (f", t = {times[0]:.6g} to {times[saved - 1]:.6g}" if saved else "")


def saved_times(times: np.ndarray) -> int:
    """How many saves are complete: the number of leading times (n,) that are not NaN."""
    missing = np.isnan(times)
    return int(missing.argmax()) if missing.any() else len(times)


def require_hdf5(path: Path) -> None:
    """Refuse a path that is not an HDF5 file, by its signature.

    Raises
    ------
    ValueError
    """
    if not path.is_file():
        raise _check.fail("output file must exist", path.name, "check the path")
    with path.open("rb") as stream:
        head = stream.read(len(_SIGNATURE))
    if head != _SIGNATURE:
        raise _check.fail("output file must be HDF5", f"{path.name}, first bytes {head!r}", "pass a file of a run")


def require_schema(name: str, version: object) -> None:
    """Refuse a schema version that is not known here.

    Raises
    ------
    ValueError
    """
    if version not in schema.READABLE_VERSIONS:
        raise _check.fail(
            f"schema version must be one of {schema.READABLE_VERSIONS}",
            f"{version!r} in {name}",
            "update meanfield, or pass a file of a run",
        )


@contextmanager
def _opened(path: Path) -> Iterator[xr.Dataset]:
    dataset = _open(path)
    try:
        yield dataset
    finally:
        dataset.close()


def _open(path: Path) -> xr.Dataset:
    """The file's dataset, lazily and unlocked, refused if it is not one of ours.

    HDF5 refuses a second opening inside one process when the two disagree on locking: then the lock is used too.
    """
    import xarray as xr

    require_hdf5(path)
    deadline, unlocked = time.monotonic() + _PATIENCE, True
    while True:
        options = {"locking": False} if unlocked else {}
        try:
            dataset = xr.open_dataset(
                path, engine="h5netcdf", driver_kwds=options, phony_dims="access"
            )  # others' files
            break
        except OSError as error:
            text = " ".join(str(error).split())
            if time.monotonic() > deadline or not _file.busy(text):
                remedy = (
                    "close it elsewhere" if _file.busy(text) else "check the disk, or run again with overwrite=True"
                )
                raise _check.fail("output file must open", f"{path.name}: {text}", remedy) from error
        unlocked = not unlocked
        time.sleep(0.002)
    try:
        require_schema(path.name, dataset.attrs.get("schema_version"))
    except ValueError:
        dataset.close()
        raise
    return dataset
