"""The figure of the networks that tell handwritten digits apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.report import _panels
from meanfield.report._panels import BLUE, GREEN, GREY, LABEL, ORANGE, TICK, TITLE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ROWS = 4  # neurons shown of every network
SIDE = 8  # pixels


def plot_digits(ds: xr.Dataset) -> Figure:
    """Training curve, accuracies, which digit is taken for which, and the strongest neurons of each network.

    Parameters
    ----------
    ds : Dataset — of `meanfield.claims.digit_runs.digit_study`

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _panels.new_figure(11.0, 7.6)
    above, below = _panels.halves(figure, 1 / 1.08)
    risk, share, confusion = above.subplots(1, 3, width_ratios=(1, 1, 0.9))
    draw_risk(risk, ds)
    draw_accuracy(share, ds)
    draw_confusion(confusion, ds)
    _neurons(below, ds)
    sizes = f"{ds.sizes['particle']} neurons for each, {ds.sizes['seed']} seeds"
    figure.suptitle(f"handwritten digits, one against the rest: {sizes}", fontsize=TITLE)
    return figure


def draw_risk(axes: Axes, ds: xr.Dataset) -> None:
    """``risk`` along the epochs, every seed and their mean."""
    axes.plot(ds.epoch, ds.risk.T, color=BLUE, linewidth=0.8, alpha=0.5)
    axes.plot(ds.epoch, ds.risk.mean("seed"), color=BLUE, linewidth=2.0)
    axes.set_yscale("log")
    axes.set_xlabel("epoch", fontsize=LABEL)
    _panels.finish_axes(axes, ylabel="risk on the training images")


def draw_accuracy(axes: Axes, ds: xr.Dataset) -> None:
    """``train_accuracy`` and ``test_accuracy`` along the epochs beside ``linear_accuracy``."""
    for name, colour, label in (("train_accuracy", BLUE, "training"), ("test_accuracy", ORANGE, "test")):
        values, last = 100 * ds[name], 100 * ds[name].isel(epoch=-1)
        spread = f" ± {float(last.std(ddof=1)):.1f}" if ds.sizes["seed"] > 1 else ""
        label += f", {float(last.mean()):.1f}{spread} %"
        axes.plot(ds.epoch, values.mean("seed"), color=colour, linewidth=2.0, label=label)
        axes.fill_between(ds.epoch, values.min("seed"), values.max("seed"), color=colour, alpha=0.2, linewidth=0)
    linear = 100 * float(ds.linear_accuracy.mean())
    axes.axhline(linear, color=GREEN, linewidth=1.4, linestyle="--", label=f"test, linear functions, {linear:.1f} %")
    axes.set_ylim(min(linear, 100 * float(ds.test_accuracy[:, 1:].min())) - 5, 100.5)
    axes.set_xlabel("epoch", fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False, loc="lower right")
    _panels.finish_axes(axes, ylabel="accuracy in %, band: all seeds")


def draw_confusion(axes: Axes, ds: xr.Dataset) -> None:
    """``confusion``: which digit is taken for which on the test images of seed 0."""
    counts = ds.confusion.values
    wrong = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    axes.imshow(wrong, cmap="Oranges", vmin=0, vmax=max(2, wrong.max()))
    for row, column in np.argwhere(counts > 0):
        colour = GREY if row == column else "black"
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=8.5, color=colour)
    axes.set(xticks=ds.digit.values, yticks=ds.digit.values)
    axes.tick_params(labelsize=TICK, length=0)
    axes.set_xlabel("answer", fontsize=LABEL)
    axes.set_ylabel("digit", fontsize=LABEL)
    axes.set_title(f"{counts.sum()} test images, seed 0: {wrong.sum()} wrong", fontsize=LABEL)


def _neurons(figure: SubFigure, ds: xr.Dataset) -> None:
    """Inner weights of the neurons of largest ``|a||w|`` as images, in the colours of their own range."""
    panels = figure.subplots(ROWS, ds.sizes["digit"], squeeze=False)
    for digit, column in enumerate(panels.T):
        neurons = ds.neurons.values[digit]
        strength = np.abs(neurons[:, 0]) * np.linalg.norm(neurons[:, 1:-1], axis=1)
        for axes, index in zip(column, np.argsort(-strength)):
            image = (neurons[index, 1:-1]).reshape(SIDE, SIDE)
            bound = np.abs(image).max()
            axes.imshow(image, cmap="RdBu_r", vmin=-bound, vmax=bound)
            positive = neurons[index, 0] > 0
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set(color=ORANGE if positive else BLUE, linewidth=1.8)
        column[0].set_title(f"{digit}", fontsize=TITLE)
    words = "weights $w$ of the strongest neurons, red > 0; orange frame: $a > 0$, for the digit; blue: against it"
    figure.supxlabel(words, fontsize=LABEL)
