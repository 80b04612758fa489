"""Memory of explicit steppers for states that are moved as plain arrays: controls and particles."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from .. import _check
from ..status import Refusal, Status

ITERATIONS = 12  # of the power iteration at the start: the greatest curvature to a few per cent
AGAIN_EVERY = 50  # steps between later estimates, with half the iterations
NUDGE = 1e-6  # size of the displacement between two differentials, relative to the state (or 1)
ROUGH_NUDGE = 1e-2  # the same where the energy has kinks: over many of them a difference is a mean curvature
RISE = 1e-12  # relative rise of the energy in a step that rounding explains
ROUNDING = 64 * float(np.finfo(np.float64).eps)  # of its sums, whose terms are of the size of the first energy
ROUGH_RISE = 2.0  # times the energy at the last estimate: steps to and fro over a kink raise it by less


class System(Protocol):
    """A flow as a vector field on arrays; ``smooth`` where its energy has a continuous gradient."""

    @property
    def smooth(self) -> bool: ...

    def vector(self, state: Any) -> np.ndarray: ...

    def state(self, vector: np.ndarray) -> Any: ...

    def velocity(self, state: Any) -> np.ndarray: ...

    def energy(self, state: Any) -> float: ...

    def size(self, vector: np.ndarray) -> float:
        """What errors are relative to."""

    def covector(self, state: Any) -> np.ndarray:
        """The differential of the energy."""

    def lift(self, covector: np.ndarray) -> np.ndarray:
        """The displacement a covector stands for in the geometry: its gradient."""

    def squared_norm(self, covector: np.ndarray) -> float:
        """Its squared size in the geometry."""


@dataclass(frozen=True)
class EuclideanMemory:
    """The state, its velocity (the next first stage), and what the step size rests on.

    Parameters
    ----------
    state : Control or measure — the state the rest belongs to
    rate : array — its velocity
    energy : float — its energy
    reference : float — the energy at the last estimate of the curvature
    scale : float — the energy's size at the start, to which its rounding is relative
    curvature : float — estimate of the greatest eigenvalue Λ of the energy's second derivative in the geometry
    age : int — steps since that estimate
    dt : float — proposed next step
    system : System — the vector field; holds no history
    """

    state: Any
    rate: np.ndarray
    energy: float
    reference: float
    scale: float
    curvature: float
    age: int
    dt: float
    system: System

    @property
    def vector(self) -> np.ndarray:
        """What an explicit stepper adds up."""
        return self.system.vector(self.state)

    def bound(self, tableau: Any) -> float:
        """Largest stable step: the tableau's real interval over the greatest curvature."""
        return tableau.real_bound / self.curvature if self.curvature > 0 else math.inf

    def first_step(self) -> float:
        """A cautious first step: a hundredth of the time scale of the greatest curvature."""
        return 0.01 / self.curvature if self.curvature > 0 else 1.0

    def scratch(self, number: int) -> np.ndarray:
        """Vectors for stages, (number, ...)."""
        return np.empty((number, *self.rate.shape))

    def evaluate(self, stage: np.ndarray, out: np.ndarray) -> None:
        """The velocity at a stage; a copy is moved, as states are kept by those who see them."""
        if not np.isfinite(stage).all():
            raise Refusal(Status.NOT_FINITE, "a stage has led to infinity")
        out[...] = self.system.velocity(self.system.state(stage.copy()))

    def complete(self, vector: np.ndarray) -> tuple[EuclideanMemory | None, Status, str]:
        """The memory at a new vector, or why there is none: not finite, beyond the model, or an energy that rose."""
        if not np.isfinite(vector).all():
            return None, Status.NOT_FINITE, "a step has led to infinity"
        state = self.system.state(vector)
        rate = self.system.velocity(state)
        energy = self.system.energy(state)
        known = not math.isnan(self.energy)  # some flows have a velocity and no finite energy
        most = self.energy + RISE * abs(self.energy) if self.system.smooth else ROUGH_RISE * abs(self.reference)
        most += ROUNDING * self.scale
        if known and not (math.isfinite(energy) and energy <= most):
            before = self.energy if self.system.smooth else self.reference
            return None, Status.UNSTABLE, f"the energy rose from {before:.6g} to {energy:.6g}"
        after = replace(self, state=state, rate=rate, energy=energy, age=self.age + 1)
        if after.age >= AGAIN_EVERY:
            after = after.estimated_anew(ITERATIONS // 2)
            if not math.isfinite(after.curvature):
                return None, Status.NOT_FINITE, "the curvature of the energy has overflowed"
        return after, Status.RUNNING, ""

    def estimated_anew(self, iterations: int = ITERATIONS) -> EuclideanMemory:
        """The memory with the curvature at its state as it is now."""
        return replace(
            self, curvature=greatest_curvature(self.system, self.state, iterations), reference=self.energy, age=0
        )

    def relative(self, error: np.ndarray, after: np.ndarray) -> float:
        """Root mean square of an error over the larger of the states before and after."""
        size = max(self.system.size(vector) for vector in (self.vector, after))
        ratio = math.sqrt(float(np.add.reduce(error**2, axis=None)) / error.size) / size if size > 0 else 0.0
        return ratio if math.isfinite(ratio) else math.inf

    def pack(self) -> dict[str, np.ndarray]:
        """The part that has a history, as arrays."""
        scalars = np.array([self.energy, self.reference, self.scale, self.curvature, float(self.age), self.dt])
        return {"rate": self.rate, "scalars": scalars}


def begin(flow: Any, state: Any) -> EuclideanMemory:
    """Memory at a fresh state: one gradient for the velocity, some more for the greatest curvature.

    A ``ValueError`` where one of them is no number: data or parameters whose squares overflow.
    """
    system = flow.rate(state)
    with np.errstate(over="ignore", invalid="ignore"):
        rate, energy = system.velocity(state), system.energy(state)  # in this order: a gradient may bring the energy
        slope = system.squared_norm(system.covector(state))
        curvature = greatest_curvature(system, state, ITERATIONS)
    if not (np.isfinite(rate).all() and math.isfinite(slope) and math.isfinite(curvature) and not math.isinf(energy)):
        got = f"energy {energy:.3g}, |∂E|² {slope:.3g}, curvature {curvature:.3g}"
        rule = "a run must start where the energy and its derivatives are finite"
        raise _check.fail(rule, got, "scale data or start down")
    return EuclideanMemory(state, rate, energy, energy, abs(energy), curvature, 0, math.nan, system)


def unpack(flow: Any, state: Any, packed: dict[str, np.ndarray]) -> EuclideanMemory:
    """The memory a record was packed from; ``state`` is the saved state."""
    energy, reference, scale, curvature, age, dt = (float(x) for x in packed["scalars"])
    return EuclideanMemory(state, packed["rate"], energy, reference, scale, curvature, int(age), dt, flow.rate(state))


def greatest_curvature(system: System, state: Any, iterations: int) -> float:
    """Power iteration for the greatest eigenvalue (in size) of the energy's second derivative H in the geometry G.

    It iterates covectors, ``c ← H G c`` by differences of differentials: HG is symmetric in ``⟨c, Gc⟩``, so the
    quotient of norms bounds the eigenvalue from below, and G smooths what is displaced, not what is compared. One
    differential an iteration. Over a kink a short difference is no curvature, so where the energy has some it is long:
    the kinks of one sample and one particle then count little, those of many as they should. A state at the edge of
    what its model allows is displaced inwards; where no displacement is allowed, the estimate is what has been found.
    Infinite where squares overflow.
    """
    vector, base = system.vector(state), system.covector(state)
    nudge = NUDGE if system.smooth else ROUGH_NUDGE
    size, growth = nudge * max(1.0, float(np.abs(vector).max())), 0.0
    # the gradient's direction, and a fixed rough one: whatever mode is the stiffest, one of them holds a part of it
    covector = unit(system, np.random.default_rng(0).standard_normal(base.shape)) + unit(system, base)
    for _ in range(iterations):
        displacement = system.lift(covector)
        height = float(np.abs(displacement).max())
        if not height > 0:
            return growth
        with np.errstate(over="ignore", invalid="ignore"):
            change = _change(system, vector, displacement * (size / height), base)
            if change is None:
                return growth
            change *= height / size
            growth = math.sqrt(max(system.squared_norm(change), 0.0) / system.squared_norm(covector))
        if not math.isfinite(growth):
            return math.inf
        covector = unit(system, change)
    return growth


def unit(system: System, covector: np.ndarray) -> np.ndarray:
    """A covector of norm 1 in the geometry; zero stays zero, and one whose norm overflows becomes zero."""
    with np.errstate(over="ignore"):
        squared = system.squared_norm(covector)
    return covector / math.sqrt(squared) if squared > 0 else 0.0 * covector


def _change(system: System, vector: np.ndarray, displacement: np.ndarray, base: np.ndarray) -> np.ndarray | None:
    """What a displacement, or its opposite, adds to the differential; None where both lead out of the model."""
    for sign in (1.0, -1.0):
        try:
            return sign * (system.covector(system.state(vector + sign * displacement)) - base)
        except Refusal:
            continue
    return None
