r"""Optimality of a two-layer network in the space of measures: a certificate from the first variation.

``E(μ) = F(μ) + ½λ∫|θ|²dμ`` is convex in μ, so first order conditions are sufficient: with ``G = F'(μ) + ½λ|θ|²``, μ is
a minimiser if and only if G is least on the support of μ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _check, parallel
from ..measures import ParticleMeasure
from ..models import Activation, Loss, TwoLayer
from ..models.losses import SQUARE
from . import _search


@dataclass(frozen=True, eq=False)
class OptimalityCertificate:
    """What :func:`optimality_certificate` found; it prints as a sentence.

    Parameters
    ----------
    least : float — least value of ``G − level`` found, for a homogeneous σ over ``|a| = |w| = 1``
    where : (p,) float — the parameters it was found at
    exact : bool — the search was over all directions, not from probes
    on_support : float — greatest ``|G − level|`` at particles θ of positive weight, for a homogeneous σ divided by
        ``½|θ|²`` where that is above 1: as if at ``|a| = |w| = 1``, but neurons that have nearly died count for little
    level : float — 0 for a homogeneous σ, else ``∫G dμ``
    gap : float — bound of ``E(μ) − inf E``, as good as the search for ``least``
    tolerance : float
    """

    least: float
    where: np.ndarray
    exact: bool
    on_support: float
    level: float
    gap: float
    tolerance: float

    @property
    def optimal(self) -> bool:
        """``least ≥ −tolerance`` and ``on_support ≤ tolerance``."""
        return self.least >= -self.tolerance and self.on_support <= self.tolerance

    def __str__(self) -> str:
        found = "least value" if self.exact else "least value found"
        return (
            f"{'optimal' if self.optimal else 'not optimal'} to {self.tolerance:.3g}: G has the {found} "
            f"{self.least:.3g} and is within {self.on_support:.3g} of {self.level:.3g} on the support; "
            f"E - inf E <= {self.gap:.3g}"
        )


def optimality_certificate(
    network: TwoLayer,
    mu: ParticleMeasure,
    x: np.ndarray,
    y: np.ndarray,
    *,
    penalty: float,
    loss: Loss = SQUARE,
    tolerance: float | None = None,
    probes: int = 4096,
    starts: int = 16,
    radius: float | None = None,
) -> OptimalityCertificate:
    r"""Whether a measure of neurons minimises the penalised risk over all measures.

    .. math:: G(θ) = F'(μ)(θ) + ½λ|θ|^2 = a\,s(w) + ½λ(a^2 + |w|^2), \quad s(w) = \frac1N\sum_i ∂_hℓ_i σ(w·x_i)

    (w with the bias, x_i with a 1, if there is one) is least on the support if μ is optimal, and only then. The best
    a for a given w is known, so w alone is searched. For σ homogeneous of degree 1 the least value of G is 0 or −∞,
    and 0 if and only if ``λ − |s| ≥ 0`` on the unit sphere: that is G over ``|a| = |w| = 1``, and ``least`` its least
    value. For another σ, ``level = ∫G dμ`` and ``least`` is the least value of ``−s²/2λ + ½λ|w|² − level``.

    Parameters
    ----------
    network : TwoLayer
    mu : ParticleMeasure — neurons (m, p)
    x, y : (N, d) and (N,) float — data
    penalty : float — λ > 0 of the penalty ``½λ∫|θ|²dμ``
    loss : Loss — the square loss unless given
    tolerance : float or None — of the verdict, in units of G; None means 0.05 λ
    probes : int — points at which G is evaluated
    starts : int — how many of them, each the best of a share of all, minimisation starts from
    radius : float or None — of the box for w if σ is not homogeneous; None means the mean of ``|∂_hℓ|`` over λ, beyond
        which G > 0 for any ``|σ| ≤ 1``; for other σ, and for the bound then, the search is one of that box alone

    Returns
    -------
    OptimalityCertificate

    Raises
    ------
    ValueError, TypeError
        For λ = 0 (at zero risk F' vanishes everywhere, whatever μ), another model, data that do not fit, an activation
        without derivative or homogeneous of another degree.

    Notes
    -----
    The bound: let |s| have the greatest value Q on the sphere. E is least over signed measures ρ on the sphere,
    ``inf E = min_ρ R(∫σ(w·)dρ) + λ|ρ|``, as ``½(a² + |w|²) ≥ |a||w|`` and neurons can be rescaled and be zero. R is
    convex, ``R(h_ρ) ≥ R(h_μ) + ∫s dρ − E[∂_hℓ h_μ]``, so ``R(h_ρ) + λ|ρ| ≥ E(μ) − ∫G dμ − (Q − λ)|ρ|``. A ρ no worse
    than μ has ``λ|ρ| ≤ E(μ)`` if ℓ ≥ 0. Hence ``E(μ) − inf E ≤ ∫G dμ + (Q/λ − 1)_+ E(μ)``. For a σ that is not
    homogeneous, convexity alone gives ``E(μ) − inf E ≤ ∫G dμ − inf G``. Where ℓ has corners the conditions are
    sufficient, not necessary.

    A homogeneous σ on the circle (w of two entries) is a sinusoid between the normals of the data, and |s| is greatest
    at one of 2N normals or 4N peaks: all are tried, and the result is exact. On other spheres a maximum that L-BFGS-B
    finds may lie on a corner of s; from there the greatest values on the faces through the nearest data normals are
    tried. Cost: O(N p) for each of the probes and for about 100 points a start; O(N²) on the circle. The probes are
    drawn from a generator of fixed seed.

    References
    ----------
    Chizat and Bach (2018), NeurIPS, Proposition 3.1; Bach (2017), JMLR 18, for the norm.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x, y = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([1.0, 0.0])
    >>> mu = mf.ParticleMeasure([[0.9, 0.9, 0.0]])  # the minimiser has a = |w| = √0.8
    >>> print(optimality_certificate(mf.TwoLayer(2, mf.relu), mu, x, y, penalty=0.1))
    optimal to 0.005: G has the least value 0.005 and is within 0.00405 of 0 on the support; E - inf E <= 0.00405
    """
    if not isinstance(network, TwoLayer):
        raise TypeError(f"network must be a TwoLayer (got {type(network).__name__}); others are not convex in μ")
    if _check.real("penalty", penalty, "pass λ > 0") <= 0:
        rule = "a certificate needs a penalty: without, F' vanishes at zero risk whatever μ"
        raise _check.fail(rule, f"penalty={penalty!r}", "pass λ > 0")
    homogeneous = _homogeneous(network.activation)
    if tolerance is None:
        tolerance = 0.05 * penalty
    _check.positive("tolerance", tolerance, "pass how far from 0 the first variation may be")
    starts = _check.integer("starts", starts, "pass 1 or more", at_least=1)
    probes = _check.integer("probes", probes, "pass as many as there are starts, or more", at_least=starts)

    x, y = network.data(x, y, loss)
    outputs = network.predict(mu, x)
    slopes = loss.derivative(outputs, y) / len(x)
    inputs = np.concatenate([x, np.ones((len(x), 1))], axis=1)[:, : network.parameters - 1]
    a, w = mu.positions[:, 0], mu.positions[:, 1:]
    squares = np.sum(mu.positions**2, axis=1)
    with parallel.one_thread_libraries():
        s = _search.first_variation(network.activation, inputs, slopes)
        values = a * s(w)[0] + 0.5 * penalty * squares
        mean, alive = float(mu.weights @ values), mu.weights > 0
        if homogeneous:
            direction, height, exact = _search.greatest_on_sphere(s, inputs, w, probes, starts)
            energy = float(np.mean(loss.value(outputs, y))) + 0.5 * penalty * float(mu.weights @ squares)
            level, least = 0.0, penalty - abs(height)
            gap = mean + max(abs(height) / penalty - 1.0, 0.0) * energy
            where = np.append(-np.sign(height), direction)
            values /= np.maximum(1.0, 0.5 * squares)
        else:
            size = float(np.sum(np.abs(slopes))) / penalty
            if radius is not None:
                size = _check.positive("radius", radius, "pass the half width of the box for w")
            size = max(size, float(np.abs(w).max()))
            weight, bottom = _search.least_in_box(s, penalty, size, w, probes, starts)
            exact, level, least, gap = False, mean, bottom - mean, mean - bottom
            where = np.append(-s(weight[None])[0] / penalty, weight)
    return OptimalityCertificate(
        least, where, exact, float(np.abs(values - level)[alive].max()), level, gap, float(tolerance)
    )


def _homogeneous(activation: Activation) -> bool:
    """Whether σ is homogeneous of degree 1; other degrees have another penalty that fits them."""
    if not activation.has_derivative:
        raise _check.fail("a search needs an activation with a derivative", repr(activation), "pass derivative=")
    if activation.homogeneity not in (None, 1):
        rule = "σ must be homogeneous of degree 1 or not at all"
        raise _check.fail(rule, f"{activation!r}, degree {activation.homogeneity:g}", "the penalty |θ|² fits no other")
    return activation.homogeneity == 1
