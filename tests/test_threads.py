"""Whole runs keep their bits over the number of threads, at sizes that are cut into several chunks."""

import numpy as np
import pytest

import meanfield as mf
from meanfield import parallel
from meanfield.steppers import ETDRK4, RK4

RUNS = {
    "cubic": (mf.InternalEnergy(3, 1 / 3), ETDRK4(dt=1e-3)),
    "adaptive": (mf.InternalEnergy(3, 1 / 3), ETDRK4()),
    "several powers in a well": (
        mf.InternalEnergy(1.3) + mf.InternalEnergy(2) + mf.Potential(lambda x, y: 0.1 * np.cos(2 * np.pi * y)),
        RK4(),
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_same_bits_for_every_number_of_threads(name):
    energy, stepper = RUNS[name]
    rho = mf.Torus(512, dim=2).density(lambda x, y: 1 + 0.5 * np.cos(2 * np.pi * x) * np.cos(2 * np.pi * y))
    flow = mf.GradientFlow(energy, mf.Wasserstein())
    assert len(parallel.chunks(512, 512**2)) == 4
    before, runs = parallel.get_threads(), []
    try:
        for number in (1, 2, 4):
            parallel.set_threads(number)
            steps = []
            for t, state, info in mf.iterate(flow, rho, stepper, until=3e-3):
                steps.append((t, info.dt, info.error, state.values, flow.dissipation(state)))
                if len(steps) == 3:
                    break
            runs.append(steps)
    finally:
        parallel.set_threads(before)
    for other in runs[1:]:
        for first, second in zip(runs[0], other, strict=True):
            assert first[:3] == second[:3]
            assert np.array_equal(first[3], second[3])
            assert first[4] == second[4]


def test_same_bits_of_a_saved_run():
    rho = mf.Torus(512, dim=2).density(lambda x, y: 1 + 0.5 * np.cos(2 * np.pi * (x + y)))
    flow = mf.GradientFlow(mf.InternalEnergy(2), mf.Wasserstein())
    before, runs = parallel.get_threads(), []
    try:
        for number in (1, 2, 4):
            parallel.set_threads(number)
            runs.append(mf.solve(flow, rho, t_end=2e-3, stepper=ETDRK4(dt=1e-3), progress=False))
    finally:
        parallel.set_threads(before)
    for other in runs[1:]:
        for name in set(other.variables) - {"wall_time"}:
            np.testing.assert_array_equal(other[name].values, runs[0][name].values)
