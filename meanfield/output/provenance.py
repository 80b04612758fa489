"""Where a run comes from: versions of the packages and kind of machine, as attributes of its file."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform

PACKAGES = (
    "meanfield", "numpy", "scipy", "numba", "llvmlite", "pot", "finufft", "ducc0", "threadpoolctl", "h5py", "h5netcdf",
    "xarray",
)  # fmt: skip


@functools.cache
def _versions() -> str:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(f"{package} {version}" for package, version in found.items())


def collect() -> dict[str, str]:
    """The attributes `versions` and `machine` of a run made here and now.

    Versions are read from the installed packages' metadata: nothing is imported. The machine is its kind (system,
    processor family, number of logical cores); neither the host nor the user is recorded.

    Returns
    -------
    dict with keys `versions` ("python 3.11.7, meanfield 0.1.0, numpy 2.0.0, ..."; packages that are not installed are
    left out) and `machine`. The attribute `transforms` is the caller's.

    Examples
    --------
    >>> collect()["versions"].startswith("python 3.")
    True
    """
    return {
        "versions": _versions(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} logical cores",
    }
