r"""Two-layer networks on rotation-invariant data: the flow reduces to the law of (a, |w|).

For x ~ N(0, I_d), labels ``y = g(|x|)`` and a start that rotations of w leave as it is, all this stays so. With
``ψ(t) = E σ(t u·e)`` for u uniform on the sphere and ρ = |x|,

.. math:: h(x) = \int a\, ψ(rρ)\, dμ(a, r), \quad F'(μ)(a, r) = a\, E[(h - g)(ρ)\, ψ(rρ)], \quad r = |w|,
          \quad \dot a = -E[(h - g) ψ(rρ)] - λa, \quad \dot r = -a\, E[(h - g) ρ\, ψ'(rρ)] - λr.

That is a continuity equation in (a, r), and particles are its characteristics. From one and the same a for all neurons
the measure stays on a curve: characteristics from the quantiles of r at the start discretise it with no noise, and
sorted they are the quantiles of r (while r increases along the curve they need no sorting).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .. import _check
from ..measures import ParticleMeasure
from ..models import Activation

MOST = 340  # dimensions: Γ(d/2), the mass of Laguerre's rule, is finite


@dataclass(frozen=True, eq=False)
class RadialNetwork:
    """The training of a two-layer network on x ~ N(0, I_d), y = g(|x|), reduced to the measure of (a, r), r = |w|.

    Parameters
    ----------
    dim : int — d, from 2 to 340
    activation : Activation — σ, smooth; an odd one has ψ = 0, and relu ψ(t) = ct, so that h is a multiple of |x|
    target : callable — g, lengths (k,) to labels (k,)
    penalty : float — λ ≥ 0 of ``½λ∫(a² + r²)dμ``
    nodes : int — points of Gauss's rules, for |x|²/2 (Laguerre) and for u·e (Jacobi) each

    Raises
    ------
    ValueError, TypeError
        For d out of range, an activation that is not smooth, labels of another shape or not finite, a negative penalty.

    Notes
    -----
    Quadrature converges faster than any power of the number of nodes where σ is smooth and g a smooth function of |x|².
    One velocity of n particles costs n · nodes² values of σ and of σ'. The values ``|w_i|`` of a network of m neurons,
    trained on N samples up to a fixed time, are at W₂ distance ``O(m^{−1/2} + N^{−1/2})`` of the reduction: by the
    draws of neurons and of samples, both at the start and through the outputs they make.

    References
    ----------
    Mei, Montanari and Nguyen (2018), PNAS 115, isotropic Gaussians (there a is fixed).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> radial = RadialNetwork(3, mf.cos, lambda length: length**2)
    >>> mu = mf.ParticleMeasure([[2.0, 0.5]])
    >>> length = np.array([1.0])
    >>> print(radial.predict(mu, length), 2 * np.sin(0.5 * length) / (0.5 * length))  # ψ(t) = sin t / t for d = 3
    [1.91770215] [1.91770215]
    """

    dim: int
    activation: Activation
    target: Callable[[np.ndarray], np.ndarray]
    penalty: float = field(default=0.0, kw_only=True)
    nodes: int = field(default=40, kw_only=True)
    _lengths: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False)
    _heights: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False)
    _labels: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from scipy import special

        if _check.integer("dim", self.dim, "on a line there is nothing to rotate", at_least=2) > MOST:
            raise _check.fail(f"dim must be at most {MOST}", str(self.dim), "there |x| is constant to a few percent")
        if not isinstance(self.activation, Activation):
            raise TypeError(
                f"activation must be an Activation (got {type(self.activation).__name__}); pass mf.softplus"
            )
        if not (self.activation.smooth and self.activation.has_derivative):
            raise _check.fail("the reduction needs a smooth activation", repr(self.activation), "pass mf.softplus")
        if _check.real("penalty", self.penalty, "pass λ >= 0") < 0:
            raise _check.fail("penalty must not be negative", repr(self.penalty), "pass λ >= 0")
        _check.integer("nodes", self.nodes, "pass the number of quadrature points", at_least=2)
        halves, weights = special.roots_genlaguerre(self.nodes, self.dim / 2 - 1)  # |x|²/2 has the Gamma law of d/2
        lengths = np.sqrt(2 * halves)
        power = (self.dim - 3) / 2  # u·e has the density (1 − t²)^{(d−3)/2}
        heights, shares = special.roots_jacobi(self.nodes, power, power)
        object.__setattr__(self, "_lengths", (lengths, weights / weights.sum()))
        object.__setattr__(self, "_heights", (heights, shares / shares.sum()))
        labels = _check.array("labels", self.target(lengths), "pass g from (k,) to (k,)", shape=lengths.shape)
        object.__setattr__(self, "_labels", labels)

    def start(self, number: int, *, scale: float = 1.0, a: float = 1.0) -> ParticleMeasure:
        """The measure of (a, |w|) for one a and w ~ N(0, scale² I), by the n midpoint quantiles of |w|: (n, 2)."""
        from scipy import stats

        number = _check.integer("number", number, "pass the number of quantiles", at_least=1)
        scale, a = _check.positive("scale", scale, "pass the standard deviation of w"), _check.real("a", a, "pass a")
        r = scale * stats.chi.ppf((np.arange(number) + 0.5) / number, self.dim)
        return ParticleMeasure(np.column_stack([np.full(number, a), r]))

    def predict(self, mu: ParticleMeasure, length: np.ndarray) -> np.ndarray:
        """``h(x)`` at points of length |x|, (k,) to (k,)."""
        a, r = self._particles(mu)
        length = _check.array("length", length, "pass lengths |x|", shape=(np.size(length),))
        return (mu.weights * a) @ self._means(self.activation, r, length)

    def risk(self, mu: ParticleMeasure) -> float:
        """``½E|h − y|²`` over the whole population, without the penalty."""
        lengths, shares = self._lengths
        return 0.5 * float(shares @ (self.predict(mu, lengths) - self._labels) ** 2)

    def velocity(self, mu: ParticleMeasure) -> np.ndarray:
        """``(ȧ, ṙ)`` at the particles, (n, 2)."""
        a, r = self._particles(mu)
        lengths, shares = self._lengths
        values = self._means(self.activation, r, lengths)
        residual = shares * ((mu.weights * a) @ values - self._labels)
        slopes = self._means(self.activation.derivative, r, lengths, moment=True)  # type: ignore[arg-type]
        force = np.column_stack([values @ residual, a * (slopes @ (lengths * residual))])
        return -force - self.penalty * mu.positions

    def solve(self, mu: ParticleMeasure, *, t_end: float, steps: int) -> ParticleMeasure:
        """The measure at ``t_end`` by RK4 in equal steps, of order 4 in ``t_end/steps``.

        A particle that comes to r < 0 is one of r = |r|, as ψ is even: compare |r|.
        """
        dt = _check.positive("t_end", t_end, "pass a time > 0") / _check.integer("steps", steps, "pass 1", at_least=1)
        for _ in range(steps):
            rates, stage = [], mu
            for share in (0.5, 0.5, 1.0, 0.0):
                rates.append(self.velocity(stage))
                stage = ParticleMeasure(mu.positions + share * dt * rates[-1], mu.weights)
            total = rates[0] + 2 * rates[1] + 2 * rates[2] + rates[3]
            mu = ParticleMeasure(mu.positions + dt / 6 * total, mu.weights)
        return mu

    def _particles(self, mu: ParticleMeasure) -> tuple[np.ndarray, np.ndarray]:
        if not isinstance(mu, ParticleMeasure) or mu.torus is not None or mu.dim != 2:
            raise _check.fail("mu must be a ParticleMeasure of rows (a, r)", repr(mu), "use the method start")
        return mu.positions[:, 0], mu.positions[:, 1]

    def _means(self, function: Callable, r: np.ndarray, length: np.ndarray, moment: bool = False) -> np.ndarray:
        """``E f(r_j ρ_i t)``, or ``E t f(…)``, over the heights t = u·e: (n, k)."""
        heights, shares = self._heights
        total = np.zeros((len(r), len(length)))
        for height, share in zip(heights, shares * heights if moment else shares):
            total += share * function(np.outer(r, height * length))
        return total
