"""The geodesic between two densities, as the minimiser of a penalised risk."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .. import _check
from .._check import ConvergenceError
from ..energies import L2Distance, Risk
from ..flow import GradientFlow, iterate
from ..geometries import Hilbert
from ..measures import Control, TorusDensity
from ..models import DensityNODE
from ..status import Status
from ..steppers import Euler, Stepper
from ..torus import Modes
from .densities import check, runge_kutta_step, shoot_density


@dataclass(frozen=True, eq=False)
class Connection:
    """What :func:`between` found.

    Attributes
    ----------
    control : Control — the minimiser v
    densities : (L+1, n, …, n) float — μ at s = 0, 1/L, …, 1
    potentials : (L+1, n, …, n) float — I, which v carries back from ``δℓ/δμ(μ_1)``
    speeds : (L,) float — ``|v_s|_V`` of the layers
    length : float — ``|v| = (∫|v_s|²_V ds)^{1/2}``
    gap : float — ``‖μ_1 − ρ_1‖`` in L²
    defect : float — ``|v − w|/|v|``, w the control of the shooting from ``(μ_0, I_0)``; falls like 1/L²
    residual : float — ``|∇E|/(λ|v|)`` where the descent stopped
    steps : int — of the descent
    """

    control: Control
    densities: np.ndarray
    potentials: np.ndarray
    speeds: np.ndarray
    length: float
    gap: float
    defect: float
    residual: float
    steps: int

    def __repr__(self) -> str:
        return f"Connection(length={self.length:.6g}, gap={self.gap:.2g}, defect={self.defect:.2g})"


def between(
    node: DensityNODE,
    rho0: TorusDensity,
    rho1: TorusDensity,
    *,
    penalty: float,
    tolerance: float = 1e-5,
    stepper: Stepper | None = None,
    most_steps: int = 20000,
) -> Connection:
    """A minimising geodesic from ``ρ_0`` towards ``ρ_1``: the v that minimises ``½‖μ_1 − ρ_1‖² + ½λ∫|v_s|²_V ds``.

    Where the gradient vanishes, ``λv = −K * (μ∇I)``: v solves the shooting equations from ``(μ_0, I_0)``, |v_s|_V is
    constant in s, and s ↦ μ_s is a geodesic from ``ρ_0`` to the ``μ_1`` it reaches. With the length d of the shortest
    path to ``ρ_1`` itself, for every λ

        |v| ≤ d   and   ‖μ_1 − ρ_1‖ ≤ √λ d.

    As λ → 0, ``|v| → d`` from below and the gap falls like λ; where ``ρ_1`` cannot be reached at finite length (it
    vanishes, or is too rough), |v| → ∞ instead.

    Parameters
    ----------
    node : DensityNODE
    rho0, rho1 : TorusDensity — of one mass
    penalty : float — λ > 0
    tolerance : float — the descent stops where ``|∇E| ≤ tolerance·λ|v|``. The risk being convex there, v is this close
        to the minimiser, relatively
    stepper : Stepper or None — of the gradient flow of the risk in L²([0,1], V); None is ``Euler()``, descent by 0.9 of
        the longest stable step, which takes the fewest gradients of all explicit methods here
    most_steps : int

    Returns
    -------
    Connection

    Raises
    ------
    ValueError, TypeError
        As :func:`shoot_density`, and for masses that differ.
    ConvergenceError
        If the tolerance is not reached in ``most_steps``, or a step is refused.

    Notes
    -----
    Cost: up to ``½(Λ/λ) log(1/tolerance)`` gradients, Λ the greatest curvature of the risk, some ``max_k|2πk|²K̂(k)``
    (15 for order 3, length 0.1): a small λ is dear. Descent from v = 0 finds a local minimiser, the shortest path if
    the densities are near.

    References
    ----------
    Beg, Miller, Trouvé & Younes 2005 (descent on velocities); Younes 2010, Shapes and Diffeomorphisms, ch. 10–11.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> torus = mf.Torus(32)
    >>> node = mf.DensityNODE(torus, mf.SobolevKernel(order=3, length=0.1), depth=4)
    >>> rho0, rho1 = (torus.density(lambda x, y=y: 1 + 0.3 * np.cos(2 * np.pi * (x - y))) for y in (0, 0.1))
    >>> mf.geodesics.between(node, rho0, rho1, penalty=2)
    Connection(length=0.0300423, gap=0.018, defect=0.00011)
    """
    check(node, rho0, penalty)
    _check.positive("tolerance", tolerance, "pass a relative size of the gradient")
    _check.integer("most_steps", most_steps, "pass the largest number of steps", at_least=1)
    loss, geometry = L2Distance(rho1), Hilbert(node.kernel)
    risk = Risk(node, rho0, loss, penalty=penalty)
    v, residual, steps = _descend(risk, geometry, stepper or Euler(), tolerance, most_steps)
    densities = node.states(v, rho0)
    end = node.forward(v, rho0)
    potentials = carry_back(node, v, loss.differential(end))
    shot = shoot_density(node, rho0, potentials[0], penalty=penalty)
    length = node.norm(v)
    return Connection(
        control=v,
        densities=densities,
        potentials=potentials,
        speeds=node.speeds(v),
        length=length,
        gap=math.sqrt(2 * loss.value(end)),
        defect=geometry.distance(v, shot.control) / length if length > 0 else 0.0,
        residual=residual,
        steps=steps,
    )


def _descend(
    risk: Risk, geometry: Hilbert, stepper: Stepper, tolerance: float, most_steps: int
) -> tuple[Control, float, int]:
    """The control where ``|∇E| ≤ tolerance·λ|v|``, the ratio reached, the number of steps."""
    node = risk.model

    def ratio(v: Control) -> float:
        slope = math.sqrt(geometry.squared_norm(v, risk.differential(v)))
        return slope / (risk.penalty * node.norm(v)) if slope > 0 else 0.0

    v, residual = node.zero(), math.inf
    if not risk.differential(v).any():
        return v, 0.0, 0
    for steps, (_, v, info) in enumerate(iterate(GradientFlow(risk, geometry), v, stepper), start=1):
        if info.status is not Status.RUNNING:
            raise ConvergenceError(
                f"descent must run until it is stationary (got a refused step after {steps - 1}: {info.detail}); raise "
                "the depth or the penalty"
            )
        residual = ratio(v)
        if residual <= tolerance:
            return v, residual, steps
        if steps == most_steps:
            break
    raise ConvergenceError(
        f"the gradient must fall to {tolerance:g} of λ|v| (got {residual:.2g} after {most_steps} steps); raise "
        "most_steps, the penalty or the tolerance"
    )


def carry_back(node: DensityNODE, v: Control, potential: np.ndarray) -> np.ndarray:
    """I at s = 0, 1/L, …, 1 from ``I_1``: ``∂_s I + v·∇I = 0`` on the kept modes, (L+1, n, …, n).

    In a layer the scheme is a polynomial in the transport operator, so this is the exact adjoint of the density's.
    """
    modes, h = Modes(node.torus, 2), 1.0 / (node.depth * node.substeps)
    state, out = modes.forward(potential), np.empty((node.depth + 1, *potential.shape))
    out[-1] = potential

    def rate(state: np.ndarray) -> np.ndarray:
        slopes = (modes.inverse(1j * k * state) for k in modes.wavenumbers)
        return modes.forward(np.sum([part * slope for part, slope in zip(velocity, slopes)], axis=0))

    for layer in range(node.depth - 1, -1, -1):
        velocity = v.values[layer]
        for _ in range(node.substeps):
            state = runge_kutta_step(node.tableau, rate, state, h)
        out[layer] = modes.inverse(state)
    return out
