"""Blob energies: internal energies of mollified particle measures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .. import _check
from ..measures import ParticleMeasure
from ..status import Refusal, Status
from ..torus import GaussianKernel, Torus
from .base import Energy

RESOLVED = 1e-8  # the mollifier at the torus's highest mode: what cutting it off there may leave below zero
TINY = np.finfo(float).tiny  # for subnormal densities, as at lone particles without weight: their inverse overflows


class _Seen(NamedTuple):
    """What is known of a state: ``ζ*μ``, in R^d its gradient, and once it was asked for the differential."""

    state: ParticleMeasure
    density: np.ndarray
    gradient: np.ndarray | None = None
    differential: np.ndarray | None = None


@dataclass(frozen=True)
class BlobEnergy(Energy):
    """The internal energy of a mollified measure: its Wasserstein flow moves particles like ``∂_tρ = cΔρ^m``.

    On a torus ``E(μ) = ∫f(ζ*μ)`` by the grid's quadrature, ``f(ρ) = cρ^m/(m−1)``, or ``cρ log ρ`` for m = 1; velocity
    ``−∇(ζ*f'(ζ*μ))``. In R^d ``E(μ) = Σ_i a_i F((ζ*μ)(x_i))``, ``F(ρ) = f(ρ)/ρ``; velocity
    ``−Σ_j a_j (F'(ρ_i) + F'(ρ_j))∇ζ(x_i − x_j)``. Either is the exact gradient of the discrete energy.

    Parameters
    ----------
    exponent : float — m ≥ 1
    coefficient : float — c > 0
    mollifier : GaussianKernel — ζ, of mass 1
    torus : Torus or None — None is R^d; its n is the quadrature's, independent of the particles

    Raises
    ------
    ValueError, TypeError
        If ``m < 1``, ``c ≤ 0``, or the torus does not resolve the mollifier (``ζ̂ ≤ 1e-8`` at the highest mode).

    Notes
    -----
    A differential costs O(N + n^d log n) on a torus (two non-uniform transforms and an FFT pair in d ≤ 2), and in R^d
    O(N²): one sum over pairs for m = 2, else two, as the second one's strengths are the values of the first. What value
    and differential share, and the differential itself, are kept for the last state asked about (states do not change):
    a step of a flow asks for both, and for the dissipation, at one state.

    References
    ----------
    Carrillo, Craig & Patacchini 2019, A blob method for diffusion, eq. (1.7), (1.10); Craig et al. 2023 for the grid.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> torus = mf.Torus(64)
    >>> energy = mf.BlobEnergy(2, mollifier=mf.GaussianKernel(0.05), torus=torus)
    >>> uniform = mf.ParticleMeasure(np.arange(32)[:, None] / 32, torus=torus)
    >>> print(f"{energy.value(uniform):.6f}")
    1.000000
    """

    exponent: float = 2
    coefficient: float = 1.0
    mollifier: GaussianKernel = field(kw_only=True)
    torus: Torus | None = field(default=None, kw_only=True)
    _multiplier: np.ndarray | None = field(init=False, repr=False, compare=False)
    _last: tuple[_Seen | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if _check.real("exponent", self.exponent, "pass m >= 1") < 1:
            raise _check.fail("exponent must be at least 1", repr(self.exponent), "fast diffusion has no blob method")
        _check.positive("coefficient", self.coefficient, "pass c > 0")
        if not isinstance(self.mollifier, GaussianKernel):
            got = type(self.mollifier).__name__
            raise TypeError(f"mollifier must be a GaussianKernel (got {got}); pass mf.GaussianKernel(length)")
        if self.torus is not None:
            self._require_resolved(self.torus)
        multiplier = None if self.torus is None else self.mollifier.multiplier(self.torus)
        object.__setattr__(self, "_multiplier", multiplier)
        object.__setattr__(self, "_last", (None,))

    def value(self, state: ParticleMeasure) -> float:
        """E(μ)."""
        density = self._seen(state).density
        if self.torus is not None:
            return self._grid_energy(density)
        return float(state.weights @ self._per_mass(density))

    def differential(self, state: ParticleMeasure) -> np.ndarray:
        """``∇(δE/δμ)`` at the particles, (N, d); read-only."""
        seen = self._seen(state)
        if seen.differential is None:
            found = self._slope_at_pairs(seen) if self.torus is None else self._slope_of_grid(seen)
            found.flags.writeable = False
            seen = seen._replace(differential=found)
            object.__setattr__(self, "_last", (seen,))
        assert seen.differential is not None
        return seen.differential

    def check(self, state: ParticleMeasure) -> None:
        """Refuse particles on another space, and an entropy where ``ζ*μ`` vanishes."""
        self.value(state)

    def data(self, state: ParticleMeasure) -> tuple[np.ndarray, ...]:
        return ()

    def _seen(self, state: ParticleMeasure) -> _Seen:
        """``ζ*μ`` on the grid, or at the particles with its gradient; computed once for a state."""
        (last,) = self._last  # read once: another thread may replace it
        if last is None or last.state is not state:
            self._require_space(state)
            last = _Seen(state, *(self._on_grid(state) if self.torus is not None else self._at_particles(state)))
            object.__setattr__(self, "_last", (last,))
        return last

    def _on_grid(self, state: ParticleMeasure) -> tuple[np.ndarray]:
        from ..particles.convolution import modes_of

        assert self.torus is not None
        modes = modes_of(self.torus, state.positions, state.weights)
        modes *= self._multiplier
        return (self.torus.values(modes),)

    def _slope_of_grid(self, seen: _Seen) -> np.ndarray:
        from ..particles.convolution import gradient_at

        assert self.torus is not None
        modes = self.torus.coefficients(self._grid_slope(seen.density))
        modes *= self._multiplier
        return gradient_at(self.torus, modes, seen.state.positions)

    def _at_particles(self, state: ParticleMeasure) -> tuple[np.ndarray, np.ndarray]:
        density, gradient = self._convolved(state, state.weights)
        return np.maximum(density, TINY), gradient

    def _slope_at_pairs(self, seen: _Seen) -> np.ndarray:
        state, gradient = seen.state, seen.gradient
        assert gradient is not None
        if self.exponent == 2:  # all strengths are a_j times one number
            return 2 * self.coefficient * gradient
        slopes = self._per_mass_slope(seen.density)
        _, weighted = self._convolved(state, state.weights * slopes)
        return slopes[:, None] * gradient + weighted

    def _convolved(self, state: ParticleMeasure, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``Σ_j ζ(x_i − x_j) b_j`` and its gradient in R^d, ζ of mass 1."""
        mass = (2 * np.pi * self.mollifier.length**2) ** (0.5 * state.dim)
        value, gradient = self.mollifier.convolve_particles(None, state.positions, b[:, None])
        return value[:, 0] / mass, gradient[:, 0] / mass

    def _require_space(self, state: ParticleMeasure) -> None:
        if not isinstance(state, ParticleMeasure):
            raise TypeError(f"a blob energy is one of particles (got {type(state).__name__}); use InternalEnergy")
        if state.torus != self.torus:
            raise _check.fail(
                "particles and blob energy must live on one space", f"{state.torus} and {self.torus}", "pass torus="
            )

    def _require_resolved(self, torus: Torus) -> None:
        """Refuse a mollifier the grid cuts off, naming the least length it resolves."""
        highest = 2 * np.pi * ((torus.n - 1) // 2)
        if not self.mollifier.spectrum(np.array(highest**2)) <= RESOLVED:
            needed = math.sqrt(-2 * math.log(RESOLVED)) / highest
            unit = 10.0 ** (math.floor(math.log10(needed)) - 2)
            needed = math.ceil(needed / unit) * unit  # three digits, rounded up
            raise _check.fail(
                f"the mollifier must be resolved by the grid, length >= {needed:.3g} on {torus}",
                f"{self.mollifier.length:g}",
                "widen it, or take a torus of more points",
            )

    def _grid_energy(self, density: np.ndarray) -> float:
        m, c = self.exponent, self.coefficient
        if m == 1:
            self._require_positive(density)
            return c * float(np.mean(density * np.log(density)))
        return c / (m - 1) * float(np.mean(np.maximum(density, 0.0) ** m))

    def _grid_slope(self, density: np.ndarray) -> np.ndarray:
        m, c = self.exponent, self.coefficient
        if m == 1:
            self._require_positive(density)
            return c * (np.log(density) + 1)
        return c * m / (m - 1) * np.maximum(density, 0.0) ** (m - 1)

    def _per_mass(self, density: np.ndarray) -> np.ndarray:
        m, c = self.exponent, self.coefficient
        return c * np.log(density) if m == 1 else c / (m - 1) * density ** (m - 1)

    def _per_mass_slope(self, density: np.ndarray) -> np.ndarray:
        return self.coefficient * density ** (self.exponent - 2)

    def _require_positive(self, density: np.ndarray) -> None:
        low = float(density.min())
        if not low > 0:
            raise Refusal(
                Status.NOT_POSITIVE,
                f"the entropy of a mollified measure needs ζ*μ > 0 on the grid (got min {low:.3g}); widen ζ",
            )
