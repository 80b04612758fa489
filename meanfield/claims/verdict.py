"""From measured numbers to a verdict: confirmed, consistent, violated, or hypotheses not met."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np

from meanfield._check import fail
from meanfield.claims._columns import aligned, interval, number


class Outcome(enum.Enum):
    """How theory fared; each member carries its sentence. Later members win when rows are combined."""

    CONFIRMED = ("confirmed", "theory holds within the tolerance, and the interval leaves no room for a rival")
    CONSISTENT = ("consistent", "theory is not refuted, but the interval is too wide to confirm it")
    VIOLATED = ("violated", "the measurement contradicts theory")
    HYPOTHESES_NOT_MET = (
        "hypotheses not met",
        "the statement says nothing about these parameters",
    )

    def __init__(self, label: str, sentence: str) -> None:
        self.label = label
        self.sentence = sentence

    def __str__(self) -> str:
        return self.label


class Relation(enum.Enum):
    """How the measured number is claimed to stand to theory."""

    EQUAL = "="
    AT_MOST = "≤"
    AT_LEAST = "≥"

    def __str__(self) -> str:
        return self.value


_SLACK = {Relation.EQUAL: "±", Relation.AT_MOST: "+", Relation.AT_LEAST: "−"}


@dataclass(frozen=True)
class Measurement:
    """One number beside what theory says of it.

    Parameters
    ----------
    quantity : str — its name in the table
    measured : float — NaN and infinity are legal and violate the claim
    theory : float — the claimed number
    relation : Relation — of measured to theory
    tolerance : float ≥ 0 — in the unit of the number; positive for `Relation.EQUAL`
    interval : (low, high) or None — for the measured number, None where it is exact
    rivals : tuple of float — for `Relation.EQUAL`: the next plausible numbers, default theory ± 2 tolerance
    note : str — shown behind theory

    Notes
    -----
    ``outcome``, with the interval [a, b] (a = b = measured without one), theory θ, tolerance τ:

    - ``=``: violated if [a, b] misses [θ − τ, θ + τ]; confirmed if |measured − θ| ≤ τ and [a, b] contains no rival;
    - ``≤``: violated if a > θ + τ; confirmed if max(b, measured) ≤ θ + τ; ``≥`` mirrors it;

    and consistent otherwise.

    Examples
    --------
    >>> print(Measurement("order", 1.9, 2.0, tolerance=0.05, interval=(1.88, 1.92)).outcome)
    violated
    >>> print(Measurement("order", 1.9, 2.0, tolerance=0.05, interval=(1.2, 2.6)).outcome)
    consistent
    """

    quantity: str
    measured: float
    theory: float
    relation: Relation = Relation.EQUAL
    tolerance: float = 0.0
    interval: tuple[float, float] | None = None
    rivals: tuple[float, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.theory):
            raise fail(f"theory for {self.quantity!r} must be finite", repr(self.theory), "correct the claim")
        if not (self.tolerance >= 0 and math.isfinite(self.tolerance)):
            raise fail(f"the tolerance of {self.quantity!r} must be ≥ 0", repr(self.tolerance), "state how close")
        if self.relation is Relation.EQUAL and self.tolerance == 0:
            raise fail(f"{self.quantity!r} is claimed equal: its tolerance must be > 0", "0.0", "state how close")
        if self.relation is not Relation.EQUAL and self.rivals:
            raise fail(f"rivals of {self.quantity!r} need relation =", str(self.relation), "leave rivals out")
        close = [rival for rival in self.rivals if abs(rival - self.theory) <= self.tolerance]
        if close:
            raise fail(f"rivals of {self.quantity!r} must lie outside theory ± tolerance", str(close), "move them")
        if self.interval is not None and self.interval[0] > self.interval[1]:
            raise fail(f"the interval of {self.quantity!r} must be (low, high)", str(self.interval), "exchange them")

    @classmethod
    def exactness(cls, quantity: str, error: float, *, multiple: float, scale: float = 1.0) -> Measurement:
        """The claim ``error ≤ multiple · eps · scale``: equality up to rounding."""
        eps = float(np.finfo(np.float64).eps)
        note = f"({number(multiple)} eps × {number(scale)})"
        return cls(quantity, error, multiple * eps * scale, Relation.AT_MOST, note=note)

    @property
    def outcome(self) -> Outcome:
        """The verdict on this row, by the rules above."""
        low, high = self.interval or (self.measured, self.measured)
        if not (math.isfinite(self.measured) and low <= high):
            return Outcome.VIOLATED
        bottom, top = self.theory - self.tolerance, self.theory + self.tolerance
        if self.relation is Relation.AT_MOST:
            return _graded(low <= top, max(high, self.measured) <= top)
        if self.relation is Relation.AT_LEAST:
            return _graded(high >= bottom, min(low, self.measured) >= bottom)
        rivals = self.rivals or (self.theory - 2 * self.tolerance, self.theory + 2 * self.tolerance)
        excluded = not any(low <= rival <= high for rival in rivals)
        return _graded(low <= top and high >= bottom, bottom <= self.measured <= top and excluded)

    def row(self) -> tuple[str, str, str, str]:
        """Quantity, measured, theory, verdict, as text."""
        measured = number(self.measured) + (f" {interval(self.interval)}" if self.interval else "")
        tolerance = f" {_SLACK[self.relation]} {number(self.tolerance)}" if self.tolerance else ""
        theory = f"{self.relation} {number(self.theory)}{tolerance}" + (f" {self.note}" if self.note else "")
        return self.quantity, measured, theory, str(self.outcome)


def _graded(possible: bool, certain: bool) -> Outcome:
    if not possible:
        return Outcome.VIOLATED
    return Outcome.CONFIRMED if certain else Outcome.CONSISTENT


@dataclass(frozen=True)
class Verdict:
    """What became of a claim on a ladder; printing it shows the table.

    Parameters
    ----------
    claim, statement, source, ladder : str — id and words of the claim, name of the ladder
    quick : bool — only the quick levels were run
    measurements : tuple of Measurement
    unmet : tuple of str — names of the hypotheses that do not hold; then nothing is measured

    Examples
    --------
    >>> order = Measurement("order in dt", 4.02, 4.0, tolerance=0.1, interval=(3.98, 4.06), rivals=(3.5, 4.5))
    >>> print(Verdict("PME-1", "the stated order in time", "Cox and Matthews 2002", "time", False, (order,)))
    PME-1: the stated order in time
    quantity     measured           theory     verdict
    order in dt  4.02 [3.98, 4.06]  = 4 ± 0.1  confirmed
    confirmed: theory holds within the tolerance, and the interval leaves no room for a rival (ladder time)
    """

    claim: str
    statement: str
    source: str
    ladder: str
    quick: bool
    measurements: tuple[Measurement, ...] = ()
    unmet: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.measurements) == bool(self.unmet):
            got = f"{len(self.measurements)} measurements and {len(self.unmet)} unmet hypotheses"
            raise fail(f"a verdict on {self.claim} needs measurements or unmet hypotheses", got, "give one of the two")

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of the rows, or `Outcome.HYPOTHESES_NOT_MET`."""
        if self.unmet:
            return Outcome.HYPOTHESES_NOT_MET
        severity = list(Outcome)
        return max((measurement.outcome for measurement in self.measurements), key=severity.index)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Quantity, measured, theory, verdict: a row a measurement, or a row an unmet hypothesis."""
        if self.unmet:
            return [(name, "does not hold", "hypothesis", str(self.outcome)) for name in self.unmet]
        return [measurement.row() for measurement in self.measurements]

    def __str__(self) -> str:
        table = aligned([("quantity", "measured", "theory", "verdict"), *self.rows()])
        levels = ", quick levels" if self.quick else ""
        return (
            f"{self.claim}: {self.statement}\n{table}\n"
            f"{self.outcome}: {self.outcome.sentence} (ladder {self.ladder}{levels})"
        )
