"""The continuity equation of a density, its tangent, and its exact discrete adjoint: the transport equation.

On the space T of trigonometric polynomials with modes ``|k_a| < n/3``, with P the orthogonal projection of grid
functions onto T, the rate for a velocity v is ``A_v u = −div P(v u)``. Its adjoint in L² is ``A_v* I = P(v·∇I)``, the
transport equation with reversed depth; Runge–Kutta steps in ``A_v`` are transposed stage by stage.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from .. import parallel
from ..tableaus import Tableau
from .grid import Torus
from .modes import Modes

ROWS_IN_CACHE = 2**16  # grid points a pass handles at once: a few such arrays fit the second-level cache


class Continuity:
    """Steps of ``∂_s μ + div(μ v) = 0``, of its tangent and of its adjoint, for velocities constant over a layer.

    A density is held as compact coefficients (the layout of :class:`Modes`), a velocity as grid values (d, n, …, n).

    Parameters
    ----------
    torus : Torus
    tableau : Tableau — the Runge–Kutta method of a sub-step
    substeps : int — r, sub-steps of a layer
    step : float — h, the length of a sub-step

    Notes
    -----
    Cost of a stage: ``1 + d`` pruned real transforms in each direction of the flow, and ``1 + d`` more where a stage is
    recomputed for the adjoint. Scratch: ``2d + s + 3`` densities for s stages. An instance serves one caller at a time.
    """

    def __init__(self, torus: Torus, tableau: Tableau, substeps: int, step: float) -> None:
        self.torus, self.tableau, self.substeps, self.step = torus, tableau, substeps, step
        self.modes = Modes(torus, 2)
        self._grid = np.empty((torus.dim, *torus.shape))
        stages = len(tableau.b)
        self._rates = np.empty((stages, *self.modes.shape), dtype=np.complex128)
        self._stage = np.empty(self.modes.shape, dtype=np.complex128)
        self._densities = np.empty((max(stages, 2), *torus.shape))

    @cached_property
    def blocks(self) -> list[list[slice]]:
        """For each thread's slab of the first axis, the blocks of rows that stay in cache."""
        n, rest = self.torus.n, self.torus.size // self.torus.n
        rows = n if self.torus.dim == 1 else max(1, ROWS_IN_CACHE // rest)
        return [
            [slice(low, min(low + rows, slab.stop)) for low in range(slab.start, slab.stop, rows)]
            for slab in self.modes.spectra[0].slabs
        ]

    def greatest_step(self, velocity: np.ndarray) -> float:
        """The largest stable sub-step: ``h·max_x Σ_a|v_a|·2πk_max ≤`` the tableau's imaginary bound."""
        speed = float(np.abs(velocity).sum(axis=0).max()) * 2 * np.pi * (self.modes.kept - 1)
        return self.tableau.imaginary_bound / speed if speed > 0 else math.inf

    # ---- rates -----------------------------------------------------------------------------------------------

    def rate(self, u: np.ndarray, velocity: np.ndarray, out: np.ndarray, density: np.ndarray | None = None) -> None:
        """``−div P(v u)`` into ``out``; the grid values of u into ``density`` if given."""
        from .._kernels.spectral import multiply

        spectra, whole = self.modes.spectra, self._grid[0] if density is None else density
        product = self._grid[-1] if self.torus.dim > 1 else self._densities[-1]
        spectra[0].scatter(u)

        def one(blocks: list[slice]) -> None:
            for block in blocks:
                spectra[0].inverse_slab(block, whole[block])
                for spectrum, component in zip(spectra, velocity):
                    multiply(component[block].reshape(-1), whole[block].reshape(-1), product[block].reshape(-1))
                    spectrum.forward_slab(product[block], block)

        parallel.run(one, self.blocks)
        self._minus_divergence(out)

    def rate_of_both(
        self, u: np.ndarray, du: np.ndarray, velocity: np.ndarray, dv: np.ndarray, rate: np.ndarray, out: np.ndarray
    ) -> None:
        """``−div P(v u)`` into ``rate`` and ``−div P(v δu + δv u)`` into ``out``."""
        from .._kernels.spectral import multiply_add

        density = self._densities[0]
        self.rate(u, velocity, rate, density)
        change, product = self.modes.inverse(du, self._densities[1]), self._grid[0]
        for spectrum, component, moved in zip(self.modes.spectra, velocity, dv):
            pairs = (component, change, moved, density)
            multiply_add(*(np.ascontiguousarray(f).reshape(-1) for f in pairs), product.reshape(-1))
            for slab in spectrum.slabs:
                spectrum.forward_slab(product[slab], slab)
        self._minus_divergence(out)

    def transposed_rate(
        self, potential: np.ndarray, velocity: np.ndarray, density: np.ndarray, gradient: np.ndarray, out: np.ndarray
    ) -> None:
        """``P(v·∇I)`` into ``out``; ``density ∇I`` is added to ``gradient`` (d, n, …, n)."""
        from .._kernels.spectral import transport_stage

        spectra, slopes = self.modes.spectra, self._grid
        for axis, spectrum in enumerate(spectra):
            spectrum.scatter(potential, axis)

        def one(blocks: list[slice]) -> None:
            for block in blocks:
                total = np.zeros(slopes[0][block].size)
                for spectrum, component, slope, part in zip(spectra, velocity, slopes, gradient):
                    spectrum.inverse_slab(block, slope[block])
                    transport_stage(*(f[block].reshape(-1) for f in (density, component, slope, part)), total)
                spectra[0].forward_slab(total.reshape(slopes[0][block].shape), block)

        parallel.run(one, self.blocks)
        spectra[0].gather(self.modes.unit, out)

    def _minus_divergence(self, out: np.ndarray) -> None:
        out[...] = 0.0
        for axis, spectrum in enumerate(self.modes.spectra):
            spectrum.gather_slope(axis, -1.0 / self.torus.size, out)

    # ---- layers ----------------------------------------------------------------------------------------------

    def forward(self, u: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """The density after one layer, new coefficients."""
        for _ in range(self.substeps):
            u = self._step(u, velocity)
        return u

    def tangent(
        self, u: np.ndarray, du: np.ndarray, velocity: np.ndarray, dv: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Density and its variation after one layer: the derivative of :meth:`forward` in the direction (δu, δv)."""
        h, rates = self.step, self._rates
        changes, other = np.empty_like(rates), np.empty_like(self._stage)
        for _ in range(self.substeps):
            for i, row in enumerate(self.tableau.a):
                self._combine(u, h, row, rates, self._stage)
                self._combine(du, h, row, changes, other)
                self.rate_of_both(self._stage, other, velocity, dv, rates[i], changes[i])
            u = self._combine(u, h, self.tableau.b, rates, np.empty_like(u))
            du = self._combine(du, h, self.tableau.b, changes, np.empty_like(du))
        return u, du

    def adjoint(self, u: np.ndarray, potential: np.ndarray, velocity: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """The first variation before one layer from that behind it.

        Parameters
        ----------
        u : compact — the density before the layer
        potential : compact — I behind the layer: ``dℓ = ⟨I, du⟩`` there
        velocity : (d, n, …, n)
        gradient : (d, n, …, n) — ``dℓ/dv`` in L² of the torus is added to it

        Returns
        -------
        compact — I before the layer
        """
        starts = [u]
        for _ in range(self.substeps - 1):
            starts.append(self._step(starts[-1], velocity))
        for start in reversed(starts):
            potential = self._adjoint_step(start, potential, velocity, gradient)
        return potential

    def _step(self, u: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        for i, row in enumerate(self.tableau.a):
            self.rate(self._combine(u, self.step, row, self._rates, self._stage), velocity, self._rates[i])
        return self._combine(u, self.step, self.tableau.b, self._rates, np.empty_like(u))

    def _adjoint_step(
        self, u: np.ndarray, potential: np.ndarray, velocity: np.ndarray, gradient: np.ndarray
    ) -> np.ndarray:
        """With stages ``u_i = u + h Σ_j a_ij k_j``, ``k_i = A u_i``: ``I_i = h(b_i I + Σ_{j>i} a_ji A*I_j)`` backwards,
        and ``u_i ∇I_i`` is what stage i contributes to the derivative in v."""
        tableau, h, last = self.tableau, self.step, len(self.tableau.b) - 1
        for i, row in enumerate(tableau.a):
            stage = self._combine(u, h, row, self._rates, self._stage)
            if i < last:
                self.rate(stage, velocity, self._rates[i], self._densities[i])
            else:
                self.modes.inverse(stage, self._densities[i])
        back = self._rates
        for i in range(last, -1, -1):
            weights = [tableau.a[j][i] for j in range(i + 1, last + 1)]
            stage = np.multiply(potential, h * tableau.b[i], out=self._stage)
            self._combine(stage, h, weights, back[i + 1 :], stage)
            self.transposed_rate(stage, velocity, self._densities[i], gradient, back[i])
        return self._combine(potential, 1.0, [1.0] * (last + 1), back, np.empty_like(potential))

    def _combine(
        self, u: np.ndarray, h: float, weights: Sequence[float], rates: np.ndarray, out: np.ndarray
    ) -> np.ndarray:
        """``out = u + h Σ_j weights[j] rates[j]``; out may be u."""
        from .._kernels.spectral import combine

        flat = rates.reshape(len(rates), -1)[: len(weights)] if len(rates) else rates.reshape(0, u.size)
        combine(u.reshape(-1), h, np.array(weights, dtype=float), flat, out.reshape(-1))
        return out
