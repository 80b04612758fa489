"""The figure of what is observed of convergence from afar, beside what is certified."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.claims.residual_runs import Parameters
from meanfield.report import _panels
from meanfield.report._panels import BLUE, COLOURS, GREY, LABEL, ORANGE, TICK, TITLE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALE = "#E3E3E3"  # cells whose runs do not all converge


def plot_threshold(ds: xr.Dataset, p: Parameters) -> Figure:
    """The plane of displacements and widths: cells tell what runs did, lines what is proved. Beside it times along δ.

    Parameters
    ----------
    ds : Dataset — of `meanfield.claims.residual_threshold.threshold_study`
    p : mapping — its parameters

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _panels.new_figure(12.0, 5.6)
    plane, times = figure.subplots(1, 2, width_ratios=(1.45, 1))
    _plane(figure, plane, ds, p)
    _times(times, ds, p)
    sizes = f"{p['samples']:g} data in dimension {p['dim']:g}, {p['layers']:g} layers, {ds.sizes['seed']} seeds"
    figure.suptitle(f"residual networks that learn $y_i = x_i + \\delta z_i$ from $u = 0$: {sizes}", fontsize=TITLE)
    return figure


def _plane(figure: Figure, axes: Axes, ds: xr.Dataset, p: Parameters) -> None:
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Patch

    delta, width = ds.displacement.values, ds.width.values
    reached = np.isfinite(ds.arrival)
    share = reached.sum("seed").transpose("width", "displacement").values
    time = ds.arrival.median("seed").transpose("width", "displacement").values
    time = np.where(share == ds.sizes["seed"], time, np.nan)
    norm = LogNorm(np.nanmin(time), np.nanmax(time)) if np.isfinite(time).any() else LogNorm(1, p["t_end"])
    axes.set(xscale="log", yscale="log", facecolor=PALE)
    edges = _edges(delta), _edges(width)
    mesh = axes.pcolormesh(*edges, time, cmap=COLOURS, norm=norm, edgecolors="white", linewidth=0.6)
    for row, column in np.argwhere(share < ds.sizes["seed"]):
        words = f"{share[row, column]}/{ds.sizes['seed']}"
        axes.text(delta[column], width[row], words, ha="center", va="center", fontsize=8.5, color=GREY)
    bar = figure.colorbar(mesh, ax=axes, pad=0.015)
    bar.set_label(f"observed: time to {_power(p['fall'])} of the risk, median", fontsize=LABEL)
    _panels.few_ticks(bar.ax)
    handles: list[Any] = [
        Patch(color=PALE, label=f"observed: so many seeds converge by $t = {p['t_end']:g}$ and {p['steps']:g} steps")
    ]
    for name, colour, style, words in (
        ("certified", ORANGE, "-", "proved left of it: $m(R)$ along the path"),
        ("certified_closed", "black", "--", "proved left of it: closed form, one ball"),
    ):
        bounds = ds[name].median("seed").values
        known = bounds > 0
        if known.any():
            border, low = np.repeat(bounds[known], 2), _edges(width)
            rows = np.column_stack([low[:-1], low[1:]])[known].ravel()
            (line,) = axes.plot(border, rows, style, color=colour, linewidth=2.2, label=words, zorder=4)
            handles.append(line)
            if name == "certified":
                hatch: dict[str, Any] = {"facecolor": "none", "edgecolor": colour, "hatch": "//", "linewidth": 0}
                axes.fill_betweenx(rows, edges[0][0], border, **hatch)
    axes.set(xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]])
    axes.set_xlabel(r"displacement $\delta$ of the labels", fontsize=LABEL)
    axes.set_ylabel("neurons $m$ of a layer", fontsize=LABEL)
    axes.set_yticks(width, [f"{number:g}" for number in width])
    axes.minorticks_off()
    axes.tick_params(labelsize=TICK)
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2}
    axes.legend(handles=handles, fontsize=TICK, frameon=False, **above)


def _power(value: float) -> str:
    """A power of ten as a formula, any other number as it is."""
    exponent = math.log10(value)
    return f"$10^{{{round(exponent)}}}$" if abs(exponent - round(exponent)) < 1e-12 else f"{value:g}"


def _edges(levels: np.ndarray) -> np.ndarray:
    """Borders of cells around levels, halfway on a logarithmic axis; as far beyond the ends as before them."""
    logs = np.log(np.asarray(levels, dtype=float))
    if len(logs) == 1:
        return np.exp(logs[0] + np.array([-0.5, 0.5]))
    middles = 0.5 * (logs[1:] + logs[:-1])
    return np.exp(np.concatenate([[2 * logs[0] - middles[0]], middles, [2 * logs[-1] - middles[-1]]]))


def _times(axes: Axes, ds: xr.Dataset, p: Parameters) -> None:
    """Of the widest network: times at which the share of the risk is reached, and the bound where there is one."""
    widest, delta = ds.isel(width=-1), ds.displacement.values
    found = np.where(np.isfinite(widest.arrival), widest.arrival, np.nan)
    for seed, values in enumerate(found.T):
        axes.plot(
            delta, values, "o", color=BLUE, markersize=5, alpha=0.8, label=None if seed else "observed, each seed"
        )
    rates = widest.certified_rate.values
    bounds = math.log(1 / p["fall"]) / np.where(rates > 0, rates, np.nan)
    for seed, values in enumerate(bounds.T):
        axes.plot(
            delta, values, "v", color=ORANGE, markersize=6, alpha=0.8, label=None if seed else "proved: no later than"
        )
    failed = delta[~np.isfinite(widest.arrival).any("seed").values]
    if failed.size:
        axes.axvspan(_edges(delta)[np.searchsorted(delta, failed[0])], _edges(delta)[-1], color=PALE, zorder=0)
        words = f"none by $t = {p['t_end']:g}$\nor {p['steps']:g} steps"
        place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "va": "center", "ha": "right", "rotation": 90}
        axes.text(_edges(delta)[-1], 0.5, words, fontsize=TICK, color=GREY, **place)
    axes.set(xscale="log", yscale="log")
    axes.set_xlim(float(_edges(delta)[0]), float(_edges(delta)[-1]))
    axes.set_xlabel(r"displacement $\delta$ of the labels", fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False, loc="lower left")
    axes.set_title(f"$m = {float(widest.width):g}$", fontsize=LABEL)
    _panels.finish_axes(axes, ylabel=f"time to {_power(p['fall'])} of the risk")
    _panels.few_ticks(axes)
