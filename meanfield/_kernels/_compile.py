"""The one decorator of compiled kernels: serial, GIL-free, cached under a digest of all kernel sources.

Numba's own cache looks at the decorated file only and serves stale code when a callee in another file changes,
so the cache folder carries a digest of every kernel source. ``error_model="numpy"`` removes the zero-division
branch that keeps loops from vectorising. No ``parallel``: threads are ours (see :mod:`meanfield.parallel`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numba
from numba.core import config


def cache_folder() -> Path:
    """Folder of the compiled kernels: ``$MEANFIELD_CACHE_DIR``, else the user's cache folder, else a temporary one."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    base = os.environ.get("MEANFIELD_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base) / "meanfield" / f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="meanfield-kernels-"))


_FOLDER = str(cache_folder())


def compiled(function: Callable) -> Callable:
    """``function`` compiled by Numba on first call and kept on disk.

    Numba fixes a function's cache folder when it is decorated; the user's own setting is put back at once. It keeps all
    functions of one name and line in numbered files, the numbers given without a lock: two processes that compile two
    closures made by one line at the same time may each find the other's code there. So what a function closes over is
    made a part of its name.
    """
    for cell in function.__closure__ or ():
        function.__qualname__ += f"_{getattr(cell.cell_contents, '__name__', cell.cell_contents)}"
    users = config.CACHE_DIR  # type: ignore[attr-defined]
    config.CACHE_DIR = _FOLDER  # type: ignore[attr-defined]
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = users  # type: ignore[attr-defined]
