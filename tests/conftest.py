"""What holds in every test: floating-point traps are errors."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def floating_point_traps():
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        yield
