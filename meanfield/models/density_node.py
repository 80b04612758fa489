"""Neural ODEs that act on densities: a control pushes a density through the continuity equation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from .. import _check
from ..measures import Control, TorusDensity, density_from_solver
from ..status import Refusal, Status
from ..tableaus import Tableau, rk4
from ..torus import Kernel, Torus, flow_map
from ..torus.continuity import Continuity
from .density_training import DensityTraining, targets

UNRESOLVED = 1e-3  # share of the L2 norm of the initial density beyond the kept modes that asks for a warning


class Loss(Protocol):
    """A functional ℓ of the density at s = 1: a distance energy, as ``L2Distance(target)``."""

    def value(self, state: TorusDensity) -> float: ...

    def differential(self, state: TorusDensity) -> np.ndarray: ...


@dataclass(frozen=True)
class DensityNODE:
    """The density ``μ_1`` a control v ∈ L²([0,1], V) makes of ``μ_0``: ``∂_s μ + div(μ v_s) = 0``, risk ``ℓ(μ_1)``.

    v is piecewise constant on L layers; a layer takes r Runge–Kutta sub-steps of length ``h = 1/(Lr)`` on the modes
    ``|k_a| < n/3``, on which the product ``μv`` is free of aliasing. With ``I_1 = δℓ/δμ(μ_1)`` carried back by
    ``∂_s I + v_s·∇I = 0``, the gradient is

        differential  μ_s ∇I_s  in L²([0,1]×T^d),        gradient  K * (μ_s ∇I_s)  in L²([0,1], V).

    Both are exact derivatives of the discrete risk: the transport equation is the transpose of the discrete scheme,
    stage by stage.

    Parameters
    ----------
    torus : Torus
    kernel : Kernel — reproduces V
    depth : int — L
    substeps : int — r
    tableau : Tableau — the Runge–Kutta method, order 4 by default
    checkpoints : int or None — None: whatever the gradient's computation reads again is written where the gradient
        will stand, at no memory of its own. With c ≥ 2 of them only c densities are kept between layers, and the rest
        is computed again: up to one forward pass more, the same bits

    Raises
    ------
    ValueError, TypeError
        For a depth, number of sub-steps or checkpoints that is not a positive integer. Every method refuses a control
        of another shape or depth, and one too large for the depth: ``h·max_x Σ_a|v_a|·2πk_max ≤ 2.8`` (for RK4).

    Notes
    -----
    Cost of a risk, in pruned transforms of n^d points: ``4Lr(1 + d)`` for four stages; of a gradient ``4Lr(3 + 2d)``,
    and ``2Ld`` full ones for K. In d = 1, or with r > 1, a layer's stages do not fit its place in the gradient: they
    are computed again, ``4Lr(1 + d)`` more. Memory beyond control and gradient, measured: 12 to 18
    densities, whatever L (and 0.45 n^d numbers a checkpoint in d = 2). An instance owns scratch space and serves one
    caller at a time.

    References
    ----------
    Younes 2010, Shapes and Diffeomorphisms, ch. 8–11; Hager 2000, on the transpose of Runge–Kutta methods.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> torus = mf.Torus(64)
    >>> rho0 = torus.density(lambda x: 1 + 0.3 * np.cos(2 * np.pi * x))
    >>> loss = mf.L2Distance(torus.density(lambda x: 1 + 0.3 * np.sin(2 * np.pi * x)))
    >>> node = mf.DensityNODE(torus, mf.SobolevKernel(order=3, length=0.1), depth=8)
    >>> v = -0.02 * node.gradient(node.zero(), rho0, loss)
    >>> print(f"{node.risk(node.zero(), rho0, loss):.5f} {node.risk(v, rho0, loss):.5f}")
    0.04500 0.02169
    """

    torus: Torus
    kernel: Kernel
    depth: int = field(default=32, kw_only=True)
    substeps: int = field(default=1, kw_only=True)
    tableau: Tableau = field(default=rk4, kw_only=True)
    checkpoints: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.torus, Torus):
            raise TypeError(f"torus must be a Torus (got {type(self.torus).__name__}); pass mf.Torus(n, dim=d)")
        if not isinstance(self.kernel, Kernel):
            raise TypeError(f"kernel must be a Kernel (got {type(self.kernel).__name__}); pass mf.SobolevKernel(order)")
        if not isinstance(self.tableau, Tableau):
            raise TypeError(f"tableau must be a Tableau (got {type(self.tableau).__name__}); pass mf.tableaus.rk4")
        if not self.tableau.imaginary_bound > 0:
            raise _check.fail(
                "transport needs a tableau stable on the imaginary axis",
                self.tableau.name,
                "use tableaus.rk4 or ssprk3",
            )
        _check.integer("depth", self.depth, "pass the number of layers", at_least=1)
        _check.integer("substeps", self.substeps, "pass the number of Runge-Kutta steps a layer", at_least=1)
        if self.checkpoints is not None:
            _check.integer("checkpoints", self.checkpoints, "pass 1 or more, or leave it out", at_least=1)

    # ---- controls --------------------------------------------------------------------------------------------

    @property
    def control_shape(self) -> tuple[int, ...]:
        """(L, d, n, …, n)."""
        return (self.depth, self.torus.dim, *self.torus.shape)

    def zero(self) -> Control:
        """The control v = 0."""
        return Control(np.zeros(self.control_shape), self.torus)

    def norm(self, v: Control | np.ndarray) -> float:
        """``|v| = (∫|v_s|²_V ds)^{1/2}``, the length of s ↦ Φ_s if |v_s| is constant in s."""
        return float(np.sqrt(np.mean(self.speeds(v) ** 2)))

    def speeds(self, v: Control | np.ndarray) -> np.ndarray:
        """``|v_s|_V`` of each layer, (L,); constant in s along a geodesic."""
        return np.array([self.kernel.norm(self.torus, layer) for layer in self._velocities(v, stable=False)])

    # ---- forward ---------------------------------------------------------------------------------------------

    def forward(self, v: Control | np.ndarray, rho0: TorusDensity) -> TorusDensity:
        """The density ``μ_1`` at s = 1; its mass is that of ``μ_0`` to rounding.

        Raises
        ------
        ValueError
            As all methods; also if ``μ_1`` becomes negative, which says that it is not resolved.
        """
        density = self._at_the_end(v, rho0)
        low = float(density.values.min())
        if low < 0:
            raise Refusal(
                Status.NOT_POSITIVE,
                f"the density must stay non-negative (got min {low:.3g} at s = 1); take more points, or smoother data",
            )
        return density

    def states(self, v: Control | np.ndarray, rho0: TorusDensity) -> np.ndarray:
        """``μ_s`` at the interfaces s = 0, 1/L, …, 1: (L+1, n, …, n), also where they are not resolved and negative."""
        velocities, out = self._velocities(v), np.empty((self.depth + 1, *self.torus.shape))
        start, out[0] = self._start(rho0), rho0.values
        for layer, u in enumerate(self._march(start, velocities), start=1):
            self._back_on_grid(rho0, start, u, out[layer])
        return out

    def risk(self, v: Control | np.ndarray, rho0: TorusDensity, loss: Loss) -> float:
        """``𝓛(v) = ℓ(μ_1)``; ``loss`` is ``L2Distance``, ``SobolevDistance`` or ``KullbackLeibler`` of a target."""
        self.check(rho0, loss)
        return loss.value(self._at_the_end(v, rho0))

    def tangent(self, v: Control | np.ndarray, dv: Control | np.ndarray, rho0: TorusDensity) -> np.ndarray:
        """``δμ_1`` for a change δv of the control, (n, …, n): ``∂_s δμ + div(δμ v + μ δv) = 0``, ``δμ_0 = 0``."""
        u, du = self._start(rho0), np.zeros(self._equation.modes.shape, dtype=np.complex128)
        for velocity, change in zip(self._velocities(v), self._velocities(dv, stable=False)):
            u, du = self._equation.tangent(u, du, velocity, change)
        return self._equation.modes.inverse(du)

    # ---- gradient --------------------------------------------------------------------------------------------

    def differential(self, v: Control | np.ndarray, rho0: TorusDensity, loss: Loss) -> np.ndarray:
        """``μ_s∇I_s``, the gradient in L²([0,1]×T^d), (L, d, n, …, n): ``L n^d`` times the plain derivative."""
        return self.risk_and_differential(v, rho0, loss)[1]

    def gradient(self, v: Control | np.ndarray, rho0: TorusDensity, loss: Loss) -> np.ndarray:
        """``K * (μ_s∇I_s)``, the gradient in L²([0,1], V), (L, d, n, …, n)."""
        return self.risk_and_gradient(v, rho0, loss)[1]

    def risk_and_gradient(self, v: Control | np.ndarray, rho0: TorusDensity, loss: Loss) -> tuple[float, np.ndarray]:
        """Both from one forward pass."""

        def convolve(momentum: np.ndarray, out: np.ndarray) -> None:
            for component, result in zip(momentum, out):
                self._equation.modes.spectra[0].convolve(component, self._multiplier, result)

        return self._risk_and(convolve, v, rho0, loss)

    def risk_and_differential(
        self, v: Control | np.ndarray, rho0: TorusDensity, loss: Loss
    ) -> tuple[float, np.ndarray]:
        """Both from one forward pass."""
        return self._risk_and(lambda momentum, out: np.multiply(momentum, self.depth, out=out), v, rho0, loss)

    def _risk_and(
        self,
        represent: Callable[[np.ndarray, np.ndarray], object],
        v: Control | np.ndarray,
        rho0: TorusDensity,
        loss: Loss,
    ) -> tuple[float, np.ndarray]:
        """The risk, and the derivative by each layer as ``represent(derivative, out)`` writes it.

        Until the adjoint reaches a layer, its place in the result holds what the adjoint will read of it.
        """
        self.check(rho0, loss)
        velocities, start, equation = self._velocities(v), self._start(rho0), self._equation
        out = np.empty(self.control_shape)
        every = self.depth if self.checkpoints is None else -(-self.depth // self.checkpoints)
        kept, u = [], start
        for layer, velocity in enumerate(velocities):
            if layer % every == 0:
                kept.append(u)
            last = len(kept) * every >= self.depth
            u = equation.forward(u, velocity, equation.record(out[layer]) if last else None)
        end = density_from_solver(self._back_on_grid(rho0, start, u), self.torus)
        risk = loss.value(end)
        try:
            differential = loss.differential(end)
        except ValueError as error:  # a density below zero, where a logarithm has no value
            raise Refusal(Status.NOT_POSITIVE, str(error)) from error
        potential = equation.modes.forward(differential)
        momentum = np.empty((self.torus.dim, *self.torus.shape))
        del u, end, differential
        for first in range((len(kept) - 1) * every, -1, -every):
            layers, u = range(first, min(first + every, self.depth)), kept.pop()
            if layers.stop < self.depth:
                for layer in layers:
                    u = equation.forward(u, velocities[layer], equation.record(out[layer]))
            for layer in reversed(layers):
                momentum[...] = 0.0
                potential = equation.adjoint(equation.record(out[layer]), potential, velocities[layer], momentum)
                represent(momentum, out[layer])
        return risk, out

    # ---- flow map --------------------------------------------------------------------------------------------

    def flow_map(self, v: Control | np.ndarray, x: np.ndarray | None = None) -> np.ndarray:
        """``Φ(x)``, where ``∂_s Φ_s = v_s∘Φ_s``: ``μ_1 = Φ_# μ_0``. Not wrapped.

        Parameters
        ----------
        v : Control or (L, d, n, …, n)
        x : (N, d) float or None — None is the grid

        Returns
        -------
        (N, d), or (d, n, …, n) on the grid

        Raises
        ------
        ValueError
            If the kernel's order is not above ``d/2 + 1``, or, of the map on the grid, ``det DΦ ≤ 0`` somewhere; at
            points it is not looked at (see :meth:`jacobian_range`).
        """
        return self._characteristics(self._velocities(v), x, 1.0 / (self.depth * self.substeps))

    def inverse_flow_map(self, v: Control | np.ndarray, x: np.ndarray | None = None) -> np.ndarray:
        """``Φ^{−1}(x)`` by the flow backwards; arguments, shapes and errors as :meth:`flow_map`."""
        return self._characteristics(self._velocities(v)[::-1], x, -1.0 / (self.depth * self.substeps))

    def jacobian_range(self, v: Control | np.ndarray) -> tuple[float, float]:
        """Least and greatest ``det DΦ`` over the grid of images, from the density ``1/det DΦ∘Φ^{−1} = Φ_# 1``.

        One forward pass; the least is infinite or negative where the map is not resolved.
        """
        pushed = self._at_the_end(v, TorusDensity(np.ones(self.torus.shape), self.torus)).values
        low, high = float(pushed.min()), float(pushed.max())
        return (1.0 / high, 1.0 / low) if low > 0 else (-math.inf, math.inf)

    def _characteristics(self, velocities: np.ndarray, x: np.ndarray | None, step: float) -> np.ndarray:
        self.kernel.require_flow_map(self.torus.dim)
        points = flow_map.grid_points(self.torus) if x is None else _check.array("x", x, "pass finite points")
        if points.ndim != 2 or points.shape[1] != self.torus.dim:
            raise _check.fail(f"x must have shape (N, {self.torus.dim})", f"shape {points.shape}", "stack them as rows")
        moved = flow_map.advect(self.torus, velocities, points, tableau=self.tableau, substeps=self.substeps, step=step)
        if x is not None:
            return moved
        phi = flow_map.on_grid(self.torus, moved)
        low = float(flow_map.jacobian_determinant(self.torus, phi).min())
        if not low > 0:
            raise Refusal(
                Status.NOT_POSITIVE,
                f"a flow map must have det > 0 (got {low:.3g} on the grid); take more points, or a smoother control",
            )
        return phi

    # ---- training --------------------------------------------------------------------------------------------

    def problem(
        self, rho0: TorusDensity, y: Loss | None = None, loss: Loss | None = None, *, penalty: float = 0.0
    ) -> DensityTraining:
        """The risk as a function of the control alone, for :class:`mf.Risk`; the loss is its ``y`` or its ``loss``."""
        given = [part for part in (y, loss) if part is not None]
        if len(given) != 1:
            raise TypeError(f"a DensityNODE needs one loss (got {len(given)}); pass mf.Risk(node, rho0, loss)")
        return DensityTraining(self, rho0, given[0], penalty)

    # ---- the pieces ------------------------------------------------------------------------------------------

    def check(self, rho0: TorusDensity, loss: Loss) -> None:
        """Refuse data that do not fit, before any work: grids, and masses that no flow could make equal."""
        self._check_density(rho0)
        for name in ("value", "differential"):
            if isinstance(loss, type) or not callable(getattr(loss, name, None)):
                raise TypeError(
                    f"loss must be a distance energy (got {type(loss).__name__}); pass mf.L2Distance(target)"
                )
        for target in targets(loss):
            if target.torus != self.torus:
                raise _check.fail("the target must live on the node's torus", str(target.torus), f"use {self.torus}")
            if abs(target.mass - rho0.mass) > 1e-9 * rho0.mass:
                raise _check.fail(
                    "rho0 and the target must have one mass, a flow keeps it",
                    f"{rho0.mass:.9g} and {target.mass:.9g}",
                    "pass normalise=True to torus.density",
                )

    def _check_density(self, rho0: TorusDensity) -> None:
        if not isinstance(rho0, TorusDensity):
            raise TypeError(f"rho0 must be a TorusDensity (got {type(rho0).__name__}); pass torus.density(...)")
        if rho0.torus != self.torus:
            raise _check.fail("rho0 must live on the node's torus", str(rho0.torus), f"use {self.torus}")

    @cached_property
    def _equation(self) -> Continuity:
        return Continuity(self.torus, self.tableau, self.substeps, 1.0 / (self.depth * self.substeps))

    @cached_property
    def _multiplier(self) -> np.ndarray:
        """``K̂``, with the depth and the transform's ``n^{−d}`` folded in."""
        return self.kernel.multiplier(self.torus) * (self.depth / self.torus.size)

    def _start(self, rho0: TorusDensity) -> np.ndarray:
        self._check_density(rho0)
        modes = self._equation.modes
        coefficients = modes.forward(rho0.values)
        lost = modes.lost(rho0.values, coefficients)
        if lost > UNRESOLVED:
            warnings.warn(
                f"rho0 should be resolved on the kept modes |k| < {modes.kept} of n = {self.torus.n} (got {lost:.2g} "
                "of its L2 norm beyond them, which does not move); take more points",
                RuntimeWarning,
                stacklevel=4,
            )
        return coefficients

    def _march(self, u: np.ndarray, velocities: np.ndarray) -> Iterator[np.ndarray]:
        """Coefficients after each layer."""
        for velocity in velocities:
            u = self._equation.forward(u, velocity)
            yield u

    def _back_on_grid(
        self, rho0: TorusDensity, start: np.ndarray, u: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        """``ρ_0`` plus what has changed: exact where nothing moves, modes beyond the kept ones included."""
        values = self._equation.modes.inverse(u - start, out)
        values += rho0.values
        return values

    def _at_the_end(self, v: Control | np.ndarray, rho0: TorusDensity) -> TorusDensity:
        velocities, start = self._velocities(v), self._start(rho0)
        u = start
        for u in self._march(start, velocities):
            pass
        return density_from_solver(self._back_on_grid(rho0, start, u), self.torus)

    def _velocities(self, v: Control | np.ndarray, *, stable: bool = True) -> np.ndarray:
        """The values of a control, checked: type, shape, finite, and small enough for the depth."""
        if isinstance(v, Control):
            if v.torus != self.torus:
                raise _check.fail("the control must live on the node's torus", str(v.torus), f"use {self.torus}")
            values = v.values
        else:
            values = np.ascontiguousarray(_check.real_array("a control", v, "pass a Control or an array"))
        if values.shape != self.control_shape:
            raise _check.fail(
                f"a control must have shape {self.control_shape} (layers, components, grid)",
                f"shape {values.shape}",
                "start from node.zero()",
            )
        speeds = [self._equation.speed(velocity) for velocity in values]
        layer = int(np.argmax(speeds))  # the first NaN if there is one
        if not math.isfinite(speeds[layer]):
            raise Refusal(
                Status.NOT_FINITE, f"a control must be finite (got NaN or infinity in layer {layer}); check it"
            )
        step, bound = self._equation.step, self._equation.greatest_step(speeds[layer])
        if stable and step > bound:
            raise Refusal(
                Status.UNSTABLE,
                f"a sub-step must not exceed {bound:.6g} for this control (got {step:.6g} at depth {self.depth} with "
                f"{self.substeps} sub-steps, layer {layer}); use depth={math.ceil(self.depth * step / bound)}, or "
                f"substeps={math.ceil(self.substeps * step / bound)}",
            )
        return values
