r"""Laws of decay for the kernelised porous-medium flow ∂_t ρ = div(ρ K*(ρ∇δℓ)) near ρ = 1 on the torus.

The kernel is that of order s and length ε, K̂ = (1 + ε²|2πk|²)^{−s}; ℓ is the L² distance, the Kullback–Leibler
divergence (both loss order q = 0), or the distance of H^{−q}, whose Hessian has the multiplier (1 + |2πk|²)^{−q}.
"""

from __future__ import annotations

import math

from .. import _check


def mode_rate(wavenumber: float, *, order: float, length: float = 1.0, loss_order: float = 0.0) -> float:
    r"""Rate λ at which a mode of the density decays: ρ̂_k ~ e^{−λt}.

    .. math:: λ(k) = |2πk|^2 (1 + ε^2|2πk|^2)^{-s} (1 + |2πk|^2)^{-q}.

    Parameters
    ----------
    wavenumber : float
        |k| > 0.
    order, length : float
        s ≥ 0 (0 is the Dirac kernel) and ε > 0 of the kernel.
    loss_order : float
        q ≥ 0: 0 for the L² distance and the Kullback–Leibler divergence to the uniform density.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a wavenumber or length is not positive, an order negative.

    Notes
    -----
    Hypothesis: ρ → 1; the error of the rate is of the size of the contrast, of its square for a mode alone. λ → 0 as
    k → ∞ where s + q > 1: there is no spectral gap, and smooth data end in their highest modes.

    Examples
    --------
    >>> print(f"{mode_rate(1, order=0) / math.pi**2:.6f} {mode_rate(1, order=1):.6f}")
    4.000000 0.975295
    """
    squared = (2 * math.pi * _check.positive("wavenumber", wavenumber, "pass |k| > 0")) ** 2
    s, q = _order("order", order), _order("loss_order", loss_order)
    length = _check.positive("length", length, "pass the length ε of the kernel")
    return squared * (1 + length**2 * squared) ** -s * (1 + squared) ** -q


def algebraic_exponent(*, regularity: float, order: float, loss_order: float = 0.0) -> float:
    r"""Exponent γ of ℓ ~ t^{−γ} for data whose spectrum falls like a power.

    .. math:: |ρ̂_k| \sim |k|^{-r-d/2} \;⟹\; ℓ \sim t^{-γ}, \qquad γ = \frac{r + q}{s + q - 1}.

    Parameters
    ----------
    regularity : float
        r > 0: the datum has all derivatives of order below r in L².
    order : float
        s of the kernel.
    loss_order : float
        q of the loss.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If s + q ≤ 1 (then the decay is exponential), or r ≤ 0.

    Notes
    -----
    At time t the modes up to k_c ~ t^{1/(2s+2q−2)}, λ(k_c)t = 1, are gone; those beyond are as they were and carry
    Σ_{k>k_c} k^{−2q}k^{−2r−1} ~ k_c^{−2r−2q}. Hypotheses: ρ near 1, ε|2πk_c| ≫ 1, k_c far below the greatest |k|.

    Examples
    --------
    >>> algebraic_exponent(regularity=1, order=2)
    1.0
    """
    s, q = _order("order", order), _order("loss_order", loss_order)
    r = _check.positive("regularity", regularity, "pass the r > 0 of |ρ̂_k| ~ |k|^(−r−d/2)")
    if not s + q > 1:
        raise _check.fail("order + loss_order must exceed 1", f"{s + q:g}", "at 1 and below the decay is exponential")
    return (r + q) / (s + q - 1)


def crossover_time(wavenumber: float, *, order: float, length: float = 1.0, loss_order: float = 0.0) -> float:
    r"""Time at which the modes up to |k| are gone: λ(k)t = 1 with λ in its limit ε|2πk| ≫ 1.

    .. math:: t = ε^{2s} |2πk|^{2s + 2q - 2}.

    Parameters and errors are those of :func:`mode_rate`.

    Examples
    --------
    >>> print(f"{crossover_time(5, order=2):.1f}")
    987.0
    """
    kappa = 2 * math.pi * _check.positive("wavenumber", wavenumber, "pass |k| > 0")
    s, q = _order("order", order), _order("loss_order", loss_order)
    length = _check.positive("length", length, "pass the length ε of the kernel")
    return length ** (2 * s) * kappa ** (2 * s + 2 * q - 2)


def _order(name: str, value: float) -> float:
    number = _check.real(name, value, "pass an order of 0 or more")
    if number < 0:
        raise _check.fail(f"{name} must not be negative", repr(value), "pass an order of 0 or more")
    return number
