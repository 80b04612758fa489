"""Clouds and flows of particles that claims and scripts share: starts, references, what a run shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.claims.ladder import Ladder
from meanfield.claims.runs import chosen, cosine, porous_medium
from meanfield.claims.verdict import Measurement
from meanfield.distances.quantiles import Quantile
from meanfield.energies import BlobEnergy
from meanfield.flow import GradientFlow
from meanfield.geometries import Wasserstein
from meanfield.measures import ParticleMeasure, TorusDensity
from meanfield.particles import sample
from meanfield.run import saved_times, solve
from meanfield.steppers import ETDRK4, RK4, FiniteVolume
from meanfield.theory import barenblatt, barenblatt_cell_means, barenblatt_distribution, barenblatt_time
from meanfield.torus import GaussianKernel, Torus

if TYPE_CHECKING:
    import xarray as xr

FINE_CELLS = 4096  # of a closed form on the circle, whose cells are then no error of a distance
FINER = 16  # points for a particle in the cloud that stands for a density in d > 1
CELLS_FOR_CLOUDS = 256  # an axis, of the density such a cloud is drawn from


def blob_flow(p: Mapping[str, Any], spacing: float, *, m: float, torus: Torus | None = None) -> GradientFlow:
    """The Wasserstein flow of the blob energy with mollifier of length ``width · h^power``."""
    mollifier = GaussianKernel(p["width"] * spacing ** p["power"])
    return GradientFlow(BlobEnergy(m, p["coefficient"], mollifier=mollifier, torus=torus), Wasserstein())


def lattice_start(across: float, t: float, *, m: float, coefficient: float, radius: float, dim: int) -> ParticleMeasure:
    """The Barenblatt solution of this radius on the midpoints of a lattice, ``across`` of them along a diameter.

    The weights are the masses of the cells in d = 1, proportional to the values at the midpoints in d = 2.
    """
    edges = np.linspace(-radius, radius, _check.whole("across", across, "pass a number of particles", at_least=2) + 1)
    middles = 0.5 * (edges[1:] + edges[:-1])
    if dim == 1:
        weights = np.diff(barenblatt_distribution(edges, t, exponent=m, coefficient=coefficient))
        return ParticleMeasure(middles[:, None], weights, normalise=True)
    points = np.stack(np.meshgrid(*[middles] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    weights = barenblatt(np.linalg.norm(points, axis=1), t, dim=dim, exponent=m, coefficient=coefficient)
    return ParticleMeasure(points[weights > 0], weights[weights > 0], normalise=True)


def sunflower(number: int, *, m: float, radius: float) -> ParticleMeasure:
    """Particles of equal weight for the Barenblatt solution of this radius in the plane, golden angles apart.

    The mass beyond the radius r is ``(1 − r²/R²)^{p+1}``, p = 1/(m − 1).
    """
    i = np.arange(number) + 0.5
    r = radius * np.sqrt(1 - (1 - i / number) ** ((m - 1) / m))
    angle = math.pi * (3 - math.sqrt(5)) * i
    return ParticleMeasure(np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1))


def fine_cells(state: TorusDensity, n: int, shift: float = 0.0) -> TorusDensity:
    """Means over n cells an axis of a resolved density, from its modes; the cells' centres are moved by ``shift/n``."""
    torus, fine = state.torus, Torus(n, dim=state.torus.dim)
    top = (torus.n - 1) // 2
    low = np.arange(top + 1)
    rows = [np.r_[low, -top:0]] * (torus.dim - 1)
    kept = np.ix_(*rows, low)
    modes = np.zeros(fine.squared_wavenumber.shape, dtype=np.complex128)
    modes[kept] = torus.coefficients(state.values)[kept]
    for axis in range(torus.dim):
        k = np.arange(n // 2 + 1) if axis == torus.dim - 1 else np.fft.fftfreq(n, 1 / n)
        factor = np.sinc(k / n) * np.exp(2j * np.pi * k * shift / n)
        modes *= factor.reshape((-1,) + (1,) * (torus.dim - 1 - axis))
    return fine.density(np.maximum(fine.values(modes), 0.0))


def quantile_function(state: TorusDensity, n: int) -> Quantile:
    """The quantile function of a resolved density on the circle, counted from x = 0, from n cells."""
    masses = fine_cells(state, n, shift=0.5).values / n
    return Quantile.from_histogram(np.arange(n + 1) / n, masses / masses.sum())


def quantile_means(quantile: Quantile, number: int) -> np.ndarray:
    """Means of a quantile function over N portions of equal mass: the N atoms nearest to the measure in W₂."""
    ends = np.concatenate([[0.0], np.cumsum(quantile.masses)])
    centres = 0.5 * (quantile.left + quantile.right)
    sums = np.concatenate([[0.0], np.cumsum(quantile.masses * centres)])
    u = np.linspace(0.0, ends[-1], number + 1)
    piece = np.clip(np.searchsorted(ends, u, side="right") - 1, 0, len(centres) - 1)
    part = u - ends[piece]
    slope = (quantile.right - quantile.left)[piece] / quantile.masses[piece]
    return np.diff(sums[piece] + part * (quantile.left[piece] + 0.5 * slope * part)) * number / ends[-1]


# ---- one run, as the script makes it -----------------------------------------------------------------------------


class BlobRun:
    """Particles of a blob flow on the torus beside the density run of the same data.

    Parameters
    ----------
    p : mapping — the parameters of the ladder
    across : float — particles along the diameter of the support, or along the period for positive data

    Notes
    -----
    Compact data (``barenblatt``) start from a lattice, with the finite-volume scheme and the closed form beside them;
    positive data (``cosine``) from quantiles or a lattice of low discrepancy, with the Fourier scheme.
    """

    def __init__(self, p: Mapping[str, Any], across: float) -> None:
        self.p, self.m, self.dim = p, p["exponent"], _check.whole("dim", p["dim"], "pass 1 or 2", at_least=1)
        if self.dim > 2:
            raise _check.fail("dim must be 1 or 2", repr(p["dim"]), "this script shows the line and the plane")
        make = chosen("data", p["data"], {"barenblatt": lambda: self._compact, "cosine": lambda: self._positive})
        n = _check.whole("n", p["n"], "pass a number of grid points", at_least=8)
        self.spacing, self.t_end, cloud, self.density, stepper = make(across, n)
        highest = 0.97 / (p["width"] * self.spacing ** p["power"])  # what the blob energy asks its grid to resolve
        torus = Torus(max(16, 2 * math.ceil(highest) + 2), dim=self.dim)
        self.particles = ParticleMeasure(cloud.positions, cloud.weights, torus)
        self.flow = blob_flow(p, self.spacing, m=self.m, torus=torus)
        self.times = saved_times(self.t_end, _check.whole("saves", p["saves"], "pass a number of saves", at_least=2))
        self.reference = solve(
            porous_medium(p), self.density, t_end=self.t_end, stepper=stepper, save_at=self.times, progress=False
        )

    def _compact(self, across: float, n: int) -> tuple:
        p, law = self.p, {"exponent": self.m, "coefficient": self.p["coefficient"]}
        start, end = (barenblatt_time(p[radius], dim=self.dim, **law) for radius in ("radius_start", "radius_end"))
        if not p["radius_start"] < p["radius_end"] < 0.5:
            got = f"{p['radius_start']:g} and {p['radius_end']:g}"
            raise _check.fail(
                "radii must satisfy radius_start < radius_end < 1/2", got, "the support must not meet itself"
            )
        self.start = start
        cloud = lattice_start(
            across, start, m=self.m, coefficient=p["coefficient"], radius=p["radius_start"], dim=self.dim
        )
        centred = ParticleMeasure(cloud.positions + 0.5, cloud.weights)
        density = Torus(n, dim=self.dim).density(barenblatt_cell_means(n, start, dim=self.dim, center=0.5, **law))
        return 2 * p["radius_start"] / across, end - start, centred, density, FiniteVolume()

    def _positive(self, across: float, n: int) -> tuple:
        density = cosine(n, self.p["amplitude"], dim=self.dim)
        number = _check.whole("across", across, "pass a number of particles", at_least=2) ** self.dim
        cells = fine_cells(density, FINE_CELLS if self.dim == 1 else CELLS_FOR_CLOUDS)
        return 1 / across, self.p["t_end"], sample(cells, number), density, ETDRK4(tolerance=1e-7)

    @property
    def compact(self) -> bool:
        """Whether the data have compact support."""
        return self.p["data"] == "barenblatt"

    @property
    def stepper(self) -> Any:
        """Of the particles."""
        return RK4(tolerance=self.p["tolerance"])

    @property
    def observers(self) -> dict[str, Callable]:
        """W₂ to the density run, and to Barenblatt's solution for compact data; the centre of mass."""
        gaps = {"gap_density": self._gap(self._computed)}
        if self.compact:
            gaps["gap_barenblatt"] = self._gap(self._exact)
        return gaps | {"centre": lambda mu: mu.weights @ mu.positions}

    def _computed(self, t: float) -> TorusDensity:
        """The density run at a save."""
        values = self.reference.density.sel(time=t, method="nearest").values
        density = TorusDensity(values, self.density.torus)
        return density if self.compact else fine_cells(density, FINE_CELLS if self.dim == 1 else CELLS_FOR_CLOUDS)

    def _exact(self, t: float) -> TorusDensity:
        """Cell means of Barenblatt's solution."""
        n = FINE_CELLS if self.dim == 1 else CELLS_FOR_CLOUDS
        law = {"exponent": self.m, "coefficient": self.p["coefficient"]}
        means = barenblatt_cell_means(n, self.start + t, dim=self.dim, center=0.5, **law)
        return Torus(n, dim=self.dim).density(means)

    def _gap(self, density: Callable[[float], TorusDensity]) -> Callable[[float, ParticleMeasure], float]:
        """W₂ between particles and a density at a time; in the plane to a cloud of it, each plan from the last one."""
        from meanfield.distances import transport_plan, wasserstein

        plan = None

        def gap(t: float, mu: ParticleMeasure) -> float:
            nonlocal plan
            there = density(t)
            if self.dim == 1:
                return wasserstein(there, mu)
            cloud = sample(TorusDensity(there.values, there.torus, normalise=True), FINER * mu.number)
            plan = transport_plan(mu, ParticleMeasure(cloud.positions, torus=mu.torus), start=plan)
            return plan.value

        return gap


def of_blob_run(ladder: Ladder, run: BlobRun, ds: xr.Dataset) -> Iterator[Measurement]:
    """What theory says of a blob run, and how near it comes to the densities."""
    expected, energy = ladder.expected, ds.energy.values
    yield expected["largest rise of the energy between saves, over its first value"].measured(
        float(np.diff(energy).max() / energy[0])
    )
    yield expected["largest drift of the centre of mass"].measured(float(np.abs(ds.centre - ds.centre[0]).max()))
    defect = float(np.abs(ds.balance_defect_velocity).max() / (energy[0] - energy[-1]))
    yield expected["balance defect by velocity over the drop of the energy"].measured(defect)
    spread = run.p["radius_end"] / run.p["radius_start"] if run.compact else 1.0
    unit = spread * run.spacing * math.sqrt(run.dim / 12)
    names = {"gap_density": "finite volume" if run.compact else "Fourier", "gap_barenblatt": "Barenblatt"}
    for name, case in names.items():
        if name in ds:
            quantity = expected["W2 to the density at the end over that of cubes of the mean spacing"]
            yield quantity.measured(float(ds[name][-1]) / unit, case=case)
