"""The unit torus T^d = R^d/Z^d with n equispaced points per axis, and Fourier calculus on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check, parallel
from ..transforms import transforms

if TYPE_CHECKING:
    from ..measures import TorusDensity


@dataclass(frozen=True)
class Torus:
    """The unit torus with ``n`` points per axis: derivatives, integrals, norms and interpolation.

    Grid points are ``x = i/n``, ``i = 0 … n−1`` per axis (right end excluded); a real grid function is the
    trigonometric polynomial ``f(x) = Σ_k f̂(k) e^{2πi k·x}``, ``|k_a| ≤ n/2``, the Nyquist mode of even ``n`` read as
    ``cos(πn x_a)``. Hence its first derivative vanishes on the grid and its second is ``−(πn)²`` times it.

    Parameters
    ----------
    n : int — points per axis, at least 4
    dim : int — dimension d, 1, 2 or 3

    Raises
    ------
    ValueError, TypeError
        If ``n < 4`` or ``dim`` is not 1, 2 or 3.

    Notes
    -----
    Integrals are means over grid points. Fields of c components have shape ``(c, n, …, n)``, lists of points
    ``(N, d)``. A derivative costs one forward and one inverse FFT, O(n^d log n).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> torus = mf.Torus(16, dim=2)
    >>> torus
    Torus(n=16, dim=2, spacing=0.0625)
    >>> f = np.sin(2 * np.pi * torus.points[0])
    >>> bool(np.allclose(torus.gradient(f)[0], 2 * np.pi * np.cos(2 * np.pi * torus.points[0])))
    True
    """

    n: int
    dim: int = 1

    def __post_init__(self) -> None:
        _check.integer("n", self.n, "pass 4 or more points per axis", at_least=4)
        _check.integer("dim", self.dim, "pass dim=1, 2 or 3", at_least=1)
        if self.dim > 3:
            raise _check.fail("dim must be 1, 2 or 3", repr(self.dim), "pass dim=1, 2 or 3")

    def __repr__(self) -> str:
        return f"Torus(n={self.n}, dim={self.dim}, spacing={self.spacing:g})"

    # ---- geometry of the grid --------------------------------------------------------------------------------

    @property
    def spacing(self) -> float:
        """Distance 1/n of neighbouring points along an axis."""
        return 1.0 / self.n

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (n, …, n) of a grid function."""
        return (self.n,) * self.dim

    @property
    def size(self) -> int:
        """Number n^d of grid points."""
        return self.n**self.dim

    @cached_property
    def points(self) -> np.ndarray:
        """(d, n, …, n) float — the grid points."""
        axis = np.arange(self.n) / self.n
        points = np.stack(np.meshgrid(*[axis] * self.dim, indexing="ij"))
        points.flags.writeable = False
        return points

    def radius(self, center: float | Sequence[float] = 0.5) -> np.ndarray:
        """Distance on the torus from ``center`` (a float for all axes, or d floats) to each point: (n, …, n)."""
        centre = _check.array("center", center, "pass one coordinate per axis")
        if centre.shape not in ((), (self.dim,)):
            raise _check.fail(
                f"center must be a float or {self.dim} floats", f"shape {centre.shape}", "pass one coordinate per axis"
            )
        centre = np.broadcast_to(centre, (self.dim,)).reshape((self.dim,) + (1,) * self.dim)
        offset = (self.points - centre + 0.5) % 1.0 - 0.5
        return np.sqrt(np.sum(offset**2, axis=0))

    def density(self, source: Callable | np.ndarray, *, normalise: bool = False) -> TorusDensity:
        """A density on this grid from a callable of the d coordinate arrays, or from an array.

        Point values are taken as means over the cells centred at the points.

        Parameters
        ----------
        source : callable ``f(x[, y[, z]])`` on arrays (n, …, n), or an array (n, …, n)
        normalise : bool — divide by the mass

        Raises
        ------
        ValueError
            If a value is negative or not finite, the mass is zero, or the shape is not (n, …, n).
        """
        from ..measures import TorusDensity

        try:
            values = source(*self.points) if callable(source) else source
        except TypeError as error:
            raise TypeError(f"a density must be a function of {self.dim} coordinate arrays (got {error})") from error
        if callable(source) and np.ndim(values) == 0:
            values = np.full(self.shape, values)
        return TorusDensity(values, self, normalise=normalise)

    # ---- Fourier calculus ------------------------------------------------------------------------------------

    @cached_property
    def _frequencies(self) -> tuple[np.ndarray, ...]:
        """k_a on the half spectrum (n, …, n, n//2+1), shaped to broadcast."""
        full = np.fft.fftfreq(self.n, 1 / self.n)
        axes = [full] * (self.dim - 1) + [np.arange(self.n // 2 + 1, dtype=float)]
        return tuple(k.reshape((1,) * a + (-1,) + (1,) * (self.dim - 1 - a)) for a, k in enumerate(axes))

    @cached_property
    def squared_wavenumber(self) -> np.ndarray:
        """``|2πk|²`` on the half spectrum (n, …, n, n//2+1), the Nyquist modes included."""
        return sum((2 * np.pi * k) ** 2 for k in self._frequencies)  # type: ignore[return-value]

    @cached_property
    def wavenumbers(self) -> tuple[np.ndarray, ...]:
        """``2πk_a`` on the half spectrum, shaped to broadcast; zero on the Nyquist modes of even n, as ∂_a is."""
        top = self.n / 2
        return tuple(2 * np.pi * np.where(np.abs(k) == top, 0.0, k) for k in self._frequencies)

    @cached_property
    def mode_weights(self) -> np.ndarray:
        """Multiplicity of the half spectrum's last axis in a sum over all modes."""
        weights = np.full(self.n // 2 + 1, 2.0)
        weights[0] = 1.0
        if self.n % 2 == 0:
            weights[-1] = 1.0
        return weights

    def coefficients(self, f: np.ndarray) -> np.ndarray:
        """f̂(k) on the half spectrum (n, …, n, n//2+1), normalised by ``n^{−d}``."""
        out = np.empty((*self.shape[:-1], self.n // 2 + 1), dtype=np.complex128)
        transforms.forward_real(np.ascontiguousarray(self._scalar(f)), out)
        for axis in range(self.dim - 1):
            transforms.forward(out, axis)
        out *= 1.0 / self.size
        return out

    def values(self, coefficients: np.ndarray) -> np.ndarray:
        """Grid values (n, …, n) of half-spectrum coefficients."""
        work = np.array(coefficients, dtype=np.complex128)
        if work.shape != (half := (*self.shape[:-1], self.n // 2 + 1)):
            raise _check.fail(f"coefficients must have shape {half}", f"shape {work.shape}", "use torus.coefficients")
        for axis in range(self.dim - 1):
            transforms.inverse(work, axis)
        out = np.empty(self.shape)
        transforms.inverse_real(work, out)
        return out

    @cached_property
    def _slope(self) -> np.ndarray:
        """Multipliers ``2πik/n`` of a derivative along one axis, (n//2+1,), zero on the Nyquist mode."""
        k = np.arange(self.n // 2 + 1, dtype=float)
        return 2j * np.pi / self.n * np.where(2 * k == self.n, 0.0, k)

    @cached_property
    def _slabs(self) -> list[list[tuple[slice, ...]]]:
        """For each axis, the grid cut into slabs that hold whole lines of that axis."""
        cut = parallel.chunks(self.n, self.size)
        if self.dim == 1:
            return [[(slice(None),)]]
        return [[(slice(None),) * (1 if a == 0 else 0) + (part,) for part in cut] for a in range(self.dim)]

    def _derivative(self, f: np.ndarray, axis: int) -> np.ndarray:
        """∂_a f along whole lines of the axis: one-dimensional transforms suffice."""
        lines = list(f.shape)
        lines[axis] = self.n // 2 + 1
        spectrum, out = np.empty(lines, dtype=np.complex128), np.empty(f.shape)
        transforms.forward_real(f, spectrum, axis)
        spectrum *= self._slope.reshape((-1,) + (1,) * (self.dim - 1 - axis))
        transforms.inverse_real(spectrum, out, axis)
        return out

    def gradient(self, f: np.ndarray) -> np.ndarray:
        """∇f, (d, n, …, n); exact for modes below the Nyquist mode, whose own gradient is zero on the grid."""
        f, out = self._scalar(f), np.empty((self.dim, *self.shape))
        for axis, slabs in enumerate(self._slabs):

            def one(slab: tuple[slice, ...], axis: int = axis) -> None:
                out[axis][slab] = self._derivative(f[slab], axis)

            parallel.run(one, slabs)
        return out

    def dirichlet(self, f: np.ndarray, weight: np.ndarray) -> float:
        """``∫ w|∇f|² dx``, slab by slab without forming the gradient; the same for every number of threads."""
        f, weight = self._scalar(f), self._scalar(weight)
        total = 0.0
        for axis, slabs in enumerate(self._slabs):

            def one(slab: tuple[slice, ...], axis: int = axis) -> float:
                slope = self._derivative(f[slab], axis)
                slope *= slope
                slope *= weight[slab]
                return float(slope.sum())

            total += sum(parallel.run(one, slabs))
        return total / self.size

    def divergence(self, field: np.ndarray) -> np.ndarray:
        """div u = Σ_a ∂_a u_a of a field (d, n, …, n); minus the adjoint of :meth:`gradient` in :meth:`inner`."""
        field = _check.real_array("field", field, "put components first")
        if field.shape != (self.dim, *self.shape):
            raise _check.fail(
                f"field must have shape {(self.dim, *self.shape)}", f"shape {field.shape}", "put components first"
            )
        return sum(self._derivative(u, axis) for axis, u in enumerate(field))  # type: ignore[return-value]

    def laplacian(self, f: np.ndarray) -> np.ndarray:
        """Δf, (n, …, n), the Nyquist modes included."""
        return self.values(-self.squared_wavenumber * self.coefficients(f))

    def integral(self, f: np.ndarray) -> float:
        """∫ f dx, the mean over grid points (exact for trigonometric polynomials of degree < n)."""
        return float(np.mean(self._scalar(f)))

    def inner(self, f: np.ndarray, g: np.ndarray) -> float:
        """⟨f, g⟩ = ∫ Σ_c f_c g_c dx for grid functions (n, …, n) or fields (c, n, …, n) of one shape."""
        f, g = (_check.real_array("a grid function", array, "pass values on the grid") for array in (f, g))
        if f.shape != g.shape or f.shape[-self.dim :] != self.shape:
            raise _check.fail(
                f"f and g must have one shape ending in {self.shape}", f"{f.shape} and {g.shape}", "use the same torus"
            )
        return float(np.sum(f * g)) / self.size

    def sobolev_norm(self, f: np.ndarray, order: float, *, length: float = 1.0) -> float:
        """``(Σ_k (1 + ε²|2πk|²)^s |f̂(k)|²)^{1/2}``, s = order (any sign), ε = length; s = 0 is the L² norm."""
        order = _check.real("order", order, "pass the order s")
        length = _check.real("length", length, "pass the length ε")
        modes = self.coefficients(f)
        squared = modes.real**2 + modes.imag**2
        return float(
            np.sqrt(np.sum(self.mode_weights * (1.0 + length**2 * self.squared_wavenumber) ** order * squared))
        )

    def interpolate(self, f: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Values at points x (N, d) of the trigonometric polynomial through f.

        Parameters
        ----------
        f : (n, …, n) or (c, n, …, n) float
        x : (N, d) float — any representatives modulo 1

        Returns
        -------
        (N,) or (c, N) float

        Notes
        -----
        One FFT and one non-uniform FFT, O(n^d log n + N); error ≤ 1e-12 sup|f̂|·n^{d/2} or so.
        """
        x = _check.array("x", x, "pass finite points")
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise _check.fail(f"x must have shape (N, {self.dim})", f"shape {x.shape}", "stack points as rows")
        f = np.asarray(f, dtype=float)
        if f.ndim == self.dim + 1:
            return np.stack([self.interpolate(component, x) for component in f])
        modes = self.full_spectrum(self._scalar(f))
        if not len(x):  # the non-uniform transforms refuse an empty list
            return np.zeros(0)
        return transforms.plan(np.mod(x, 1.0), modes.shape, 1e-13).evaluate(modes).real

    def full_spectrum(self, f: np.ndarray) -> np.ndarray:
        """All modes in FFT order, an odd number per axis: the Nyquist mode of even n is halved onto ±n/2."""
        spectrum = np.fft.fftshift(np.fft.fftn(f, norm="forward"))
        if self.n % 2:
            return np.fft.ifftshift(spectrum)
        for axis in range(self.dim):
            nyquist = 0.5 * np.take(spectrum, [0], axis)  # after the shift, −n/2 comes first
            inside = np.take(spectrum, range(1, spectrum.shape[axis]), axis)
            spectrum = np.concatenate([nyquist, inside, nyquist], axis)
        return np.fft.ifftshift(spectrum)

    def _scalar(self, f: Any) -> np.ndarray:
        """``f`` as a real grid function; not a number passes through, as in NumPy."""
        if not (isinstance(f, np.ndarray) and f.dtype == np.float64):
            f = _check.real_array("a grid function", f, "pass values on the grid, as density.values")
        if f.shape != self.shape:
            raise _check.fail(f"a grid function must have shape {self.shape}", f"shape {f.shape}", "use this torus")
        return f
