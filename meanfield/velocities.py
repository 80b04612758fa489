"""Flows of controls and particles as vector fields on plain arrays, the form explicit steppers take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .energies import Energy
from .measures import Control, control_from_solver

if TYPE_CHECKING:
    from .geometries import Geometry


class VelocityField:
    """``state ↦ −grad E(state)``: the geometry's velocity for the energy's differential.

    Parameters
    ----------
    energy : Energy
    geometry : Geometry
    like : Control — a state of the flow; others differ in their values only
    """

    def __init__(self, energy: Energy, geometry: Geometry, like: Control) -> None:
        self.energy_of, self.geometry, self.like = energy, geometry, like

    def vector(self, state: Control) -> np.ndarray:
        """The values that move."""
        return state.values

    def state(self, vector: np.ndarray) -> Control:
        """The state with these values, which are taken over and become read-only."""
        return control_from_solver(vector, self.like.torus)

    def velocity(self, state: Control) -> np.ndarray:
        """Minus the gradient in the geometry."""
        return self.geometry.velocity(state, self.energy_of.differential(state))

    def energy(self, state: Control) -> float:
        """E."""
        return self.energy_of.value(state)

    def covector(self, state: Control) -> np.ndarray:
        """The energy's differential."""
        return self.energy_of.differential(state)

    def lift(self, covector: np.ndarray) -> np.ndarray:
        """The displacement a covector stands for: minus the velocity."""
        return -self.geometry.velocity(self.like, covector)

    def squared_norm(self, covector: np.ndarray) -> float:
        """Squared size of a covector in the geometry."""
        return self.geometry.squared_norm(self.like, covector)
