"""Geometries: what turns a differential into a velocity, and measures speeds and distances.

A geometry is the only place where a metric is applied; energies know nothing of it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from . import _check
from .measures import Control, LayeredMeasure, ParticleMeasure, TorusDensity
from .torus import Kernel, Modes, RadialKernel, Torus
from .torus.kernels import on_torus, require_defined


class Geometry(Protocol):
    """What a gradient flow asks of its geometry."""

    def velocity(self, state: Any, differential: np.ndarray) -> np.ndarray:
        """Velocity of the flow from the energy's L² differential."""

    def squared_norm(self, state: Any, differential: np.ndarray) -> float:
        """``|∂E|²``: the squared metric slope, which equals the squared metric speed of the flow."""

    def measures(self, state: Any) -> bool:
        """Whether :meth:`distance` exists for states like this one."""

    def distance(self, a: Any, b: Any) -> float:
        """Distance of two states, computed without reference to any velocity."""


MOST_MEASURED = 2000  # particles in d > 1 up to which W₂ between saves is computed: a linear programme of seconds


@dataclass(frozen=True)
class Wasserstein:
    """The Wasserstein-2 geometry: velocity ``v = −∇δE/δμ``, continuity equation ``∂_tμ + div(μv) = 0``.

    ``|∂E|² = ∫|∇δE/δμ|²dμ``. The distance is W₂, available in dimension 1, and between up to 2000 particles in others.

    References
    ----------
    Otto 2001; Ambrosio, Gigli & Savaré 2008, Gradient Flows, ch. 8 and 10.
    """

    def velocity(self, state: TorusDensity | ParticleMeasure, differential: np.ndarray) -> np.ndarray:
        """``−∇(δE/δμ)``: (d, n, …, n) for a density, (N, d) for particles, whose differential is ∇δE/δμ already."""
        return -(state.torus.gradient(differential) if isinstance(state, TorusDensity) else differential)

    def squared_norm(self, state: TorusDensity | ParticleMeasure, differential: np.ndarray) -> float:
        """``∫|∇δE/δμ|²dμ``."""
        if isinstance(state, TorusDensity):
            return state.torus.dirichlet(differential, state.values)
        return float(state.weights @ (differential**2).sum(axis=1))

    def measures(self, state: TorusDensity | ParticleMeasure) -> bool:
        """Whether W₂ between states like this one is computed: in d = 1, and between up to 2000 particles."""
        if isinstance(state, TorusDensity):
            return state.torus.dim == 1
        return state.dim == 1 or state.number <= MOST_MEASURED

    def distance(self, a: TorusDensity | ParticleMeasure, b: TorusDensity | ParticleMeasure) -> float:
        """W₂(a, b)."""
        from .distances import wasserstein

        return wasserstein(a, b)

    def followed_distance(self, a: Any, b: Any, guess: np.ndarray | None) -> tuple[float, np.ndarray | None]:
        """W₂ of consecutive states, the plan started from the potentials of the pair before."""
        from .distances.following import followed_distance

        return followed_distance(a, b, guess)


@dataclass(frozen=True)
class Kernelised:
    """The kernelised Wasserstein (Stein) geometry: velocity ``v = −K*(ρ∇δE/δρ)``, ``∂_tρ + div(ρv) = 0``.

    It is what training a neural ODE does to the density at v = 0. ``|∂E|² = ∫ρ∇δE/δρ·K*(ρ∇δE/δρ)``. There is no
    closed form of the distance. The kernel acts on the modes ``|k_a| < n/3`` that the product ``ρ∇δE/δρ`` resolves,
    of particles on a torus on ``|k_a| ≤ (n−1)//2``.

    Parameters
    ----------
    kernel : Kernel, on a torus, or a kernel with a closed form, in R^d (GaussianKernel is both)

    References
    ----------
    Liu & Wang 2016; Duncan, Nüsken & Szpruch 2019, on the geometry of Stein variational gradient descent.
    """

    kernel: Kernel | RadialKernel

    def __post_init__(self) -> None:
        _require_kernel(self.kernel, "Kernelised", Kernel | RadialKernel)

    def check(self, state: TorusDensity | ParticleMeasure) -> None:
        """Refuse a state on a space where the kernel is not defined (``ValueError``)."""
        require_defined(self.kernel, state.torus)

    def velocity(self, state: TorusDensity | ParticleMeasure, differential: np.ndarray) -> np.ndarray:
        """``−K*(ρ∇δE/δρ)``: (d, n, …, n) for a density, (N, d) for particles."""
        if isinstance(state, ParticleMeasure):
            return self.particle_velocity(state, differential)
        modes, spectrum, _ = _workspace(on_torus(self.kernel), state.torus, threading.get_ident())
        velocity, spectrum = np.empty((state.torus.dim, *state.torus.shape)), -spectrum
        for component, flux in zip(velocity, momenta(modes, state.values, differential, spectrum)):
            modes.inverse(flux, component)
        return velocity

    def squared_norm(self, state: TorusDensity | ParticleMeasure, differential: np.ndarray) -> float:
        """``∫ρ∇δE/δρ·K*(ρ∇δE/δρ)``."""
        if isinstance(state, ParticleMeasure):
            return self.particle_squared_norm(state, differential)
        modes, _, root = _workspace(on_torus(self.kernel), state.torus, threading.get_ident())
        return sum(modes.squared_norm(part) for part in momenta(modes, state.values, differential, root))

    def particle_velocity(self, state: ParticleMeasure, differential: np.ndarray, entropy: float = 0.0) -> np.ndarray:
        """``−Σ_j a_j (K(x_i − x_j)∇δE(x_j) + c∇K(x_i − x_j))``, (N, d); c is the coefficient of an entropy in E."""
        if state.torus is not None:
            from .particles.convolution import values_at

            fields = -on_torus(self.kernel).multiplier(state.torus) * self._covector_modes(state, differential, entropy)
            return values_at(state.torus, fields, state.positions)
        weights = state.weights[:, None]
        strengths = np.concatenate([weights * differential, weights], axis=1)
        value, gradient = self.kernel.convolve_particles(None, state.positions, strengths)
        return -(value[:, :-1] + entropy * gradient[:, -1])

    def particle_squared_norm(self, state: ParticleMeasure, differential: np.ndarray, entropy: float = 0.0) -> float:
        """``Σ_k K̂|ĝ|²`` of the covector field ``g = μ∇δE + c∇μ``; with an entropy on a torus only."""
        if state.torus is None:
            if entropy:
                raise _check.fail("the slope of an entropy in this geometry needs a torus", repr(state), "pass torus=")
            velocity = self.particle_velocity(state, differential)
            return -float(np.sum(state.weights[:, None] * differential * velocity))
        modes = self._covector_modes(state, differential, entropy)
        multiplier = state.torus.mode_weights * on_torus(self.kernel).multiplier(state.torus)
        return float(np.sum(multiplier * (modes.real**2 + modes.imag**2)))

    @staticmethod
    def _covector_modes(state: ParticleMeasure, differential: np.ndarray, entropy: float) -> np.ndarray:
        """Modes of ``μ∇δE + c∇μ``, (d, n, …, n//2+1)."""
        from .particles.convolution import modes_of

        torus, weights = state.torus, state.weights[:, None]
        assert torus is not None
        if not entropy:
            return modes_of(torus, state.positions, weights * differential)
        modes = modes_of(torus, state.positions, np.concatenate([weights * differential, weights], axis=1))
        for part, wavenumber in zip(modes, torus.wavenumbers):
            part += entropy * 1j * wavenumber * modes[-1]
        return modes[:-1]

    def measures(self, state: TorusDensity | ParticleMeasure) -> bool:
        """False: no distance without a flow."""
        return False

    def distance(self, a: TorusDensity, b: TorusDensity) -> float:
        """Refused: there is none in closed form."""
        raise TypeError(
            f"the kernelised geometry has no distance in closed form (got {type(a).__name__} and {type(b).__name__}); "
            "use mf.wasserstein"
        )


@lru_cache(maxsize=4)
def _workspace(kernel: Kernel, torus: Torus, thread: int) -> tuple[Modes, np.ndarray, np.ndarray]:
    """Kept modes with their scratch, one a thread, and the multipliers ``K̂/n^d`` and ``K̂^{1/2}/n^d``."""
    modes = Modes(torus, 2)
    spectrum = kernel.spectrum(modes.squared_wavenumber)
    return modes, spectrum / torus.size, np.sqrt(spectrum) / torus.size


def momenta(
    modes: Modes, density: np.ndarray, differential: np.ndarray, multiplier: np.ndarray
) -> Iterator[np.ndarray]:
    """``P(ρ∇Pδ)``, P the projection on the modes, times a multiplier that holds n^{−d}; the array is reused."""
    potential = modes.forward(differential)
    flux = np.empty_like(potential)
    for axis in range(modes.torus.dim):
        yield modes.weighted_slope(potential, axis, density, multiplier=multiplier, out=flux)


@dataclass(frozen=True)
class ConditionalWasserstein:
    """Layered measures with ``d(μ, ν)² = ∫₀¹ W₂²(μ(·|s), ν(·|s)) ds``: particles move inside their layer only.

    Velocity ``−G`` for the mean-field gradient G; ``|∂E|² = ∫∫|G|² dμ(w|s) ds``.

    References
    ----------
    Barboni, Peyré & Vialard 2024, Understanding the training of infinitely deep and wide ResNets with conditional
    optimal transport, def. 2.1 and 3.1.
    """

    def velocity(self, state: LayeredMeasure, differential: np.ndarray) -> np.ndarray:
        """``−G``, (L, m, p)."""
        return -differential

    def squared_norm(self, state: LayeredMeasure, differential: np.ndarray) -> float:
        """``(1/L) Σ_l Σ_j a_lj |G_lj|²``."""
        return float(np.sum(state.weights * (differential**2).sum(axis=2))) / state.depth

    def measures(self, state: LayeredMeasure) -> bool:
        """Whether the distance is computed: layers of up to 2000 particles."""
        return state.width <= MOST_MEASURED

    def distance(self, a: LayeredMeasure, b: LayeredMeasure) -> float:
        """The conditional distance d(a, b)."""
        from .distances import conditional_wasserstein

        return conditional_wasserstein(a, b)

    def followed_distance(self, a: Any, b: Any, guess: np.ndarray | None) -> tuple[float, np.ndarray | None]:
        """d of consecutive states, every layer's plan started from the potentials of the pair before."""
        from .distances.following import followed_distance

        return followed_distance(a, b, guess)


@dataclass(frozen=True)
class Hilbert:
    """Controls in L²([0,1], V): velocity ``∂_t v_s = −K * δE/δv_s``, V the space the kernel reproduces.

    ``|∂E|² = ∫⟨δE/δv_s, K * δE/δv_s⟩ ds``; the distance is the norm of the difference of two controls.

    Parameters
    ----------
    kernel : Kernel
    """

    kernel: Kernel

    def __post_init__(self) -> None:
        _require_kernel(self.kernel, "Hilbert")

    def velocity(self, state: Control, differential: np.ndarray) -> np.ndarray:
        """``−K * δE/δv``, (L, d, n, …, n)."""
        velocity = np.empty(differential.shape)
        for layer, covector in zip(velocity, differential):
            np.negative(self.kernel.convolve(_torus_of(state), covector), out=layer)
        return velocity

    def squared_norm(self, state: Control, differential: np.ndarray) -> float:
        """``∫⟨δE/δv_s, K * δE/δv_s⟩ ds``."""
        torus = _torus_of(state)
        weights, total = torus.mode_weights * self.kernel.multiplier(torus), 0.0
        for f in differential.reshape(-1, *torus.shape):
            modes = torus.coefficients(f)
            total += float(np.sum(weights * (modes.real**2 + modes.imag**2)))
        return total / state.depth

    def measures(self, state: Control) -> bool:
        """True: the norm of the difference."""
        return True

    def distance(self, a: Control, b: Control) -> float:
        """``(∫|a_s − b_s|²_V ds)^{1/2}``."""
        torus, total = _torus_of(a), 0.0
        for u, v in zip(a.values, b.values):
            level = max(self.kernel.resolution(torus, u), self.kernel.resolution(torus, v))
            total += self.kernel.inner(torus, u - v, u - v, resolution=level)
        return math.sqrt(max(total, 0.0) / a.depth)


def _torus_of(state: Control) -> Torus:
    if state.torus is None:
        raise TypeError(f"Hilbert(kernel) needs a control on a torus (got {state!r}); start from node.zero()")
    return state.torus


def _require_kernel(kernel: Any, name: str, kinds: Any = Kernel) -> None:
    if not isinstance(kernel, kinds):
        raise TypeError(f"{name} needs a kernel (got {type(kernel).__name__}); pass mf.SobolevKernel(order, length)")
