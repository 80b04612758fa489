"""solve: saved times, observers, stopping, status, files, resuming to the same bits, refusals before any work."""

import math
import re
import sys
import warnings

import numpy as np
import pytest
import xarray as xr

import meanfield as mf
from meanfield.run import saved_times
from meanfield.status import Status
from meanfield.steppers import ETDRK4, RK4, SSPRK3

FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")
FLOW = mf.GradientFlow(mf.InternalEnergy(3, 1 / 3), mf.Wasserstein())
QUIET = {"progress": False}


def bump(n=32):
    return mf.Torus(n).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))


def solve(flow=FLOW, state=None, **options):
    return mf.solve(flow, bump() if state is None else state, **{"t_end": 0.01, **QUIET, **options})


def ended_early(**options):
    """A run that is expected to end badly, and its warning."""
    with pytest.warns(RuntimeWarning, match="ended early") as caught:
        ds = solve(**options)
    assert len(caught) == 1
    assert ds.status in str(caught[0].message)
    return ds


def assert_same_run(a, b):
    assert set(a.variables) == set(b.variables)
    for name in a.variables:
        if name != "wall_time":
            np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)


# ---- saved times and what is saved -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("save_at", "times"),
    [
        (2, [0, 0.3]),
        (4, [0, 0.1, 0.2, 0.3]),
        (np.int64(3), [0, 0.15, 0.3]),
        ([0.0, 0.1, 0.3], [0, 0.1, 0.3]),
        ([0.1], [0, 0.1, 0.3]),
        ((0.05, 0.25), [0, 0.05, 0.25, 0.3]),
        (np.array([0.3]), [0, 0.3]),
        ([0], [0, 0.3]),
        (np.arange(4) * 0.1, [0, 0.1, 0.2, 0.3]),  # 3 * 0.1 exceeds 0.3 by rounding
        ([0.1, np.nextafter(0.3, 0)], [0, 0.1, 0.3]),
        ([1e-17, 0.1], [0, 0.1, 0.3]),
    ],
)
def test_saved_times(save_at, times):
    found = saved_times(0.3, save_at)
    np.testing.assert_allclose(found, times, rtol=0, atol=1e-16)
    assert found[0] == 0.0
    assert found[-1] == 0.3


def test_saves_are_at_the_times_exactly():
    ds = solve(save_at=[0.001, 0.0017, 0.005], stepper=ETDRK4(dt=4e-4))
    assert list(ds.time.values) == [0.0, 0.001, 0.0017, 0.005, 0.01]
    assert ds.status == "finished"
    assert list(ds.x.values) == list(np.arange(32) / 32)
    for t, density in zip(ds.time.values[1:], ds.density.values[1:], strict=True):
        last = list(mf.iterate(FLOW, bump(), RK4(tolerance=1e-9), until=t))[-1][1]
        assert np.abs(density - last.values).max() <= 1e-6  # the fixed step makes 3e-7


def test_saves_are_the_states_of_the_loop():
    stepper = ETDRK4(dt=5e-4)
    ds = solve(save_at=3, stepper=stepper)
    memory, state, t = stepper.init(FLOW, bump()), bump(), 0.0
    assert np.array_equal(ds.density[0], state.values)
    for row, until in enumerate((0.005, 0.01), start=1):
        while t < until:
            state, memory, info = stepper.step(FLOW, t, state, memory, until)
            t = info.time
        assert np.abs(ds.density.values[row] - state.values).max() <= 1e-14
        assert ds.energy.values[row] == pytest.approx(FLOW.energy.value(state), rel=1e-14)
        assert ds.dissipation.values[row] == pytest.approx(FLOW.dissipation(state), rel=1e-12)
        assert ds.step_size.values[row] == pytest.approx(5e-4, rel=1e-12)
        assert ds.mass.values[row] == pytest.approx(1, abs=1e-14)
    assert np.array_equal(ds.squared_speed, ds.dissipation)
    assert np.all(np.diff(ds.wall_time) >= 0)


def test_dimensions_two_and_three_have_their_axes():
    for dim, axes in ((2, ("x", "y")), (3, ("x", "y", "z"))):
        rho = mf.Torus(8, dim).density(lambda *x: 1 + 0.1 * np.cos(2 * np.pi * x[-1]))
        ds = solve(state=rho, stepper=ETDRK4(dt=5e-3))
        assert ds.density.dims == ("time", *axes)
        assert np.isnan(ds.balance_defect[-1])  # no independent distance there
        assert abs(ds.balance_defect_velocity[-1]) < 1e-5


def test_observers_of_state_and_of_time_and_state():
    seen = []
    ds = solve(
        save_at=5,
        observe={
            "height": lambda rho: rho.values.max(),
            "clock": lambda t, rho: t * rho.mass,
            "pair": lambda rho: [rho.values.min(), rho.values.max()],
            "mode": lambda rho: np.fft.fft(rho.values)[1],
            "count": lambda rho: 3,
            "optional": lambda rho, scale=2.0: scale,
            "listed": lambda t, rho: seen.append(t) or 0.0,
        },
    )
    assert np.array_equal(ds.height, ds.density.max("x"))
    np.testing.assert_allclose(ds.clock, ds.time, rtol=1e-13)
    assert ds.pair.shape == (5, 2)
    assert np.array_equal(ds.pair[:, 1], ds.height)
    assert ds.mode.dtype == complex
    assert np.array_equal(ds["mode"], np.fft.fft(ds.density, axis=1)[:, 1])
    assert list(ds["count"]) == [3] * 5
    assert list(ds.optional) == [2.0] * 5
    assert seen == list(ds.time.values)


def test_attributes_describe_the_run():
    generator = np.random.default_rng(77)
    ds = solve(rng=generator, attributes={"title": "mine", "references": "Otto 2001"})
    assert ds.attrs["seed"] == "77"
    assert ds.attrs["title"] == "mine"
    assert ds.attrs["references"] == "Otto 2001"
    assert ds.attrs["equation"] == FLOW.equation
    assert "InternalEnergy(exponent=3" in ds.attrs["parameters"]
    assert ds.attrs["transforms"]


# ---- how a run ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [lambda rho: rho.values.max() < 1.4, lambda t, rho: t > 1.3e-3])
def test_stop_ends_the_run_and_its_state_is_saved(rule):
    ds = solve(stop=rule, stepper=ETDRK4(dt=2e-4), save_at=[1e-3])
    assert ds.status == "stopped"
    assert ds.time.size == 3
    assert 1e-3 < ds.time[-1] < 0.01
    assert ds.density[-1].max() < 1.5
    last = mf.TorusDensity(ds.density.values[-1], mf.Torus(32))
    takes_time = rule.__code__.co_argcount == 2
    assert rule(float(ds.time[-1]), last) if takes_time else rule(last)


def test_stop_at_a_save_does_not_save_twice():
    ds = solve(stop=lambda t, rho: t >= 0.005, stepper=ETDRK4(dt=1e-3), save_at=3)
    assert ds.status == "stopped"
    assert list(ds.time.values) == [0.0, 0.005]


def test_step_limit():
    ds = ended_early(max_steps=7, stepper=ETDRK4(dt=1e-3), save_at=3)
    assert ds.status == "step limit"
    assert "7 steps" in ds.status_message
    np.testing.assert_allclose(ds.time, [0, 0.005, 0.007], rtol=1e-12)
    assert solve(max_steps=10, stepper=ETDRK4(dt=1e-3)).status == "finished"


def contrast_40():
    return mf.Torus(64).density(lambda x: np.exp(math.log(40) / 2 * np.cos(2 * np.pi * x)))


WELL = mf.Potential(lambda x: 3 * np.cos(2 * np.pi * x))
BAD_ENDS = {
    "not finite": (mf.InternalEnergy(2.5, 1 / 3) + WELL, contrast_40, ETDRK4(dt=2.1e-3, error_limit=1e9), 1.0),
    "not positive": (mf.InternalEnergy(3, 1 / 3), contrast_40, ETDRK4(dt=1e-3, error_limit=1e9), 0.05),
    "inaccurate": (mf.InternalEnergy(3, 1 / 3), contrast_40, ETDRK4(dt=5e-5), 0.01),
    "unstable": (
        mf.InternalEnergy(3, 1 / 3) + mf.Potential(lambda x: 2 * np.cos(2 * np.pi * x)),
        lambda: mf.Torus(32).density(lambda x: 1.0),
        RK4(dt=1.06e-3),
        1.0,
    ),
}


@pytest.mark.parametrize("status", BAD_ENDS)
@pytest.mark.parametrize("to_file", [False, True])
def test_bad_ends_keep_the_last_good_state_and_warn(status, to_file, tmp_path):
    energy, state, stepper, t_end = BAD_ENDS[status]
    flow = mf.GradientFlow(energy, mf.Wasserstein())
    out = tmp_path / "run.h5" if to_file else None
    ds = ended_early(flow=flow, state=state(), stepper=stepper, t_end=t_end, out=out)
    assert ds.status == status
    assert Status(status).sentence in ds.status_message
    assert not Status(status).good
    assert 0 < ds.time[-1] < t_end
    assert ds.time.size == 2
    assert np.isfinite(ds.density).all()
    assert ds.density.min() > 0
    if to_file:
        with xr.open_dataset(out, engine="h5netcdf") as again:
            assert again.status == status
            assert np.array_equal(again.density, ds.density)


@pytest.mark.parametrize("save_at", [2, [1e-4, 2e-4]])
def test_a_run_refused_at_a_save_saves_nothing_twice(save_at):
    ds = ended_early(state=contrast_40(), stepper=ETDRK4(dt=1e-3, error_limit=1e-3), save_at=save_at)
    assert ds.status == "inaccurate"
    assert ds.time.size == len(set(ds.time.values))
    assert list(ds.time.values) == ([0.0] if save_at == 2 else [0.0, 1e-4])


def test_statuses_have_words():
    assert {status.value for status in Status if status.good} == {"finished", "stopped"}
    assert Status("step limit") is Status.STEP_LIMIT
    assert all(status.sentence and "\n" not in status.sentence for status in Status)


# ---- files, interruption, resuming -------------------------------------------------------------------------------


class Fails:
    """An observer (or a stopping rule) that raises at its n-th call."""

    def __init__(self, at, error=RuntimeError, *, stops=False):
        self.calls, self.at, self.error, self.stops = 0, at, error, stops

    def __call__(self, state):
        self.calls += 1
        if self.calls == self.at:
            raise self.error("pulled the plug")
        return False if self.stops else state.values.max()


RESUMED = {
    "etd fixed": (FLOW, ETDRK4(dt=1e-3)),
    "etd adaptive": (FLOW, ETDRK4(tolerance=1e-7)),
    "rk4": (FLOW, RK4()),
    "rk4 adaptive": (FLOW, RK4(tolerance=1e-7)),
    "ssprk3 fixed": (mf.GradientFlow(mf.InternalEnergy(2.3) + WELL, mf.Wasserstein()), SSPRK3(dt=1e-4)),
    "etd in a well": (mf.GradientFlow(mf.InternalEnergy(1) + WELL, mf.Wasserstein()), ETDRK4(dt=1e-4)),
}


@pytest.mark.parametrize("at", [2, 4, 6])
@pytest.mark.parametrize("name", RESUMED)
def test_an_interrupted_run_resumes_to_the_same_bits(name, at, tmp_path):
    flow, stepper = RESUMED[name]
    options = {"flow": flow, "stepper": stepper, "save_at": 7, "t_end": 0.0137}
    whole = solve(**options, observe={"height": lambda rho: rho.values.max()})
    out = tmp_path / "run.h5"
    with pytest.raises(RuntimeError, match="pulled the plug"):
        solve(**options, observe={"height": Fails(at)}, out=out)
    with xr.open_dataset(out, engine="h5netcdf") as cut:
        assert cut.status == "failed"
        assert np.isfinite(cut.density[: at - 1]).all()
    resumed = solve(**options, observe={"height": lambda rho: rho.values.max()}, out=out, resume=True)
    assert resumed.status == "finished"
    assert_same_run(whole, resumed)
    again = solve(**options, observe={"height": lambda rho: rho.values.max()}, out=out, resume=True)
    assert_same_run(whole, again)


def test_a_keyboard_interrupt_keeps_the_saves_and_the_run_resumes(tmp_path):
    out, options = tmp_path / "run.h5", {"stepper": ETDRK4(dt=1e-3), "save_at": 3}
    with pytest.raises(KeyboardInterrupt):
        solve(**options, stop=Fails(8, KeyboardInterrupt, stops=True), out=out)
    with xr.open_dataset(out, engine="h5netcdf") as cut:
        assert cut.status == "interrupted"
        assert list(cut.time.values) == [0.0, 0.005]
    assert_same_run(solve(**options), solve(**options, out=out, resume=True))


@pytest.mark.parametrize(("steps", "save_at"), [(3, 4), (7, 3), (10, 6), (9, 6)])
def test_a_run_that_ended_early_goes_on_where_it_was(steps, save_at, tmp_path):
    out, options = tmp_path / "run.h5", {"stepper": ETDRK4(dt=5e-4), "save_at": save_at}
    early = ended_early(**options, max_steps=steps, out=out)
    early.close()
    resumed, whole = solve(**options, out=out, resume=True), solve(**options)
    assert resumed.status == "finished"
    assert set(whole.time.values) <= set(resumed.time.values)
    planned = resumed.sel(time=whole.time)
    assert np.array_equal(planned.density, whole.density)
    assert np.array_equal(planned.energy, whole.energy)
    assert np.isfinite(resumed.density).all()
    between = np.abs(whole.time.values - steps * 5e-4).min() > 1e-12
    assert resumed.time.size == save_at + between


def test_resume_without_a_file_starts_anew(tmp_path):
    assert_same_run(solve(), solve(out=tmp_path / "run.h5", resume=True))


def test_memory_and_file_hold_the_same(tmp_path):
    memory, file = solve(save_at=4), solve(save_at=4, out=tmp_path / "run.h5")
    assert_same_run(memory, file)
    assert memory.attrs == file.attrs
    with xr.open_dataset(tmp_path / "run.h5", engine="h5netcdf") as opened:
        assert_same_run(opened, memory)


@pytest.mark.parametrize(
    "change",
    [
        {"stepper": ETDRK4(dt=2e-4)},
        {"t_end": 0.02},
        {"save_at": 4},
        {"state": mf.Torus(32).density(lambda x: 1 + 0.5 * np.sin(2 * np.pi * x))},
        {"state": mf.Torus(64).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))},
        {"flow": mf.GradientFlow(mf.InternalEnergy(2), mf.Wasserstein())},
        {"observe": {"height": lambda rho: rho.values.max()}},
    ],
)
def test_another_run_is_not_resumed(change, tmp_path):
    out, options = tmp_path / "run.h5", {"stepper": ETDRK4(dt=1e-3), "save_at": 3}
    with pytest.raises(KeyboardInterrupt):
        solve(**options, stop=Fails(7, KeyboardInterrupt, stops=True), out=out)
    with pytest.raises(ValueError, match=r"run\.h5") as info:
        solve(**{**options, **change}, out=out, resume=True)
    assert FORM.fullmatch(str(info.value))


@pytest.mark.parametrize("kind", [mf.L2Distance, mf.KullbackLeibler])
def test_a_run_to_another_target_is_not_resumed(kind, tmp_path):
    """Targets of one mass, minimum and maximum: only their values differ."""
    out = tmp_path / "run.h5"
    flows = [
        mf.GradientFlow(kind(mf.TorusDensity(np.roll(bump().values, shift), mf.Torus(32))), mf.Wasserstein())
        for shift in (0, 5)
    ]
    with pytest.raises(KeyboardInterrupt):
        solve(flow=flows[0], stepper=ETDRK4(dt=1e-3), stop=Fails(3, KeyboardInterrupt, stops=True), out=out)
    with pytest.raises(ValueError, match="data_sha256"):
        solve(flow=flows[1], stepper=ETDRK4(dt=1e-3), out=out, resume=True)


def test_a_run_in_a_well_given_as_a_function_resumes_in_another_process(tmp_path):
    """Nothing recorded depends on where the function lies in memory."""
    out = tmp_path / "run.h5"
    options = {"out": out, "stepper": ETDRK4(dt=1e-3), "save_at": 3}

    def flow():
        return mf.GradientFlow(mf.InternalEnergy(1) + mf.Potential(lambda x: np.cos(2 * np.pi * x)), mf.Wasserstein())

    with pytest.raises(KeyboardInterrupt):
        solve(flow=flow(), stop=Fails(7, KeyboardInterrupt, stops=True), **options)
    assert solve(flow=flow(), resume=True, **options).status == "finished"


# ---- progress ----------------------------------------------------------------------------------------------------


def test_progress_is_off_away_from_a_terminal_and_on_when_asked(capsys):
    mf.solve(FLOW, bump(), t_end=0.01)
    assert capsys.readouterr() == ("", "")
    mf.solve(FLOW, bump(), t_end=0.01, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "t = 0.01/0.01" in shown.err


# ---- refusals before any work ------------------------------------------------------------------------------------

TOUCHING = mf.Torus(8).density([0.0] + [1.0] * 7)
REFUSED = {
    "t_end zero": ({"t_end": 0}, ValueError, "t_end must be positive"),
    "t_end nan": ({"t_end": math.nan}, ValueError, "t_end must be finite"),
    "t_end text": ({"t_end": "1"}, TypeError, "t_end must be a real number"),
    "one save": ({"save_at": 1}, ValueError, "save_at must be at least 2"),
    "save_at true": ({"save_at": True}, TypeError, "save_at must be an integer"),
    "save_at float": ({"save_at": 2.5}, ValueError, "save_at must be increasing times"),
    "save_at empty": ({"save_at": []}, ValueError, "save_at must be increasing times"),
    "save_at falling": ({"save_at": np.linspace(0.01, 0, 40)}, ValueError, "save_at must be increasing times"),
    "save_at twice": ({"save_at": [0.005, 0.005]}, ValueError, "save_at must be increasing times"),
    "save_at twice up to rounding": ({"save_at": [0.005, np.nextafter(0.005, 1)]}, ValueError, "save_at must be"),
    "save_at late": ({"save_at": [0.02]}, ValueError, "save_at must be increasing times"),
    "save_at early": ({"save_at": [-0.1, 0.005]}, ValueError, "save_at must be increasing times"),
    "save_at nan": ({"save_at": [0.0, math.nan]}, ValueError, "save_at must be finite"),
    "flow": ({"flow": mf.InternalEnergy(2)}, TypeError, "flow must be a GradientFlow"),
    "state": ({"state": np.ones(8)}, TypeError, "must be one of ParticleMeasure, TorusDensity"),
    "state zero": ({"state": TOUCHING}, ValueError, "stays away from zero"),
    "stepper": ({"stepper": "rk4"}, TypeError, "stepper must be a Stepper"),
    "step": ({"stepper": RK4(dt=1.0)}, ValueError, "stability bound"),
    "rng": ({"rng": 3}, TypeError, "rng must be a numpy Generator"),
    "observer": ({"observe": {"f": 3}}, TypeError, "f must be callable"),
    "observer of three": ({"observe": {"f": lambda a, b, c: 0}}, ValueError, "f must take"),
    "observer of none": ({"observe": {"f": lambda: 0}}, ValueError, "f must take"),
    "observer of text": ({"observe": {"f": lambda rho: "high"}}, TypeError, "observer f must return numbers"),
    "observer named energy": ({"observe": {"energy": lambda rho: 0}}, ValueError, "distinct"),
    "observer named mass": ({"observe": {"mass": lambda rho: 0}}, ValueError, "distinct"),
    "observer named x": ({"observe": {"x": lambda rho: 0}}, ValueError, "distinct"),
    "observer named time": ({"observe": {"time": lambda rho: 0}}, ValueError, "time"),
    "observer named a/b": ({"observe": {"a/b": lambda rho: 0}}, ValueError, "identifier"),
    "stop": ({"stop": 1}, TypeError, "stop must be callable"),
    "stop of none": ({"stop": lambda: True}, ValueError, "stop must take"),
    "max_steps": ({"max_steps": 0}, ValueError, "max_steps must be at least 1"),
    "max_steps text": ({"max_steps": "9"}, TypeError, "max_steps must be an integer"),
    "attributes": ({"attributes": {"status": "fine"}}, ValueError, "attributes must leave"),
    "overwrite and resume": ({"overwrite": True, "resume": True}, ValueError, "exclude each other"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_and_no_file_is_left_behind(name, tmp_path):
    options, error, names = REFUSED[name]
    with pytest.raises(error, match=names) as info:
        solve(**options, out=tmp_path / "run.h5")
    assert FORM.fullmatch(str(info.value))
    assert not list(tmp_path.iterdir())


def test_an_observer_that_raises_at_the_start_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError, match="pulled the plug"):
        solve(observe={"f": Fails(1)}, out=tmp_path / "run.h5")
    assert not list(tmp_path.iterdir())


def test_destinations_are_checked_first(tmp_path):
    def never(state):
        raise AssertionError("work was done")

    solve(out=tmp_path / "run.h5")
    before = (tmp_path / "run.h5").read_bytes()
    with pytest.raises(ValueError, match="output file exists") as info:
        solve(out=tmp_path / "run.h5", observe={"f": never})
    assert FORM.fullmatch(str(info.value))
    assert (tmp_path / "run.h5").read_bytes() == before
    for out in (tmp_path / "missing" / "run.h5", tmp_path):
        with pytest.raises(ValueError, match="output") as info:
            solve(out=out, observe={"f": never})
        assert FORM.fullmatch(str(info.value))
    assert solve(out=tmp_path / "run.h5", overwrite=True, save_at=5).sizes["time"] == 5
    with pytest.raises(ValueError, match="resume needs the file") as info:
        solve(resume=True)
    assert FORM.fullmatch(str(info.value))


def test_no_warning_when_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert solve(stepper=ETDRK4(dt=5e-4)).status == "finished"


def test_the_top_level_solve_is_the_function():
    assert mf.solve is sys.modules["meanfield.run"].solve
