"""Explicit Runge–Kutta steppers, their stability bound computed and enforced."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _check
from ..measures import TorusDensity
from ..status import Status
from ..tableaus import Tableau, rk4, ssprk3
from . import _fourier
from .base import Attempt, StepControl, StepInfo


@dataclass(frozen=True)
class ExplicitRungeKutta:
    """An explicit Runge–Kutta method on the kept Fourier modes; see :func:`RK4` and :func:`SSPRK3`.

    Parameters
    ----------
    tableau : Tableau
    dt : float or None — the step; None takes 0.9 of the stability bound, anew at every step
    tolerance : float or None — accepted relative L² error of a step; None controls nothing

    Raises
    ------
    ValueError
        From ``init``, if ``dt`` exceeds the stability bound or the density touches zero.

    Notes
    -----
    Bound: ``dt (D·max|2πk|²/r + A·max|2πk_a|/i) ≤ 1`` with the greatest diffusivity D and drift A of the state, the
    tableau's stability intervals ``[−r, 0]`` and ``±i``, maxima over kept modes. It scales as h²: for smooth data
    :class:`ETDRK4` needs some hundred times fewer steps. Cost: one rate (a pruned FFT pair) a stage; the error
    estimate is free.
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

    def bound(self, memory: _fourier.FourierMemory) -> float:
        """Largest stable step at the memory's state."""
        modes = memory.system.modes
        top = max(float(k.max()) for k in modes.wavenumbers)
        diffusive = _fourier.spectral_radius(memory) / self.tableau.real_bound
        return 1.0 / max(diffusive + memory.stiffness.speed * top / self.tableau.imaginary_bound, 1e-300)

    def init(self, flow: Any, state: TorusDensity) -> _fourier.FourierMemory:
        """Memory at a fresh state; refuses a step above the stability bound."""
        memory = _fourier.begin(flow, state)
        bound = self.bound(memory)
        if self.dt is not None and self.dt > bound:
            raise _check.fail(
                f"dt must not exceed the stability bound {bound:.3g} of {self.tableau.name} on this grid",
                f"{self.dt:g}",
                "lower dt, leave it out, or use steppers.ETDRK4",
            )
        start = self.dt if self.dt is not None else 0.9 * bound
        if self.tolerance is not None and self.dt is None:
            start = min(start, _fourier.first_step(memory))
        return replace(memory, dt=start)

    def step(
        self, flow: Any, t: float, state: TorusDensity, memory: _fourier.FourierMemory, until: float = math.inf
    ) -> tuple[TorusDensity, _fourier.FourierMemory, StepInfo]:
        """One step, never past ``until``."""
        if memory.state is not state:
            memory = self.init(flow, state)
        bound = self.bound(memory)
        if self.dt is not None and self.tolerance is None and self.dt > bound:
            detail = f"dt {self.dt:.3g} exceeds the stability bound {bound:.3g} reached at t = {t:.6g}"
            return state, memory, StepInfo(t, 0.0, status=Status.UNSTABLE, detail=detail)
        free = self.dt is None and self.tolerance is None
        proposal = 0.9 * bound if free else min(memory.dt, 0.9 * bound if self.dt is None else bound)
        control = StepControl(self.tolerance, math.inf, self.order)
        after, dt, info = control.advance(t, until, proposal, lambda h: self._attempt(memory, h))
        if after is None:
            return state, memory, info
        return after.state, replace(after, dt=dt), info

    def _attempt(self, memory: _fourier.FourierMemory, h: float) -> Attempt:
        from .._kernels.spectral import combine

        u, shape, tableau = memory.coefficients, memory.coefficients.shape, self.tableau
        scratch = memory.system.modes.scratch(len(tableau.b) + 1)
        rates, stage = scratch[:-1], scratch[-1].reshape(shape)
        rates[0] = memory.rate.reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):
            for i, row in enumerate(tableau.a[1:], start=1):
                combine(u.reshape(-1), h, np.array(row), rates[:i], stage.reshape(-1))
                memory.system.of(stage, rates[i].reshape(shape))
            new = np.empty_like(u)
            combine(u.reshape(-1), h, np.array(tableau.b), rates, new.reshape(-1))
            after, status, detail = _fourier.complete(memory, new)
            if after is None:
                return Attempt(None, math.inf, status, detail)
            gap = np.array(tableau.embedded) - np.array([*tableau.b, 0.0])
            error = np.tensordot(gap[:-1], rates, 1).reshape(shape) + gap[-1] * after.rate
            return Attempt(after, _fourier.relative(memory, h * error))

    def pack(self, memory: _fourier.FourierMemory) -> dict[str, np.ndarray]:
        """The memory as plain arrays."""
        return _fourier.pack(memory)

    def unpack(self, flow: Any, state: TorusDensity, packed: dict[str, np.ndarray]) -> _fourier.FourierMemory:
        """The memory of a restart record."""
        return _fourier.unpack(flow, state, packed)


def RK4(*, dt: float | None = None, tolerance: float | None = None) -> ExplicitRungeKutta:
    """The classical Runge–Kutta method, order 4; see :class:`ExplicitRungeKutta`."""
    return ExplicitRungeKutta(rk4, dt, tolerance)


def SSPRK3(*, dt: float | None = None, tolerance: float | None = None) -> ExplicitRungeKutta:
    """The strong-stability-preserving three-stage method of Shu and Osher, order 3; see :class:`ExplicitRungeKutta`."""
    return ExplicitRungeKutta(ssprk3, dt, tolerance)
