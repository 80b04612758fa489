"""The figure of residual networks that tell handwritten digits apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.report import _panels
from meanfield.report._panels import BLUE, LABEL, ORANGE, TICK, TITLE
from meanfield.report.digits import draw_accuracy, draw_confusion, draw_risk

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEPTHS = (0.0, 0.5, 1.0)  # s of the clouds of images shown


def plot_digit_networks(ds: xr.Dataset) -> Figure:
    """Training curve, accuracies, which digit is taken for which; below, images along the depth, and their readout.

    Parameters
    ----------
    ds : Dataset — of `meanfield.claims.residual_digits.digit_study`

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _panels.new_figure(12.0, 7.8)
    above, below = _panels.halves(figure, 1.05)
    risk, share, confusion = above.subplots(1, 3, width_ratios=(1, 1.1, 0.9))
    draw_risk(risk, ds)
    draw_accuracy(share, ds)
    draw_confusion(confusion, ds)
    *clouds, readout = below.subplots(1, len(DEPTHS) + 1)
    bound = 1.08 * np.abs(ds.states.values).max()
    for axes, depth in zip(clouds, DEPTHS):
        _images(axes, ds, depth, bound)
    clouds[0].set_ylabel(f"{ds.sizes['sample']} test images, seed 0", fontsize=LABEL)
    _along_depth(readout, ds)
    seeds, layers = ds.sizes["seed"], ds.sizes["interface"] - 1
    figure.suptitle(f"handwritten digits by a residual network of {layers} layers: {seeds} seeds", fontsize=TITLE)
    return figure


def _images(axes: Axes, ds: xr.Dataset, depth: float, bound: float) -> None:
    """States at a depth in the plane that shows the means of the digits best at the end; numbers stand at the means."""
    from matplotlib import colormaps

    at = int(np.abs(ds.interface.values - depth).argmin())
    states, labels = ds.states.values[at], ds.label.values
    axes.scatter(states[:, 0], states[:, 1], s=6, c=colormaps["tab10"](labels), alpha=0.75, linewidths=0)
    box: dict[str, Any] = {"boxstyle": "circle,pad=0.12", "facecolor": "white", "linewidth": 1.2}
    for digit in range(10):
        x, y = states[labels == digit].mean(axis=0)
        box["edgecolor"] = colormaps["tab10"](digit)
        axes.text(x, y, f"{digit}", fontsize=TICK, ha="center", va="center", bbox=box)
    axes.set(xlim=(-bound, bound), ylim=(-bound, bound), aspect="equal", xticks=[], yticks=[])
    axes.set_title(f"depth $s = {ds.interface.values[at]:g}$", fontsize=LABEL)


def _along_depth(axes: Axes, ds: xr.Dataset) -> None:
    """What the readout makes of the states on their way."""
    share = 100 * ds.depth_accuracy
    axes.plot(ds.interface, share.T, color=ORANGE, linewidth=0.8, alpha=0.5)
    axes.plot(ds.interface, share.mean("seed"), color=ORANGE, linewidth=2.0)
    axes.axhline(10, color=BLUE, linewidth=1.0, linestyle=":")
    axes.text(1.0, 12, "chance", color=BLUE, fontsize=TICK, ha="right")
    axes.set(xlim=(0, 1), ylim=(0, 101))
    axes.set_xlabel("depth $s$", fontsize=LABEL)
    _panels.finish_axes(axes, ylabel="test accuracy of the readout at $s$, %")
