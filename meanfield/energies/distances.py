"""Distances to a target density as energies."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .. import _check
from ..measures import ParticleMeasure, TorusDensity
from ..torus import Torus
from .base import Energy, InteractionTerm, PowerTerm

MASS_TOLERANCE = 1e-9  # what a user's own division leaves


def _same_grid(torus: Torus | None, target: TorusDensity | ParticleMeasure) -> None:
    if torus != target.torus:
        raise _check.fail("state and target must live on one torus", f"{torus} and {target.torus}", "use the same grid")


def _one_mass(state: TorusDensity | ParticleMeasure, target: TorusDensity | ParticleMeasure) -> None:
    """Refuse particles, whose mass is 1, beside a density of another mass, which no flow of them could reach."""
    if isinstance(state, TorusDensity) == isinstance(target, TorusDensity):
        return
    mass = (state if isinstance(state, TorusDensity) else target).mass  # type: ignore[union-attr]
    if abs(mass - 1) > MASS_TOLERANCE:
        raise _check.fail("beside particles a density must have mass 1", f"{mass:.9g}", "pass normalise=True to it")


def _check_target(target: TorusDensity) -> None:
    if not isinstance(target, TorusDensity):
        raise TypeError(f"target must be a TorusDensity (got {type(target).__name__}); pass torus.density(...)")


@dataclass(frozen=True)
class L2Distance(Energy):
    """``E(ρ) = ½‖ρ − ρ*‖²``; differential ``ρ − ρ*``; Wasserstein flow ``∂_tρ = ½Δρ² − div(ρ∇ρ*)``.

    Parameters
    ----------
    target : TorusDensity — ρ*

    Raises
    ------
    TypeError
        If the target is not a density; ``ValueError`` when it meets a state on another grid.
    """

    target: TorusDensity

    def __post_init__(self) -> None:
        _check_target(self.target)

    def value(self, state: TorusDensity) -> float:
        _same_grid(state.torus, self.target)
        return 0.5 * float(np.mean((state.values - self.target.values) ** 2))

    def differential(self, state: TorusDensity) -> np.ndarray:
        _same_grid(state.torus, self.target)
        return state.values - self.target.values

    def pressure(self) -> tuple[PowerTerm, ...]:
        return (PowerTerm(0.5, 2.0),)

    def potential(self, torus: Torus) -> np.ndarray:
        _same_grid(torus, self.target)
        return -self.target.values

    def check(self, state: TorusDensity) -> None:
        """Refuse a state on another grid."""
        _same_grid(state.torus, self.target)


@dataclass(frozen=True)
class SobolevDistance(Energy):
    """``E(ρ) = ½ Σ_k (1 + |2πk|²)^{−r} |ρ̂ − ρ̂*|²``, half the squared norm of H^{−r} (a maximum mean discrepancy).

    Its differential is ``K * (ρ − ρ*)`` with ``K̂ = (1 + |2πk|²)^{−r}``. Densities and particles on one torus, in any
    pairing; with particles the sum is over ``|k_a| ≤ (n−1)//2``. Two densities may have different masses, which a flow
    keeps: the energy then ends at ``½(M − M*)²`` or above.

    Parameters
    ----------
    target : TorusDensity or ParticleMeasure on a torus — ρ*
    order : float — r ≥ 0; 0 is the L² distance

    Raises
    ------
    TypeError, ValueError
        If the target is not a density, the order is negative; when it meets a state on another grid.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> torus = mf.Torus(32)
    >>> wave, flat = (torus.density(lambda x, a=a: 1 + a * np.cos(2 * np.pi * x)) for a in (0.2, 0))
    >>> value = mf.SobolevDistance(flat, order=1).value(wave)
    >>> print(f"{value:.6f} {0.5 * 0.02 / (1 + 4 * np.pi**2):.6f}")
    0.000247 0.000247
    """

    target: TorusDensity | ParticleMeasure
    order: float = field(kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.target, ParticleMeasure):
            _check_target(self.target)
        elif self.target.torus is None:
            raise _check.fail("a target of particles must be on a torus", repr(self.target), "pass torus=")
        if _check.real("order", self.order, "pass r >= 0") < 0:
            raise _check.fail("order must not be negative", repr(self.order), "pass r >= 0")

    def spectrum(self, squared_wavenumber: np.ndarray) -> np.ndarray:
        """``(1 + |2πk|²)^{−r}``."""
        return (1.0 + squared_wavenumber) ** -self.order

    def value(self, state: TorusDensity | ParticleMeasure) -> float:
        torus, gap = self._gap(state)
        squared = gap.real**2 + gap.imag**2
        return 0.5 * float(np.sum(torus.mode_weights * self.spectrum(torus.squared_wavenumber) * squared))

    def differential(self, state: TorusDensity | ParticleMeasure) -> np.ndarray:
        torus, gap = self._gap(state)
        modes = self.spectrum(torus.squared_wavenumber) * gap
        if isinstance(state, TorusDensity):
            return torus.values(modes)
        from ..particles.convolution import gradient_at

        return gradient_at(torus, modes, state.positions)

    def _gap(self, state: TorusDensity | ParticleMeasure) -> tuple[Torus, np.ndarray]:
        """The torus, and ``ρ̂ − ρ̂*`` on its half spectrum."""
        _same_grid(state.torus, self.target)
        assert state.torus is not None
        gap = _modes(state) - self._target_modes
        if state.torus.n % 2 == 0 and (isinstance(state, ParticleMeasure) or isinstance(self.target, ParticleMeasure)):
            _without_nyquist(gap, state.torus)
        return state.torus, gap

    @cached_property
    def _target_modes(self) -> np.ndarray:
        return _modes(self.target)

    def interaction(self) -> tuple[InteractionTerm, ...]:
        return (InteractionTerm(1.0, self.spectrum),)

    def potential(self, torus: Torus) -> np.ndarray:
        _same_grid(torus, self.target)
        return -torus.values(self.spectrum(torus.squared_wavenumber) * self._target_modes)

    def data(self, state: TorusDensity | ParticleMeasure) -> tuple[np.ndarray, ...]:
        return (self._target_modes,)

    def check(self, state: TorusDensity | ParticleMeasure) -> None:
        """Refuse a state on another grid, and particles beside a density whose mass is not 1."""
        _same_grid(state.torus, self.target)
        _one_mass(state, self.target)


def _without_nyquist(modes: np.ndarray, torus: Torus) -> None:
    """Clear the modes ``|k_a| = n/2`` of an even n, which particles do not carry."""
    for axis in range(torus.dim):
        modes[(slice(None),) * axis + (torus.n // 2,)] = 0.0


def _modes(measure: TorusDensity | ParticleMeasure) -> np.ndarray:
    """Fourier coefficients of a density or of particles on their torus's half spectrum."""
    assert measure.torus is not None
    if isinstance(measure, TorusDensity):
        return measure.torus.coefficients(measure.values)
    from ..particles.convolution import modes_of

    return modes_of(measure.torus, measure.positions, measure.weights)


@dataclass(frozen=True)
class KullbackLeibler(Energy):
    """``E(ρ) = ∫ρ log(ρ/ρ*)``; differential ``log(ρ/ρ*) + 1``; Wasserstein flow ``∂_tρ = Δρ − div(ρ∇log ρ*)``.

    Of particles it is infinite (the value is NaN) but has a flow in the kernelised geometry, where ``∇log ρ`` is
    integrated by parts; their differential is the rest, ``−∇log ρ*`` at the particles.

    Parameters
    ----------
    target : TorusDensity — ρ* > 0

    Raises
    ------
    ValueError
        If the target vanishes somewhere, or meets a state on another grid or one that is not positive.
    """

    target: TorusDensity

    def __post_init__(self) -> None:
        _check_target(self.target)
        if not self.target.values.min() > 0:
            raise _check.fail(
                "the target of a KullbackLeibler energy must be positive",
                f"min {self.target.values.min():g}",
                "add a constant to it, or use L2Distance",
            )

    def value(self, state: TorusDensity | ParticleMeasure) -> float:
        if isinstance(state, ParticleMeasure):
            return math.nan
        from scipy.special import rel_entr

        _same_grid(state.torus, self.target)
        return float(np.mean(rel_entr(state.values, self.target.values)))

    def differential(self, state: TorusDensity | ParticleMeasure) -> np.ndarray:
        self.check(state)
        if isinstance(state, ParticleMeasure):
            from ..particles.convolution import gradient_at

            return gradient_at(self.target.torus, self._landscape_modes, state.positions)
        return np.log(state.values / self.target.values) + 1.0

    def pressure(self) -> tuple[PowerTerm, ...]:
        return (PowerTerm(1.0, 1.0),)

    def potential(self, torus: Torus) -> np.ndarray:
        _same_grid(torus, self.target)
        return -np.log(self.target.values)

    @cached_property
    def _landscape_modes(self) -> np.ndarray:
        return self.target.torus.coefficients(-np.log(self.target.values))

    def check(self, state: TorusDensity | ParticleMeasure) -> None:
        _same_grid(state.torus, self.target)
        if isinstance(state, ParticleMeasure):
            _one_mass(state, self.target)
            return
        if not state.values.min() > 0:
            raise _check.fail(
                "KullbackLeibler needs a positive density for its differential",
                f"min {state.values.min():g}",
                "add a constant to the data",
            )
