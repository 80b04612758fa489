"""The kernelised porous-medium flow: what training a neural ODE does to the density at v = 0.

    ∂_tρ = div(ρ K*(ρ∇δℓ/δρ)),  K̂(k) = (1 + ε²|2πk|²)^{−s},  ℓ = KL(ρ|1), ½‖ρ−1‖² or half the squared norm in H^{−q}

Shows one run and what theory says of it: the mass is constant and the loss falls; for KL the interaction energy
½∬K(x−y)ρρ falls as well, as the flow is its Wasserstein flow (two Lyapunov functionals); and the law of decay. For
s + q > 1 there is no spectral gap: data with |ρ̂_k| ~ |k|^{−r−d/2} (``--data rough``) decay like t^{−(r+q)/(s+q−1)}
(KPM-3); smooth data (``--data cosine``) like exp(−2λ(1)t), λ(k) = |2πk|²K̂(k)(1+|2πk|²)^{−q}, while their first modes
are what is left (KPM-2).

Run:   python solvers/kernelised_porous_medium.py --out outputs/kernelised.h5 --figure outputs/kernelised.png
       … --data cosine --length 0.1 --amplitude 0.5 --n 256          … --data cosine --loss L2 --dim 2 --n 64
Takes: two seconds on one core.
"""

from meanfield import solve
from meanfield.claims.kernelised_runs import law_of, of_one_run, one_run
from meanfield.report.kernelised import plot_kernelised
from meanfield.report.script import Script, command
from meanfield.steppers import ETDRK4

ABOUT = {
    "n": "grid points per axis (the last one is run)",
    "loss": "KL, L2 or Sobolev: the distance of H^(−q)",
    "loss_order": "q of the Sobolev loss",
    "order": "s of the kernel",
    "length": "ε of the kernel",
    "dim": "dimension d of the torus",
    "data": "rough (spectrum like a power of |k|) or cosine",
    "amplitude": "sup|ρ₀ − 1| < 1",
    "regularity": "r of the rough datum: |ρ̂_k| ~ |k|^(−r−d/2)",
    "seed": "draws the phases of the rough datum",
    "t_end": "final time; 0 takes the end of the range the law is fitted on",
    "saves": "number of saved times",
    "tolerance": "relative error accepted per step",
    "linear_below": "contrast below which the decay rate of the first modes is fitted",
}


def run(script: Script):
    """One run on the ladder's finest rung (the coarsest with --quick)."""
    p = script.parameters
    flow, datum, times, observers = one_run(p, script.rung["n"])
    ds = solve(
        flow,
        datum,
        t_end=times[-1],
        stepper=ETDRK4(tolerance=p["tolerance"]),
        save_at=times,
        observe=observers,
        out=script.out,
        overwrite=script.overwrite,
        progress=script.progress,
        attributes=script.attributes,
    )

    def figure():
        return plot_kernelised(ds, smooth=p["data"] == "cosine", regularity=p["regularity"], **law_of(p))

    return script.finish(ds, of_one_run(script.ladder, ds), figure=figure)


def main(argv=None):
    """Read the command line and run; returns the run's Dataset."""
    return command(run, ladder="kernelised_porous_medium", argv=argv, about=ABOUT)


if __name__ == "__main__":
    main()
