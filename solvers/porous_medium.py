"""The porous-medium equation on the torus, from a positive or a compactly supported datum to its mean.

    ∂_tρ = c Δρ^m,  ρ(0) = ρ̄ (1 + a cos 2πx) or a Barenblatt profile      (Wasserstein flow of E = c∫ρ^m/(m−1))

Shows one run and what theory says of it: the mass is constant, the energy falls, the minimum never drops, ½‖ρ−ρ̄‖²
decays like exp(−2·4π² c m ρ̄^{m−1} t) once the contrast is small (PME-4), and De Giorgi's balance closes (FLOW-1).

Run:   python solvers/porous_medium.py --out outputs/porous_medium.h5 --figure outputs/porous_medium.png
       … --data barenblatt --scheme finite-volume --n 256          … --dim 2 --n 128
Takes: two seconds on one core (d = 1, n = 512; --dim 2 --n 128), Barenblatt --n 256 ten.
"""

from meanfield import GradientFlow, InternalEnergy, Wasserstein, solve
from meanfield.claims.porous_medium import OBSERVERS, of_one_run, one_run
from meanfield.report.script import Script, command

ABOUT = {
    "n": "grid points per axis (the last one is run)",
    "exponent": "m > 1 slow diffusion, m = 1 heat",
    "coefficient": "c of the equation",
    "dim": "dimension d of the torus",
    "data": "cosine, or barenblatt (compact support)",
    "scheme": "fourier (ETDRK4), stabilised (RKC2), finite-volume (two-point) or upwind",
    "mean": "mean density",
    "amplitude": "relative amplitude a < 1 of the datum",
    "t_end": "final time",
    "saves": "number of saved times",
    "tolerance": "relative error accepted per step (fourier, stabilised)",
    "radius_start": "radius of the Barenblatt datum, < 1/2",
    "linear_below": "contrast below which the decay rate is fitted",
}


def run(script: Script):
    """One run on the ladder's finest rung (the coarsest with --quick)."""
    p = script.parameters
    flow = GradientFlow(InternalEnergy(p["exponent"], p["coefficient"]), Wasserstein())
    datum, stepper, save_at = one_run(p, script.rung["n"])
    ds = solve(
        flow,
        datum,
        t_end=p["t_end"],
        stepper=stepper,
        save_at=save_at,
        observe=OBSERVERS,
        out=script.out,
        overwrite=script.overwrite,
        progress=script.progress,
        attributes=script.attributes,
    )
    return script.finish(ds, of_one_run(script.ladder, ds))


def main(argv=None):
    """Read the command line and run; returns the run's Dataset."""
    return command(run, ladder="porous_medium", argv=argv, about=ABOUT)


if __name__ == "__main__":
    main()
