"""Importing the framework stays cheap."""

import subprocess
import sys


def test_claims_and_tables_import_no_heavy_library():
    code = "import sys, meanfield.claims, meanfield.report; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["xarray", "scipy", "numba", "matplotlib", "ot", "tqdm", "h5py", "pandas"]
    result = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
