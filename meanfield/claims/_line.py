"""A straight line through averaged data, with the levels it may use chosen by rule and an interval for its slope."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from meanfield._check import fail

FEWEST_LEVELS = 3
NOISE_MULTIPLE = 3.0
AT_FLOOR = "at the rounding floor"
BEFORE_RANGE = "before the asymptotic range"

Average = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Line:
    """log of the averaged data ≈ intercept + slope·x on the levels ``start:stop``, coarse to fine."""

    slope: float
    intercept: float
    interval: tuple[float, float]
    averaged: np.ndarray
    start: int
    stop: int

    def reason(self, level: int) -> str:
        """Why ``level`` was dropped, empty if it was not."""
        return AT_FLOOR if level >= self.stop else BEFORE_RANGE if level < self.start else ""


def fit_line(
    x: np.ndarray,
    data: np.ndarray,
    *,
    average: Average,
    floor: float,
    bend: float,
    relative_bend: bool,
    confidence: float,
) -> Line:
    """Fit the line; ``x`` (levels,) runs coarse to fine, ``data`` is (levels,) or (levels, seeds).

    The rules for the levels and the intervals are stated in `meanfield.claims.fit_rate`.
    """
    averaged = average(data, axis=1) if data.ndim == 2 else data
    at_floor = np.flatnonzero(averaged <= floor)
    stop = int(at_floor[0]) if at_floor.size else len(x)
    if stop < FEWEST_LEVELS:
        raise fail(
            f"a fit needs at least {FEWEST_LEVELS} levels above the floor {floor:.3g}",
            f"{stop} of {len(x)}, averaged data {np.array2string(averaged, precision=3, separator=', ', threshold=6)}",
            "add coarser levels, or state the scale or the floor of the data",
        )
    start = _first_asymptotic(x[:stop], data[:stop], averaged[:stop], average, bend, relative_bend)
    kept = slice(start, stop)
    slope, intercept, error, freedom = _regression(x[kept], np.log(averaged[kept]))
    if data.ndim == 2:
        weights = _slope_weights(x[kept])
        error = _jackknife_error(data[kept], average, lambda logs: weights @ logs)
        freedom = data.shape[1] - 1
    half = _student(confidence, freedom) * error
    return Line(slope, intercept, (slope - half, slope + half), averaged, start, stop)


def _first_asymptotic(
    x: np.ndarray, data: np.ndarray, averaged: np.ndarray, average: Average, bend: float, relative_bend: bool
) -> int:
    """The first level whose local slope agrees with the median of the finer ones, keeping `FEWEST_LEVELS`."""
    local = np.diff(np.log(averaged)) / np.diff(x)
    for start in range(len(x) - FEWEST_LEVELS):
        others = local[start + 1 :]
        median = float(np.median(others))
        allowed = bend * abs(median) if relative_bend else bend
        if data.ndim == 2:
            steps = np.diff(x[start:])
            allowed += NOISE_MULTIPLE * _jackknife_error(data[start:], average, partial(_first_against_rest, steps))
        if abs(local[start] - median) <= allowed:
            return start
    return max(len(x) - FEWEST_LEVELS, 0)


def _first_against_rest(steps: np.ndarray, logs: np.ndarray) -> np.ndarray:
    local = np.diff(logs, axis=0) / steps[:, None]
    return local[0] - local[1:].mean(axis=0)


def _slope_weights(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean()
    return centred / (centred @ centred)


def _regression(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, int]:
    """Least-squares slope, intercept, standard error of the slope and degrees of freedom."""
    from scipy import stats

    if np.all(y == y[0]):  # linregress divides 0 by 0 for a constant
        return 0.0, float(y[0]), 0.0, len(x) - 2
    line = stats.linregress(x, y)
    return float(line.slope), float(line.intercept), float(line.stderr), len(x) - 2


def _jackknife_error(data: np.ndarray, average: Average, statistic: Callable[[np.ndarray], np.ndarray]) -> float:
    """Standard error of ``statistic(log average)`` by leaving out one seed (a whole column) at a time."""
    seeds = data.shape[1]
    averages = np.stack([average(np.delete(data, seed, axis=1), axis=1) for seed in range(seeds)], axis=1)
    if not (averages > 0).all():  # one seed alone lifts a level above zero: nothing can be said about its spread
        return math.inf
    left_out = statistic(np.log(averages))
    return float(np.sqrt((seeds - 1) / seeds * np.sum((left_out - left_out.mean()) ** 2)))


def _student(confidence: float, freedom: int) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.5 + 0.5 * confidence, freedom))
