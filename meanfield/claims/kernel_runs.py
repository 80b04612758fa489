"""Particles that flow to a target density by a kernel: one run as the script makes it, and what theory says of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.claims.ladder import Ladder
from meanfield.claims.particle_runs import fine_cells
from meanfield.claims.runs import chosen, grid
from meanfield.claims.verdict import Measurement, Verdict
from meanfield.distances import transport_plan, wasserstein
from meanfield.energies import Energy, KullbackLeibler, SobolevDistance
from meanfield.flow import GradientFlow
from meanfield.geometries import Geometry, Kernelised, Wasserstein
from meanfield.measures import ParticleMeasure, TorusDensity
from meanfield.particles import sample, to_modes
from meanfield.particles.sampling import lattice
from meanfield.steppers import RK4
from meanfield.theory import mode_rate
from meanfield.torus import GaussianKernel

if TYPE_CHECKING:
    import xarray as xr

FINE_CELLS = {1: 4096, 2: 256, 3: 48}  # an axis, of the cells the target is drawn from and compared with
FINER = 4  # points for a particle in the cloud that stands for the target in d > 1
MOST_COMPARED = 500  # particles in d > 1 up to which W₂ to the target is observed
LIFETIMES = 20.0  # of the first mode about the uniform density: how long a run takes by default
SOONEST = 1e-4  # of the run: the first save


class KernelRun:
    """A cloud that flows to a target density on the torus: by Stein's velocity, or down a Sobolev distance (MMD).

    Parameters
    ----------
    p : mapping — the parameters of the ladder
    number : float — N

    Notes
    -----
    Target ``ρ* ∝ exp(h (cos 2πmx_1 + Σ_{a>1} cos 2πx_a))`` with m hills; the cloud is a lattice in a cube.
    """

    def __init__(self, p: Mapping[str, Any], number: float) -> None:
        self.p, torus = p, grid(p["n"], p["dim"])
        self.dim = torus.dim
        hills = _check.whole("hills", p["hills"], "pass 1, 2 …", at_least=1)
        self.target = torus.density(
            lambda x, *rest: np.exp(
                p["height"] * (np.cos(2 * np.pi * hills * x) + sum(np.cos(2 * np.pi * y) for y in rest))
            ),
            normalise=True,
        )
        count = _check.whole("number", number, "pass a number of particles", at_least=2)
        width = _check.positive("width", p["width"], "pass the side of the cube the cloud starts in")
        self.start = ParticleMeasure(p["centre"] + width * (lattice(count, self.dim) - 0.5), torus=torus)
        self.mmd = SobolevDistance(self.target, order=p["loss_order"])
        energies: dict[str, Callable[[], Energy]] = {
            "KL": lambda: KullbackLeibler(self.target),
            "MMD": lambda: self.mmd,
        }
        geometries: dict[str, Callable[[], Geometry]] = {
            "kernelised": lambda: Kernelised(GaussianKernel(p["length"])),
            "wasserstein": Wasserstein,
        }
        self.flow = GradientFlow(chosen("loss", p["loss"], energies), chosen("geometry", p["geometry"], geometries))
        self.times = self._times()
        self._cells = fine_cells(self.target, FINE_CELLS[self.dim])
        self._plan: Any = None

    def _times(self) -> np.ndarray:
        """Saves equally spaced in the logarithm of time, to an end of some lifetimes of the first mode."""
        p = self.p
        saves = _check.whole("saves", p["saves"], "pass a number of saves", at_least=4)
        rate = mode_rate(1, order=0, loss_order=p["loss_order"] if self.finite else 0.0)
        if isinstance(self.flow.geometry, Kernelised):
            rate *= float(self.flow.geometry.kernel.spectrum(np.array(4 * np.pi**2)))  # type: ignore[union-attr]
        end = p["t_end"] or LIFETIMES / rate
        return np.concatenate([[0.0], np.geomspace(SOONEST * end, end, saves - 1)])

    @property
    def finite(self) -> bool:
        """Whether the energy of particles is finite."""
        return self.p["loss"] == "MMD"

    @property
    def stepper(self) -> Any:
        """Of the particles."""
        return RK4(tolerance=self.p["tolerance"])

    @property
    def observers(self) -> dict[str, Callable]:
        """Squared MMD over that of independent draws, and W₂ to the target where that is cheap."""
        draws = self.squared_mmd_of_draws
        observed: dict[str, Callable] = {"relative_mmd": lambda mu: 2 * self.mmd.value(mu) / draws}
        if self.dim == 1 or self.start.number <= MOST_COMPARED:
            observed["gap"] = self.gap
        return observed

    @property
    def squared_mmd_of_draws(self) -> float:
        """The mean of ``Σ_k h(k)|μ̂ − ρ̂*|²`` for N independent draws: ``Σ_k h(k)(1 − |ρ̂*|²)/N``."""
        torus = self.target.torus
        atom = np.abs(to_modes(torus, np.zeros((1, self.dim)), np.ones((1, 1)))[0]) ** 2  # 1 on every mode carried
        weights = torus.mode_weights * self.mmd.spectrum(torus.squared_wavenumber) * atom
        modes = torus.coefficients(self.target.values)
        return float(np.sum(weights * (1 - np.abs(modes) ** 2))) / self.start.number

    def gap(self, mu: ParticleMeasure) -> float:
        """W₂ to the target; in d > 1 to a cloud of it, each plan from the last one."""
        if self.dim == 1:
            return wasserstein(self._cells, mu)
        self._plan = transport_plan(mu, self.cloud(FINER * mu.number), start=self._plan)
        return self._plan.value

    def cloud(self, number: int) -> ParticleMeasure:
        """A lattice of this many points for the target."""
        points = sample(TorusDensity(self._cells.values, self._cells.torus, normalise=True), number)
        return ParticleMeasure(points.positions, torus=self.target.torus)

    def least_gap(self) -> float:
        """W₂ to the target of a lattice of N points, which have the target in view."""
        return self.gap(self.cloud(self.start.number))


def of_kernel_run(ladder: Ladder, run: KernelRun, ds: xr.Dataset) -> Iterator[Measurement | Verdict]:
    """What theory says of the run: energy, slope, balance, and how near the particles come to the target."""
    expected, energy = ladder.expected, ds.energy.values
    if run.finite:
        drop = energy[0] - energy[-1]
        rise = expected["largest rise of the energy between saves, over its first value"]
        yield rise.measured(float(np.diff(energy).max() / energy[0]))
        defect = float(np.abs(ds.balance_defect_velocity).max() / drop)
        yield expected["balance defect by velocity over the drop of the energy"].measured(defect)
        if np.isfinite(ds.balance_defect).all():
            defect = float(np.abs(ds.balance_defect).max() / drop)
            yield expected["balance defect by distance over the drop of the energy"].measured(defect)
    ratio = math.sqrt(float(ds.dissipation[-1] / ds.dissipation[0]))
    yield expected["slope at the end over that at the start"].measured(ratio)
    quantity = expected["squared MMD to the target over that of independent draws, at the end"]
    yield quantity.measured(float(ds.relative_mmd[-1]))
