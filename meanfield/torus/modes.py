"""Kept modes: the pruned transform between grid values and the Fourier coefficients a product of degree p resolves.

A product of p band-limited factors is free of aliasing on the modes ``|k_a| < n/(p+1)``. Only these are computed:
columns above the cut are never transformed, and coefficients live in a compact array of shape
``(2K−1, …, 2K−1, K)``, ``K = ⌈n/(p+1)⌉``, index order ``0…K−1, −(K−1)…−1`` (last axis ``0…K−1``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import parallel
from ..transforms import transforms
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
    over the kept columns only: 0.55–0.75 of a full pair for p = 3 in d = 2. One scratch buffer of ``n^{d−1}(n/2+1)``
    complex numbers is kept, so an instance serves one caller at a time.
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
    def weights(self) -> np.ndarray:
        """Multiplicity of each stored coefficient in a sum over all k, broadcastable: 1 on ``k_d = 0``, else 2."""
        return np.where(np.arange(self.kept) == 0, 1.0, 2.0)

    def squared_norm(self, coefficients: np.ndarray) -> float:
        """``Σ_k |f̂(k)|²``, the mean of f² (Parseval)."""
        from .._kernels.spectral import squared_norm

        return squared_norm(coefficients.reshape(-1, self.kept))

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
    def _work(self) -> np.ndarray:
        n, d = self.torus.n, self.torus.dim
        return np.zeros((n,) * (d - 1) + (n // 2 + 1,), dtype=np.complex128)

    @cached_property
    def _values(self) -> np.ndarray:
        return np.empty(self.torus.shape)

    @cached_property
    def _work3(self) -> np.ndarray:
        """The scratch buffer as a three-dimensional array, which the copying kernels take."""
        return self._work.reshape((1,) * (3 - self.torus.dim) + self._work.shape)

    def _compact3(self, array: np.ndarray) -> np.ndarray:
        return array.reshape((1,) * (3 - self.torus.dim) + self.shape)

    @cached_property
    def _unit(self) -> np.ndarray:
        """``n^{−d}`` on every kept mode."""
        return np.full(self.shape, 1.0 / self.torus.size)

    @cached_property
    def diffusion(self) -> np.ndarray:
        """``−|2πk|² n^{−d}``: the multiplier of a Laplacian with the transform's normalisation folded in."""
        return self.squared_wavenumber * (-1.0 / self.torus.size)

    @cached_property
    def _slabs(self) -> list[slice]:
        """Chunks of the first axis, for the transforms along all the others."""
        n, d = self.torus.n, self.torus.dim
        return parallel.chunks(n, n**d) if d > 1 else [slice(0, n)]

    @cached_property
    def _columns(self) -> list[np.ndarray]:
        """Views of the kept columns, cut along the second axis, for the transforms along the first."""
        n, d, K = self.torus.n, self.torus.dim, self.kept
        if d == 1:
            return []
        if d == 2:
            return [self._work[:, part] for part in parallel.chunks(K, n**d)]
        low, high = self._work[:, :K, :K], self._work[:, n - K + 1 :, :K]
        cut = parallel.chunks(K, n**d // 2)
        return [view for half in (low, high) for part in cut if (view := half[:, part]).size]

    def _forward_slab(self, values: np.ndarray, slab: slice) -> None:
        work = self._work[slab] if self.torus.dim > 1 else self._work
        transforms.forward_real(values, work)
        if self.torus.dim == 3:
            transforms.forward(work[:, :, : self.kept], 1)

    def _inverse_slab(self, slab: slice, out: np.ndarray) -> None:
        work = self._work[slab] if self.torus.dim > 1 else self._work
        if self.torus.dim == 3:
            transforms.inverse(work[:, :, : self.kept], 1)
        transforms.inverse_real(work, out)

    def _gather(self, multiplier: np.ndarray, out: np.ndarray) -> np.ndarray:
        from .._kernels.spectral import gather

        parallel.run(lambda view: transforms.forward(view, 0), self._columns)
        gather(self._work3, self._compact3(multiplier), self._compact3(out))
        return out

    def _scatter(self, coefficients: np.ndarray) -> None:
        from .._kernels.spectral import scatter

        scatter(self._compact3(coefficients), self._work3)
        parallel.run(lambda view: transforms.inverse(view, 0), self._columns)

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
        _ = self._work, self._values  # made here: several threads that ask first would each make their own

        def one(slab: slice) -> None:
            part = values[slab]
            if pointwise is not None:
                part = self._values[slab]
                part[...] = values[slab]
                pointwise(part)
            self._forward_slab(part, slab)

        parallel.run(one, self._slabs)
        out = np.empty(self.shape, dtype=np.complex128) if out is None else out
        return self._gather(self._unit if multiplier is None else multiplier, out)

    def inverse(self, coefficients: np.ndarray) -> np.ndarray:
        """Grid values (n, …, n) of kept coefficients (compact), a new array."""
        values = np.empty(self.torus.shape)
        self._scatter(coefficients)
        parallel.run(lambda slab: self._inverse_slab(slab, values[slab]), self._slabs)
        return values

    def through(
        self, coefficients: np.ndarray, pointwise: Callable, *, multiplier: np.ndarray, out: np.ndarray
    ) -> np.ndarray:
        """Kept coefficients of ``pointwise(f)`` times a multiplier, f given by its coefficients.

        Slab by slab: back to the grid, the function, forward again, while the slab is in cache.
        """
        self._scatter(coefficients)
        whole = self._values  # made here, see forward

        def one(slab: slice) -> None:
            values = whole[slab]
            self._inverse_slab(slab, values)
            pointwise(values)
            self._forward_slab(values, slab)

        parallel.run(one, self._slabs)
        return self._gather(multiplier, out)
