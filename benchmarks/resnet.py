"""Risk and gradient of residual networks on a full batch against hand-written NumPy, PyTorch and JAX; one thread each.

Run: ``python benchmarks/resnet.py [--memory]``. Rows are (d, L, m, N), σ = tanh, float64. The bar is NumPy as one would
write it for speed: every array allocated once, the bias inside the products, activations kept, no pass that another
formula saves. Goals: 3 × faster than it for d = 2, 2 × for d = 10, 1.3 × for d = 64. ``--memory`` prints the peak
memory of each row, and how ours grows with L, m and N.
"""

from __future__ import annotations

import sys

from _networks import Step, compare, contenders, peak, print_peak, start  # isort: skip  (sets threads first)
import numpy as np

ROWS = [(2, 32, 256, 128), (2, 64, 1024, 512), (10, 64, 512, 1024), (64, 32, 512, 1797)]
REPEATS = [60, 8, 6, 5]
SMALL = (2, 2, 8, 8)


def problem(d: int, depth: int, m: int, samples: int):
    """Parameters, points, labels."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((depth, m, 2 * d + 1)), *rng.standard_normal((2, samples, d))


def make_numpy(*row: int) -> Step:
    """Forward and adjoint by hand; a column of ones carries the bias."""
    (d, depth, m, samples), (theta, x, y), c = row, problem(*row), 1 / (row[1] * row[2])
    states, kept = np.ones((depth + 1, samples, d + 1)), np.empty((depth, samples, m))
    q, move, gradient = np.empty((samples, m)), np.empty((samples, d)), np.empty(theta.shape)
    states[0, :, :d] = x

    def step():
        for layer in range(depth):
            u, w, z = theta[layer, :, :d], theta[layer, :, d:], kept[layer]
            np.matmul(states[layer], w.T, out=z)
            np.tanh(z, out=z)
            np.matmul(z, u, out=move)
            np.multiply(move, c, out=move)
            np.add(states[layer, :, :d], move, out=states[layer + 1, :, :d])
        residual = states[depth, :, :d] - y
        p = residual / samples
        for layer in reversed(range(depth)):
            u, w, z, g = theta[layer, :, :d], theta[layer, :, d:], kept[layer], gradient[layer]
            np.matmul(z.T, p, out=g[:, :d])
            np.matmul(p, u.T, out=q)
            np.multiply(z, z, out=z)
            np.multiply(z, q, out=z)
            np.subtract(q, z, out=q)
            np.matmul(q.T, states[layer], out=g[:, d:])
            np.matmul(q, w[:, :d], out=move)
            np.multiply(move, c, out=move)
            p = p + move
        return 0.5 * np.sum(residual**2) / samples, gradient

    return step


def make_meanfield(*row: int) -> Step:
    """Ours, through the public door, checks included."""
    import meanfield as mf

    mf.parallel.set_threads(1)
    theta, x, y = problem(*row)
    network, mu, loss = mf.ResNet(row[0], mf.tanh), mf.LayeredMeasure(theta), mf.SquareLoss()

    def step():
        return network.evaluate(mu, *network.data(x, y, loss), loss)

    return step


def make_torch(*row: int) -> Step:
    """PyTorch, eager, reverse mode."""
    import torch

    torch.set_num_threads(1)
    (d, depth, m, samples), (theta, x, y) = row, (torch.from_numpy(a) for a in problem(*row))
    theta.requires_grad_()

    def step():
        theta.grad, state = None, x
        for layer in range(depth):
            u, w, b = theta[layer, :, :d], theta[layer, :, d : 2 * d], theta[layer, :, 2 * d]
            state = state + torch.tanh(torch.addmm(b, state, w.T)) @ u / (depth * m)
        risk = 0.5 * ((state - y) ** 2).sum() / samples
        risk.backward()
        return risk.item(), (theta.grad * (depth * m)).numpy()

    return step


def make_jax(*row: int) -> Step:
    """JAX, one compiled function, reverse mode through a scan over layers."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    (d, depth, m, samples), (theta, x, y) = row, (jnp.asarray(a) for a in problem(*row))

    def risk(theta, x, y):
        def layer(state, neurons):
            u, w, b = neurons[:, :d], neurons[:, d : 2 * d], neurons[:, 2 * d]
            return state + jnp.tanh(state @ w.T + b) @ u / (depth * m), None

        state, _ = jax.lax.scan(layer, x, theta)
        return 0.5 * jnp.sum((state - y) ** 2) / samples

    both = jax.jit(jax.value_and_grad(risk))

    def step():
        value, gradient = both(theta, x, y)
        return float(value), np.asarray(gradient * (depth * m))

    return step


MAKERS = {
    "numpy, by hand": ("numpy", make_numpy),
    "meanfield": ("meanfield", make_meanfield),
    "torch, eager": ("torch", make_torch),
    "jax, jit": ("jax", make_jax),
}


def main(argv: list[str]) -> None:
    """Measure and print."""
    if argv[:1] == ["--peak"]:
        print_peak(MAKERS[argv[1]][1], SMALL, tuple(map(int, argv[2].split(","))))
        return
    start()
    makers = contenders(MAKERS)
    if "--memory" in argv:
        print("peak memory of a step in MiB, above imports and data")
        for row in ROWS:
            found = "  ".join(f"{name} {peak(__file__, name, row):8.1f}" for name in makers)
            arrays = 8 * (row[1] * row[3] * row[0] + row[1] * row[2] * (2 * row[0] + 1)) / 2**20
            print(f"  {row!s:22}  {found}  (LNd + Lmp doubles: {arrays:.1f})")
        for row in [(2, 64, 1024, 512), (2, 128, 1024, 512), (2, 64, 2048, 512), (2, 64, 1024, 1024)]:
            print(f"  {row!s:22}  meanfield {peak(__file__, 'meanfield', row):8.1f}")
        return
    for row, repeats in zip(ROWS, REPEATS, strict=True):
        compare(f"(d, L, m, N) = {row}, CPU time", makers, row, repeats)


if __name__ == "__main__":
    main(sys.argv[1:])
