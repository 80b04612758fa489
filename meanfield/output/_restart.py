"""The restart record as bytes: a checksum tells a whole record from a torn one; no pickles.

A file keeps two slots and writes them in turn, so that a run killed in the middle of a write still has the record
before. Slot: magic (8 bytes), length of the payload (8), index of the save (8), BLAKE2b digest (16), payload. Payload:
for each array the length of its name (8), its name, its `.npy` bytes.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_HEADER = struct.Struct("<8sQQ16s")
_LENGTH = struct.Struct("<Q")
_MAGIC = b"MFRECORD"


@dataclass(frozen=True, eq=False)
class Record:
    """A whole restart record: the save it follows, its arrays and the slot it was found in."""

    index: int
    arrays: dict[str, np.ndarray]
    slot: int


def encode(arrays: Mapping[str, Any], index: int) -> np.ndarray:
    """The slot's bytes (length,) uint8 of the record that follows save `index`."""
    stream = io.BytesIO()
    for name, value in arrays.items():
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise TypeError(f"restart arrays must be plain (got {name} of dtype {array.dtype}); store numbers or text")
        stream.write(_LENGTH.pack(len(name.encode())) + name.encode())
        np.lib.format.write_array(stream, array, allow_pickle=False)
    payload = stream.getvalue()
    header = _HEADER.pack(_MAGIC, len(payload), index, _digest(index, payload))
    return np.frombuffer(header + payload, dtype=np.uint8)


def restart_capacity(arrays: Mapping[str, Any]) -> int:
    """Bytes for `Layout.restart_capacity`: a quarter more than the first record takes, and 4096."""
    return headroom(len(encode(arrays, 0)))


def headroom(nbytes: int) -> int:
    """Bytes to set apart where a record takes `nbytes` now."""
    return nbytes + nbytes // 4 + 4096


def newest(slots: Sequence[np.ndarray], saved: int) -> Record | None:
    """The newest whole record among the slots that follows one of the `saved` first saves.

    Parameters
    ----------
    slots : arrays (capacity,) uint8, or anything sliced like them (an open HDF5 dataset is read only as far as needed)
    saved : int — number of saves that are complete in the file

    Returns
    -------
    Record, or None when there is none: no slot was ever written, or the first write was cut short.

    Raises
    ------
    ValueError — when every slot was written and none is whole.
    """
    written = [number for number, slot in enumerate(slots) if any(bytes(slot[: _HEADER.size]))]
    records = [record for number in written if (record := _decode(slots[number], number)) is not None]
    if slots and len(written) == len(slots) and not records:
        raise ValueError("no restart record is whole")
    return max((r for r in records if r.index < saved), key=lambda record: record.index, default=None)


def _decode(slot: np.ndarray, number: int) -> Record | None:
    """The record of a slot, or None where it is damaged."""
    magic, length, index, digest = _HEADER.unpack(bytes(slot[: _HEADER.size]))
    if magic != _MAGIC or length > len(slot) - _HEADER.size:
        return None
    payload = bytes(slot[_HEADER.size : _HEADER.size + length])
    if _digest(index, payload) != digest:
        return None
    stream, arrays = io.BytesIO(payload), {}
    while prefix := stream.read(_LENGTH.size):
        name = stream.read(_LENGTH.unpack(prefix)[0]).decode()
        arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return Record(index, arrays, number)


def _digest(index: int, payload: bytes) -> bytes:
    state = hashlib.blake2b(struct.pack("<QQ", len(payload), index), digest_size=16)
    state.update(payload)
    return state.digest()
