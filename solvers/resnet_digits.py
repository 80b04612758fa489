"""A residual network tells handwritten digits apart, between a fixed lift and a fixed readout.

    x(0) = A z,   x'(s) = ∫ u tanh(w·x + b) dμ(u, w, b | s),   h(z) = B x(1),   answer argmax_c h_c(z)
    Risk(μ) = (1/N) Σ_i ℓ(h(z_i), ±1),   ∂_t μ(· | s) = div(μ(· | s) G(s, ·)),   t = ηk by mini-batch descent

on the 1797 digits of 8 × 8 pixels that come with the package: A takes the leading principal components, B is drawn with
orthogonal rows, and u = 0 at the start. Shows zero training error, the accuracy on images held out with its spread over
seeds (each its own split, readout, start and batches) beside that of linear least squares on the same components, and
the images on their way through the depth.

Run:   python solvers/resnet_digits.py --out outputs/resnet_digits.h5 --figure outputs/resnet_digits.png
       … --loss logistic --readout 3 --learning-rate 0.2          … --dim 10 --layers 4
Takes: half a minute on one core for five seeds; --quick four seconds for two.
"""

from meanfield.claims.residual_digits import digit_study, of_digit_networks
from meanfield.report.residual_digits import plot_digit_networks
from meanfield.report.script import Script, command

ABOUT = {
    "layers": "layers L (the last number is run)",
    "width": "neurons m of every layer (the last number is run)",
    "dim": "dimension d of the states, 10 to 64",
    "readout": "length of the rows of B",
    "loss": "square or logistic",
    "held_out": "share of the images kept for the test",
    "size": "root mean square of |z|, images centred",
    "scale": "standard deviation of w and b at the start",
    "learning_rate": "η",
    "batch": "images a step",
    "epochs": "passes over the training images",
    "saves": "number of saved times",
}
QUICK_SEEDS = 2


def run(script: Script):
    """All seeds at the ladder's last size (the first with --quick)."""
    seeds = QUICK_SEEDS if script.quick else script.ladder.seeds
    ds = digit_study(script.parameters, **script.rung, seeds=seeds, progress=script.progress)
    return script.finish(ds, of_digit_networks(script.ladder, ds), figure=lambda: plot_digit_networks(ds))


def main(argv=None):
    """Read the command line and run; returns the Dataset of curves, accuracies and states."""
    return command(run, ladder="resnet_digits", argv=argv, about=ABOUT)


if __name__ == "__main__":
    main()
