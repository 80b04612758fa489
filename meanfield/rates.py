"""Right-hand sides of flows of densities, in kept Fourier coefficients.

Two forms of one equation. The *flux* form ``−div(ρv)`` works for any energy and geometry; the *pressure* form
``ΔP(ρ) + div(ρ∇V)`` is the shorter one that local energies have in Wasserstein: one transform pair for a pure
pressure. Tests hold them against each other. The kernelised geometry has a form of its own, in `meanfield.kernelised`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from .energies import Energy
from .energies.base import PowerTerm
from .measures import density_from_solver
from .status import Refusal, Status
from .torus import Modes, Torus

if TYPE_CHECKING:
    from .geometries import Geometry


class Stiffness(NamedTuple):
    """What bounds a step: the range of the factor D of the linear part ``−Dλ(k)``, and the speed of the drift.

    λ is the rate's ``damping``. The linearised rate has its spectrum within
    ``[−greatest·max λ, 0] + i[−1, 1]·speed·max|2πk_a|`` and a distance ``coupling`` around, by which the gradients of
    the density and of a potential tie modes together where a kernel lies between them.
    """

    least: float
    greatest: float
    speed: float
    coupling: float = 0.0


def product_degree(terms: tuple[PowerTerm, ...], *, drift: bool) -> int:
    """Highest product degree: ``⌈m⌉`` for ρ^m (2 where m < 2 is not an integer), 2 for ρ∇V, 1 for a linear rate."""
    degrees = [1 if m == 1 else max(2, math.ceil(m)) for _, m in terms]
    return max([*degrees, 2 if drift else 1])


class Rate(Protocol):
    """A right-hand side in kept coefficients, as Fourier steppers use it; owns scratch, so it serves one run."""

    modes: Modes
    damping: np.ndarray  # λ(k) ≥ 0 on the kept modes: |2πk|² for a diffusion

    def at(self, values: np.ndarray) -> np.ndarray:
        """Rate at grid values (n, …, n), compact coefficients."""

    def of(self, coefficients: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Rate at a density given by its coefficients, into ``out``."""

    def stiffness(self, values: np.ndarray) -> Stiffness:
        """Bounds of the linearised rate at grid values."""


def speed_of(field: np.ndarray | None) -> float:
    """``max_x Σ_a |u_a|`` of a field (d, n, …, n), 0 for none."""
    return 0.0 if field is None else float(np.abs(field).sum(axis=0).max())


class PressureRate:
    """``∂_tρ = ΔP(ρ) + div(ρ∇V)`` of a local energy in the Wasserstein geometry.

    Parameters
    ----------
    energy : Energy — gives the terms of P and V
    torus : Torus

    Notes
    -----
    Cost: one pruned transform pair without V (P may have several terms), ``1 + d/2`` pairs with it. Owns scratch
    space, so an instance serves one run.
    """

    def __init__(self, energy: Energy, torus: Torus) -> None:
        self.terms = energy.pressure()
        self.energy = energy
        field = energy.potential(torus)
        self.slope = None if field is None else torus.gradient(field)
        self.speed = speed_of(self.slope)
        self.modes = Modes(torus, product_degree(self.terms, drift=field is not None))
        self.damping = self.modes.squared_wavenumber
        self._pressure = make_pressure(self.terms)

    def at(self, values: np.ndarray) -> np.ndarray:
        """Rate at grid values (n, …, n), compact coefficients."""
        modes = self.modes
        out = np.zeros(modes.shape, dtype=np.complex128)
        if self.terms:
            modes.forward(values, pointwise=self._pressure, multiplier=modes.diffusion, out=out)
        return self._drift(values, out)

    def of(self, coefficients: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Rate at a density given by its coefficients."""
        if self.slope is None and self.terms:
            return self.modes.through(coefficients, self._pressure, multiplier=self.modes.diffusion, out=out)
        out[...] = self.at(self.modes.inverse(coefficients))
        return out

    def stiffness(self, values: np.ndarray) -> Stiffness:
        """Bounds of the linearised rate at grid values."""
        return Stiffness(*self.energy.symbol(float(values.min()), float(values.max())), self.speed)

    def _drift(self, values: np.ndarray, out: np.ndarray) -> np.ndarray:
        if self.slope is None:
            return out
        for wavenumber, slope in zip(self.modes.wavenumbers, self.slope):
            out += 1j * wavenumber * self.modes.forward(values * slope)
        return out


class FluxRate:
    """``∂_tρ = −div(ρv)``, v from the geometry: the general form, for any energy with a differential.

    Parameters
    ----------
    energy : Energy
    geometry : Geometry
    torus : Torus

    Notes
    -----
    Cost for Wasserstein: ``(1 + d)/2`` full pairs for the velocity and ``d/2`` pruned ones for the flux. The linear
    part is ``−D|2πk|²``, D the range of ``P'(ρ) + ρH``; for interactions alone ``−D|2πk|²H``, D the range of ρ.
    """

    def __init__(self, energy: Energy, geometry: Geometry, torus: Torus) -> None:
        self.energy, self.geometry = energy, geometry
        self.modes = Modes(torus, product_degree(energy.pressure(), drift=True))
        self.damping = self.modes.squared_wavenumber
        self._symbol = interaction_symbol(energy, self.damping)
        if self._symbol is not None and not energy.pressure():
            self.damping = self.damping * self._symbol
        self._speed_of: tuple[np.ndarray | None, float] = (None, 0.0)

    def at(self, values: np.ndarray) -> np.ndarray:
        """Rate at grid values (n, …, n), compact coefficients."""
        state = density_from_solver(values, self.modes.torus)
        try:
            differential = self.energy.differential(state)
        except ValueError as error:  # a stage below zero, where a logarithm has no value
            raise Refusal(Status.NOT_POSITIVE, str(error)) from error
        velocity = self.geometry.velocity(state, differential)
        self._speed_of = values, speed_of(velocity)
        out = np.zeros(self.modes.shape, dtype=np.complex128)
        for wavenumber, component in zip(self.modes.wavenumbers, velocity):
            out -= 1j * wavenumber * self.modes.forward(values * component)
        return out

    def of(self, coefficients: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Rate at a density given by its coefficients, into ``out``."""
        out[...] = self.at(self.modes.inverse(coefficients))
        return out

    def stiffness(self, values: np.ndarray) -> Stiffness:
        """Bounds of the linearised rate at grid values; costs nothing where the rate was evaluated there last."""
        if self._speed_of[0] is not values:
            self.at(values)
        low, high = float(values.min()), float(values.max())
        least, greatest = self.energy.symbol(low, high)
        if self._symbol is not None and not self.energy.pressure():
            least, greatest = low, high
        elif self._symbol is not None:
            least, greatest = least + low * float(self._symbol.min()), greatest + high * float(self._symbol.max())
        return Stiffness(least, greatest, self._speed_of[1])


def interaction_symbol(energy: Energy, squared_wavenumber: np.ndarray) -> np.ndarray | None:
    """``H = Σ c_i h_i`` of an energy's quadratic interactions ``½ Σ_k H|ρ̂(k)|²``, None if it has none."""
    terms = energy.interaction()
    return np.sum([c * h(squared_wavenumber) for c, h in terms], axis=0) if terms else None


def make_pressure(terms: tuple[PowerTerm, ...]) -> Callable:
    """A pass that replaces values by ``Σ c_i ρ^{m_i}`` in place; one compiled sweep for a single simple power."""
    if len(terms) == 1 and (2 * terms[0].exponent) % 1 == 0 and 1 <= terms[0].exponent < 5:
        from ._kernels.spectral import power

        coefficient, exponent = terms[0]
        whole, half = int(exponent), exponent % 1 == 0.5
        return lambda values: power(values.reshape(-1), coefficient, whole, half)

    def several(values: np.ndarray) -> None:
        values[...] = sum(c * values**m for c, m in terms)

    return several
