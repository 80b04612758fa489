"""What every stepper is, and the step-size rules they share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..status import Status


@dataclass(frozen=True)
class StepInfo:
    """Diagnostics of one step.

    Parameters
    ----------
    time : float — time reached
    dt : float — step taken (0 if none was)
    error : float — estimated relative L² error of this step
    rejected : int — attempts discarded before this step
    status : Status — ``RUNNING``, or why no step was taken (the state is then the last good one)
    detail : str — the numbers behind a bad status, one line
    iterations : int — Newton iterations of an implicit step, stages of a stabilised one
    """

    time: float
    dt: float
    error: float = math.nan
    rejected: int = 0
    status: Status = Status.RUNNING
    detail: str = ""
    iterations: int = 0


class Stepper(Protocol):
    """``memory = init(flow, state)``, then ``state, memory, info = step(flow, t, state, memory, until)``.

    A step never passes ``until``. Memory is a value: keeping an old one and stepping again gives the same bits.
    ``pack`` turns it into plain arrays for a restart record, ``unpack`` back.
    """

    @property
    def order(self) -> int: ...

    def init(self, flow: Any, state: Any) -> Any: ...

    def step(
        self, flow: Any, t: float, state: Any, memory: Any, until: float = math.inf
    ) -> tuple[Any, Any, StepInfo]: ...

    def pack(self, memory: Any) -> dict[str, np.ndarray]: ...

    def unpack(self, flow: Any, state: Any, packed: dict[str, np.ndarray]) -> Any: ...


@dataclass(frozen=True)
class Attempt:
    """One trial step: its error estimate, the memory after it, and what forbids it, if anything does."""

    memory: Any
    error: float
    status: Status = Status.RUNNING
    detail: str = ""


def even_step(t: float, until: float, dt: float) -> tuple[float, bool]:
    """The largest step ≤ dt that divides what is left before ``until`` evenly, and whether it is the last one."""
    left = until - t
    if not math.isfinite(left):
        return dt, False
    number = max(1, math.ceil(left / dt * (1 - 1e-9)))
    return left / number, number == 1


SHORTEST = 1e-13  # step over t: those before a singularity hardly move t and would go on for ever


@dataclass(frozen=True)
class StepControl:
    """The rule that accepts a step and proposes the next.

    Parameters
    ----------
    tolerance : float or None — accepted relative error of a step; None keeps the given step fixed
    limit : float — with a fixed step, the accumulated relative error above which a step is refused
    order : int — order of the stepper: the estimate scales like ``dt^order``
    """

    tolerance: float | None
    limit: float
    order: int

    SAFETY = 0.9
    SMALLEST, LARGEST = 0.2, 4.0  # factors by which a step may change
    KEEP = 1.15  # growth below this is not worth new coefficients
    MOST_REJECTIONS = 30
    MOST_UNSTABLE = 10  # a step so much shorter is not unstable: what rises then would rise at any step

    def advance(
        self, t: float, until: float, dt: float, attempt: Callable[[float], Attempt], *, spent: float = 0.0
    ) -> tuple[Any, float, StepInfo]:
        """Try steps until one is accepted: the attempt's memory (None if none was), the next proposal, the info.

        A fixed step is tried once; ``spent`` is the sum of the errors estimated so far. An adaptive one shrinks;
        after ``MOST_REJECTIONS`` it is given up.
        """
        for rejected in range(self.MOST_REJECTIONS + 1):
            h, last = even_step(t, until, dt)
            if h < SHORTEST * abs(t) and not last:
                return None, dt, StepInfo(t, 0.0, math.nan, rejected, Status.UNSTABLE, f"a step of {h:.3g} moves no t")
            trial = attempt(h)
            allowed = self.limit - spent if self.tolerance is None else self.tolerance
            if trial.status is Status.RUNNING and trial.error <= allowed:
                info = StepInfo(until if last else t + h, h, trial.error, rejected)
                return trial.memory, self._grow(dt, h, trial.error), info
            if self.tolerance is None or (trial.status is Status.UNSTABLE and rejected >= self.MOST_UNSTABLE):
                break
            dt = h * self._factor(trial.error if trial.status is Status.RUNNING else math.inf)
            if dt < SHORTEST * abs(t):
                break
        status = Status.INACCURATE if trial.status is Status.RUNNING else trial.status
        detail = (
            trial.detail or f"estimated error {trial.error:.2g} of a step of {h:.3g}, at most {allowed:.2g} allowed"
        )
        return None, dt, StepInfo(t, 0.0, trial.error, rejected, status, detail)

    def _factor(self, error: float) -> float:
        assert self.tolerance is not None
        ideal = self.SAFETY * (self.tolerance / max(error, 1e-300)) ** (1 / self.order) if math.isfinite(error) else 0.0
        return min(self.LARGEST, max(self.SMALLEST, ideal))

    def _grow(self, dt: float, h: float, error: float) -> float:
        if self.tolerance is None:
            return dt
        factor = self._factor(error)
        if factor >= 1 and h < dt:  # shortened to meet a save: the estimate says nothing against the old proposal
            return max(dt, h * factor)
        return dt if 1 <= factor < self.KEEP else h * factor
