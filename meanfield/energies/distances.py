"""Distances to a target density as energies."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .. import _check
from ..measures import TorusDensity
from ..torus import Torus
from .base import Energy, InteractionTerm, PowerTerm


def _same_grid(torus: Torus, target: TorusDensity) -> None:
    if torus != target.torus:
        raise _check.fail("state and target must live on one torus", f"{torus} and {target.torus}", "use the same grid")


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
        _same_grid(state.torus, self.target)


@dataclass(frozen=True)
class SobolevDistance(Energy):
    """``E(ρ) = ½ Σ_k (1 + |2πk|²)^{−r} |ρ̂ − ρ̂*|²``, half the squared norm of H^{−r} (a maximum mean discrepancy).

    Its differential is ``K * (ρ − ρ*)`` with ``K̂ = (1 + |2πk|²)^{−r}``.

    Parameters
    ----------
    target : TorusDensity — ρ*
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

    target: TorusDensity
    order: float = field(kw_only=True)

    def __post_init__(self) -> None:
        _check_target(self.target)
        if _check.real("order", self.order, "pass r >= 0") < 0:
            raise _check.fail("order must not be negative", repr(self.order), "pass r >= 0")

    def spectrum(self, squared_wavenumber: np.ndarray) -> np.ndarray:
        """``(1 + |2πk|²)^{−r}``."""
        return (1.0 + squared_wavenumber) ** -self.order

    def value(self, state: TorusDensity) -> float:
        _same_grid(state.torus, self.target)
        return 0.5 * state.torus.sobolev_norm(state.values - self.target.values, -self.order) ** 2

    def differential(self, state: TorusDensity) -> np.ndarray:
        _same_grid(state.torus, self.target)
        torus = state.torus
        modes = torus.coefficients(state.values - self.target.values)
        return torus.values(self.spectrum(torus.squared_wavenumber) * modes)

    def interaction(self) -> tuple[InteractionTerm, ...]:
        return (InteractionTerm(1.0, self.spectrum),)

    def potential(self, torus: Torus) -> np.ndarray:
        _same_grid(torus, self.target)
        return -torus.values(self.spectrum(torus.squared_wavenumber) * torus.coefficients(self.target.values))

    def check(self, state: TorusDensity) -> None:
        _same_grid(state.torus, self.target)


@dataclass(frozen=True)
class KullbackLeibler(Energy):
    """``E(ρ) = ∫ρ log(ρ/ρ*)``; differential ``log(ρ/ρ*) + 1``; Wasserstein flow ``∂_tρ = Δρ − div(ρ∇log ρ*)``.

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

    def value(self, state: TorusDensity) -> float:
        from scipy.special import rel_entr

        _same_grid(state.torus, self.target)
        return float(np.mean(rel_entr(state.values, self.target.values)))

    def differential(self, state: TorusDensity) -> np.ndarray:
        self.check(state)
        return np.log(state.values / self.target.values) + 1.0

    def pressure(self) -> tuple[PowerTerm, ...]:
        return (PowerTerm(1.0, 1.0),)

    def potential(self, torus: Torus) -> np.ndarray:
        _same_grid(torus, self.target)
        return -np.log(self.target.values)

    def check(self, state: TorusDensity) -> None:
        _same_grid(state.torus, self.target)
        if not state.values.min() > 0:
            raise _check.fail(
                "KullbackLeibler needs a positive density for its differential",
                f"min {state.values.min():g}",
                "add a constant to the data",
            )
