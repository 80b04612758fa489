"""The continuity equation of a density, its tangent, and its exact discrete adjoint: the transport equation.

On the space T of trigonometric polynomials with modes ``|k_a| < n/3``, with P the orthogonal projection of grid
functions onto T, the rate for a velocity v is ``A_v u = −div P(v u)``. Its adjoint in L² is ``A_v* I = P(v·∇I)``, the
transport equation with reversed depth; Runge–Kutta steps in ``A_v`` are transposed stage by stage.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from .. import parallel
from ..tableaus import Tableau
from .grid import Torus
from .modes import Modes

POINTS_IN_CACHE = 2**15  # grid points a pass handles at once: a few such arrays fit the second-level cache


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
    Cost of a stage: ``1 + d`` pruned real transforms forward, ``2 + d`` in the adjoint. Scratch: ``d + 1`` grids, some
    blocks, s + 1 compact densities for s stages; and r + s of these where a layer's stages must be computed again.
    An instance serves one caller at a time.
    """

    def __init__(self, torus: Torus, tableau: Tableau, substeps: int, step: float) -> None:
        self.torus, self.tableau, self.substeps, self.step = torus, tableau, substeps, step
        self.modes = Modes(torus, 2)
        self._a = [np.array(row, dtype=float) for row in tableau.a]
        self._b = np.array(tableau.b)
        self._behind = [np.array([row[i] for row in tableau.a[i + 1 :]], dtype=float) for i in range(self._b.size)]
        self._rates = np.empty((self._b.size, *self.modes.shape), dtype=np.complex128)
        self._stage = np.empty(self.modes.shape, dtype=np.complex128)
        self._density = np.empty(torus.shape)

    @cached_property
    def blocks(self) -> list[list[tuple[slice, np.ndarray]]]:
        """For each thread's slab of the first axis, its blocks of rows with a field on each, one scratch for a slab."""
        n, d, slabs = self.torus.n, self.torus.dim, self.modes.spectra[0].slabs
        rows = n if d == 1 else max(1, min(slabs[-1].stop - slabs[-1].start, POINTS_IN_CACHE * n // self.torus.size))
        result = []
        for slab in slabs:
            scratch, own = np.empty(max(2, d) * rows * self.torus.size // n), []
            for low in range(slab.start, slab.stop, rows):
                shape = (max(2, d), min(rows, slab.stop - low), *self.torus.shape[1:])
                own.append((slice(low, low + shape[1]), scratch[: math.prod(shape)].reshape(shape)))
            result.append(own)
        return result

    @staticmethod
    def speed(velocity: np.ndarray) -> float:
        """``max_x Σ_a|v_a|``; NaN if a value is not finite."""
        from .._kernels.spectral import greatest_sum

        return greatest_sum(velocity.reshape(len(velocity), -1))

    def greatest_step(self, speed: float) -> float:
        """The largest stable sub-step: ``h·max_x Σ_a|v_a|·2πk_max ≤`` the tableau's imaginary bound."""
        rate = speed * 2 * np.pi * (self.modes.kept - 1)
        return self.tableau.imaginary_bound / rate if rate > 0 else math.inf

    # ---- rates -----------------------------------------------------------------------------------------------

    def rate(self, u: np.ndarray, velocity: np.ndarray, out: np.ndarray, whole: np.ndarray | None = None) -> None:
        """``−div P(v u)`` into ``out``; u on the grid into ``whole`` if given."""
        from .._kernels.spectral import multiply

        spectra = self.modes.spectra
        spectra[0].scatter(u)

        def one(blocks: list[tuple[slice, np.ndarray]]) -> None:
            for block, (density, product, *_) in blocks:
                density = density if whole is None else whole[block]
                spectra[0].inverse_slab(block, density)
                for spectrum, component in zip(spectra, velocity):
                    multiply(component[block].reshape(-1), density.reshape(-1), product.reshape(-1))
                    spectrum.forward_slab(product, block)

        parallel.run(one, self.blocks)
        self.modes.divergence(-1.0 / self.torus.size, out)

    def rate_of_both(
        self, u: np.ndarray, du: np.ndarray, velocity: np.ndarray, dv: np.ndarray, rate: np.ndarray, out: np.ndarray
    ) -> None:
        """``−div P(v u)`` into ``rate`` and ``−div P(v δu + δv u)`` into ``out``."""
        from .._kernels.spectral import multiply_add

        self.rate(u, velocity, rate, self._density)
        change = self.modes.inverse(du)
        product = np.empty_like(change)
        for spectrum, component, moved in zip(self.modes.spectra, velocity, dv):
            multiply_add(*(f.reshape(-1) for f in (component, change, moved, self._density, product)))
            for slab in spectrum.slabs:
                spectrum.forward_slab(product[slab], slab)
        self.modes.divergence(-1.0 / self.torus.size, out)

    def transposed_rate(
        self, potential: np.ndarray, velocity: np.ndarray, u: np.ndarray, gradient: np.ndarray, out: np.ndarray
    ) -> None:
        """``P(v·∇I)`` into ``out``; ``u∇I`` is added to ``gradient`` (d, n, …, n)."""
        from .._kernels.spectral import transport_stage

        spectra, dim, row = self.modes.spectra, self.torus.dim, self.torus.size // self.torus.n
        flat = self.modes.inverse(u, self._density).reshape(-1), velocity.reshape(dim, -1), gradient.reshape(dim, -1)
        for axis, spectrum in enumerate(spectra):
            spectrum.scatter(potential, axis)

        def one(blocks: list[tuple[slice, np.ndarray]]) -> None:
            for block, fields in blocks:
                slopes = fields[:dim]
                for spectrum, slope in zip(spectra, slopes):
                    spectrum.inverse_slab(block, slope)
                transport_stage(*flat, block.start * row, slopes.reshape(dim, -1))
                spectra[0].forward_slab(slopes[0], block)

        parallel.run(one, self.blocks)
        spectra[0].gather(self.modes.unit, out)

    # ---- layers ----------------------------------------------------------------------------------------------

    def record(self, room: np.ndarray) -> np.ndarray:
        """What :meth:`adjoint` reads of a layer, as a view of an array (d, n, …, n) that is free until then.

        All r·s stages where they fit, (r, s, compact); else the density before the layer alone, (1, 1, compact).
        """
        whole = (self.substeps, self._b.size)
        size = math.prod(self.modes.shape)
        parts = whole if 2 * size * math.prod(whole) <= room.size else (1, 1)
        return room.reshape(-1)[: 2 * size * math.prod(parts)].view(np.complex128).reshape(*parts, *self.modes.shape)

    def forward(self, u: np.ndarray, velocity: np.ndarray, record: np.ndarray | None = None) -> np.ndarray:
        """The density after one layer, new coefficients; what the adjoint needs goes to ``record``."""
        whole = record is not None and self._whole(record)
        if record is not None and not whole:
            record[0, 0] = u
        for number in range(self.substeps):
            u = self._step(u, velocity, record[number] if whole else None)  # type: ignore[index]
        return u

    def tangent(
        self, u: np.ndarray, du: np.ndarray, velocity: np.ndarray, dv: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Density and its variation after one layer: the derivative of :meth:`forward` in the direction (δu, δv)."""
        h, rates = self.step, self._rates
        changes, other = np.empty_like(rates), np.empty_like(self._stage)
        for _ in range(self.substeps):
            for i, row in enumerate(self._a):
                self._combine(u, h, row, rates, self._stage)
                self._combine(du, h, row, changes, other)
                self.rate_of_both(self._stage, other, velocity, dv, rates[i], changes[i])
            u = self._combine(u, h, self._b, rates, np.empty_like(u))
            du = self._combine(du, h, self._b, changes, np.empty_like(du))
        return u, du

    def adjoint(
        self, record: np.ndarray, potential: np.ndarray, velocity: np.ndarray, gradient: np.ndarray
    ) -> np.ndarray:
        """The first variation before one layer from that behind it.

        Parameters
        ----------
        record : (r, s, compact) or (1, 1, compact) — what :meth:`forward` left
        potential : compact — I behind the layer: ``dℓ = ⟨I, du⟩`` there
        velocity : (d, n, …, n)
        gradient : (d, n, …, n) — ``dℓ/dv`` in L² of the torus is added to it; does not share memory with ``record``

        Returns
        -------
        compact — I before the layer
        """
        if self._whole(record):
            for stages in record[::-1]:
                potential = self._adjoint_step(stages, potential, velocity, gradient)
            return potential
        starts, stages = [record[0, 0]], np.empty_like(self._rates)
        for _ in range(self.substeps - 1):
            starts.append(self._step(starts[-1], velocity, None))
        for start in reversed(starts):
            self._step(start, velocity, stages, only_stages=True)
            potential = self._adjoint_step(stages, potential, velocity, gradient)
        return potential

    def _whole(self, record: np.ndarray) -> bool:
        return record.shape[:2] == (self.substeps, self._b.size)

    def _step(
        self, u: np.ndarray, velocity: np.ndarray, stages: np.ndarray | None, *, only_stages: bool = False
    ) -> np.ndarray:
        """``u + h Σ_i b_i k_i`` with ``k_i = A u_i``, ``u_i = u + h Σ_j a_ij k_j``; the u_i go to ``stages``."""
        for i, row in enumerate(self._a):
            stage = self._combine(u, self.step, row, self._rates, self._stage if stages is None else stages[i])
            if only_stages and i == len(self._a) - 1:
                return stage
            self.rate(stage, velocity, self._rates[i])
        return self._combine(u, self.step, self._b, self._rates, np.empty_like(u))

    def _adjoint_step(
        self, stages: np.ndarray, potential: np.ndarray, velocity: np.ndarray, gradient: np.ndarray
    ) -> np.ndarray:
        """The transpose of ``u + h Σ_i b_i k_i``: ``I_i = h(b_i I + Σ_{j>i} a_ji A*I_j)`` from the last stage to the
        first, then ``I + Σ_i A*I_i``; and ``u_i ∇I_i`` is what stage i contributes to the derivative in v."""
        back, stage = self._rates, self._stage
        for i in reversed(range(len(back))):
            np.multiply(potential.view(float), self.step * self._b[i], out=stage.view(float))
            self._combine(stage, self.step, self._behind[i], back[i + 1 :], stage)
            self.transposed_rate(stage, velocity, stages[i], gradient, back[i])
        return self._combine(potential, 1.0, np.ones(len(back)), back, np.empty_like(potential))

    def _combine(self, u: np.ndarray, h: float, weights: np.ndarray, rates: np.ndarray, out: np.ndarray) -> np.ndarray:
        """``out = u + h Σ_j weights[j] rates[j]``; out may be u."""
        from .._kernels.spectral import combine

        combine(u.reshape(-1), h, weights, rates.reshape(-1, u.size), out.reshape(-1))
        return out
