"""The claim every run records: De Giorgi's balance (section FLOW)."""

from __future__ import annotations

from collections.abc import Iterator

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_rate
from meanfield.claims.runs import cosine, porous_medium
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement
from meanfield.run import solve
from meanfield.steppers import ETDRK4, SSPRK3


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


CLAIMS = (
    Claim(
        "FLOW-1",
        "E(μ_0) − E(μ_t) = ½∫|μ'|² + ½∫|∂E|², the speed measured by W₂ between saves or by the velocity",
        "Ambrosio, Gigli & Savaré 2008, def. 1.3.2",
        "balance",
        balance_on_the_circle,
        (Hypothesis("the datum is positive", lambda p: 0 < p["amplitude"] < 1),),
    ),
)
