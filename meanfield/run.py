"""Run a gradient flow to a final time: steps, saves, observers, stopping rule, progress, restart."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check, output, parallel
from .flow import GradientFlow, begin, march, require_flow_and_stepper
from .measures import TorusDensity
from .recording import Record, layout_of, state_like
from .status import Status
from .steppers import ETDRK4, RK4

if TYPE_CHECKING:
    import xarray as xr

    from .steppers import Stepper


def solve(
    flow: GradientFlow,
    state: Any,
    *,
    t_end: float,
    stepper: Stepper | None = None,
    save_at: int | Sequence[float] | np.ndarray = 2,
    observe: Mapping[str, Callable] | None = None,
    stop: Callable | None = None,
    rng: np.random.Generator | None = None,
    out: str | os.PathLike | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool | None = None,
    max_steps: int | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Run a gradient flow from time 0 to ``t_end``.

    Parameters
    ----------
    flow : GradientFlow
    state : TorusDensity, ParticleMeasure, LayeredMeasure or Control — at time 0, of the kind the flow's pair moves
    t_end : float — final time, > 0
    stepper : Stepper — default ``ETDRK4()`` for densities, adaptive; else ``RK4(tolerance=1e-4)``
    save_at : int or increasing floats — number of equally spaced saved times, both ends included, or the times
        themselves in ``[0, t_end]`` (0 and ``t_end`` are added if missing)
    observe : dict of name -> callable ``f(state)`` or ``f(t, state)`` — recorded at every save; number or array
    stop : callable ``g(state)`` or ``g(t, state)`` — asked after every step; True ends the run, which is then saved
    rng : numpy.random.Generator — what stochastic descent draws from, which takes its state and leaves it as it is; the
        seed is recorded
    out : path — HDF5 file, appended at every save and readable meanwhile; None keeps the run in memory
    overwrite : bool — replace an existing file
    resume : bool — continue the run in the file ``out`` from its last save, to the same bits; without a file, start;
        a run that has ended by itself ends there again, unless ``stop`` or ``max_steps`` now let it go on. ``rng`` and
        ``attributes`` stay the file's
    progress : bool — a progress bar; None shows one on a terminal only
    max_steps : int — give up (status ``step limit``) after so many steps in all, those before a resume included
    attributes : dict — further attributes of the output: title, ladder, references, seed …

    Returns
    -------
    xarray.Dataset
        The output schema's variables along ``time``; the attribute ``status`` says how the run ended. A run that ends
        badly returns what was saved up to the last good state, and warns.

    Raises
    ------
    ValueError, TypeError
        For bad input, before any work: state, pair, step, times, destination.

    Notes
    -----
    Cost beside the steps: one evaluation of the slope per step (the energy balance, claim FLOW-1; stochastic descent:
    per save), and in d = 1 or for up to 2000 particles one distance per save. Memory: two states and the stepper's
    scratch when ``out`` is given, else all saves too.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> rho = mf.Torus(64).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))
    >>> flow = mf.GradientFlow(mf.InternalEnergy(exponent=3, coefficient=1 / 3), mf.Wasserstein())
    >>> ds = mf.solve(flow, rho, t_end=0.1, save_at=11, observe={"height": lambda rho: rho.values.max()})
    >>> print(ds.status, dict(ds.sizes), f"{float(ds.height[-1]):.4f}")
    finished {'time': 11, 'x': 64} 1.0099
    """
    if stepper is None:
        stepper = ETDRK4() if isinstance(state, TorusDensity) else RK4(tolerance=1e-4)
    require_flow_and_stepper(flow, stepper)
    if max_steps is not None:
        _check.integer("max_steps", max_steps, "pass 1 or more, or leave it out", at_least=1)
    if reserved := {"parameters", "schema_version", "status", "status_message"} & set(attributes or {}):
        raise _check.fail("attributes must leave the run's own alone", ", ".join(sorted(reserved)), "rename them")
    times = saved_times(t_end, save_at)
    if observe is not None and not (isinstance(observe, Mapping) and all(isinstance(name, str) for name in observe)):
        raise TypeError(f"observe must map names to callables (got {observe!r}); pass {{'height': f}}")
    if out is not None and not isinstance(out, str | os.PathLike):
        raise TypeError(f"out must be a path (got {type(out).__name__} {out!r}); pass 'run.h5'")
    observers = {name: _of_time_and_state(name, f) for name, f in (observe or {}).items()}
    stops = None if stop is None else _of_time_and_state("stop", stop)
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy Generator (got {type(rng).__name__}); pass np.random.default_rng(seed)")
    if resume and out is None:
        raise _check.fail("resume needs the file of the run", "out=None", "pass out=FILE")
    flow.check(state)
    if out is not None:
        out = output.check_destination(out, overwrite=overwrite, resume=resume)

    with parallel.one_thread_libraries():
        memory, t = begin(stepper, flow, state, rng), 0.0
        record = Record(flow, stepper, observers, state)
        first = record.values(0.0, state, 0.0)
        given = {"seed": _seed(rng), **(attributes or {})}
        layout = layout_of(flow, state, stepper, times, first, observers, given)
        layout = replace(layout, restart_capacity=output.restart_capacity(record.pack(memory)))
        recorder, resumed = _recorder(layout, times, out, overwrite, resume)
        if resumed is not None and resumed.finished:
            return recorder.dataset()
        if resumed is not None and resumed.saved:
            t, state = resumed.time, state_like(state, resumed.values)
            memory = record.unpack(t, state, resumed.restart or {})
        else:
            recorder.save(0, 0.0, first, record.pack(memory))
        try:
            status, message = _run(record, recorder, state, memory, t, times, stops, progress, max_steps)
        except BaseException as error:
            ended = Status.INTERRUPTED if isinstance(error, KeyboardInterrupt) else Status.FAILED
            with suppress(output.OutputError):  # which may be what is being raised
                recorder.finish(ended.value, ended.sentence)
            raise
        recorder.finish(status.value, message)
    if not status.good:
        warnings.warn(f"the run ended early, status {status.value}: {message}", RuntimeWarning, stacklevel=2)
    return recorder.dataset()


def saved_times(t_end: float, save_at: int | Sequence[float] | np.ndarray) -> np.ndarray:
    """The saved times, 0 and ``t_end`` included, from a number or a list; a ``ValueError`` if they are not times."""
    t_end = _check.positive("t_end", t_end, "pass a final time > 0")
    if isinstance(save_at, int | np.integer):
        number = _check.integer("save_at", save_at, "pass 2 or more saves", at_least=2)
        return np.linspace(0.0, t_end, number)
    times = _check.array("save_at", save_at, "pass a number of saves or increasing times")
    near = 1e-12 * t_end  # times this close are one time: no step fits between them
    if times.ndim != 1 or not times.size or np.any(np.diff(times) <= near) or times[0] < 0 or times[-1] > t_end + near:
        got = np.array2string(times, threshold=6).replace("\n", "")
        raise _check.fail(f"save_at must be increasing times in [0, {t_end:g}]", got, "sort them, cut them")
    return np.concatenate([[0.0], times[(times > near) & (times < t_end - near)], [t_end]])


def _recorder(layout, times, out, overwrite, resume) -> tuple[Any, output.Resumed | None]:
    """Where the saves go: to memory, to a new file, or on in the file of a run to resume (which is the second)."""
    if out is None:
        return output.MemoryRecorder(layout), None
    if not (resume and out.exists()):
        return output.FileRecorder(layout, out, overwrite=overwrite), None
    with output.read(out) as before:
        between = np.setdiff1d(before.time, times)  # where runs ended early, off the planned times
    resumed = output.FileRecorder.reopen(out, replace(layout, n_times=len(times) + len(between)))
    theirs, ours = resumed.recorder.layout.attributes, layout.attributes
    changed = [name for name in ("transforms", "versions") if theirs[name] != ours[name]]
    if changed and not resumed.finished:
        warnings.warn(
            f"a resumed run keeps its bits with the same {' and '.join(changed)} only "
            f"(got {theirs[changed[0]]!r} in the file); use those, or accept rounding differences",
            RuntimeWarning,
            stacklevel=3,
        )
    return resumed.recorder, resumed


def _run(record, recorder, state, memory, t, times, stops, progress, max_steps) -> tuple[Status, str]:
    """Advance from the last save to the end, saving on the way; how it ended and a sentence."""
    end, detail, dt = float(times[-1]), "", 0.0

    def asked_to_end() -> Status:
        if stops is not None and stops(t, state):
            return Status.STOPPED
        return Status.STEP_LIMIT if max_steps is not None and record.steps >= max_steps and t < end else Status.FINISHED

    status = asked_to_end() if record.steps else Status.FINISHED  # a run killed before its end was written, say
    with _progress_bar(end, t, progress) as show:
        for target in times[times > t] if status is Status.FINISHED else ():
            steps = march(record.flow, state, record.stepper, t=t, until=float(target), memory=memory)
            for t, state, memory, info in steps:
                if info.status is not Status.RUNNING:
                    status, detail = info.status, f" ({info.detail} at t = {t:.6g})"
                    break
                record.step(t, state)
                dt = info.dt
                show(t)
                status = asked_to_end()
                if status is not Status.FINISHED:
                    break
            if t > record.saved_at:
                values = record.values(t, state, dt)
                if record.balance.overflowed:
                    status, detail = Status.NOT_FINITE, f" (energy {values['energy']:.3g} at t = {t:.6g})"
                    break
                recorder.save(recorder.saved, t, values, record.pack(memory))
            if status is not Status.FINISHED:
                break
    return status, f"{status.sentence}{detail}; {record.steps} steps"


def _of_time_and_state(name: str, function: Callable) -> Callable[[float, Any], Any]:
    """``f(t, state)`` from a user's ``f(state)`` or ``f(t, state)``."""
    if not callable(function):
        raise TypeError(f"{name} must be callable (got {type(function).__name__}); pass f(state) or f(t, state)")
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-ins have no signature
        return lambda t, state: function(state)
    needed = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(needed) not in (1, 2):
        raise _check.fail(
            f"{name} must take (state) or (t, state)", f"{len(needed)} arguments", "bind the others first"
        )
    return function if len(needed) == 2 else lambda t, state: function(state)


def _seed(rng: np.random.Generator | None) -> str:
    """What identifies a generator's seed, for the output."""
    return "" if rng is None else repr(getattr(rng.bit_generator.seed_seq, "entropy", "unknown"))


@contextmanager
def _progress_bar(end: float, start: float, progress: bool | None) -> Iterator[Callable[[float], None]]:
    """A progress bar over [start, end] as a function of time; silent unless asked for or on a terminal."""
    from tqdm import tqdm

    shape = "{l_bar}{bar}| t = {n:.4g}/{total:.4g} [{elapsed}<{remaining}]"
    with tqdm(total=end, initial=start, disable=None if progress is None else not progress, bar_format=shape) as bar:
        yield lambda t: bar.update(t - bar.n) and None
