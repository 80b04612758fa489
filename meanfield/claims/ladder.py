"""Ladders: the levels a claim is measured on, its parameters and what theory expects, read from ``grids/*.toml``."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from meanfield._check import fail
from meanfield._share_paths import shared_folder
from meanfield.claims._schema import (
    Table,
    check_keys,
    finite,
    frozen,
    nearest,
    toml_text,
    toml_value,
    typed,
)
from meanfield.claims.expectation import Expectation

REFERENCE_FACTOR = 16
CLAIM_ID = re.compile(r"[A-Z]+-[0-9]+")
_REQUIRED = ("id", "title", "source", "levels", "parameters", "expected")
_OPTIONAL = ("seeds", "reference", "exact")


@dataclass(frozen=True, repr=False)
class Ladder:
    """A family of grids refined for a measurement; every key is described in ``grids/README.md``.

    Attributes
    ----------
    name : str — the file without ``.toml``
    id : tuple of str — the claims measured on it
    title, source : str
    levels, quick : table of axis to tuple of increasing numbers — all levels, and the few of a quick check
    parameters : table — fixed physical and numerical parameters
    expected : table of quantity to Expectation
    seeds : int or None — independent repetitions
    reference : table of axis to number — the level of the reference solution, empty if there is none
    exact : bool — the quantities are compared with a formula, not with a reference solution

    Examples
    --------
    >>> print(Ladder.from_toml('''
    ... id = ["PME-1"]
    ... title = "order of RK4 in time"
    ... source = "Butcher 2008"
    ... exact = true
    ... levels = {steps = [10, 20, 40, 80], quick = [10, 20, 40]}
    ... parameters = {exponent = 2, t_end = 0.02}
    ... expected."order in time" = {slope = -4, tolerance = 0.1, source = "Butcher 2008"}
    ... ''', name="time"))
    Ladder(time: PME-1, steps = 10, 20, 40, 80)
    """

    name: str
    id: Sequence[str]
    title: str
    source: str
    levels: Mapping[str, Sequence[float]]
    quick: Mapping[str, Sequence[float]]
    parameters: Mapping[str, Any]
    expected: Mapping[str, Expectation]
    seeds: int | None = None
    reference: Mapping[str, float] = field(default_factory=dict)
    exact: bool = False

    @classmethod
    def from_toml(cls, text: str, *, name: str) -> Ladder:
        """Read and check a ladder; ``name`` is the file without ``.toml``, named in every message."""
        file = f"{name}.toml"
        try:
            entries = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise fail(f"{file} must be valid TOML", str(error), "correct the line named") from error
        check_keys(file, entries, required=_REQUIRED, optional=_OPTIONAL)
        for key in ("levels", "parameters", "expected"):
            typed(f"{file}: {key}", entries[key], dict, "a table")
        levels = dict(entries["levels"])
        if "quick" not in levels:
            raise fail(f"{file}: levels must have the key 'quick'", f"keys {sorted(levels)}", "add some of the levels")
        quick = levels.pop("quick")
        if isinstance(quick, list) and len(levels) == 1:
            quick = {axis: quick for axis in levels}
        typed(f"{file}: levels.quick", quick, dict, "a list for one axis, a table of lists for several")
        expected = {
            quantity: Expectation.of(
                f"{file}: expected.{quantity}", quantity, typed(f"{file}: expected.{quantity}", table, dict, "a table")
            )
            for quantity, table in entries["expected"].items()
        }
        return cls(name=name, **{**entries, "levels": levels, "quick": quick, "expected": expected})

    def __post_init__(self) -> None:
        """Check everything that concerns more than one key, and make it read-only."""
        file = f"{self.name}.toml"
        typed(f"{file}: title", self.title, str, "a text")
        typed(f"{file}: source", self.source, str, "a text")
        typed(f"{file}: exact", self.exact, bool, "true or false")
        levels = {axis: _increasing(f"{file}: levels.{axis}", values) for axis, values in self.levels.items()}
        checked = {
            "id": _claim_ids(f"{file}: id", self.id),
            "levels": Table(f"{file}: levels", levels),
            "quick": Table(f"{file}: levels.quick", _quick(f"{file}: levels.quick", self.quick, levels)),
            "parameters": frozen(f"{file}: parameters", self.parameters),
            "expected": Table(f"{file}: expected", self.expected),
            "reference": Table(f"{file}: reference", _reference(f"{file}: reference", self.reference, levels)),
        }
        if not levels or not self.expected:
            raise fail(f"{file}: levels and expected must not be empty", f"axes {sorted(levels)}", "state one of each")
        if self.seeds is not None and typed(f"{file}: seeds", self.seeds, int, "an integer") < 2:
            raise fail(f"{file}: seeds must be at least 2", repr(self.seeds), "leave it out for a single run")
        both = sorted(set(levels) & set(self.parameters))
        if both:
            raise fail(f"{file}: a name must be an axis or a parameter", f"both for {both}", "rename one")
        slopes = [quantity for quantity, expectation in self.expected.items() if expectation.kind == "slope"]
        if slopes and not self.exact and not checked["reference"]:
            raise fail(
                f"{file}: a slope must be measured against a reference level or a formula",
                f"neither reference nor exact = true, slope of {slopes[0]!r}",
                f"add reference, {REFERENCE_FACTOR} times finer than the finest level, or exact = true",
            )
        for key, value in checked.items():
            object.__setattr__(self, key, value)

    def level_set(self, *, quick: bool = False) -> dict[str, list[float]]:
        """Axis to list of levels, all or the quick ones: what `meanfield.sweep` takes as ``over``."""
        return {axis: list(values) for axis, values in (self.quick if quick else self.levels).items()}

    def with_parameters(self, **changes: Any) -> Ladder:
        """The ladder with some parameters changed; unknown names are refused."""
        check_keys(f"{self.name}.toml: parameters", changes, required=(), optional=self.parameters)
        return replace(self, parameters={**self.parameters, **changes})

    def to_toml(self) -> str:
        """The ladder as TOML text, read back by `Ladder.from_toml` to an equal ladder."""
        simple = {"id": self.id, "title": self.title, "source": self.source, "exact": self.exact}
        simple |= {"seeds": self.seeds} if self.seeds is not None else {}
        simple |= {"reference": self.reference} if self.reference else {}
        lines = [f"{key} = {toml_value(value)}" for key, value in simple.items()]
        for key, table in {"levels": {**self.levels, "quick": self.quick}, "parameters": self.parameters}.items():
            lines += ["", f"[{key}]", *(f"{toml_text(name)} = {toml_value(entry)}" for name, entry in table.items())]
        for expectation in self.expected.values():
            lines += ["", expectation.to_toml()]
        return "\n".join(lines) + "\n"

    def __repr__(self) -> str:
        axes = ", ".join(f"{axis} = {', '.join(f'{v:g}' for v in values)}" for axis, values in self.levels.items())
        return f"Ladder({self.name}: {' '.join(self.id)}, {axes})"


def ladder_names() -> tuple[str, ...]:
    """The ladders that come with the package, sorted."""
    return tuple(sorted(path.stem for path in shared_folder("grids").glob("*.toml")))


def load_ladder(name_or_path: str | Path) -> Ladder:
    """The ladder ``grids/NAME.toml`` of the package, or the one in a file given by a path ending in ``.toml``.

    Raises
    ------
    ValueError — no such ladder, or the file breaks a rule of ``grids/README.md``; the message names file and key
    TypeError — an entry of a wrong type
    """
    if str(name_or_path).endswith(".toml"):
        path = Path(name_or_path)
        if not path.is_file():
            raise fail("a ladder's path must exist", repr(str(path)), "correct the path, or give the name of a ladder")
    else:
        path = shared_folder("grids") / f"{name_or_path}.toml"
        if not path.is_file():
            raise fail("a ladder must be in grids/", repr(name_or_path), nearest(str(name_or_path), ladder_names()))
    return Ladder.from_toml(path.read_text(encoding="utf-8"), name=path.stem)


def _increasing(where: str, values: Any) -> tuple[float, ...]:
    if not isinstance(values, list | tuple) or not values:
        raise TypeError(f"{where} must be a list of numbers (got {values!r}); correct the ladder")
    numbers = tuple(finite(where, value) for value in values)
    for before, after in itertools.pairwise(numbers):
        if not after > before:
            raise fail(f"{where} must increase strictly", f"{before} before {after}", "sort the levels, each once")
    return numbers


def _quick(where: str, quick: Mapping[str, Any], levels: Mapping[str, tuple[float, ...]]) -> dict[str, Any]:
    check_keys(where, quick, required=levels, optional=())
    result = {axis: _increasing(f"{where}.{axis}", quick[axis]) for axis in levels}
    for axis, values in result.items():
        for value in values:
            if value not in levels[axis]:
                raise fail(f"{where}.{axis} must be levels of {axis}", f"{value}", f"use some of {list(levels[axis])}")
    return result


def _reference(where: str, reference: Any, levels: Mapping[str, tuple[float, ...]]) -> dict[str, float]:
    """Check that each reference level is `REFERENCE_FACTOR` times beyond the levels, on either end."""
    if not isinstance(reference, Mapping):
        if len(levels) != 1:
            raise TypeError(f"{where} must be a table (got {reference!r}); give one number an axis: {{n = 4096}}")
        reference = {axis: reference for axis in levels}
    check_keys(where, reference, required=(), optional=levels)
    for axis, value in reference.items():
        low, high = levels[axis][0], levels[axis][-1]
        finer = finite(f"{where}.{axis}", value) >= REFERENCE_FACTOR * high or REFERENCE_FACTOR * value <= low
        if not (finer and value > 0):
            rule = f"{where}.{axis} must be at least {REFERENCE_FACTOR} times finer than the levels"
            raise fail(
                rule,
                f"{value} for levels {low} … {high}",
                f"use {REFERENCE_FACTOR * high} or {low / REFERENCE_FACTOR:g}",
            )
    return dict(reference)


def _claim_ids(where: str, ids: Any) -> tuple[str, ...]:
    if not isinstance(ids, list | tuple) or not ids:
        raise TypeError(f'{where} must be a list of claim ids (got {ids!r}); write ["PME-1"]')
    for text in ids:
        if not isinstance(text, str) or not CLAIM_ID.fullmatch(text):
            raise fail(f"{where} must be claim ids like PME-1", repr(text), "use the ids of the claims")
    return tuple(ids)
