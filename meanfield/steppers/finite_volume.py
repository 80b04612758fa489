"""The structure-preserving stepper: finite volumes in space, implicit Euler in time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _check
from ..geometries import Wasserstein
from ..measures import TorusDensity, density_from_solver
from ..status import Status
from ..torus.finite_volume import FiniteVolumes
from .base import Attempt, StepControl, StepInfo


@dataclass(frozen=True)
class FiniteVolumeMemory:
    """What a step hands to the next.

    Parameters
    ----------
    state : TorusDensity — the state the rest belongs to
    scheme : FiniteVolumes — holds no history
    dt : float — proposed next step
    number : int — steps taken: every other one sweeps the axes in reverse
    rate : (n, …, n) float or None — mean rate of change over the last step
    length : float — that step
    energy : float — E at the state
    iterations : int — Newton iterations of the last step's slowest line
    """

    state: TorusDensity
    scheme: FiniteVolumes
    dt: float
    energy: float
    number: int = 0
    rate: np.ndarray | None = None
    length: float = 0.0
    iterations: int = 0


@dataclass(frozen=True)
class FiniteVolume:
    """Finite volumes, implicit Euler: non-negative, conservative and energy-decreasing for every step it takes.

    For densities that touch zero. Along each axis, on periodic lines of cells of width h,

    - ``order=2``: the two-point flux of the pressure, ``F = −(P(ρ_{i+1}) − P(ρ_i))/h``; where a potential is added, the
      upwind flux with limited linear reconstruction;
    - ``order=1``: the upwind flux ``F = u⁺ρ_i + u⁻ρ_{i+1}``, ``u = −(ξ_{i+1} − ξ_i)/h``, ``ξ = δE/δρ``.

    Parameters
    ----------
    order : int — order in space, 1 or 2; 1 in time
    dt : float or None — the step. None adapts it
    tolerance : float or None — accepted time error of a step relative to the change it makes. None takes ``20 h²``
        (order 2) or ``h`` (order 1): the time error is then below that of space on Barenblatt data, of its size and
        order on smooth ones

    Raises
    ------
    ValueError, TypeError
        For another order, a step or tolerance that is not positive, both of them; from ``init``, another state, another
        geometry than `Wasserstein`, an energy with interactions.

    Notes
    -----
    Steps are bound by accuracy, not by h². The time error of a step is estimated by ½dt²|∂_ttρ| in L¹ from two steps'
    rates. Nonlinear lines are solved by Newton's method to rounding (damped for upwind fluxes: the ℓ¹ residual falls),
    then the densities are updated by the fluxes found, limited to what a cell has: the mass telescopes and no density
    is negative. A step whose solve stalls, or whose energy rises by more than rounding, is not taken: it is shortened,
    or with a given ``dt`` ends the run (status ``not converged``). Cost: O(n^d) per Newton iteration, two to four of
    them a step. In d > 1 steps are split by axis, in alternating order.

    References
    ----------
    Two-point flux: Eymard, Gallouët & Herbin 2000. Upwind: Bailo, Carrillo & Hu 2020, Fully discrete
    positivity-preserving and energy-dissipating schemes; reconstruction: Carrillo, Chertock & Huang 2015.
    """

    order: int = 2
    dt: float | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if _check.integer("order", self.order, "pass order=2, or 1 for plain upwind", at_least=0) not in (1, 2):
            raise _check.fail("order must be 1 or 2", repr(self.order), "pass order=2, or 1 for plain upwind")
        for name, value in (("dt", self.dt), ("tolerance", self.tolerance)):
            if value is not None:
                _check.positive(name, value, f"pass {name} > 0 or leave it out")
        if self.dt is not None and self.tolerance is not None:
            raise _check.fail("dt and tolerance exclude each other", "both", "pass dt for fixed steps")

    def init(self, flow: Any, state: TorusDensity) -> FiniteVolumeMemory:
        """Memory at a fresh state."""
        if not isinstance(state, TorusDensity):
            raise TypeError(
                f"FiniteVolume moves a TorusDensity (got {type(state).__name__}); use torus.density or steppers.RK4"
            )
        flow.check(state)
        if not isinstance(flow.geometry, Wasserstein) or flow.energy.interaction():
            nonlocal_part = "an interaction" if flow.energy.interaction() else type(flow.geometry).__name__
            raise TypeError(
                f"FiniteVolume steps local energies in Wasserstein (got {nonlocal_part}); use steppers.ETDRK4()"
            )
        scheme = self.scheme(flow, state)
        dt = self.dt
        if dt is None:
            speed = scheme.speed(state.values)
            dt = 0.1 * self._allowed(state) * state.mass / speed if speed > 0 else 1.0
        return FiniteVolumeMemory(state, scheme, dt, flow.energy.value(state))

    def scheme(self, flow: Any, state: TorusDensity) -> FiniteVolumes:
        """The discretisation of a flow on a state's grid."""
        terms = flow.energy.pressure()
        potential = flow.energy.potential(state.torus)
        c, m = (np.array([term[i] for term in terms], dtype=float) for i in (0, 1))
        return FiniteVolumes(state.torus, c, m, potential, self.order)

    def dissipation(self, flow: Any, state: TorusDensity) -> float:
        """The scheme's own ``|∂E|²``."""
        return self.scheme(flow, state).dissipation(state.values)

    def step(
        self, flow: Any, t: float, state: TorusDensity, memory: FiniteVolumeMemory, until: float = math.inf
    ) -> tuple[TorusDensity, FiniteVolumeMemory, StepInfo]:
        """One step, never past ``until``."""
        if memory.state is not state:
            memory = self.init(flow, state)
        control = StepControl(None if self.dt is not None else self._allowed(state), math.inf, order=1)
        after, dt, info = control.advance(t, until, memory.dt, lambda h: self._attempt(flow, memory, h))
        if after is None:
            return state, memory, info
        return after.state, replace(after, dt=dt), replace(info, iterations=after.iterations)

    def _allowed(self, state: TorusDensity) -> float:
        h = state.torus.spacing
        return self.tolerance if self.tolerance is not None else 20 * h**2 if self.order == 2 else h

    def _attempt(self, flow: Any, memory: FiniteVolumeMemory, h: float) -> Attempt:
        before, axes = memory.state.values, tuple(range(memory.state.torus.dim))
        values, iterations, converged = memory.scheme.step(before, h, axes[:: -1 if memory.number % 2 else 1])
        if not np.isfinite(values.max()):
            return Attempt(None, math.inf, Status.NOT_FINITE, "a cell mean is not finite")
        if not converged:
            return Attempt(None, math.inf, Status.NOT_CONVERGED, f"Newton's method stalled at dt = {h:.3g}")
        state = density_from_solver(values, memory.state.torus)
        try:
            flow.energy.check(state)
        except ValueError as error:  # fast diffusion that has reached zero: the energy's domain ends there
            return Attempt(None, math.inf, Status.NOT_POSITIVE, str(error))
        energy = flow.energy.value(state)
        if energy > memory.energy and energy - memory.energy > 1e-14 * memory.scheme.energy_scale(before):
            rise = f"the energy rose by {energy - memory.energy:.2g} at dt = {h:.3g}"
            return Attempt(None, math.inf, Status.NOT_CONVERGED, rise)
        rate = (values - before) / h
        after = replace(
            memory, state=state, energy=energy, number=memory.number + 1, rate=rate, length=h, iterations=iterations
        )
        return Attempt(after, self._error(memory, rate, h))

    @staticmethod
    def _error(memory: FiniteVolumeMemory, rate: np.ndarray, h: float) -> float:
        """``½h²|∂_ttρ|`` over the change ``h|∂_tρ|``, in L¹; 0 before there are two steps, or where nothing moves."""
        change = float(np.abs(rate).mean())
        if memory.rate is None or h * change <= 1e-13 * memory.state.mass:
            return 0.0
        acceleration = float(np.abs(rate - memory.rate).mean()) / (0.5 * (h + memory.length))
        return 0.5 * h * acceleration / change

    def pack(self, memory: FiniteVolumeMemory) -> dict[str, np.ndarray]:
        """The memory as plain arrays."""
        numbers = np.array([memory.dt, memory.energy, memory.number, memory.length, memory.iterations])
        rate = np.zeros_like(memory.state.values) if memory.rate is None else memory.rate  # records keep their size
        return {"numbers": numbers, "rate": rate}

    def unpack(self, flow: Any, state: TorusDensity, packed: dict[str, np.ndarray]) -> FiniteVolumeMemory:
        """The memory of a restart record."""
        dt, energy, number, length, iterations = (float(x) for x in packed["numbers"])
        scheme, rate = self.scheme(flow, state), packed["rate"] if number else None
        return FiniteVolumeMemory(state, scheme, dt, energy, int(number), rate, length, int(iterations))
