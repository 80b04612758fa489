"""Kept modes: the pruned transform between grid values and the Fourier coefficients a product of degree p resolves.

A product of p band-limited factors is free of aliasing on the modes ``|k_a| < n/(p+1)``. Only these are computed:
columns above the cut are never transformed, and coefficients live in a compact array of shape
``(2K−1, …, 2K−1, K)``, ``K = ⌈n/(p+1)⌉``, index order ``0…K−1, −(K−1)…−1`` (last axis ``0…K−1``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

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
        return float(np.sum(self.weights * (coefficients.real**2 + coefficients.imag**2)))

    # ---- transforms ------------------------------------------------------------------------------------------

    @cached_property
    def _work(self) -> np.ndarray:
        n, d = self.torus.n, self.torus.dim
        return np.zeros((n,) * (d - 1) + (n // 2 + 1,), dtype=np.complex128)

    @cached_property
    def _blocks(self) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
        """Matching blocks (in the scratch buffer, in the compact array): low and high wavenumbers of each axis."""
        n, K = self.torus.n, self.kept
        halves = [(slice(0, K), slice(0, K))]
        if K > 1:
            halves.append((slice(n - K + 1, n), slice(K, 2 * K - 1)))
        pairs = [halves] * (self.torus.dim - 1) + [[(slice(0, K), slice(0, K))]]
        return [tuple(zip(*choice, strict=True)) for choice in product(*pairs)]  # type: ignore[misc]

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
        transforms.forward_last(values, work)
        if self.torus.dim == 3:
            transforms.forward(work[:, :, : self.kept], 1)

    def _inverse_slab(self, slab: slice, out: np.ndarray) -> None:
        work = self._work[slab] if self.torus.dim > 1 else self._work
        if self.torus.dim == 3:
            transforms.inverse(work[:, :, : self.kept], 1)
        transforms.inverse_last(work, out)

    def _gather(self, out: np.ndarray) -> np.ndarray:
        parallel.run(lambda view: transforms.forward(view, 0), self._columns)
        scale = 1.0 / self.torus.size
        for there, here in self._blocks:
            np.multiply(self._work[there], scale, out=out[here])
        return out

    def _scatter(self, coefficients: np.ndarray) -> None:
        K, n, work = self.kept, self.torus.n, self._work
        if self.torus.dim == 1:
            work[K:] = 0.0
        for axis in range(self.torus.dim - 1):
            work[(slice(None),) * axis + (slice(K, n - K + 1), ..., slice(0, K))] = 0.0
        if self.torus.dim > 1:
            work[..., K:] = 0.0
        for there, here in self._blocks:
            work[there] = coefficients[here]
        parallel.run(lambda view: transforms.inverse(view, 0), self._columns)

    def forward(self, values: np.ndarray, *, pointwise: Callable | None = None, out: np.ndarray | None = None):
        """Kept coefficients of ``pointwise(values)``.

        Parameters
        ----------
        values : (n, …, n) float — left unchanged
        pointwise : callable (values, slab, out) or None — writes the function of a slab of values into ``out``
        out : compact complex array or None
        """
        values = np.ascontiguousarray(values)

        def one(slab: slice) -> None:
            part = values[slab]
            if pointwise is not None:
                result = np.empty_like(part)
                pointwise(part, slab, result)
                part = result
            self._forward_slab(part, slab)

        parallel.run(one, self._slabs)
        return self._gather(np.empty(self.shape, dtype=np.complex128) if out is None else out)

    def inverse(self, coefficients: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Grid values (n, …, n) of kept coefficients (compact)."""
        values = np.empty(self.torus.shape) if out is None else out
        self._scatter(coefficients)
        parallel.run(lambda slab: self._inverse_slab(slab, values[slab]), self._slabs)
        return values

    def through(self, coefficients: np.ndarray, pointwise: Callable, out: np.ndarray) -> np.ndarray:
        """Kept coefficients of ``pointwise(f)``, f given by its coefficients, without ever forming f as a whole.

        Slab by slab: back to the grid, the function, forward again, while the slab is in cache.
        """
        self._scatter(coefficients)

        def one(slab: slice) -> None:
            values = np.empty((slab.stop - slab.start, *self.torus.shape[1:]))
            self._inverse_slab(slab, values)
            pointwise(values, slab, values)
            self._forward_slab(values, slab)

        parallel.run(one, self._slabs)
        return self._gather(out)
