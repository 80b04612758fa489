"""Versions and machine: plain text, nothing imported, nobody named."""

import getpass
import importlib.metadata
import os
import platform
import subprocess
import sys

from meanfield.output import collect


def test_versions_are_those_installed():
    versions = dict(entry.split(" ") for entry in collect()["versions"].split(", "))
    assert versions["python"] == platform.python_version()
    for package in ("meanfield", "numpy", "scipy", "numba", "h5py", "h5netcdf", "xarray", "finufft"):
        assert versions[package] == importlib.metadata.version(package)


def test_absent_packages_are_left_out(monkeypatch):
    monkeypatch.setattr("meanfield.output.provenance.PACKAGES", ("numpy", "no-such-package"))
    assert "no-such-package" not in collect()["versions"]
    assert "numpy" in collect()["versions"]


def test_machine_names_neither_host_nor_user():
    machine = collect()["machine"]
    assert f"{os.cpu_count()} logical cores" in machine
    assert platform.machine() in machine
    words = machine.replace(",", "").split()
    assert platform.node() not in words
    assert getpass.getuser() not in words


def test_importing_the_output_package_imports_no_file_library():
    heavy = "'xarray', 'h5py', 'h5netcdf', 'numba', 'scipy'"
    code = f"import sys, meanfield.output as o; o.collect(); print({{{heavy}}} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
