"""The HDF5 file under a run: created whole and swapped in, then changed in its raw data only.

Everything that changes HDF5's metadata happens in a file under another name, which then replaces the old one. Between
swaps a file keeps its size, its addresses and its attributes, so a run killed at any instant leaves a file that opens.
For the same reason a save needs no HDF5: it writes bytes at known addresses, so nobody who has the file open stops the
run, and a disk that fails leaves no broken library behind. Another run on the same path is told by the owner's token.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from meanfield import _check
from meanfield.output import schema

if TYPE_CHECKING:
    import h5py

RESTART = "restart"  # group beside the data: xarray reads the root only
SLOTS = (f"{RESTART}/slot0", f"{RESTART}/slot1")
OWNER = f"{RESTART}/owner"  # 16 random bytes of the run that writes the file

# Superblock version 0. From version 3 (libver "latest") HDF5 refuses a file whose writer was killed while it was open.
_LIBVER = ("earliest", "v110")
_BLOCK = 2**26  # bytes copied at a time


def busy(text: str) -> bool:
    """Whether HDF5's message says that somebody has the file open (a truncated one speaks of its "sblock")."""
    return re.search(r"\block|already open", text) is not None


class OutputError(OSError):
    """The output file cannot be written or resumed; the message says why and what to do."""


@contextmanager
def opened(path: Path, patience: float) -> Iterator[h5py.File]:
    """The file, opened for reading without HDF5's lock.

    HDF5 refuses a second opening inside one process when the two disagree on locking: then the lock is used too.
    """
    import h5py

    deadline, pause = time.monotonic() + patience, 0.001
    locking: bool | None = False
    while True:
        try:
            file = h5py.File(path, "r", locking=locking)
            break
        except FileNotFoundError as error:
            raise _missing(path) from error
        except OSError as error:
            text = " ".join(str(error).split())
            if time.monotonic() > deadline or not busy(text):
                raise OutputError(f"output file must open (got {path.name}: {text}); check the disk") from error
        locking = False if locking is None else None
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    with file:
        yield file


@contextmanager
def raw(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, to be read and changed in place; what the disk refuses becomes one `OutputError`."""
    try:
        with path.open("r+b", buffering=0) as stream:
            yield stream
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        raise _refused(path, error) from error


def put(stream: BinaryIO, place: int, values: np.ndarray) -> None:
    """Write an array's bytes at an address."""
    stream.seek(place)
    data = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    while len(data):
        data = data[stream.write(data) :]


def sync(stream: BinaryIO) -> None:
    """Everything written so far reaches the disk before this returns."""
    os.fsync(stream.fileno())


def _missing(path: Path) -> OutputError:
    return OutputError(
        f"output file must stay in place during the run (got {path.name}: missing); run again to another path"
    )


def _refused(path: Path, error: OSError) -> OutputError | OSError:
    if isinstance(error, OutputError):
        return error
    text = " ".join((error.strerror or str(error)).split())
    return OutputError(
        f"output file must be writable (got {path.name}: {text}); make room on the disk, then pass resume=True"
    )


def write(
    path: Path, layout: schema.Layout, owner: bytes, *, source: h5py.File | None = None, saved: int = 0
) -> dict[str, int]:
    """Create the file of a layout, whole, under another name, and swap it in; the addresses of its arrays.

    Parameters
    ----------
    path : Path — the file created or replaced
    layout : Layout — its time axis is allocated in full and filled with NaN
    owner : bytes (16,) — of the run that writes it
    source : open file — its first `saved` saves and its restart records are copied
    saved : int

    Raises
    ------
    ValueError — the disk has no room for it.
    OutputError — it fails us otherwise.

    Notes
    -----
    Cost: all bytes of the layout are written once, so a full disk shows here and not in the middle of the run.
    """
    import h5py

    free = shutil.disk_usage(path.parent).free
    needed = layout.nbytes * (1 if source is not None else 2)  # a run's end rewrites its file beside itself
    if free < needed:
        got = f"{free / 2**20:.1f} MiB free, {needed / 2**20:.1f} MiB needed"
        raise _check.fail("the disk must have room for the output", got, "save fewer times or use another disk")
    _sweep(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        _reserve(partial, layout.nbytes + 2**16)
        with h5py.File(partial, "w", libver=_LIBVER, locking=False) as target:
            _lay_out(target, layout, owner)
            if source is not None:
                _copy(source, target, layout, saved)
            places = _places(target, layout)
        _sync_path(partial)
        os.replace(partial, path)
        _sync_path(path.parent)
        return places
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _refused(path, error) from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _reserve(path: Path, nbytes: int) -> None:
    """Fail now, with a plain error, where the disk would fail HDF5 half-way: from that it does not recover."""
    with path.open("wb") as stream:
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(stream.fileno(), 0, nbytes)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # file systems that cannot tell beforehand
                    raise


def _places(file: h5py.File, layout: schema.Layout) -> dict[str, int]:
    """Addresses of everything a save writes or checks, in bytes from the start of the file."""
    rows = [item.name for item in layout.variables if item.along_time]
    slots = SLOTS if layout.restart_capacity else ()
    return {name: file[name].id.get_offset() for name in (schema.TIME, OWNER, *rows, *slots)}


def _sweep(path: Path) -> None:
    """Remove what writers of this path have left that were killed before their swap."""
    for partial in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        if not _may_run(partial.name.split(".")[-2]):
            partial.unlink(missing_ok=True)


def _may_run(pid: str) -> bool:
    """Whether a process of this number may be alive; True where we cannot know."""
    if os.name != "posix" or not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _lay_out(file: h5py.File, layout: schema.Layout, owner: bytes) -> None:
    """Dimension scales, variables, attributes and restart slots, all allocated."""
    file.attrs.update(layout.attributes)
    scales = {schema.TIME: _dataset(file, schema.TIME, (layout.n_times,), np.dtype(np.float64), np.nan)}
    for name, points in layout.coordinates.items():
        scales[name] = _dataset(file, name, points.shape, points.dtype, 0)
        scales[name][...] = points
    for name, scale in scales.items():
        scale.make_scale(name)
        scale.attrs.update(schema.coordinate_attributes(name))
    for item in layout.variables:
        data = _dataset(file, item.name, layout.shape(item), item.dtype, np.nan)
        for axis, dim in enumerate(item.dims):
            data.dims[axis].attach_scale(scales[dim])
        data.attrs.update(item.attrs)
        if not item.along_time:
            data[...] = layout.constants[item.name]
    _dataset(file, OWNER, (len(owner),), np.dtype(np.uint8), 0)[...] = np.frombuffer(owner, dtype=np.uint8)
    for name in SLOTS if layout.restart_capacity else ():
        _dataset(file, name, (layout.restart_capacity,), np.dtype(np.uint8), 0)


def _dataset(file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype, fill: Any) -> h5py.Dataset:
    """A contiguous dataset whose bytes are allocated and filled now: later writes touch no metadata."""
    import h5py

    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_value(np.array(fill, dtype=dtype))
    properties.set_obj_track_times(False)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    kind = h5py.h5t.py_create(dtype, logical=True)
    space = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
    return h5py.Dataset(h5py.h5d.create(file.id, name.encode(), kind, space, properties, links))


def _copy(source: h5py.File, target: h5py.File, layout: schema.Layout, saved: int) -> None:
    """Copy the first saves and the restart records."""
    for name in (schema.TIME, *(item.name for item in layout.variables if item.along_time)):
        _copy_rows(source[name], target[name], saved)
    for name in SLOTS if layout.restart_capacity else ():
        if name in source:
            _copy_rows(source[name], target[name], len(source[name]))


def _copy_rows(source: h5py.Dataset, target: h5py.Dataset, rows: int) -> None:
    row_bytes = max(1, source.dtype.itemsize * int(np.prod(source.shape[1:])))
    block = max(1, _BLOCK // row_bytes)
    for start in range(0, rows, block):
        stop = min(start + block, rows)
        target[start:stop] = source[start:stop]


def _sync_path(path: Path) -> None:
    """Flush a file or, where the system allows it, a folder's entries to the disk."""
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
