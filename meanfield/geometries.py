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

from .measures import Control, TorusDensity
from .torus import Kernel, Modes, Torus


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


@dataclass(frozen=True)
class Wasserstein:
    """The Wasserstein-2 geometry: velocity ``v = −∇δE/δρ``, continuity equation ``∂_tρ + div(ρv) = 0``.

    ``|∂E|² = ∫ρ|∇δE/δρ|²``. The distance is W₂, available for densities in dimension 1 (exact quantile functions).

    References
    ----------
    Otto 2001; Ambrosio, Gigli & Savaré 2008, Gradient Flows, ch. 8 and 10.
    """

    def velocity(self, state: TorusDensity, differential: np.ndarray) -> np.ndarray:
        """``−∇(δE/δρ)``, (d, n, …, n)."""
        return -state.torus.gradient(differential)

    def squared_norm(self, state: TorusDensity, differential: np.ndarray) -> float:
        """``∫ρ|∇δE/δρ|²``."""
        return state.torus.dirichlet(differential, state.values)

    def measures(self, state: TorusDensity) -> bool:
        """Whether W₂ between states like this one is implemented: densities in d = 1."""
        return isinstance(state, TorusDensity) and state.torus.dim == 1

    def distance(self, a: TorusDensity, b: TorusDensity) -> float:
        """W₂(a, b)."""
        from .distances import wasserstein

        return wasserstein(a, b)


@dataclass(frozen=True)
class Kernelised:
    """The kernelised Wasserstein (Stein) geometry: velocity ``v = −K*(ρ∇δE/δρ)``, ``∂_tρ + div(ρv) = 0``.

    It is what training a neural ODE does to the density at v = 0. ``|∂E|² = ∫ρ∇δE/δρ·K*(ρ∇δE/δρ)``. There is no
    closed form of the distance. The kernel acts on the modes ``|k_a| < n/3`` that the product ``ρ∇δE/δρ`` resolves.

    Parameters
    ----------
    kernel : Kernel

    References
    ----------
    Liu & Wang 2016; Duncan, Nüsken & Szpruch 2019, on the geometry of Stein variational gradient descent.
    """

    kernel: Kernel

    def __post_init__(self) -> None:
        _require_kernel(self.kernel, "Kernelised")

    def velocity(self, state: TorusDensity, differential: np.ndarray) -> np.ndarray:
        """``−K*(ρ∇δE/δρ)``, (d, n, …, n)."""
        modes, spectrum, _ = _workspace(self.kernel, state.torus, threading.get_ident())
        velocity, spectrum = np.empty((state.torus.dim, *state.torus.shape)), -spectrum
        for component, flux in zip(velocity, momenta(modes, state.values, differential, spectrum)):
            modes.inverse(flux, component)
        return velocity

    def squared_norm(self, state: TorusDensity, differential: np.ndarray) -> float:
        """``∫ρ∇δE/δρ·K*(ρ∇δE/δρ)``."""
        modes, _, root = _workspace(self.kernel, state.torus, threading.get_ident())
        return sum(modes.squared_norm(part) for part in momenta(modes, state.values, differential, root))

    def measures(self, state: TorusDensity) -> bool:
        """False: no distance without a flow."""
        return False

    def distance(self, a: TorusDensity, b: TorusDensity) -> float:
        """There is none in closed form."""
        raise NotImplementedError("the kernelised geometry has no distance in closed form")


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


def _require_kernel(kernel: Any, name: str) -> None:
    if not isinstance(kernel, Kernel):
        raise TypeError(f"{name} needs a kernel (got {type(kernel).__name__}); pass mf.SobolevKernel(order, length)")
