"""Kept modes: the pruned transform between grid values and the Fourier coefficients a product of degree p resolves.

A product of p band-limited factors is free of aliasing on the modes ``|k_a| < n/(p+1)``. Only these are computed:
columns above the cut are never transformed, and coefficients live in a compact array of shape
``(2K−1, …, 2K−1, K)``, ``K = ⌈n/(p+1)⌉``, index order ``0…K−1, −(K−1)…−1`` (last axis ``0…K−1``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from .. import parallel
from ._half_spectrum import HalfSpectrum
from .grid import Torus


@dataclass(frozen=True)
class Modes:
    """The modes ``|k_a| < n/(degree+1)`` of a torus, and the transforms that touch only them.

    Parameters
    ----------
    torus : Torus
    degree : int — degree p of the product to be resolved (1: all modes below the Nyquist mode)

    Notes
    -----
    Coefficients are ``f̂(k) = n^{−d} Σ_x f(x) e^{−2πi k·x}``. A pair costs ``n^{d−1}`` real lines plus complex lines
    over the kept columns only: 0.55–0.75 of a full pair for p = 3 in d = 2. Work buffers are kept, so an instance
    serves one caller at a time.
    """

    torus: Torus
    degree: int

    @cached_property
    def kept(self) -> int:
        """K: kept wavenumbers are ``|k_a| ≤ K − 1``."""
        return -(-self.torus.n // (self.degree + 1))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of a compact coefficient array."""
        return (2 * self.kept - 1,) * (self.torus.dim - 1) + (self.kept,)

    @cached_property
    def wavenumbers(self) -> tuple[np.ndarray, ...]:
        """``2πk_a`` for each axis a, shaped to broadcast against a compact array."""
        K, d = self.kept, self.torus.dim
        full = np.concatenate([np.arange(K), np.arange(1 - K, 0)])
        axes = [full] * (d - 1) + [np.arange(K)]
        return tuple(
            2 * np.pi * k.astype(float).reshape((1,) * a + (-1,) + (1,) * (d - 1 - a)) for a, k in enumerate(axes)
        )

    @cached_property
    def squared_wavenumber(self) -> np.ndarray:
        """``|2πk|²``, compact shape."""
        return np.ascontiguousarray(np.broadcast_to(sum(k**2 for k in self.wavenumbers), self.shape))

    @cached_property
    def steepest(self) -> np.ndarray:
        """``max_a|2πk_a|``, compact shape."""
        return np.ascontiguousarray(np.broadcast_to(reduce(np.maximum, map(np.abs, self.wavenumbers)), self.shape))

    @cached_property
    def weights(self) -> np.ndarray:
        """Multiplicity of each stored coefficient in a sum over all k, broadcastable: 1 on ``k_d = 0``, else 2."""
        return np.where(np.arange(self.kept) == 0, 1.0, 2.0)

    def squared_norm(self, coefficients: np.ndarray) -> float:
        """``Σ_k |f̂(k)|²``, the mean of f² (Parseval)."""
        from .._kernels.spectral import squared_norm

        return squared_norm(coefficients.reshape(-1, self.kept))

    def lost(self, values: np.ndarray, coefficients: np.ndarray) -> float:
        """Share of the L² norm of grid values that their kept coefficients leave out (Parseval)."""
        total = float(np.mean(values**2))
        return math.sqrt(max(0.0, 1 - self.squared_norm(coefficients) / total))

    def scratch(self, number: int) -> np.ndarray:
        """(number, size) complex scratch rows for a stepper's stages, reused; their content is nobody's."""
        if self._stages.shape[0] < number:
            self.__dict__["_stages"] = np.empty((number, math.prod(self.shape)), dtype=np.complex128)
        return self._stages[:number]

    @cached_property
    def _stages(self) -> np.ndarray:
        return np.empty((0, 0), dtype=np.complex128)

    # ---- transforms ------------------------------------------------------------------------------------------

    @cached_property
    def spectra(self) -> list[HalfSpectrum]:
        """Work buffers of half spectra, one a component of a field: an instance serves one caller at a time."""
        return [HalfSpectrum(self.torus, self.kept, work) for work in self._half_spectra]

    @cached_property
    def _half_spectra(self) -> np.ndarray:
        n, d = self.torus.n, self.torus.dim
        return np.zeros((d, *(n,) * (d - 1), n // 2 + 1), dtype=np.complex128)

    @cached_property
    def _values(self) -> np.ndarray:
        return np.empty(self.torus.shape)

    @cached_property
    def unit(self) -> np.ndarray:
        """``n^{−d}`` on every kept mode."""
        return np.full(self.shape, 1.0 / self.torus.size)

    @cached_property
    def diffusion(self) -> np.ndarray:
        """``−|2πk|² n^{−d}``: the multiplier of a Laplacian with the transform's normalisation folded in."""
        return self.squared_wavenumber * (-1.0 / self.torus.size)

    def forward(
        self,
        values: np.ndarray,
        *,
        pointwise: Callable | None = None,
        multiplier: np.ndarray | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Kept coefficients of ``pointwise(values)``, times a multiplier.

        Parameters
        ----------
        values : (n, …, n) float — left unchanged
        pointwise : callable (values) or None — changes a slab of values in place
        multiplier : compact float array or None — holds the factor ``n^{−d}`` (None: that alone)
        out : compact complex array or None
        """
        values = np.ascontiguousarray(values)
        work, own = self.spectra[0], self._values  # made here: several threads that ask first would each make their own

        def one(slab: slice) -> None:
            part = values[slab]
            if pointwise is not None:
                part = own[slab]
                part[...] = values[slab]
                pointwise(part)
            work.forward_slab(part, slab)

        parallel.run(one, work.slabs)
        out = np.empty(self.shape, dtype=np.complex128) if out is None else out
        work.gather(self.unit if multiplier is None else multiplier, out)
        return out

    def inverse(self, coefficients: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Grid values (n, …, n) of kept coefficients (compact), a new array unless one is given."""
        values = np.empty(self.torus.shape) if out is None else out
        work = self.spectra[0]
        work.scatter(coefficients)
        parallel.run(lambda slab: work.inverse_slab(slab, values[slab]), work.slabs)
        return values

    def through(
        self, coefficients: np.ndarray, pointwise: Callable, *, multiplier: np.ndarray, out: np.ndarray
    ) -> np.ndarray:
        """Kept coefficients of ``pointwise(f)`` times a multiplier, f given by its coefficients.

        Slab by slab: back to the grid, the function, forward again, while the slab is in cache.
        """
        work, whole = self.spectra[0], self._values  # made here, see forward
        work.scatter(coefficients)

        def one(slab: slice) -> None:
            values = whole[slab]
            work.inverse_slab(slab, values)
            pointwise(values)
            work.forward_slab(values, slab)

        parallel.run(one, work.slabs)
        work.gather(multiplier, out)
        return out

    def weighted_slope(
        self, coefficients: np.ndarray, axis: int, weight: np.ndarray, *, multiplier: np.ndarray, out: np.ndarray
    ) -> np.ndarray:
        """Kept coefficients of ``w ∂_a f`` times a multiplier, f given by its coefficients, w by grid values.

        Slab by slab, as :meth:`through`.
        """
        work, whole = self.spectra[0], self._values  # made here, see forward
        work.scatter(coefficients, axis)

        def one(slab: slice) -> None:
            values = whole[slab]
            work.inverse_slab(slab, values)
            values *= weight[slab]
            work.forward_slab(values, slab)

        parallel.run(one, work.slabs)
        work.gather(multiplier, out)
        return out

    def divergence(self, factor: float, out: np.ndarray) -> None:
        """Finish the transforms of a field, one component in each of ``spectra``: ``out`` is its divergence × factor.

        The sign and the ``n^{−d}`` of the transform are the caller's, in ``factor``.
        """
        from .._kernels.spectral import gather_divergence

        for spectrum in self.spectra:
            spectrum.finish()
        d, missing = self.torus.dim, (1,) * (3 - self.torus.dim)
        work = self._half_spectra.reshape(d, *missing, *self._half_spectra.shape[1:])
        gather_divergence(work, *self.spectra[0].slopes, factor, out.reshape(missing + out.shape))
