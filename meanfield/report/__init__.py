"""Results for readers: tables of verdicts as text and Markdown."""

from meanfield.report.table import HEADER, render_markdown, render_text, verdict_rows

__all__ = ["HEADER", "render_markdown", "render_text", "verdict_rows"]
