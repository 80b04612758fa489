"""Residual networks of finite depth and width: how far they are from the limit, at a fixed training time.

    x^{l+1} = x^l + (1/Lm) Σ_j u_lj tanh(w_lj·x^l + b_lj),   dθ_lj/dt = −Lm ∂Risk/∂θ_lj,   L, m → ∞
    outputs and risk at t are 1/L + 1/√(Lm) off the limit;   d(μ^m, μ) ~ m^{−1/p},  p the dimension of the support

The two are measured apart (COT-4): depths with the same neurons in every layer against a network 16 times deeper,
widths with independent neurons against one 39 times wider. At u = 0 all sizes agree at t = 0, hence t > 0. As a mean
over layers d does not average over depth, and neurons in dimension p cannot match a law faster than m^{−1/p}: p = d + 1
where u = 0, 2d + 1 elsewhere. Shown as the distance of two independent samples, which is of the same order.

Run:   python solvers/resnet_size_limits.py --out outputs/sizes.h5 --figure outputs/sizes.png
       … --t-end 20 --spread 2          … --samples 12 --displacement 0.5
Takes: fifteen seconds on one core; --quick six.
"""

from meanfield.claims.residual_sizes import finite_size_errors, of_finite_sizes
from meanfield.report.residual_sizes import plot_sizes
from meanfield.report.script import Script, command

ABOUT = {
    "depth": "layers L",
    "width": "neurons m of a layer, for outputs and risk",
    "across": "neurons m of a layer, for the distance",
    "samples": "data N",
    "dim": "dimension d of the data",
    "displacement": "δ of the labels y = x + δz",
    "spread": "standard deviation of w and b",
    "t_end": "time of the comparison",
    "dt": "step of Heun's method",
    "width_in_depth": "neurons of a layer where L varies",
    "seeds_in_depth": "seeds where L varies",
    "layers": "layers where m varies",
    "seeds_of_distance": "pairs of samples of each m",
    "layers_of_distance": "layers of the samples",
    "seeds_of_depths": "pairs for the ratio of d² between depths",
}


def run(script: Script):
    """The ladder of COT-4, all of it or its quick levels."""
    ds = finite_size_errors(script.ladder, script.levels, script.progress)
    return script.finish(ds, of_finite_sizes(script.ladder, ds), figure=lambda: plot_sizes(ds, script.ladder))


def main(argv=None):
    """Read the command line and run; returns the Dataset of errors and distances."""
    return command(run, ladder="residual_sizes", argv=argv, about=ABOUT)


if __name__ == "__main__":
    main()
