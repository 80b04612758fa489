"""The folders that travel with the package are found in a checkout and in a wheel, and never mistaken."""

import pytest

from meanfield import _share_paths


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.setattr(_share_paths, "_PACKAGE", tmp_path / "meanfield")
    (tmp_path / "grids").mkdir()
    return tmp_path / "meanfield"


def test_a_checkout_comes_first(package):
    (package / "_share" / "grids").mkdir(parents=True)
    (package.parent / "pyproject.toml").touch()
    assert _share_paths.shared_folder("grids") == package.parent / "grids"


def test_an_installed_package_does_not_take_its_neighbours_folder(package):
    with pytest.raises(FileNotFoundError, match=r"'grids' must be in the checkout or in the wheel"):
        _share_paths.shared_folder("grids")
    (package / "_share" / "grids").mkdir(parents=True)
    assert _share_paths.shared_folder("grids") == package / "_share" / "grids"


def test_other_names_are_refused():
    with pytest.raises(ValueError, match=r"must be one of grids, solvers, data \(got 'grid'\)"):
        _share_paths.shared_folder("grid")
