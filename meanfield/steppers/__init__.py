"""Steppers: pure ``init``/``step`` pairs that advance a gradient flow, each with a declared order."""

from .base import StepInfo, Stepper
from .explicit import RK4, SSPRK3, Euler, ExplicitRungeKutta, Heun
from .exponential import ETDRK4
from .finite_volume import FiniteVolume
from .samplers import Epochs, Sampler, WithReplacement
from .stabilised import RKC2
from .stochastic import StochasticDescent

__all__ = [
    "ETDRK4",
    "RK4",
    "RKC2",
    "SSPRK3",
    "Epochs",
    "Euler",
    "ExplicitRungeKutta",
    "FiniteVolume",
    "Heun",
    "Sampler",
    "StepInfo",
    "Stepper",
    "StochasticDescent",
    "WithReplacement",
]
