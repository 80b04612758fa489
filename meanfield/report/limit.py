"""The figure of the way to the mean-field limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.claims import RateFit
from meanfield.claims.mean_field import OBSERVED, fitted
from meanfield.report import _panels
from meanfield.report._panels import BLUE, COLOURS, GREY, LABEL, ORANGE, TICK, TITLE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

THEORY = {"width": -0.5, "step": 0.5}
MARKS = {"outputs": (BLUE, "o"), "risk": (ORANGE, "s")}


def plot_limit(ds: xr.Dataset) -> Figure:
    """Deviations against width and step with their rates, the distribution of |w|, the risk along descents.

    Parameters
    ----------
    ds : Dataset — of `meanfield.claims.mean_field.deviations` and `meanfield.claims.limit_runs.limit_portrait`

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _panels.new_figure(10.4, 8.0)
    (width, step), (norms, risk) = figure.subplots(2, 2)
    _rates(width, ds, "width", "neurons $m$, full gradient")
    _rates(step, ds, "step", r"step $\eta$, one sample a step")
    _norms(norms, ds)
    _risk(risk, ds)
    figure.suptitle("a two-layer network and its mean-field limit", fontsize=TITLE)
    return figure


def _rates(axes: Axes, ds: xr.Dataset, axis: str, xlabel: str) -> None:
    """Root mean squares over the seeds, every seed behind them, the fits, and theory's slope."""
    axes.set(xscale="log", yscale="log")
    levels, top = ds[axis].values, 0.0
    for name in OBSERVED:
        colour, mark = MARKS[name]
        single, fit = np.abs(ds[f"{name}_{axis}"].transpose(axis, "seed").values), fitted(ds, name, axis)
        at = np.repeat(levels[:, None], single.shape[1], axis=1)
        axes.plot(at.reshape(-1), single.reshape(-1), mark, color=colour, markersize=3, alpha=0.16, markeredgewidth=0)
        values = np.array(fit.record.values)
        axes.plot(fit.record.levels, values, mark, color=colour, markersize=7, zorder=3)
        line = fit.record.prefactor * levels**fit.slope
        axes.plot(levels, line, color=colour, linewidth=1.4, label=_words(name, fit))
        top = max(top, values.max())
    ends = levels[[0, -1]].astype(float)
    anchor = ends[0] if THEORY[axis] < 0 else ends[1]
    theory = 1.8 * top * (ends / anchor) ** THEORY[axis]
    label = f"theory: slope {_panels.minus('-½') if THEORY[axis] < 0 else '½'}"
    axes.plot(ends, theory, "--", color=GREY, linewidth=1.6, label=label)
    axes.set_ylim(bottom=_bottom(ds, axis))
    _panels.level_ticks(axes, levels)
    axes.set_xlabel(xlabel, fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False, loc="lower left" if THEORY[axis] < 0 else "lower right")
    _panels.finish_axes(axes, ylabel=f"deviation, RMS and each of {ds.sizes['seed']} seeds")


def _words(name: str, fit: RateFit) -> str:
    half = (fit.interval[1] - fit.interval[0]) / 2
    return f"{name}: slope {_panels.minus(f'{fit.slope:.2f}')} ± {half:.2f}"


def _bottom(ds: xr.Dataset, axis: str) -> float:
    """Room for the legend below the smallest mean: single seeds may lie anywhere below."""
    return min(float(np.sqrt((ds[f"{name}_{axis}"] ** 2).mean("seed")).min()) for name in OBSERVED) / 30


def _colours(number: int) -> np.ndarray:
    from matplotlib import colormaps

    return colormaps[COLOURS](np.linspace(0.0, 0.88, number))


def _norms(axes: Axes, ds: xr.Dataset) -> None:
    """Distribution functions of |w| at the end: staircases of m steps, and the limit."""
    for width, colour in zip(ds.shown_width.values, _colours(ds.sizes["shown_width"])):
        values = ds.norm.sel(shown_width=width)
        axes.plot(values, ds.share, color=colour, linewidth=1.6, drawstyle="steps-pre", label=f"$m = {width:g}$")
    axes.plot(ds.norm_limit, ds.share, "--", color="black", linewidth=1.6, label="limit")
    axes.set(xlim=(0, 1.05 * float(ds.norm_limit[-2])), ylim=(0, 1))
    axes.set_xlabel(f"$r$, at $t = {float(ds.t[-1]):g}$", fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False, loc="lower right")
    _panels.finish_axes(axes, ylabel=r"share of neurons with $|w| \leq r$")


def _risk(axes: Axes, ds: xr.Dataset) -> None:
    """The risk along one-sample descents, large steps behind small ones, and along the flow."""
    colours = _colours(ds.sizes["shown_step"])[::-1]
    for index in reversed(range(ds.sizes["shown_step"])):
        label = rf"$\eta = {float(ds.shown_step[index]):g}$"
        axes.plot(ds.t, ds.risk_along[index], color=colours[index], linewidth=1.3, label=label)
    axes.plot(ds.t, ds.risk_flow, "--", color="black", linewidth=1.8, label="limit: gradient flow")
    axes.set_xlim(0, float(ds.t[-1]))
    axes.set_xlabel(r"time $t = \eta k$", fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False)
    _panels.finish_axes(axes, ylabel="risk, one-sample descent")
