"""Internal energies: the porous-medium family and the entropy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _check
from ..measures import TorusDensity
from .base import Energy, PowerTerm


@dataclass(frozen=True)
class InternalEnergy(Energy):
    """Internal energy of a power law; its Wasserstein flow is the porous-medium equation ``∂_tρ = cΔρ^m``.

    ``E(ρ) = c∫ρ^m/(m−1)``, m ≠ 1, and the entropy ``E(ρ) = c∫ρ log ρ``, m = 1 (the heat equation).
    Differential ``c m ρ^{m−1}/(m−1)``, respectively ``c(log ρ + 1)``.

    Parameters
    ----------
    exponent : float — m > 0; m > 1 slow diffusion, m = 1 heat, m < 1 fast diffusion (positive densities only)
    coefficient : float — c > 0

    Raises
    ------
    ValueError, TypeError
        If ``exponent ≤ 0`` or ``coefficient ≤ 0``.

    References
    ----------
    Otto 2001, The geometry of dissipative evolution equations, eq. (5)–(9); Vázquez 2007, The Porous Medium Equation.

    Examples
    --------
    >>> import meanfield as mf
    >>> rho = mf.Torus(16).density(lambda x: 2.0 + 0 * x)
    >>> mf.InternalEnergy(exponent=3, coefficient=1 / 3).value(rho)  # 8/3/2
    1.3333333333333333
    """

    exponent: float
    coefficient: float = 1.0

    def __post_init__(self) -> None:
        _check.positive("exponent", self.exponent, "pass m > 1 for porous media, m = 1 for the entropy")
        _check.positive("coefficient", self.coefficient, "pass c > 0")

    def value(self, state: TorusDensity) -> float:
        m, c = self.exponent, self.coefficient
        if m == 1:
            from scipy.special import xlogy

            return c * float(np.mean(xlogy(state.values, state.values)))
        return c * float(np.mean(state.values**m)) / (m - 1)

    def differential(self, state: TorusDensity) -> np.ndarray:
        m, c = self.exponent, self.coefficient
        if m <= 1 and not state.values.min() > 0:
            raise _check.fail(
                f"the differential of exponent {m:g} needs a positive density", "a zero", "add a constant to the data"
            )
        if m == 1:
            return c * (np.log(state.values) + 1.0)
        return (c * m / (m - 1)) * state.values ** (m - 1)

    def pressure(self) -> tuple[PowerTerm, ...]:
        return (PowerTerm(self.coefficient, self.exponent),)

    def check(self, state: TorusDensity) -> None:
        if self.exponent < 1 and not state.values.min() > 0:
            raise _check.fail(
                f"exponent {self.exponent:g} < 1 needs a positive density (its diffusivity is infinite at zero)",
                f"min {state.values.min():g}",
                "add a constant, or use an exponent of 1 or more",
            )
