"""What Fourier steppers of densities share: memory, its restart record, and the checks around a step."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _check
from ..measures import TorusDensity, density_from_solver
from ..rates import Rate, Stiffness
from ..status import Status
from ..tableaus import Tableau
from ..torus import Modes

UNRESOLVED = 1e-3  # share of the L2 norm beyond the kept modes that asks for a warning
EXACT_HELPS = 1 / 3  # ETDRK4 is stable on u' = −zu + iyu while |y| ≤ 2.83 + 0.348z (the least quotient, at z = 1.7)
TOUCHES_ZERO = 1e-12  # a minimum below this share of the maximum is zero up to rounding


@dataclass(frozen=True)
class FourierMemory:
    """The state in kept coefficients, its rate (the next first stage), and what the step size rests on.

    Parameters
    ----------
    state : TorusDensity — the state the rest belongs to
    coefficients, rate : compact complex arrays — û and its time derivative
    stiffness : Stiffness — of the state
    dt : float — proposed next step
    splitting : float — diffusivity a of the linear part ``aΔ`` (exponential steppers)
    system : Rate — the right-hand side with its scratch space; holds no history
    spent : float — sum of the relative errors estimated so far
    weights : object or None — coefficients derived from dt and splitting
    """

    state: TorusDensity
    coefficients: np.ndarray
    rate: np.ndarray
    stiffness: Stiffness
    dt: float
    system: Rate
    splitting: float = 0.0
    spent: float = 0.0
    weights: Any = None

    @property
    def vector(self) -> np.ndarray:
        """What an explicit stepper adds up."""
        return self.coefficients

    def bound(self, tableau: Tableau) -> float:
        """Largest stable step of an explicit tableau."""
        return explicit_bound(self, tableau)

    def first_step(self) -> float:
        """A cautious first step."""
        return first_step(self)

    def scratch(self, number: int) -> np.ndarray:
        """Vectors for stages, (number, ...); their content is nobody's."""
        return self.system.modes.scratch(number).reshape(number, *self.coefficients.shape)

    def evaluate(self, stage: np.ndarray, out: np.ndarray) -> None:
        """The rate at a stage."""
        self.system.of(stage, out)

    def complete(self, vector: np.ndarray) -> tuple[FourierMemory | None, Status, str]:
        """The memory at a new vector, or why there is none."""
        return complete(self, vector)

    def relative(self, error: np.ndarray, after: np.ndarray) -> float:
        """Size of an error relative to the state."""
        return relative(self, error)

    def pack(self) -> dict[str, np.ndarray]:
        """The part that has a history, as arrays."""
        return pack(self)


def require_positive(state: TorusDensity) -> None:
    """Refuse a density that touches zero: its flow is not smooth there and a Fourier series does not represent it."""
    low, high = float(state.values.min()), float(state.values.max())
    if low <= TOUCHES_ZERO * high:
        index = tuple(int(i) for i in np.unravel_index(state.values.argmin(), state.values.shape))
        raise _check.fail(
            "a Fourier stepper needs a density that stays away from zero",
            f"min {low:g} at index {index}",
            "use steppers.FiniteVolume(), or add a positive constant to the data",
        )


def warn_unresolved(modes: Modes, state: TorusDensity, coefficients: np.ndarray) -> None:
    """Warn where the kept modes leave out more of the data than a step's error could explain (by Parseval)."""
    lost = modes.lost(state.values, coefficients)
    if lost > UNRESOLVED:
        warnings.warn(
            f"the density should be resolved on the kept modes |k| < {modes.kept} of n = {modes.torus.n} "
            f"(got {lost:.2g} of its L2 norm beyond them, which is dropped); take more points",
            RuntimeWarning,
            stacklevel=4,
        )


def begin(flow: Any, state: TorusDensity) -> FourierMemory:
    """Memory at a fresh state: one transform for the state, one rate."""
    if not isinstance(state, TorusDensity):
        raise TypeError(
            f"a Fourier stepper moves a TorusDensity (got {type(state).__name__}); use torus.density or steppers.RK4"
        )
    require_positive(state)
    system = flow.rate(state)
    coefficients = system.modes.forward(state.values)
    warn_unresolved(system.modes, state, coefficients)
    rate = system.at(state.values)
    return FourierMemory(state, coefficients, rate, system.stiffness(state.values), dt=math.nan, system=system)


def complete(memory: FourierMemory, coefficients: np.ndarray) -> tuple[FourierMemory | None, Status, str]:
    """The memory at new coefficients: back to the grid, checked, with the rate there; or why there is none."""
    values = memory.system.modes.inverse(coefficients)
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        why = "an overflow, or a stage below zero where ρ^m is not real"
        return None, Status.NOT_FINITE, f"the density ranges over [{low:g}, {high:g}]: {why}"
    if low <= TOUCHES_ZERO * high:
        return None, Status.NOT_POSITIVE, f"the density has minimum {low:.3g}"
    state = density_from_solver(values, memory.system.modes.torus)
    rate = memory.system.at(values)
    stiffness = memory.system.stiffness(values)
    after = replace(memory, state=state, coefficients=coefficients, rate=rate, stiffness=stiffness)
    return after, Status.RUNNING, ""


def relative(memory: FourierMemory, error: np.ndarray) -> float:
    """L² norm of an error in coefficients over the L² norm of the state; infinite if it is not a number."""
    modes = memory.system.modes
    size = math.sqrt(modes.squared_norm(error) / modes.squared_norm(memory.coefficients))
    return size if math.isfinite(size) else math.inf


def spectral_radius(memory: FourierMemory) -> float:
    """Bound of the linearised rate's spectral radius on the kept modes, without drift: ``D·max λ`` and the coupling."""
    return memory.stiffness.greatest * float(memory.system.damping.max()) + memory.stiffness.coupling


def explicit_bound(memory: FourierMemory, tableau: Tableau) -> float:
    """Largest stable step of an explicit tableau: ``dt (D·max|2πk|²/r + A·max|2πk_a|/i) ≤ 1``."""
    modes = memory.system.modes
    top = max(float(k.max()) for k in modes.wavenumbers)
    diffusive, drift = spectral_radius(memory) / tableau.real_bound, memory.stiffness.speed * top
    if drift > 0 and tableau.imaginary_bound == 0:
        raise _check.fail("a flow with drift needs a stepper stable for it", tableau.name, "use steppers.RK4 or SSPRK3")
    return 1.0 / max(diffusive + (drift / tableau.imaginary_bound if drift > 0 else 0.0), 1e-300)


def transport_bound(memory: FourierMemory, tableau: Tableau, splitting: float) -> float:
    """Largest step for which transport is stable where ``−aλ`` is taken exactly and the rest by ``tableau``, as ETDRK4.

    On a mode, ``u' = −zu + iyu`` with the first term exact is stable for ``|y| ≤ y_0 + z/3``: that holds for ETDRK4,
    y_0 being RK4's bound. Here ``z = dt aλ``, ``y = dt·speed·max|2πk_a|``: decay outweighs transport on no mode whose
    λ a smoothing kernel has made small.
    """
    speed = memory.stiffness.speed
    if not speed > 0:
        return math.inf
    excess = speed * memory.system.modes.steepest - EXACT_HELPS * splitting * memory.system.damping
    return tableau.imaginary_bound / max(float(excess.max()), 1e-300)


def require_below(bound: float, dt: float | None, stepper: str) -> None:
    """Refuse a step given by hand above a stability bound."""
    if dt is not None and dt > bound:
        raise _check.fail(
            f"dt must not exceed the stability bound {bound:.3g} of {stepper} here",
            f"{dt:g}",
            "lower dt, or leave it out where it has a default",
        )


def first_step(memory: FourierMemory) -> float:
    """A cautious first step where none is given: 1 % of the time the rate needs to change the state by its size."""
    modes = memory.system.modes
    size, speed = modes.squared_norm(memory.coefficients), modes.squared_norm(memory.rate)
    return 0.01 * math.sqrt(size / speed) if speed > 0 else 1.0


def pack(memory: FourierMemory) -> dict[str, np.ndarray]:
    """The part of the memory that has a history, as arrays."""
    return {
        "coefficients": memory.coefficients,
        "rate": memory.rate,
        "dt": np.array(memory.dt),
        "splitting": np.array(memory.splitting),
        "spent": np.array(memory.spent),
    }


def unpack(flow: Any, state: TorusDensity, packed: dict[str, np.ndarray]) -> FourierMemory:
    """The memory a record was packed from; ``state`` is the saved state."""
    return replace(
        begin(flow, state),
        coefficients=packed["coefficients"],
        rate=packed["rate"],
        dt=float(packed["dt"]),
        splitting=float(packed["splitting"]),
        spent=float(packed["spent"]),
    )
