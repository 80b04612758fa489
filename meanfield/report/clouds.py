"""The figure of any run of particles: their paths, and along time energy, dissipation and balance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.report import _panels
from meanfield.report._panels import COLOURS, GREY, LABEL, TICK, TITLE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PATHS = 400  # paths drawn; of more particles every so-manyth


def plot_cloud(ds: xr.Dataset) -> Figure:
    """Paths of particles beside energy, dissipation and the balance.

    On the line position against time; in more dimensions the plane of the two coordinates that moved most, start
    hollow, end full. Layers are told by colour. Of many particles 400 are drawn.

    Parameters
    ----------
    ds : Dataset — a run's output with ``positions``, from `meanfield.solve` or `meanfield.output.read`

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _panels.new_figure(9.2, 5.2)
    cells = figure.add_gridspec(2, 2, width_ratios=(1.3, 1))
    axes = figure.add_subplot(cells[:, 0])
    positions = ds["positions"].values
    depth = positions.shape[1] if positions.ndim == 4 else 1
    paths = positions.reshape(len(positions), -1, positions.shape[-1])
    layers = np.repeat(np.arange(depth), paths.shape[1] // depth)
    drawn = np.arange(0, paths.shape[1], -(-paths.shape[1] // MOST_PATHS))
    coloured = _colours(layers[drawn], depth)
    if paths.shape[2] == 1:
        _against_time(axes, ds["time"].values, paths[:, drawn, 0], coloured)
    else:
        _in_the_plane(axes, paths[:, drawn], coloured, str(ds["positions"].dims[-1]))
    if depth > 1:
        _bar(figure, axes, depth)
    above, below = figure.add_subplot(cells[0, 1]), figure.add_subplot(cells[1, 1])
    above.sharex(below)
    above.tick_params(labelbottom=False)
    _panels.energy(above, ds)
    _panels.balance(below, ds)
    below.set_xlabel("time $t$", fontsize=LABEL)
    figure.suptitle(_panels.heading(ds), fontsize=TITLE)
    return figure


def _colours(layers: np.ndarray, depth: int) -> np.ndarray:
    from matplotlib import colormaps

    return colormaps[COLOURS](0.9 * layers / max(depth - 1, 1) + (0.25 if depth == 1 else 0.0))


def _against_time(axes: Axes, t: np.ndarray, x: np.ndarray, colours: np.ndarray) -> None:
    for path, colour in zip(x.T, colours):
        axes.plot(t, path, color=colour, linewidth=0.7, alpha=0.7)
    axes.set_xlim(t[0], t[-1])
    axes.set_xlabel("time $t$", fontsize=LABEL)
    _panels.finish_axes(axes, ylabel="position $x_i(t)$")


def _in_the_plane(axes: Axes, paths: np.ndarray, colours: np.ndarray, name: str) -> None:
    """Two coordinates (T, N, d) of every particle; of a component d ≤ 2 both, else those that moved most."""
    moved = np.sum((paths[-1] - paths[0]) ** 2, axis=0)
    i, j = sorted(np.argsort(-moved, kind="stable")[:2])
    for path, colour in zip(paths.transpose(1, 0, 2), colours):
        axes.plot(path[:, i], path[:, j], color=colour, linewidth=0.7, alpha=0.5)
    (x, y), (u, v) = paths[0][:, [i, j]].T, paths[-1][:, [i, j]].T
    axes.scatter(x, y, s=9, facecolors="none", edgecolors=GREY, linewidths=0.6, label="start", zorder=3)
    axes.scatter(u, v, s=11, c=list(colours), label="end", zorder=4)
    axes.legend(fontsize=TICK, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.1)
    axes.set_xlabel(f"{name} {i + 1}", fontsize=LABEL)
    _panels.finish_axes(axes, ylabel=f"{name} {j + 1}")


def _bar(figure: Figure, axes: Axes, depth: int) -> None:
    """Which colour is which layer."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    shades = LinearSegmentedColormap.from_list("layers", colormaps[COLOURS](np.linspace(0.0, 0.9, 64)))
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), shades), ax=axes, pad=0.02)
    bar.set_label("layer $s$", fontsize=LABEL)
    bar.ax.tick_params(labelsize=TICK)
