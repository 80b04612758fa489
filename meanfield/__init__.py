"""Measure-valued dynamics: gradient flows of probability measures, solved and compared with theory.

The public names below are loaded when first used; importing the package imports NumPy and nothing heavier.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "DiracKernel": "torus",
    "GaussianKernel": "torus",
    "SobolevKernel": "torus",
    "Torus": "torus",
    "Control": "measures",
    "LayeredMeasure": "measures",
    "ParticleMeasure": "measures",
    "TorusDensity": "measures",
    "Activation": "models",
    "HingeLoss": "models",
    "HuberLoss": "models",
    "LogisticLoss": "models",
    "ResNet": "models",
    "SquareLoss": "models",
    "TwoLayer": "models",
    "cos": "models",
    "erf": "models",
    "relu": "models",
    "sigmoid": "models",
    "softplus": "models",
    "tanh": "models",
    "InternalEnergy": "energies",
    "KullbackLeibler": "energies",
    "L2Distance": "energies",
    "Potential": "energies",
    "Wasserstein": "geometries",
    "GradientFlow": "flow",
    "iterate": "flow",
    "solve": "run",
    "wasserstein": "distances",
    "barenblatt": "theory",
    "sweep": "claims",
    "fit_rate": "claims",
}
_MODULES = ("claims", "distances", "energies", "output", "parallel", "report", "steppers", "tableaus", "theory")

__all__ = ["__version__", *_NAMES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
    elif name in _MODULES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module 'meanfield' has no attribute {name!r}; see dir(meanfield)")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
