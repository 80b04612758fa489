"""A residual network of infinite depth learns a map of the plane: the conditional-OT gradient flow of its risk.

    x'(s) = ∫ u tanh(w·x + b) dμ(u, w, b | s), s in [0, 1],    Risk(μ) = (1/2N) Σ_i |x_i(1) − y_i|²
    ∂_t μ(· | s) = div(μ(· | s) G(s, ·)),    G(s, u, w, b) = (1/N) Σ_i D[u tanh(w·x_i(s) + b)]ᵀ p_i(s)

for almost every s: neurons move within their layer, none moves in s, and the distance is d² = ∫ W₂²(μ(·|s), ν(·|s)) ds.
The start is u = 0, the identity. Two sets of points that interlock are pulled apart, or two rings are turned. Shows the
data along the depth s before and after, the map of the whole plane, neurons of three layers from start to end, the
risk with its linear rate beside 2m(t) = |G|²/Risk (COT-5), and De Giorgi's balance with d between saves (FLOW-1).

Run:   python solvers/resnet_conditional_ot.py --out outputs/resnet.h5 --figure outputs/resnet.png
       … --data rings --t-end 400          … --spread 2 --points 5          … --layers 40 --width 400
Takes: eight seconds on one core with file (20 MiB) and figure; --quick three.
"""

from meanfield.claims.residual_maps import map_run, of_map
from meanfield.report.residual_maps import plot_map
from meanfield.report.script import Script, command

ABOUT = {
    "layers": "layers L (the last number is run)",
    "width": "neurons m of every layer (the last number is run)",
    "data": "moons: pulled apart; rings: turned",
    "points": "points in each of the two sets",
    "gap": "moons: how far each is moved",
    "angle": "rings: how far both are turned, in degrees",
    "spread": "standard deviation of w and b at the start; u = 0",
    "seed": "of the start",
    "tolerance": "relative error accepted per step",
    "t_end": "longest training time",
    "saves": "number of saved times up to there, half of them equally spaced, half geometrically",
    "fall": "share of the first risk at which the run ends",
}


def run(script: Script):
    """One training at the ladder's last size (the first with --quick)."""
    ds = map_run(
        script.parameters,
        **script.rung,
        out=script.out,
        overwrite=script.overwrite,
        progress=script.progress,
        attributes=script.attributes,
    )
    return script.finish(ds, of_map(script.ladder, ds), figure=lambda: plot_map(ds, script.parameters))


def main(argv=None):
    """Read the command line and run; returns the run's Dataset."""
    return command(run, ladder="resnet_conditional_ot", argv=argv, about=ABOUT)


if __name__ == "__main__":
    main()
