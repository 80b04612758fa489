"""The table "quantity · measured · theory · verdict", as text and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meanfield._check import fail
from meanfield.claims import Verdict
from meanfield.claims._columns import aligned

HEADER = ("quantity", "measured", "theory", "verdict")


def verdict_rows(verdicts: Iterable[Verdict]) -> list[tuple[str, ...]]:
    """Rows of several verdicts, each quantity with the id of its claim in front."""
    return [(f"{verdict.claim}: {row[0]}", *row[1:]) for verdict in verdicts for row in verdict.rows()]


def render_text(rows: Iterable[Sequence[str]], *, header: Sequence[str] = HEADER) -> str:
    """The rows under their header, in aligned columns.

    Parameters
    ----------
    rows : iterable of as many str as the header has, as given by `verdict_rows` or ``Verdict.rows``
    header : sequence of str

    Returns
    -------
    str — without a final line break

    Raises
    ------
    ValueError — a row of another length, or a line break in a cell

    Examples
    --------
    >>> print(render_text([("mass", "1.1e-16", "≤ 1e-12", "confirmed"), ("order", "2.01", "= 2 ± 0.1", "confirmed")]))
    quantity  measured  theory     verdict
    mass      1.1e-16   ≤ 1e-12    confirmed
    order     2.01      = 2 ± 0.1  confirmed
    """
    return aligned(_checked(rows, header))


def render_markdown(rows: Iterable[Sequence[str]], *, header: Sequence[str] = HEADER) -> str:
    """The rows as a Markdown table; parameters and errors as in `render_text`.

    Examples
    --------
    >>> print(render_markdown([("sup |ρ|", "1.1", "≤ 2", "confirmed")]))
    | quantity | measured | theory | verdict |
    |---|---|---|---|
    | sup \\|ρ\\| | 1.1 | ≤ 2 | confirmed |
    """
    first, *rest = _checked(rows, header)
    lines = [[cell.replace("|", "\\|") for cell in row] for row in (first, *rest)]
    return "\n".join(
        ["| " + " | ".join(lines[0]) + " |", "|" + "---|" * len(first)]
        + ["| " + " | ".join(line) + " |" for line in lines[1:]]
    )


def _checked(rows: Iterable[Sequence[str]], header: Sequence[str]) -> list[tuple[str, ...]]:
    table = [tuple(header), *(tuple(row) for row in rows)]
    for index, row in enumerate(table[1:]):
        if len(row) != len(header):
            raise fail(f"a row must have {len(header)} cells", f"{len(row)} in row {index}", f"give {list(header)}")
        broken = [cell for cell in row if "\n" in cell]
        if broken:
            raise fail("a cell must be one line", f"{broken[0]!r} in row {index}", "shorten it")
    return table
