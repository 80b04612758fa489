"""The README's code runs and prints what the README says."""

import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_every_block_of_code_prints_what_the_readme_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks, names = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL), {}
    assert len(blocks) == README.count("```python")
    for code, shown in blocks:
        exec(compile(code, "README.md", "exec"), names)
        assert capsys.readouterr().out == shown
    assert (tmp_path / "pme.h5").read_bytes()[:4] == b"\x89HDF"


def test_every_name_the_readme_quotes_exists():
    import meanfield as mf

    for name in re.findall(r"`(?:mf\.)?((?:steppers|parallel|claims)\.\w+)", README):
        module, member = name.split(".")
        assert hasattr(getattr(mf, module), member), name
    for path in re.findall(r"`((?:solvers|grids|benchmarks|docs|tests)/[\w./]*)`", README):
        assert (Path(__file__).parent.parent / path).exists(), path
