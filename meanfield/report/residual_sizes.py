"""The figure of residual networks of finite depth and width against much larger ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.claims.ladder import Ladder
from meanfield.claims.residual_sizes import fitted, laws
from meanfield.report import _panels
from meanfield.report._panels import BLUE, GREEN, LABEL, ORANGE, TICK, TITLE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = {  # variable: words, colour, mark
    "output_depth": ("outputs", BLUE, "o"),
    "risk_depth": ("risk", ORANGE, "s"),
    "output_width": ("outputs", BLUE, "o"),
    "risk_width": ("risk", ORANGE, "s"),
    "start_across": ("$u = 0$, start", BLUE, "o"),
    "end_across": ("$u = 0$, trained", GREEN, "^"),
    "spread_across": ("normal $u$", ORANGE, "s"),
}
AXES = {
    "depth": ("layers $L$, the same neurons in each", "error against {} layers"),
    "width": ("neurons $m$ in each layer", "error against {} neurons"),
    "across": ("neurons $m$ in each layer", "$d$ of two independent samples"),
}
ABOVE = 1.7  # theory is drawn so many times above the largest fitted value, or below the least


def plot_sizes(ds: xr.Dataset, ladder: Ladder) -> Figure:
    """Errors against L and m at a fixed time, and the distance of two samples, with fits and the slopes of theory.

    Parameters
    ----------
    ds : Dataset — of `meanfield.claims.residual_sizes.finite_size_errors`
    ladder : Ladder — it was measured on

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _panels.new_figure(13.0, 5.0)
    for axes, along in zip(figure.subplots(1, len(AXES)), AXES):
        _rates(axes, ds, ladder, along)
    p = ladder.parameters
    words = f"{p['samples']:g} data in dimension {p['dim']:g}, at $t = {p['t_end']:g}$"
    figure.suptitle(f"residual networks of finite size: {words}", fontsize=TITLE)
    return figure


def _rates(axes: Axes, ds: xr.Dataset, ladder: Ladder, along: str) -> None:
    """Every seed, root mean squares, fits, and a line of every slope theory has here."""
    axes.set(xscale="log", yscale="log")
    levels, means = ds[along].values.astype(float), []
    theory: dict[float, tuple[list[float], list[float]]] = {}
    for name, law in laws(ladder.parameters).items():
        if law.along != along:
            continue
        words, colour, mark = CURVES[name]
        fit, single = fitted(ladder, ds, name), np.abs(ds[name].transpose(along, f"seed_{along}").values)
        single = single[:, np.isfinite(single).all(axis=0)]
        at = np.repeat(levels[:, None], single.shape[1], axis=1)
        axes.plot(at.ravel(), single.ravel(), mark, color=colour, markersize=3, alpha=0.18, markeredgewidth=0)
        values = np.array(fit.record.values)
        axes.plot(fit.record.levels, values, mark, color=colour, markersize=6.5, zorder=3)
        half = 0.5 * (fit.interval[1] - fit.interval[0])
        label = f"{words}: slope {_panels.minus(f'{fit.slope:.2f}')} ± {float(f'{half:.1g}'):g}"
        axes.plot(levels, fit.record.prefactor * levels**fit.slope, color=colour, linewidth=1.4, label=label)
        means.append(values)
        ends = theory.setdefault(ladder.expected[law.expected].theory, ([], []))
        ends[0].append(values[0])
        ends[1].append(values[-1])
    _theory(axes, levels[[0, -1]], theory)
    low, high = np.min(means), np.max(means)
    axes.set_ylim(low * (low / high) ** 0.5, high * (high / low) ** 0.22)
    _panels.level_ticks(axes, levels)
    if high < 10 * low:
        _panels.few_ticks(axes)
    xlabel, ylabel = AXES[along]
    axes.set_xlabel(xlabel, fontsize=LABEL)
    axes.legend(fontsize=TICK, frameon=False, loc="lower left")
    _panels.finish_axes(axes, ylabel=ylabel.format(f"{ladder.reference.get(along, 0):g}"))


def _theory(axes: Axes, ends: np.ndarray, slopes: dict[float, tuple[list[float], list[float]]]) -> None:
    """Dashed above the curves they speak of."""
    styles: tuple[Any, ...] = ("--", ":")
    for style, (slope, (first, _)) in zip(styles, slopes.items()):
        line = ABOVE ** (1 if abs(slope) > 0.45 else 0.35) * max(first) * (ends / ends[0]) ** slope
        label = f"theory: slope {_panels.minus(_fraction(slope))}"
        axes.plot(ends, line, style, color="black", linewidth=1.5, label=label)


def _fraction(slope: float) -> str:
    from fractions import Fraction

    return str(Fraction(slope).limit_denominator(20))
