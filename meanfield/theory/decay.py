r"""Laws of growth and decay for the porous-medium equation ∂_t ρ = c Δρ^m, with their hypotheses.

On the torus the flow is linear near its mean and dissipates the L² distance at every instant; on R^d it spreads
like its source solution. All quantities are dimensionless, the torus has period 1.
"""

from __future__ import annotations

import math

from .. import _check

FIRST_EIGENVALUE = 4 * math.pi**2
"""Least positive eigenvalue of −Δ on T^d, λ₁ = 4π², the best Poincaré constant: ‖∇f‖² ≥ λ₁‖f − f̄‖²."""


def check_exponent(exponent: float) -> float:
    """m as a float, refused unless m > 1 (slow diffusion: finite speed, compact supports)."""
    m = _check.real("exponent", exponent, "pass the power m of ∂ρ/∂t = c Δρ^m")
    if not m > 1:
        raise _check.fail("exponent must be above 1", repr(exponent), "the source solution here is for slow diffusion")
    return m


def self_similar_exponents(dim: int, exponent: float) -> tuple[float, float]:
    r"""Exponents of the source solution on R^d.

    .. math:: \sup ρ \sim t^{-α}, \quad \text{front radius} \sim t^{β}, \quad α = \frac{d}{d(m-1)+2}, \; β = α/d.

    Parameters
    ----------
    dim : int
        Dimension d ≥ 1.
    exponent : float
        Power m > 1.

    Returns
    -------
    alpha, beta : float

    Raises
    ------
    ValueError
        If d < 1 or m ≤ 1.

    Notes
    -----
    Exact for the source solution. For other integrable compactly supported data the laws hold as t → ∞ on R^d; on
    the torus only while nothing reaches the cut.

    References
    ----------
    Vázquez (2007), The Porous Medium Equation, Section 4.4 and Chapter 18.

    Examples
    --------
    >>> self_similar_exponents(1, 2.0)
    (0.3333333333333333, 0.3333333333333333)
    """
    d = _check.integer("dim", dim, "pass the dimension d of space", at_least=1)
    beta = 1 / (d * (check_exponent(exponent) - 1) + 2)
    return d * beta, beta


def relaxation_rate(
    mean: float, *, exponent: float, coefficient: float = 1.0, eigenvalue: float = FIRST_EIGENVALUE
) -> float:
    r"""Rate r of ½‖ρ − ρ̄‖² ~ e^{−rt} close to the mean.

    .. math:: r = 2 λ_1 c m \bar ρ^{m-1}, \qquad ∂_t h = c m \bar ρ^{m-1} Δh \text{ for } ρ = \bar ρ + h.

    Parameters
    ----------
    mean : float
        Mean ρ̄ > 0, conserved by the flow.
    exponent : float
        Power m ≥ 1.
    coefficient : float
        Factor c > 0.
    eigenvalue : float
        λ₁ of −Δ: 4π² on the torus, or a grid's own.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If m < 1 or another argument is not positive.

    Notes
    -----
    Hypotheses: ρ > 0, t → ∞ (the error of the rate is of the size of ‖ρ − ρ̄‖_∞), and a first mode that is not zero;
    without one the rate is that of the first mode present. With (m, c, ρ̄) = (3, 1/3, 1) it is 8π².

    References
    ----------
    Alikakos and Rostamian (1981), Indiana Univ. Math. J. 30 (the Neumann problem; the torus is alike).

    Examples
    --------
    >>> relaxation_rate(1.0, exponent=3, coefficient=1 / 3) / math.pi**2
    8.0
    """
    mean = _check.positive("mean", mean, "pass the mass of the density on the unit torus")
    return 2 * _linear_diffusion(mean, exponent, coefficient) * _checked_eigenvalue(eigenvalue)


def dissipation_bound(
    squared_distance: float,
    minimum: float,
    *,
    exponent: float,
    coefficient: float = 1.0,
    eigenvalue: float = FIRST_EIGENVALUE,
) -> float:
    r"""Lower bound, at one instant, for the decay of the L² distance to the mean on the torus.

    .. math:: -\frac{d}{dt} ½‖ρ - \bar ρ‖^2 = c m ∫ρ^{m-1}|∇ρ|^2 ≥ λ_1 c m \, ρ_{\min}^{m-1} ‖ρ - \bar ρ‖^2.

    Parameters
    ----------
    squared_distance : float
        ‖ρ − ρ̄‖² ≥ 0 in L²(T^d).
    minimum : float
        ρ_min ≥ 0; where it vanishes, so does the bound.
    exponent : float
        Power m ≥ 1.
    coefficient : float
        Factor c > 0.
    eigenvalue : float
        λ₁ of −Δ: 4π² on the torus, or a grid's own (see :func:`two_point_eigenvalue`).

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If m < 1, the squared distance or the minimum is negative, or another argument is not positive.

    Notes
    -----
    Hypotheses: ρ ≥ 0 with ρ^m in H¹; no smallness. The proof is the Poincaré inequality after ρ^{m−1} ≥ ρ_min^{m−1}.
    It passes to the two-point flux on ρ^m in continuous time, as (a − b)(a^m − b^m) ≥ m min(a, b)^{m−1}(a − b)², with
    that grid's λ₁; implicit Euler obeys it with ρ at the end of the step on the right.

    References
    ----------
    Elementary; the energy identity is in Vázquez (2007), The Porous Medium Equation, Chapter 3.

    Examples
    --------
    >>> dissipation_bound(0.02, 0.5, exponent=2) < relaxation_rate(1.0, exponent=2) * 0.02 / 2
    True
    """
    squared_distance = _non_negative("squared_distance", squared_distance, "pass the squared L² norm of ρ − ρ̄")
    minimum = _non_negative("minimum", minimum, "pass the least value of the density")
    return _linear_diffusion(minimum, exponent, coefficient) * _checked_eigenvalue(eigenvalue) * squared_distance


def two_point_eigenvalue(n: int) -> float:
    r"""First eigenvalue of the two-point (3-point in d = 1, 5-point in d = 2) Laplacian on n points an axis.

    .. math:: λ_1^h = 4 n^2 \sin^2(π/n) = 4π^2 (1 - π^2/3n^2 + …).

    Parameters
    ----------
    n : int
        Points an axis of the unit torus, n ≥ 2.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If n < 2.

    References
    ----------
    Strang (2007), Computational Science and Engineering, Section 1.5.

    Examples
    --------
    >>> round(two_point_eigenvalue(4), 12)
    32.0
    """
    n = _check.integer("n", n, "pass the number of points an axis", at_least=2)
    return (2 * n * math.sin(math.pi / n)) ** 2


def second_moment_rate(power_integral: float, *, dim: int, coefficient: float = 1.0) -> float:
    r"""Growth of the second moment, a law for all solutions of ∂_t u = c Δu^m on R^d.

    .. math:: \frac{d}{dt} ∫|x|^2 u \, dx = 2 d c ∫u^m \, dx.

    Parameters
    ----------
    power_integral : float
        ∫u^m ≥ 0.
    dim : int
        Dimension d ≥ 1.
    coefficient : float
        Factor c > 0.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ∫u^m is negative, d < 1 or c ≤ 0.

    Notes
    -----
    Hypotheses: finite second moment; on the torus, support away from the cut |x_a| = ½. Two integrations by parts and
    Δ|x|² = 2d prove it, for any m > 0; second differences of |x|² are 2 too, so the two-point flux has the same law.

    References
    ----------
    Otto (2001), Comm. Partial Differential Equations 26 (the moment identity in self-similar variables).

    Examples
    --------
    >>> second_moment_rate(1.5, dim=2)
    6.0
    """
    power_integral = _non_negative("power_integral", power_integral, "pass the integral of u^m")
    d = _check.integer("dim", dim, "pass the dimension d of space", at_least=1)
    return 2 * d * _check.positive("coefficient", coefficient, "pass the factor c > 0 of the equation") * power_integral


def _linear_diffusion(value: float, exponent: float, coefficient: float) -> float:
    """c m ρ^{m−1}: the diffusion coefficient of the equation linearised at ρ = ``value``."""
    m = _check.real("exponent", exponent, "pass the power m of ∂ρ/∂t = c Δρ^m")
    if m < 1:
        raise _check.fail("exponent must be at least 1", repr(exponent), "below 1 the diffusion grows where ρ is small")
    return _check.positive("coefficient", coefficient, "pass the factor c > 0 of the equation") * m * value ** (m - 1)


def _checked_eigenvalue(eigenvalue: float) -> float:
    return _check.positive("eigenvalue", eigenvalue, "pass 4π² or the first eigenvalue of the grid's −Δ")


def _non_negative(name: str, value: float, remedy: str) -> float:
    number = _check.real(name, value, remedy)
    if number < 0:
        raise _check.fail(f"{name} must not be negative", repr(value), remedy)
    return number
