"""Three regimes of the porous-medium equation in one run: finite speed, fill-in, exponential return to the mean.

    ∂_tρ = c Δρ^m on the circle, from a Barenblatt profile

Shows the support spreading like t^β with ρ = 0 outside, the two fronts meeting half a period away and the density
rising from zero there, and ½‖ρ−ρ̄‖² decaying at the rate of the grid's first eigenvalue (claim PME-6). The scheme is
the two-point finite volume with implicit Euler steps: ρ ≥ 0 exactly, the mass kept, the energy falling at every step.

Run:   python solvers/porous_medium_regimes.py --out outputs/regimes.h5 --figure outputs/regimes.png
Takes: seven seconds on one core; --quick five.
"""

from meanfield.claims.free_boundary import of_regimes, regimes_run
from meanfield.report.regimes import plot_regimes
from meanfield.report.script import Script, command

ABOUT = {
    "n": "cells (the last number is run)",
    "exponent": "m > 1",
    "coefficient": "c of the equation",
    "radius_start": "radius of the support at the start, < 1/2",
    "t_end": "final time",
    "saves": "number of saved times, half of them spaced geometrically",
    "centre_in_cells": "offset of the centre from a grid point, in cells",
    "tolerance": "time error of a step relative to the change it makes",
    "front_level": "share of the maximum at which the front is read off",
    "linear_below": "contrast below which the decay rate is fitted",
}


def run(script: Script):
    """One run through the three regimes."""
    p = dict(script.parameters)
    ds = regimes_run(
        p,
        script.rung["n"],
        out=script.out,
        overwrite=script.overwrite,
        progress=script.progress,
        attributes=script.attributes,
    )

    def figure():
        return plot_regimes(ds, exponent=p["exponent"], coefficient=p["coefficient"], radius_start=p["radius_start"])

    return script.finish(ds, of_regimes(script.ladder, ds), figure=figure)


def main(argv=None):
    """Read the command line and run; returns the run's Dataset."""
    return command(run, ladder="porous_medium_regimes", argv=argv, about=ABOUT)


if __name__ == "__main__":
    main()
