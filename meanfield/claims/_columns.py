"""Text in aligned columns, and the one way numbers are written in tables."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lines of ``rows`` with every column padded to its widest cell, two blanks apart, no trailing blanks."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def number(value: float) -> str:
    """``value`` with four significant digits."""
    return f"{value:.4g}"


def interval(pair: Sequence[float]) -> str:
    """``[low, high]`` with four significant digits."""
    return f"[{number(pair[0])}, {number(pair[1])}]"
