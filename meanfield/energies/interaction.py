"""Interaction energies: a kernel between every two points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..measures import ParticleMeasure, TorusDensity
from ..torus import Kernel, RadialKernel
from ..torus.kernels import on_torus, require_defined
from .base import Energy, InteractionTerm


@dataclass(frozen=True)
class Interaction(Energy):
    """``E(μ) = ½∬K(x − y) dμ dμ``; differential ``K*μ``; Wasserstein flow ``∂_tμ = div(μ∇(K*μ))``.

    Of densities on a torus, and of particles on a torus or in R^d; a particle acts on itself too, with a constant.

    Parameters
    ----------
    kernel : Kernel, on a torus, or a kernel with a closed form, in R^d (GaussianKernel is both)

    Raises
    ------
    TypeError
        If the kernel is not a kernel; ``ValueError`` when it meets a state on a space where it is not defined.

    Notes
    -----
    The kernels of this package are positive definite, hence repulsive: the flow spreads. One FFT pair a differential of
    a density; for particles see ``convolve_particles``.
    """

    kernel: Kernel | RadialKernel

    def __post_init__(self) -> None:
        if not isinstance(self.kernel, Kernel | RadialKernel):
            raise TypeError(
                f"kernel must be a Kernel (got {type(self.kernel).__name__}); pass mf.GaussianKernel(length)"
            )

    def check(self, state: TorusDensity | ParticleMeasure) -> None:
        """Refuse a state on a space where the kernel is not defined."""
        require_defined(self.kernel, state.torus)

    def value(self, state: TorusDensity | ParticleMeasure) -> float:
        if isinstance(state, ParticleMeasure):
            return self._of_particles(state)
        return 0.5 * float(np.mean(state.values * self.differential(state)))

    def differential(self, state: TorusDensity | ParticleMeasure) -> np.ndarray:
        if isinstance(state, ParticleMeasure):
            return self._slope_at_particles(state)
        return on_torus(self.kernel).convolve(state.torus, state.values)

    def data(self, state: TorusDensity | ParticleMeasure) -> tuple[np.ndarray, ...]:
        return ()

    def _of_particles(self, state: ParticleMeasure) -> float:
        if state.torus is None:
            value, _ = self.kernel.convolve_particles(None, state.positions, state.weights[:, None])
            return 0.5 * float(state.weights @ value[:, 0])
        modes = self._modes(state)
        squared = modes.real**2 + modes.imag**2
        return 0.5 * float(np.sum(state.torus.mode_weights * on_torus(self.kernel).multiplier(state.torus) * squared))

    def _slope_at_particles(self, state: ParticleMeasure) -> np.ndarray:
        if state.torus is None:
            return self.kernel.convolve_particles(None, state.positions, state.weights[:, None])[1][:, 0]
        from ..particles.convolution import gradient_at

        modes = on_torus(self.kernel).multiplier(state.torus) * self._modes(state)
        return gradient_at(state.torus, modes, state.positions)

    def _modes(self, state: ParticleMeasure) -> np.ndarray:
        from ..particles.convolution import modes_of

        assert state.torus is not None
        return modes_of(state.torus, state.positions, state.weights)

    def interaction(self) -> tuple[InteractionTerm, ...]:
        return (InteractionTerm(1.0, on_torus(self.kernel).spectrum),)
