"""Distances to a target density as energies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _check
from ..measures import TorusDensity
from ..torus import Torus
from .base import Energy, PowerTerm


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
