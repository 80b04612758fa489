"""Energies: functionals of a state, with their L² differentials. They add and scale."""

from .base import Energy, Multiple, Sum
from .blob import BlobEnergy
from .distances import KullbackLeibler, L2Distance, SobolevDistance
from .interaction import Interaction
from .internal import InternalEnergy
from .potential import Potential
from .risk import Risk

__all__ = [
    "BlobEnergy",
    "Energy",
    "Interaction",
    "InternalEnergy",
    "KullbackLeibler",
    "L2Distance",
    "Multiple",
    "Potential",
    "Risk",
    "SobolevDistance",
    "Sum",
]
