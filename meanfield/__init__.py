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
    "LaplaceKernel": "torus",
    "MaternKernel": "torus",
    "SobolevKernel": "torus",
    "Torus": "torus",
    "Control": "measures",
    "LayeredMeasure": "measures",
    "ParticleMeasure": "measures",
    "TorusDensity": "measures",
    "Activation": "models",
    "cos": "models",
    "DensityNODE": "models",
    "erf": "models",
    "GaussianInputs": "models",
    "HingeLoss": "models",
    "HuberLoss": "models",
    "LogisticLoss": "models",
    "relu": "models",
    "ResNet": "models",
    "sigmoid": "models",
    "softplus": "models",
    "SquareLoss": "models",
    "tanh": "models",
    "TwoLayer": "models",
    "BlobEnergy": "energies",
    "Interaction": "energies",
    "InternalEnergy": "energies",
    "KullbackLeibler": "energies",
    "L2Distance": "energies",
    "Potential": "energies",
    "Risk": "energies",
    "SobolevDistance": "energies",
    "ConditionalWasserstein": "geometries",
    "Hilbert": "geometries",
    "Kernelised": "geometries",
    "Wasserstein": "geometries",
    "GradientFlow": "flow",
    "iterate": "flow",
    "solve": "run",
    "compare": "comparison",
    "conditional_plan": "distances",
    "conditional_wasserstein": "distances",
    "sliced_wasserstein": "distances",
    "wasserstein": "distances",
    "barenblatt": "theory",
    "sweep": "claims",
    "fit_rate": "claims",
}
_MODULES = (
    "claims",
    "data",
    "distances",
    "energies",
    "geodesics",
    "initial",
    "output",
    "parallel",
    "particles",
    "report",
    "steppers",
    "tableaus",
    "theory",
)

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
