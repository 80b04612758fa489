"""Flow maps of velocities on the torus: characteristics by non-uniform FFT, Jacobians, composition."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..tableaus import Tableau
from ..transforms import transforms
from .grid import Torus

ACCURACY = 1e-13  # of a trigonometric polynomial off the grid, relative to its largest coefficient


def advect(
    torus: Torus, velocities: Iterable[np.ndarray], x: np.ndarray, *, tableau: Tableau, substeps: int, step: float
) -> np.ndarray:
    """Positions at the end of ``x' = v_s(x)``, v constant in s over each layer.

    Parameters
    ----------
    torus : Torus
    velocities : iterable of (d, n, …, n) — the layers in the order they are passed; read off the grid as trigonometric
        polynomials, no splines
    x : (N, d) float — positions at the beginning, any representatives
    tableau : Tableau
    substeps : int — Runge–Kutta steps a layer
    step : float — length of a sub-step, negative backwards

    Returns
    -------
    (N, d) float — not wrapped

    Notes
    -----
    Cost per stage: one non-uniform FFT for two components, O(n^d log n + N).
    """
    for velocity in velocities:
        if not velocity.any():
            continue
        fields = _packed(torus, velocity)
        for _ in range(substeps):
            stages: list[np.ndarray] = []
            for row in tableau.a:
                at = x + step * sum((a * k for a, k in zip(row, stages)), np.zeros_like(x))
                stages.append(_evaluate(fields, at))
            x = x + step * sum(b * k for b, k in zip(tableau.b, stages))
    return x


def _packed(torus: Torus, velocity: np.ndarray) -> list[np.ndarray]:
    """Spectra of the components, two real ones to a complex one."""
    pairs = [velocity[a] + 1j * velocity[a + 1] for a in range(0, torus.dim - 1, 2)]
    alone = [velocity[-1]] if torus.dim % 2 else []
    return [torus.full_spectrum(f) for f in (*pairs, *alone)]


def _evaluate(fields: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    points, out = np.mod(x, 1.0), np.empty_like(x)
    for number, modes in enumerate(fields):
        values = transforms.plan(points, modes.shape, ACCURACY).evaluate(modes)
        out[:, 2 * number] = values.real
        if 2 * number + 1 < x.shape[1]:
            out[:, 2 * number + 1] = values.imag
    return out


def grid_points(torus: Torus) -> np.ndarray:
    """The grid as a list of points (n^d, d)."""
    return np.moveaxis(torus.points, 0, -1).reshape(-1, torus.dim)


def on_grid(torus: Torus, x: np.ndarray) -> np.ndarray:
    """A list of points (n^d, d) in the order of the grid as a map (d, n, …, n)."""
    return np.ascontiguousarray(np.moveaxis(x.reshape(*torus.shape, torus.dim), -1, 0))


def jacobian_determinant(torus: Torus, phi: np.ndarray) -> np.ndarray:
    """``det DΦ`` of a map on the grid, (d, n, …, n) to (n, …, n); its displacement ``Φ − x`` is periodic."""
    derivative = np.stack([torus.gradient(part) for part in phi - torus.points])
    derivative[np.arange(torus.dim), np.arange(torus.dim)] += 1.0
    return np.linalg.det(np.moveaxis(derivative, (0, 1), (-2, -1)))


def compose(torus: Torus, outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """``Φ∘Ψ`` of two maps on the grid, (d, n, …, n) each: the outer displacement is read at the inner points."""
    points = np.moveaxis(inner, 0, -1).reshape(-1, torus.dim)
    return inner + on_grid(torus, torus.interpolate(outer - torus.points, points).T)
