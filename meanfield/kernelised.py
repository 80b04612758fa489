"""The right-hand side of kernelised flows of densities, in kept Fourier coefficients, and what bounds its steps."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from . import parallel
from .energies import Energy
from .energies.base import PowerTerm
from .geometries import Kernelised
from .rates import Stiffness, interaction_symbol, make_pressure
from .torus import Modes, Torus
from .torus.kernels import on_torus

UNRESOLVED = 1e-3  # share of the oscillation of a target or potential beyond the kept modes that asks for a warning
ROUNDING = 1e-12  # oscillation of a potential, over its size, that is a constant up to rounding


class KernelisedRate:
    """``∂_tρ = div(ρ K*(ρ∇δE/δρ))``, every product projected on the modes ``|k_a| < n/3`` that it resolves.

    With P that projection, ``∂_tρ = div P(ρ K*q)`` and ``q = P(ρ∇PδE/δρ)``: the exact gradient flow of the energy on
    these modes, ``dE/dt = −⟨q, K*q⟩`` to rounding. The part of ``δE/δρ`` that is linear in ρ, ``Hρ + V``, is never seen
    on the grid; the rest is ``c log ρ`` and powers of ρ.

    Parameters
    ----------
    energy : Energy
    geometry : Kernelised
    torus : Torus

    Notes
    -----
    Cost at given coefficients: ``1/2 + 2d`` pruned FFT pairs for quadratic energies (`L2Distance`, `SobolevDistance`,
    `Interaction`), ``1 + 2d`` for the others. Owns scratch space, so an instance serves one run.

    The linear part is ``−Dλ(k)``: ``λ = |2πk|²K̂H`` and ``min ρ² ≤ D ≤ max ρ²`` for quadratic energies, else
    ``λ = |2πk|²K̂`` and D ranges over ``ρP'(ρ) + ρ²H``.
    """

    def __init__(self, energy: Energy, geometry: Kernelised, torus: Torus) -> None:
        self.energy, self.modes = energy, Modes(torus, 2)
        squared = self.modes.squared_wavenumber
        self.multiplier = on_torus(geometry.kernel).spectrum(squared)
        self._folded = self.multiplier / torus.size
        field = energy.potential(torus)
        self._potential = None if field is None else self._resolved(field)
        self._terms = tuple(term for term in energy.pressure() if term.exponent != 2)
        self._first_variation = make_first_variation(self._terms)
        self._constant = sum(2 * c for c, m in energy.pressure() if m == 2)  # a quadratic pressure is linear in δE/δρ
        self._interaction = interaction_symbol(energy, squared)
        symbol = self._constant + (0.0 if self._interaction is None else self._interaction)
        self._symbol = None if np.all(symbol == 0) else np.broadcast_to(symbol, squared.shape)
        self.damping = squared * self.multiplier
        self._first, self._top = float(self.damping.max()), float(squared.max())  # Λ, and what it is without K
        if not self._terms and self._symbol is not None:
            self.damping = self.damping * self._symbol
        self._highest = float(self.damping.max())
        self._slopes, self._squares = self.modes.weights * np.sqrt(squared), self.modes.weights * squared
        self._sum = float(np.sum(self.modes.weights * self.multiplier))
        self._tie_of_potential = 0.0 if self._potential is None else self._tie(self._potential)
        self._values, self._grid, self._speeds = (np.empty(torus.shape) for _ in range(3))
        self._fluxes = np.empty((torus.dim, *self.modes.shape), dtype=np.complex128)
        self._speed_of: tuple[np.ndarray | None, float] = (None, 0.0)

    def _resolved(self, field: np.ndarray) -> np.ndarray:
        """Kept coefficients of V; warns where they leave out much of it, as the flow does not see that part."""
        coefficients, mean = self.modes.forward(field), float(field.mean())
        if np.ptp(field) > ROUNDING * max(1.0, abs(mean)):
            rest = coefficients.copy()
            rest.flat[0] = 0.0
            if (lost := self.modes.lost(field - mean, rest)) > UNRESOLVED:
                warnings.warn(
                    f"the target or potential should be resolved on the kept modes |k| < {self.modes.kept} "
                    f"(got {lost:.2g} of its oscillation beyond them, which the flow does not see); take more points",
                    RuntimeWarning,
                    stacklevel=5,
                )
        return coefficients

    def at(self, values: np.ndarray) -> np.ndarray:
        """Rate at grid values (n, …, n), compact coefficients."""
        out = np.empty(self.modes.shape, dtype=np.complex128)
        coefficients = out if self._symbol is None else self.modes.forward(values)
        self._speeds[...] = 0.0
        self._divergence(values, self._differential(values, coefficients), out, self._speeds)
        self._speed_of = values, float(self._speeds.max())
        return out

    def of(self, coefficients: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Rate at a density given by its coefficients, into ``out``."""
        values = self.modes.inverse(coefficients, self._values)
        self._divergence(values, self._differential(values, coefficients), out, None)
        return out

    def _differential(self, values: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """``PδE/δρ`` up to a constant, compact."""
        if self._terms:
            with np.errstate(divide="ignore", invalid="ignore"):  # a stage below zero: the step sees it is not finite
                potential = self.modes.forward(values, pointwise=self._first_variation)
        else:
            potential = np.zeros(self.modes.shape, dtype=np.complex128)
        if self._symbol is not None:
            potential += self._symbol * coefficients
        if self._potential is not None:
            potential += self._potential
        return potential

    def _divergence(
        self, values: np.ndarray, potential: np.ndarray, out: np.ndarray, speeds: np.ndarray | None
    ) -> None:
        """``div P(ρ K*q)`` into ``out``; ``Σ_a|(K*q)_a|`` is added to ``speeds``."""
        modes, grid = self.modes, self._grid
        for axis, flux in enumerate(self._fluxes):
            modes.weighted_slope(potential, axis, values, multiplier=self._folded, out=flux)
        for spectrum, flux in zip(modes.spectra, self._fluxes):
            spectrum.scatter(flux)

            def one(slab: slice, spectrum=spectrum) -> None:
                part = grid[slab]
                spectrum.inverse_slab(slab, part)
                if speeds is not None:
                    speeds[slab] += np.abs(part, out=self._values[slab])
                part *= values[slab]
                spectrum.forward_slab(part, slab)

            parallel.run(one, spectrum.slabs)
        modes.divergence(1.0 / values.size, out)

    # ---- what bounds a step ------------------------------------------------------------------------------------

    def stiffness(self, values: np.ndarray) -> Stiffness:
        """Bounds of the linearised rate at grid values: one transform where the rate was evaluated there last.

        Without transport the linearised rate is ``div ρK^{1/2}`` times ``K^{1/2}Dq``, ``Dq f = ∇(P'f) + ρ∇Hf + f∇W``
        with ``W = Hρ + V`` (H the interactions, all else in P). With ``Λ = max|2πk|²K̂`` and
        ``ℓ = Λ^{1/2}max ρ + g(ρ)``, g as in :meth:`_tie`, its norm is at most ``ℓ(Λ^{1/2}max P' + g(W))``, and
        ``min(ℓ² max H, max ρ² max|2πk|²H)`` more for interactions.
        """
        if self._speed_of[0] is not values:
            self.at(values)
        low, high = float(values.min()), float(values.max())
        least, greatest = self._diffusivities(low, high)
        coefficients, root = self.modes.forward(values), math.sqrt(self._first)
        ends = min(root * high + self._tie(coefficients), math.sqrt(self._top) * high)
        radius, tie = 0.0, self._tie_of_potential
        if self._interaction is not None:
            field = self._interaction * coefficients
            tie = self._tie(field if self._potential is None else field + self._potential)
            alone = float((self.modes.squared_wavenumber * self._interaction).max())
            radius = min(ends**2 * float(self._interaction.max()), high**2 * alone)
        radius += ends * (root * self.energy.symbol(low, high)[1] + tie)
        return Stiffness(least, greatest, self._speed_of[1], max(0.0, radius - greatest * self._highest))

    def _diffusivities(self, low: float, high: float) -> tuple[float, float]:
        """Range of D over densities in ``[low, high]``."""
        if not self._terms:
            return (0.0, 0.0) if self._symbol is None else (low**2, high**2)
        least, greatest = (sum(c * m * end**m for c, m in self._terms) for end in (low, high))
        if self._symbol is not None:
            least, greatest = least + low**2 * self._symbol.min(), greatest + high**2 * self._symbol.max()
        return float(least), float(greatest)

    def _tie(self, coefficients: np.ndarray) -> float:
        """Bound g(W) of the norm of ``f ↦ K^{1/2}(f∇W)``: ``Σ|2πk||Ŵ_k| ≥ max|∇W|``, or ``(ΣK̂)^{1/2}‖∇W‖``."""
        squares = coefficients.real**2 + coefficients.imag**2
        by_modes = math.sqrt(self._sum * float(np.sum(self._squares * squares)))
        return min(by_modes, float(np.sum(self._slopes * np.sqrt(squares))))


def make_first_variation(terms: tuple[PowerTerm, ...]) -> Callable:
    """A pass that replaces values by ``f'(ρ)`` in place, ``P' = ρf''`` for the pressure ``P = Σ c_i ρ^{m_i}``.

    A term of P gives ``c m/(m−1) ρ^{m−1}``, and ``c log ρ`` for m = 1.
    """
    logarithm = sum(c for c, m in terms if m == 1)
    powers = tuple(PowerTerm(c * m / (m - 1), m - 1) for c, m in terms if m != 1)
    power_pass = make_pressure(powers)
    if not logarithm:
        return power_pass

    def with_logarithm(values: np.ndarray) -> None:
        rest = values.copy() if powers else None
        np.log(values, out=values)
        values *= logarithm
        if rest is not None:
            power_pass(rest)
            values += rest

    return with_logarithm
