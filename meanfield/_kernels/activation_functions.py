"""The built-in activation functions in NumPy, with two derivatives: what users call and what compiled code must equal.

Nothing here needs a compiler. The order of ``FUNCTIONS`` is the numbering of :mod:`meanfield._kernels.activations`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

RELU, TANH, ERF, SIGMOID, SOFTPLUS, COS = range(6)


class Functions(NamedTuple):
    """σ, σ' and σ'' (None where it is not a function)."""

    value: Callable[[np.ndarray], np.ndarray]
    derivative: Callable[[np.ndarray], np.ndarray]
    second_derivative: Callable[[np.ndarray], np.ndarray] | None


def relu(z):
    """``max(z, 0)``."""
    return np.maximum(z, 0.0)


def relu_derivative(z):
    """1 for z > 0, else 0: the derivative at 0 is taken from the left."""
    return np.greater(z, 0.0).astype(float)


def tanh_derivative(z):
    """``1 − tanh²``."""
    return 1.0 - np.tanh(z) ** 2


def tanh_second_derivative(z):
    """``−2 tanh (1 − tanh²)``."""
    value = np.tanh(z)
    return -2.0 * value * (1.0 - value**2)


def erf(z):
    """``(2/√π) ∫_0^z e^{−t²} dt``."""
    from scipy import special

    return special.erf(z)


def erf_derivative(z):
    """``(2/√π) e^{−z²}``."""
    return (2.0 / math.sqrt(math.pi)) * np.exp(-(np.clip(z, -30.0, 30.0) ** 2))


def erf_second_derivative(z):
    """``−2z σ'``."""
    return -2.0 * np.clip(z, -30.0, 30.0) * erf_derivative(z)


def sigmoid(z):
    """``1/(1 + e^{−z})``."""
    from scipy import special

    return special.expit(z)


def sigmoid_derivative(z):
    """``σ(z) σ(−z)``."""
    return sigmoid(z) * sigmoid(-np.asarray(z))


def sigmoid_second_derivative(z):
    """``σ(z) σ(−z) (1 − 2σ(z))``."""
    return sigmoid_derivative(z) * (1.0 - 2.0 * sigmoid(z))


def softplus(z):
    """``log(1 + e^z)``."""
    return np.logaddexp(0.0, z)


def cos_derivative(z):
    """``−sin``."""
    return -np.sin(z)


def cos_second_derivative(z):
    """``−cos``."""
    return -np.cos(z)


FUNCTIONS = (
    Functions(relu, relu_derivative, None),
    Functions(np.tanh, tanh_derivative, tanh_second_derivative),
    Functions(erf, erf_derivative, erf_second_derivative),
    Functions(sigmoid, sigmoid_derivative, sigmoid_second_derivative),
    Functions(softplus, sigmoid, sigmoid_derivative),
    Functions(np.cos, cos_derivative, cos_second_derivative),
)
