"""Particles that diffuse: the blob flow beside the porous-medium equation it stands for.

    ẋ_i = −∇δE_ζ/δμ(x_i),  E_ζ(μ) = c/(m−1) ∫(ζ*μ)^m on the torus      beside      ∂_tρ = c Δρ^m

Shows N particles pushing each other away through the mollifier ζ, a Gaussian of width 2h^0.99 for particles h apart:
the energy falls, the centre of mass stays, and the distance W₂ to the density is little more than what N atoms leave
of any density (claim BLOB-1). Compact data start from a lattice and are compared with Barenblatt's solution and the
finite-volume scheme; positive data (``--data cosine``) start from quantiles and are compared with the Fourier scheme.

Run:   python solvers/blob_porous_medium.py --out outputs/blob.h5 --figure outputs/blob.png
       … --data cosine --exponent 3          … --dim 2 --across 20 --n 96 --saves 7 --animation outputs/blob.gif
Takes: three seconds on one core; the run in the plane ten.
"""

from meanfield import solve
from meanfield.claims.particle_runs import BlobRun, of_blob_run
from meanfield.report.particles import animate_blobs, plot_blobs
from meanfield.report.script import Script, command

ABOUT = {
    "across": "particles along the diameter of the support, or along the period (the last number is run)",
    "dim": "dimension d of the torus, 1 or 2",
    "exponent": "m > 1",
    "coefficient": "c of the equation",
    "data": "barenblatt (compact support) or cosine (positive)",
    "radius_start": "radius of the Barenblatt datum",
    "radius_end": "radius at the end, < 1/2",
    "amplitude": "relative amplitude of the positive datum",
    "t_end": "final time for positive data",
    "saves": "number of saved times, each with its distances",
    "width": "of the mollifier, in units of h^power",
    "power": "less than 1: the mollifier is wider than the spacing h, more so for small h",
    "tolerance": "relative error accepted per step of the particles",
    "n": "grid points per axis of the density beside them",
}


def run(script: Script):
    """One run on the ladder's last rung (the first with --quick)."""
    blobs = BlobRun(script.parameters, script.rung["across"])
    ds = solve(
        blobs.flow,
        blobs.particles,
        t_end=blobs.t_end,
        stepper=blobs.stepper,
        save_at=blobs.times,
        observe=blobs.observers,
        out=script.out,
        overwrite=script.overwrite,
        progress=script.progress,
        attributes=script.attributes,
    )
    return script.finish(
        ds,
        of_blob_run(script.ladder, blobs, ds),
        figure=lambda: plot_blobs(ds, blobs),
        animation=lambda: animate_blobs(ds, blobs),
    )


def main(argv=None):
    """Read the command line and run; returns the run's Dataset."""
    return command(run, ladder="blob_porous_medium", argv=argv, about=ABOUT, animated=True)


if __name__ == "__main__":
    main()
