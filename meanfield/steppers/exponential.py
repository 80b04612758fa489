"""Exponential time differencing: the stiff linear part exactly, the rest explicitly."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .. import _check
from ..measures import TorusDensity
from ..status import Refusal, Status
from ..tableaus import rk4
from . import _fourier
from .base import Attempt, StepControl, StepInfo


def phi_functions(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``φ_1, φ_2, φ_3`` at real z: ``φ_0 = e^z``, ``φ_{k+1}(z) = (φ_k(z) − 1/k!)/z``.

    Parameters
    ----------
    z : float array, any shape

    Notes
    -----
    The recursion loses ``eps/|z|³``; for ``|z| < 1`` the Taylor series ``φ_k = Σ_j z^j/(j+k)!`` (18 terms, remainder
    below 1e-18) is summed instead. Relative accuracy 1e-15 everywhere.

    References
    ----------
    Cox & Matthews 2002; Kassam & Trefethen 2005, §2 (who use contour integrals for the same cancellation).
    """
    small = np.abs(z) < 1
    far = np.where(small, 1.0, z)
    near = np.where(small, z, 0.0)
    result = []
    value = np.exp(far)
    for k in (1, 2, 3):
        value = (value - 1 / math.factorial(k - 1)) / far if k > 1 else np.expm1(far) / far
        series = np.zeros_like(near)
        for j in range(17, -1, -1):
            series = series * near + 1 / math.factorial(j + k)
        result.append(np.where(small, series, value))
    return result[0], result[1], result[2]


class ETDWeights(NamedTuple):
    """Weights of ETDRK4 for ``z = −a|2πk|²h``, flat over kept modes (h folded in), and the h, a they are for."""

    dt: float
    splitting: float
    decay: np.ndarray
    half_decay: np.ndarray
    half_weight: np.ndarray
    f1: np.ndarray
    f2: np.ndarray
    f3: np.ndarray

    @classmethod
    def build(cls, squared: np.ndarray, dt: float, splitting: float) -> ETDWeights:
        """Weights at ``squared = |2πk|²``; computed once per distinct wavenumber length."""
        distinct, where = np.unique(squared, return_inverse=True)
        z = -splitting * dt * distinct
        one, two, three = phi_functions(z)
        tables = (
            np.exp(z),
            np.exp(z / 2),
            0.5 * dt * phi_functions(z / 2)[0],
            dt * (one - 3 * two + 4 * three),
            dt * (2 * two - 4 * three),
            dt * (4 * three - two),
        )
        return cls(dt, splitting, *(np.ascontiguousarray(table[where.reshape(-1)]) for table in tables))


@dataclass(frozen=True)
class ETDRK4:
    """Exponential time differencing Runge–Kutta of order 4 with the linear part ``aΔ`` split off.

    ``∂_tû = −a|2πk|²û + N(û)``; Cox–Matthews stages; the splitting a is the middle of the diffusivities
    ``P'(ρ)`` on the state, chosen anew when it has moved by a tenth. The error is estimated at every step by
    exchanging the last stage's weight for the rate at the new state, which the next step needs anyway.

    Parameters
    ----------
    dt : float or None — the step; with a tolerance, the first one
    tolerance : float or None — accepted relative L² error of a step, which adapts the step. Without ``dt`` the default
        is 1e-6; with ``dt`` alone the step is fixed.
    error_limit : float — with a fixed step, the sum of the estimated relative errors at which the run is refused
        (status ``inaccurate``). That is how data whose contrast the splitting cannot control show.

    Raises
    ------
    ValueError
        From ``init``, if the density touches zero.

    Notes
    -----
    Cost per step: four pruned FFT pairs and passes over kept modes; 6 compact real arrays of weights, rebuilt
    (about one step's cost) when dt or a change. Without diffusion (a = 0) this is RK4, and its bound is
    enforced. The advantage over an explicit stepper fades with contrast: at 40, m = 3, the default tolerance
    takes about as many steps as RK4 at its bound.

    References
    ----------
    Cox & Matthews 2002, eq. (26)–(29); Kassam & Trefethen 2005, eq. (2.2)–(2.5); embedded estimate in the manner of
    Balac & Mahé 2013 and Whalen, Brio & Moloney 2015.
    """

    dt: float | None = None
    tolerance: float | None = None
    error_limit: float = 1e-3

    order = 4
    MOVED = 0.1  # relative change of the middle diffusivity that asks for a new splitting

    def __post_init__(self) -> None:
        for name, value in (("dt", self.dt), ("tolerance", self.tolerance), ("error_limit", self.error_limit)):
            if value is not None:
                _check.positive(name, value, f"pass {name} > 0 or leave it out")

    @property
    def control(self) -> StepControl:
        """The step-size rule these parameters mean."""
        tolerance = 1e-6 if self.tolerance is None and self.dt is None else self.tolerance
        return StepControl(tolerance, self.error_limit, self.order)

    def init(self, flow: Any, state: TorusDensity) -> _fourier.FourierMemory:
        """Memory at a fresh state."""
        memory = _fourier.begin(flow, state)
        memory = replace(memory, splitting=self._middle(memory))
        if self.control.tolerance is None:
            _fourier.require_below(self.bound(memory), self.dt, "ETDRK4")
        return replace(memory, dt=self.dt if self.dt is not None else _fourier.first_step(memory))

    def bound(self, memory: _fourier.FourierMemory) -> float:
        """Largest step at the memory's state: transport, explicit here, must be stable; without diffusion, RK4's."""
        if memory.stiffness.greatest == 0:
            return _fourier.explicit_bound(memory, rk4)
        return _fourier.transport_bound(memory, rk4, memory.splitting)

    def step(
        self, flow: Any, t: float, state: TorusDensity, memory: _fourier.FourierMemory, until: float = math.inf
    ) -> tuple[TorusDensity, _fourier.FourierMemory, StepInfo]:
        """One step, never past ``until``."""
        if memory.state is not state:
            memory = self.init(flow, state)
        middle = self._middle(memory)
        if abs(middle - memory.splitting) > self.MOVED * memory.splitting:
            memory = replace(memory, splitting=middle)
        control, bound = self.control, self.bound(memory)
        if control.tolerance is None and memory.dt > bound:
            detail = f"dt {memory.dt:.3g} exceeds the stability bound {bound:.3g} of the transport at t = {t:.6g}"
            return state, memory, StepInfo(t, 0.0, status=Status.UNSTABLE, detail=detail)
        proposal = min(memory.dt, bound)
        after, dt, info = control.advance(t, until, proposal, lambda h: self._attempt(memory, h), spent=memory.spent)
        if after is None:
            return state, memory, info
        return after.state, replace(after, dt=dt, spent=memory.spent + info.error), info

    @staticmethod
    def _middle(memory: _fourier.FourierMemory) -> float:
        return 0.5 * (memory.stiffness.least + memory.stiffness.greatest)

    def _attempt(self, memory: _fourier.FourierMemory, h: float) -> Attempt:
        from .._kernels import spectral

        system, a = memory.system, memory.splitting
        squared = system.damping.reshape(-1)
        w = memory.weights
        if w is None or w.splitting != a or abs(w.dt - h) > 1e-12 * h:
            w = ETDWeights.build(squared, h, a)
        u, shape = memory.coefficients.reshape(-1), memory.coefficients.shape
        rate = memory.rate.reshape(-1)
        first, second, third, ra, rb, rc = system.modes.scratch(6)
        new = np.empty_like(u)
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                spectral.etd_first(w.half_decay, w.half_weight, a, squared, u, rate, first)
                system.of(first.reshape(shape), ra.reshape(shape))
                spectral.etd_second(w.half_decay, w.half_weight, a, squared, u, first, ra, second)
                system.of(second.reshape(shape), rb.reshape(shape))
                spectral.etd_third(w.half_decay, w.half_weight, a, squared, u, rate, first, second, rb, third)
                system.of(third.reshape(shape), rc.reshape(shape))
                spectral.etd_last(w.decay, w.f1, w.f2, w.f3, a, squared, u, rate, ra, rb, third, rc, new)
                after, status, detail = _fourier.complete(replace(memory, weights=w), new.reshape(shape))
            except Refusal as refusal:
                return Attempt(None, math.inf, refusal.status, str(refusal))
            if after is None:
                return Attempt(None, math.inf, status, detail)
            spectral.etd_error(w.f3, a, squared, new, after.rate.reshape(-1), rc, first)
            return Attempt(after, _fourier.relative(memory, first.reshape(shape)))

    def pack(self, memory: _fourier.FourierMemory) -> dict[str, np.ndarray]:
        """The memory as plain arrays."""
        since = math.nan if memory.weights is None else memory.weights.dt  # weights serve steps equal up to rounding
        return _fourier.pack(memory) | {"weights_dt": np.array(since)}

    def unpack(self, flow: Any, state: TorusDensity, packed: dict[str, np.ndarray]) -> _fourier.FourierMemory:
        """The memory of a restart record."""
        memory, since = _fourier.unpack(flow, state, packed), float(packed["weights_dt"])
        squared = memory.system.damping.reshape(-1)
        weights = None if math.isnan(since) else ETDWeights.build(squared, since, memory.splitting)
        return replace(memory, weights=weights)
