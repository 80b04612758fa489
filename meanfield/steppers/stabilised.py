"""Stabilised explicit steppers: many cheap stages buy a stability interval that grows with their square."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .. import _check
from ..measures import TorusDensity
from ..status import Refusal
from . import _fourier
from .base import Attempt, StepControl, StepInfo

DAMPING = 2 / 13
DRIFT = 0.5  # height of the strip along the real interval in which |R| ≤ 1.02, for every number of stages
MOST_STAGES = 500


class ChebyshevWeights(NamedTuple):
    """Coefficients of RKC2 with s stages: stage j = 2 … s uses entry j of each (h not folded in)."""

    first: float
    mu: np.ndarray
    nu: np.ndarray
    mu_rate: np.ndarray
    gamma: np.ndarray


def stability_interval(stages: int) -> float:
    """Length β of the real stability interval ``[−β, 0]`` of s stages, ``⅔(s² − 1)(1 − 2ε/15)``."""
    return 2 / 3 * (stages**2 - 1) * (1 - 2 / 15 * DAMPING)


def stages_for(length: float) -> int:
    """The smallest number of stages, at least 2, whose stability interval is at least ``length``."""
    return max(2, math.ceil(math.sqrt(1 + length / (2 / 3 * (1 - 2 / 15 * DAMPING)))))


@cache
def chebyshev_weights(stages: int) -> ChebyshevWeights:
    """The coefficients of RKC2 from Chebyshev polynomials and their derivatives at ``w_0 = 1 + ε/s²``.

    References
    ----------
    Sommeijer, Shampine & Verwer 1997, RKC: an explicit solver for parabolic PDEs, eq. (2.2)–(2.5).
    """
    s, w0 = stages, 1 + DAMPING / stages**2
    t, d1, d2 = np.zeros((3, s + 1))
    t[:2], d1[1] = (1, w0), 1
    for j in range(2, s + 1):
        t[j] = 2 * w0 * t[j - 1] - t[j - 2]
        d1[j] = 2 * t[j - 1] + 2 * w0 * d1[j - 1] - d1[j - 2]
        d2[j] = 4 * d1[j - 1] + 2 * w0 * d2[j - 1] - d2[j - 2]
    w1 = d1[s] / d2[s]
    b = np.zeros(s + 1)
    b[2:] = d2[2:] / d1[2:] ** 2
    b[:2] = b[2]
    a = 1 - b * t
    mu, nu, mu_rate, gamma = np.zeros((4, s + 1))
    mu[2:], nu[2:] = 2 * b[2:] * w0 / b[1:-1], -b[2:] / b[:-2]
    mu_rate[2:] = 2 * b[2:] * w1 / b[1:-1]
    gamma[2:] = -a[1:-1] * mu_rate[2:]
    return ChebyshevWeights(b[1] * w1, mu, nu, mu_rate, gamma)


@dataclass(frozen=True)
class RKC2:
    """The Runge–Kutta–Chebyshev method of order 2 on the kept Fourier modes, its stages chosen automatically.

    The number of stages s is the smallest whose stability interval, about ``0.65 s²``, covers ``dt`` times the bound of
    the rate's spectral radius, ``D·max|2πk|²`` with the greatest diffusivity D of the state. So a step is bound by
    accuracy, and its cost grows like its square root: no linear part need be split off, whatever the contrast.

    Parameters
    ----------
    dt : float or None — the step; with a tolerance, the first one
    tolerance : float or None — accepted relative L² error of a step. Without ``dt`` the default is 1e-6; with ``dt``
        alone the step is fixed
    stages : int — take at least so many (default 2); a fixed number makes the error constant independent of dt

    Raises
    ------
    ValueError
        From ``init``: the density touches zero, the flow has no diffusion, or ``dt`` asks for more than 500 stages.

    Notes
    -----
    Cost: s rates (pruned FFT pairs) a step. The error estimate ``0.8(u − u') + 0.4h(F + F')`` is of third order and
    free. A drift ∇V moves the spectrum off the real axis: steps are also held to ``dt·max_xΣ|∂_aV|·max|2πk_a| ≤ ½``.

    References
    ----------
    van der Houwen & Sommeijer 1980; Sommeijer, Shampine & Verwer 1997, eq. (2.2)–(2.6).
    """

    dt: float | None = None
    tolerance: float | None = None
    stages: int = 2

    order = 2

    def __post_init__(self) -> None:
        for name, value in (("dt", self.dt), ("tolerance", self.tolerance)):
            if value is not None:
                _check.positive(name, value, f"pass {name} > 0 or leave it out")
        _check.integer("stages", self.stages, f"pass 2 … {MOST_STAGES}", at_least=2)
        if self.stages > MOST_STAGES:
            raise _check.fail(f"stages must be at most {MOST_STAGES}", repr(self.stages), "pass fewer")

    @property
    def control(self) -> StepControl:
        """The step-size rule these parameters mean; the estimate is of order 3."""
        tolerance = 1e-6 if self.tolerance is None and self.dt is None else self.tolerance
        return StepControl(tolerance, math.inf, order=3)

    def init(self, flow: Any, state: TorusDensity) -> _fourier.FourierMemory:
        """Memory at a fresh state."""
        memory = _fourier.begin(flow, state)
        if not memory.stiffness.greatest > 0:
            raise _check.fail("RKC2 needs a flow with diffusion", repr(flow.energy), "use steppers.RK4")
        dt = self.dt if self.dt is not None else _fourier.first_step(memory)
        longest = self._longest(memory)
        if self.dt is not None and self.dt > longest:
            raise _check.fail(f"dt must not exceed {longest:.3g} here", f"{self.dt:g}", "lower dt or leave it out")
        return replace(memory, dt=min(dt, longest))

    def step(
        self, flow: Any, t: float, state: TorusDensity, memory: _fourier.FourierMemory, until: float = math.inf
    ) -> tuple[TorusDensity, _fourier.FourierMemory, StepInfo]:
        """One step, never past ``until``."""
        if memory.state is not state:
            memory = self.init(flow, state)
        proposal = min(memory.dt, self._longest(memory))
        after, dt, info = self.control.advance(t, until, proposal, lambda h: self._attempt(memory, h))
        if after is None:
            return state, memory, info
        return after.state, replace(after, dt=dt), replace(info, iterations=self._stages(memory, info.dt))

    @staticmethod
    def _longest(memory: _fourier.FourierMemory) -> float:
        """The longest step: 500 stages, and the drift within the damped strip."""
        top = max(float(k.max()) for k in memory.system.modes.wavenumbers)
        drift = DRIFT / (memory.stiffness.speed * top) if memory.stiffness.speed > 0 else math.inf
        return min(stability_interval(MOST_STAGES) / _fourier.spectral_radius(memory), drift)

    def _stages(self, memory: _fourier.FourierMemory, h: float) -> int:
        return max(self.stages, stages_for(h * _fourier.spectral_radius(memory)))

    def _attempt(self, memory: _fourier.FourierMemory, h: float) -> Attempt:
        from .._kernels.spectral import chebyshev_stage

        system, shape = memory.system, memory.coefficients.shape
        u, rate = memory.coefficients.reshape(-1), memory.rate.reshape(-1)
        near, far, spare, f = system.modes.scratch(4)
        stages = self._stages(memory, h)
        w = chebyshev_weights(stages)
        with np.errstate(over="ignore", invalid="ignore"):
            far[:] = u
            chebyshev_stage(1.0, 0.0, 0.0, h * w.first, 0.0, u, u, u, rate, rate, near)
            for j in range(2, stages + 1):
                try:
                    system.of(near.reshape(shape), f.reshape(shape))
                except Refusal as refusal:
                    return Attempt(None, math.inf, refusal.status, str(refusal))
                weights = 1 - w.mu[j] - w.nu[j], w.mu[j], w.nu[j], h * w.mu_rate[j], h * w.gamma[j]
                chebyshev_stage(*weights, u, near, far, f, rate, spare)
                near, far, spare = spare, near, far
            after, status, detail = _fourier.complete(memory, near.reshape(shape).copy())
            if after is None:
                return Attempt(None, math.inf, status, detail)
            error = 0.8 * (memory.coefficients - after.coefficients) + 0.4 * h * (memory.rate + after.rate)
            return Attempt(after, _fourier.relative(memory, error))

    def pack(self, memory: _fourier.FourierMemory) -> dict[str, np.ndarray]:
        """The memory as plain arrays."""
        return _fourier.pack(memory)

    def unpack(self, flow: Any, state: TorusDensity, packed: dict[str, np.ndarray]) -> _fourier.FourierMemory:
        """The memory of a restart record."""
        return _fourier.unpack(flow, state, packed)
