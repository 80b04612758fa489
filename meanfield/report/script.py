"""What all solver scripts share: flags from the ladder, the verdict table, the figure, one-line errors.

A script is a docstring, a function ``run(script) -> Dataset``, and ``main(argv=None)`` that hands both to `command`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from meanfield import _check, output
from meanfield.claims import Ladder, Measurement, Outcome, Verdict, load_ladder
from meanfield.report import _flags
from meanfield.report.table import render_text, verdict_rows
from meanfield.status import Status
from meanfield.transforms import transforms

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from meanfield.report.animation import Animation

VERDICT = "verdict"  # attribute of the Dataset that `Script.finish` returns
EXPECTED_ERRORS = (ValueError, TypeError, _check.ConvergenceError, output.OutputError)
# what a script reports of several rows: a row whose hypotheses are not met must not hide one that is violated
_SEVERITY = (Outcome.CONFIRMED, Outcome.HYPOTHESES_NOT_MET, Outcome.CONSISTENT, Outcome.VIOLATED)
FAILED, VIOLATED, INTERRUPTED = 2, 1, 130  # exit codes


@dataclass(frozen=True)
class Script:
    """What the command line asked of a script.

    Attributes
    ----------
    ladder : Ladder — with the parameters and levels of the command line
    quick : bool — only the quick levels
    out, figure, animation : Path or None — files to write, checked already
    overwrite : bool — replace these files
    progress : bool or None — None shows progress on a terminal only
    """

    ladder: Ladder
    quick: bool = False
    out: Path | None = None
    figure: Path | None = None
    animation: Path | None = None
    overwrite: bool = False
    progress: bool | None = None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of the ladder."""
        return self.ladder.parameters

    @property
    def levels(self) -> dict[str, list[float]]:
        """Axis to levels, for `meanfield.sweep`: all, or the quick ones."""
        return self.ladder.level_set(quick=self.quick)

    @property
    def rung(self) -> dict[str, float]:
        """One level an axis, for a single run: the last of all levels, or the first of the quick ones."""
        return {axis: values[0 if self.quick else -1] for axis, values in self.levels.items()}

    @property
    def attributes(self) -> dict[str, str]:
        """Attributes of the run's file: title, ladder and references."""
        return {"title": self.ladder.title, "ladder": self.ladder.to_toml(), "references": self.ladder.source}

    def finish(
        self,
        ds: xr.Dataset,
        measurements: Iterable[Measurement | Verdict] = (),
        *,
        figure: Callable[[], Figure] | None = None,
        animation: Callable[[], Animation] | None = None,
    ) -> xr.Dataset:
        """Print the verdict table, write what the command line asked for, say where it is.

        Parameters
        ----------
        ds : Dataset — a run, which `meanfield.solve` was told to write to ``out``, or a sweep, which is written here
        measurements : iterable of Measurement or Verdict — the rows of the table
        figure : callable() -> Figure — called if a figure was asked for; default `plot_run` of ``ds``
        animation : callable() -> Animation — called if an animation was asked for

        Returns
        -------
        Dataset — ``ds`` with the attribute ``verdict``, the worst outcome of the rows, where there are some
        """
        measurements = tuple(measurements)
        click.echo(self.ladder.title)
        if "status" in ds.attrs:
            click.echo(f"run {ds.attrs['status']}: {ds.attrs['status_message']}")
        if measurements:
            worst = max((one.outcome for one in measurements), key=_SEVERITY.index)
            click.echo(f"\n{render_text(_rows(measurements))}\n{worst}: {worst.sentence}\n")
            ds = ds.assign_attrs({VERDICT: str(worst)})
        if self.out is not None:
            if "schema_version" not in ds.attrs:
                output.write_sweep(ds.assign_attrs(self.attributes | {"transforms": transforms.description}), self.out)
            click.echo(f"file    {_shown(self.out)}")
        if self.figure is not None:
            from meanfield.report import plotting

            drawn = plotting.plot_run(ds) if figure is None else figure()
            click.echo(f"figure  {_shown(plotting.save_figure(drawn, self.figure, overwrite=self.overwrite))}")
        if self.animation is not None and animation is not None:
            from meanfield.report.animation import save_animation

            click.echo(f"animation {_shown(save_animation(animation(), self.animation, overwrite=self.overwrite))}")
        if self.out is self.figure is self.animation is None:
            click.echo("nothing was written: --out FILE keeps the numbers, --figure FILE the figure")
        return ds


def command(
    run: Callable[[Script], xr.Dataset],
    *,
    ladder: str,
    argv: Sequence[str] | None = None,
    about: Mapping[str, str] | None = None,
    animated: bool = False,
) -> xr.Dataset:
    """Read a script's command line and run the script.

    Parameters
    ----------
    run : callable(script) -> Dataset — the script's work; the docstring of its module is the text of ``--help``
    ladder : str — name of the ladder in ``grids/`` whose parameters and axes become flags
    argv : sequence of str — the arguments; None stands for the process's own in a script that was started by its
        path, and for no arguments elsewhere
    about : mapping — parameter or axis to a few words for ``--help``
    animated : bool — the script has an animation, and so the flag ``--animation``

    Returns
    -------
    Dataset — what ``run`` returned

    Raises
    ------
    ValueError, TypeError — a wrong flag or value, before any work, or what ``run`` raises. A script that was started
        by its path ends with one line and exit code 2 instead, and with 1 where a verdict is violated or the run ended
        early.
    click.exceptions.Exit — after ``--help``, which has nothing to return

    Notes
    -----
    ``--grid FILE`` reads another ladder, with the same parameters, axes and expected quantities. Tables among the
    parameters have no flag. Lists are written ``1,2,3``.
    """
    scope = getattr(run, "__globals__", {})
    help_text, name = scope.get("__doc__") or "", Path(scope.get("__file__", "script.py")).name
    as_script = argv is None and scope.get("__name__") == "__main__"
    if as_script:
        _as_script(lambda: run(_parse(sys.argv[1:], name, help_text, ladder, about or {}, animated)))
    return run(_parse(list(argv or ()), name, help_text, ladder, about or {}, animated))


def exit_code(ds: xr.Dataset) -> int:
    """Exit code of a process that made ``ds``: 1 where a verdict is violated or the run ended early, else 0."""
    ended_early = ds.attrs.get("status") in {status.value for status in Status if not status.good}
    return VIOLATED if ended_early or ds.attrs.get(VERDICT) == str(Outcome.VIOLATED) else 0


def one_line(error: BaseException) -> str:
    """An error's message on one line."""
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    return " ".join(text.split()) or type(error).__name__


def _as_script(work: Callable[[], xr.Dataset]) -> NoReturn:
    """Run as the whole process: end it with the exit code, errors on one line."""
    try:
        code = exit_code(work())
    except click.exceptions.Exit as end:
        code = end.exit_code
    except KeyboardInterrupt:
        click.echo("Aborted: interrupted from the keyboard; what was saved is in the file, if there is one", err=True)
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as with "| head": not our error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except EXPECTED_ERRORS as error:
        click.echo(f"Error: {one_line(error)}", err=True)
        code = FAILED
    sys.exit(code)


def _parse(
    argv: list[str], name: str, help_text: str, default: str, about: Mapping[str, str], animated: bool
) -> Script:
    """The `Script` a command line asks for; click's complaints become a ``ValueError``."""
    base = load_ladder(default)
    try:
        grid = _flags.grid_of(argv)
        ladder = base if grid is None else _flags.require_same_names(load_ladder(grid), base)
        context = _flags.make_command(ladder, help_text, about, animated=animated).make_context(name, argv)
    except click.UsageError as error:
        hint = "" if error.ctx is None else f"; see {name} --help"
        raise ValueError(one_line(error) + hint) from error
    given = context.params
    ladder = _flags.changed(ladder, given)
    return Script(
        ladder,
        quick=given["quick"],
        out=_destination(given["out"], given["overwrite"]),
        figure=_figure(given["figure"], given["overwrite"]),
        animation=_animation(given.get("animation"), given["overwrite"]),
        overwrite=given["overwrite"],
        progress=given["progress"],
    )


def _destination(path: str | None, overwrite: bool) -> Path | None:
    return None if path is None else output.check_destination(path, overwrite=overwrite)


def _figure(path: str | None, overwrite: bool) -> Path | None:
    if path is None:
        return None
    from meanfield.report.plotting import check_figure

    return check_figure(path, overwrite=overwrite)


def _animation(path: str | None, overwrite: bool) -> Path | None:
    if path is None:
        return None
    from meanfield.report.animation import check_animation

    return check_animation(path, overwrite=overwrite)


def _rows(measurements: Iterable[Measurement | Verdict]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for one in measurements:
        rows += verdict_rows([one]) if isinstance(one, Verdict) else [one.row()]
    return rows


def _shown(path: Path) -> str:
    """A path as a person would type it: relative where it lies below the working folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
