"""Explicit Runge–Kutta steppers of densities, controls and particles, their stability bound computed and enforced."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _check
from ..measures import TorusDensity
from ..status import Refusal, Status
from ..tableaus import Tableau, euler, heun, rk4, ssprk3
from . import _euclidean, _fourier
from .base import Attempt, StepControl, StepInfo

Memory = _fourier.FourierMemory | _euclidean.EuclideanMemory


def begin(flow: Any, state: Any) -> Memory:
    """Memory at a fresh state: densities are moved by their Fourier coefficients, all else as it is."""
    return _fourier.begin(flow, state) if isinstance(state, TorusDensity) else _euclidean.begin(flow, state)


@dataclass(frozen=True)
class ExplicitRungeKutta:
    """An explicit Runge–Kutta method; see :func:`Euler`, :func:`Heun`, :func:`RK4` and :func:`SSPRK3`.

    Parameters
    ----------
    tableau : Tableau
    dt : float or None — the step; None takes 0.9 of the stability bound, anew at every step
    tolerance : float or None — accepted relative L² error of a step; None controls nothing

    Raises
    ------
    ValueError
        From ``init``, if ``dt`` exceeds the stability bound, a density touches zero, or an energy has kinks and
        neither step nor tolerance is given.

    Notes
    -----
    Densities: bound ``dt (D·max λ/r + A·max|2πk_a|/i) ≤ 1`` with the greatest factor D of the linear part ``−Dλ(k)``
    and drift A of the state, the tableau's stability intervals ``[−r, 0]`` and ``±i``, maxima over kept modes. For
    diffusions it scales as h²: for smooth data :class:`ETDRK4` needs some hundred times fewer steps.
    Controls and particles: bound ``r/Λ``, Λ the greatest curvature of the energy in its geometry, estimated by a power
    iteration at the start and every 50 steps; a step in which the energy rises is refused. Where the energy has kinks
    (ReLU or hinge loss on finitely many data) the flow may slide along one, which steps follow to and fro. The energy
    may then rise a little in a step; a fixed step is compared with the bound at the start only, and refused where the
    energy has doubled within 50 steps; the balance of the flow holds up to such slides.
    Cost: one rate a stage (a pruned FFT pair for a density, a gradient for a control); the error estimate is free.
    """

    tableau: Tableau
    dt: float | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("dt", self.dt), ("tolerance", self.tolerance)):
            if value is not None:
                _check.positive(name, value, f"pass {name} > 0 or leave it out")

    @property
    def order(self) -> int:
        """Declared order."""
        return self.tableau.order

    def bound(self, memory: Memory) -> float:
        """Largest stable step at the memory's state."""
        return memory.bound(self.tableau)

    def init(self, flow: Any, state: Any) -> Memory:
        """Memory at a fresh state; refuses a step above the stability bound."""
        memory = begin(flow, state)
        if self.dt is None and self.tolerance is None and not flow.energy.smooth:
            raise _check.fail(
                f"{self.tableau.name} needs a step or a tolerance where the energy has kinks",
                str(flow.energy),
                "pass dt=, as a learning rate, or tolerance=1e-4",
            )
        bound = self.bound(memory)
        _fourier.require_below(bound, self.dt, self.tableau.name)
        start = self.dt if self.dt is not None else 0.9 * bound
        if self.tolerance is not None and self.dt is None:
            start = min(start, memory.first_step())
        return replace(memory, dt=start)

    def step(
        self, flow: Any, t: float, state: Any, memory: Memory, until: float = math.inf
    ) -> tuple[Any, Memory, StepInfo]:
        """One step, never past ``until``."""
        if memory.state is not state:
            memory = self.init(flow, state)
        bound = self.bound(memory)
        if self.dt is not None and self.tolerance is None and self.dt > bound and flow.energy.smooth:
            detail = f"dt {self.dt:.3g} exceeds the stability bound {bound:.3g} reached"
            return state, memory, StepInfo(t, 0.0, status=Status.UNSTABLE, detail=detail)
        free = self.dt is None and self.tolerance is None
        proposal = 0.9 * bound if free else min(memory.dt, 0.9 * bound if self.dt is None else bound)
        control = StepControl(self.tolerance, math.inf, self.order)
        after, dt, info = control.advance(t, until, proposal, lambda h: self._attempt(memory, h))
        if after is not None:
            return after.state, replace(after, dt=dt), info
        if isinstance(memory, _euclidean.EuclideanMemory):  # the estimate of the bound may be old
            anew = memory.estimated_anew()
            now = self.bound(anew)
            if free and 0 < now < 0.9 * bound:
                return self.step(flow, t, state, anew, until)
            info = replace(info, detail=f"{info.detail}; the step bound of {self.tableau.name} is about {now:.3g} here")
        return state, memory, info

    def _attempt(self, memory: Memory, h: float) -> Attempt:
        from .._kernels.spectral import combine

        u, tableau = memory.vector, self.tableau
        scratch = memory.scratch(len(tableau.b) + 1)
        rates, stage = scratch[:-1], scratch[-1]
        rates[0] = memory.rate

        def add_up(weights: tuple[float, ...], out: np.ndarray) -> None:
            used = rates[: len(weights)].reshape(len(weights), -1)
            combine(u.reshape(-1), h, np.array(weights), used, out.reshape(-1))

        with np.errstate(over="ignore", invalid="ignore"):
            try:
                for i, row in enumerate(tableau.a[1:], start=1):
                    add_up(row, stage)
                    memory.evaluate(stage, rates[i])
                new = np.empty_like(u)
                add_up(tableau.b, new)
                after, status, detail = memory.complete(new)
            except Refusal as refusal:
                return Attempt(None, math.inf, refusal.status, str(refusal))
            if after is None:
                return Attempt(None, math.inf, status, detail)
            gap = np.array(tableau.embedded) - np.array([*tableau.b, 0.0])
            error = np.tensordot(gap[:-1], rates, 1) + gap[-1] * after.rate
            return Attempt(after, memory.relative(h * error, after.vector))

    def pack(self, memory: Memory) -> dict[str, np.ndarray]:
        """The memory as plain arrays."""
        return memory.pack()

    def unpack(self, flow: Any, state: Any, packed: dict[str, np.ndarray]) -> Memory:
        """The memory of a restart record."""
        return (_fourier if isinstance(state, TorusDensity) else _euclidean).unpack(flow, state, packed)


def Euler(*, dt: float | None = None, tolerance: float | None = None) -> ExplicitRungeKutta:
    """Explicit Euler, order 1: gradient descent with learning rate ``dt``; see :class:`ExplicitRungeKutta`."""
    return ExplicitRungeKutta(euler, dt, tolerance)


def Heun(*, dt: float | None = None, tolerance: float | None = None) -> ExplicitRungeKutta:
    """Heun's method, order 2; see :class:`ExplicitRungeKutta`."""
    return ExplicitRungeKutta(heun, dt, tolerance)


def RK4(*, dt: float | None = None, tolerance: float | None = None) -> ExplicitRungeKutta:
    """The classical Runge–Kutta method, order 4; see :class:`ExplicitRungeKutta`."""
    return ExplicitRungeKutta(rk4, dt, tolerance)


def SSPRK3(*, dt: float | None = None, tolerance: float | None = None) -> ExplicitRungeKutta:
    """The strong-stability-preserving three-stage method of Shu and Osher, order 3; see :class:`ExplicitRungeKutta`."""
    return ExplicitRungeKutta(ssprk3, dt, tolerance)
