"""Students and teachers: a ReLU network in the plane, neuron by neuron, and in high dimension against its width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.claims.ladder import Ladder
from meanfield.claims.mean_field import alternating, student_flow, unit_neurons
from meanfield.claims.runs import accepted
from meanfield.claims.sweep import with_progress
from meanfield.claims.two_layer import imbalance
from meanfield.claims.verdict import Measurement, Verdict
from meanfield.energies import Risk
from meanfield.flow import GradientFlow
from meanfield.geometries import Wasserstein
from meanfield.measures import ParticleMeasure
from meanfield.models import GaussianInputs, TwoLayer, relu
from meanfield.run import solve
from meanfield.steppers import RK4, Euler

if TYPE_CHECKING:
    import xarray as xr

Parameters = Mapping[str, Any]
SOONEST = 1e-5  # of a run: its first save after the start; saves are spaced geometrically
NEAR = 5.0  # degrees
PROBES = 3600  # directions
RESOLVED = 0.1  # of the drop of the energy: the most between two saves for a balance by distance to be judged
STATIONARY = 1e-14  # a descent whose squared slope is below this has converged: some 1e-13 are left to gain
CURVE = 61  # risks kept of a descent


# ---- in the plane --------------------------------------------------------------------------------------------------


def plane_teacher(p: Parameters) -> ParticleMeasure:
    """The teacher ``h* = Σ_k s_k σ(u_k·x)`` as a measure: k unit neurons of equal weight, outer weights ``± k``."""
    angles, signs = (np.atleast_1d(np.asarray(p[name], dtype=float)) for name in ("angles", "signs"))
    if angles.shape != signs.shape or not np.isin(signs, (-1, 1)).all():
        got = f"{angles.size} angles, signs {signs.tolist()}"
        raise _check.fail("a teacher needs a sign -1 or 1 for every angle", got, "write --angles 75,200 --signs 1,-1")
    return ParticleMeasure(np.column_stack([len(signs) * signs, _on_circle(np.deg2rad(angles))]))


def plane_flow(p: Parameters) -> GradientFlow:
    """The flow of the population's risk, inputs N(0, I_2)."""
    risk = Risk(TwoLayer(2, relu), GaussianInputs(2), plane_teacher(p), penalty=p["penalty"])
    return GradientFlow(risk, Wasserstein())


def plane_run(p: Parameters, width: float, **options: Any) -> xr.Dataset:
    """The flow from neurons ``|a| = |w| = radius`` spread evenly over the circle; ``options`` are those of `solve`."""
    number = _check.whole("width", width, "pass a number of neurons", at_least=1)
    radius = _check.positive("radius", p["radius"], "pass the size of the weights at the start")
    saves = _check.whole("saves", p["saves"], "pass a number of saves", at_least=3)
    angles = 2 * np.pi * (np.arange(number) + 0.5) / number
    start = ParticleMeasure(radius * np.column_stack([alternating(number), _on_circle(angles)]))
    lines = np.asarray(p["angles"], dtype=float)
    return solve(
        plane_flow(p),
        start,
        t_end=p["t_end"],
        stepper=RK4(tolerance=p["tolerance"]),
        save_at=p["t_end"] * np.geomspace(SOONEST, 1.0, saves - 1),
        observe={"imbalance": relative_imbalance, "on_lines": lambda mu: share_on_lines(mu, lines)},
        **options,
    )


def _on_circle(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def relative_imbalance(mu: ParticleMeasure) -> float:
    """``max|a_j² − |w_j|²|`` over ``max a_j²``."""
    return float(np.abs(imbalance(mu)).max() / np.max(mu.positions[:, 0] ** 2))


def share_on_lines(mu: ParticleMeasure, lines: np.ndarray) -> float:
    """Of ``Σ|a_j||w_j|`` in the plane, the part within `NEAR` of lines through 0, given by their angles in degrees."""
    a, x, y = mu.positions.T
    off = np.rad2deg(np.arctan2(y, x))[:, None] - lines
    near = np.abs(np.mod(off + 90, 180) - 90).min(axis=1) <= NEAR
    charges = np.abs(a) * np.hypot(x, y)
    return float(charges[near].sum() / charges.sum())


def steepest(p: Parameters, mu: ParticleMeasure) -> float:
    """``max_{|w| = 1} |E[(h − h*)σ(w·x)]|`` on `PROBES` directions: at most λ if and only if μ is optimal."""
    teacher, inputs = plane_teacher(p), GaussianInputs(2)
    probes = _on_circle(np.linspace(0, 2 * np.pi, PROBES, endpoint=False))
    student, taught = (
        inputs.kernel(relu, probes, nu.positions[:, 1:]) @ (nu.weights * nu.positions[:, 0]) for nu in (mu, teacher)
    )
    return float(np.abs(student - taught).max())


def of_plane(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement | Verdict]:
    """What theory says of a run in the plane: its end, the energy, the balance of every neuron, De Giorgi's."""
    p, expected = ladder.parameters, ladder.expected
    drop = float(ds.energy[0] - ds.energy[-1])
    if not _wide(p, ds):
        unmet = ("the student has two neurons of either sign for each of the teacher's",)
        yield Verdict("TWO-2", "the end is optimal", "Chizat & Bach 2018", ladder.name, False, unmet=unmet)
    elif p["penalty"] > 0:
        end = ParticleMeasure(ds.positions.values[-1], ds.weights.values)
        quantity = expected["largest |E[(h − h*)σ(w·x)]| over the penalty, |w| = 1"]
        yield quantity.measured(steepest(p, end) / p["penalty"])
    else:
        yield expected["risk at the end over that at the start"].measured(float(ds.risk[-1] / ds.risk[0]))
    rise = float(np.diff(ds.energy).max() / ds.energy[0])
    yield expected["largest rise of the energy between saves, over its first value"].measured(rise)
    yield expected["largest |a² − |w|²| over the largest a²"].measured(float(ds.imbalance.max()))
    coarsest = float(-np.diff(ds.energy).min()) / drop
    for name, defect in {"distance": ds.balance_defect, "velocity": ds.balance_defect_velocity}.items():
        if name == "distance" and coarsest > RESOLVED:
            unmet = (f"saves resolve the energy (one interval has {coarsest:.2g} of its drop, {RESOLVED:g} wanted)",)
            yield Verdict("FLOW-1", "balance by distance", "De Giorgi", ladder.name, False, unmet=unmet)
        elif np.isfinite(defect).all():
            share = float(abs(defect).max()) / drop
            yield expected[f"balance defect by {name} over the energy drop"].measured(share)


def _wide(p: Parameters, ds: xr.Dataset) -> bool:
    """Whether the student has two neurons of either sign for each of the teacher's."""
    return ds.sizes["particle"] >= 4 * len(p["angles"])


# ---- against the width ---------------------------------------------------------------------------------------------


def width_study(p: Parameters, widths: Sequence[float], seeds: int, *, progress: bool | None = None) -> xr.Dataset:
    """Gradient descent in ``dim`` dimensions, students of several widths.

    Returns
    -------
    Dataset — ``loss`` (width, seed) and ``risk`` (width, seed, step), constant once a descent has converged
    """
    import xarray as xr

    last = _check.whole("steps", p["steps"], "pass a number of steps", at_least=1)
    steps = np.unique(np.concatenate([[0], np.geomspace(1, last, CURVE - 1).round()])).astype(int)
    runs = [(width, seed) for width in widths for seed in range(seeds)]
    curves = np.stack([_descent(p, width, seed, steps) for width, seed in with_progress(runs, progress)])
    risk = curves.reshape(len(widths), seeds, len(steps))
    coordinates = {"width": list(widths), "seed": np.arange(seeds), "step": steps}
    variables = {"loss": (("width", "seed"), risk[..., -1]), "risk": (("width", "seed", "step"), risk)}
    return xr.Dataset(variables, coords=coordinates)


def _descent(p: Parameters, width: float, seed: int, steps: np.ndarray) -> np.ndarray:
    """The risk at these numbers of steps of one descent."""
    number = _check.whole("width", width, "pass a number of neurons", at_least=1)
    flow = student_flow(p, np.random.default_rng([seed, 0]))
    start = unit_neurons(np.random.default_rng([seed, 1, number]), alternating(number), p["dim"])
    risk, known = np.full(len(steps), flow.energy.value(start)), dict(zip(steps.tolist(), range(len(steps))))
    descent = accepted(flow, start, Euler(dt=p["step"]), p["step"] * steps[-1])
    for taken, (_, mu, _) in enumerate(descent, start=1):
        if taken in known:
            risk[known[taken] :] = flow.energy.value(mu)
        if flow.dissipation(mu) < STATIONARY:
            break
    risk[np.searchsorted(steps, taken) :] = flow.energy.value(mu)
    return risk


def of_widths(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement | Verdict]:
    """What theory says of the losses: plateaus below the teacher's width, nothing left beyond."""
    expected, teachers = ladder.expected, ladder.parameters["teachers"]
    narrow, wide = ds.loss.where(ds.width < teachers, drop=True), ds.loss.where(ds.width > teachers, drop=True)
    if not (narrow.size and wide.size):
        unmet = (f"widths on both sides of the teacher's, {teachers:g}",)
        yield Verdict("TWO-2", "loss against width", "Chizat & Bach 2018", ladder.name, False, unmet=unmet)
        return
    for width in narrow.width.values:
        plateau = float(narrow.sel(width=width).min())
        yield expected["least loss, narrower than the teacher"].measured(plateau, case=f"m = {width:g}")
    yield expected["greatest loss, wider than the teacher"].measured(float(wide.max()))
    yield expected["greatest wide loss over least narrow loss"].measured(float(wide.max() / narrow.min()))
