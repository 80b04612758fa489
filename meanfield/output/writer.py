"""Recorders: one run's saves into memory or into a file that survives a kill at any instant."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.output import _door, _file, _restart, reader, schema

if TYPE_CHECKING:
    import xarray as xr


class MemoryRecorder:
    """Saves of one run, kept in arrays allocated in full.

    Parameters
    ----------
    layout : Layout — what is saved, and how often
    """

    def __init__(self, layout: schema.Layout) -> None:
        self.layout = layout
        self.saved = 0
        self._times = np.full(layout.n_times, np.nan)
        self._arrays = {v.name: np.full(layout.shape(v), np.nan, v.dtype) for v in layout.variables if v.along_time}

    def save(
        self, index: int, time: float, values: Mapping[str, Any], restart: Mapping[str, Any] | None = None
    ) -> None:
        """Store save number `index` at `time`; arguments as `FileRecorder.save`, the restart record is not kept."""
        last = self._times[index - 1] if self.saved else -math.inf
        for name, value in _checked(self.layout, self.saved, last, index, time, values).items():
            self._arrays[name][index] = value
        self._times[index] = time
        self.saved = index + 1

    def finish(self, status: str, status_message: str, attributes: Mapping[str, Any] | None = None) -> None:
        """End the run: cut the saves that were not reached, set the status and the given attributes."""
        self.layout = _ended(self.layout, self.saved, status, status_message, attributes)

    def dataset(self) -> xr.Dataset:
        """The saves so far as a new dataset, in memory."""
        import xarray as xr

        layout, saved = self.layout, self.saved
        coordinates = {schema.TIME: self._times[:saved], **layout.coordinates}
        variables = {}
        for item in layout.variables:
            data = self._arrays[item.name][:saved] if item.along_time else layout.constants[item.name]
            variables[item.name] = (item.dims, data.copy(), dict(item.attrs))
        axes = {name: (name, points.copy(), schema.coordinate_attributes(name)) for name, points in coordinates.items()}
        return xr.Dataset(variables, axes, layout.attributes)


class FileRecorder:
    """Saves of one run in an HDF5 file that opens with `xarray.open_dataset` at any time.

    HDF5 creates the file whole, then each save opens it, writes bytes only (variables, restart record, `time`) and
    closes it: a run killed at any instant leaves every completed save and a whole restart record.

    Parameters
    ----------
    layout : Layout — what is saved, and how often
    path : str or path — the file
    overwrite : bool — replace an existing file
    patience : float — seconds to try where another thread of this process is opening the file

    Raises
    ------
    ValueError — as `check_destination`, or the disk has no room.

    Notes
    -----
    Readers may keep the file open as long as they like: a save takes no lock and waits for none. A row is complete once
    its time is there: the time is written last, after the row and the restart record have reached the disk.
    """

    def __init__(
        self, layout: schema.Layout, path: str | os.PathLike[str], *, overwrite: bool = False, patience: float = 60.0
    ) -> None:
        self.path = _door.check_destination(path, overwrite=overwrite)
        self.patience = _check.positive("patience", patience, "pass seconds")
        self.layout = layout
        self.saved = 0
        self._last_time = -math.inf
        self._slot = 0
        self._owner = os.urandom(16)
        self._places = _file.write(self.path, layout, self._owner)

    @classmethod
    def reopen(cls, path: str | os.PathLike[str], layout: schema.Layout, *, patience: float = 60.0) -> Resumed:
        """Continue the run of an existing file after its last restart record.

        Saves past the record (there are some only where a record is damaged, or none was given) are dropped; without a
        record the run starts anew (`saved` is 0). A finished run is left alone.

        Parameters
        ----------
        path : str or path — the file
        layout : Layout — of the run now; it must have the file's parameters, variables, coordinates and constants
        patience : float — seconds to try where another thread of this process is opening the file

        Raises
        ------
        ValueError — another schema, other parameters or variables (all differences are listed), or no restart record
        is whole.
        """
        path = _door.check_destination(path, resume=True)
        reader.require_hdf5(path)
        recorder = cls.__new__(cls)
        recorder.path = path
        recorder.patience = _check.positive("patience", patience, "pass seconds")
        with _file.opened(path, patience) as file:
            reader.require_schema(path.name, file.attrs.get("schema_version"))
            _door.require_same_run(file, layout, path.name)
            times = file[schema.TIME][...]
            record = _door.restart_record(file, reader.saved_times(times), path.name)
            complete = reader.saved_times(times) == layout.n_times and file.attrs["status"] == schema.FINISHED
            saved = layout.n_times if complete else record.index + 1 if record else 0
            values = {v.name: file[v.name][saved - 1] for v in layout.variables if v.along_time and saved}
            capacity = len(file[_file.SLOTS[0]]) if _file.SLOTS[0] in file else 0
            recorder.layout = dataclasses.replace(
                layout,
                attributes=dict(file.attrs) | ({} if complete else {"status": schema.RUNNING, "status_message": ""}),
                restart_capacity=capacity if complete else max(capacity, layout.restart_capacity),
            )
            recorder.saved = saved
            recorder._last_time = float(times[saved - 1]) if saved else -math.inf
            recorder._slot = 1 - record.slot if record else 0
            recorder._owner = bytes(file[_file.OWNER][...]) if complete else os.urandom(16)
            if not complete:
                recorder._places = _file.write(path, recorder.layout, recorder._owner, source=file, saved=saved)
        return Resumed(recorder, saved, recorder._last_time, values, record.arrays if record else None, complete)

    def save(
        self, index: int, time: float, values: Mapping[str, Any], restart: Mapping[str, Any] | None = None
    ) -> None:
        """Write save number `index`, whole, before returning.

        Parameters
        ----------
        index : int — the number of saves so far
        time : float — finite and larger than the last
        values : mapping — name to array, for every variable along time
        restart : mapping — name to array of numbers or text: what continues the run after this save

        Raises
        ------
        ValueError, TypeError — for values that do not fit the layout
        OutputError — the disk fails, or the file is gone or another run's by now.
        """
        arrays = _checked(self.layout, self.saved, self._last_time, index, time, values)
        record = None if restart is None else _restart.encode(restart, index)
        if record is not None and len(record) > self.layout.restart_capacity:
            self._rewrite(dataclasses.replace(self.layout, restart_capacity=_restart.headroom(len(record))))
        with _file.raw(self.path) as stream:
            stream.seek(self._places[_file.OWNER])
            self._require_owner(stream.read(len(self._owner)))
            for name, value in arrays.items():
                _file.put(stream, self._places[name] + index * value.nbytes, value)
            if record is not None:
                _file.put(stream, self._places[_file.SLOTS[self._slot]], record)
            _file.sync(stream)
            stamp = np.array(time, dtype=np.float64)  # completes the save and its record at once
            _file.put(stream, self._places[schema.TIME] + index * stamp.nbytes, stamp)
            _file.sync(stream)
        if record is not None:
            self._slot = 1 - self._slot
        self.saved, self._last_time = index + 1, float(time)

    def finish(self, status: str, status_message: str, attributes: Mapping[str, Any] | None = None) -> None:
        """End the run: cut the saves that were not reached, set the status and the given attributes.

        The file is rewritten beside and swapped in. A run that ended other than "finished" keeps its restart record.
        """
        layout = _ended(self.layout, self.saved, status, status_message, attributes)
        capacity = 0 if status == schema.FINISHED else layout.restart_capacity
        self._rewrite(dataclasses.replace(layout, restart_capacity=capacity))

    def dataset(self) -> xr.Dataset:
        """The saves so far, read back: in memory below 256 MiB, else lazily from the open file."""
        return reader.read(self.path)

    def _rewrite(self, layout: schema.Layout) -> None:
        with _file.opened(self.path, self.patience) as file:
            self._require_owner(bytes(file[_file.OWNER][...]) if _file.OWNER in file else b"")
            self._places = _file.write(self.path, layout, self._owner, source=file, saved=self.saved)
        self.layout = layout

    def _require_owner(self, found: bytes) -> None:
        if found != self._owner:
            raise _file.OutputError(
                f"output file must belong to this run (got {self.path.name}: replaced by another run); "
                "give each run its own path"
            )


@dataclass(frozen=True, eq=False)
class Resumed:
    """A run to continue: its recorder, its saves so far, and what `save` was given at the last of them.

    Parameters
    ----------
    recorder : FileRecorder
    saved : int — number of saves kept, which is the index of the next one; 0 starts anew
    time : float — of the last save, -inf if there is none
    values : mapping — name to array, the variables at the last save
    restart : mapping — name to array, the restart record, or None
    finished : bool — the run has reached its end, nothing is left to do
    """

    recorder: FileRecorder
    saved: int
    time: float
    values: dict[str, np.ndarray]
    restart: dict[str, np.ndarray] | None
    finished: bool = False


def _checked(
    layout: schema.Layout, saved: int, last: float, index: int, time: float, values: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """The values of one save as arrays of the layout's types, or a refusal."""
    if index != saved or index >= layout.n_times:
        raise _check.fail(f"saves must be numbered in order, {saved} next of {layout.n_times}", repr(index), "renumber")
    if not _check.real("saved time", time, "pass increasing times") > last:
        raise _check.fail(f"saved time must be larger than {last:g}", repr(time), "pass increasing times")
    expected = {item.name: item for item in layout.variables if item.along_time}
    if set(values) != set(expected):
        missing, unknown = sorted(set(expected) - set(values)), sorted(set(values) - set(expected))
        raise _check.fail(
            "a save must hold the layout's variables", f"missing {missing}, unknown {unknown}", "match them"
        )
    result = {}
    for name, item in expected.items():
        array, shape = np.asarray(values[name]), layout.shape(item)[1:]
        if array.shape != shape or not np.can_cast(array.dtype, item.dtype, "same_kind"):
            got = f"shape {array.shape}, {array.dtype}"
            raise _check.fail(f"{name} must have shape {shape} and dtype {item.dtype}", got, "convert it")
        result[name] = np.ascontiguousarray(array, dtype=item.dtype).reshape(shape)
    return result


def _ended(
    layout: schema.Layout, saved: int, status: str, status_message: str, attributes: Mapping[str, Any] | None
) -> schema.Layout:
    end = {"status": status, "status_message": status_message}
    return dataclasses.replace(layout, n_times=saved, attributes={**layout.attributes, **(attributes or {}), **end})
