"""How a run or a step ended: an enumeration whose members carry a sentence."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """Outcome of a run; ``.value`` is what the output file records, ``.sentence`` what a person reads."""

    RUNNING = "running", "the run is under way, or was cut off without a word"
    FINISHED = "finished", "the final time was reached"
    STOPPED = "stopped", "the stopping rule asked to stop"
    INTERRUPTED = "interrupted", "the user interrupted the run; every completed save is kept"
    FAILED = "failed", "an error ended the run; the saves before it are kept"
    STEP_LIMIT = "step limit", "the largest number of steps was reached before the final time"
    NOT_FINITE = "not finite", "the state stopped being finite; the last good state is saved"
    NOT_POSITIVE = (
        "not positive",
        "the density touched zero, where this flow or stepper ends; the last good state is saved",
    )
    INACCURATE = "inaccurate", "the error estimate refused the step; the last good state is saved"
    NOT_CONVERGED = "not converged", "the implicit solve of a step failed; the last good state is saved"
    UNSTABLE = "unstable", "the step exceeded the stability bound; the last good state is saved"

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Status:
        member = object.__new__(cls)
        member._value_ = value
        member.sentence = sentence
        return member

    @property
    def good(self) -> bool:
        """Whether the state at the end is what was asked for (finished, or stopped by the user's own rule)."""
        return self in (Status.FINISHED, Status.STOPPED)


class Refusal(ValueError):
    """A state at which a model or energy is not defined, or not resolved: a ``ValueError`` where a user passes it,
    the end of a run with a status where a step has led to it.

    Parameters
    ----------
    status : Status
    message : str — one line: the rule, what was found, the remedy
    """

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
