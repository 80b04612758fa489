"""Tables: aligned text and Markdown with the same cells."""

import pytest

from meanfield.claims import Measurement, Verdict
from meanfield.report import render_markdown, render_text, verdict_rows

MASS = Measurement.exactness("mass", 0.0, multiple=10)
ORDER = Measurement("order", 2.0123, 2.0, tolerance=0.1, interval=(1.99, 2.03))


def test_columns_are_aligned_and_lines_have_no_trailing_blanks():
    lines = render_text([("α", "1", "= 1", "confirmed"), ("a long name", "12345", "≤ 2", "violated")]).splitlines()
    assert [line.index(word) for line, word in zip(lines, ("theory", "= 1", "≤ 2"))] == [23, 23, 23]
    assert all(line == line.rstrip() for line in lines)


def test_markdown_has_a_rule_and_escapes_bars():
    lines = render_markdown([("|x|", "1", "= 1", "confirmed")], header=("a", "b", "c", "d")).splitlines()
    assert lines == ["| a | b | c | d |", "|---|---|---|---|", "| \\|x\\| | 1 | = 1 | confirmed |"]


def test_rows_of_several_verdicts_carry_the_claim():
    verdicts = [Verdict("PME-2", "s", "s", "l", False, (MASS,)), Verdict("PME-1", "s", "s", "l", False, (ORDER,))]
    assert verdict_rows(verdicts) == [
        ("PME-2: mass", "0", "≤ 2.22e-15 (10 eps × 1)", "confirmed"),
        ("PME-1: order", "2.012 [1.99, 2.03]", "= 2 ± 0.1", "confirmed"),
    ]
    unmet = Verdict("PME-1", "s", "s", "l", False, unmet=("m > 1",))
    assert verdict_rows([unmet]) == [("PME-1: m > 1", "does not hold", "hypothesis", "hypotheses not met")]


@pytest.mark.parametrize("render", [render_text, render_markdown])
def test_rows_that_are_no_rows_are_refused(render):
    with pytest.raises(ValueError, match=r"a row must have 4 cells \(got 3 in row 1\)"):
        render([("a", "b", "c", "d"), ("a", "b", "c")])
    with pytest.raises(ValueError, match=r"a cell must be one line \(got 'a\\nb' in row 0\)"):
        render([("a\nb", "b", "c", "d")])
