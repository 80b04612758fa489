"""Compile every kernel by the shortest runs that use them; the cache then serves the tests. Run by ``make warm``."""

import time

import numpy as np

import meanfield as mf


def main() -> None:
    """Short runs in d = 1, 2, 3 with every stepper, with and without a potential; sums over particles, distances."""
    steppers = mf.steppers
    landscape = mf.Potential(lambda x, *rest: 0.1 * np.cos(2 * np.pi * x))
    for dim in (1, 2, 3):
        torus = mf.Torus(16, dim=dim)
        rho = torus.density(lambda x, *rest: 1 + 0.1 * np.cos(2 * np.pi * x) + sum(rest) * 0)
        for stepper in (
            steppers.ETDRK4(), steppers.RK4(), steppers.RKC2(), steppers.FiniteVolume(), steppers.FiniteVolume(order=1),
        ):  # fmt: skip
            for energy in (mf.InternalEnergy(3), mf.InternalEnergy(2.5) + landscape):
                flow = mf.GradientFlow(energy, mf.Wasserstein())
                mf.solve(flow, rho, t_end=1e-5, stepper=stepper, progress=False)
        kernel, target = mf.SobolevKernel(order=3, length=0.1), mf.L2Distance(torus.density(lambda *x: 1 + 0 * x[0]))
        mf.solve(mf.GradientFlow(target, mf.Kernelised(kernel)), rho, t_end=1e-5, progress=False)
        node = mf.DensityNODE(torus, kernel, depth=8)
        control = node.gradient(node.zero(), rho, target)
        node.tangent(control, control, rho)
        x = np.random.default_rng(0).random((8, dim))
        for domain in (torus, None):
            mf.GaussianKernel(0.3).convolve_particles(domain, x, np.ones((8, 1)))
    layers = [mf.LayeredMeasure(np.arange(4.0).reshape(1, 2, 2) + shift) for shift in (0, 1)]
    mf.conditional_wasserstein(*layers)
    mf.wasserstein(*(mf.ParticleMeasure(layer.positions[0]) for layer in layers))
    train_networks()


def train_networks() -> None:
    """One step of every network and activation, with the penalty and on normal inputs."""
    x, y = np.eye(3, 2), np.ones(3)
    for activation in (mf.relu, mf.tanh, mf.erf, mf.sigmoid, mf.softplus, mf.cos):
        neurons, layers = mf.ParticleMeasure(np.eye(3)), mf.LayeredMeasure(np.ones((2, 3, 5)))
        for risk, state, geometry in (
            (mf.Risk(mf.TwoLayer(2, activation), x, y), neurons, mf.Wasserstein()),
            (mf.Risk(mf.ResNet(2, activation), x, x), layers, mf.ConditionalWasserstein()),
        ):
            mf.solve(mf.GradientFlow(risk, geometry), state, t_end=1e-3, stepper=mf.steppers.Euler(dt=1e-3))
    normal = mf.Risk(mf.TwoLayer(2, mf.relu), mf.GaussianInputs(2), mf.ParticleMeasure(np.eye(3)))
    normal.differential(mf.ParticleMeasure(np.eye(3)))


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"kernels compiled or found in {time.perf_counter() - start:.1f} s")
