"""The package as a whole: cheap import, public names, imports that point one way, files the configuration names."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import meanfield as mf
from meanfield._share_paths import SHARED_FOLDERS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "meanfield"
HEAVY = ("ot", "matplotlib", "xarray", "numba", "scipy", "h5py", "finufft", "pandas", "click")

# Modules of the top level, in the order in which they may import: each only those of earlier lines.
ORDER = (
    ("_check", "_kernels", "status"),
    ("_share_paths", "parallel", "tableaus", "transforms", "output"),
    ("torus",),
    ("measures",),
    ("particles", "distances", "data"),
    ("models",),
    ("initial", "theory"),
    ("energies",),
    ("geometries",),
    ("rates", "velocities"),
    ("kernelised",),
    ("steppers",),
    ("flow",),
    ("balance", "geodesics"),
    ("recording", "infinite_width"),
    ("run", "comparison"),
    ("claims",),
    ("report",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
# What a function may import against the order: Torus.density makes the TorusDensity that holds a Torus, and the method
# convolve_particles of a kernel is the door to the sums of particles, which need tori and kernels.
AGAINST_THE_ORDER = {("torus", "measures"), ("torus", "particles")}
OUTPUT_READERS = {"recording", "run", "report", "cli"}


def sources():
    return [path for path in PACKAGE.rglob("*.py") if "_share" not in path.parts and path != PACKAGE / "__init__.py"]


def top(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path):
    """(line, top-level module, at import time) of every import from this package; those for types only are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ("meanfield", *path.relative_to(PACKAGE).parent.parts)
    typing = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    skipped = {id(child) for node in typing for child in ast.walk(node)}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    late = {id(child) for node in functions for child in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names = [f"{module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            module = mf._NAMES.get(parts[1], parts[1]) if parts[0] == "meanfield" and len(parts) > 1 else ""
            if module in RANK:
                yield node.lineno, module, id(node) not in late


def test_importing_the_package_is_cheap():
    code = f"import sys, meanfield; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_documented():
    assert sorted(set(mf.__all__)) == dir(mf)
    for name in mf.__all__:
        assert getattr(mf, name).__doc__ or name == "__version__", name
    with pytest.raises(AttributeError, match="no attribute 'Tours'"):
        mf.Tours  # noqa: B018


def test_every_module_has_its_place_in_the_order():
    strangers = {top(path) for path in sources()} - set(RANK)
    assert not strangers, f"place {sorted(strangers)} in ORDER"


def test_imports_point_one_way():
    wrong = []
    for path in sources():
        for line, name, at_import in imported(path):
            here = top(path)
            allowed = not at_import and (here, name) in AGAINST_THE_ORDER
            if here != name and RANK[name] >= RANK[here] and not allowed:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
            if name == "output" and here not in OUTPUT_READERS | {"output"}:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports output")
    assert not wrong, "\n".join(wrong)


def test_the_reader_of_imports_sees_every_form(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "torus").mkdir()
    path = tmp_path / "torus" / "grid.py"
    path.write_text(
        "from __future__ import annotations\nimport meanfield.run\nfrom meanfield import flow\nfrom .. import cli\n"
        "from ..report.table import HEADER\nfrom .modes import Modes\nimport numpy\n"
        "from meanfield import Torus, sweep\n"
        "if TYPE_CHECKING:\n    from ..claims import Claim\ndef f():\n    from ..measures import TorusDensity\n",
        encoding="utf-8",
    )
    assert sorted(imported(path)) == [
        (2, "run", True), (3, "flow", True), (4, "cli", True), (5, "report", True), (6, "torus", True),
        (8, "claims", True), (8, "torus", True), (12, "measures", False),
    ]  # fmt: skip


def test_scripts_and_grids_are_no_packages_and_are_never_imported():
    assert not [folder for folder in SHARED_FOLDERS if (ROOT / folder / "__init__.py").exists()]
    pattern = re.compile(rf"^\s*(from|import) ({'|'.join(SHARED_FOLDERS)})\b", re.MULTILINE)
    assert not [path for path in sources() if pattern.search(path.read_text(encoding="utf-8"))]


def test_every_path_of_the_configuration_exists():
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, tools = entries["project"], entries["tool"]
    paths = [project["readme"], *project["license-files"]]
    paths += [*tools["pytest"]["ini_options"]["testpaths"], *tools["mypy"]["packages"]]
    paths += ["grids", "solvers", "setup.py", "constraints.txt", "CHANGELOG.md", "CITATION.cff", "Makefile", ".ci/run"]
    assert not [path for path in paths if not (ROOT / path).exists()]
    for target in project["scripts"].values():
        module, _, name = target.partition(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))


def test_the_makefile_names_files_that_exist():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    words = re.findall(r"\b(?:tests|solvers|benchmarks|docs)/[\w/]+\.\w+", text)
    assert words
    assert not [word for word in words if not (ROOT / word).exists()]


def test_one_version_everywhere():
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert entries["project"]["version"] == mf.__version__ == cited[1]
    assert f"## {mf.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_constraints_pin_every_dependency_within_its_bound():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if not line.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for text in (*project["dependencies"], *extras["fast"], *extras["test"], *extras["dev"]):
        requirement = Requirement(text)
        assert pins[requirement.name] in requirement.specifier, text
