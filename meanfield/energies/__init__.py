"""Energies: functionals of a state, with their L² differentials. They add and scale."""

from .base import Energy, Multiple, Sum
from .distances import KullbackLeibler, L2Distance
from .internal import InternalEnergy
from .potential import Potential

__all__ = ["Energy", "InternalEnergy", "KullbackLeibler", "L2Distance", "Multiple", "Potential", "Sum"]
