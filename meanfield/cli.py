"""The command ``meanfield``: list and run the solvers, look at a run's file, check the claims."""

from __future__ import annotations

import ast
import runpy
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

import meanfield
from meanfield._share_paths import shared_folder
from meanfield.report.script import EXPECTED_ERRORS, FAILED, VIOLATED, exit_code, one_line

RUN_NAME = "meanfield_solver"  # module name of a script run from here: not its own process


def main(argv: Sequence[str] | None = None) -> None:
    """The entry point; ends the process. ``argv``: the arguments, None stands for the process's own.

    Exit codes: 0, 1 where a claim is violated or a run ended early, 2 for an error, told on one line.
    """
    commands.main(args=None if argv is None else list(argv), prog_name="meanfield")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(meanfield.__version__, prog_name="meanfield")
def commands() -> None:
    """Measure-valued dynamics: gradient flows of probability measures, solved and compared with theory."""


@commands.command("list")
def list_command() -> None:
    """The solvers, ladders and claims there are."""
    from meanfield import claims

    with _errors_on_one_line():
        sections = {
            "Solvers (meanfield run NAME)": [(name, _summary(path)) for name, path in solver_scripts().items()],
            "Ladders (grids/NAME.toml)": [(name, claims.load_ladder(name).title) for name in claims.ladder_names()],
            "Claims (meanfield validate ID)": [(claim.id, claim.statement) for claim in claims.all()],
        }
    width = max((len(name) for rows in sections.values() for name, _ in rows), default=0) + 2
    for index, (heading, rows) in enumerate(sections.items()):
        click.echo(("\n" if index else "") + heading)
        for name, text in rows or [("none", "")]:
            click.echo(f"  {name:<{width}}{text}".rstrip())


@commands.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[SCRIPT OPTIONS]...")
def run_command(name: str, arguments: tuple[str, ...]) -> None:
    """Run a solver script.

    Its options: ``meanfield run NAME --help``.
    """
    from meanfield.claims._schema import nearest

    with _errors_on_one_line():
        scripts = solver_scripts()
        if name not in scripts:
            raise ValueError(f"a solver must be one of those listed (got {name!r}); {nearest(name, scripts)}")
        ds = runpy.run_path(str(scripts[name]), run_name=RUN_NAME)["main"](list(arguments))
    click.get_current_context().exit(exit_code(ds))


@commands.command("info")
@click.argument("file", type=click.Path())
def info_command(file: str) -> None:
    """What a run's file holds."""
    from meanfield import output

    with _errors_on_one_line():
        click.echo(output.describe(file))


@commands.command("plot")
@click.argument("file", type=click.Path())
@click.option("--out", type=click.Path(), metavar="FIGURE", help="Default: beside FILE, as PNG.")
@click.option("--overwrite", is_flag=True, help="Replace the figure.")
def plot_command(file: str, out: str | None, overwrite: bool) -> None:
    """The figure of a run's file (.png, .pdf or .svg)."""
    from meanfield import output
    from meanfield.report import plotting

    with _errors_on_one_line():
        path = plotting.check_figure(out or Path(file).with_suffix(".png"), overwrite=overwrite)
        plotting.save_figure(plotting.plot_run(output.read(file)), path, overwrite=overwrite)
    click.echo(f"figure  {path}")


@commands.command("validate")
@click.argument("claims", nargs=-1, metavar="[CLAIM]...")
@click.option("--quick", is_flag=True, help="Only the quick levels of each ladder.")
@click.option("--progress/--no-progress", default=None, help="Progress bars; default: on a terminal.")
def validate_command(claims: tuple[str, ...], quick: bool, progress: bool | None) -> None:
    """Measure claims and judge them.

    All claims, or those named. The exit code is 1 if one is violated.
    """
    from meanfield import claims as known

    outcomes: Counter[known.Outcome] = Counter()
    with _errors_on_one_line():
        chosen = [known.get(claim) for claim in claims] if claims else known.all()
        for claim in chosen:
            verdict = claim.check(quick=quick, progress=progress)
            outcomes[verdict.outcome] += 1
            click.echo(f"{verdict}\n")
    counts = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in known.Outcome if outcomes[outcome])
    click.echo(f"{outcomes.total()} claims: {counts}" if outcomes else "no claims")
    click.get_current_context().exit(VIOLATED if outcomes[known.Outcome.VIOLATED] else 0)


class _Told(click.ClickException):
    """An error told on one line."""

    exit_code = FAILED


def solver_scripts() -> dict[str, Path]:
    """Name to path of the scripts in ``solvers/``, sorted.

    Examples
    --------
    >>> all(path.suffix == ".py" for path in solver_scripts().values())
    True
    """
    return {path.stem: path for path in sorted(shared_folder("solvers").glob("[!_]*.py"))}


def _summary(path: Path) -> str:
    """First line of a script's docstring; the script is read, not run."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


@contextmanager
def _errors_on_one_line() -> Iterator[None]:
    """Expected errors as one line without traceback, exit code 2."""
    try:
        yield
    except (*EXPECTED_ERRORS, FileNotFoundError) as error:
        raise _Told(one_line(error)) from error
