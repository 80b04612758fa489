"""Extrema of the first variation of a two-layer network, ``s(w) = Σ_i r_i σ(w·x_i)``, on a sphere and in a box."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..models import Activation

_ENTRIES = 2**20  # of a block of pre-activations
Values = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # rows (k, q) to values (k,) and gradients (k, q)


def first_variation(activation: Activation, inputs: np.ndarray, slopes: np.ndarray) -> Values:
    """``w ↦ s(w) = Σ_i r_i σ(w·x_i)`` and its gradient, in blocks of rows."""

    def values(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, gradient = np.empty(len(w)), np.empty(w.shape)
        size = max(1, _ENTRIES // len(inputs))
        for start in range(0, len(w), size):
            rows = slice(start, start + size)
            z = w[rows] @ inputs.T
            value[rows] = activation(z) @ slopes
            gradient[rows] = (activation.derivative(z) * slopes) @ inputs  # type: ignore[misc]
        return value, gradient

    return values


def greatest_on_sphere(
    s: Values, inputs: np.ndarray, w: np.ndarray, probes: int, starts: int
) -> tuple[np.ndarray, float, bool]:
    """Unit vector of greatest |s|, s there, and whether nothing is greater for certain."""
    dim = w.shape[1]
    if dim <= 2:
        candidates = np.array([[1.0], [-1.0]]) if dim == 1 else candidates_on_circle(s, inputs)
    else:
        drawn = _units(np.random.default_rng(0).standard_normal((probes, dim)))
        first = _best_of_each(-np.abs(s(drawn)[0]), drawn, starts)
        used = _units(w)
        first = np.concatenate([first, _best_of_each(-np.abs(s(used)[0]), used, min(starts, len(used)))])
        candidates = np.concatenate([ascend(s, inputs, start) for start in first])
    heights = s(candidates)[0]
    best = int(np.argmax(np.abs(heights)))
    return candidates[best], float(heights[best]), dim <= 2


def candidates_on_circle(s: Values, inputs: np.ndarray) -> np.ndarray:
    """Directions one of which is the greatest: the normals of the data, and the peaks of the sinusoids between them."""
    angles = np.arctan2(inputs[:, 1], inputs[:, 0])
    kinks = np.sort(np.mod(np.concatenate([angles - np.pi / 2, angles + np.pi / 2]), 2 * np.pi))
    middles = (kinks + np.append(kinks[1:], kinks[0] + 2 * np.pi)) / 2
    slopes = s(np.column_stack([np.cos(middles), np.sin(middles)]))[1]  # s(w) = slope·w up to the next normals
    peaks = np.arctan2(slopes[:, 1], slopes[:, 0])
    tried = np.concatenate([kinks, peaks, peaks + np.pi])
    return np.column_stack([np.cos(tried), np.sin(tried)])


def ascend(s: Values, inputs: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Candidates near a local maximum of |s| on the sphere, (k, q): what L-BFGS-B finds, then the faces around it."""
    sign = np.sign(s(start[None])[0][0])

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        (value,), (gradient,) = s(w[None])
        length = np.linalg.norm(w)
        return -sign * value / length, -sign * (gradient - value / length**2 * w) / length

    w = _units(_minimised(objective, start, None)[None])
    return np.concatenate([w, _on_faces(s, inputs, w[0])])


def _on_faces(s: Values, inputs: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The peaks of s, linear near w, on the faces ``x·w = 0`` of the nearest 1, 2, … data normals, (≤ q, q)."""
    from scipy import linalg

    lengths = np.linalg.norm(inputs, axis=1)
    nearest = np.argsort(np.abs(inputs @ w) / np.where(lengths > 0, lengths, 1.0))[: len(w) - 1]
    basis = linalg.qr(inputs[nearest].T, mode="economic")[0]
    slope = s(w[None])[1][0]
    peaks = slope - np.cumsum(np.vstack([np.zeros(len(w)), (basis * (basis.T @ slope)).T]), axis=0)
    peaks = peaks[np.linalg.norm(peaks, axis=1) > 1e-8 * np.linalg.norm(slope)]
    return _units(np.concatenate([peaks, -peaks]))


def least_in_box(
    s: Values, penalty: float, size: float, w: np.ndarray, probes: int, starts: int
) -> tuple[np.ndarray, float]:
    """Where ``min_a G = ½λ|w|² − s²/2λ`` is least among ``|w_k| ≤ size``, and its value there; never above 0."""
    rng, dim = np.random.default_rng(0), w.shape[1]
    drawn = _units(rng.standard_normal((probes, dim))) * (size * 10.0 ** (-3 * rng.random((probes, 1))))

    def values(rows: np.ndarray) -> np.ndarray:
        return 0.5 * penalty * np.sum(rows**2, axis=1) - s(rows)[0] ** 2 / (2 * penalty)

    def objective(row: np.ndarray) -> tuple[float, np.ndarray]:
        (value,), (gradient,) = s(row[None])
        return 0.5 * penalty * row @ row - value**2 / (2 * penalty), penalty * row - value / penalty * gradient

    first = np.concatenate([
        _best_of_each(values(drawn), drawn, starts), _best_of_each(values(w), w, min(starts, len(w))),
    ])  # fmt: skip
    found = np.array([_minimised(objective, start, [(-size, size)] * dim) for start in first])
    found = np.concatenate([found, first])
    bottoms = values(found)
    best = int(np.argmin(bottoms))
    return found[best], float(bottoms[best])


def _minimised(objective: Callable, start: np.ndarray, bounds: list[tuple[float, float]] | None) -> np.ndarray:
    from scipy import optimize

    options = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 200}
    return optimize.minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options=options).x


def _best_of_each(values: np.ndarray, rows: np.ndarray, number: int) -> np.ndarray:
    """The rows of least value of ``number`` shares of all rows, every ``number``-th in one: apart, unlike the best."""
    return np.array([rows[share::number][np.argmin(values[share::number])] for share in range(number)])


def _units(w: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(w, axis=1, keepdims=True)
    return w / np.where(lengths > 0, lengths, 1.0)
