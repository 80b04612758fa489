"""Between particles and Fourier modes on the torus, by non-uniform FFT.

Modes live on the half spectrum of ``torus.coefficients``, ``|k_a| ≤ (n−1)//2``; the Nyquist modes of even n are zero.
Points are cut into chunks whose number depends on N alone, each on a grid of its own, and added in order: the bits do
not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np

from .. import parallel
from ..torus import Torus
from ..transforms import transforms

TOLERANCE = 1e-12
POINTS_PER_TASK = 2**17  # below it a second transform costs more in its own FFT than it saves


def modes_of(torus: Torus, x: np.ndarray, b: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """``Σ_j b_j e^{−2πik·x_j}`` for real strengths, on the half spectrum (n, …, n, n//2+1).

    Parameters
    ----------
    torus : Torus
    x : (N, d) float — any representatives
    b : (N,) float
    tolerance : float — relative error in the 2-norm

    Notes
    -----
    Cost: one non-uniform FFT of type 1, O(N + n^d log n).
    """
    odd, points = _odd(torus), np.mod(x, 1.0)

    def one(part: slice) -> np.ndarray:
        return transforms.spread(points[part], b[part].astype(complex), (odd,) * torus.dim, tolerance)

    return _to_half(torus, sum(parallel.run(one, _tasks(len(x)))))  # type: ignore[arg-type]


def values_at(torus: Torus, modes: np.ndarray, x: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """The real field of half-spectrum modes at points, (N,)."""
    return _evaluate([_to_full(torus, modes)], x, tolerance)[:, 0]


def gradient_at(torus: Torus, modes: np.ndarray, x: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """The gradient of the real field of half-spectrum modes at points, (N, d).

    Two components share a complex transform: ⌈d/2⌉ non-uniform FFTs of type 2.
    """
    full = _to_full(torus, modes)
    k = np.fft.ifftshift(np.arange(full.shape[0]) - full.shape[0] // 2)
    slopes = [2j * np.pi * k.reshape((-1,) + (1,) * (torus.dim - 1 - a)) * full for a in range(torus.dim)]
    pairs = [slopes[a] + 1j * slopes[a + 1] if a + 1 < torus.dim else slopes[a] for a in range(0, torus.dim, 2)]
    return _evaluate(pairs, x, tolerance)[:, : torus.dim]


def _evaluate(fields: list[np.ndarray], x: np.ndarray, tolerance: float) -> np.ndarray:
    """Real and imaginary parts of fields at points, (N, 2·fields)."""
    points, out = np.mod(x, 1.0), np.empty((len(x), 2 * len(fields)))

    def one(part: slice) -> None:
        for number, field in enumerate(fields):
            values = transforms.evaluate(field, points[part], tolerance)
            out[part, 2 * number], out[part, 2 * number + 1] = values.real, values.imag

    parallel.run(one, _tasks(len(x)))
    return out


def _tasks(number: int) -> list[slice]:
    tasks = max(1, min(parallel.MOST_CHUNKS, number // POINTS_PER_TASK))
    return [slice(number * i // tasks, number * (i + 1) // tasks) for i in range(tasks)]


def _odd(torus: Torus) -> int:
    """Modes per axis, −h … h with h = (n−1)//2."""
    return 2 * ((torus.n - 1) // 2) + 1


def _to_half(torus: Torus, full: np.ndarray) -> np.ndarray:
    """Half spectrum of modes in FFT order on every axis."""
    half = (torus.n - 1) // 2
    out = np.zeros((*torus.shape[:-1], torus.n // 2 + 1), dtype=complex)
    rows = [np.r_[0 : half + 1, torus.n - half : torus.n]] * (torus.dim - 1)
    out[np.ix_(*rows, np.arange(half + 1))] = full[..., : half + 1]
    return out


def _to_full(torus: Torus, modes: np.ndarray) -> np.ndarray:
    """Modes ``|k_a| ≤ (n−1)//2`` in FFT order on every axis, of a real field's half spectrum."""
    half = (torus.n - 1) // 2
    rows = [np.r_[0 : half + 1, torus.n - half : torus.n]] * (torus.dim - 1)
    low = modes[np.ix_(*rows, np.arange(half + 1))]
    mirrored = np.conj(low[..., 1:])
    for axis in range(torus.dim - 1):
        mirrored = np.roll(np.flip(mirrored, axis), 1, axis)
    return np.concatenate([low, np.flip(mirrored, -1)], axis=-1)
