"""Particles to Fourier modes and back, by the library's non-uniform FFT.

Real strengths and real fields are packed in pairs, one as the real and one as the imaginary part of a complex
transform. Points are cut into chunks whose number depends on N alone, each spread on a grid of its own, and added in
order: the bits do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .. import parallel
from ..torus import Torus
from ..transforms import transforms

POINTS_PER_TASK = 2**17  # below it a second grid costs more in its own FFT than the thread gains


def spread(torus: Torus, x: np.ndarray, b: np.ndarray, tolerance: float) -> np.ndarray:
    """``Σ_j b_j e^{−2πik·x_j}`` of real strengths (N, q), as half spectra (q, n, …, n//2+1).

    ⌈q/2⌉ transforms of type 1. The mode 0 is the plain sum, so that masses are exact.
    """
    shape, points = (2 * _top(torus) + 1,) * torus.dim, x - np.floor(x)
    out = np.zeros((b.shape[1], *torus.squared_wavenumber.shape), dtype=np.complex128)
    for pair in _pairs(range(b.shape[1])):
        strengths = b[:, pair[0]] + (1j * b[:, pair[1]] if len(pair) == 2 else 0.0)

        def one(part: slice, strengths: np.ndarray = strengths) -> np.ndarray:
            return transforms.adjoint(strengths[part], points[part], shape, tolerance)

        modes = sum(parallel.run(one, _tasks(len(x))))
        if len(pair) == 1:
            _to_half(torus, modes, out[pair[0]])
            continue
        mirrored = np.conj(_mirror(modes))  # of a real strength the modes are their own mirror image's conjugate
        _to_half(torus, 0.5 * (modes + mirrored), out[pair[0]])
        _to_half(torus, -0.5j * (modes - mirrored), out[pair[1]])
    out.reshape(len(out), -1)[:, 0] = b.sum(axis=0)
    return out


def values_and_slopes(
    torus: Torus, modes: np.ndarray, x: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """The real fields of half spectra (q, …) at points, (N, q), and their gradients, (N, q, d).

    ⌈q/2⌉ + q⌈d/2⌉ transforms of type 2: a value never shares one with a slope, whose error it would set.
    """
    gradient = np.stack([slopes(torus, half, x, tolerance) for half in modes], axis=1)
    return values(torus, modes, x, tolerance), gradient


def values(torus: Torus, modes: np.ndarray, x: np.ndarray, tolerance: float) -> np.ndarray:
    """The real fields of half spectra (q, …) at points, (N, q): ⌈q/2⌉ transforms of type 2."""
    return _evaluate(_fulls(torus, modes), len(modes), x, tolerance)


def slopes(torus: Torus, modes: np.ndarray, x: np.ndarray, tolerance: float) -> np.ndarray:
    """The gradient of the real field of one half spectrum at points, (N, d): ⌈d/2⌉ transforms of type 2."""
    fields = (part for full in _fulls(torus, modes[None]) for part in _derivatives(torus, full))
    return _evaluate(fields, torus.dim, x, tolerance)


def _evaluate(fields: Iterator[np.ndarray], number: int, x: np.ndarray, tolerance: float) -> np.ndarray:
    """Real fields, given by all their modes, at points: (N, number)."""
    points, out, columns = x - np.floor(x), np.empty((len(x), number)), iter(range(number))
    for pair in _pairs(fields):
        packed = pair[0] + (1j * pair[1] if len(pair) == 2 else 0.0)
        places = [next(columns) for _ in pair]

        def one(part: slice, packed: np.ndarray = packed, places: Sequence[int] = places) -> None:
            found = transforms.evaluate(packed, points[part], tolerance)
            for place, half in zip(places, (found.real, found.imag)):
                out[part, place] = half

        parallel.run(one, _tasks(len(x)))
    return out


def _pairs(items) -> Iterator[tuple]:
    """Items two by two, the last one alone if their number is odd."""
    source = iter(items)
    for first in source:
        second = next(source, None)
        yield (first,) if second is None else (first, second)


def _tasks(number: int) -> list[slice]:
    tasks = max(1, min(parallel.MOST_CHUNKS, number // POINTS_PER_TASK))
    return [slice(number * i // tasks, number * (i + 1) // tasks) for i in range(tasks)]


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


def _fulls(torus: Torus, modes: np.ndarray) -> Iterator[np.ndarray]:
    """All carried modes of real fields, in FFT order on every axis, from their half spectra."""
    top = _top(torus)
    for half in modes:
        low = half[np.ix_(*_rows(torus), np.arange(top + 1))]
        full = np.empty((*low.shape[:-1], 2 * top + 1), dtype=np.complex128)
        full[..., : top + 1] = low
        full[..., top + 1 :] = 0.0
        full[..., top + 1 :] = np.conj(_mirror(full)[..., top + 1 :])
        yield full


def _derivatives(torus: Torus, full: np.ndarray) -> Iterator[np.ndarray]:
    top = _top(torus)
    k = np.r_[0 : top + 1, -top:0]
    for axis in range(torus.dim):
        yield 2j * np.pi * k.reshape((-1,) + (1,) * (torus.dim - 1 - axis)) * full
