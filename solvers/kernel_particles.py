"""Particles that flow to a target density by a kernel: Stein's flow of the divergence KL, or the flow of an MMD.

    ẋ_i = Σ_j a_j (K(x_i − x_j)∇log ρ*(x_j) − ∇K(x_i − x_j))       loss KL, geometry kernelised (Stein)
    ẋ_i = −∇δE(x_i)  or  −Σ_j a_j K(x_i − x_j)∇δE(x_j),  E = ½Σ_k (1+|2πk|²)^{−r}|μ̂ − ρ̂*|²       loss MMD

Shows a cloud that spreads over the hills of the target. Of particles KL is infinite, but its slope in the geometry of
the kernel, the kernelised Stein discrepancy, falls; the MMD falls itself, and balances slope and speed (FLOW-1). At the
end the particles are nearer to the target than as many independent draws, and W₂ is about that of a lattice.

Run:   python solvers/kernel_particles.py --out outputs/stein.h5 --figure outputs/stein.png
       … --loss MMD --geometry wasserstein          … --dim 1 --n 64 --length 0.05          … --dim 3 --n 16
Takes: four seconds on one core.
"""

from meanfield import solve
from meanfield.claims.kernel_runs import KernelRun, of_kernel_run
from meanfield.report.kernel_particles import animate_kernel_particles, plot_kernel_particles
from meanfield.report.script import Script, command

ABOUT = {
    "number": "particles (the last number is run)",
    "dim": "dimension d of the torus",
    "loss": "KL (kernelised only) or MMD",
    "loss_order": "r of the MMD that flows, and of the one that is observed",
    "geometry": "kernelised or wasserstein",
    "length": "ε of the Gaussian kernel",
    "height": "h of the target exp(h (cos 2πmx + cos 2πy + …)) before normalisation",
    "hills": "m, the number of hills along x",
    "centre": "of the cube the cloud starts in, the same on every axis",
    "width": "side of that cube",
    "t_end": "final time; 0 takes 20 lifetimes of the first mode about the uniform density",
    "saves": "number of saved times, equally spaced in log t",
    "tolerance": "relative error accepted per step",
    "n": "grid points per axis: the modes |k| < n/2 carry kernel and target",
}


def run(script: Script):
    """One run with the ladder's last number of particles (the first with --quick)."""
    kernel = KernelRun(script.parameters, script.rung["number"])
    ds = solve(
        kernel.flow,
        kernel.start,
        t_end=kernel.times[-1],
        stepper=kernel.stepper,
        save_at=kernel.times,
        observe=kernel.observers,
        out=script.out,
        overwrite=script.overwrite,
        progress=script.progress,
        attributes=script.attributes,
    )
    return script.finish(
        ds,
        of_kernel_run(script.ladder, kernel, ds),
        figure=lambda: plot_kernel_particles(ds, kernel),
        animation=lambda: animate_kernel_particles(ds, kernel),
    )


def main(argv=None):
    """Read the command line and run; returns the run's Dataset."""
    return command(run, ladder="kernel_particles", argv=argv, about=ABOUT, animated=True)


if __name__ == "__main__":
    main()
