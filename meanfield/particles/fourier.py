"""Particles to Fourier modes and back, by the library's non-uniform FFT.

Real strengths and real fields are packed in pairs, one as the real and one as the imaginary part of a complex
transform. Points are cut into chunks whose number depends on N and the modes alone, each spread on a grid of its own,
and added in order: the bits do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .. import parallel
from ..torus import Torus
from ..transforms import transforms
from .routes import ENTRY, POINT

POINTS_PER_TASK = 2**17  # below it waking a thread costs more than it gains
GRID_SHARE = 8  # how many times what its grid costs the points of a chunk must cost


class Points:
    """Points of a torus in chunks, each sorted once by the library for all transforms to come.

    Parameters
    ----------
    torus : Torus
    x : (N, d) float — any representatives
    tolerance : float — of each transform
    """

    def __init__(self, torus: Torus, x: np.ndarray, tolerance: float) -> None:
        self.torus, self.number = torus, len(x)
        tasks = _tasks(torus, self.number)
        self.parts = [slice(self.number * i // tasks, self.number * (i + 1) // tasks) for i in range(tasks)]
        shape = (2 * _top(torus) + 1,) * torus.dim

        def sort(part: slice) -> Any:
            return transforms.plan(x[part] - np.floor(x[part]), shape, tolerance)

        self.plans = parallel.run(sort, self.parts)

    def adjoint(self, strengths: np.ndarray) -> np.ndarray:
        """Modes of complex strengths (N,), added in the order of the chunks."""
        return sum(parallel.run(lambda i: self.plans[i].adjoint(strengths[self.parts[i]]), range(len(self.parts))))

    def evaluate(self, modes: np.ndarray, places: list[np.ndarray]) -> None:
        """Write the real part of a complex field into the first place (N,), the imaginary one into the second."""

        def one(i: int) -> None:
            found = self.plans[i].evaluate(modes)
            for place, half in zip(places, (found.real, found.imag)):
                place[self.parts[i]] = half

        parallel.run(one, range(len(self.parts)))


def spread(at: Points, b: np.ndarray) -> np.ndarray:
    """``Σ_j b_j e^{−2πik·x_j}`` of real strengths (N, q), as half spectra (q, n, …, n//2+1).

    ⌈q/2⌉ transforms of type 1. The mode 0 is the plain sum, so that masses are exact.
    """
    torus = at.torus
    out = np.zeros((b.shape[1], *torus.squared_wavenumber.shape), dtype=np.complex128)
    for pair in _pairs(range(b.shape[1])):
        modes = at.adjoint(b[:, pair[0]] + (1j * b[:, pair[1]] if len(pair) == 2 else 0.0))
        if len(pair) == 1:
            _to_half(torus, modes, out[pair[0]])
            continue
        mirrored = np.conj(_mirror(modes))  # of a real strength the modes are their own mirror image's conjugate
        _to_half(torus, 0.5 * (modes + mirrored), out[pair[0]])
        _to_half(torus, -0.5j * (modes - mirrored), out[pair[1]])
    out.reshape(len(out), -1)[:, 0] = b.sum(axis=0)
    return out


def values_and_slopes(at: Points, modes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The real fields of half spectra (q, …) at points, (N, q), and their gradients, (N, q, d).

    ⌈q/2⌉ + q⌈d/2⌉ transforms of type 2: a value never shares one with a slope, whose error it would set.
    """
    gradient = np.empty((at.number, len(modes), at.torus.dim))
    for c, half in enumerate(modes):
        _evaluate(at, _derivatives(at.torus, half), gradient[:, c])
    return values(at, modes), gradient


def values(at: Points, modes: np.ndarray) -> np.ndarray:
    """The real fields of half spectra (q, …) at points, (N, q): ⌈q/2⌉ transforms of type 2."""
    return _evaluate(at, (_full(at.torus, half) for half in modes), np.empty((at.number, len(modes))))


def slopes(at: Points, modes: np.ndarray) -> np.ndarray:
    """The gradient of the real field of one half spectrum at points, (N, d): ⌈d/2⌉ transforms of type 2."""
    return _evaluate(at, _derivatives(at.torus, modes), np.empty((at.number, at.torus.dim)))


def _evaluate(at: Points, fields: Iterable[np.ndarray], out: np.ndarray) -> np.ndarray:
    """Real fields, given by all their modes, at points: the columns of ``out`` (N, number)."""
    columns = iter(out.T)
    for pair in _pairs(fields):
        at.evaluate(pair[0] + (1j * pair[1] if len(pair) == 2 else 0.0), [next(columns) for _ in pair])
    return out


def _pairs(items) -> Iterator[tuple]:
    """Items two by two, the last one alone if their number is odd."""
    source = iter(items)
    for first in source:
        second = next(source, None)
        yield (first,) if second is None else (first, second)


def _tasks(torus: Torus, number: int) -> int:
    """Chunks, a power of two: each has so many points that its own grid costs a little beside them."""
    grid, point = ENTRY * 2**torus.dim * torus.size, POINT[torus.dim - 1]
    most = min(parallel.MOST_CHUNKS, number // POINTS_PER_TASK, int(point * number / (GRID_SHARE * grid)))
    return 1 << max(0, most.bit_length() - 1)


def _top(torus: Torus) -> int:
    """The modes ``|k_a| ≤ (n−1)//2`` are carried."""
    return (torus.n - 1) // 2


def _mirror(modes: np.ndarray) -> np.ndarray:
    """``c(−k)`` of modes in FFT order, an odd number on every axis."""
    return np.roll(np.flip(modes), 1, tuple(range(modes.ndim)))


def _rows(torus: Torus) -> list[np.ndarray]:
    top = _top(torus)
    return [np.r_[0 : top + 1, torus.n - top : torus.n]] * (torus.dim - 1)


def _to_half(torus: Torus, full: np.ndarray, out: np.ndarray) -> None:
    """The half spectrum of modes in FFT order on every axis; what is not carried stays zero."""
    top = _top(torus)
    out[np.ix_(*_rows(torus), np.arange(top + 1))] = full[..., : top + 1]


def _full(torus: Torus, half: np.ndarray) -> np.ndarray:
    """All carried modes of a real field, in FFT order on every axis, from its half spectrum."""
    top = _top(torus)
    low = half[np.ix_(*_rows(torus), np.arange(top + 1))]
    full = np.empty((*low.shape[:-1], 2 * top + 1), dtype=np.complex128)
    full[..., : top + 1] = low
    full[..., top + 1 :] = 0.0
    full[..., top + 1 :] = np.conj(_mirror(full)[..., top + 1 :])
    return full


def _derivatives(torus: Torus, half: np.ndarray) -> Iterator[np.ndarray]:
    """All carried modes of the gradient's components."""
    top, full = _top(torus), _full(torus, half)
    k = np.r_[0 : top + 1, -top:0]
    for axis in range(torus.dim):
        yield 2j * np.pi * k.reshape((-1,) + (1,) * (torus.dim - 1 - axis)) * full
