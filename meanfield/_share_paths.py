"""Where the files that travel with the package are: ``grids``, ``solvers`` and ``data``."""

from __future__ import annotations

from pathlib import Path

from meanfield._check import fail

SHARED_FOLDERS = ("grids", "solvers", "data")
_PACKAGE = Path(__file__).resolve().parent


def shared_folder(name: str) -> Path:
    """The folder ``name`` beside the package in a checkout, or inside the installed wheel.

    A checkout is recognised by the ``pyproject.toml`` beside the package: a folder called ``grids`` next to an
    installed package belongs to somebody else.

    Parameters
    ----------
    name : str — one of ``grids``, ``solvers``, ``data``

    Returns
    -------
    pathlib.Path — an existing folder

    Raises
    ------
    ValueError — another name
    FileNotFoundError — the installation carries no such folder

    Examples
    --------
    >>> shared_folder("grids").name
    'grids'
    """
    if name not in SHARED_FOLDERS:
        raise fail("a shared folder must be one of " + ", ".join(SHARED_FOLDERS), repr(name), "use one of these names")
    in_checkout, in_wheel = _PACKAGE.parent / name, _PACKAGE / "_share" / name
    if (_PACKAGE.parent / "pyproject.toml").is_file() and in_checkout.is_dir():
        return in_checkout
    if in_wheel.is_dir():
        return in_wheel
    raise FileNotFoundError(
        f"the folder {name!r} must be in the checkout or in the wheel (got neither {in_checkout} nor {in_wheel}); "
        "install meanfield again from a complete source"
    )
