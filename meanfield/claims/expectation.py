"""What a ladder expects of a quantity: a slope, a value, a bound, or exactness up to rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meanfield._check import fail
from meanfield.claims._schema import check_keys, finite, nearest, toml_text, toml_value, typed
from meanfield.claims.fits import DecayFit, RateFit
from meanfield.claims.verdict import Measurement, Relation

KINDS = ("slope", "value", "bound", "rounding")
RELATIONS = {"=": Relation.EQUAL, "<=": Relation.AT_MOST, ">=": Relation.AT_LEAST}
NEXT_RATE = 0.5


@dataclass(frozen=True)
class Expectation:
    """One table ``[expected.QUANTITY]`` of a ladder.

    Attributes
    ----------
    quantity : str
    kind : str — the key that held the number: ``slope``, ``value``, ``bound`` or ``rounding``
    theory : float — the number; for ``rounding`` the multiple c of ``error ≤ c · eps · scale``
    relation : Relation — of measured to theory
    tolerance : float — absolute, or a fraction of theory if ``relative``
    source : str — where the number comes from
    relative : bool
    scale : float — for ``rounding``
    rivals : tuple of float — the next plausible numbers; for a slope by default theory ± ½ (2 tolerances if larger)
    """

    quantity: str
    kind: str
    theory: float
    relation: Relation
    tolerance: float
    source: str
    relative: bool = False
    scale: float = 1.0
    rivals: tuple[float, ...] = ()

    @classmethod
    def of(cls, where: str, quantity: str, entries: Mapping[str, Any]) -> Expectation:
        """Read and check one table; ``where`` names file and key in messages."""
        kinds = [kind for kind in KINDS if kind in entries]
        if len(kinds) != 1:
            rule = f"{where} must have exactly one of " + ", ".join(KINDS)
            raise fail(rule, str(kinds) if kinds else f"keys {sorted(entries)}", "state one number")
        kind = kinds[0]
        if kind == "rounding":
            check_keys(where, entries, required=("rounding", "source"), optional=("scale",))
        else:
            optional = ("relation", "relative", "rivals")
            check_keys(where, entries, required=(kind, "tolerance", "source"), optional=optional)
        symbol = entries.get("relation", "=" if kind in ("slope", "value") else "<=")
        if symbol not in RELATIONS:
            raise fail(f"{where}.relation must be one of =, <=, >=", repr(symbol), nearest(str(symbol), RELATIONS))
        if kind == "bound" and symbol == "=":
            raise fail(f"{where}.relation must be <= or >= for a bound", repr(symbol), "call the number a value")
        rivals = typed(f"{where}.rivals", entries.get("rivals", []), list, "a list of numbers")
        expectation = cls(
            quantity=quantity,
            kind=kind,
            theory=finite(f"{where}.{kind}", entries[kind]),
            relation=RELATIONS[symbol],
            tolerance=finite(f"{where}.tolerance", entries.get("tolerance", 0.0)),
            source=typed(f"{where}.source", entries["source"], str, "a text"),
            relative=typed(f"{where}.relative", entries.get("relative", False), bool, "true or false"),
            scale=finite(f"{where}.scale", entries.get("scale", 1.0)),
            rivals=tuple(finite(f"{where}.rivals", rival) for rival in rivals),
        )
        try:
            expectation.measured(expectation.theory)
        except ValueError as error:  # the rules of a measurement, told with the place in the file
            raise ValueError(f"{where}: {error}") from error
        return expectation

    def measured(
        self, value: float | RateFit | DecayFit, *, theory: float | None = None, case: str = ""
    ) -> Measurement:
        """The measurement of ``value`` against this expectation.

        Parameters
        ----------
        value : float, RateFit or DecayFit — a fit brings its interval along
        theory : float — in place of the ladder's number, where a formula gives it for changed parameters
        case : str — told behind the quantity where it is measured several times, as ``m = 2``
        """
        quantity = f"{self.quantity}, {case}" if case else self.quantity
        number, interval = (
            (value.estimate, value.interval) if isinstance(value, RateFit | DecayFit) else (float(value), None)
        )
        theory = self.theory if theory is None else float(theory)
        if self.kind == "rounding":
            return Measurement.exactness(quantity, number, multiple=theory, scale=self.scale)
        tolerance = self.tolerance * abs(theory) if self.relative else self.tolerance
        rivals = self.rivals
        if self.kind == "slope" and self.relation is Relation.EQUAL and not rivals:
            gap = max(NEXT_RATE, 2 * tolerance)
            rivals = (theory - gap, theory + gap)
        return Measurement(quantity, number, theory, self.relation, tolerance, interval, rivals)

    def to_toml(self) -> str:
        """The table as TOML, read back to an equal expectation."""
        symbol = next(text for text, relation in RELATIONS.items() if relation is self.relation)
        entries: dict[str, Any] = {self.kind: self.theory}
        if self.kind == "rounding":
            entries["scale"] = self.scale
        else:
            entries |= {"relation": symbol, "tolerance": self.tolerance, "relative": self.relative}
            entries |= {"rivals": self.rivals}
        entries["source"] = self.source
        lines = [f"{key} = {toml_value(entry)}" for key, entry in entries.items()]
        return "\n".join([f"[expected.{toml_text(self.quantity)}]", *lines])
