r"""Particles to Fourier modes and back, by non-uniform FFT: spreading on a fine grid, FFTs, and the transposes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import parallel
from ..torus import Torus
from ..transforms import transforms
from . import windows

CACHED = 2**20  # bytes of grid that are near a core: beyond, points are visited box by box
BOX = 8  # cells an axis of such a box
GRID_BYTES = 2**28  # of all the grids that points are spread on at a time
PASSES = 30  # entries of a grid a chunk spreads to, for each entry that is set to zero and added up


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points (N, d) in the order they are visited in; ``inverse[i]`` is the place of point i, None the order given."""

    x: np.ndarray
    order: np.ndarray | None = None
    inverse: np.ndarray | None = None

    def sort(self, b: np.ndarray) -> np.ndarray:
        """Rows of an array (N, …) in the order of visits."""
        return b if self.order is None else np.take(b, self.order, axis=0)

    def unsort(self, b: np.ndarray) -> np.ndarray:
        """Rows in the order given."""
        return b if self.inverse is None else np.take(b, self.inverse, axis=0)


def arrange(torus: Torus, window: windows.Window, x: np.ndarray) -> Cloud:
    """The points in boxes, if the grid is too large to stay near a core."""
    from .._kernels.nonuniform import order_by_box

    if 8 * window.cells**torus.dim <= CACHED:
        return Cloud(x)
    order, inverse = np.empty(len(x), dtype=np.int64), np.empty(len(x), dtype=np.int64)
    order_by_box(x, max(1, window.cells // BOX), order)
    inverse[order] = np.arange(len(x))
    return Cloud(np.take(x, order, axis=0), order, inverse)


def spread(torus: Torus, window: windows.Window, cloud: Cloud, b: np.ndarray) -> np.ndarray:
    """Modes ``Σ_j b_j e^{−2πik·x_j}``, (q, n, …, n//2+1): type 1. The mean is exact, as masses should be."""
    from .._kernels.nonuniform import lanes_of, make_spread

    one, b = make_spread(window.width, torus.dim), cloud.sort(b)
    side = window.cells + lanes_of(window.width)
    size = b.shape[1] * side**torus.dim
    work = len(b) * b.shape[1] * window.width**torus.dim
    number = min(parallel.MOST_CHUNKS, work // (PASSES * size), GRID_BYTES // (8 * size))

    def chunk(part: slice) -> np.ndarray:
        grid = np.zeros((b.shape[1],) + (side,) * torus.dim)
        one(cloud.x[part], b[part], window.table, window.cells, grid)
        return grid

    grid, *others = parallel.run(chunk, parallel.chunks(len(b), number * parallel.POINTS_PER_CHUNK))
    for other in others:  # in the order of the chunks
        grid += other
    spectra = parallel.run(lambda one: grid_to_modes(torus, window, fold(one, window.cells)), list(grid))
    for spectrum, total in zip(spectra, b.sum(axis=0), strict=True):
        spectrum.flat[0] = total
    return np.stack(spectra)


def gather(torus: Torus, window: windows.Window, cloud: Cloud, modes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``Σ_k c_k e^{2πik·x_i}`` and its gradient, (N, q) and (N, q, d), of modes (q, n, …, n//2+1): type 2.

    The mean is added apart: windows are not exact on constants, and the error of their slope would not be small beside
    the gradient of a field that is nearly constant.
    """
    from .._kernels.nonuniform import lanes_of, make_gather

    one, number, lanes = make_gather(window.width, torus.dim), len(cloud.x), lanes_of(window.width)
    grid = np.empty((len(modes),) + (window.cells + lanes,) * torus.dim)

    def component(c: int) -> None:
        grid[c] = np.pad(modes_to_grid(torus, window, modes[c]), (0, lanes), mode="wrap")

    parallel.run(component, range(len(modes)))
    value, gradient = np.empty((number, len(modes))), np.empty((number, len(modes), torus.dim))
    means = modes.reshape(len(modes), -1)[:, 0].real

    def chunk(part: slice) -> None:
        one(cloud.x[part], window.table, window.cells, grid, value[part], gradient[part])
        value[part] += means
        gradient[part] *= window.cells

    work = number * len(modes) * window.width**torus.dim
    parallel.run(chunk, parallel.chunks(number, work // 16))
    return cloud.unsort(value), cloud.unsort(gradient)


def fold(grid: np.ndarray, cells: int) -> np.ndarray:
    """A padded grid with its padding added where it wraps to."""
    for axis in range(grid.ndim):
        lines = np.moveaxis(grid, axis, 0)
        lines[: len(lines) - cells] += lines[cells:]
        grid = np.moveaxis(lines[:cells], 0, axis)
    return np.ascontiguousarray(grid)


def kept(torus: Torus) -> tuple[np.ndarray, ...]:
    """Index of the modes |k_a| ≤ (n−1)//2 in the half spectrum (n, …, n//2+1), as an open mesh."""
    low = (torus.n + 1) // 2
    rows = np.r_[0:low, torus.n - low + 1 : torus.n]
    return np.ix_(*[rows] * (torus.dim - 1), np.arange(low))


def grid_to_modes(torus: Torus, window: windows.Window, grid: np.ndarray) -> np.ndarray:
    """The half spectrum of what was spread on the fine grid; modes |k_a| > (n−1)//2 are zero."""
    low, cells = (torus.n + 1) // 2, window.cells
    spectrum = np.empty((*grid.shape[:-1], cells // 2 + 1), dtype=np.complex128)
    transforms.forward_real(grid, spectrum)
    spectrum = spectrum[..., :low] * window.correction[:low]
    for axis in range(torus.dim - 1):  # columns and rows beyond K are dropped before the next axis
        transforms.forward(spectrum, axis)
        rows = np.r_[0:low, cells - low + 1 : cells]
        factor = window.correction.reshape((-1,) + (1,) * (torus.dim - 1 - axis))
        spectrum = np.take(spectrum, rows, axis) * factor
    modes = np.zeros(torus.squared_wavenumber.shape, dtype=np.complex128)
    modes[kept(torus)] = spectrum
    return modes


def modes_to_grid(torus: Torus, window: windows.Window, modes: np.ndarray) -> np.ndarray:
    """The fine grid whose interpolation by the window has these modes, but for the mean; the transpose of the above."""
    low, cells = (torus.n + 1) // 2, window.cells
    spectrum = modes[kept(torus)]
    spectrum.flat[0] = 0.0
    for axis in range(torus.dim - 1):
        lines = np.moveaxis(spectrum, axis, -1)
        fine = np.zeros((*lines.shape[:-1], cells), dtype=np.complex128)
        fine[..., :low] = lines[..., :low] * window.correction[:low].conj()
        fine[..., cells - low + 1 :] = lines[..., low:] * window.correction[low:].conj()
        spectrum = np.moveaxis(fine, -1, axis)
        transforms.inverse(spectrum, axis)
    half = np.zeros((*spectrum.shape[:-1], cells // 2 + 1), dtype=np.complex128)
    half[..., :low] = spectrum * window.correction[:low].conj()
    grid = np.empty((cells,) * torus.dim)
    transforms.inverse_real(half, grid)
    return grid
