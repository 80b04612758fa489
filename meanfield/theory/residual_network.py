r"""A-priori Polyak–Łojasiewicz bounds for residual networks near u = 0, on balls of the conditional distance.

Derived in ``docs/design.md``. Nothing here looks at a run: the bounds follow from the particles at the start, the data
and bounds of the activation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .. import _check
from .._kernels import activation_functions as functions
from ..measures import LayeredMeasure
from .local_pl import ConvergenceCertificate, certify_path
from .residual_features import feature_gram, preactivations, readout_range, require_rest

if TYPE_CHECKING:
    from ..models import ResNet

RADII = 256  # of a certificate: the sum that stands for the integral loses two shares in so many


@dataclass(frozen=True)
class ActivationBounds:
    """What the bounds ask of an activation: ``|σ| ≤ value``, ``|σ'| ≤ slope``.

    Parameters
    ----------
    value, slope : float
    bell : bool — ``|σ'(z)|`` is even and does not increase in |z|, as that of tanh: sharper bounds
    """

    value: float
    slope: float
    bell: bool = False


KNOWN = {
    functions.TANH: ActivationBounds(1.0, 1.0, bell=True),
    functions.ERF: ActivationBounds(1.0, 2 / math.sqrt(math.pi), bell=True),
    functions.SIGMOID: ActivationBounds(1.0, 0.25, bell=True),
    functions.COS: ActivationBounds(1.0, 1.0),
}


@dataclass(frozen=True, eq=False)
class ResidualBounds:
    r"""``2 m(R) Risk ≤ |G|² ≤ 2 M(R) Risk`` on the ball of radius R in d around μ_0 with u = 0, for these data.

    .. math:: m(R) = \frac{s^2}{N} (a - Δ(R))_+^2 (1 - Q(R))_+^2, \qquad
              M(R) = \frac{S^2}{N} e^{2Q(R)} \big((A + Δ(R))^2 + Λ^2 B(R)^2 R^2\big).

    ``a² = (1/L) Σ_l λ_min(K_l)`` and ``A² = (1/L) Σ_l λ_max(K_l)`` come from the Gram matrices of the features; s and S
    are the extreme stretches of the readout, 1 without one; Δ bounds the change of features, Q the growth of covectors:

    .. math:: Δ(R) = R \sqrt{T(R)^2 + Λ^2 B(R)^2}, \quad Q(R) = Λ (ω R + R^2/2), \quad ω^2 = \int |w|^2 dμ_0.

    Parameters
    ----------
    network : ResNet
    start : LayeredMeasure — μ_0, with u = 0
    x : (N, d_in) float — data
    activation : ActivationBounds or None — None looks the built-in tanh, erf, sigmoid and cos up

    Raises
    ------
    ValueError, TypeError
        If u is not 0, if no bounds are known of the activation, or from the network.

    Notes
    -----
    For square loss, mean over the data, for the L layers of μ_0 as they are and for L → ∞ of such layers alike. Cost:
    L m N² once and for every radius; memory: L m N doubles.

    References
    ----------
    Barboni, Peyré & Vialard 2024, arXiv:2403.12887, for the local inequality; its constants: ``docs/design.md``.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> atoms = np.random.default_rng(0).normal(0.0, 3.0, size=(1, 200, 3))
    >>> atoms[..., 0] = 0.0
    >>> bounds = ResidualBounds(mf.ResNet(1, mf.tanh), mf.LayeredMeasure(atoms), [[-1.0], [0.0], [1.0]])
    >>> [round(bounds.lower(radius), 4) for radius in (0.0, 0.02, 0.04, 0.08)]
    [0.0421, 0.0301, 0.0207, 0.0081]
    """

    network: ResNet
    start: LayeredMeasure
    x: np.ndarray = field(repr=False)
    activation: ActivationBounds | None = None
    _constants: _Constants = field(init=False, repr=False)

    def __post_init__(self) -> None:
        require_rest(self.network, self.start)
        if self.activation is None:
            code = self.network.activation.code
            if code not in KNOWN:
                rule = "the bounds need |σ| and |σ'| bounded, by known numbers"
                raise _check.fail(rule, repr(self.network.activation), "pass activation=ActivationBounds(value, slope)")
            object.__setattr__(self, "activation", KNOWN[code])
        object.__setattr__(self, "_constants", _Constants.of(self.network, self.start, self.x))

    def lower(self, radius: float) -> float:
        """m(R), not increasing in R; at R = 0 ``a²/N``."""
        c = self._constants
        left = max(c.least - self.feature_change(radius), 0.0) * max(1 - self.covector_change(radius), 0.0)
        return (c.readout[0] * left) ** 2 / c.samples

    def upper(self, radius: float) -> float:
        """M(R)."""
        c, bounds = self._constants, self._bounds
        inner = bounds.slope * self._data_norm(radius) * radius
        square = (c.largest + self.feature_change(radius)) ** 2 + inner**2
        return c.readout[1] ** 2 * math.exp(2 * self.covector_change(radius)) * square / c.samples

    def feature_change(self, radius: float) -> float:
        """Δ(R): how far, in L²(ds), the operator ``c ↦ Σ c_i σ(w·x_i(s) + b)`` can be from that of μ_0."""
        moved = self._bounds.value * _radius(radius)
        return radius * math.hypot(self._through_states(moved), self._bounds.slope * self._data_norm(radius))

    def covector_change(self, radius: float) -> float:
        """Q(R): ``1 − Q ≤ |p_i(s)|/|p_i(1)| ≤ e^Q``."""
        return self._bounds.slope * (self._constants.spread * _radius(radius) + radius**2 / 2)

    def coarse(self, radius: float) -> float:
        r"""The bound in closed form, for ``|σ|, |σ'| ≤ 1`` and L → ∞: what `lower` sharpens.

        .. math:: \Big(a - R \big(\textstyle\sum_i (\sqrt{(|x_i| + R)^2 + 1} + ω)^2\big)^{1/2}\Big)_+^2
                  e^{-2R(ω + R)} / N.
        """
        c, bounds = self._constants, self._bounds
        if max(bounds.value, bounds.slope) > 1:
            raise _check.fail("the closed form needs |σ|, |σ'| ≤ 1", repr(bounds), "use lower(radius)")
        change = radius * np.linalg.norm(np.hypot(c.norms + _radius(radius), 1.0) + c.spread)
        left = max(c.least - float(change), 0.0) * math.exp(-radius * (c.spread + radius))
        return (c.readout[0] * left) ** 2 / c.samples

    def reach(self) -> float:
        """The radius at which m(R) becomes 0; 0 where it is 0 from the start."""
        low, high = 0.0, 1.0
        while self.lower(high) > 0:
            high *= 2
        while high - low > 1e-6 * high and high > 1e-12:
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.lower(middle) > 0 else (low, middle)
        return low

    @property
    def _bounds(self) -> ActivationBounds:
        assert self.activation is not None
        return self.activation

    def _data_norm(self, radius: float) -> float:
        """B(R): the largest singular value of the matrix with rows ``(x_i(s), 1)``."""
        return self._constants.augmented + math.sqrt(self._constants.samples) * self._bounds.value * radius

    def _through_states(self, moved: float) -> float:
        """T: features change by at most ``T |u|`` because the states move, by up to ``moved``.

        In layer l by ``A_l (|σ|/L) Σ_{k<l} |u_k|``, where ``A_l² = λ_max(∫|w|² e_i e_j dμ_0)``, e_i the largest |σ'|
        that ``w·x + b`` meets for ``|x − x_i| ≤ moved``: the norm of a triangular matrix, ``2 A|σ|/π`` if L is large.
        """
        c, bounds = self._constants, self._bounds
        slopes = np.full_like(c.preactivations, bounds.slope)
        if bounds.bell:
            derivative = self.network.activation.derivative
            assert derivative is not None
            nearest = np.maximum(np.abs(c.preactivations) - moved * c.lengths[..., None], 0.0)
            slopes = np.abs(derivative(nearest))
        weighted = np.sqrt(np.asarray(self.start.weights))[..., None] * c.lengths[..., None] * slopes
        norms = np.linalg.norm(weighted, ord=2, axis=(1, 2))
        depth = len(norms)
        below = np.tri(depth, k=-1) * norms[:, None] * bounds.value / depth
        return float(np.linalg.norm(below, ord=2))


@dataclass(frozen=True, eq=False)
class _Constants:
    """What the bounds need of particles and data: N, a, A, ω, |x_i|, σ_max of (x_i, 1), |w|, w·x_i + b, (s, S)."""

    samples: int
    least: float
    largest: float
    spread: float
    norms: np.ndarray
    augmented: float
    lengths: np.ndarray
    preactivations: np.ndarray
    readout: tuple[float, float]

    @classmethod
    def of(cls, network: ResNet, mu: LayeredMeasure, x: np.ndarray) -> _Constants:
        start = network.states(mu, x)[0]
        eigenvalues = np.linalg.eigvalsh(feature_gram(network, mu, x))
        rounding = 64 * np.finfo(float).eps * eigenvalues[:, -1]  # a singular Gram matrix certifies nothing
        least = np.where(eigenvalues[:, 0] > rounding, eigenvalues[:, 0], 0.0)
        lengths = np.linalg.norm(mu.positions[..., network.dim : 2 * network.dim], axis=-1)
        return cls(
            samples=len(start),
            least=math.sqrt(float(least.mean())),
            largest=math.sqrt(float(eigenvalues[:, -1].mean())),
            spread=math.sqrt(float((mu.weights * lengths**2).sum(axis=1).mean())),
            norms=np.linalg.norm(start, axis=1),
            augmented=float(np.linalg.norm(np.column_stack([start, np.ones(len(start))]), ord=2)),
            lengths=lengths,
            preactivations=preactivations(network, mu, x),
            readout=readout_range(network),
        )


def certify_residual(
    network: ResNet, mu: LayeredMeasure, x: np.ndarray, y: np.ndarray, *, activation: ActivationBounds | None = None
) -> ConvergenceCertificate:
    r"""Whether the conditional-OT gradient flow of the square loss from μ is proved to converge, and at which rate.

    Parameters
    ----------
    network, mu, x — as `ResidualBounds`; u = 0 in mu
    y : (N, d_out) float — labels
    activation : ActivationBounds or None — as `ResidualBounds`

    Returns
    -------
    ConvergenceCertificate
        By `certify_path`; ``lower`` is ``ResidualBounds.lower``.

    Raises
    ------
    ValueError, TypeError
        As `ResidualBounds`.

    Notes
    -----
    A sufficient condition: at N = 6, d = 2, L = 10, m = 100, (w, b) ~ N(0, 9 I) it certifies labels some 1e-3 from the
    data, where runs converge from 0.5.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> atoms = np.random.default_rng(0).normal(0.0, 3.0, size=(1, 200, 3))
    >>> atoms[..., 0] = 0.0
    >>> x = np.array([[-1.0], [0.0], [1.0]])
    >>> certify_residual(mf.ResNet(1, mf.tanh), mf.LayeredMeasure(atoms), x, 1.005 * x)
    ConvergenceCertificate(certified, gap=8.333e-06, largest_gap=0.0001173, radius=0.02183, rate=0.05835)
    """
    bounds = ResidualBounds(network, mu, x, activation)
    reach, risk = bounds.reach(), network.risk(mu, x, y)
    radii = np.linspace(0.0, reach if reach > 0 else 1.0, RADII + 1)[1:]
    return certify_path(bounds.lower, risk, radii=radii)


def _radius(value: float) -> float:
    if value < 0:
        raise _check.fail("a radius must not be negative", repr(value), "pass a distance")
    return value
