"""The mean-field limit in single runs: how neurons are distributed, and the risk along descents of several steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from meanfield.claims.ladder import Ladder
from meanfield.claims.mean_field import Limit
from meanfield.claims.runs import accepted, final
from meanfield.run import solve
from meanfield.steppers import RK4, StochasticDescent

if TYPE_CHECKING:
    import xarray as xr

SHARES = 401  # of the neurons, at which the distribution of |w| is kept
SAVES = 201  # of a descent
SEED = 0


def limit_portrait(ladder: Ladder, widths: Sequence[float], steps: Sequence[float]) -> xr.Dataset:
    """One flow of each width, one descent of each step, and the limits of both.

    Returns
    -------
    Dataset — quantiles of |w| at the end, ``norm`` (shown_width, share) and ``norm_limit`` (share); the risk along
    one-sample descents, ``risk_along`` (shown_step, t), and along the flow from the same particles, ``risk_flow`` (t)
    """
    import xarray as xr

    limit, p = Limit(ladder.parameters), ladder.parameters
    share = np.linspace(0, 1, SHARES)

    def norms(width: float, seed: int) -> np.ndarray:
        start = limit.start(width, np.random.default_rng(seed))
        end = final(limit.flow, start, RK4(tolerance=p["tolerance"]), p["t_end"])
        return np.quantile(np.linalg.norm(end.positions[:, 1:], axis=1), share, method="inverted_cdf")

    start = limit.start(p["width_of_steps"], np.random.default_rng(SEED))

    t = np.linspace(0, p["t_end"], SAVES)

    def risk_along(step: float, rng: np.random.Generator) -> np.ndarray:
        stepper = StochasticDescent(step)
        return solve(limit.flow, start, t_end=t[-1], save_at=t, stepper=stepper, rng=rng, progress=False).risk.values

    flow = accepted(limit.flow, start, RK4(dt=t[1]), t[-1])  # not solve: distances between the saves cost seconds
    risk_flow = [limit.flow.energy.value(mu) for mu in (start, *(mu for _, mu, _ in flow))]
    descents = [risk_along(step, np.random.default_rng([SEED, index])) for index, step in enumerate(steps)]
    return xr.Dataset(
        {
            "norm": (("shown_width", "share"), np.array([norms(width, SEED) for width in widths])),
            "norm_limit": ("share", norms(ladder.reference["width"], p["seed_of_reference"])),
            "risk_along": (("shown_step", "t"), np.array(descents)),
            "risk_flow": ("t", risk_flow),
        },
        coords={"share": share, "t": t, "shown_width": list(widths), "shown_step": list(steps)},
    )
