"""Validation at the public door: every message is one line — the rule, the value received, the remedy."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

SHORTEST = 1e-75  # length of a kernel: with this and its inverse, fourth powers are finite


class ConvergenceError(RuntimeError):
    """A numerical method failed to converge; the message says which and what was reached."""


def fail(rule: str, got: str, remedy: str) -> ValueError:
    """A ``ValueError`` of the house form ``rule (got value); remedy``, for the caller to raise."""
    return ValueError(f"{rule} (got {got}); {remedy}")


def positive(name: str, value: Any, remedy: str) -> float:
    """``value`` as a finite float > 0, or a ``ValueError`` / ``TypeError``."""
    number = real(name, value, remedy)
    if not number > 0:
        raise fail(f"{name} must be positive", repr(value), remedy)
    return number


def length(value: Any, remedy: str) -> float:
    """A kernel's length: as :func:`positive`, and of a size whose powers are still numbers."""
    number = positive("length", value, remedy)
    if not SHORTEST <= number <= 1 / SHORTEST:
        raise fail(f"length must lie between {SHORTEST:g} and {1 / SHORTEST:g}", repr(value), "change the units")
    return number


def real(name: str, value: Any, remedy: str) -> float:
    """``value`` as a finite float, or a ``ValueError`` / ``TypeError``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number (got {type(value).__name__} {value!r}); {remedy}")
    if not math.isfinite(value):
        raise fail(f"{name} must be finite", repr(value), remedy)
    return float(value)


def integer(name: str, value: Any, remedy: str, *, at_least: int) -> int:
    """``value`` as an int ≥ ``at_least``, or a ``ValueError`` / ``TypeError``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer (got {type(value).__name__} {value!r}); {remedy}")
    if value < at_least:
        raise fail(f"{name} must be at least {at_least}", repr(value), remedy)
    return int(value)


def whole(name: str, value: Any, remedy: str, *, at_least: int) -> int:
    """As :func:`integer`, but a float without a fractional part will do."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, float):
        raise fail(f"{name} must be a whole number", repr(value), remedy)
    return integer(name, value, remedy, at_least=at_least)


def real_array(name: str, value: Any, remedy: str) -> np.ndarray:
    """``value`` as a float64 array, finite or not; a ``TypeError`` if not real (NumPy would drop imaginary parts)."""
    try:
        if np.iscomplexobj(value):
            raise TypeError("complex")
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of real numbers (got {type(value).__name__}); {remedy}") from error


def array(name: str, value: Any, remedy: str, *, shape: Sequence[int] | None = None) -> np.ndarray:
    """``value`` as a new contiguous float64 array of finite entries, of the given shape if one is stated."""
    result = np.array(real_array(name, value, remedy), order="C")
    if shape is not None and result.shape != tuple(shape):
        raise fail(f"{name} must have shape {tuple(shape)}", f"shape {result.shape}", remedy)
    finite = np.isfinite(result)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise fail(f"{name} must be finite", f"{result[index]} at index {index}", remedy)
    return result
