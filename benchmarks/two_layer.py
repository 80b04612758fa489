"""Risk and gradient of two-layer networks on a full batch against hand-written NumPy, PyTorch and JAX; one thread each.

Run: ``python benchmarks/two_layer.py [--memory]``. Rows are (d, m, N, σ), float64. The bar is NumPy as one would write
it for speed: every array allocated once, activations kept, no pass that another formula saves. Goals: 1.3 × faster than
it for d = 100, 3 × for d = 2. ``--memory`` prints the peak memory of each row.
"""

from __future__ import annotations

import sys

from _networks import Step, compare, contenders, peak, print_peak, start  # isort: skip  (sets threads first)
import numpy as np

ROWS = [
    (100, 10_000, 2_000, "relu"),
    (100, 10_000, 2_000, "tanh"),
    (2, 100_000, 1_000, "relu"),
    (2, 100_000, 1_000, "tanh"),
]
REPEATS = 5
SMALL = (2, 8, 8, "relu")


def problem(d: int, m: int, samples: int):
    """Parameters, points, labels."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((m, d + 1)), rng.standard_normal((samples, d)), rng.standard_normal(samples)


def make_numpy(d: int, m: int, samples: int, sigma: str) -> Step:
    """By hand: residuals go into the points, and 1 − tanh² into the product."""
    theta, x, y = problem(d, m, samples)
    a, w = theta[:, 0].copy(), theta[:, 1:]
    z, gradient, product = np.empty((samples, m)), np.empty(theta.shape), np.empty((m, d))

    def step():
        np.matmul(x, w.T, out=z)
        np.maximum(z, 0, out=z) if sigma == "relu" else np.tanh(z, out=z)
        residual = z @ a / m - y
        r = residual / samples
        np.matmul(r, z, out=gradient[:, 0])
        forced = r[:, None] * x
        if sigma == "relu":
            np.greater(z, 0, out=z)
            np.matmul(z.T, forced, out=product)
        else:
            np.multiply(z, z, out=z)
            np.matmul(z.T, forced, out=product)
            np.subtract(forced.sum(axis=0), product, out=product)
        np.multiply(product, a[:, None], out=gradient[:, 1:])
        return 0.5 * np.mean(residual**2), gradient

    return step


def make_meanfield(d: int, m: int, samples: int, sigma: str) -> Step:
    """Ours, through the public door, checks included."""
    import meanfield as mf

    mf.parallel.set_threads(1)
    theta, x, y = problem(d, m, samples)
    network, mu, loss = mf.TwoLayer(d, getattr(mf, sigma)), mf.ParticleMeasure(theta), mf.SquareLoss()

    def step():
        return network.evaluate(mu, *network.data(x, y, loss), loss)

    return step


def make_torch(d: int, m: int, samples: int, sigma: str) -> Step:
    """PyTorch, eager, reverse mode."""
    import torch

    torch.set_num_threads(1)
    theta, x, y = (torch.from_numpy(a) for a in problem(d, m, samples))
    theta.requires_grad_()
    function = getattr(torch, sigma)

    def step():
        theta.grad = None
        h = function(x @ theta[:, 1:].T) @ theta[:, 0] / m
        risk = 0.5 * ((h - y) ** 2).mean()
        risk.backward()
        return risk.item(), (theta.grad * m).numpy()

    return step


def make_jax(d: int, m: int, samples: int, sigma: str) -> Step:
    """JAX, one compiled function, reverse mode."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    theta, x, y = (jnp.asarray(a) for a in problem(d, m, samples))
    function = {"relu": jax.nn.relu, "tanh": jnp.tanh}[sigma]

    def risk(theta, x, y):
        return 0.5 * jnp.mean((function(x @ theta[:, 1:].T) @ theta[:, 0] / m - y) ** 2)

    both = jax.jit(jax.value_and_grad(risk))

    def step():
        value, gradient = both(theta, x, y)
        return float(value), np.asarray(gradient * m)

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
        *sizes, sigma = argv[2].split(",")
        print_peak(MAKERS[argv[1]][1], SMALL, (*map(int, sizes), sigma))
        return
    start()
    makers = contenders(MAKERS)
    if "--memory" in argv:
        print("peak memory of a step in MiB, above imports and data")
        for row in ROWS:
            found = "  ".join(f"{name} {peak(__file__, name, row):8.1f}" for name in makers)
            print(f"  {row!s:28}  {found}  (md + N doubles: {8 * (row[1] * row[0] + row[2]) / 2**20:.1f})")
        return
    for row in ROWS:
        compare(f"(d, m, N, σ) = {row}, CPU time", makers, row, REPEATS)


if __name__ == "__main__":
    main(sys.argv[1:])
