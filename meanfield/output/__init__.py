"""A run's output: one labelled dataset in memory, or one HDF5 file that survives a kill at any instant."""

from meanfield.output._door import check_destination
from meanfield.output._file import OutputError
from meanfield.output._restart import restart_capacity
from meanfield.output.provenance import collect
from meanfield.output.reader import describe, read
from meanfield.output.schema import RUN_VARIABLES, SCHEMA_VERSION, Layout, Variable, constant, variable
from meanfield.output.sweeps import write_sweep
from meanfield.output.writer import FileRecorder, MemoryRecorder, Resumed

__all__ = [
    "RUN_VARIABLES",
    "SCHEMA_VERSION",
    "FileRecorder",
    "Layout",
    "MemoryRecorder",
    "OutputError",
    "Resumed",
    "Variable",
    "check_destination",
    "collect",
    "constant",
    "describe",
    "read",
    "restart_capacity",
    "variable",
    "write_sweep",
]
