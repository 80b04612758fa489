"""Geodesics of densities: the shooting equations of a density and its potential on the kept modes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import _check
from ..measures import Control, TorusDensity, control_from_solver
from ..models import DensityNODE
from ..status import Refusal, Status
from ..tableaus import Tableau
from ..torus import Modes

UNRESOLVED = 1e-3  # share of the L2 norm of what varies, beyond the kept modes, that asks for a warning


@dataclass(frozen=True, eq=False)
class DensityGeodesic:
    """What :func:`shoot_density` found.

    Attributes
    ----------
    control : Control — v at the middle of each layer
    densities : (L+1, n, …, n) float — μ at s = 0, 1/L, …, 1
    potentials : (L+1, n, …, n) float — I
    speeds : (L+1,) float — ``|v_s|_V``, constant in s up to the error of the steps
    """

    control: Control
    densities: np.ndarray
    potentials: np.ndarray
    speeds: np.ndarray

    @property
    def length(self) -> float:
        """``∫|v_s|_V ds``."""
        return float(np.mean(self.speeds))

    def __repr__(self) -> str:
        return f"DensityGeodesic(depth={self.control.depth}, length={self.length:.6g}, torus={self.control.torus})"


def shoot_density(
    node: DensityNODE, rho0: TorusDensity, potential: np.ndarray, *, penalty: float = 1.0
) -> DensityGeodesic:
    """The geodesic of a density from ``μ_0`` and its potential ``I_0``:

        ∂_s μ + div(μ v) = 0,   ∂_s I + v·∇I = 0,   v = −K * (μ∇I)/λ.

    This is the optimality system of ``min_v ℓ(μ_1) + ½λ∫|v_s|²_V ds``: the derivative in ``L²([0,1], V)`` of the first
    term is ``K * (μ∇I)`` with ``I_1 = δℓ/δμ(μ_1)`` carried back by ``∂_s I + v·∇I = 0``, that of the second ``λv``, and
    their sum vanishes. So I is the cost of mass, which flows to where it is lower. With ``p = −I`` these are Hamilton's
    equations of ``½λ|v|²_V``, which is constant in s. Only I/λ matters.

    Parameters
    ----------
    node : DensityNODE — its torus, kernel, depth L, sub-steps r and Runge–Kutta method
    rho0 : TorusDensity
    potential : (n, …, n) float — ``I_0``, up to a constant
    penalty : float — λ > 0

    Returns
    -------
    DensityGeodesic

    Raises
    ------
    ValueError, TypeError
        For shapes that do not fit, λ ≤ 0, a kernel of order ``≤ d/2 + 1``; a step above the stability bound of the
        transport; a density that becomes negative, which says that it is not resolved.

    Notes
    -----
    2r steps a layer, so that the middle of a layer is one of them: of the method's order (4) in 1/L, while the control
    moves ``μ_0`` to ``μ_1`` up to O(L^{−2}). The products are projected on the modes ``|k_a| < n/3``, also in v: the
    semi-discrete system is Hamiltonian, and changes of the speed come from the steps alone. Shooting from
    ``(μ_1, −I_1)`` returns. Cost: ``8Lr(4d + 2)`` pruned transforms for RK4.

    References
    ----------
    Younes 2010, Shapes and Diffeomorphisms, ch. 11 (densities); Miller, Trouvé & Younes 2006 (geodesic shooting).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> torus = mf.Torus(64)
    >>> node = mf.DensityNODE(torus, mf.SobolevKernel(order=3, length=0.1), depth=16)
    >>> rho0, cost = torus.density(lambda x: 1 + 0.3 * np.cos(2 * np.pi * x)), np.sin(2 * np.pi * torus.points[0])
    >>> found = mf.geodesics.shoot_density(node, rho0, 0.05 * cost)
    >>> found
    DensityGeodesic(depth=16, length=0.14308, torus=Torus(n=64, dim=1, spacing=0.015625))
    >>> print(f"{np.ptp(found.speeds):.0e}")
    8e-09
    """
    check(node, rho0, penalty)
    potential = _check.array("the potential", potential, "pass values on the grid", shape=node.torus.shape)
    system = ShootingEquations(node, penalty)
    offset = np.stack([rho0.values, potential])
    start = np.stack([_resolved(system.modes, "rho0", rho0.values), _resolved(system.modes, "potential", potential)])
    path = np.empty((node.depth + 1, *offset.shape))
    speeds, velocities = np.empty(node.depth + 1), np.empty(node.control_shape)
    path[0], state = offset, start
    for layer in range(node.depth):
        speeds[layer], velocities[layer], state = _layer(node, system, state, layer)
        for first, begin, end, out in zip(offset, start, state, path[layer + 1]):
            np.add(first, system.modes.inverse(end - begin), out=out)
        if (low := float(path[layer + 1, 0].min())) < 0:
            raise Refusal(
                Status.NOT_POSITIVE,
                f"the density must stay non-negative (got min {low:.3g} at s = {(layer + 1) / node.depth:.3g}); take "
                "more points, smoother data, or a smaller potential",
            )
    speeds[-1] = system.velocity_and_speed(state)[1]
    return DensityGeodesic(control_from_solver(velocities, node.torus), path[:, 0], path[:, 1], speeds)


def _layer(
    node: DensityNODE, system: ShootingEquations, state: np.ndarray, layer: int
) -> tuple[float, np.ndarray, np.ndarray]:
    """The speed before a layer, the velocity in its middle, the state behind it."""
    h = 0.5 / (node.depth * node.substeps)
    velocity, speed = system.velocity_and_speed(state)
    _require_stable(node, system.modes, velocity, h, layer)
    for _ in range(node.substeps):
        state = runge_kutta_step(node.tableau, system.rate, state, h)
    velocity, _ = system.velocity_and_speed(state)
    for _ in range(node.substeps):
        state = runge_kutta_step(node.tableau, system.rate, state, h)
    return speed, velocity, state


def _resolved(modes: Modes, name: str, values: np.ndarray) -> np.ndarray:
    """Kept coefficients, with a warning where they leave much out."""
    coefficients, varying = modes.forward(values), values - values.mean()
    if varying.any() and (lost := modes.lost(varying, modes.forward(varying))) > UNRESOLVED:
        warnings.warn(
            f"{name} should be resolved on the kept modes |k| < {modes.kept} of n = {modes.torus.n} (got {lost:.2g} of "
            "its L2 norm beyond them, which does not move); take more points",
            RuntimeWarning,
            stacklevel=3,
        )
    return coefficients


def check(node: DensityNODE, rho0: TorusDensity, penalty: float) -> None:
    """Refuse what is no node, a density elsewhere, ``λ ≤ 0``, a kernel without flow maps."""
    if not isinstance(node, DensityNODE):
        raise TypeError(f"node must be a DensityNODE (got {type(node).__name__}); pass mf.DensityNODE(torus, kernel)")
    if not isinstance(rho0, TorusDensity):
        raise TypeError(f"rho0 must be a TorusDensity (got {type(rho0).__name__}); pass torus.density(...)")
    if rho0.torus != node.torus:
        raise _check.fail("rho0 must live on the node's torus", str(rho0.torus), f"use {node.torus}")
    _check.positive("penalty", penalty, "pass λ > 0")
    node.kernel.require_flow_map(node.torus.dim)


class ShootingEquations:
    """The rate of ``(μ, I)`` on the kept modes, ``(2, compact)``; v is a function of both.

    Parameters
    ----------
    node : DensityNODE
    penalty : float — λ
    """

    def __init__(self, node: DensityNODE, penalty: float) -> None:
        self.modes, self.penalty = Modes(node.torus, 2), penalty
        self._kernel = node.kernel.spectrum(self.modes.squared_wavenumber)

    def _momentum(self, state: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
        """μ and ∇I on the grid, ``P(μ∇I)`` in coefficients."""
        density = self.modes.inverse(state[0])
        slopes = [self.modes.inverse(1j * k * state[1]) for k in self.modes.wavenumbers]
        return density, slopes, [self.modes.forward(density * slope) for slope in slopes]

    def _velocity(self, momentum: list[np.ndarray]) -> list[np.ndarray]:
        return [self.modes.inverse(self._kernel / -self.penalty * part) for part in momentum]

    def velocity_and_speed(self, state: np.ndarray) -> tuple[np.ndarray, float]:
        """v on the grid, (d, n, …, n), and ``|v|_V = |K^{1/2} P(μ∇I)|/λ``."""
        _, _, momentum = self._momentum(state)
        squared = sum(self.modes.squared_norm(np.sqrt(self._kernel) * part) for part in momentum)
        return np.stack(self._velocity(momentum)), math.sqrt(squared) / self.penalty

    def rate(self, state: np.ndarray) -> np.ndarray:
        """``(−div P(μv), −P(v·∇I))``."""
        density, slopes, momentum = self._momentum(state)
        velocity = self._velocity(momentum)
        fluxes = zip(self.modes.wavenumbers, (self.modes.forward(density * part) for part in velocity))
        carried = np.sum([part * slope for part, slope in zip(velocity, slopes)], axis=0)
        return np.stack([sum(-1j * k * flux for k, flux in fluxes), -self.modes.forward(carried)])


def runge_kutta_step(
    tableau: Tableau, rate: Callable[[np.ndarray], np.ndarray], state: np.ndarray, h: float
) -> np.ndarray:
    """One step of an explicit Runge–Kutta method, a new array."""
    stages: list[np.ndarray] = []
    for row in tableau.a:
        stages.append(rate(state + h * sum(a * k for a, k in zip(row, stages)) if stages else state))
    return state + h * sum(b * k for b, k in zip(tableau.b, stages))


def _require_stable(node: DensityNODE, modes: Modes, velocity: np.ndarray, h: float, layer: int) -> None:
    speed = float(np.abs(velocity).sum(axis=0).max()) * 2 * np.pi * (modes.kept - 1)
    if h * speed > node.tableau.imaginary_bound:
        needed = math.ceil(node.depth * h * speed / node.tableau.imaginary_bound)
        raise Refusal(
            Status.UNSTABLE,
            f"a step must not exceed {node.tableau.imaginary_bound / speed:.3g} for this potential (got {h:.3g}, half "
            f"a sub-step, in layer {layer} of {node.depth}); use depth={needed}, or a smaller potential",
        )
