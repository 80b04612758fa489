"""A neural ODE trained to push one density into another: two handwritten digits, or smooth bumps.

    ∂_s μ + div(μ v_s) = 0, μ_0 = ρ_0;   ∂_t v_s = −K * (μ_s ∇I_s),   ∂_s I + v_s·∇I = 0, I_1 = δℓ(μ_1)

The control v starts at 0 and follows the gradient flow in t of its risk ℓ(μ_1) in L²([0,1], H^s). Shows the density
along the depth s and along the training time t, the flow map Φ, and the law by which the risk falls: between a power
of t and an exponential, and no slower than theory promises (TRAIN-7). det DΦ > 0 and min ρ > 0 throughout (TRAIN-8),
the mass is constant (TRAIN-3), the risk never rises, De Giorgi's balance closes (FLOW-1).

Run:   python solvers/density_node.py --out outputs/density_node.h5 --figure outputs/density_node.png
       … --from 2 --to 5 --sample 1          … --data smooth          … --data smooth --dim 2
       … --stepper euler --learning-rate 2e-3 --tolerance 0          (gradient descent)
Takes: five seconds on one core with file (37 MiB) and figure; --quick three, --data smooth two.
"""

from meanfield.claims.training import guaranteed_exponent, of_training, training_run
from meanfield.report.script import Script, command
from meanfield.report.training import plot_training

ABOUT = {
    "n": "grid points per axis (the last number is run)",
    "depth": "layers of the control (the last number is run)",
    "data": "digits (d = 2), or smooth: a bump to two bumps",
    "from": "digit to start from",
    "to": "digit to end at",
    "sample": "which image of each digit, 0 the first",
    "blur": "digits: width of the Gaussian that blurs the pixels, in periods",
    "background": "share of the mass spread evenly, the lower bound of the data",
    "dim": "smooth: dimension d of the torus",
    "width": "smooth: width of the bumps, in periods",
    "order": "order s of the kernel of H^s, > d/2 + 1",
    "length": "length ε of the kernel",
    "loss": "l2, kl or sobolev",
    "loss_order": "order r of the sobolev loss",
    "penalty": "λ of the penalty ½λ|v|²",
    "stepper": "euler, heun or rk4",
    "learning_rate": "step in t; 0 leaves it to tolerance, or to 0.9 of the stable step",
    "tolerance": "relative error accepted per step; 0 controls nothing",
    "t_end": "training time",
    "saves": "number of saved times, spaced geometrically",
    "fall": "how many times lower the risk is asked to end",
}


def run(script: Script):
    """One training on the ladder's finest rung (the coarsest with --quick)."""
    p = dict(script.parameters)
    ds = training_run(
        p,
        **script.rung,
        out=script.out,
        overwrite=script.overwrite,
        progress=script.progress,
        attributes=script.attributes,
    )
    return script.finish(
        ds, of_training(script.ladder, ds), figure=lambda: plot_training(ds, guarantee=guaranteed_exponent(p))
    )


def main(argv=None):
    """Read the command line and run; returns the run's Dataset."""
    return command(run, ladder="density_node", argv=argv, about=ABOUT)


if __name__ == "__main__":
    main()
