"""De Giorgi's energy balance along a run: the integrals it needs, to the order of the best stepper.

Along a curve of maximal slope ``E(μ_0) − E(μ_t) = ½∫|μ'|² + ½∫|∂E|²``. The slope is integrated over the steps by a
fourth-order rule; the speed either as the norm of the velocity, the same way, or from an independent distance of
consecutive saves, ``½Σ d(μ_i, μ_{i+1})²/(t_{i+1} − t_i)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .flow import GradientFlow
from .geometries import ConditionalWasserstein, Wasserstein

CLOSE = 1e-6  # of the window's length: samples closer than this have no cubic through them in double precision


class RunningIntegral:
    """``∫f dt`` over a growing sequence of samples, fourth order on smooth f whatever the spacing.

    The last interval is integrated by the cubic through the last four samples (the quadrature of the Adams–Moulton
    method on variable steps); the first three intervals by the polynomial through what there is, so that no start-up
    error of lower order stays behind.

    Examples
    --------
    >>> integral = RunningIntegral()
    >>> for t in (0.0, 0.5, 0.7, 1.0, 1.5, 2.0):
    ...     integral.add(t, t**3)
    >>> round(integral.value, 12)
    4.0
    """

    def __init__(self) -> None:
        self.value = 0.0
        self._samples: list[tuple[float, float]] = []  # the last four
        self._complete = False  # whether a sample has left the window

    def add(self, t: float, f: float) -> None:
        """One more sample, at a later time; one too close to the last to integrate over takes its place."""
        if len(self._samples) > 1 and t - self._samples[-1][0] <= CLOSE * (t - self._samples[0][0]):
            self._samples[-1] = (self._samples[-1][0], f)
            return
        self._samples.append((t, f))
        if len(self._samples) == 5:
            self._samples.pop(0)
            self._complete = True
        if len(self._samples) > 1:
            if self._complete:
                self.value += self._under_polynomial(self._samples[-2][0])
            else:
                self.value = self._under_polynomial(self._samples[0][0])

    def _under_polynomial(self, start: float) -> float:
        """Integral from ``start`` to the last sample of the polynomial through the window."""
        times, values = np.array(self._samples).T
        length = times[-1] - times[0]
        x = (times - times[0]) / length
        powers = np.arange(len(x))
        moments = (1.0 - ((start - times[0]) / length) ** (powers + 1)) / (powers + 1)
        weights = np.linalg.solve(np.vander(x, increasing=True).T, moments)
        return float(length * np.sum(weights * values))

    def pack(self) -> np.ndarray:
        """Everything as one array, for a restart record."""
        window = np.full((4, 2), np.nan)
        if self._samples:
            window[: len(self._samples)] = self._samples
        return np.array([self.value, float(self._complete), float(len(self._samples)), *window.reshape(-1)])

    @classmethod
    def unpack(cls, packed: np.ndarray) -> RunningIntegral:
        """The integral :meth:`pack` described."""
        integral = cls()
        integral.value, integral._complete = float(packed[0]), bool(packed[1])
        integral._samples = [(float(t), float(f)) for t, f in packed[3:].reshape(4, 2)[: int(packed[2])]]
        return integral


class Balance:
    """Energy, slope, speed, length and the two balance defects of one run (claim FLOW-1).

    Parameters
    ----------
    flow : GradientFlow
    slope : callable (state) -> float — ``|∂E|²``; a stepper with a discretisation of its own brings its own
    t : float — first time
    state : the state there
    exempt : bool — stochastic descent follows no curve of maximal slope: defects, speed and length are NaN

    Notes
    -----
    Every step costs one evaluation of the slope; where exempt, every save does. ``balance_defect`` is NaN where the
    geometry has no distance for such states.
    """

    def __init__(
        self, flow: GradientFlow, slope: Callable[[Any], float], t: float, state: Any, *, exempt: bool = False
    ) -> None:
        self.flow, self.slope, self.exempt = flow, slope, exempt
        self.start = flow.energy.value(state)
        self.descent, self.length = RunningIntegral(), RunningIntegral()
        self.dissipation = math.nan
        self.by_distance = 0.0 if flow.geometry.measures(state) and not exempt else math.nan
        self._saved = (t, state)
        self._guess: np.ndarray | None = None  # potentials of the last plan
        self._before = (math.nan, math.nan)  # energy and dissipation at the last save
        self.step(t, state)

    def step(self, t: float, state: Any) -> None:
        """Account for the state a step has reached."""
        if self.exempt:
            return
        self.dissipation = self.slope(state)
        self.descent.add(t, self.dissipation)
        self.length.add(t, math.sqrt(max(self.dissipation, 0.0)))

    def save(self, t: float, state: Any) -> dict[str, float]:
        """The balance variables of a save at the last step's state."""
        before, last = self._saved
        if t > before and not math.isnan(self.by_distance):
            self.by_distance += self._distance(last, state) ** 2 / (t - before)
        self._saved = (t, state)
        if self.exempt:
            self.dissipation = self.slope(state)  # first: a differential may bring the value with it
        energy = self.flow.energy.value(state)
        drop = self.start - energy
        slope, self._before = lojasiewicz_slope(self._before, (energy, self.dissipation)), (energy, self.dissipation)
        along = math.nan if self.exempt else 1.0  # what has no meaning along a descent that is no gradient flow
        return {
            "energy": energy,
            "dissipation": self.dissipation,
            "squared_speed": along * self.dissipation,  # |velocity|² = |∂E|² along a gradient flow
            "balance_defect": drop - 0.5 * self.by_distance - 0.5 * self.descent.value,
            "balance_defect_velocity": along * (drop - self.descent.value),
            "path_length": along * self.length.value,
            "lojasiewicz_slope": slope,
        }

    def _distance(self, last: Any, state: Any) -> float:
        """Between saves; where it is a transport plan's, started from the plan before."""
        geometry = self.flow.geometry
        if not isinstance(geometry, Wasserstein | ConditionalWasserstein):
            return geometry.distance(last, state)
        distance, self._guess = geometry.followed_distance(last, state, self._guess)
        return distance

    @property
    def overflowed(self) -> bool:
        """Whether energy or slope are numbers no more at the last save, where the energy was one at the start."""
        return math.isfinite(self.start) and not all(math.isfinite(number) for number in self._before)

    def pack(self) -> dict[str, np.ndarray]:
        """The running sums, for a restart record (the saved state is stored beside)."""
        scalars = [self.start, self.dissipation, self.by_distance, *self._before]
        guess = np.empty(0) if self._guess is None else self._guess
        return {
            "scalars": np.array(scalars), "descent": self.descent.pack(), "length": self.length.pack(), "guess": guess,
        }  # fmt: skip

    def unpack(self, t: float, state: Any, packed: dict[str, np.ndarray]) -> None:
        """Take up the sums that :meth:`pack` described, at the save it was packed at."""
        self._saved = (t, state)
        self.start, self.dissipation, self.by_distance, *before = (float(x) for x in packed["scalars"])
        self._before = before[0], before[1]
        self._guess = packed["guess"] if packed["guess"].size else None
        self.descent, self.length = (RunningIntegral.unpack(packed[key]) for key in ("descent", "length"))


def lojasiewicz_slope(before: tuple[float, float], now: tuple[float, float]) -> float:
    """``d log|∂E|²/d log E`` between two saves (energy, dissipation): θ where ``|∂E|² ~ E^θ``, 1 for a linear rate.

    NaN where a number is not positive, or the energy has not changed.
    """
    if not (min(*before, *now) > 0 and before[0] != now[0]):
        return math.nan
    return math.log(now[1] / before[1]) / math.log(now[0] / before[0])
