"""The figures of students and teachers: neurons in the plane, and losses against the width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.claims.two_layer_runs import plane_flow, plane_teacher
from meanfield.measures import ParticleMeasure
from meanfield.report import _panels
from meanfield.report._panels import BLUE, COLOURS, GREEN, GREY, LABEL, ORANGE, TICK, TITLE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Parameters = Mapping[str, Any]
SIGNS = {1.0: ORANGE, -1.0: BLUE}  # colours of positive and negative neurons
FAINTEST = 0.12  # opacity of the first piece of a trajectory; the last one has 1
FRAMES = 5  # times at which the student is drawn as a function
DEGREES = 5  # width of a bar of charge
POINTS = 361  # of a function on the circle


def plot_plane(ds: xr.Dataset, p: Parameters) -> Figure:
    """Trajectories of the neurons ``|a|w``, and beside them the risk, the function on the circle, the charges.

    Parameters
    ----------
    ds : Dataset — a run of `meanfield.claims.two_layer_runs.plane_run`
    p : mapping — its parameters

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _panels.new_figure(11.4, 7.2)
    cells = figure.add_gridspec(3, 2, width_ratios=(1.5, 1))
    _trajectories(figure.add_subplot(cells[:, 0]), ds, p)
    _risk(figure.add_subplot(cells[0, 1]), ds)
    function, charges = (figure.add_subplot(cells[row, 1]) for row in (1, 2))
    _function(function, ds, p)
    _charges(charges, ds, p)
    figure.suptitle(_panels.heading(ds), fontsize=TITLE)
    return figure


def plot_widths(ds: xr.Dataset, p: Parameters) -> Figure:
    """The risk along the descents of every width, and what is left of it at the end.

    Parameters
    ----------
    ds : Dataset — of `meanfield.claims.two_layer_runs.width_study`
    p : mapping — its parameters

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import colormaps

    figure = _panels.new_figure(10.2, 4.6)
    along, against = figure.subplots(1, 2)
    widths, steps = ds.width.values, ds.step.values[1:]
    dots: dict[str, Any] = {"markersize": 7, "markeredgecolor": "white", "markeredgewidth": 0.6}
    for width, colour in zip(widths, colormaps[COLOURS](np.linspace(0, 0.93, len(widths)))):
        curves = ds.risk.sel(width=width).values[:, 1:]
        along.plot(steps, np.median(curves, axis=0), color=colour, linewidth=1.9, label=f"{width:g}")
        along.fill_between(steps, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        against.plot(np.full(ds.sizes["seed"], width), ds.loss.sel(width=width), "o", color=colour, **dots)
    against.plot(widths, ds.loss.median("seed"), color=GREY, linewidth=1.2, zorder=0)
    against.axvline(p["teachers"], color=GREY, linewidth=1.0, linestyle=":")
    for axes in (along, against):
        axes.set(xscale="log", yscale="log")
    along.set_xlim(1, steps[-1])
    along.set_xlabel(f"steps of {p['step']:g}", fontsize=LABEL)
    along.legend(title="neurons $m$", fontsize=TICK, title_fontsize=TICK, frameon=False, ncols=2, loc="lower left")
    _panels.level_ticks(against, widths)
    against.set_xlabel(f"neurons $m$; dotted: the teacher's {p['teachers']:g}", fontsize=LABEL)
    _panels.finish_axes(along, ylabel=r"population risk $F(\mu_t)$")
    _panels.finish_axes(against, ylabel=f"population risk at the end, {ds.sizes['seed']} seeds")
    title = f"learning a teacher of {p['teachers']:g} neurons on normal inputs, $d = {p['dim']:g}$"
    figure.suptitle(title, fontsize=TITLE)
    return figure


# ---- in the plane --------------------------------------------------------------------------------------------------


def _trajectories(axes: Axes, ds: xr.Dataset, p: Parameters) -> None:
    """Paths of ``|a_j| w_j``, pale at first; start hollow, end full, one colour for each sign."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    a, w = ds.positions.values[..., :1], ds.positions.values[..., 1:]
    paths = np.abs(a) * w  # (time, neuron, 2)
    reach = 1.12 * max(float(np.abs(paths).max()), len(p["angles"]))
    teacher = plane_teacher(p).positions
    length = _along_paths(paths)
    for sign, colour in SIGNS.items():
        for direction in teacher[teacher[:, 0] * sign > 0, 1:]:
            ray = np.outer((0, 2 * reach), direction)
            axes.plot(*ray.T, color=colour, linewidth=5.0, alpha=0.16, solid_capstyle="round", zorder=1)
        ours = np.sign(a[0, :, 0]) == sign
        pieces = np.stack([paths[:-1, ours], paths[1:, ours]], axis=2).reshape(-1, 2, 2)
        shades = np.tile(to_rgba(colour), (len(pieces), 1))
        shades[:, 3] = (FAINTEST + (1 - FAINTEST) * length[1:, ours]).reshape(-1)
        axes.add_collection(LineCollection(list(pieces), colors=list(shades), linewidths=1.0, zorder=2))
        axes.plot(*paths[0, ours].T, "o", color=colour, markersize=2.5, fillstyle="none", markeredgewidth=0.6)
        name = "positive" if sign > 0 else "negative"
        dots: dict[str, Any] = {"markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.6, "zorder": 4}
        axes.plot(*paths[-1, ours].T, "o", color=colour, label=f"{name} neurons", **dots)
    stars = np.abs(teacher[:, :1]) * teacher[:, 1:]
    style: dict[str, Any] = {"color": "black", "markeredgecolor": "white", "markersize": 15, "zorder": 5}
    axes.plot(*stars.T, "*", linestyle="none", label="teacher's neurons", **style)
    low, high = paths.reshape(-1, 2).min(axis=0), paths.reshape(-1, 2).max(axis=0)
    low, high = np.minimum(low, stars.min(axis=0)), np.maximum(high, stars.max(axis=0))
    margin = 0.06 * float((high - low).max())
    centre, half = (low + high) / 2, float((high - low).max()) / 2 + margin
    axes.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half), aspect="equal")
    axes.set_xlabel(f"$|a|\\,w_1$ of the {ds.sizes['particle']} neurons", fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), borderaxespad=0.1)
    _panels.finish_axes(axes, ylabel=r"$|a|\,w_2$")


def _along_paths(paths: np.ndarray) -> np.ndarray:
    """Arc length of each path up to each of its points over the whole, 1 for one that rests: (time, neuron)."""
    pieces = np.linalg.norm(np.diff(paths, axis=0), axis=-1)
    length = np.concatenate([np.zeros((1, paths.shape[1])), np.cumsum(pieces, axis=0)])
    return np.divide(length, length[-1], out=np.ones_like(length), where=length[-1] > 0)


def _risk(axes: Axes, ds: xr.Dataset) -> None:
    t = ds.time.values[1:]
    axes.plot(t, ds.dissipation[1:], color=GREEN, linewidth=1.8, label=r"$|\partial E|^2$, dissipation")
    if not np.array_equal(ds.energy, ds.risk):
        axes.plot(t, ds.energy[1:], color=GREY, linewidth=1.8, label="with penalty")
    axes.plot(t, ds.risk[1:], color="black", linewidth=1.8, label="risk $F$")
    axes.set(xscale="log", yscale="log", xlim=(t[0], t[-1]))
    axes.set_xlabel("time $t$", fontsize=LABEL, labelpad=0)
    axes.legend(fontsize=TICK, frameon=False)
    _panels.finish_axes(axes, ylabel="risk, dissipation")


def _function(axes: Axes, ds: xr.Dataset, p: Parameters) -> None:
    """Student and teacher on the unit circle, which say all of a function that is homogeneous."""
    from matplotlib import colormaps

    network = plane_flow(p).energy.model  # type: ignore[attr-defined]
    degrees = np.linspace(0, 360, POINTS)
    points = np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], axis=-1)
    shown = _panels.shown_times(ds, FRAMES)
    for colour, index in zip(colormaps[COLOURS](np.linspace(0, 0.93, len(shown))), shown):
        mu = ParticleMeasure(ds.positions.values[index], ds.weights.values)
        t = float(f"{ds.time.values[index]:.2g}")
        label = f"$t = {t:g}$"
        axes.plot(degrees, network.predict(mu, points), color=colour, linewidth=1.8, label=label)
    axes.plot(degrees, network.predict(plane_teacher(p), points), ":", color="black", linewidth=2.2, label="teacher")
    _over_directions(axes)
    axes.set_xlabel("direction of $x$", fontsize=LABEL, labelpad=0)
    axes.legend(fontsize=TICK - 1, frameon=False, ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5), borderpad=0)
    _panels.finish_axes(axes, ylabel=r"$h(\mu_t, x)$, $|x| = 1$")


def _charges(axes: Axes, ds: xr.Dataset, p: Parameters) -> None:
    """The charge ``Σ_j μ_j a_j|w_j|`` in every sector at the end, beside the teacher's."""
    a, x, y = ds.positions.values[-1].T
    charge = ds.weights.values * a * np.hypot(x, y)
    sector = np.mod(np.rint(np.rad2deg(np.arctan2(y, x)) / DEGREES), 360 // DEGREES)
    for sign, colour in SIGNS.items():
        ours = np.sign(a) == sign
        bars = np.bincount(sector[ours].astype(int), weights=charge[ours], minlength=360 // DEGREES)
        axes.bar(DEGREES * np.arange(len(bars)), bars, width=0.9 * DEGREES, color=colour, zorder=2)
    teacher = plane_teacher(p)
    heights = teacher.weights * teacher.positions[:, 0]
    axes.plot(np.mod(p["angles"], 360), heights, "*", color="black", markeredgecolor="white", markersize=13, zorder=3)
    axes.axhline(0, color=GREY, linewidth=0.8)
    _over_directions(axes)
    axes.set_xlabel(f"direction of $w$; stars: the teacher's, bars of {DEGREES}°", fontsize=LABEL, labelpad=0)
    _panels.finish_axes(axes, ylabel=r"charge $\int a|w|\,d\mu$")


def _over_directions(axes: Axes) -> None:
    axes.set_xlim(0, 360)
    axes.set_xticks(range(0, 361, 90), [f"{angle}°" for angle in range(0, 361, 90)])
