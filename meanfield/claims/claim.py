"""A statement of theory that the software must reproduce, with its hypotheses and its measurement."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meanfield._check import fail
from meanfield.claims._schema import Table
from meanfield.claims.ladder import CLAIM_ID, Ladder, load_ladder
from meanfield.claims.verdict import Measurement, Verdict


@dataclass(frozen=True)
class Hypothesis:
    """A condition of the theorem, checked on the numbers of the ladder before anything is measured.

    Parameters
    ----------
    name : str — in words, as ``support radius < 1/2 at the end``
    check : callable(table) -> bool — given the ladder's parameters and, under the axis names, the levels to be run
    """

    name: str
    check: Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, repr=False)
class Claim:
    """A statement of theory, measured on a ladder.

    Parameters
    ----------
    id : str — as ``PME-1``
    statement, source : str — what is claimed, and who proved it
    ladder : str — name of a file in ``grids/``
    measure : callable(ladder, levels) -> iterable of Measurement — ``levels`` maps an axis to the list of levels to
        run and fits `meanfield.sweep`'s ``over``; a third parameter called ``progress`` receives that of `check`
    hypotheses : tuple of Hypothesis

    Examples
    --------
    >>> from meanfield.claims import Ladder, fit_rate, sweep
    >>> ladder = Ladder.from_toml('''
    ... id = ["DEMO-1"]
    ... title = "Riemann sums of sin on [0, 1]"
    ... source = "any textbook"
    ... exact = true
    ... levels = {n = [8, 16, 32, 64], quick = [8, 16, 32]}
    ... parameters = {offset = 0.5}
    ... expected.order = {slope = -2, tolerance = 0.1, source = "midpoint rule"}
    ... ''', name="demo")
    >>> def measure(ladder, levels):
    ...     def run(n):
    ...         points = (np.arange(n) + ladder.parameters["offset"]) / n
    ...         return abs(np.sin(points).mean() - (1 - np.cos(1)))
    ...     errors = sweep(run, over=levels, seeds=None)["value"]
    ...     yield ladder.expected["order"].measured(fit_rate(errors, along="n"))
    >>> import numpy as np
    >>> centred = Hypothesis("the points are cell centres", lambda p: p["offset"] == 0.5)
    >>> claim = Claim("DEMO-1", "the midpoint rule has order 2", "any textbook", "demo", measure, (centred,))
    >>> print(claim.check(ladder=ladder).outcome)
    confirmed
    >>> print(claim.check(ladder=ladder.with_parameters(offset=0.25)))
    DEMO-1: the midpoint rule has order 2
    quantity                     measured       theory      verdict
    the points are cell centres  does not hold  hypothesis  hypotheses not met
    hypotheses not met: the statement says nothing about these parameters (ladder demo)
    """

    id: str
    statement: str
    source: str
    ladder: str
    measure: Callable[..., Iterable[Measurement]]
    hypotheses: tuple[Hypothesis, ...] = ()

    def __post_init__(self) -> None:
        if not CLAIM_ID.fullmatch(self.id):
            raise fail("a claim's id must look like PME-1", repr(self.id), "use capitals, a dash and a number")

    def check(
        self, *, quick: bool = False, ladder: Ladder | str | Path | None = None, progress: bool | None = None
    ) -> Verdict:
        """Check the hypotheses, measure, and judge.

        Parameters
        ----------
        quick : bool — only the quick levels of the ladder
        ladder : Ladder, name or path — in place of the claim's own
        progress : bool or None — handed on to the measure; None shows progress on a terminal only

        Returns
        -------
        Verdict — prints as a table

        Raises
        ------
        ValueError — a ladder of other claims, or a measure that leaves out what the ladder expects
        """
        if not isinstance(ladder, Ladder):
            ladder = load_ladder(self.ladder if ladder is None else ladder)
        if self.id not in ladder.id:
            raise fail(
                f"a ladder for {self.id} must name it in id", f"{ladder.name}.toml with {list(ladder.id)}", "add it"
            )
        levels = ladder.level_set(quick=quick)
        facts = Table(f"{ladder.name}.toml: parameters and levels", {**ladder.parameters, **levels})
        unmet = tuple(hypothesis.name for hypothesis in self.hypotheses if not hypothesis.check(facts))
        measurements = () if unmet else self._measurements(ladder, levels, progress)
        return Verdict(self.id, self.statement, self.source, ladder.name, quick, measurements, unmet)

    def _measurements(
        self, ladder: Ladder, levels: dict[str, list[float]], progress: bool | None
    ) -> tuple[Measurement, ...]:
        wanted = "progress" in inspect.signature(self.measure).parameters
        made = self.measure(ladder, levels, progress=progress) if wanted else self.measure(ladder, levels)
        measurements = tuple(made)
        strangers = [type(made).__name__ for made in measurements if not isinstance(made, Measurement)]
        if strangers or not measurements:
            got = strangers[0] if strangers else "nothing"
            raise fail(f"the measure of {self.id} must give Measurements", got, "use ladder.expected[…].measured(…)")
        if len(ladder.id) == 1:
            _refuse_unmeasured(ladder, [measurement.quantity for measurement in measurements])
        return measurements

    def __repr__(self) -> str:
        return f"Claim({self.id}: {self.statement})"


def _refuse_unmeasured(ladder: Ladder, quantities: Sequence[str]) -> None:
    """A ladder of one claim expects only what that claim measures; a quantity may stand with its case behind it."""
    for name in ladder.expected:
        if not any(quantity == name or quantity.startswith(f"{name}, ") for quantity in quantities):
            rule = f"every quantity expected in {ladder.name}.toml must be measured"
            raise fail(rule, f"no {name!r} among {list(quantities)}", "measure it, or take it out of the ladder")
