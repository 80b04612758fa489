"""What a fit found: the number with its interval, and every level with its local slope or the rule that dropped it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meanfield.claims._columns import aligned, interval, number
from meanfield.claims._line import Line


@dataclass(frozen=True)
class FitRecord:
    """The data behind a fit, coarse to fine.

    Attributes
    ----------
    along : str — name of the axis
    levels, values : (n,) float — every level handed in, and its error or value, averaged over seeds
    reasons : (n,) str — the rule that dropped the level, empty for the levels fitted
    prefactor : float — C of the law
    confidence : float — level of the interval
    seeds : int or None — number of seeds averaged over
    """

    along: str
    levels: tuple[float, ...]
    values: tuple[float, ...]
    reasons: tuple[str, ...]
    prefactor: float
    confidence: float
    seeds: int | None

    @classmethod
    def of(cls, line: Line, *, along: str, levels: np.ndarray, confidence: float, seeds: int | None) -> FitRecord:
        """The record of ``line``, fitted along ``levels`` (coarse to fine)."""
        reasons = tuple(line.reason(level) for level in range(len(levels)))
        values = tuple(line.averaged.tolist())
        return cls(along, tuple(levels.tolist()), values, reasons, math.exp(line.intercept), confidence, seeds)

    @property
    def dropped(self) -> dict[float, str]:
        """Level to the rule that dropped it."""
        return {level: reason for level, reason in zip(self.levels, self.reasons) if reason}

    @property
    def window(self) -> tuple[float, float]:
        """Coarsest and finest level fitted."""
        kept = [level for level, reason in zip(self.levels, self.reasons) if not reason]
        return kept[0], kept[-1]

    def local_slopes(self, positions: np.ndarray) -> tuple[float, ...]:
        """Slope of log value between neighbouring ``positions`` (n,), NaN beside a value that is not positive."""
        logs = np.array([math.log(value) if value > 0 else math.nan for value in self.values])
        return tuple((np.diff(logs) / np.diff(positions)).tolist())

    def table(self, value_name: str, local_name: str, local: tuple[float, ...]) -> str:
        """One line a level: level, value, local slope from the level before, rule that dropped it."""
        rows = [(self.along, value_name, local_name, "")]
        for level, value, slope, reason in zip(self.levels, self.values, (math.nan, *local), self.reasons):
            shown = "" if math.isnan(slope) else number(slope)
            rows.append((f"{level:.6g}", number(value), shown, f"dropped: {reason}" if reason else ""))
        return aligned(rows)

    def describe(self, law: str, estimate: float, bounds: tuple[float, float]) -> str:
        """The fit in one line."""
        seeds = f", {self.seeds} seeds" if self.seeds is not None else ""
        percent = f"{100 * self.confidence:.4g} %"
        return f"{law} = {number(estimate)} in {interval(bounds)} at {percent}, {self.where()}{seeds}"

    def where(self) -> str:
        """The window in words."""
        first, last = self.window
        return f"{self.along} = {first:.6g} … {last:.6g}"


@dataclass(frozen=True, repr=False)
class RateFit:
    """``error ≈ C · level^slope`` on the levels of ``window``; printing it shows every level.

    Attributes
    ----------
    slope : float
    interval : (float, float) — for the slope
    window : (float, float) — coarsest and finest level fitted
    record : FitRecord — all levels, the rules that dropped some, confidence, C
    """

    slope: float
    interval: tuple[float, float]
    window: tuple[float, float]
    record: FitRecord

    @property
    def estimate(self) -> float:
        """The slope, under the name every fit has."""
        return self.slope

    @property
    def local_slopes(self) -> tuple[float, ...]:
        """Slopes between neighbouring levels (one fewer than levels), NaN beside a zero error."""
        return self.record.local_slopes(np.log(self.record.levels))

    def __repr__(self) -> str:
        return f"RateFit(slope={number(self.slope)}, interval={interval(self.interval)}, {self.record.where()})"

    def __str__(self) -> str:
        law = f"error ~ {self.record.along}^slope, slope"
        table = self.record.table("error", "local slope", self.local_slopes)
        return f"{self.record.describe(law, self.slope, self.interval)}\n{table}"


@dataclass(frozen=True, repr=False)
class DecayFit:
    """``value ≈ C exp(−rate · time)`` on the times of ``window``; the attributes are those of `RateFit`."""

    rate: float
    interval: tuple[float, float]
    window: tuple[float, float]
    record: FitRecord

    @property
    def estimate(self) -> float:
        """The rate, under the name every fit has."""
        return self.rate

    @property
    def local_rates(self) -> tuple[float, ...]:
        """Rates between neighbouring times (one fewer than times), NaN beside a zero value."""
        return tuple(-slope for slope in self.record.local_slopes(np.array(self.record.levels)))

    def __repr__(self) -> str:
        return f"DecayFit(rate={number(self.rate)}, interval={interval(self.interval)}, {self.record.where()})"

    def __str__(self) -> str:
        law = f"value ~ exp(-rate {self.record.along}), rate"
        table = self.record.table("value", "local rate", self.local_rates)
        return f"{self.record.describe(law, self.rate, self.interval)}\n{table}"
