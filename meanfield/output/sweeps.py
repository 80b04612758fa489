"""Files of sweeps: a table of numbers over levels instead of a run along time, with the same provenance."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from meanfield.output.provenance import collect
from meanfield.output.schema import ATTRIBUTES, SCHEMA_VERSION

if TYPE_CHECKING:
    import xarray as xr


def write_sweep(ds: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write the dataset of a sweep, whole or not at all, with the schema's attributes.

    Parameters
    ----------
    ds : Dataset — without the dimension ``time``; its own attributes are kept
    path : path — replaced if it exists
    """
    path = Path(path)
    facts = {"schema_version": SCHEMA_VERSION, "status": "finished", **collect()}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        ds.assign_attrs(dict.fromkeys(ATTRIBUTES, "") | facts | ds.attrs).to_netcdf(partial, engine="h5netcdf")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
