"""The claim every run records: De Giorgi's balance (section FLOW)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_rate
from meanfield.claims.runs import cosine, grid, porous_medium
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement
from meanfield.energies import SobolevDistance
from meanfield.flow import GradientFlow
from meanfield.geometries import Kernelised, Wasserstein
from meanfield.measures import ParticleMeasure, TorusDensity
from meanfield.run import solve
from meanfield.steppers import ETDRK4, SSPRK3
from meanfield.torus import GaussianKernel


def balance_on_the_circle(ladder: Ladder, levels: dict[str, list[float]]) -> Iterator[Measurement]:
    """FLOW-1 in d = 1: both defects against the step, the spacing of saves and the grid."""
    p, expected, flow, t_end = (
        ladder.parameters,
        ladder.expected,
        porous_medium(ladder.parameters),
        ladder.parameters["t_end"],
    )

    def run(n, stepper, saves=2):
        return solve(flow, cosine(n, p["amplitude"]), t_end=t_end, stepper=stepper, save_at=int(saves), progress=False)

    for name, make in {"ETDRK4": ETDRK4, "SSPRK3": SSPRK3}.items():

        def in_step(steps, make=make):
            return abs(run(p["n_in_time"], make(dt=t_end / steps)).balance_defect_velocity[-1])

        errors = sweep(in_step, {"steps": levels["steps"]}, seeds=None)["value"]
        yield expected[f"order of the velocity defect, {name}"].measured(fit_rate(errors, along="steps", floor=1e-15))

    def in_saves(saves):
        return abs(run(p["n_in_saves"], ETDRK4(tolerance=1e-8), saves).balance_defect[-1])

    errors = sweep(in_saves, {"saves": levels["saves"]}, seeds=None)["value"].assign_coords(
        saves=[saves - 1 for saves in levels["saves"]]
    )
    fit = fit_rate(errors, along="saves")
    yield expected["order of the distance defect in the spacing of saves"].measured(fit)

    def in_n(n):
        return abs(run(n, ETDRK4(tolerance=1e-8), p["saves_in_n"]).balance_defect[-1])

    errors = sweep(in_n, {"n": levels["n"]}, seeds=None)["value"]
    yield expected["order of the distance defect in n"].measured(fit_rate(errors, along="n"))
    yield from balance_of_particles(ladder, levels)


def balance_of_particles(ladder: Ladder, levels: dict[str, list[float]]) -> Iterator[Measurement]:
    """FLOW-1 for clouds on T¹ and T² that flow to a density down a Sobolev distance."""
    for dim, n in enumerate(ladder.parameters["n_of_particles"], start=1):
        yield from _balance_of_a_cloud(ladder, levels, dim, n)


def _balance_of_a_cloud(ladder: Ladder, levels: dict[str, list[float]], dim: int, n: float) -> Iterator[Measurement]:
    """By the step in both geometries, by the spacing of saves in that of Wasserstein."""
    p, expected, t_end = ladder.parameters, ladder.expected, ladder.parameters["t_end_of_particles"]
    target = log_cosine(n, p["height"], dim)
    points = np.random.default_rng(dim).random((int(p["particles"]), dim))
    cloud, energy = ParticleMeasure(points, torus=target.torus), SobolevDistance(target, order=p["order"])

    def run(geometry, steps, saves=2):
        stepper, flow = SSPRK3(dt=t_end / steps), GradientFlow(energy, geometry)
        return solve(flow, cloud, t_end=t_end, stepper=stepper, save_at=int(saves), progress=False)

    for geometry in (Wasserstein(), Kernelised(GaussianKernel(p["length"]))):

        def in_step(particle_steps, geometry=geometry):
            return abs(run(geometry, particle_steps).balance_defect_velocity[-1])

        errors = sweep(in_step, {"particle_steps": levels["particle_steps"]}, seeds=None)["value"]
        fit, case = fit_rate(errors, along="particle_steps", floor=1e-16), f"{type(geometry).__name__}, d = {dim}"
        yield expected["order of the velocity defect, particles by SSPRK3"].measured(fit, case=case)

    def in_saves(saves):
        return abs(run(Wasserstein(), p["steps_in_saves"], saves).balance_defect[-1])

    errors = sweep(in_saves, {"saves": levels["saves"]}, seeds=None)["value"].assign_coords(
        saves=[saves - 1 for saves in levels["saves"]]
    )
    quantity = expected["order of the distance defect in the spacing of saves, particles"]
    yield quantity.measured(fit_rate(errors, along="saves", floor=1e-16), case=f"d = {dim}")


def log_cosine(n: float, height: float, dim: float) -> TorusDensity:
    """The density ``exp(h Σ_a cos 2πx_a)`` of mass 1."""
    wells = grid(n, dim)
    return wells.density(lambda *x: np.exp(height * sum(np.cos(2 * np.pi * xa) for xa in x)), normalise=True)


CLAIMS = (
    Claim(
        "FLOW-1",
        "E(μ_0) − E(μ_t) = ½∫|μ'|² + ½∫|∂E|², the speed measured by W₂ between saves or by the velocity",
        "Ambrosio, Gigli & Savaré 2008, def. 1.3.2",
        "balance",
        balance_on_the_circle,
        (
            Hypothesis("the datum is positive", lambda p: 0 < p["amplitude"] < 1),
            Hypothesis("saves fall on steps", lambda p: all(p["steps_in_saves"] % (s - 1) == 0 for s in p["saves"])),
        ),
    ),
)
