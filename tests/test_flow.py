"""Gradient flows: supported pairs, the equation in words, the loop a user may own."""

import math
import re
from dataclasses import dataclass

import numpy as np
import pytest

import meanfield as mf
from meanfield.energies import Energy
from meanfield.flow import PAIRS, march
from meanfield.kernelised import KernelisedRate
from meanfield.rates import FluxRate, PressureRate
from meanfield.status import Status
from meanfield.steppers import ETDRK4, RK4

FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")
FLOW = mf.GradientFlow(mf.InternalEnergy(3, 1 / 3), mf.Wasserstein())


def bump(n=32):
    return mf.Torus(n).density(lambda x: 1 + 0.5 * np.cos(2 * np.pi * x))


@dataclass(frozen=True)
class Foreign(Energy):
    """An energy of no supported pair."""

    def value(self, state):
        return 0.0

    def differential(self, state):
        return 0 * state.values

    def pressure(self):
        return ()


def test_every_pair_of_the_table_runs():
    rho = bump()
    kernel = mf.SobolevKernel(order=2, length=0.1)
    local = [mf.InternalEnergy(2), mf.L2Distance(rho), mf.KullbackLeibler(rho), mf.Potential(lambda x: 0 * x)]
    quadratic = [mf.SobolevDistance(rho, order=1), mf.Interaction(kernel)]
    geometries = [mf.Wasserstein(), mf.Kernelised(kernel)]
    made = {(mf.TorusDensity, type(e), type(g)) for e in (*local, *quadratic) for g in geometries}
    assert made == {pair for pair in PAIRS if pair[0] is mf.TorusDensity}
    others = {
        pair for pair in PAIRS if pair[1] is mf.Risk
    }  # run in test_training.py, the rest in test_particle_flows.py
    assert {pair[0] for pair in set(PAIRS) - made - others} == {mf.ParticleMeasure}
    forms = [(e, geometries[0], PressureRate) for e in (*local, local[0] + 2 * local[3], 3 * (local[1] + local[2]))]
    forms += [(e, geometries[0], FluxRate) for e in (*quadratic, quadratic[0] + local[0])]
    forms += [(e, geometries[1], KernelisedRate) for e in (*local, *quadratic, local[2] + 2 * quadratic[0])]
    for energy, geometry, form in forms:
        flow = mf.GradientFlow(energy, geometry)
        assert isinstance(flow.rate(rho), form)
        t, state, info = next(mf.iterate(flow, rho, ETDRK4(dt=1e-5)))
        assert info.status is Status.RUNNING
        assert t == 1e-5
        assert state.mass == pytest.approx(rho.mass, rel=1e-14)


@pytest.mark.parametrize(
    ("energy", "text"),
    [
        (mf.InternalEnergy(3, 1 / 3), "d_t rho = Laplacian(0.333333 rho^3)"),
        (mf.InternalEnergy(1), "d_t rho = Laplacian(rho)"),
        (mf.InternalEnergy(2) + 2 * mf.InternalEnergy(1), "d_t rho = Laplacian(rho^2 + 2 rho)"),
        (mf.Potential(np.cos), "d_t rho = div(rho grad V)"),
        (mf.L2Distance(bump()), "d_t rho = Laplacian(0.5 rho^2) + div(rho grad V)"),
        (mf.InternalEnergy(1) + 3 * mf.Potential(np.cos), "d_t rho = Laplacian(rho) + div(rho grad V)"),
        (mf.Interaction(mf.MaternKernel(1.5)), "d_t rho = div(rho grad dE/drho)"),
        (3 * mf.Interaction(mf.GaussianKernel(1)) + mf.Potential(np.cos), "d_t rho = div(rho grad dE/drho)"),
    ],
)
def test_equation(energy, text):
    assert mf.GradientFlow(energy, mf.Wasserstein()).equation == text


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: mf.GradientFlow(mf.InternalEnergy(2), "wasserstein"), "geometry must be one of .*Wasserstein"),
        (lambda: mf.GradientFlow("pme", mf.Wasserstein()), "energy must be an Energy"),
        (lambda: mf.GradientFlow(Foreign(), mf.Wasserstein()), "supports the energies .*InternalEnergy, .*got Foreign"),
        (lambda: mf.GradientFlow(mf.InternalEnergy(2) + 2 * Foreign(), mf.Wasserstein()), "got Foreign"),
        (lambda: FLOW.check(np.ones(8)), "must be one of ParticleMeasure, TorusDensity .*got ndarray"),
        (lambda: FLOW.rate(None), "must be one of ParticleMeasure, TorusDensity"),
        (lambda: mf.iterate(FLOW, np.ones(8), RK4()), "must be one of ParticleMeasure, TorusDensity"),
    ],
)
def test_unsupported_pairs_are_refused_by_name(call, names):
    with pytest.raises(TypeError, match=names) as info:
        call()
    assert FORM.fullmatch(str(info.value))


def test_bad_states_are_refused_before_any_step():
    touching, elsewhere = mf.Torus(8).density([0.0] + [1.0] * 7), mf.Torus(10).density(np.ones(10))
    for energy, state in (
        (mf.InternalEnergy(1), touching),
        (mf.InternalEnergy(2), touching),
        (mf.KullbackLeibler(bump(8)), touching),
        (mf.L2Distance(bump(8)), elsewhere),
    ):
        with pytest.raises(ValueError, match=r"positive|zero|one torus") as info:
            mf.iterate(mf.GradientFlow(energy, mf.Wasserstein()), state, ETDRK4())  # at the call
        assert FORM.fullmatch(str(info.value))


@pytest.mark.parametrize("until", [0.0, -1.0, math.nan])
def test_until_must_lie_ahead(until):
    with pytest.raises(ValueError, match="until must") as info:
        mf.iterate(FLOW, bump(), ETDRK4(), until=until)
    assert FORM.fullmatch(str(info.value))


def test_iterate_is_the_loop_of_init_and_step():
    stepper, state = ETDRK4(dt=1e-3), bump()
    yielded = list(mf.iterate(FLOW, state, stepper, t=0.5, until=0.5 + 7.5e-3))
    memory, t = stepper.init(FLOW, state), 0.5
    for t_yielded, state_yielded, info_yielded in yielded:
        state, memory, info = stepper.step(FLOW, t, state, memory, 0.5 + 7.5e-3)
        t = info.time
        assert (t, info) == (t_yielded, info_yielded)
        assert np.array_equal(state.values, state_yielded.values)
    assert len(yielded) == 8
    assert t == 0.5 + 7.5e-3


def test_iterate_without_an_end_is_left_by_the_user():
    times = []
    for t, rho, _ in mf.iterate(FLOW, bump(), RK4()):
        times.append(t)
        if rho.values.max() < 1.4:
            break
    assert 1 < len(times) < 200
    assert times == sorted(set(times))


def test_a_refused_step_is_yielded_and_ends_the_iteration():
    rho = mf.Torus(64).density(lambda x: np.exp(math.log(40) / 2 * np.cos(2 * np.pi * x)))
    steps = list(mf.iterate(FLOW, rho, ETDRK4(dt=1e-4), until=0.01))
    assert [info.status for _, _, info in steps[:-1]] == [Status.RUNNING] * (len(steps) - 1)
    assert steps[-1][2].status is Status.INACCURATE
    assert steps[-1][1] is steps[-2][1]
    assert steps[-1][0] == steps[-2][0]


def test_march_continues_from_a_memory():
    stepper, rho = ETDRK4(dt=1e-3), bump()
    whole = list(march(FLOW, rho, stepper, t=0.0, until=0.01, memory=stepper.init(FLOW, rho)))
    t, state, memory, _ = whole[3]
    rest = list(march(FLOW, state, stepper, t=t, until=0.01, memory=memory))
    assert [np.array_equal(a[1].values, b[1].values) for a, b in zip(whole[4:], rest, strict=True)] == [True] * 6


def test_energy_falls_along_every_flow_and_dissipation_is_its_slope():
    target = bump()
    start = mf.Torus(32).density(lambda x: 1 + 0.3 * np.sin(2 * np.pi * x))
    for energy in (mf.InternalEnergy(1.5), mf.L2Distance(target), mf.KullbackLeibler(target)):
        flow = mf.GradientFlow(energy, mf.Wasserstein())
        values, before = [energy.value(start)], flow.dissipation(start)
        h = 1e-6
        for _, state, _ in mf.iterate(flow, start, RK4(dt=h), until=2 * h):
            values.append(energy.value(state))
        slope = (4 * values[1] - 3 * values[0] - values[2]) / (2 * h)  # second order at the start
        assert slope == pytest.approx(-before, rel=1e-5)
        assert values[0] > values[1] > values[2]
