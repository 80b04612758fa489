"""Radial kernels on R^d in closed form."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import _check
from .grid import Torus

if TYPE_CHECKING:
    from ..particles import Route

HIGHEST_ORDER = 10.5  # beyond, the Gaussian is nearer than anyone's data


@dataclass(frozen=True)
class RadialForm:
    """``K(x) = P(t) e^{−t}``, ``∇K(x) = Q(t) e^{−t} x``, ``t = rate·|x|`` or ``rate·|x|²`` if ``squared``.

    ``value`` and ``slope`` hold the coefficients of P and Q, highest power first; if ``inverse``, ``Q(t)/t`` stands for
    Q(t), and ∇K(0) = 0.
    """

    rate: float
    value: tuple[float, ...]
    slope: tuple[float, ...]
    squared: bool = False
    inverse: bool = False

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """``K(x_i − y_j)``, (N, d) and (M, d) to (N, M)."""
        from scipy.spatial.distance import cdist

        t = self.rate * cdist(x, y, "sqeuclidean" if self.squared else "euclidean")
        return np.polyval(self.value, t) * np.exp(-t)


class RadialKernel(ABC):
    """A kernel on R^d, a function of ``|x − y|`` with ``K(x, x) = 1``, for particles that are not on a torus."""

    @abstractmethod
    def radial_form(self) -> RadialForm:
        """Its closed form."""

    @abstractmethod
    def regularity(self, dim: int) -> float:
        """The s for which its functions have s derivatives in L²."""

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """``K(x_i − y_j)``, (N, d) and (M, d) to (N, M)."""
        return self.radial_form()(x, y)

    def require_flow_map(self, dim: int) -> None:
        """Refuse a kernel whose fields need not have flow maps: ``s > d/2 + 1`` is what embeds V in C¹."""
        require_flow_map(self, self.regularity(dim), dim)

    def convolve_particles(
        self,
        torus: Torus | None,
        x: np.ndarray,
        b: np.ndarray,
        tolerance: float = 1e-9,
        route: Route | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """``Σ_j K(x_i − x_j) b_j`` and its gradient on R^d: see :meth:`meanfield.torus.Kernel.convolve_particles`."""
        from ..particles.convolution import convolve

        return convolve(self, torus, x, b, tolerance=tolerance, route=route)


def require_flow_map(kernel: object, regularity: float, dim: int) -> None:
    """Refuse a kernel of too little regularity for flow maps in this dimension."""
    if not regularity > dim / 2 + 1:
        raise _check.fail(
            f"a flow map in dimension {dim} needs a kernel of order s > d/2 + 1 = {dim / 2 + 1:g}",
            repr(kernel),
            "raise the order",
        )


@dataclass(frozen=True)
class MaternKernel(RadialKernel):
    r"""The Matérn kernel on R^d, of half-integer order ``ν = p + ½``: a polynomial times an exponential.

    .. math:: K(x) = e^{-t} \frac{p!}{(2p)!} \sum_{i=0}^p \frac{(p+i)!}{i!\,(p-i)!} (2t)^{p-i},
              \quad t = \sqrt{2ν}\, |x|/ℓ.

    It reproduces the Sobolev space of order ``s = ν + d/2``, with an equivalent norm. ν = ½ is :class:`LaplaceKernel`,
    ``K = e^{−|x|/ℓ}``, ν → ∞ the Gaussian ``e^{−|x|²/2ℓ²}``.

    Parameters
    ----------
    order : float — ν, one of ½, 3/2, 5/2, …
    length : float — ℓ > 0

    Raises
    ------
    ValueError, TypeError
        For another order, or a length that is not positive.

    References
    ----------
    Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, eq. 4.16.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> kernel = mf.MaternKernel(order=1.5, length=0.5)
    >>> r = 3**0.5 * 0.5 / 0.5
    >>> print(f"{kernel(np.zeros((1, 2)), np.array([[0.3, 0.4]]))[0, 0]:.6f} {(1 + r) * np.exp(-r):.6f}")
    0.483358 0.483358
    """

    order: float
    length: float = 1.0

    def __post_init__(self) -> None:
        remedy = "pass 0.5, 1.5, 2.5, …; on a torus SobolevKernel takes any order"
        _check.positive("order", self.order, remedy)
        if self.order % 1 != 0.5 or self.order > HIGHEST_ORDER:
            raise _check.fail(f"order must be half an odd integer, at most {HIGHEST_ORDER}", repr(self.order), remedy)
        _check.length(self.length, "pass the length ℓ > 0")

    def radial_form(self) -> RadialForm:
        """P of order ν and, from ``M_ν'(t) = −t M_{ν−1}(t)/(2(ν−1))``, Q."""
        p = int(self.order)
        rate = math.sqrt(2 * self.order) / self.length
        if p == 0:
            return RadialForm(rate, (1.0,), (-(rate**2),), inverse=True)
        return RadialForm(rate, _matern(p), tuple(-(rate**2) / (2 * p - 1) * c for c in _matern(p - 1)))

    def regularity(self, dim: int) -> float:
        """ν + d/2."""
        return self.order + dim / 2


@dataclass(frozen=True)
class LaplaceKernel(RadialKernel):
    """The Laplace kernel ``e^{−|x|/ℓ}`` on R^d, the Matérn kernel of order ½; its gradient is taken as 0 at x = 0.

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
    >>> print(f"{mf.LaplaceKernel(0.5)(np.zeros((1, 2)), np.array([[0.3, 0.4]]))[0, 0]:.6f} {np.exp(-1):.6f}")
    0.367879 0.367879
    """

    length: float

    def __post_init__(self) -> None:
        _check.length(self.length, "pass the length ℓ > 0")

    def radial_form(self) -> RadialForm:
        """P = 1, Q = −1/(ℓ²t)."""
        return MaternKernel(0.5, self.length).radial_form()

    def regularity(self, dim: int) -> float:
        """½ + d/2."""
        return (1 + dim) / 2


def _matern(p: int) -> tuple[float, ...]:
    """Coefficients of the polynomial of order p + ½ in t, highest power first; quotients of integers, rounded once."""
    f = math.factorial
    return tuple(f(p) * f(p + i) * 2 ** (p - i) / (f(2 * p) * f(i) * f(p - i)) for i in range(p + 1))
