"""Command-line flags from the parameters and axes of a ladder."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from meanfield._check import fail
from meanfield.claims import Ladder
from meanfield.claims._schema import check_keys

COMMON = ("grid", "out", "figure", "animation", "overwrite", "quick", "progress", "help")


class Number(click.ParamType):
    """A finite number; what is written as an integer stays one."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:
        """``value`` as a number, refused by click otherwise."""
        try:
            number = int(value) if isinstance(value, int) or _is_integer(value) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"must be a finite number (got {value!r}); write it as 3, 0.25 or 1e-3", param, ctx)
        return number


class Numbers(click.ParamType):
    """Numbers with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int | float, ...]:
        """``value`` as a tuple of numbers."""
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(Number().convert(part, param, ctx) for part in parts)


class Texts(click.ParamType):
    """Texts with commas between them."""

    name = "texts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """``value`` as a tuple of texts."""
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else tuple(value)


def grid_of(argv: Sequence[str]) -> str | None:
    """The value of ``--grid`` on a command line whose other flags are not known yet."""
    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    options = [click.Option(["--grid"]), click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)]
    first = click.Command("grid", params=options, context_settings=settings, add_help_option=False)
    return first.make_context("grid", list(argv), resilient_parsing=True).params["grid"]


def require_same_names(ladder: Ladder, model: Ladder) -> Ladder:
    """``ladder``, refused unless its parameters, axes and expected quantities carry the names of ``model``'s."""
    for part in ("parameters", "levels", "expected"):
        names = getattr(model, part)
        check_keys(f"{ladder.name}.toml: {part}", getattr(ladder, part), required=names, optional=())
    return ladder


def make_command(ladder: Ladder, help_text: str, about: Mapping[str, str], *, animated: bool = False) -> click.Command:
    """The command whose flags are the ladder's axes and parameters, then those common to all (animated) scripts."""
    names = (*ladder.levels, *ladder.parameters)
    taken = sorted({flag_name(name) for name in names} & set(COMMON))
    if taken:
        raise fail(
            f"{ladder.name}.toml: axes and parameters must not be called {', '.join(COMMON)}", str(taken), "rename"
        )
    check_keys("about", about, required=(), optional=names)
    options = [_levels_option(axis, values, about.get(axis, "")) for axis, values in ladder.levels.items()]
    options += [
        _parameter_option(name, value, about.get(name, ""))
        for name, value in ladder.parameters.items()
        if not isinstance(value, Mapping)
    ]
    settings = {"max_content_width": 120, "show_default": True, "help_option_names": ["-h", "--help"]}
    return click.Command(
        "script", params=[*options, *_common(animated)], help=paragraphs(help_text), context_settings=settings
    )


def changed(ladder: Ladder, given: Mapping[str, Any]) -> Ladder:
    """The ladder with the parameters and levels of the command line."""
    by_name = {_key(name): name for name in (*ladder.levels, *ladder.parameters)}
    values = {by_name[key]: value for key, value in given.items() if key in by_name}
    parameters = {name: values[name] for name in ladder.parameters if name in values}
    levels = {axis: values[axis] for axis in ladder.levels if tuple(values[axis]) != tuple(ladder.levels[axis])}
    if levels:
        ladder = dataclasses.replace(ladder, levels={**ladder.levels, **levels}, quick={**ladder.quick, **levels})
    return ladder.with_parameters(**parameters)


def flag_name(name: str) -> str:
    """``t_end`` as it is written on a command line: ``t-end``."""
    return name.replace("_", "-").replace(" ", "-").lower()


def paragraphs(text: str) -> str:
    """A docstring for click, its line breaks kept."""
    blocks = [block for block in inspect.cleandoc(text).split("\n\n") if block.strip()]
    return "\n\n".join(f"\b\n{block}" for block in blocks)


def _key(name: str) -> str:
    """The name under which click hands over a flag's value; nothing of ours can collide with it."""
    return "ladder_" + "".join(letter if letter.isalnum() else "_" for letter in name)


def _levels_option(axis: str, values: Iterable[float], words: str) -> click.Option:
    text = ",".join(_text(value) for value in values)
    words = (words or "levels") + "; one number, or several with commas"
    return click.Option([f"--{flag_name(axis)}", _key(axis)], type=Numbers(), default=text, help=words)


def _parameter_option(name: str, value: Any, words: str) -> click.Option:
    flag, key = f"--{flag_name(name)}", _key(name)
    if isinstance(value, bool):
        return click.Option([f"{flag}/--no-{flag_name(name)}", key], default=value, help=words)
    if isinstance(value, tuple):
        kind = Texts() if any(isinstance(part, str) for part in value) else Numbers()
        return click.Option([flag, key], type=kind, default=",".join(_text(part) for part in value), help=words)
    return click.Option(
        [flag, key], type=click.STRING if isinstance(value, str) else Number(), default=value, help=words
    )


def _common(animated: bool) -> list[click.Parameter]:
    path = click.Path()
    animation = click.Option(["--animation"], type=path, metavar="FILE", help="draw the animation (.gif)")
    return [
        click.Option(["--grid"], metavar="FILE", help="another ladder (TOML) with the same names"),
        click.Option(["--out"], type=path, metavar="FILE", help="keep the numbers in this HDF5 file"),
        click.Option(["--figure"], type=path, metavar="FILE", help="draw the figure (.png, .pdf or .svg)"),
        *([animation] if animated else []),
        click.Option(["--overwrite"], is_flag=True, show_default=False, help="replace these files"),
        click.Option(["--quick"], is_flag=True, show_default=False, help="the quick levels only, or the smallest grid"),
        click.Option(["--progress/--no-progress"], default=None, help="a progress bar  [default: on a terminal]"),
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _is_integer(text: Any) -> bool:
    return isinstance(text, str) and text.strip().lstrip("+-").isdigit()
