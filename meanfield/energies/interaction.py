"""Interaction energies of densities: a kernel between every two points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..measures import TorusDensity
from ..torus import Kernel
from .base import Energy, InteractionTerm


@dataclass(frozen=True)
class Interaction(Energy):
    """``E(ρ) = ½∬K(x − y)ρ(x)ρ(y)``; differential ``K*ρ``; Wasserstein flow ``∂_tρ = div(ρ∇(K*ρ))``.

    Parameters
    ----------
    kernel : Kernel

    Raises
    ------
    TypeError
        If the kernel is not a Kernel.

    Notes
    -----
    The kernels of this package are positive definite, hence repulsive: the flow spreads. One FFT pair a differential.
    """

    kernel: Kernel

    def __post_init__(self) -> None:
        if not isinstance(self.kernel, Kernel):
            raise TypeError(
                f"kernel must be a Kernel (got {type(self.kernel).__name__}); pass mf.GaussianKernel(length)"
            )

    def value(self, state: TorusDensity) -> float:
        return 0.5 * float(np.mean(state.values * self.differential(state)))

    def differential(self, state: TorusDensity) -> np.ndarray:
        return self.kernel.convolve(state.torus, state.values)

    def interaction(self) -> tuple[InteractionTerm, ...]:
        return (InteractionTerm(1.0, self.kernel.spectrum),)
