"""The panels figures are made of: profiles, snapshots, curves along time; fonts, palette and headings."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from meanfield import _check

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

AXES = ("x", "y", "z")
PROFILES = 7  # densities shown for d = 1

# Okabe and Ito's palette, told apart by colour-blind readers; viridis for what is ordered
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
COLOURS = "viridis"
TITLE, LABEL, TICK = 12, 11, 9.5  # font sizes in points

_SYMBOLS = (
    (r"\bd_t\b", r"\\partial_t"),
    (r"\bdE/dv_s\b", r"\\delta E/\\delta v_s"),
    (r"\*", r"\\ast"),
    (r"\bgrad dE/drho\b", r"\\nabla\\delta E/\\delta rho"),
    (r"\bgrad dE/dmu\b", r"\\nabla\\delta E/\\delta mu"),
    (r"\bLaplacian\(", r"\\Delta("),
    (r"\bdiv(_w)?\(", r"\\mathrm{div}\1("),
    (r"(?<=[( ])\.(?=[|)])", r"\\cdot"),
    (r"\bgrad\b", r"\\nabla"),
    (r"\brho\b", r"\\rho"),
    (r"\bmu\b", r"\\mu"),
    (r"\^([0-9.]+)", r"^{\1}"),
    (r"(?<=[0-9]) (?=\\)", r"\\,"),
)


def new_figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def halves(figure: Figure, ratio: float) -> tuple[SubFigure, SubFigure]:
    """The parts above and below, their heights in the given ratio: a layout of its own for each."""
    above, below = cast("np.ndarray", figure.subfigures(2, 1, height_ratios=(ratio, 1)))
    return above, below


def dimension(ds: xr.Dataset) -> int:
    """Dimension of the torus the density lives on."""
    dims = tuple(ds["density"].dims) if "density" in ds else ()
    if dims not in {("time", *AXES[:d]) for d in (1, 2, 3)} or not ds.sizes["time"]:
        got = f"density {dims}, {ds.sizes.get('time', 0)} times"
        raise _check.fail(
            "a run's figure needs density along time and x, y, z", got, "pass the output of a density's run"
        )
    return len(dims) - 1


def shown_times(ds: xr.Dataset, number: int) -> list[int]:
    """Indices of at most ``number`` saves, ends included, as equally spaced in path length as the saves allow."""
    count = ds.sizes["time"]
    length = ds["path_length"].values if "path_length" in ds else np.arange(count)
    if not (np.isfinite(length).all() and length[-1] > length[0]):
        length = np.arange(count)
    wanted = np.linspace(length[0], length[-1], number)
    return sorted({0, count - 1, *(int(np.abs(length - one).argmin()) for one in wanted[1:-1])})


def profiles(
    figure: Figure | SubFigure,
    axes: Axes,
    ds: xr.Dataset,
    *,
    along: str = "time $t$",
    ylabel: str = r"density $\rho_t(x)$",
    beside: Sequence[Axes] = (),
) -> None:
    """Densities in d = 1, closed over the period, coloured in the order of their times; other panels share the bar."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    shown = shown_times(ds, PROFILES)
    colours = colormaps[COLOURS](np.linspace(0.0, 0.93, len(shown)))  # its bright end vanishes on white
    x = np.append(ds["x"].values, 1.0)
    for colour, index in zip(colours, shown):
        values = ds["density"].values[index]
        axes.plot(x, np.append(values, values[0]), color=colour, linewidth=1.8)
    norm = BoundaryNorm(np.arange(len(shown) + 1) - 0.5, len(shown))
    bar = figure.colorbar(
        ScalarMappable(norm, ListedColormap(colours)), ax=[axes, *beside], ticks=range(len(shown)), pad=0.02
    )
    bar.ax.set_yticklabels([f"{ds['time'].values[index]:.3g}" for index in shown], fontsize=TICK)
    bar.ax.tick_params(length=0, which="both")
    bar.set_label(along, fontsize=LABEL)
    axes.set_xlim(0, 1)
    axes.set_xlabel("position $x$", fontsize=LABEL)
    finish_axes(axes, ylabel=ylabel)


def snapshots(figure: Figure, panels: Sequence[Axes], ds: xr.Dataset, dim: int) -> None:
    """Densities in d = 2, or on a plane in d = 3, first, middle and last, in one colour scale."""
    density, plane = ds["density"], ""
    if dim == 3:
        height = int(np.unravel_index(density.values[0].argmax(), density.shape[1:])[2])
        density, plane = density.isel(z=height), f", $z = {float(ds['z'][height]):.3g}$"
    shown = shown_times(ds, 3)
    frames = [density.values[index] for index in shown]
    low, high = min(frame.min() for frame in frames), max(frame.max() for frame in frames)
    for panel, frame, index in zip(panels, frames, shown):
        centred = (-0.5 / frame.shape[0], 1 - 0.5 / frame.shape[0]) * 2  # values are those of cells around the points
        options: dict[str, Any] = {"origin": "lower", "extent": centred, "cmap": COLOURS, "vmin": low, "vmax": high}
        image = panel.imshow(frame.T, interpolation="nearest", **options)
        panel.set_title(f"$t = {ds['time'].values[index]:.3g}$" + plane, fontsize=LABEL)
        panel.set_xlabel("$x$", fontsize=LABEL)
        panel.set_xticks([0, 0.5], labels=["0", "½"])
        panel.set_yticks([0, 0.5], labels=["0", "½"] if panel is panels[0] else ["", ""])
        panel.tick_params(labelsize=TICK)
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    panels[0].set_ylabel("$y$", fontsize=LABEL)
    bar = figure.colorbar(image, ax=list(panels), pad=0.015, shrink=0.9)
    bar.set_label(r"density $\rho_t$", fontsize=LABEL)
    bar.ax.tick_params(labelsize=TICK)


def energy(axes: Axes, ds: xr.Dataset) -> None:
    energy = ds["energy"].values
    curves = [
        (r"$|\partial E|^2$, dissipation", ds["dissipation"].values, ORANGE, "-"),
        (r"$E(\mu_t) - E(\mu_T)$", energy - energy[-1], BLUE, "--"),
    ]
    _log_curves(axes, ds["time"].values, curves, ylabel="energy, dissipation")


def balance(axes: Axes, ds: xr.Dataset) -> None:
    curves = [
        (r"$|\mu^\prime|$ by distance", np.abs(ds["balance_defect"].values), GREEN, "-"),
        (r"$|\mu^\prime|$ by velocity", np.abs(ds["balance_defect_velocity"].values), GREY, "--"),
    ]
    _log_curves(axes, ds["time"].values, curves, ylabel="|balance defect|")


def _log_curves(axes: Axes, t: np.ndarray, curves: Sequence[tuple[str, np.ndarray, str, str]], *, ylabel: str) -> None:
    """Curves on a logarithmic axis without what it cannot show; a curve without positive values is left out."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    shown = False
    for label, values, colour, style in curves:
        good = np.isfinite(values) & (values > 0)
        if good.any():
            visible = np.where(good, values, np.nan)
            marker = "o" if good.sum() <= 2 else None
            axes.plot(t, visible, style, color=colour, linewidth=1.8, marker=marker, markersize=4, label=label)
            shown = True
    if shown:
        axes.set_yscale("log")
        low, high = (math.log10(bound) for bound in axes.get_ylim())
        axes.set_ylim(10.0 ** math.floor(low), 10.0 ** math.ceil(high))  # whole decades: always two labels
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
        above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.1}
        axes.legend(fontsize=TICK, frameon=False, ncols=2, columnspacing=1.5, handlelength=1.8, **above)
    else:
        known = any(np.isfinite(values).any() for _, values, *_ in curves)
        text = "zero throughout" if known else "not recorded for such runs"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", fontsize=LABEL, color=GREY)
        axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlim(t[0], t[-1] if t[-1] > t[0] else t[0] + 1)
    finish_axes(axes, ylabel=ylabel)


def level_ticks(axes: Axes, levels: np.ndarray) -> None:
    """Ticks at the levels themselves where they are few."""
    from matplotlib.ticker import NullFormatter, NullLocator

    if len(levels) <= 8:
        axes.set_xticks(levels, [f"{level:g}" for level in levels])
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def few_ticks(axes: Axes) -> None:
    """On an upright logarithmic axis of a decade or so: 1, 2 and 5 times powers of ten, written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.tick_params(labelsize=TICK)


def finish_axes(axes: Axes, *, ylabel: str) -> None:
    axes.set_ylabel(ylabel, fontsize=LABEL)
    axes.tick_params(labelsize=TICK)
    axes.grid(alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def heading(ds: xr.Dataset) -> str:
    title, equation = (str(ds.attrs.get(name, "")) for name in ("title", "equation"))
    lines = [*textwrap.wrap(title.replace("$", r"\$"), 90), _formula(equation)]
    return "\n".join(line for line in lines if line)


def _formula(equation: str) -> str:
    """The equation of an output file as a formula, or as it is where that file's words are unknown here."""
    text = equation
    for pattern, replacement in _SYMBOLS:
        text = re.sub(pattern, replacement, text)
    words = re.findall(r"(?<!\\)\b[A-Za-z]{2,}", text.replace(r"\mathrm{div}", ""))
    return f"${text}$" if text and not words and "$" not in text else equation.replace("$", r"\$")


def minus(text: str) -> str:
    """A number's text with a true minus sign."""
    return text.replace("-", "−")
