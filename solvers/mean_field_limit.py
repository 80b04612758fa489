"""The mean-field limit of a two-layer network: how far m neurons and steps of size η are from it.

    θ_i^{k+1} = θ_i^k − η ∇δF_{x_k}/δμ(μ_k)(θ_i^k),  t = ηk,   m → ∞, η → 0:   ∂_t μ = div(μ ∇F'(μ))

One-sample descent deviates from the limit by max(η, 1/m)^½ at a fixed time (TWO-4). The two are measured apart: widths
with the full gradient, against a network 64 times wider; steps against the flow from the same particles. Shows both
rates beside theory's, the distribution of |w| as m grows, and the risk along descents as η falls.

Run:   python solvers/mean_field_limit.py --out outputs/limit.h5 --figure outputs/limit.png
       … --width 16,64,256 --step 0.0125,0.05,0.2 --width-of-steps 500
Takes: half a minute on one core; --quick ten seconds.
"""

import xarray as xr

from meanfield.claims.limit_runs import limit_portrait
from meanfield.claims.mean_field import deviations, of_deviations
from meanfield.report.limit import plot_limit
from meanfield.report.script import Script, command

ABOUT = {
    "width": "numbers m of neurons",
    "step": "learning rates η of one-sample descent",
    "dim": "dimension of the inputs",
    "samples": "data the risk is a mean over",
    "probes": "points at which outputs are compared",
    "t_end": "time of the comparison",
    "tolerance": "relative error accepted per step of the flow",
    "width_of_steps": "neurons of the networks trained by one-sample descent",
    "seed_of_reference": "seed of the wide network that stands for the limit",
}
QUICK_SEEDS = 8


def run(script: Script):
    """Both ladders, and the single runs that are drawn."""
    ladder, levels = script.ladder, script.levels
    found = deviations(ladder, levels, seeds=QUICK_SEEDS if script.quick else None, progress=script.progress)
    ds = xr.merge([found, limit_portrait(ladder, levels["width"][::2], levels["step"][1::2])])
    return script.finish(ds, of_deviations(ladder, ds), figure=lambda: plot_limit(ds))


def main(argv=None):
    """Read the command line and run; returns the Dataset of deviations."""
    return command(run, ladder="two_layer_limit", argv=argv, about=ABOUT)


if __name__ == "__main__":
    main()
