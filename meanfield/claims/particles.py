"""Claims on particle flows: blobs against Barenblatt's solution, particles against densities (section BLOB)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.kernelised_runs import kernelised
from meanfield.claims.ladder import Ladder
from meanfield.claims.particle_runs import (
    blob_flow,
    fine_cells,
    lattice_start,
    quantile_function,
    quantile_means,
    sunflower,
)
from meanfield.claims.rates import fit_rate
from meanfield.claims.runs import accepted, cosine, final
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement
from meanfield.distances import wasserstein
from meanfield.energies import Interaction
from meanfield.flow import GradientFlow
from meanfield.geometries import Wasserstein
from meanfield.measures import ParticleMeasure, TorusDensity
from meanfield.particles import sample
from meanfield.steppers import ETDRK4, RK4
from meanfield.theory import barenblatt_quantile_means, barenblatt_second_moment, barenblatt_time
from meanfield.torus import SobolevKernel

Levels = dict[str, list[float]]


# ---- BLOB-1 --------------------------------------------------------------------------------------------------------


def blob_against_barenblatt(ladder: Ladder, levels: Levels, progress: bool | None = None) -> Iterator[Measurement]:
    """BLOB-1: orders in W₂ for m = 2, 3 and d = 1, 2 from lattices; energy and centre of mass at every step."""
    p, expected = ladder.parameters, ladder.expected
    for dim, axis in ((1, "line"), (2, "square")):
        for m in p["exponent"]:

            def run(across, m=m, dim=dim) -> dict[str, float]:
                return barenblatt_gap(p, across, m=m, dim=dim)

            ds = sweep(run, {"across": levels[axis]}, seeds=None, progress=progress)
            fit, case = fit_rate(ds.gap, along="across", bend=math.inf), f"m = {m:g}"
            yield expected[f"W2 to Barenblatt, d = {dim}"].measured(fit, case=case)
            if dim == 1:
                fit = fit_rate(ds.gap_to_means, along="across", bend=math.inf)
                yield expected["W2 to the means of the quantile function, d = 1"].measured(fit, case=case)
            case = f"d = {dim}, m = {m:g}"
            yield expected["largest rise of the energy in a step"].measured(float(ds.rise.max()), case=case)
            drift = drift_of_centre(p, m=m, dim=dim)
            yield expected["largest drift of the centre of mass over the path"].measured(drift, case=case)


def barenblatt_gap(p: Mapping[str, Any], across: float, *, m: float, dim: int) -> dict[str, float]:
    """One run between two Barenblatt profiles: its distances to the last one, and the largest rise of its energy."""
    profile: dict[str, Any] = {"dim": dim, "exponent": m, "coefficient": p["coefficient"]}
    start, end = (barenblatt_time(p[radius], **profile) for radius in ("radius_start", "radius_end"))
    datum = lattice_start(across, start, m=m, coefficient=p["coefficient"], radius=p["radius_start"], dim=dim)
    flow = blob_flow(p, 2 * p["radius_start"] / across, m=m)
    rise, before, state = -math.inf, flow.energy.value(datum), datum
    for _, state, _ in accepted(flow, datum, RK4(tolerance=p["tolerance"]), end - start):
        energy = flow.energy.value(state)
        rise, before = max(rise, energy / before - 1), energy
    if dim == 2:
        return {
            "gap": wasserstein(state, sunflower(int(p["finer"]) * state.number, m=m, radius=p["radius_end"])),
            "rise": rise,
        }
    means = barenblatt_quantile_means(datum.weights, end, exponent=m, coefficient=p["coefficient"])
    to_means = wasserstein(state, ParticleMeasure(means[:, None], datum.weights))
    left = barenblatt_second_moment(end, **profile) - float(datum.weights @ means**2)  # of the nearest atoms
    return {"gap": math.hypot(to_means, math.sqrt(left)), "gap_to_means": to_means, "rise": rise}


def drift_of_centre(p: Mapping[str, Any], *, m: float, dim: int) -> float:
    """Of a random cloud of random weights: how far its centre of mass moves, over the root mean square path."""
    rng = np.random.default_rng(dim)
    datum = ParticleMeasure(rng.normal(size=(40, dim)), rng.dirichlet(np.ones(40)))
    state = final(blob_flow(p, 0.1, m=m), datum, RK4(tolerance=1e-4), 0.1)
    moved = state.positions - datum.positions
    return float(np.abs(datum.weights @ moved).max() / math.sqrt(float(datum.weights @ (moved**2).sum(axis=1))))


# ---- BLOB-2 --------------------------------------------------------------------------------------------------------


def particles_against_densities(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """BLOB-2: the gap in W₂ of one flow, carried by N particles and by a density."""
    p, expected = ladder.parameters, ladder.expected
    start, end = density_pair(p, p["n"], dim=1)
    first_cells, fine = (fine_cells(state, int(p["cells"])) for state in (start, end))
    first, last = (quantile_function(state, int(p["cells"])) for state in (start, end))

    def from_quantiles(number: float) -> dict[str, float]:
        state = carried(
            p, ParticleMeasure(first((np.arange(number) + 0.5) / number)[:, None], torus=start.torus), p["tolerance"]
        )
        atoms = ParticleMeasure(quantile_means(last, int(number))[:, None], torus=start.torus)
        floor = math.sqrt(float(np.mean(1 / fine.values)) / 12) / number
        gap = wasserstein(fine, state)
        return {"gap": gap, "over_floor": gap / floor, "to_means": wasserstein(atoms, state)}

    ds = sweep(from_quantiles, {"number": levels["line"]}, seeds=None)
    yield expected["gap, quantile starts"].measured(fit_rate(ds.gap, along="number"))
    yield expected["gap over (∫1/ρ)^½/(N√12), largest number"].measured(float(ds.over_floor[-1]))
    yield expected["gap to the means of the quantile function"].measured(fit_rate(ds.to_means, along="number"))

    coarse = p["tolerance_of_large_gaps"]

    def from_draws(number: float, rng: np.random.Generator) -> float:
        return wasserstein(fine, carried(p, sample(first_cells, int(number), rng=rng), coarse))

    errors = sweep(from_draws, {"number": levels["draws"]}, seeds=ladder.seeds)["value"]
    yield expected["gap, random draws"].measured(fit_rate(errors, along="number", bend=math.inf))

    start, end = (fine_cells(state, int(p["cells_plane"])) for state in density_pair(p, p["n_plane"], dim=2))
    cloud = sample(end, int(p["finer"] * max(levels["plane"])))

    def from_lattices(number: float) -> float:
        return wasserstein(carried(p, sample(start, int(number)), coarse), cloud)

    errors = sweep(from_lattices, {"number": levels["plane"]}, seeds=None)["value"]
    yield expected["gap, lattices, d = 2"].measured(fit_rate(errors, along="number", bend=math.inf))


def density_pair(p: Mapping[str, Any], n: float, *, dim: int) -> tuple[TorusDensity, TorusDensity]:
    """The datum and the density at the end: the flow of KL to the uniform density in the geometry of K."""
    datum = cosine(n, p["amplitude"], dim=dim)
    flow = kernelised("KL", datum.torus, order=p["order"], length=p["length"])
    return datum, final(flow, datum, ETDRK4(tolerance=p["tolerance"]), p["t_end"])


def carried(p: Mapping[str, Any], particles: ParticleMeasure, tolerance: float) -> ParticleMeasure:
    """Particles at the end of the same flow, as that of ½∬K in Wasserstein; K has the modes of the density's grid."""
    like = cosine(p["n"] if particles.dim == 1 else p["n_plane"], 0.0, dim=particles.dim).torus
    flow = GradientFlow(Interaction(SobolevKernel(p["order"], p["length"])), Wasserstein())
    datum = ParticleMeasure(particles.positions, particles.weights, like)
    return final(flow, datum, RK4(tolerance=tolerance), p["t_end"])


CLAIMS = (
    Claim(
        "BLOB-1",
        "the blob energy never rises, the centre of mass stays, and W₂ to Barenblatt falls like h from lattices",
        "Carrillo, Craig & Patacchini 2019; Barenblatt 1952",
        "blob_barenblatt",
        blob_against_barenblatt,
        (
            Hypothesis("slow diffusion: m > 1", lambda p: min(p["exponent"]) > 1),
            Hypothesis("the mollifier is wider than the lattice: width ≥ 1, power < 1",
                       lambda p: p["width"] >= 1 and 0 < p["power"] < 1),
            Hypothesis("the support grows", lambda p: 0 < p["radius_start"] < p["radius_end"]),
        ),
    ),
    Claim(
        "BLOB-2",
        "particles and densities of one flow agree: W₂ falls like 1/N from quantiles, N^{−1/2} from draws",
        "Dobrushin 1979; Fournier & Guillin 2015",
        "blob_densities",
        particles_against_densities,
        (
            Hypothesis("s ≥ 3", lambda p: p["order"] >= 3),
            Hypothesis("the datum is positive: 0 < amplitude < 1", lambda p: 0 < p["amplitude"] < 1),
        ),
    ),
)  # fmt: skip
