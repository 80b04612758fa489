"""Packs ``solvers/``, ``grids/`` and ``data/`` into the wheel as data, under ``meanfield/_share/``.

They are no packages (see docs/design.md), so setuptools' own tables do not apply: files are copied when the package
is built, and named as sources so that an sdist holds them. An editable installation finds them in the checkout.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHARED_FOLDERS = ("grids", "solvers", "data")
HERE = Path(__file__).parent


def shared_files():
    """The files to pack, relative to this folder, sorted."""
    files = [path for folder in SHARED_FOLDERS for path in (HERE / folder).rglob("*") if path.is_file()]
    hidden = [
        path for path in files if any(part.startswith((".", "__pycache__")) for part in path.relative_to(HERE).parts)
    ]
    return sorted(str(path.relative_to(HERE)) for path in set(files) - set(hidden))


class BuildWithShared(build_py):
    """`build_py` that also copies the shared files."""

    def run(self):
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib, "meanfield"), ignore_errors=True)  # else a wheel keeps deleted modules
        super().run()
        if not self.editable_mode:
            for source, target in self._shared_outputs().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode=True):
        return super().get_outputs(include_bytecode) + (
            [] if self.editable_mode else list(self._shared_outputs().values())
        )

    def get_source_files(self):
        return super().get_source_files() + shared_files()

    def get_output_mapping(self):
        shared = {} if self.editable_mode else {target: source for source, target in self._shared_outputs().items()}
        return super().get_output_mapping() | shared

    def _shared_outputs(self):
        """Source to target in the build folder."""
        return {file: str(Path(self.build_lib, "meanfield", "_share", file)) for file in shared_files()}


setup(cmdclass={"build_py": BuildWithShared})
