r"""The Barenblatt solution on the line as a measure: its distribution function, and the means of its quantile function.

With p = 1/(m − 1) and the radius R, the share of the mass left of x is the regularised incomplete Beta function
``I_{(1+x/R)/2}(p+1, p+1)``, and ``∫ x U dx`` is ``−½ R² U(0) (1 − x²/R²)^{p+1}/(p+1)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from .. import _check
from .barenblatt import barenblatt_height, barenblatt_radius


def barenblatt_distribution(x: Any, t: float, *, exponent: float, coefficient: float = 1.0) -> np.ndarray:
    r"""The share of the mass left of x in d = 1, :math:`F(x) = ∫_{-∞}^x U(y, t)\, dy` for mass 1.

    Parameters
    ----------
    x : (...) float
    t : float — time since the point source at 0, t > 0
    exponent, coefficient : float — m > 1 and c > 0

    Returns
    -------
    (...) float

    Raises
    ------
    ValueError, TypeError
        If an argument is not finite or outside the range stated above.

    References
    ----------
    Vázquez (2007), The Porous Medium Equation, Section 4.4.

    Examples
    --------
    >>> barenblatt_distribution([-3.0, 0.0, 1.0], 1.0, exponent=2).round(6)
    array([0.      , 0.5     , 0.832785])
    """
    x = _check.array("x", x, "pass points on the line")
    radius = barenblatt_radius(t, dim=1, exponent=exponent, coefficient=coefficient)
    p = 1 / (exponent - 1)
    return special.betainc(p + 1, p + 1, np.clip(0.5 * (1 + x / radius), 0.0, 1.0))


def barenblatt_quantile_means(masses: Any, t: float, *, exponent: float, coefficient: float = 1.0) -> np.ndarray:
    r"""The centres of mass of consecutive portions of the Barenblatt solution of mass 1 in d = 1, from left to right.

    .. math:: \bar x_i = \frac{1}{a_i} ∫_{a_1 + … + a_{i-1}}^{a_1 + … + a_i} F^{-1}(u) \, du.

    Of all clouds with weights a these are nearest to the solution in W₂. For any other in this order of the weights,

    .. math:: W_2^2 = \sum_i a_i |x_i - \bar x_i|^2 + ∫x^2 U \, dx - \sum_i a_i \bar x_i^2.

    Parameters
    ----------
    masses : (N,) float — a_i > 0, of sum 1
    t : float — time since the point source at 0, t > 0
    exponent, coefficient : float — m > 1 and c > 0

    Returns
    -------
    (N,) float

    Raises
    ------
    ValueError, TypeError
        If an argument is not finite or outside the range stated above.

    Notes
    -----
    By closed forms, to rounding: an absolute error of some eps R over the least mass.

    Examples
    --------
    >>> barenblatt_quantile_means([0.5, 0.5], 1.0, exponent=2).round(6)
    array([-0.780031,  0.780031])
    """
    masses = _check.array("masses", masses, "pass the masses of the portions")
    if masses.ndim != 1 or masses.size == 0 or not masses.min() > 0 or abs(masses.sum() - 1) > 1e-9:
        raise _check.fail(
            "masses must be positive and sum to 1", f"shape {masses.shape}, sum {masses.sum():.9g}", "normalise them"
        )
    profile: dict[str, Any] = {"dim": 1, "exponent": exponent, "coefficient": coefficient}
    radius, p = barenblatt_radius(t, **profile), 1 / (exponent - 1)
    shares = np.cumsum(masses) / masses.sum()
    s = 2 * special.betaincinv(p + 1, p + 1, np.concatenate([[0.0], np.minimum(shares, 1.0)])) - 1
    moments = -0.5 * radius**2 * barenblatt_height(t, **profile) * ((1 - s) * (1 + s)) ** (p + 1) / (p + 1)
    return np.diff(moments) / masses
