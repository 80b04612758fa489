"""Activation functions as objects; the built-in ones have compiled kernels, any other runs through NumPy and BLAS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .._kernels import activation_functions as functions

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, repr=False)
class Activation:
    """A function σ of real numbers, applied entry by entry, with its exact derivatives; calling it gives σ(z).

    Parameters
    ----------
    name : str
    value : callable — array to a new array of the same shape, σ
    derivative : callable or None — σ'; None means that gradients are refused
    second_derivative : callable or None — σ'', where it is a function
    homogeneity : float or None — α if ``σ(cz) = c^α σ(z)`` for all c > 0
    smooth : bool — σ' is continuous
    code : int or None — which compiled kernel computes it; leave it out

    Raises
    ------
    TypeError
        If a function is not callable.

    Notes
    -----
    The built-in ones are ``mf.relu`` (its derivative at 0 is 0), ``mf.tanh``, ``mf.erf``, ``mf.sigmoid``,
    ``mf.softplus`` and ``mf.cos``. A new one is one such object and works in every model at once.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> cubic = mf.Activation("cubic", lambda z: z**3, lambda z: 3 * z**2, homogeneity=3)
    >>> cubic(np.array([2.0])), cubic.has_derivative, mf.relu.smooth
    (array([8.]), True, False)
    """

    name: str
    value: Function
    derivative: Function | None = None
    second_derivative: Function | None = None
    homogeneity: float | None = field(default=None, kw_only=True)
    smooth: bool = field(default=True, kw_only=True)
    code: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("value", "derivative", "second_derivative"):
            function = getattr(self, name)
            if not (callable(function) or (function is None and name != "value")):
                raise TypeError(f"{name} must be callable (got {type(function).__name__}); pass a function of arrays")

    @property
    def has_derivative(self) -> bool:
        """Whether gradients can be taken through it."""
        return self.derivative is not None

    def __call__(self, z: np.ndarray) -> np.ndarray:
        return self.value(z)

    def __repr__(self) -> str:
        return self.name


def _built_in(name: str, code: int, *, homogeneity: float | None = None, smooth: bool = True) -> Activation:
    return Activation(name, *functions.FUNCTIONS[code], homogeneity=homogeneity, smooth=smooth, code=code)


relu = _built_in("relu", functions.RELU, homogeneity=1.0, smooth=False)
tanh = _built_in("tanh", functions.TANH)
erf = _built_in("erf", functions.ERF)
sigmoid = _built_in("sigmoid", functions.SIGMOID)
softplus = _built_in("softplus", functions.SOFTPLUS)
cos = _built_in("cos", functions.COS)
