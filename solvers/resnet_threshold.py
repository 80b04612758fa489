"""From how far a residual network learns its data: what is observed beside what is proved.

    y_i = x_i + δ z_i,   u = 0 at the start,   Risk_0 ∝ δ²;      observed: Risk_t falls to a share of Risk_0
    proved: Risk_t ≤ e^{−2m(R)t} Risk_0 if ∫_0^R √(m(r)/2) dr ≥ √Risk_0,  m(r) = (a − Δ(r))₊² (1 − Q(r))₊² / N

over displacements δ and numbers m of neurons in a layer, several draws of the neurons. Shows the plane (δ, m): cells
tell what runs did within a time and a number of steps, lines how far the a-priori bound m of docs/design.md proves
convergence, along the path and by its closed form in one ball. The first proves nothing, the second needs no run: runs
converge from displacements some hundred times larger, and fail where neurons are too few. On the far side it is the
steps that end: with --steps 60000 nearly all runs from δ = 3 converge too. Whatever is certified must converge, and in
the time proved.

Run:   python solvers/resnet_threshold.py --out outputs/threshold.h5 --figure outputs/threshold.png
       … --layers 10 --width 8,32,128          … --samples 12 --displacement 1e-4,0.01,1
Takes: one minute on one core; --quick four seconds.
"""

from meanfield.claims.residual_threshold import of_threshold, threshold_study
from meanfield.report.residual_threshold import plot_threshold
from meanfield.report.script import Script, command

ABOUT = {
    "displacement": "δ",
    "width": "neurons m of every layer",
    "seed": "of the data; neurons have seeds of their own",
    "samples": "data N",
    "dim": "dimension d of the data",
    "layers": "layers L",
    "spread": "standard deviation of w and b at the start",
    "fall": "share of the first risk that counts as convergence",
    "tolerance": "relative error accepted per step of RK4",
    "t_end": "longest training time",
    "steps": "most steps of a run",
}
QUICK_SEEDS = 2


def run(script: Script):
    """All displacements, widths and seeds."""
    seeds = QUICK_SEEDS if script.quick else script.ladder.seeds
    ds = threshold_study(script.parameters, script.levels, seeds, progress=script.progress)
    return script.finish(ds, of_threshold(script.ladder, ds), figure=lambda: plot_threshold(ds, script.parameters))


def main(argv=None):
    """Read the command line and run; returns the Dataset of times, shares of the risk and certificates."""
    return command(run, ladder="resnet_threshold", argv=argv, about=ABOUT)


if __name__ == "__main__":
    main()
