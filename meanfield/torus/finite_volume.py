"""Finite volumes on the torus: implicit Euler steps that keep sign, mass and energy, one axis at a time.

A density is its cell means. Along each axis the cells form periodic lines, and one step solves on every line

    ρ_i' = ρ_i − (dt/h)(F_{i+1/2} − F_{i−1/2}),    fluxes at the new time.

*Two-point flux*: ``F = −(P(ρ_{i+1}) − P(ρ_i))/h``, second order. *Upwind*: ``F = u⁺ρ^E_i + u⁻ρ^W_{i+1}``,
``u = −(ξ_{i+1} − ξ_i)/h``, ``ξ = f'(ρ) + V``, with ``ρ^{E,W}`` the cell's mean (first order) or a limited linear
reconstruction (second order) whose ratio to the mean is taken at the beginning of the step.

Each of the three is, for every dt: non-negative (an M-matrix), conservative, and energy-decreasing, as
``E(ρ') − E(ρ) ≤ ⟨ξ', ρ' − ρ⟩ = −dt Σ mobility·u² ≤ 0`` by convexity of f. The two-point flux and the first-order
upwind flux are monotone, so they contract in L¹, with a potential too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import parallel
from .grid import Torus


@dataclass(frozen=True, eq=False)
class FiniteVolumes:
    """The scheme for one energy on one torus.

    Parameters
    ----------
    torus : Torus
    coefficients, exponents : (j,) float — terms of the pressure ``P(ρ) = Σ c ρ^m``
    potential : (n, …, n) float or None — V
    order : int — 1 (upwind), or 2 (two-point flux without V, reconstructed upwind with V)

    Notes
    -----
    In d > 1 a step is a product of steps along the axes (Lie splitting), each with the properties above. Cost: d sweeps
    of n^{d−1} tridiagonal Newton solves, O(n^d) each; lines are spread over threads.
    """

    torus: Torus
    coefficients: np.ndarray
    exponents: np.ndarray
    potential: np.ndarray | None
    order: int

    @property
    def two_point(self) -> bool:
        """Whether fluxes are two-point differences of the pressure."""
        return self.order == 2 and self.potential is None

    @cached_property
    def _singular(self) -> bool:
        """Whether ξ has an infinite slope at zero density."""
        return bool((self.exponents < 2).any())

    @cached_property
    def _fixed(self) -> np.ndarray:
        """V, zero where there is none."""
        return np.zeros(self.torus.shape) if self.potential is None else self.potential

    def step(self, values: np.ndarray, dt: float, axes: tuple[int, ...]) -> tuple[np.ndarray, int, bool]:
        """Cell means after ``dt``, the Newton iterations of the slowest line, and whether all lines converged."""
        worst, good = 0, True
        for axis in axes:
            values, iterations, converged = self._sweep(values, dt, axis)
            worst, good = max(worst, iterations), good and converged
        return values, worst, good

    def _sweep(self, values: np.ndarray, dt: float, axis: int) -> tuple[np.ndarray, int, bool]:
        from .._kernels import finite_volume as kernels

        before, fixed = self._lines(values, axis), self._lines(self._fixed, axis)
        after, k = np.empty_like(before), dt * self.torus.n**2

        def one(rows: slice) -> tuple[int, int]:
            if self.two_point:
                return kernels.two_point_lines(before[rows], k, self.coefficients, self.exponents, after[rows])
            east, west = np.ones_like(before[rows]), np.ones_like(before[rows])
            if self.order == 2:
                kernels.reconstruct_lines(before[rows], east, west)
            return kernels.upwind_lines(
                before[rows], k, self.coefficients, self.exponents, fixed[rows], east, west, self._singular, after[rows]
            )

        outcomes = parallel.run(one, parallel.chunks(len(before), before.size * LINE_WORK))
        shape = np.moveaxis(values, axis, -1).shape
        moved = np.ascontiguousarray(np.moveaxis(after.reshape(shape), -1, axis))
        return moved, max(i for i, _ in outcomes), all(status == kernels.CONVERGED for _, status in outcomes)

    def _lines(self, values: np.ndarray, axis: int) -> np.ndarray:
        """The lines along an axis as contiguous rows."""
        return np.ascontiguousarray(np.moveaxis(values, axis, -1)).reshape(-1, self.torus.n)

    def fluxes(self, values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """``h F`` across the upper face of every cell along an axis, and the drop of ξ there (both as lines)."""
        from .._kernels import finite_volume as kernels

        rho = self._lines(values, axis)
        xi, slope = np.empty_like(rho), np.empty_like(rho)
        vacuum = max(kernels.VACUUM * float(values.max()), kernels.TINY) if self._singular else 0.0
        kernels.chemical_potential(
            rho.reshape(-1), self.coefficients, self.exponents, vacuum, xi.reshape(-1), slope.reshape(-1)
        )
        xi += self._lines(self._fixed, axis)
        drop = xi - np.roll(xi, -1, axis=1)
        if self.two_point:
            pressure = sum(c * rho**m for c, m in zip(self.coefficients, self.exponents, strict=True))
            return pressure - np.roll(pressure, -1, axis=1), drop
        east, west = np.ones_like(rho), np.ones_like(rho)
        if self.order == 2:
            kernels.reconstruct_lines(rho, east, west)
        return np.maximum(drop, 0) * east * rho + np.minimum(drop, 0) * np.roll(west * rho, -1, axis=1), drop

    def energy_scale(self, values: np.ndarray) -> float:
        """``∫|f(ρ)| + |V|ρ``, what the rounding of the energy is relative to: E itself may vanish at equilibrium."""
        total = float(np.mean(np.abs(self._fixed) * values))
        for c, m in zip(self.coefficients, self.exponents, strict=True):
            if m == 1:
                total += c * float(np.mean(values * (1.0 + np.abs(np.log(np.maximum(values, 1e-300))))))
            else:
                total += c / abs(m - 1) * float(np.mean(values**m))
        return total

    def speed(self, values: np.ndarray) -> float:
        """L¹ norm of the semi-discrete rate, summed over the axes."""
        total = 0.0
        for axis in range(self.torus.dim):
            flux, _ = self.fluxes(values, axis)
            total += float(np.abs(flux - np.roll(flux, 1, axis=1)).mean())
        return total * self.torus.n**2

    def dissipation(self, values: np.ndarray) -> float:
        """``Σ_faces F (ξ_i − ξ_j)/h``, the scheme's own ``∫ρ|∇δE|²``."""
        pairs = (self.fluxes(values, axis) for axis in range(self.torus.dim))
        return float(sum((flux * drop).mean() for flux, drop in pairs)) * self.torus.n**2


LINE_WORK = 32  # a cell of a Newton line solve costs as much as so many points of a pointwise pass
