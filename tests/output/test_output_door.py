"""Refusals before a run starts."""

import os
from pathlib import Path

import pytest

from meanfield.output import FileRecorder, check_destination


def test_existing_files_need_a_word(run, record, message, tmp_path):
    path = tmp_path / "pme.h5"
    record(FileRecorder(run.layout(), path), 6).finish("finished", "all times reached")
    before = path.read_bytes()
    for attempt in (check_destination, lambda path: FileRecorder(run.layout(), path)):
        with pytest.raises(ValueError, match="output file exists") as info:
            attempt(path)
        text = message(info)
        assert text.startswith("output file exists (got pme.h5, written 2")
        assert text.endswith(", status finished); pass overwrite=True, resume=True or another path")
    assert path.read_bytes() == before
    assert check_destination(path, overwrite=True) == check_destination(path, resume=True) == path.resolve()
    FileRecorder(run.layout(), path, overwrite=True)
    assert path.read_bytes() != before


def test_other_peoples_files_are_named_as_such(message, tmp_path):
    path = tmp_path / "notes.h5"
    path.write_text("notes")
    with pytest.raises(ValueError, match="not a run's file") as info:
        check_destination(path)
    message(info)
    with pytest.raises(ValueError, match="must be HDF5") as info:
        check_destination(path, resume=True)
    message(info)


def test_free_paths_pass_and_stay_free(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check_destination("new.h5") == tmp_path.resolve() / "new.h5"
    assert check_destination("new.h5", resume=True) == tmp_path.resolve() / "new.h5"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        (".", {}, "must be a file"),
        ("missing/run.h5", {}, "folder must exist"),
        ("run.h5", {"overwrite": True, "resume": True}, "exclude each other"),
    ],
)
def test_impossible_paths(message, tmp_path, name, options, words):
    with pytest.raises(ValueError, match=words) as info:
        check_destination(tmp_path / name, **options)
    message(info)


def test_closed_folders(message, tmp_path, monkeypatch):
    def touch(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", touch)
    with pytest.raises(ValueError, match=r"must be writable .*Permission denied") as info:
        check_destination(tmp_path / "run.h5")
    message(info)


def test_symbolic_links_are_followed(run, tmp_path):
    (tmp_path / "disk").mkdir()
    os.symlink(tmp_path / "disk" / "run.h5", tmp_path / "link.h5")
    FileRecorder(run.layout(), tmp_path / "link.h5")
    assert (tmp_path / "link.h5").is_symlink()
    assert (tmp_path / "disk" / "run.h5").is_file()
