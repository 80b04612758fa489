"""The figure of a map of the plane that a residual network has learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from meanfield.claims.residual_maps import late_saves, map_of
from meanfield.claims.residual_runs import Parameters, Training
from meanfield.measures import LayeredMeasure
from meanfield.report import _panels
from meanfield.report._panels import BLUE, GREEN, GREY, LABEL, ORANGE, TICK, TITLE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

SETS = (ORANGE, BLUE)  # colours of the two sets of points
LINES, ALONG = 21, 121  # lines of the grid on each axis, points on each of them
MARGIN = 0.35  # of the plane shown around data and targets
LAYERS = (0.0, 0.5, 1.0)  # depths of the layers shown: first, middle, last
NEURONS = 60  # shown of a layer


def plot_map(ds: xr.Dataset, p: Parameters) -> Figure:
    """Data along s before and after, the image of the plane, neurons of three layers, risk and balance along t.

    Parameters
    ----------
    ds : Dataset — a run of `meanfield.claims.residual_maps.map_run`
    p : mapping — its parameters

    Returns
    -------
    matplotlib.figure.Figure
    """
    training = map_of(p)
    figure = _panels.new_figure(12.0, 9.6)
    above, below = _panels.halves(figure, 1 / 1.15)
    shown = _panels.shown_times(ds, 3)
    for axes, index in zip(above.subplots(1, len(shown), squeeze=False)[0], shown):
        _paths(axes, ds, training, index)
    neurons, curves = cast("np.ndarray", below.subfigures(1, 2, width_ratios=(1.45, 1)))
    _neurons(neurons, ds)
    risk, balance = curves.subplots(2, 1, height_ratios=(1.2, 1))
    _risk(risk, ds)
    _balance(balance, ds)
    figure.suptitle(_panels.heading(ds), fontsize=TITLE)
    return figure


# ---- in the plane --------------------------------------------------------------------------------------------------


def _paths(axes: Axes, ds: xr.Dataset, training: Training, index: int) -> None:
    """The data along s, hollow at s = 0, full at s = 1; targets as crosses; the image of a grid of straight lines."""
    mu = LayeredMeasure(ds.positions.values[index], ds.weights.values)
    everything = np.concatenate([training.x, training.y])
    low, high = everything.min(axis=0) - MARGIN, everything.max(axis=0) + MARGIN
    for lines in _grid(low, high):
        image = training.network.predict(mu, lines.reshape(-1, 2)).reshape(lines.shape)
        axes.plot(image[..., 0].T, image[..., 1].T, color=GREY, linewidth=0.5, alpha=0.45)
    states = training.network.states(mu, training.x)
    half = len(training.x) // 2
    cross: dict[str, Any] = {"color": "black", "markersize": 5.5, "markeredgewidth": 1.2, "zorder": 5}
    axes.plot(*training.y.T, "x", label="targets $y_i$", **cross)
    for colour, part in zip(SETS, (slice(half), slice(half, None))):
        axes.plot(*np.moveaxis(states[:, part], 2, 0), color=colour, linewidth=1.4, zorder=3)
        hollow: dict[str, Any] = {"color": colour, "markersize": 5, "markerfacecolor": "white", "zorder": 4}
        axes.plot(*states[0, part].T, "o", **hollow)
        axes.plot(*states[-1, part].T, "o", color=colour, markersize=5, zorder=4)
    centre, reach = 0.5 * (low + high), 0.5 * (high - low).max()
    axes.set(xlim=(centre[0] - reach, centre[0] + reach), ylim=(centre[1] - reach, centre[1] + reach), aspect="equal")
    axes.tick_params(labelsize=TICK)
    axes.set_title(
        f"$t = {float(f'{ds.time.values[index]:.3g}'):g}$, risk {_power(float(ds.risk[index]))}", fontsize=LABEL
    )
    axes.set_xlabel("$x_i(s)$ from hollow to full, targets crosses" if index else "the start: identity", fontsize=LABEL)


def _grid(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Straight lines across the plane shown and beyond, (line, point, 2), of either direction."""
    reach = high - low
    across = (np.linspace(low[axis] - reach[axis] / 4, high[axis] + reach[axis] / 4, LINES) for axis in (0, 1))
    along = (np.linspace(low[axis] - reach[axis] / 4, high[axis] + reach[axis] / 4, ALONG) for axis in (0, 1))
    (x, y), (fine_x, fine_y) = across, along
    vertical, horizontal = np.meshgrid(x, fine_y, indexing="ij"), np.meshgrid(fine_x, y, indexing="ij")
    return np.stack(vertical, axis=-1), np.stack(horizontal, axis=-1).transpose(1, 0, 2)


def _power(value: float) -> str:
    """A number with two digits as a person writes it: 0.5, or 1.2·10⁻⁷ as a formula."""
    if value >= 1e-3:
        return f"{value:.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return rf"${mantissa} \cdot 10^{{{int(exponent)}}}$"


# ---- neurons -------------------------------------------------------------------------------------------------------


def _neurons(figure: SubFigure, ds: xr.Dataset) -> None:
    """Paths of u and of w along t in three layers; colours: the direction of u at the end."""
    depth = ds.sizes["layer"]
    layers = sorted({round(share * (depth - 1)) for share in LAYERS})
    panels = figure.subplots(2, len(layers), squeeze=False, sharex="row", sharey="row")
    positions = ds.positions.values[:, :, :: max(1, ds.sizes["particle"] // NEURONS)]
    for column, layer in zip(panels.T, layers):
        paths = positions[:, layer]
        colours = _of_directions(paths[-1, :, :2])
        for axes, first in zip(column, (0, 2)):
            for path, colour in zip(paths[..., first : first + 2].swapaxes(0, 1), colours):
                axes.plot(*path.T, color=colour, linewidth=0.9)
            axes.scatter(*paths[-1, :, first : first + 2].T, s=13, c=colours, zorder=3)
            axes.tick_params(labelsize=TICK)
            _panels.finish_axes(axes, ylabel="")
        column[0].set_title(f"layer {layer + 1} of {depth}", fontsize=LABEL)
        column[0].set_xlabel("$u_1$", fontsize=LABEL)
        column[1].set_xlabel("$w_1$", fontsize=LABEL)
    panels[0, 0].set_ylabel("$u_2$, from 0", fontsize=LABEL)
    panels[1, 0].set_ylabel("$w_2$, spread at the start", fontsize=LABEL)
    figure.supxlabel("neurons from their start to their end (dot); coloured by the direction of $u$", fontsize=LABEL)


def _of_directions(u: np.ndarray) -> np.ndarray:
    """A colour for every direction in the plane, all dark enough for lines on white: (m, 3)."""
    from matplotlib.colors import hsv_to_rgb

    hue = np.mod(np.arctan2(u[:, 1], u[:, 0]) / (2 * np.pi), 1.0)
    return hsv_to_rgb(np.column_stack([hue, np.full(len(u), 0.75), np.full(len(u), 0.8)]))


# ---- along training time -------------------------------------------------------------------------------------------


def _risk(axes: Axes, ds: xr.Dataset) -> None:
    """The risk with the exponential fitted to its second half, and 2m(t) on an axis of its own."""
    t, risk, late = ds.time.values, ds.risk.values, late_saves(ds)
    rate, at_zero = np.polyfit(t[late], np.log(risk[late]), 1) if late.sum() > 1 else (np.nan, np.nan)
    axes.plot(t, risk, color=BLUE, linewidth=2.0, label="risk")
    axes.plot(t, np.exp(at_zero + rate * t), "--", color=BLUE, linewidth=1.2, label=f"fit: $e^{{{rate:.3g}\\,t}}$")
    axes.set_yscale("log")
    axes.set_ylim(0.3 * risk.min(), 5 * risk.max())
    axes.set_xlim(0, t[-1])
    axes.set_xlabel("training time $t$", fontsize=LABEL)
    beside = axes.twinx()
    beside.plot(t, ds.dissipation / ds.risk, color=ORANGE, linewidth=1.6)
    beside.axhline(-rate, color=ORANGE, linestyle="--", linewidth=1.2)
    beside.set_yscale("log")
    beside.set_ylabel("$2m(t) = |G|^2/$risk, observed", fontsize=LABEL, color=ORANGE)
    _panels.few_ticks(beside)
    beside.tick_params(axis="y", colors=ORANGE)
    beside.spines["top"].set_visible(False)
    axes.legend(fontsize=TICK, frameon=False, loc="upper right")
    _panels.finish_axes(axes, ylabel="risk")


def _balance(axes: Axes, ds: xr.Dataset) -> None:
    """What the energy has lost, and both defects of its balance."""
    t = ds.time.values
    drop = (ds.energy[0] - ds.energy).values
    curves = (
        (drop, BLUE, "-", "energy lost"),
        (np.abs(ds.balance_defect.values), GREEN, "-", "|defect| by distance $d$"),
        (np.abs(ds.balance_defect_velocity.values), GREY, "--", "|defect| by velocity"),
    )
    for values, colour, style, label in curves:
        axes.plot(t, np.where(values > 0, values, np.nan), style, color=colour, linewidth=1.8, label=label)
    axes.set_yscale("log")
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(0, t[-1])
    axes.set_xlabel("training time $t$, logarithmic", fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False, loc="lower right")
    _panels.finish_axes(axes, ylabel="balance")
