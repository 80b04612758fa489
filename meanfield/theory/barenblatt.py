r"""The Barenblatt–Pattle solution of ∂_t u = c Δu^m on R^d from a point source: closed forms, m > 1.

With τ = c t, p = 1/(m − 1), α = d/(d(m−1)+2), β = α/d and κ = α(m−1)/(2md),

    U(x, t) = τ^{−α} (C − κ|x|²τ^{−2β})_+^p = C^p τ^{−α} (1 − |x|²/R²)_+^p,   R = (C/κ)^{1/2} τ^β,

where the mass fixes C. On the unit torus it is exact while R < 1/2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _check
from .decay import check_exponent, self_similar_exponents


def barenblatt(
    r: Any, t: float, *, dim: int, exponent: float, coefficient: float = 1.0, mass: float = 1.0
) -> np.ndarray:
    r"""Values of the Barenblatt solution at distance r from the source.

    .. math:: U(r, t) = τ^{-α} (C - κ r^2 τ^{-2β})_+^{1/(m-1)}, \quad τ = c t.

    Parameters
    ----------
    r : (...) float
        Distances from the source, of any shape; only their size counts, so x itself serves in d = 1.
    t : float
        Time since the point source, t > 0.
    dim : int
        Dimension d ≥ 1.
    exponent : float
        Power m > 1.
    coefficient, mass : float
        Factor c > 0 and mass ∫U > 0.

    Returns
    -------
    (...) float
        U at every r; zero outside the support.

    Raises
    ------
    ValueError, TypeError
        If an argument is not finite or outside the range stated above.

    Notes
    -----
    Evaluated from (1 − r/R)(1 + r/R), which keeps its digits at the front; relative error a few eps · p.

    References
    ----------
    Barenblatt (1952), Prikl. Mat. Mekh. 16; Pattle (1959), Quart. J. Mech. Appl. Math. 12; Vázquez (2007), The
    Porous Medium Equation, Section 4.4.

    Examples
    --------
    >>> barenblatt([0.0, 1.0, 2.0, 3.0], 1.0, dim=1, exponent=2).round(6)
    array([0.360562, 0.277229, 0.027229, 0.      ])
    """
    r = np.abs(_check.array("r", r, "pass distances from the source"))
    radius = barenblatt_radius(t, dim=dim, exponent=exponent, coefficient=coefficient, mass=mass)
    height = barenblatt_height(t, dim=dim, exponent=exponent, coefficient=coefficient, mass=mass)
    s = np.minimum(r / radius, 1.0)
    return height * ((1 - s) * (1 + s)) ** (1 / (exponent - 1))


def barenblatt_constant(*, dim: int, exponent: float, mass: float = 1.0) -> float:
    r"""The constant C of the Barenblatt solution of a given mass.

    .. math:: M = C^{p+d/2} κ^{-d/2} π^{d/2} Γ(p+1)/Γ(p+1+d/2), \quad p = 1/(m-1).

    Parameters
    ----------
    dim : int
        Dimension d ≥ 1.
    exponent : float
        Power m > 1.
    mass : float
        M > 0.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If an argument is outside the range stated above.

    References
    ----------
    Vázquez (2007), The Porous Medium Equation, Section 4.4.

    Examples
    --------
    >>> round(barenblatt_constant(dim=1, exponent=2), 6)
    0.360562
    """
    mass = _check.positive("mass", mass, "pass the integral of the solution")
    p, kappa = 1 / (check_exponent(exponent) - 1), _kappa(dim, exponent)
    ball = 0.5 * dim * math.log(math.pi / kappa) + math.lgamma(p + 1) - math.lgamma(p + 1 + 0.5 * dim)
    return math.exp((math.log(mass) - ball) / (p + 0.5 * dim))


def barenblatt_radius(t: float, *, dim: int, exponent: float, coefficient: float = 1.0, mass: float = 1.0) -> float:
    """Radius of the support, R = (C/κ)^{1/2} (c t)^β; arguments as in :func:`barenblatt`.

    Examples
    --------
    >>> round(barenblatt_radius(1.0, dim=1, exponent=2), 6)  # 9^(1/3)
    2.080084
    """
    _, beta = self_similar_exponents(dim, exponent)
    return _unit_radius(dim, exponent, mass) * _scaled_time(t, coefficient) ** beta


def barenblatt_time(radius: float, *, dim: int, exponent: float, coefficient: float = 1.0, mass: float = 1.0) -> float:
    """Time at which the support has this radius: the inverse of :func:`barenblatt_radius`.

    Examples
    --------
    >>> t = barenblatt_time(0.15, dim=2, exponent=3)
    >>> round(barenblatt_radius(t, dim=2, exponent=3), 15)
    0.15
    """
    radius = _check.positive("radius", radius, "pass the radius of the support")
    coefficient = _check.positive("coefficient", coefficient, "pass the factor c > 0 of the equation")
    _, beta = self_similar_exponents(dim, exponent)
    return (radius / _unit_radius(dim, exponent, mass)) ** (1 / beta) / coefficient


def barenblatt_height(t: float, *, dim: int, exponent: float, coefficient: float = 1.0, mass: float = 1.0) -> float:
    """Largest value, at the source: U(0, t) = C^p (c t)^{−α}; arguments as in :func:`barenblatt`.

    Examples
    --------
    >>> round(barenblatt_height(8.0, dim=1, exponent=2) / barenblatt_height(1.0, dim=1, exponent=2), 12)
    0.5
    """
    alpha, _ = self_similar_exponents(dim, exponent)
    constant = barenblatt_constant(dim=dim, exponent=exponent, mass=mass)
    return constant ** (1 / (exponent - 1)) * _scaled_time(t, coefficient) ** -alpha


def barenblatt_second_moment(
    t: float, *, dim: int, exponent: float, coefficient: float = 1.0, mass: float = 1.0
) -> float:
    """∫|x|²U dx = M R² d/(2p + 2 + d), by the Beta integral; arguments as in :func:`barenblatt`.

    Examples
    --------
    >>> round(barenblatt_second_moment(1.0, dim=1, exponent=2), 6)
    0.86535
    """
    radius = barenblatt_radius(t, dim=dim, exponent=exponent, coefficient=coefficient, mass=mass)
    return mass * radius**2 * dim / (2 / (exponent - 1) + 2 + dim)


def _kappa(dim: int, exponent: float) -> float:
    """κ = α(m−1)/(2md)."""
    alpha, _ = self_similar_exponents(dim, exponent)
    return alpha * (exponent - 1) / (2 * exponent * dim)


def _unit_radius(dim: int, exponent: float, mass: float) -> float:
    """(C/κ)^{1/2}, the radius at c t = 1."""
    return math.sqrt(barenblatt_constant(dim=dim, exponent=exponent, mass=mass) / _kappa(dim, exponent))


def _scaled_time(t: float, coefficient: float) -> float:
    """τ = c t."""
    t = _check.positive("t", t, "count time from the point source")
    return t * _check.positive("coefficient", coefficient, "pass the factor c > 0 of the equation")
