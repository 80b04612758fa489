"""States: the measures and controls that are moved. Frozen, validated at the door, read-only."""

from .control import Control, control_from_solver
from .density import TorusDensity, density_from_solver
from .layers import LayeredMeasure, layers_from_solver
from .particles import ParticleMeasure, particles_from_solver

__all__ = [
    "Control",
    "LayeredMeasure",
    "ParticleMeasure",
    "TorusDensity",
    "control_from_solver",
    "density_from_solver",
    "layers_from_solver",
    "particles_from_solver",
]
