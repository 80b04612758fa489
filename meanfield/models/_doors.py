"""Checks that the models share."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _check
from .activations import Activation
from .losses import Loss

FUSED_DIM = 256  # largest d of the fused kernels, whose strips of samples then outgrow a second-level cache


def network(dim: Any, activation: Any) -> None:
    """Refuse a dimension below 1 and an activation that is none."""
    _check.integer("dim", dim, "pass the dimension of the states or data", at_least=1)
    if not isinstance(activation, Activation):
        raise TypeError(
            f"activation must be an Activation (got {type(activation).__name__}); pass mf.relu, mf.tanh or your own"
        )


def fused(dim: int, activation: Activation) -> bool:
    """Whether the fused kernels compute this network."""
    return activation.code is not None and dim <= FUSED_DIM


def differentiable(activation: Activation) -> None:
    """Refuse a gradient through an activation that has no derivative."""
    if not activation.has_derivative:
        raise _check.fail("a gradient needs an activation with a derivative", repr(activation), "pass derivative=")


def rows(name: str, value: Any, width: int, packing: str = "") -> np.ndarray:
    """``value`` as a new array (k, width), k ≥ 1, of finite entries."""
    result = _check.array(name, value, f"pass finite rows of {width}")
    if result.ndim != 2 or result.shape[1] != width or len(result) == 0:
        raise _check.fail(
            f"{name} must have shape (k, {width}){packing}", f"shape {result.shape}", "stack them as rows"
        )
    return result


def labels(y: Any, shape: tuple[int, ...], loss: Any) -> np.ndarray:
    """Labels as a new array of this shape that the loss is defined for."""
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a Loss (got {type(loss).__name__}); pass mf.SquareLoss() or another")
    result = _check.array("labels", y, "pass one finite label for every output", shape=shape)
    loss.check_labels(result)
    return result
