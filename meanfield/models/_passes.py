"""Activations on blocks of the BLAS route: compiled passes in place where there are any, NumPy functions otherwise."""

from __future__ import annotations

import numpy as np

from .. import _check
from ._chunks import NEURONS, SAMPLES
from .activations import Activation, Function

_SPARE = 2048  # compiled passes work on whole tiles, and may run that far beyond a block


def rooms(*shape: int) -> np.ndarray:
    """Uninitialised room for a block of samples × neurons, for every index of ``shape``."""
    return np.empty((*shape, SAMPLES * NEURONS + _SPARE))


def taken(free: list[np.ndarray], *shape: int) -> np.ndarray:
    """Rooms that are free again, or new ones."""
    try:
        return free.pop()  # another thread may take the last ones between a test and this
    except IndexError:
        return rooms(*shape)


def block(room: np.ndarray, samples: int, neurons: int) -> np.ndarray:
    """The array (samples, neurons) at the start of a room."""
    return room[: samples * neurons].reshape(samples, neurons)


def values(activation: Activation, z: np.ndarray, shape: tuple[int, int], other: np.ndarray) -> np.ndarray:
    """σ of the block in the room ``z``, which is kept; compiled passes put it into the room ``other``."""
    if activation.code is None:
        return _applied(activation.value, block(z, *shape))
    from .._kernels import activations as kernels

    end = _tiles(shape, kernels.TILE)
    other[:end] = z[:end]
    kernels.values(activation.code, other[:end], kernels.ROW)
    return block(other, *shape)


def values_and_slopes(activation: Activation, z: np.ndarray, shape: tuple[int, int], q: np.ndarray) -> np.ndarray:
    """``q ← q σ'(z)`` for the blocks in two rooms, and σ(z); compiled passes put it in place of z."""
    if activation.code is None:
        product = block(q, *shape)
        product *= _applied(activation.derivative, block(z, *shape))  # type: ignore[arg-type]
        return _applied(activation.value, block(z, *shape))
    from .._kernels import activations as kernels

    end = _tiles(shape, kernels.TILE)
    kernels.values_and_slopes(activation.code, z[:end], q[:end], kernels.ROW)
    return block(z, *shape)


def _applied(function: Function, z: np.ndarray) -> np.ndarray:
    """A user's function of z, which it may not change: one value an argument, or one for all of them."""
    z = z.view()
    z.flags.writeable = False
    result = np.asarray(function(z))
    if result.shape not in (z.shape, ()):
        rule = "an activation and its derivative must return one value an argument"
        raise _check.fail(rule, f"shape {result.shape} for {z.shape}", "write them with NumPy functions")
    return np.broadcast_to(result, z.shape)


def _tiles(shape: tuple[int, int], tile: int) -> int:
    """The doubles of a block, rounded up to whole tiles."""
    return -(-shape[0] * shape[1] // tile) * tile
