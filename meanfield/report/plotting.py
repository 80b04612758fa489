"""Figures of runs and of fitted rates: plain `matplotlib.figure.Figure` objects, no pyplot and no global state."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.claims import RateFit
from meanfield.report import _panels
from meanfield.report._panels import BLUE, LABEL, ORANGE, TICK, TITLE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

FORMATS = (".pdf", ".png", ".svg")


def plot_run(ds: xr.Dataset) -> Figure:
    """The figure of a run.

    The density (d = 1: profiles at several times; d = 2: first, middle and last; d = 3: the same on the plane z through
    the first density's maximum), then along time the dissipation ``|∂E|²``, the energy above its last value, and the
    defects of the energy balance. Particles have `meanfield.report.clouds.plot_cloud`, the training of a neural ODE on
    densities `meanfield.report.training.plot_training`.

    Parameters
    ----------
    ds : Dataset — a run's output with ``density`` or ``positions``, from `meanfield.solve` or `meanfield.output.read`

    Returns
    -------
    matplotlib.figure.Figure — for `save_figure`, or to change first

    Raises
    ------
    ValueError — neither particles nor a density along time and space

    Notes
    -----
    The times shown are equally spaced in path length where it grows: the states are equally far apart.
    """
    if "density" in ds and "interface" in ds["density"].dims:
        from meanfield.report.training import plot_training

        return plot_training(ds)
    if "positions" in ds:
        from meanfield.report.clouds import plot_cloud

        return plot_cloud(ds)
    dim = _panels.dimension(ds)
    if dim == 1:
        figure = _panels.new_figure(9.2, 5.2)
        cells = figure.add_gridspec(2, 2, width_ratios=(1.3, 1))
        _panels.profiles(figure, figure.add_subplot(cells[:, 0]), ds)
        above, below = figure.add_subplot(cells[0, 1]), figure.add_subplot(cells[1, 1])
        above.sharex(below)
        above.tick_params(labelbottom=False)
    else:
        figure = _panels.new_figure(9.2, 6.0)
        cells = figure.add_gridspec(2, 6, height_ratios=(1.05, 1))
        _panels.snapshots(figure, [figure.add_subplot(cells[0, 2 * i : 2 * i + 2]) for i in range(3)], ds, dim)
        above, below = figure.add_subplot(cells[1, :3]), figure.add_subplot(cells[1, 3:])
        above.set_xlabel("time $t$", fontsize=LABEL)
    _panels.energy(above, ds)
    _panels.balance(below, ds)
    below.set_xlabel("time $t$", fontsize=LABEL)
    figure.suptitle(_panels.heading(ds), fontsize=TITLE)
    return figure


def plot_rate(fit: RateFit, *, theory: float | None = None, quantity: str = "error", title: str = "") -> Figure:
    """The figure of a fitted rate, both axes logarithmic.

    Levels fitted are filled, levels dropped by a rule hollow; a line shows the fit, a dashed one theory.

    Parameters
    ----------
    fit : RateFit
    theory : float — the slope claimed, drawn through the middle of the levels fitted; None leaves it out
    quantity, title : str — what the vertical axis shows, and the heading

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError — something else than a `meanfield.claims.RateFit`

    Examples
    --------
    >>> import numpy as np, xarray as xr, meanfield as mf
    >>> n = np.array([16, 32, 64, 128])
    >>> figure = plot_rate(mf.fit_rate(xr.DataArray(3.0 / n**2, coords={"n": n}), along="n"), theory=-2)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['measured', 'fit: slope −2 [−2, −2]', 'theory: slope −2']
    """
    if not isinstance(fit, RateFit):
        raise TypeError(f"fit must be a RateFit (got {type(fit).__name__}); pass the result of meanfield.fit_rate")
    figure = _panels.new_figure(5.6, 4.3)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    record = fit.record
    levels, values = np.array(record.levels), np.array(record.values)
    kept, positive = np.array([not reason for reason in record.reasons]), values > 0
    axes.plot(levels[kept], values[kept], "o", color=BLUE, markersize=7, zorder=3, label="measured")
    hollow = ~kept & positive
    if hollow.any():
        style: dict[str, Any] = {"color": BLUE, "markerfacecolor": "white", "markersize": 7, "zorder": 3}
        axes.plot(levels[hollow], values[hollow], "o", label="dropped by rule", **style)
    ends = np.array([levels[positive].min(), levels[positive].max()])
    low, high = (_panels.minus(f"{bound:.4g}") for bound in fit.interval)
    label = f"fit: slope {_panels.minus(f'{fit.slope:.4g}')} [{low}, {high}]"
    axes.plot(ends, record.prefactor * ends**fit.slope, "-", color=BLUE, linewidth=1.4, label=label)
    if theory is not None:
        theory = _check.real("theory", theory, "pass the claimed slope, or None")
        centre = np.exp(np.mean(np.log(levels[kept])))
        through = 0.5 * record.prefactor * centre**fit.slope  # half as high, so that both lines are seen
        label = f"theory: slope {_panels.minus(f'{theory:.4g}')}"
        axes.plot(ends, through * (ends / centre) ** theory, "--", color=ORANGE, linewidth=1.6, label=label)
    _panels.level_ticks(axes, levels)
    _panels.finish_axes(axes, ylabel=quantity)
    axes.set_xlabel(f"${record.along}$" if len(record.along) == 1 else record.along, fontsize=LABEL)
    axes.set_title(title, fontsize=TITLE)
    axes.legend(fontsize=TICK, frameon=False)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Write a figure, its format by the suffix of ``path`` (PDF, PNG at 200 dots an inch, SVG); the path written.

    Raises
    ------
    ValueError — another suffix, a folder that is missing or closed, or a file that is there without ``overwrite``
    """
    path = check_figure(path, overwrite=overwrite)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        figure.savefig(partial, dpi=200)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def check_figure(path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """The resolved path of a figure to write, or a ``ValueError``, before any work is done."""
    return check_picture("a figure", path, FORMATS, overwrite=overwrite)


def check_picture(kind: str, path: str | os.PathLike, formats: tuple[str, ...], *, overwrite: bool) -> Path:
    """The same for any kind of picture, as ``a figure``."""
    path = Path(path).resolve()
    if path.suffix not in formats:
        raise _check.fail(f"{kind}'s name must end in " + ", ".join(formats), path.name, "rename it")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise _check.fail(f"{kind}'s folder must exist and be writable", str(path.parent), "create it")
    if path.is_dir() or (path.exists() and not overwrite):
        raise _check.fail(f"{kind} must not exist yet", path.name, "pass overwrite or another name")
    return path
