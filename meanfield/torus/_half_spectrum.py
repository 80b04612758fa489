"""A half spectrum as a work buffer, of which only the columns of kept modes are ever transformed."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .. import parallel
from ..transforms import transforms
from .grid import Torus

LANES = 8  # columns that a transform handles at once on wide vector units


class HalfSpectrum:
    """Scratch of ``n^{d−1}(n/2+1)`` complex numbers between compact coefficients and slabs of grid values.

    Coefficients to values: :meth:`scatter`, then :meth:`inverse_slab` for each of ``slabs``. Values to coefficients:
    :meth:`forward_slab` for each slab, then :meth:`gather`. Slabs are independent, so threads may share them.

    Parameters
    ----------
    torus : Torus
    kept : int — K: the modes ``|k_a| ≤ K − 1`` are kept
    work : (n, …, n, n//2+1) complex — the buffer
    """

    def __init__(self, torus: Torus, kept: int, work: np.ndarray) -> None:
        n, d = torus.n, torus.dim
        self.torus, self.kept, self.work = torus, kept, work
        self._three_axes = work.reshape((1,) * (3 - d) + work.shape)
        self.slabs = parallel.chunks(n, n**d) if d > 1 else [slice(0, n)]

    def scatter(self, coefficients: np.ndarray, axis: int | None = None) -> None:
        """Take up compact coefficients, or those of their derivative along ``axis``, up to the slabs' transforms."""
        from .._kernels import spectral

        compact = self._compact(coefficients)
        if axis is None:
            spectral.scatter(compact, self._three_axes)
        else:
            spectral.scatter_slope(compact, *(vector[axis] for vector in self.slopes), self._three_axes)
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

        self.finish()
        spectral.gather(self._three_axes, self._compact(multiplier), self._compact(out))

    def finish(self) -> None:
        """The transform along the first axis, after :meth:`forward_slab` for each slab."""
        parallel.run(lambda view: transforms.forward(view, 0), self._columns)

    def convolve(self, values: np.ndarray, multiplier: np.ndarray, out: np.ndarray) -> None:
        """All modes of real grid values times a multiplier (the layout of ``work``, holds ``n^{−d}``), on the grid."""
        from .._kernels.spectral import gather

        multiplier, inner = multiplier.reshape(self._three_axes.shape), range(1, self.torus.dim - 1)

        def there(slab: slice) -> None:
            transforms.forward_real(values[slab], self._slab(slab))
            for axis in inner:
                transforms.forward(self._slab(slab), axis)

        def back(slab: slice) -> None:
            for axis in inner:
                transforms.inverse(self._slab(slab), axis)
            transforms.inverse_real(self._slab(slab), out[slab])

        parallel.run(there, self.slabs)
        parallel.run(lambda view: transforms.forward(view, 0), self._all_columns)
        gather(self._three_axes, multiplier, self._three_axes)
        parallel.run(lambda view: transforms.inverse(view, 0), self._all_columns)
        parallel.run(back, self.slabs)

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
            whole = min(-(-K // LANES) * LANES, n // 2 + 1)  # a few zero columns more, but none left over
            return [self.work[:, part] for part in parallel.chunks(whole, n**d)]
        low, high = self.work[:, :K, :K], self.work[:, n - K + 1 :, :K]
        cut = parallel.chunks(K, n**d // 2)
        return [view for half in (low, high) for part in cut if (view := half[:, part]).size]

    @cached_property
    def _all_columns(self) -> list[np.ndarray]:
        """Views of all columns, cut as :attr:`_columns`."""
        n, d = self.torus.n, self.torus.dim
        return [self.work[:, part] for part in parallel.chunks(self.work.shape[1], n**d)] if d > 1 else []

    @cached_property
    def slopes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vectors (d, ·) along the axes of compact arrays of three axes: row a of the three has outer sum ``2πk_a``."""
        K, d = self.kept, self.torus.dim
        full = 2 * np.pi * np.concatenate([np.arange(K), np.arange(1 - K, 0)])
        lengths = [1] * (3 - d) + [2 * K - 1] * (d - 1) + [K]
        first, second, third = (np.zeros((d, m)) for m in lengths)
        for a, vector in enumerate((first, second, third)[3 - d :]):
            vector[a] = full[: vector.shape[1]]
        return first, second, third
