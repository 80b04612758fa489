"""Reading and writing the TOML of a ladder: read-only tables, checks of keys and types, nearest valid names."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from meanfield._check import fail


class Table(Mapping[str, Any]):
    """A read-only mapping whose missing keys are refused with its own name and the nearest valid key."""

    def __init__(self, where: str, entries: Mapping[str, Any]) -> None:
        self._where = where
        self._entries = dict(entries)

    def __getitem__(self, key: str) -> Any:
        if key not in self._entries:
            raise KeyError(f"{self._where} must hold {key!r} (got a table without it); {nearest(key, self._entries)}")
        return self._entries[key]

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def get(self, key: str, default: Any = None) -> Any:
        """The entry, or ``default``."""
        return self._entries.get(key, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return repr(self._entries)


def nearest(name: str, valid: Iterable[str]) -> str:
    """The remedy for a wrong name: the closest valid one, or all of them."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return "use one of " + ", ".join(map(repr, names)) if names else "there is none"


def check_keys(where: str, entries: Mapping[str, Any], *, required: Iterable[str], optional: Iterable[str]) -> None:
    """Refuse keys that are unknown, then keys that are missing."""
    required = tuple(required)
    valid = (*required, *optional)
    for key in entries:
        if key not in valid:
            raise fail(f"{where} must have known keys only", f"unknown key {key!r}", nearest(key, valid))
    for key in required:
        if key not in entries:
            raise fail(f"{where} must have the key {key!r}", f"keys {sorted(entries)}", f"add {key!r}")


def typed(where: str, value: Any, kind: type, words: str) -> Any:
    """``value`` if it is of ``kind``, or a ``TypeError``; a boolean is no integer."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{where} must be {words} (got {type(value).__name__} {value!r}); correct the ladder")
    return value


def finite(where: str, value: Any) -> float | int:
    """``value`` if it is a finite number, or a ``TypeError`` / ``ValueError``; integers stay integers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{where} must be a number (got {type(value).__name__} {value!r}); correct the ladder")
    if not math.isfinite(value):
        raise fail(f"{where} must be finite", repr(value), "correct the ladder")
    return value


def frozen(where: str, value: Any) -> Any:
    """``value`` with tables and lists made read-only; refuses what a ladder cannot hold."""
    if isinstance(value, Mapping):
        return Table(where, {key: frozen(f"{where}.{key}", entry) for key, entry in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(where, entry) for entry in value)
    if isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"{where} must hold numbers, texts, booleans, lists and tables (got {type(value).__name__} {value!r}); "
        "write it as one of these"
    )


def toml_value(value: Any) -> str:
    """``value`` as TOML on one line; tables are inline."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml_text(key)} = {toml_value(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(entry) for entry in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return toml_text(value) if isinstance(value, str) else repr(value)


def toml_text(text: str) -> str:
    """A quoted TOML string: JSON's escapes, and DEL, which only TOML forbids."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
