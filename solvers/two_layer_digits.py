"""Two-layer networks tell handwritten digits apart: ten of them, one for each digit against the rest.

    h_c(x) = ∫ a σ(w·x + b) dμ_c(a, w, b),   F_c(μ) = (1/N)Σ_i ℓ(h_c(x_i), ±1) + ½λ∫|θ|²dμ,   answer argmax_c h_c(x)

on the 1797 digits of 8 × 8 pixels that come with the package, by mini-batch descent, t = ηk. Shows the training
curve, the accuracy on images held out with its spread over seeds (each its own split, start and batches),
beside that of linear least squares, and what the strongest neurons look at.

Run:   python solvers/two_layer_digits.py --out outputs/digits.h5 --figure outputs/digits.png
       … --activation tanh --loss logistic --learning-rate 2
Takes: fifteen seconds on one core for five seeds; --quick two seeds of half as many neurons in five.
"""

from meanfield.claims.digit_runs import digit_study, of_digits
from meanfield.report.digits import plot_digits
from meanfield.report.script import Script, command

ABOUT = {
    "width": "neurons of each network, even (the last number is run)",
    "activation": "relu, tanh or sigmoid",
    "loss": "square or logistic",
    "penalty": "λ of the penalty ½λ∫|θ|²dμ",
    "held_out": "share of the images kept for the test",
    "size": "root mean square of |x|, images centred",
    "scale": "standard deviation of the inner weights at the start; every neuron has its mirror image, so h = 0",
    "learning_rate": "η",
    "batch": "images a step",
    "epochs": "passes over the training images",
}
QUICK_SEEDS = 2


def run(script: Script):
    """All seeds at the ladder's last width (the first with --quick)."""
    seeds = QUICK_SEEDS if script.quick else script.ladder.seeds
    ds = digit_study(script.parameters, script.rung["width"], seeds, progress=script.progress)
    return script.finish(ds, of_digits(script.ladder, ds), figure=lambda: plot_digits(ds))


def main(argv=None):
    """Read the command line and run; returns the Dataset of curves, accuracies and neurons."""
    return command(run, ladder="two_layer_digits", argv=argv, about=ABOUT)


if __name__ == "__main__":
    main()
