"""Statements of theory as measurements: claims, ladders, rates with intervals, verdicts.

`get` and `all` find the claims by id; a section of claims is imported when one of its claims is first asked for.
"""

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.expectation import Expectation
from meanfield.claims.fits import DecayFit, RateFit
from meanfield.claims.ladder import Ladder, ladder_names, load_ladder
from meanfield.claims.rates import fit_decay, fit_rate, root_mean_square
from meanfield.claims.registry import Registry
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement, Outcome, Relation, Verdict

__all__ = [
    "Claim",
    "DecayFit",
    "Expectation",
    "Hypothesis",
    "Ladder",
    "Measurement",
    "Outcome",
    "RateFit",
    "Registry",
    "Relation",
    "Verdict",
    "all",
    "fit_decay",
    "fit_rate",
    "get",
    "ladder_names",
    "load_ladder",
    "root_mean_square",
    "sweep",
]

# prefix of the ids -> module with the tuple CLAIMS; one module a section of the mathematics
SECTIONS: dict[str, str] = {
    "FLOW": "meanfield.claims.balance",
    "KPM": "meanfield.claims.kernelised",
    "PME": "meanfield.claims.porous_medium",
    "TRAIN": "meanfield.claims.density_training",
    "COT": "meanfield.claims.residual",
    "BLOB": "meanfield.claims.particles",
    "PART": "meanfield.claims.particle_kernels",
    "TWO": "meanfield.claims.two_layer",
}


def get(claim_id: str) -> Claim:
    """The claim with this id, as ``PME-1``; a ``ValueError`` names the nearest one."""
    return Registry(SECTIONS).get(claim_id)


def all() -> tuple[Claim, ...]:
    """Every claim, in the order of the sections."""
    return Registry(SECTIONS).all()
