"""Flows of controls and particles as vector fields on plain arrays, the form explicit steppers take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .energies import Energy
from .measures import (
    Control,
    LayeredMeasure,
    ParticleMeasure,
    control_from_solver,
    layers_from_solver,
    particles_from_solver,
)

if TYPE_CHECKING:
    from .geometries import Geometry

Moved = Control | ParticleMeasure | LayeredMeasure
LEAST_SPREAD = 1e-3  # of particles, over the period or the root mean square of their coordinates


class VelocityField:
    """``state ↦ −grad E(state)``: the geometry's velocity for the energy's differential.

    Parameters
    ----------
    energy : Energy
    geometry : Geometry
    like : Control, ParticleMeasure or LayeredMeasure — a state of the flow; others differ in what moves only
    """

    def __init__(self, energy: Energy, geometry: Geometry, like: Moved) -> None:
        self.energy_of, self.geometry, self.like = energy, geometry, like

    @property
    def smooth(self) -> bool:
        """Whether the energy has a continuous gradient."""
        return self.energy_of.smooth

    def vector(self, state: Moved) -> np.ndarray:
        """What moves: the values of a control, the positions of particles."""
        return state.values if isinstance(state, Control) else state.positions

    def state(self, vector: np.ndarray) -> Moved:
        """The state with these values or positions, which are taken over and become read-only."""
        if isinstance(self.like, Control):
            return control_from_solver(vector, self.like.torus)
        if isinstance(self.like, ParticleMeasure):
            return particles_from_solver(vector, self.like)
        return layers_from_solver(vector, self.like)

    def velocity(self, state: Moved) -> np.ndarray:
        """Minus the gradient in the geometry."""
        return self.geometry.velocity(state, self.energy_of.differential(state))

    def energy(self, state: Moved) -> float:
        """E."""
        return self.energy_of.value(state)

    def size(self, vector: np.ndarray) -> float:
        """What errors are relative to: the root mean square of a control, the spread of particles.

        Particles that lie together have no spread to speak of: theirs counts as a part of the torus's period, or of
        their coordinates in R^d, at least.
        """
        size = _root_mean_square(vector)
        if isinstance(self.like, Control):
            return size
        periodic = isinstance(self.like, ParticleMeasure) and self.like.torus is not None
        centre = np.add.reduce(vector, axis=-2, keepdims=True) / vector.shape[-2]
        spread = _root_mean_square(vector - centre)
        return max(spread, LEAST_SPREAD * (1.0 if periodic else size))

    def covector(self, state: Moved) -> np.ndarray:
        """The energy's differential."""
        return self.energy_of.differential(state)

    def lift(self, covector: np.ndarray) -> np.ndarray:
        """The displacement a covector stands for: minus the velocity."""
        return -self.geometry.velocity(self.like, covector)

    def squared_norm(self, covector: np.ndarray) -> float:
        """Squared size of a covector in the geometry."""
        return self.geometry.squared_norm(self.like, covector)


class SteinField(VelocityField):
    """The velocity of particles in the kernelised geometry, entropies integrated by parts.

    ``v(x_i) = −Σ_j a_j K(x_i − x_j)∇δE(x_j) − c Σ_j a_j ∇K(x_i − x_j)``, c the sum of the entropies' coefficients: of a
    measure of atoms ``c ∇log ρ`` has no value, but its product with ρ is cast on the kernel.

    References
    ----------
    Liu & Wang 2016, Stein variational gradient descent, eq. (8).
    """

    def velocity(self, state: Moved) -> np.ndarray:
        """The velocity."""
        assert isinstance(state, ParticleMeasure)
        return self.geometry.particle_velocity(  # type: ignore[attr-defined]  # Kernelised, by the table of pairs
            state, self.energy_of.differential(state), entropy_of(self.energy_of)
        )

    # The velocity is the gradient of no energy here: the power iteration goes over velocities themselves.

    def covector(self, state: Moved) -> np.ndarray:
        """Minus the velocity."""
        return -self.velocity(state)

    def lift(self, covector: np.ndarray) -> np.ndarray:
        """The covector itself."""
        return covector

    def squared_norm(self, covector: np.ndarray) -> float:
        """The sum of squares."""
        return float(np.sum(covector**2))


def _root_mean_square(array: np.ndarray) -> float:
    """As ``np.mean`` has it, without its overhead, which small networks feel in every step."""
    return math.sqrt(float(np.add.reduce(array**2, axis=None)) / array.size)


def entropy_of(energy: Energy) -> float:
    """The coefficient c of the part ``c∫ρ log ρ`` of an energy."""
    return sum(c for c, m in energy.pressure() if m == 1)
