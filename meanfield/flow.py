"""Gradient flows: an energy in a geometry, the table of supported pairs, and the loop over steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _check
from .energies import (
    BlobEnergy,
    Energy,
    Interaction,
    InternalEnergy,
    KullbackLeibler,
    L2Distance,
    Potential,
    Risk,
    SobolevDistance,
)
from .geometries import ConditionalWasserstein, Geometry, Hilbert, Kernelised, Wasserstein
from .kernelised import KernelisedRate
from .measures import Control, LayeredMeasure, ParticleMeasure, TorusDensity
from .rates import FluxRate, PressureRate
from .status import Status
from .steppers.base import StepInfo, Stepper
from .velocities import SteinField, VelocityField, entropy_of

# The supported pairs: (state, energy, geometry) -> right-hand side. Sums and multiples are supported term by term.
# Local energies in Wasserstein have the shorter pressure form; FluxRate is the general one it is tested against.
LOCAL = (InternalEnergy, L2Distance, KullbackLeibler, Potential)
QUADRATIC = (SobolevDistance, Interaction)
PAIRS: dict[tuple[type, type, type], type] = {
    **{(TorusDensity, energy, Wasserstein): PressureRate for energy in LOCAL},
    **{(TorusDensity, energy, Wasserstein): FluxRate for energy in QUADRATIC},
    **{(TorusDensity, energy, Kernelised): KernelisedRate for energy in (*LOCAL, *QUADRATIC)},
    **{(ParticleMeasure, energy, Wasserstein): VelocityField for energy in (*QUADRATIC, BlobEnergy, Potential, Risk)},
    **{
        (ParticleMeasure, energy, Kernelised): SteinField
        for energy in (*QUADRATIC, BlobEnergy, Potential, KullbackLeibler)
    },
    (LayeredMeasure, Risk, ConditionalWasserstein): VelocityField,
    (Control, Risk, Hilbert): VelocityField,
}


def _words(kinds: set[type]) -> str:
    return ", ".join(sorted(kind.__name__ for kind in kinds))


def _nearest(state: type, energy: type, geometry: type) -> str:
    """What to do about a pair that is not supported: another geometry for the energy, or another energy in this one."""
    if others := {key[2] for key in PAIRS if key[:2] == (state, energy)}:
        return f"take the geometry {_words(others)}"
    return f"pass such a state, or one of the energies {_words({k[1] for k in PAIRS if k[::2] == (state, geometry)})}"


@dataclass(frozen=True)
class GradientFlow:
    """The gradient flow of an energy in a geometry: ``∂_tμ = −grad E(μ)``.

    Parameters
    ----------
    energy : Energy — with sums and multiples
    geometry : Geometry

    Raises
    ------
    TypeError
        For an energy or geometry of no supported pair; the message names the supported ones.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.GradientFlow(mf.InternalEnergy(2), mf.Wasserstein())
    GradientFlow(energy=InternalEnergy(exponent=2, coefficient=1.0), geometry=Wasserstein())
    """

    energy: Energy
    geometry: Geometry

    def __post_init__(self) -> None:
        geometries = {key[2] for key in PAIRS}
        if type(self.geometry) not in geometries:
            raise TypeError(
                f"geometry must be one of {_words(geometries)} (got {type(self.geometry).__name__}); "
                "pass mf.Wasserstein()"
            )
        energies = {key[1] for key in PAIRS if key[2] is type(self.geometry)}
        if not isinstance(self.energy, Energy):
            raise TypeError(
                f"energy must be an Energy (got {type(self.energy).__name__}); use one of {_words(energies)}"
            )
        for atom in self.energy.atoms():
            if type(atom) not in energies:
                others = {key[2] for key in PAIRS if key[1] is type(atom)}
                raise TypeError(
                    f"{type(self.geometry).__name__} supports the energies {_words(energies)} (got "
                    f"{type(atom).__name__}); use these" + (f", or the geometry {_words(others)}" if others else "")
                )

    def check(self, state: Any) -> None:
        """Refuse a state this flow is not defined on, before any work (``TypeError`` or ``ValueError``)."""
        states = {key[0] for key in PAIRS if key[2] is type(self.geometry)}
        if type(state) not in states:
            raise TypeError(
                f"the state of a flow in {type(self.geometry).__name__} must be one of {_words(states)} "
                f"(got {type(state).__name__}); use torus.density(...) for a density, node.zero() for a control, "
                "mf.ParticleMeasure or mf.LayeredMeasure for particles"
            )
        for atom in self.energy.atoms():
            if (type(state), type(atom), type(self.geometry)) not in PAIRS:
                raise TypeError(
                    f"{type(atom).__name__} in {type(self.geometry).__name__} moves "
                    f"{_words({key[0] for key in PAIRS if key[1:] == (type(atom), type(self.geometry))})} "
                    f"(got {type(state).__name__}); {_nearest(type(state), type(atom), type(self.geometry))}"
                )
        if isinstance(self.geometry, Kernelised):
            self.geometry.check(state)
        self.energy.check(state)

    def rate(self, state: Any) -> Any:
        """The right-hand side of this pair at states like this one, with scratch space of its own."""
        self.check(state)
        forms = {PAIRS[type(state), type(atom), type(self.geometry)] for atom in self.energy.atoms()}
        if forms == {PressureRate}:
            return PressureRate(self.energy, state.torus)
        if forms in ({VelocityField}, {SteinField}):
            return forms.pop()(self.energy, self.geometry, state)
        form = KernelisedRate if forms == {KernelisedRate} else FluxRate
        return form(self.energy, self.geometry, state.torus)  # type: ignore[arg-type]

    @property
    def equation(self) -> str:
        """The equation, as text."""
        if isinstance(self.geometry, Hilbert):
            return "d_t v_s = -K * dE/dv_s"
        if isinstance(self.geometry, ConditionalWasserstein):
            return "d_t mu(.|s) = div_w(mu(.|s) G(s, .))"
        if isinstance(self.geometry, Kernelised):
            return "d_t rho = div(rho K * (rho grad dE/drho))"
        if any(isinstance(atom, Risk | BlobEnergy) for atom in self.energy.atoms()):
            return "d_t mu = div(mu grad dE/dmu)"
        if any(isinstance(atom, QUADRATIC) for atom in self.energy.atoms()):
            return "d_t rho = div(rho grad dE/drho)"
        pressure = " + ".join(
            ("" if c == 1 else f"{c:.6g} ") + ("rho" if m == 1 else f"rho^{m:g}") for c, m in self.energy.pressure()
        )
        drift = any(isinstance(atom, Potential | L2Distance | KullbackLeibler) for atom in self.energy.atoms())
        terms = ([f"Laplacian({pressure})"] if pressure else []) + (["div(rho grad V)"] if drift else [])
        return "d_t rho = " + " + ".join(terms)

    def dissipation(self, state: Any) -> float:
        """``|∂E|²(μ)``, which is −dE/dt along the flow."""
        if isinstance(state, ParticleMeasure) and isinstance(self.geometry, Kernelised):
            differential = self.energy.differential(state)
            return self.geometry.particle_squared_norm(state, differential, entropy_of(self.energy))
        return self.geometry.squared_norm(state, self.energy.differential(state))


def require_flow_and_stepper(flow: Any, stepper: Any) -> None:
    """Refuse what is not a flow, or not a stepper instance (``TypeError``)."""
    if not isinstance(flow, GradientFlow):
        raise TypeError(f"flow must be a GradientFlow (got {type(flow).__name__}); pass GradientFlow(energy, geometry)")
    if isinstance(stepper, type) or not (hasattr(stepper, "init") and hasattr(stepper, "step")):
        got = f"the class {stepper.__name__}" if isinstance(stepper, type) else type(stepper).__name__
        raise TypeError(f"stepper must be a Stepper (got {got}); pass one of meanfield.steppers, as ETDRK4()")


def begin(stepper: Stepper, flow: GradientFlow, state: Any, rng: np.random.Generator | None) -> Any:
    """A stepper's memory at a fresh state; only stochastic steppers look at the generator."""
    return stepper.init(flow, state, *((rng,) if is_stochastic(stepper) else ()))


def is_stochastic(stepper: Stepper) -> bool:
    """Whether a stepper draws random numbers; it then follows the gradient flow in expectation only."""
    return bool(getattr(stepper, "stochastic", False))


def march(
    flow: GradientFlow, state: Any, stepper: Stepper, *, t: float, until: float, memory: Any = None
) -> Iterator[tuple[float, Any, Any, StepInfo]]:
    """Steps from t to ``until``: ``(t, state, memory, info)`` after each; a refused step is yielded and ends it."""
    while t < until:
        state, memory, info = stepper.step(flow, t, state, memory, until)
        t = info.time
        yield t, state, memory, info
        if info.status is not Status.RUNNING:
            return


def iterate(
    flow: GradientFlow,
    state: Any,
    stepper: Stepper,
    *,
    t: float = 0.0,
    until: float = math.inf,
    rng: np.random.Generator | None = None,
) -> Iterator[tuple[float, Any, StepInfo]]:
    """The loop a user may own: a generator of ``(t, state, info)`` after every step.

    Parameters
    ----------
    flow : GradientFlow
    state : the state at time ``t``, of the kind the pair moves
    stepper : Stepper
    t, until : float — first time, and the time not to be passed (default: none; leave the loop yourself)
    rng : numpy.random.Generator or None — for stochastic descent

    Yields
    ------
    (t, state, info) : float, state, StepInfo
        ``info.status`` other than ``RUNNING`` says that no step was taken and the iteration ends.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> rho = mf.Torus(32).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))
    >>> flow = mf.GradientFlow(mf.InternalEnergy(2), mf.Wasserstein())
    >>> for t, rho, info in mf.iterate(flow, rho, mf.steppers.ETDRK4(dt=1e-3), until=0.01):
    ...     pass
    >>> print(f"{t} {rho.values.max() - 1:.3f}")
    0.01 0.211
    """
    require_flow_and_stepper(flow, stepper)
    flow.check(state)
    t = _check.real("t", t, "pass the time of the state")
    until = float(_check.real("until", until, "pass a time") if until != math.inf else until)
    if not until > t:
        raise _check.fail("until must exceed t", f"t = {t}, until = {until}", "pass a later time")
    steps = march(flow, state, stepper, t=t, until=until, memory=begin(stepper, flow, state, rng))  # refusals now
    return ((t, state, info) for t, state, _, info in steps)
