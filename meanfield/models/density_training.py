"""Training data of a neural ODE on densities: the initial density, the loss, the penalty."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..measures import Control, TorusDensity, density_from_solver

if TYPE_CHECKING:
    from .density_node import DensityNODE, Loss

AXES = ("x", "y", "z")


@dataclass(frozen=True, eq=False)
class DensityTraining:
    """``v ↦ ℓ(μ_1) + ½λ|v|²`` for given ``μ_0`` and ℓ, as :class:`meanfield.energies.Risk` asks for it.

    At a minimiser with λ > 0, s ↦ μ_s is a geodesic between ``μ_0`` and ``μ_1``: |v_s|_V is constant in s.

    Parameters
    ----------
    node : DensityNODE
    rho0 : TorusDensity
    loss : Loss
    penalty : float — λ
    """

    node: DensityNODE
    rho0: TorusDensity
    loss: Loss
    penalty: float

    def __post_init__(self) -> None:
        self.node.check(self.rho0, self.loss)

    def __repr__(self) -> str:
        return f"DensityTraining({self})"

    def __str__(self) -> str:
        """Node, loss and penalty; the densities are told by the checksum of :meth:`data`."""
        return f"{self.node!r}, {_without_target(self.loss)}, penalty={self.penalty:g}"

    @property
    def title(self) -> str:
        """Node and loss in a few words, for the heading of a run."""
        return f"{type(self.node).__name__}, {type(self.loss).__name__}"

    def check(self, state: Any) -> None:
        """Refuse what is not a control of the node, or one too large for its depth."""
        if not isinstance(state, Control):
            raise TypeError(f"the state must be a Control (got {type(state).__name__}); start from node.zero()")
        self.node.forward(state, self.rho0)

    def value(self, state: Control) -> float:
        """The risk and the penalty."""
        return self.node.risk(state, self.rho0, self.loss) + self._penalty(state)

    def value_and_differential(self, state: Control) -> tuple[float, np.ndarray]:
        """Both, the differential in L²([0,1]×T^d); that of the penalty is ``λ K^{−1} v``."""
        value, differential = self.node.risk_and_differential(state, self.rho0, self.loss)
        if self.penalty:
            for layer, velocity in zip(differential, state.values):
                layer += self.penalty * self.node.kernel.deconvolve(self.node.torus, velocity)
        return value + self._penalty(state), differential

    def data(self) -> tuple[np.ndarray, ...]:
        """Initial and target density."""
        target = getattr(self.loss, "target", None)
        return (self.rho0.values, *((target.values,) if isinstance(target, TorusDensity) else ()))

    def observables(self, state: Control) -> dict[str, tuple[tuple[str, ...], Any]]:
        """Densities along s, the norm of the control, and the ranges of ``ρ_1`` and ``det DΦ``."""
        densities, speeds = self.node.states(state, self.rho0), self.node.speeds(state)
        low, high = self.node.jacobian_range(state)
        return {
            "risk": ((), self.loss.value(density_from_solver(densities[-1], self.node.torus))),
            "control_norm": ((), float(np.sqrt(np.mean(speeds**2)))),
            "control_speed": (("layer",), speeds),
            "least_density": ((), float(densities[-1].min())),
            "greatest_density": ((), float(densities[-1].max())),
            "least_jacobian": ((), low),
            "greatest_jacobian": ((), high),
            "density": (("interface", *AXES[: self.node.torus.dim]), densities),
        }

    def _penalty(self, state: Control) -> float:
        return 0.5 * self.penalty * self.node.norm(state) ** 2 if self.penalty else 0.0


def _without_target(loss: Any) -> str:
    """A loss by its name and its numbers."""
    shown = [field.name for field in fields(loss) if field.name != "target"] if is_dataclass(loss) else []
    return f"{type(loss).__name__}({', '.join(f'{name}={getattr(loss, name)!r}' for name in shown)})"
