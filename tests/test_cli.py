"""The command ``meanfield``: every subcommand, its errors on one line, its exit codes."""

import re
import runpy
import sys

import numpy as np
import pytest

import meanfield as mf
from meanfield import claims, cli
from meanfield.claims import Claim


@pytest.fixture
def ended(capsys):
    """Run the command: exit code, output, errors."""

    def ended(*argv):
        with pytest.raises(SystemExit) as end:
            cli.main(argv)
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return ended


@pytest.fixture
def file(tmp_path):
    rho = mf.Torus(16).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))
    flow = mf.GradientFlow(mf.InternalEnergy(2), mf.Wasserstein())
    mf.solve(flow, rho, t_end=0.01, out=tmp_path / "run.h5")
    return tmp_path / "run.h5"


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """Two scripts in place of the package's: one that tells its arguments, one whose verdict is violated."""
    folder = tmp_path / "solvers"
    folder.mkdir()
    told = (
        '"""Tells its arguments.\n\nMore."""\nimport xarray as xr\n\n'
        "def main(argv=None):\n    print(argv)\n    return xr.Dataset()\n"
    )
    (folder / "tell.py").write_text(told, encoding="utf-8")
    (folder / "_private.py").write_text("", encoding="utf-8")
    violated = told.replace("Dataset()", "Dataset(attrs={'verdict': 'violated'})").replace("Tells", "Violates")
    (folder / "violate.py").write_text(violated, encoding="utf-8")
    failing = told.replace("print(argv)", "raise ValueError('dt must be\\n positive (got 0); raise it')")
    (folder / "fail.py").write_text(failing, encoding="utf-8")
    monkeypatch.setattr(cli, "shared_folder", lambda name: tmp_path / name)
    return folder


@pytest.fixture
def known(tmp_path, monkeypatch):
    """Two claims in place of the package's: DEMO-1 always holds, DEMO-2 on the quick levels only."""

    def make(number, measure):
        ladder = tmp_path / f"demo{number}.toml"
        ladder.write_text(
            f'id = ["DEMO-{number}"]\ntitle = "t"\nsource = "s"\nexact = true\n'
            "levels = {n = [1, 2], quick = [1]}\nparameters = {}\n"
            'expected.size = {value = 1, tolerance = 0.1, source = "s"}\n',
            encoding="utf-8",
        )
        return Claim(f"DEMO-{number}", f"statement {number}", "s", str(ladder), measure)

    found = {
        "DEMO-1": make(1, lambda ladder, levels: [ladder.expected["size"].measured(1.0)]),
        "DEMO-2": make(2, lambda ladder, levels: [ladder.expected["size"].measured(max(levels["n"]))]),
    }
    monkeypatch.setattr(claims, "all", lambda: tuple(found.values()))
    monkeypatch.setattr(claims, "get", found.__getitem__)


def test_python_m_is_the_command(capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "meanfield.__main__", raising=False)
    monkeypatch.setattr(sys, "argv", ["meanfield", "--version"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("meanfield", run_name="__main__")
    assert (end.value.code, capsys.readouterr().out) == (0, f"meanfield, version {mf.__version__}\n")


def test_list_names_solvers_ladders_and_claims(ended):
    code, out, _ = ended("list")
    assert code == 0
    solvers, ladders, stated = out.split("\n\n")
    assert re.search(r"^  porous_medium +The porous-medium equation", solvers, re.MULTILINE)
    assert [line.split()[0] for line in ladders.splitlines()[1:]] == list(claims.ladder_names())
    assert [line.split()[0] for line in stated.splitlines()[1:]] == [claim.id for claim in claims.all()]


def test_list_reads_scripts_without_running_them(ended, scripts, monkeypatch):
    monkeypatch.setattr(claims, "ladder_names", lambda: ())
    (scripts / "tell.py").write_text('"""Told.\n\nMore."""\nraise SystemExit(9)\n', encoding="utf-8")
    code, out, _ = ended("list")
    assert code == 0
    assert re.findall(r"^  (tell|violate|_private) +(.*)$", out, re.MULTILINE) == [
        ("tell", "Told."),
        ("violate", "Violates its arguments."),
    ]
    assert "_private" not in out
    assert "Ladders (grids/NAME.toml)\n  none\n" in out


def test_run_hands_all_arguments_to_the_script(ended, scripts):
    assert ended("run", "tell", "--help", "-x", "--flag=1", "file") == (0, "['--help', '-x', '--flag=1', 'file']\n", "")


def test_run_ends_with_the_exit_code_of_the_verdict(ended, scripts):
    assert ended("run", "violate")[0] == 1


def test_run_tells_errors_on_one_line(ended, scripts):
    assert ended("run", "fail") == (2, "", "Error: dt must be positive (got 0); raise it\n")
    code, out, err = ended("run", "tel")
    assert (code, out) == (2, "")
    assert err == "Error: a solver must be one of those listed (got 'tel'); did you mean 'tell'?\n"


def test_run_shows_the_help_of_a_real_script(ended):
    code, out, _ = ended("run", "porous_medium", "--help")
    assert code == 0
    assert "Usage: porous_medium.py" in out


def test_info_describes_a_file(ended, file):
    code, out, _ = ended("info", str(file))
    assert code == 0
    assert re.search(r"^status +finished: the final time was reached", out, re.MULTILINE)


def test_plot_draws_beside_the_file_or_elsewhere(ended, file):
    assert ended("plot", str(file))[0] == 0
    assert file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    code, _, err = ended("plot", str(file))
    assert (code, err) == (2, "Error: a figure must not exist yet (got run.png); pass overwrite or another name\n")
    assert ended("plot", str(file), "--overwrite")[0] == 0
    assert ended("plot", str(file), "--out", str(file.with_name("b.svg")))[0] == 0
    assert file.with_name("b.svg").is_file()


def test_trainings_are_described_and_drawn(ended, tmp_path):
    torus, kernel = mf.Torus(16), mf.SobolevKernel(order=3, length=0.1)
    node = mf.DensityNODE(torus, kernel, depth=4)
    rho0, target = (torus.density(lambda x, a=a: 1 + 0.2 * np.cos(2 * np.pi * (x - a))) for a in (0, 0.2))
    flow = mf.GradientFlow(mf.Risk(node, rho0, mf.L2Distance(target)), mf.Hilbert(kernel))
    mf.solve(flow, node.zero(), t_end=0.1, stepper=mf.steppers.Euler(), out=tmp_path / "run.h5", progress=False)
    code, out, _ = ended("info", str(tmp_path / "run.h5"))
    assert code == 0
    assert re.search(r"^title +gradient flow of Risk\(DensityNODE, L2Distance\)$", out, re.MULTILINE)
    assert re.search(r"^  control +\(time 2, layer 4, component 1, x 16\) control", out, re.MULTILINE)
    assert re.search(r"^  flow +GradientFlow\(energy=Risk\(DensityNODE", out, re.MULTILINE)
    assert ended("plot", str(tmp_path / "run.h5"))[0] == 0
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("command", ["info", "plot"])
def test_a_file_that_is_no_run_is_one_line(ended, command, tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("nothing", encoding="utf-8")
    for name in (path, tmp_path / "missing.h5"):
        code, out, err = ended(command, str(name))
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("Error: output file must ")


def test_validate_judges_all_claims_or_those_named(ended, known):
    code, out, _ = ended("validate")
    assert code == 1
    assert "DEMO-1: statement 1\n" in out
    assert out.endswith("\n2 claims: 1 confirmed, 1 violated\n")
    assert ended("validate", "DEMO-1")[0] == 0
    code, out, _ = ended("validate", "--quick", "DEMO-2")
    assert code == 0
    assert "quick levels" in out


def test_validate_refuses_an_unknown_claim_before_any_work(ended):
    code, out, err = ended("validate", "FLOW-1", "PME-99")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "a claim's id must be in section PME (got 'PME-99')" in err


def test_version(ended):
    assert ended("--version") == (0, f"meanfield, version {mf.__version__}\n", "")
