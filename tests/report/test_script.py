"""The shared helper of solver scripts: flags, ladder, verdict, files, exit codes."""

import runpy
import subprocess
import sys

import click
import numpy as np
import pytest
import xarray as xr

import meanfield as mf
from meanfield import claims, output
from meanfield.claims import Measurement, Verdict
from meanfield.report import script
from meanfield.report.script import exit_code

LADDER = """
id = ["DEMO-1"]
title = "heat on the circle"
source = "Fourier 1822"
exact = true

[levels]
n = [16, 32]
quick = [16]

[parameters]
exponent = 1
amplitude = 0.25
t_end = 0.01
implicit = false
name = "heat"
powers = [1, 2.5]
nested = {a = 1}

[expected.decay]
value = 0.6738254512
tolerance = 1e-6
source = "exp(-4π² t_end)"
"""

SCRIPT = '''
"""Heat equation on the circle.

    ∂_t ρ = Δρ   (a line that keeps its breaks,
                  and its blanks)
"""
import numpy as np
import meanfield as mf
from meanfield.report.script import command

def run(script):
    p, n = script.parameters, script.rung["n"]
    rho = mf.Torus(n).density(lambda x: 1 + p["amplitude"] * np.cos(2 * np.pi * x))
    flow = mf.GradientFlow(mf.InternalEnergy(p["exponent"]), mf.Wasserstein())
    ds = mf.solve(flow, rho, t_end=p["t_end"], out=script.out, overwrite=script.overwrite,
                  progress=script.progress, attributes=script.attributes)
    global seen
    seen = script
    decay = float((ds.density[-1].max() - 1) / p["amplitude"])
    return script.finish(ds, [script.ladder.expected["decay"].measured(decay)])

def main(argv=None):
    return command(run, ladder=LADDER, argv=argv, about={"t_end": "final time"})

if __name__ == "__main__":
    main()
'''


@pytest.fixture
def path(tmp_path):
    ladder, script = tmp_path / "heat.toml", tmp_path / "heat.py"
    ladder.write_text(LADDER, encoding="utf-8")
    script.write_text(SCRIPT.strip().replace("LADDER,", f"{str(ladder)!r},"), encoding="utf-8")
    return script


@pytest.fixture
def main(path):
    """The script's main, with the `Script` its last run was given as ``main.seen()``."""
    main = runpy.run_path(str(path), run_name="script")["main"]
    main.seen = lambda: main.__globals__["seen"]
    return main


@pytest.fixture
def ended(path, monkeypatch, capsys):
    """Run the script as a process of its own would, in this one: exit code, output, errors."""

    def ended(*argv):
        monkeypatch.setattr(sys, "argv", [str(path), *argv])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(path), run_name="__main__")
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return ended


def test_main_returns_the_dataset_and_prints_the_verdict(main, capsys):
    ds = main([])
    assert isinstance(ds, xr.Dataset)
    assert ds.sizes["x"] == 32
    assert (ds.verdict, exit_code(ds)) == ("confirmed", 0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "heat on the circle"
    assert lines[3].split() == ["quantity", "measured", "theory", "verdict"]
    assert lines[4].split() == ["decay", "0.6738", "=", "0.6738", "±", "1e-06", "confirmed"]
    assert lines[-1].startswith("nothing was written")


def test_main_without_arguments_is_not_reading_those_of_another_program(main, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytest", "--no-such-flag"])
    assert main().sizes["x"] == 32


def test_flags_change_parameters_and_levels_with_their_types(main):
    main(["--exponent", "2", "--t-end", "1e-3", "--implicit", "--name", "a", "--powers", "3,4", "--n", "8,24"])
    script = main.seen()
    assert dict(script.parameters) == {
        "exponent": 2, "amplitude": 0.25, "t_end": 1e-3, "implicit": True, "name": "a", "powers": (3, 4),
        "nested": script.parameters["nested"],
    }  # fmt: skip
    assert isinstance(script.parameters["exponent"], int)
    assert (script.levels, script.rung, script.progress) == ({"n": [8, 24]}, {"n": 24}, None)
    main(["--exponent", "1.5", "--no-progress"])
    assert (main.seen().parameters["exponent"], main.seen().progress) == (1.5, False)


def test_quick_is_the_smallest_rung(main):
    assert main(["--quick"]).sizes["x"] == 16
    assert main.seen().levels == {"n": [16]}
    assert main(["--quick", "--n", "8,12"]).sizes["x"] == 8


def test_grid_is_another_ladder_of_the_same_names(main, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(LADDER.replace("0.25", "0.125").replace("[16, 32]", "[16, 20]"), encoding="utf-8")
    assert main(["--grid", str(other), "--exponent", "2"]).sizes["x"] == 20
    assert (main.seen().parameters["amplitude"], main.seen().parameters["exponent"]) == (0.125, 2)
    changes = (("amplitude", "amplitud", "parameters"), ("decay", "rate", "expected"), ("n =", "m =", "levels"))
    for old, new, key in changes:
        other.write_text(LADDER.replace(old, new), encoding="utf-8")
        with pytest.raises(ValueError, match=rf"other.toml: {key} must have known keys only \(got unknown key"):
            main([f"--grid={other}"])


def test_files_are_written_and_the_run_can_be_repeated_from_its_own(main, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["--out", "run.h5", "--figure", "run.png", "--amplitude", "0.5"])
    assert capsys.readouterr().out.splitlines()[-2:] == ["file    run.h5", "figure  run.png"]
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    ds = mf.output.read("run.h5")
    assert (ds.title, ds.references) == ("heat on the circle", "Fourier 1822")
    (tmp_path / "own.toml").write_text(ds.ladder, encoding="utf-8")
    again = main(["--grid", "own.toml"])
    xr.testing.assert_equal(again.density, ds.density)


def test_files_are_refused_before_the_run(main, tmp_path):
    taken, missing = tmp_path / "run.png", tmp_path / "nowhere" / "run.h5"
    taken.touch()
    with pytest.raises(ValueError, match=r"a figure must not exist yet \(got run\.png\)"):
        main(["--figure", str(taken)])
    with pytest.raises(ValueError, match="output folder must exist"):
        main(["--out", str(missing)])
    with pytest.raises(KeyError):  # no run was started
        main.seen()
    main(["--figure", str(taken), "--overwrite"])


def test_a_sweep_is_written_by_finish(tmp_path):
    text = SCRIPT.partition("    p, n =")[0] + (
        "    ds = mf.sweep(lambda n: 1 / n, over=script.levels, seeds=None, progress=False)\n"
        "    return script.finish(ds)\n"
    )
    script, ladder, out = tmp_path / "sweep.py", tmp_path / "heat.toml", tmp_path / "sweep.h5"
    ladder.write_text(LADDER, encoding="utf-8")
    script.write_text(text.strip(), encoding="utf-8")
    run = runpy.run_path(str(script))["run"]
    mf.report.script.command(run, ladder=str(ladder), argv=["--out", str(out)])
    with xr.open_dataset(out, engine="h5netcdf") as ds:
        assert ds["value"].values.tolist() == [1 / 16, 1 / 32]
        assert ds.ladder == mf.claims.load_ladder(ladder).to_toml()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--exponnt", "2"], "No such option"),
        (["--exponent", "two"], "must be a finite number (got 'two')"),
        (["--exponent", "inf"], "must be a finite number (got 'inf')"),
        (["--n", "32,16"], "levels.n must increase strictly (got 32 before 16)"),
        (["--n", "8,"], "must be a finite number (got '')"),
        (["--exponent", "-1"], "exponent must be positive (got -1)"),
        (["--grid", "nowhere.toml"], "a ladder's path must exist (got 'nowhere.toml')"),
        (["--out"], "requires an argument"),
        (["stray"], "unexpected extra argument"),
    ],
)
def test_bad_input_is_an_error_of_one_line(main, ended, argv, message):
    with pytest.raises(ValueError) as info:
        main(argv)
    assert message in str(info.value)
    code, out, err = ended(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert message in err
    assert err.count("\n") == 1


def test_exit_code_tells_the_verdict(ended, main):
    assert ended()[0] == 0
    code, out, _ = ended("--t-end", "0.02")  # theory is stated for 0.01
    assert code == 1
    assert "violated: the measurement contradicts theory" in out
    ds = main(["--t-end", "0.02"])  # a function never ends the process
    assert (ds.verdict, exit_code(ds)) == ("violated", 1)
    assert exit_code(xr.Dataset(attrs={"status": "not finite"})) == 1


def test_help_is_the_docstring_with_its_breaks_and_the_defaults(ended, main):
    code, out, _ = ended("--help")
    assert code == 0
    assert "∂_t ρ = Δρ   (a line that keeps its breaks,\n" in out
    assert " ".join(out.split()).count("--t-end NUMBER final time [default: 0.01]") == 1
    assert "--nested" not in out
    with pytest.raises(click.exceptions.Exit):
        main(["--help"])


def test_a_bug_in_a_script_keeps_its_traceback(path, monkeypatch):
    path.write_text(path.read_text(encoding="utf-8").replace("ds = mf.solve", "ds = mf.slove"), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", [str(path)])
    with pytest.raises(AttributeError):
        runpy.run_path(str(path), run_name="__main__")


def test_parameters_must_not_be_called_like_the_common_flags(path):
    ladder = path.with_name("heat.toml")
    ladder.write_text(LADDER.replace("amplitude", "out"), encoding="utf-8")
    main = runpy.run_path(str(path))["main"]
    with pytest.raises(ValueError, match=r"must not be called grid, out, .* \(got \['out'\]\)"):
        main([])


def test_the_real_process_ends_in_the_same_way(path):
    done = subprocess.run([sys.executable, str(path), "--exponent", "x"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_violated_row_is_not_hidden_by_unmet_hypotheses(capsys):
    violated = Measurement("order", 1.0, 2.0, tolerance=0.1)
    unmet = Verdict("PME-4", "decay", "linearisation", "demo", False, unmet=("positive data",))
    ladder = claims.load_ladder("porous_medium")
    for rows in ([violated, unmet], [unmet, violated]):
        assert script.Script(ladder).finish(xr.Dataset(), rows).verdict == "violated"
    assert "violated: " in capsys.readouterr().out


def test_a_sweeps_file_carries_the_schema_and_describes_itself(tmp_path):
    ladder = claims.load_ladder("porous_medium")
    table = xr.Dataset({"error": ("n", [1.0, 0.25])}, {"n": [8, 16]})
    script.Script(ladder, out=tmp_path / "s.h5").finish(table)
    ds = output.read(tmp_path / "s.h5")
    assert ds.transforms
    assert ds.title == ladder.title
    assert np.array_equal(ds.error, table.error)
    text = output.describe(tmp_path / "s.h5")
    assert "error" in text
    assert "saved times" not in text
