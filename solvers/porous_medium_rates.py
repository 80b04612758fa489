"""Convergence of the Fourier solver of the porous-medium equation, on a ladder of steps and grids.

    ∂_tρ = c Δρ^m,  ρ(0) = 1 + a cos 2πx

Shows the order in time of every stepper against a run with 16 × more steps, spectral accuracy in n, and two energies
that never rise: claim PME-1, measured slope beside declared order.

Run:   python solvers/porous_medium_rates.py --out outputs/rates.h5 --figure outputs/rates.png
Takes: five seconds on one core; --quick three.
"""

from dataclasses import replace

import xarray as xr

from meanfield import claims
from meanfield.claims.porous_medium import time_errors
from meanfield.report.plotting import plot_rate
from meanfield.report.script import Script, command

ABOUT = {
    "n": "grid points, for the accuracy in space",
    "steps": "numbers of steps, for the order in time",
    "exponent": "m > 1",
    "coefficient": "c of the equation",
    "amplitude_space": "amplitude a of the datum refined in space",
    "amplitude_time": "amplitude a of the datum refined in time",
    "t_end": "final time",
    "steps_in_space": "steps of the runs refined in space",
    "n_in_time": "grid points of the runs refined in time",
}


def run(script: Script):
    """Check the claim, and keep the errors in time for the file and the figure."""
    verdict = claims.get("PME-1").check(quick=script.quick, ladder=script.ladder, progress=script.progress)
    if verdict.unmet:
        return replace(script, out=None, figure=None).finish(xr.Dataset(), [verdict])
    errors = time_errors(script.ladder, script.levels, progress=False)

    def figure():
        fit = claims.fit_rate(errors["ETDRK4"], along="steps", floor=1e-15)
        return plot_rate(fit, theory=script.ladder.expected["order of ETDRK4"].theory)

    return script.finish(errors, [verdict], figure=figure)


def main(argv=None):
    """Read the command line and run; returns the Dataset of errors."""
    return command(run, ladder="porous_medium_fourier", argv=argv, about=ABOUT)


if __name__ == "__main__":
    main()
