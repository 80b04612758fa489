"""The interface of an energy, and the sums and multiples every energy has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _check

if TYPE_CHECKING:
    from ..torus import Torus


class PowerTerm(NamedTuple):
    """One term ``coefficient · ρ^exponent`` of a pressure."""

    coefficient: float
    exponent: float


class InteractionTerm(NamedTuple):
    """A term ``½ coefficient · Σ_k h(k)|ρ̂(k)|²`` of an energy, h a function of ``|2πk|²``, ``0 < h ≤ 1``."""

    coefficient: float
    spectrum: Callable[[np.ndarray], np.ndarray]


class Energy(ABC):
    """A functional E of a state with L² differential; ``E1 + E2`` and ``λ E`` are energies.

    An energy of densities says what it is made of: a *local* part ``∫ f(ρ) + ∫ V ρ``, whose Wasserstein flow is
    ``∂_tρ = ΔP(ρ) + div(ρ∇V)`` with ``P' = ρf''`` (:meth:`pressure`, :meth:`potential`), and quadratic interactions
    (:meth:`interaction`). The short form of a flow, the splitting of exponential steppers and the bounds of explicit
    ones rest on these.
    """

    @abstractmethod
    def value(self, state: Any) -> float:
        """E at the state."""

    @abstractmethod
    def differential(self, state: Any) -> np.ndarray:
        """The L² differential: for densities δE/δρ on the grid, ``dE(ρ + εφ)/dε = ⟨δE/δρ, φ⟩``; for particles
        ``∇(δE/δμ)`` at them; for controls the gradient in L²([0,1]×T^d)."""

    def pressure(self) -> tuple[PowerTerm, ...]:
        """Terms of ``P(ρ) = Σ c_i ρ^{m_i}``, empty if there is no nonlinear local part."""
        return ()

    def interaction(self) -> tuple[InteractionTerm, ...]:
        """The quadratic interactions, with multiplier h."""
        return ()

    def potential(self, torus: Torus) -> np.ndarray | None:
        """V on the grid (n, …, n), or None if the energy has no linear part."""
        return None

    def terms(self) -> tuple[Energy, ...]:
        """The energies this one is a sum of (itself alone, unless it is a sum)."""
        return (self,)

    def atoms(self) -> Iterator[Energy]:
        """The energies this one is a sum of multiples of."""
        for term in self.terms():
            yield from term.energy.atoms() if isinstance(term, Multiple) else (term,)

    @property
    def smooth(self) -> bool:
        """Whether the differential is continuous in the state."""
        return True

    @property
    def samples(self) -> int:
        """N, the number of data the energy is a mean over; 0 where it is none."""
        return 0

    def differential_on(self, state: Any, indices: np.ndarray) -> np.ndarray:
        """The differential with the mean over all data replaced by the one over those with these indices."""
        return self.differential(state)

    def check(self, state: Any) -> None:
        """Refuse a state this energy is not defined on (a ``ValueError``)."""
        return None

    def data(self, state: Any) -> tuple[np.ndarray, ...]:
        """Arrays that tell this energy from others that print alike: targets, samples, landscapes."""
        field = self.potential(state.torus)
        return () if field is None else (field,)

    def observables(self, state: Any) -> dict[str, tuple[tuple[str, ...], Any]]:
        """What a run of this energy records beside the state: name -> (dimensions, value)."""
        return {}

    def symbol(self, low: float, high: float) -> tuple[float, float]:
        """Bounds of the diffusivity ``P'(ρ)`` for ρ in ``[low, high]``: the flow linearises to ``P'(ρ)Δ`` plus less."""
        least = greatest = 0.0
        for c, m in self.pressure():
            ends = [c * m * low ** (m - 1) if low > 0 or m >= 1 else np.inf, c * m * high ** (m - 1)]
            least, greatest = least + min(ends), greatest + max(ends)
        return least, greatest

    def __add__(self, other: Energy) -> Sum:
        return Sum((*self.terms(), *other.terms())) if isinstance(other, Energy) else NotImplemented

    def __mul__(self, factor: float) -> Energy:
        return Multiple(self, factor)

    __rmul__ = __mul__


@dataclass(frozen=True)
class Sum(Energy):
    """``Σ_i E_i``; made by ``E1 + E2``."""

    parts: tuple[Energy, ...]

    def value(self, state: Any) -> float:
        return sum(part.value(state) for part in self.parts)

    def differential(self, state: Any) -> np.ndarray:
        return sum(part.differential(state) for part in self.parts)  # type: ignore[return-value]

    @property
    def smooth(self) -> bool:
        return all(part.smooth for part in self.parts)

    @property
    def samples(self) -> int:
        numbers = {part.samples for part in self.parts} - {0}
        if len(numbers) > 1:
            raise _check.fail(
                "risks in a sum must share their data", f"{sorted(numbers)} samples", "pass the same x, y"
            )
        return numbers.pop() if numbers else 0

    def differential_on(self, state: Any, indices: np.ndarray) -> np.ndarray:
        return sum(part.differential_on(state, indices) for part in self.parts)  # type: ignore[return-value]

    def pressure(self) -> tuple[PowerTerm, ...]:
        return tuple(term for part in self.parts for term in part.pressure())

    def interaction(self) -> tuple[InteractionTerm, ...]:
        return tuple(term for part in self.parts for term in part.interaction())

    def potential(self, torus: Torus) -> np.ndarray | None:
        fields = [field for part in self.parts if (field := part.potential(torus)) is not None]
        return sum(fields) if fields else None  # type: ignore[return-value]

    def terms(self) -> tuple[Energy, ...]:
        return self.parts

    def check(self, state: Any) -> None:
        for part in self.parts:
            part.check(state)

    def data(self, state: Any) -> tuple[np.ndarray, ...]:
        return tuple(array for part in self.parts for array in part.data(state))

    def observables(self, state: Any) -> dict[str, tuple[tuple[str, ...], Any]]:
        return {name: value for part in self.parts for name, value in part.observables(state).items()}


@dataclass(frozen=True)
class Multiple(Energy):
    """``λ E``, λ > 0 (a negative multiple of a convex energy has no flow); made by ``λ * E``."""

    energy: Energy
    factor: float

    def __post_init__(self) -> None:
        _check.positive("the multiple of an energy", self.factor, "change the sign inside a Potential instead")

    def value(self, state: Any) -> float:
        return self.factor * self.energy.value(state)

    def differential(self, state: Any) -> np.ndarray:
        return self.factor * self.energy.differential(state)

    @property
    def smooth(self) -> bool:
        return self.energy.smooth

    @property
    def samples(self) -> int:
        return self.energy.samples

    def differential_on(self, state: Any, indices: np.ndarray) -> np.ndarray:
        return self.factor * self.energy.differential_on(state, indices)

    def pressure(self) -> tuple[PowerTerm, ...]:
        return tuple(PowerTerm(self.factor * c, m) for c, m in self.energy.pressure())

    def interaction(self) -> tuple[InteractionTerm, ...]:
        return tuple(InteractionTerm(self.factor * c, h) for c, h in self.energy.interaction())

    def potential(self, torus: Torus) -> np.ndarray | None:
        field = self.energy.potential(torus)
        return None if field is None else self.factor * field

    def terms(self) -> tuple[Energy, ...]:
        parts = self.energy.terms()
        return (self,) if parts == (self.energy,) else tuple(Multiple(part, self.factor) for part in parts)

    def check(self, state: Any) -> None:
        self.energy.check(state)

    def data(self, state: Any) -> tuple[np.ndarray, ...]:
        return self.energy.data(state)

    def observables(self, state: Any) -> dict[str, tuple[tuple[str, ...], Any]]:
        return self.energy.observables(state)
