"""Geodesics of landmarks: the Hamiltonian system of points carried by the shortest flow, by the implicit midpoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _check, parallel
from .._check import ConvergenceError
from ..measures import Control, control_from_solver
from ..models import DensityNODE
from ..particles import to_modes
from ..particles.convolution import ACCURATE
from ..particles.direct import modes as mode_sums
from ..torus import Torus

ITERATIONS = 100  # a step whose iteration contracts by less than 0.7 is too long to mean anything
ROUNDING = 16 * np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class LandmarkGeodesic:
    """What :func:`shoot_landmarks` found.

    Attributes
    ----------
    positions : (L+1, N, d) float — q at s = 0, 1/L, …, 1, not wrapped
    momenta : (L+1, N, d) float — p
    energies : (L+1,) float — H, half the squared speed ``|v_s|²_V``
    control : Control — v of each layer; its flow carries the landmarks and the space around them
    """

    positions: np.ndarray
    momenta: np.ndarray
    energies: np.ndarray
    control: Control

    @property
    def length(self) -> float:
        """``∫|v_s|_V ds = (2H)^{1/2}``."""
        return float(np.mean(np.sqrt(2 * self.energies)))

    def __repr__(self) -> str:
        depth, number, _ = self.positions.shape
        return f"LandmarkGeodesic(landmarks={number}, depth={depth - 1}, length={self.length:.6g})"


def shoot_landmarks(node: DensityNODE, positions: np.ndarray, momenta: np.ndarray) -> LandmarkGeodesic:
    """The geodesic of N landmarks q from their positions and momenta p at s = 0.

        H = ½ Σ_ij p_i·p_j K(q_i − q_j),   q_i' = ∂H/∂p_i = v(q_i),   p_i' = −∂H/∂q_i = −Dv(q_i)ᵀ p_i,
        v_s = K * Σ_j p_j(s) δ_{q_j(s)},   |v_s|²_V = 2H.

    One step of the implicit midpoint rule a layer: symplectic and reversible. The total momentum is kept to rounding,
    H up to a bounded error, without drift.

    Parameters
    ----------
    node : DensityNODE — its torus, kernel and depth; K is cut to the modes ``|k_a| ≤ (n−1)//2`` of the grid
    positions : (N, d) float — any representatives
    momenta : (N, d) float

    Returns
    -------
    LandmarkGeodesic

    Raises
    ------
    ValueError, TypeError
        For shapes that differ from (N, d), values that are not finite, a kernel of order ``≤ d/2 + 1``.
    ConvergenceError
        If a step is too long for the fixed-point iteration of the midpoint, which runs to rounding.

    Notes
    -----
    Order 2 in 1/L. v is constant on a layer, taken at the midpoint of the step, so that ``node.flow_map`` of the
    control, another integrator of the same field, ends O(L^{−2}) from the landmarks. Cost: some ten kernel sums a
    layer, O(N n^d) each.

    References
    ----------
    Joshi & Miller 2000; Micheli, Michor & Mumford 2012; Hairer, Lubich & Wanner 2006, Geometric Numerical Integration,
    VI.4 (implicit midpoint) and IX.8 (no drift).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> node = mf.DensityNODE(mf.Torus(64), mf.SobolevKernel(order=3, length=0.1), depth=16)
    >>> found = mf.geodesics.shoot_landmarks(node, [[0.3], [0.7]], [[0.05], [-0.05]])
    >>> print(found, found.positions[-1].ravel().round(4), found.momenta[-1].ravel().round(4))
    LandmarkGeodesic(landmarks=2, depth=16, length=0.0848293) [0.3675 0.6325] [ 0.0584 -0.0584]
    """
    if not isinstance(node, DensityNODE):
        raise TypeError(f"node must be a DensityNODE (got {type(node).__name__}); pass mf.DensityNODE(torus, kernel)")
    torus, kernel = node.torus, node.kernel
    kernel.require_flow_map(torus.dim)
    q = _check.array("positions", positions, f"pass (N, {torus.dim}) points")
    p = _check.array("momenta", momenta, "pass one momentum a landmark")
    if q.ndim != 2 or q.shape[1] != torus.dim or not len(q):
        raise _check.fail(f"positions must have shape (N, {torus.dim})", f"shape {q.shape}", "stack landmarks as rows")
    if p.shape != q.shape:
        raise _check.fail(f"momenta must have shape {q.shape}", f"shape {p.shape}", "pass one momentum a landmark")
    path = np.empty((node.depth + 1, 2, *q.shape))
    path[0] = q, p
    energies, velocities = np.empty(node.depth + 1), np.empty(node.control_shape)
    multiplier = kernel.multiplier(torus)
    with parallel.one_thread_libraries():
        for layer in range(node.depth):
            middle = _midpoint(torus, multiplier, path[layer], 0.5 / node.depth, layer)
            path[layer + 1] = 2 * middle - path[layer]
            for values, modes in zip(velocities[layer], to_modes(torus, middle[0], middle[1], ACCURATE)):
                values[...] = torus.values(multiplier * modes)
        for at, (q, p) in enumerate(path):
            energies[at] = 0.5 * np.sum(p * mode_sums(torus, multiplier, q, p)[0])
    return LandmarkGeodesic(path[:, 0], path[:, 1], energies, control_from_solver(velocities, torus))


def _rates(torus: Torus, multiplier: np.ndarray, state: np.ndarray) -> np.ndarray:
    """``(q', p')`` at ``(q, p)``, (2, N, d)."""
    q, p = state
    value, gradient = mode_sums(torus, multiplier, q, p)  # not by transforms: momentum is conserved to rounding
    return np.stack([value, -np.einsum("nc,nca->na", p, gradient)])


def _midpoint(torus: Torus, multiplier: np.ndarray, start: np.ndarray, half: float, layer: int) -> np.ndarray:
    """The z with ``z = start + h/2·f(z)``, by fixed-point iteration to rounding: the step ends at ``2z − start``."""
    middle = start
    for _ in range(ITERATIONS):
        with np.errstate(over="ignore", invalid="ignore"):
            after = start + half * _rates(torus, multiplier, middle)
            change = np.abs(after - middle).max(axis=(1, 2))
        scale = np.abs(after).max(axis=(1, 2))
        if not np.isfinite(after).all() or scale[1] > 1e3 * np.abs(start[1]).max():
            break
        middle = after
        if (change <= ROUNDING * np.maximum(scale, (1.0, 0.0))).all():
            return middle
    raise ConvergenceError(
        f"the implicit midpoint rule must converge (got a change of {change.max():.2g} in layer {layer}, half a step "
        f"being {half:.3g}); raise the depth, or lower the momenta"
    )
