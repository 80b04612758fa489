"""Translation-invariant kernels as Fourier multipliers, and the Hilbert spaces V of fields they reproduce."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check
from .grid import Torus
from .radial import RadialForm, RadialKernel, require_flow_map

if TYPE_CHECKING:
    from ..particles import Route

ROUNDING = 1e3  # Fourier coefficients below this multiple of eps·rms(f)·n^{−d/2} are rounding: of 10⁴ updates and more


class Kernel(ABC):
    """A kernel on the torus, ``K(x) = Σ_k K̂(k) e^{2πi k·x}`` with ``0 < K̂ ≤ 1``, ``K̂(0) = 1``.

    It reproduces the space V with ``⟨u, v⟩_V = Σ_k K̂(k)^{−1} û(k)·conj v̂(k)``. Grid values carry rounding errors in
    every mode, which ``K̂^{−1}`` would blow up: coefficients below ``1000 eps`` times the root mean square of the field
    over ``n^{d/2}`` (a field that is updated m times has errors of √m roundings) count as zero in :meth:`inner` and
    :meth:`deconvolve`.
    """

    @abstractmethod
    def spectrum(self, squared_wavenumber: np.ndarray) -> np.ndarray:
        """``K̂`` as a function of ``|2πk|²``, any shape."""

    @abstractmethod
    def regularity(self, dim: int) -> float:
        """The s for which fields of V have s derivatives in L² (``inf`` for the Gaussian)."""

    def require_flow_map(self, dim: int) -> None:
        """Refuse a kernel whose fields need not have flow maps: ``s > d/2 + 1`` is what embeds V in C¹."""
        require_flow_map(self, self.regularity(dim), dim)

    def multiplier(self, torus: Torus) -> np.ndarray:
        """``K̂(k)`` on the half spectrum (n, …, n, n//2+1), the layout of ``torus.coefficients``."""
        require_torus(torus)
        return self.spectrum(torus.squared_wavenumber)

    def convolve(self, torus: Torus, f: np.ndarray) -> np.ndarray:
        """``K * f`` of a grid function (n, …, n), or of fields with any leading axes, by FFT.

        Cost: one FFT pair a component.
        """
        return self._multiply(torus, f, self.multiplier(torus), clean=False)

    def deconvolve(self, torus: Torus, f: np.ndarray) -> np.ndarray:
        """``K^{−1} * f``, the Riesz representative of ``⟨f, ·⟩_V``; inverse of :meth:`convolve` up to rounding."""
        return self._multiply(torus, f, self._weights(torus), clean=True)

    def inner(self, torus: Torus, u: np.ndarray, v: np.ndarray, *, resolution: float | None = None) -> float:
        """``⟨u, v⟩_V`` of two grid functions, or two fields of one shape with any leading axes (summed over).

        Coefficients at or below ``resolution`` count as zero; by default that of each grid function.

        Raises
        ------
        ValueError
            If the shapes differ or do not end in the torus's.
        """
        u, v = (_check.real_array("a field", f, "pass values on the grid") for f in (u, v))
        if u.shape != v.shape:
            raise _check.fail("u and v must have one shape", f"{u.shape} and {v.shape}", "use the same torus")
        weights, total = torus.mode_weights * self._weights(torus), 0.0
        for f, g in zip(_scalars(torus, u), _scalars(torus, v)):
            a = significant(torus, f, resolution)
            b = a if f is g or np.array_equal(f, g) else significant(torus, g, resolution)
            seen = (a != 0) & (b != 0)
            a, b = a[seen], b[seen]
            total += float(np.sum(weights[seen] * (a.real * b.real + a.imag * b.imag)))
        return total

    @staticmethod
    def resolution(torus: Torus, f: np.ndarray) -> float:
        """The size of Fourier coefficients that rounding of grid values makes: ``1000 eps`` of their root mean square
        over ``n^{d/2}``."""
        return ROUNDING * np.finfo(float).eps * math.sqrt(float(np.mean(f * f)) / torus.size)

    def norm(self, torus: Torus, u: np.ndarray) -> float:
        """``|u|_V``."""
        return math.sqrt(max(self.inner(torus, u, u), 0.0))

    def divergence_bound(self, torus: Torus) -> float:
        """κ with ``sup|div v| ≤ κ|v|_V``: ``κ² = Σ_k |2πk|² K̂(k)`` over the torus's modes."""
        return math.sqrt(float(np.sum(torus.mode_weights * torus.squared_wavenumber * self.multiplier(torus))))

    def convolve_particles(
        self,
        torus: Torus | None,
        x: np.ndarray,
        b: np.ndarray,
        tolerance: float = 1e-9,
        route: Route | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        r"""Sums over all pairs of particles, and their gradients, the sources held fixed:

        .. math:: u_i = \sum_j K(x_i - x_j)\, b_j, \qquad ∇u_i = \sum_j ∇K(x_i - x_j)\, b_j.

        On a torus of n points an axis K is the sum of its modes ``|k_a| ≤ (n−1)//2``; on R^d its closed form.

        Parameters
        ----------
        torus : Torus or None — None is R^d, for kernels with a closed form there
        x : (N, d) float — positions x_j; on a torus any representatives
        b : (N, q) float — strengths b_j; weights are the caller's to put in
        tolerance : float — of value and gradient, relative to the greatest of each (see Notes)
        route : Route or None — ``meanfield.particles.Route``; None is the cheapest

        Returns
        -------
        value : (N, q) float — u_i, the term j = i included
        gradient : (N, q, d) float — ∇u_i

        Raises
        ------
        ValueError, TypeError
            For shapes that do not fit, values that are not finite, no particles, or a route the kernel has not.

        Notes
        -----
        ``Route.FOURIER`` costs O(N + n^d log n), ``Route.DIRECT`` O(N²), ``Route.MODES`` O(N n^d), the last two exact
        to rounding (but for periodic images left out below the tolerance). Where strengths cancel, the tolerance is
        relative to what they would sum to at random, not to the little that is left. The result has the same bits for
        every number of threads.

        Examples
        --------
        >>> import numpy as np, meanfield as mf
        >>> torus, kernel = mf.Torus(33), mf.GaussianKernel(length=0.1)
        >>> x = np.array([[0.2], [0.3]])
        >>> value, gradient = kernel.convolve_particles(torus, x, np.array([[1.0], [0.0]]))
        >>> exact = np.exp(-0.5) / (0.1 * np.sqrt(2 * np.pi))
        >>> print(f"{value[1, 0]:.6f} {exact:.6f} {gradient[1, 0, 0]:.5f}")
        2.419707 2.419707 -24.19707
        """
        from ..particles.convolution import convolve

        return convolve(self, torus, x, b, tolerance=tolerance, route=route)

    def _weights(self, torus: Torus) -> np.ndarray:
        """``K̂^{−1}``, infinite where a Gaussian underflows (no field has a coefficient there that is not rounding)."""
        with np.errstate(divide="ignore", over="ignore"):
            return 1.0 / self.multiplier(torus)

    def _multiply(self, torus: Torus, f: np.ndarray, multiplier: np.ndarray, *, clean: bool) -> np.ndarray:
        f = _check.real_array("a field", f, "pass values on the grid")
        out = np.empty(f.shape)
        for values, result in zip(_scalars(torus, f), _scalars(torus, out)):
            modes = significant(torus, values) if clean else torus.coefficients(values)
            np.multiply(modes, multiplier, out=modes, where=modes != 0)
            result[...] = torus.values(modes)
        return out


def require_torus(torus: Any) -> None:
    """Refuse (``TypeError``) what is not a torus, such as the second argument."""
    if not isinstance(torus, Torus):
        raise TypeError(f"torus must be a Torus (got {type(torus).__name__}); pass mf.Torus(n, dim=d), the torus first")


def on_torus(kernel: Kernel | RadialKernel) -> Kernel:
    """The kernel, refused (``ValueError``) if it has no Fourier coefficients."""
    if not isinstance(kernel, Kernel):
        raise _check.fail("a kernel on a torus must have Fourier coefficients", repr(kernel), "use mf.SobolevKernel")
    return kernel


def require_defined(kernel: Kernel | RadialKernel, torus: Torus | None) -> None:
    """Refuse a kernel that is not defined on a torus, or on R^d (None)."""
    if torus is not None:
        on_torus(kernel)
    elif not isinstance(kernel, GaussianKernel | RadialKernel):
        raise _check.fail(
            "a kernel on R^d must have a closed form", repr(kernel), "use mf.GaussianKernel, or particles on a torus"
        )


def _scalars(torus: Torus, f: np.ndarray) -> np.ndarray:
    """The components of a field, as views along a new first axis."""
    if f.shape[f.ndim - torus.dim :] != torus.shape:
        raise _check.fail(
            f"a field must have shape (..., {str(torus.shape)[1:-1]})", f"shape {f.shape}", "use this torus"
        )
    return f.reshape(-1, *torus.shape)


def significant(torus: Torus, f: np.ndarray, resolution: float | None = None) -> np.ndarray:
    """The Fourier coefficients of grid values on the half spectrum, those at the level of rounding set to zero."""
    modes = torus.coefficients(f)
    modes[np.abs(modes) <= (Kernel.resolution(torus, f) if resolution is None else resolution)] = 0
    return modes


@dataclass(frozen=True)
class SobolevKernel(Kernel):
    """The reproducing kernel of H^s on the torus: ``K̂(k) = (1 + ε²|2πk|²)^{−s}``.

    Parameters
    ----------
    order : float — s > 0
    length : float — ε > 0; 1 is the space H^s itself, ε → 0 tends to the Dirac kernel

    Raises
    ------
    ValueError, TypeError
        For an order or length that is not positive.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> torus, kernel = mf.Torus(32), mf.SobolevKernel(order=2, length=0.1)
    >>> f = np.cos(2 * np.pi * torus.points[0])
    >>> print(f"{kernel.convolve(torus, f)[0]:.6f} {(1 + 0.01 * (2 * np.pi) ** 2) ** -2:.6f}")
    0.514027 0.514027
    """

    order: float
    length: float = 1.0

    def __post_init__(self) -> None:
        _check.positive("order", self.order, "pass the order s of the space H^s")
        _check.length(self.length, "pass the length ε > 0, or use DiracKernel()")

    def spectrum(self, squared_wavenumber: np.ndarray) -> np.ndarray:
        """``(1 + ε²|2πk|²)^{−s}``."""
        return (1.0 + self.length**2 * squared_wavenumber) ** -self.order

    def regularity(self, dim: int) -> float:
        """s."""
        return self.order


@dataclass(frozen=True)
class GaussianKernel(Kernel):
    """The Gaussian: ``exp(−|x−y|²/2ℓ²)`` on R^d; of mass 1 on the torus, ``K̂(k) = exp(−ℓ²|2πk|²/2)``.

    Parameters
    ----------
    length : float — ℓ > 0

    Raises
    ------
    ValueError, TypeError
        For a length that is not positive.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> kernel = mf.GaussianKernel(0.5)
    >>> np.round(kernel(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0], [0.3, 0.4]])), 6)
    array([[1.      , 0.606531]])
    """

    length: float

    def __post_init__(self) -> None:
        _check.length(self.length, "pass the standard deviation ℓ > 0")

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """``exp(−|x_i − y_j|²/2ℓ²)`` on R^d, (N, d) and (M, d) to (N, M)."""
        from scipy.spatial.distance import cdist

        return np.exp(-0.5 * cdist(x, y, "sqeuclidean") / self.length**2)

    def radial_form(self) -> RadialForm:
        """``P = 1, Q = −1/ℓ², t = |x|²/2ℓ²``."""
        rate = 0.5 / self.length**2
        return RadialForm(rate, (1.0,), (-2 * rate,), squared=True)

    def spectrum(self, squared_wavenumber: np.ndarray) -> np.ndarray:
        """``exp(−ℓ²|2πk|²/2)``."""
        with np.errstate(under="ignore"):
            return np.exp(-0.5 * self.length**2 * squared_wavenumber)

    def regularity(self, dim: int) -> float:
        """Infinite."""
        return math.inf


@dataclass(frozen=True)
class DiracKernel(Kernel):
    """The Dirac mass: convolution is the identity, V is L²."""

    def spectrum(self, squared_wavenumber: np.ndarray) -> np.ndarray:
        """1."""
        return np.ones_like(squared_wavenumber, dtype=float)

    def regularity(self, dim: int) -> float:
        """0."""
        return 0.0
