r"""Local Polyak–Łojasiewicz theory: when a bound near the start proves that a gradient flow converges, and how fast.

The bound is a non-increasing function m with ``2 m(r) (E − E*) ≤ |∂E|²`` on the ball of radius r around the start. It
must come from theory, for the whole ball: what a run shows of it can refute it and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from .. import _check

Bound = Callable[[float], float]
REMEDY = "pass radii at which the bound is positive, as numpy.linspace(0, R, 257)[1:]"


class PLVerdict(Enum):
    """What is known of a flow; ``.value`` is what tables show, ``.sentence`` what a person reads."""

    CERTIFIED = "certified", "the bound proves that the flow converges, at this rate and inside this ball"
    NOT_CERTIFIED = "not certified", "the bound does not reach so far: the flow may converge or not"
    BOUND_VIOLATED = "bound violated", "a run contradicts the bound, or what follows from it: the bound is wrong"

    sentence: str

    def __new__(cls, value: str, sentence: str) -> PLVerdict:
        member = object.__new__(cls)
        member._value_ = value
        member.sentence = sentence
        return member


@dataclass(frozen=True)
class ConvergenceCertificate:
    """What an a-priori bound m says of a flow that starts with ``E − E* = gap``.

    Parameters
    ----------
    verdict : PLVerdict
    lower : callable — m, radius to constant
    gap : float — E(μ_0) − E*
    largest_gap : float — the largest gap the criterion certifies with this bound
    radius : float — certified: the flow never leaves this ball; else the radius of the largest gap
    constant : float — m there: ``E(μ_t) − E* ≤ e^{−2mt}·gap`` if certified
    """

    verdict: PLVerdict
    lower: Bound
    gap: float
    largest_gap: float
    radius: float
    constant: float

    @property
    def rate(self) -> float:
        """2m."""
        return 2 * self.constant

    def __repr__(self) -> str:
        numbers = f"gap={self.gap:.4g}, largest_gap={self.largest_gap:.4g}, radius={self.radius:.4g}"
        return f"ConvergenceCertificate({self.verdict.value}, {numbers}, rate={self.rate:.4g})"


def certify_ball(lower: Bound, gap: float, *, radii: np.ndarray) -> ConvergenceCertificate:
    r"""The criterion of one ball, at the smallest radius that meets it.

    .. math:: \frac{2 (E_0 - E^*)}{m(R)} ≤ R^2 \;⟹\; d(μ_t, μ_0) ≤ R, \quad E_t - E^* ≤ e^{-2m(R)t} (E_0 - E^*).

    Parameters
    ----------
    lower : callable — m ≥ 0, a function of the radius that does not increase
    gap : float — E_0 − E* ≥ 0
    radii : (n,) float — increasing radii R > 0 to try

    Returns
    -------
    ConvergenceCertificate

    Raises
    ------
    ValueError, TypeError
        For a negative gap, radii that are not positive and increasing, a bound that increases or is negative.

    Notes
    -----
    Inside the ball ``d√(E − E*)/dℓ = −|∂E|/(2√(E − E*)) ≤ −√(m/2)`` along the path length ℓ ≥ d(μ_t, μ_0), so the gap
    is gone, or nearly, before ``ℓ = √(2·gap/m) ≤ R``.

    References
    ----------
    Polyak 1963; Łojasiewicz 1963; Barboni (2022), note, th. 2, for the flow instead of descent.

    Examples
    --------
    >>> certify_ball(lambda r: 1.0, 2.0, radii=[1.0, 2.0, 3.0])
    ConvergenceCertificate(certified, gap=2, largest_gap=4.5, radius=2, rate=2)
    """
    radii, values, gap = _checked(lower, gap, radii)
    return _certificate(lower, gap, radii, values, 0.5 * values * radii**2)


def certify_path(lower: Bound, gap: float, *, radii: np.ndarray) -> ConvergenceCertificate:
    r"""The criterion along the path, at the smallest radius that meets it: never worse than one ball, up to the radii.

    .. math:: \int_0^R \sqrt{m(r)/2} \, dr ≥ \sqrt{E_0 - E^*} \;⟹\; d(μ_t, μ_0) ≤ R, \quad
              E_t - E^* ≤ e^{-2m(R)t} (E_0 - E^*).

    Parameters, errors and references are those of :func:`certify_ball`.

    Notes
    -----
    ``d√(E − E*)/dℓ ≤ −√(m(ℓ)/2)`` holds with m at the path length reached, not with the m of the last ball: for
    ``m = m_0 (1 − r/R_0)_+²`` that certifies gaps 4 × larger. The integral is a sum with m at the right end of every
    interval, a lower bound whatever the radii: it loses a share 1/n of the gap or two on n equal intervals.

    Examples
    --------
    >>> certify_path(lambda r: 1.0, 2.0, radii=[1.0, 2.0, 3.0])
    ConvergenceCertificate(certified, gap=2, largest_gap=4.5, radius=2, rate=2)
    """
    radii, values, gap = _checked(lower, gap, radii)
    return _certificate(lower, gap, radii, values, np.cumsum(np.sqrt(values / 2) * np.diff(radii, prepend=0.0)) ** 2)


def check_run(
    certificate: ConvergenceCertificate,
    energy: np.ndarray,
    dissipation: np.ndarray,
    distance: np.ndarray,
    *,
    time: np.ndarray | None = None,
    tolerance: float = 1e-9,
) -> ConvergenceCertificate:
    r"""The certificate after a run: the same one, or ``bound violated``. A run never certifies anything.

    .. math:: |∂E|^2(μ_t) ≥ 2 m(d(μ_t, μ_0)) (E_t - E^*) \quad \text{for every } t;

    and, where the certificate says certified, ``d ≤ R`` and, with times, ``E − E* ≤ e^{−2mt}·gap``.

    Parameters
    ----------
    certificate : ConvergenceCertificate
    energy, dissipation, distance : (n,) float
        E − E*, |∂E|² and d(μ_t, μ_0) at n states: those of a run, or any others, as the inequality holds for all.
    time : (n,) float or None — their times on one flow from the start; None leaves the rate out
    tolerance : float — relative: rounding; with times or a certified ball, also the error of the time stepping

    Returns
    -------
    ConvergenceCertificate

    Raises
    ------
    ValueError, TypeError
        For series of different lengths, or with entries that are not finite.

    Examples
    --------
    >>> wrong = certify_path(lambda r: 10.0, 2.0, radii=[1.0])
    >>> check_run(wrong, energy=[2.0, 1.0], dissipation=[4.0, 2.0], distance=[0.0, 0.3]).verdict.value
    'bound violated'
    """
    energy = _check.array("energy", energy, "pass E − E* at every save")
    if energy.ndim != 1:
        raise _check.fail("energy must have shape (n,)", f"shape {energy.shape}", "pass one number a save")
    dissipation = _check.array("dissipation", dissipation, "pass |∂E|² at every save", shape=energy.shape)
    distance = _check.array("distance", distance, "pass d(μ_t, μ_0) at every save", shape=energy.shape)
    slack = 1 + _check.real("tolerance", tolerance, "pass a relative tolerance")
    bound = np.array([certificate.lower(float(r)) for r in distance])
    violated = bool(np.any(2 * bound * energy > slack * dissipation))
    if certificate.verdict is PLVerdict.CERTIFIED:
        violated |= bool(np.any(distance > slack * certificate.radius))
        if time is not None:
            time = _check.array("time", time, "pass the time of every save", shape=energy.shape)
            violated |= bool(np.any(energy > slack * certificate.gap * np.exp(-certificate.rate * time)))
    return replace(certificate, verdict=PLVerdict.BOUND_VIOLATED) if violated else certificate


def _checked(lower: Bound, gap: float, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    radii = _check.array("radii", radii, REMEDY)
    if radii.ndim != 1 or not radii.size or radii[0] <= 0 or (np.diff(radii) <= 0).any():
        raise _check.fail("radii must be positive and increase", np.array2string(radii, threshold=6), REMEDY)
    gap = _check.real("gap", gap, "pass E(μ_0) − E*")
    if gap < 0:
        raise _check.fail("gap must not be negative", repr(gap), "subtract the infimum of the energy, not more")
    values = _check.array("lower(radius)", [lower(float(r)) for r in radii], "correct the bound", shape=radii.shape)
    if values[-1] < 0 or (np.diff(values) > 1e-12 * values[0]).any():
        raise _check.fail("lower must be ≥ 0 and not increase", np.array2string(values, threshold=6), "correct it")
    return radii, values, gap


def _certificate(
    lower: Bound, gap: float, radii: np.ndarray, values: np.ndarray, certified: np.ndarray
) -> ConvergenceCertificate:
    """From the gap certified at every radius: the smallest radius with a positive rate that will do."""
    best, enough = int(np.argmax(certified)), np.flatnonzero((certified >= gap) & (values > 0))
    index = int(enough[0]) if enough.size else best
    verdict = PLVerdict.CERTIFIED if enough.size else PLVerdict.NOT_CERTIFIED
    numbers = float(certified[best]), float(radii[index]), float(values[index])
    return ConvergenceCertificate(verdict, lower, gap, *numbers)
