"""A half spectrum as a work buffer, of which only the columns of kept modes are ever transformed."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .. import parallel
from ..transforms import transforms
from .grid import Torus


class HalfSpectrum:
    """Scratch of ``n^{d−1}(n/2+1)`` complex numbers between compact coefficients and slabs of grid values.

    Coefficients to values: :meth:`scatter`, then :meth:`inverse_slab` for each of ``slabs``. Values to coefficients:
    :meth:`forward_slab` for each slab, then :meth:`gather`. Slabs are independent, so threads may share them.

    Parameters
    ----------
    torus : Torus
    kept : int — K: the modes ``|k_a| ≤ K − 1`` are kept
    """

    def __init__(self, torus: Torus, kept: int) -> None:
        n, d = torus.n, torus.dim
        self.torus, self.kept = torus, kept
        self.work = np.zeros((n,) * (d - 1) + (n // 2 + 1,), dtype=np.complex128)
        self._three_axes = self.work.reshape((1,) * (3 - d) + self.work.shape)
        self.slabs = parallel.chunks(n, n**d) if d > 1 else [slice(0, n)]

    def scatter(self, coefficients: np.ndarray, axis: int | None = None) -> None:
        """Take up compact coefficients, or those of their derivative along ``axis``, up to the slabs' transforms."""
        from .._kernels import spectral

        compact = self._compact(coefficients)
        if axis is None:
            spectral.scatter(compact, self._three_axes)
        else:
            spectral.scatter_slope(compact, *self._slopes[axis], self._three_axes)
        parallel.run(lambda view: transforms.inverse(view, 0), self._columns)

    def inverse_slab(self, slab: slice, out: np.ndarray) -> None:
        """Grid values of one slab of the first axis."""
        work = self._slab(slab)
        if self.torus.dim == 3:
            transforms.inverse(work[:, :, : self.kept], 1)
        transforms.inverse_real(work, out)

    def forward_slab(self, values: np.ndarray, slab: slice) -> None:
        """Transform one slab of grid values along all axes but the first."""
        work = self._slab(slab)
        transforms.forward_real(values, work)
        if self.torus.dim == 3:
            transforms.forward(work[:, :, : self.kept], 1)

    def gather(self, multiplier: np.ndarray, out: np.ndarray) -> None:
        """Finish the transform; ``out`` becomes the compact coefficients times a real multiplier."""
        from .._kernels import spectral

        parallel.run(lambda view: transforms.forward(view, 0), self._columns)
        spectral.gather(self._three_axes, self._compact(multiplier), self._compact(out))

    def gather_slope(self, axis: int, factor: float, out: np.ndarray) -> None:
        """Finish the transform; add ``factor`` times the derivative along ``axis`` to compact coefficients."""
        from .._kernels import spectral

        parallel.run(lambda view: transforms.forward(view, 0), self._columns)
        spectral.gather_slope(self._three_axes, *self._slopes[axis], factor, self._compact(out))

    def _slab(self, slab: slice) -> np.ndarray:
        return self.work[slab] if self.torus.dim > 1 else self.work

    def _compact(self, array: np.ndarray) -> np.ndarray:
        return array.reshape((1,) * (3 - self.torus.dim) + array.shape[-self.torus.dim :])

    @cached_property
    def _columns(self) -> list[np.ndarray]:
        """Views of the kept columns, cut along the second axis, for the transforms along the first."""
        n, d, K = self.torus.n, self.torus.dim, self.kept
        if d == 1:
            return []
        if d == 2:
            return [self.work[:, part] for part in parallel.chunks(K, n**d)]
        low, high = self.work[:, :K, :K], self.work[:, n - K + 1 :, :K]
        cut = parallel.chunks(K, n**d // 2)
        return [view for half in (low, high) for part in cut if (view := half[:, part]).size]

    @cached_property
    def _slopes(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each axis, three vectors whose outer sum is ``2πk_axis`` on compact arrays of three axes."""
        K, d = self.kept, self.torus.dim
        full = 2 * np.pi * np.concatenate([np.arange(K), np.arange(1 - K, 0)])
        lengths = [1] * (3 - d) + [2 * K - 1] * (d - 1) + [K]
        result = []
        for axis in range(3 - d, 3):
            result.append(tuple(full[:m] if a == axis else np.zeros(m) for a, m in enumerate(lengths)))
        return result  # type: ignore[return-value]
