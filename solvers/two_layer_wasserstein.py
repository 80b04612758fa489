"""A two-layer ReLU network as a cloud of neurons that flows towards its teacher: in the plane, or against its width.

    h(μ, x) = ∫ a σ(w·x) dμ(a, w),   ∂_t μ = div(μ ∇F'(μ)),   F(μ) = ½E|h(μ, x) − h*(x)|² + ½λ∫|θ|²dμ,   x ~ N(0, I)

Inputs are the whole population: κ(w, v) = E σ(w·x)σ(v·x) is known in closed form, and no sampling enters.
--study plane shows the path of every neuron |a|w in the plane, the risk, the function and the measure: neurons turn to
the lines of the teacher's, a² − |w|² stays 0 for each of them, De Giorgi's balance closes (TWO-1, FLOW-1). With a
penalty the end passes the certificate of optimality (TWO-3).
--study width is gradient descent in dimension 100, teacher of 3 neurons: the loss stays on a plateau for students
narrower than the teacher and vanishes for wider ones (TWO-2).

Run:   python solvers/two_layer_wasserstein.py --out outputs/two_layer.h5 --figure outputs/two_layer.png
       … --angles 20,100,170,240,310 --signs 1,1,1,-1,-1 --radius 0.1          … --penalty 0.01
       … --study width --figure outputs/two_layer_width.png
Takes: six seconds on one core, --study width half a minute; --quick four each.
"""

from meanfield.claims.runs import chosen
from meanfield.claims.two_layer_runs import of_plane, of_widths, plane_run, width_study
from meanfield.report.script import Script, command
from meanfield.report.two_layer import plot_plane, plot_widths

ABOUT = {
    "width": "numbers of neurons: of the students in --study width; the last one is run in the plane",
    "study": "plane or width",
    "angles": "plane: directions of the teacher's neurons, in degrees",
    "signs": "plane: their signs",
    "radius": "plane: |a| = |w| at the start",
    "penalty": "plane: λ of the penalty ½λ∫|θ|²dμ",
    "tolerance": "plane: relative error accepted per step",
    "t_end": "plane: final time",
    "saves": "plane: number of saved times, spaced geometrically",
    "dim": "width: dimension of the inputs",
    "teachers": "width: neurons of the teacher, of signs +, −, +, …",
    "step": "width: learning rate",
    "steps": "width: steps of a descent, unless it has converged before",
}
QUICK_SEEDS = 1


def in_the_plane(script: Script):
    """One run, its verdict and its figure."""
    p = dict(script.parameters)
    ds = plane_run(
        p,
        script.levels["width"][-1],
        out=script.out,
        overwrite=script.overwrite,
        progress=script.progress,
        attributes=script.attributes,
    )
    return script.finish(ds, of_plane(script.ladder, ds), figure=lambda: plot_plane(ds, p))


def against_the_width(script: Script):
    """Descents of every width and seed."""
    p = dict(script.parameters)
    seeds = QUICK_SEEDS if script.quick else script.ladder.seeds
    ds = width_study(p, script.levels["width"], seeds, progress=script.progress)
    return script.finish(ds, of_widths(script.ladder, ds), figure=lambda: plot_widths(ds, p))


def run(script: Script):
    """The study asked for."""
    studies = {"plane": lambda: in_the_plane(script), "width": lambda: against_the_width(script)}
    return chosen("study", script.parameters["study"], studies)


def main(argv=None):
    """Read the command line and run; returns the run's Dataset, or that of the losses."""
    return command(run, ladder="two_layer_wasserstein", argv=argv, about=ABOUT)


if __name__ == "__main__":
    main()
