"""Risk and gradient of a density neural ODE over the bare FFTs it contains, and against reverse-mode JAX.

Run: ``python benchmarks/density_node.py [n] [depth]``. d = 2, one RK4 step a layer, one thread, double precision. The
transforms of a gradient are counted as it runs; bare ones of the full size, axis by axis, with the same backend, are
timed in turns with it. JAX differentiates the same discrete risk (rfft2, modes cut at n/3, a scan over layers) and
applies the same kernel; both results are compared. CPU seconds of the process. Peak memory is that of a fresh process
for each: by how much it grows over two gradients, the result included, libraries and data not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
from _measure import interleaved, machine, report

import meanfield as mf
from meanfield.torus import _half_spectrum
from meanfield.transforms import transforms


class Counter:
    """Transforms that count the grid points they pass between values and modes."""

    points = 0

    def __getattr__(self, name):
        return getattr(transforms, name)

    def forward_real(self, values, out, axis=-1):
        self.points += values.size
        transforms.forward_real(values, out, axis)

    def inverse_real(self, modes, out, axis=-1):
        self.points += out.size
        transforms.inverse_real(modes, out, axis)


def problem(n: int, depth: int):
    """A node, its initial density, its loss, and a control."""
    torus, wave = mf.Torus(n, dim=2), 2 * np.pi
    node = mf.DensityNODE(torus, mf.SobolevKernel(order=3, length=0.1), depth=depth)
    rho0 = torus.density(lambda x, y: 1 + 0.3 * np.cos(wave * x) * np.cos(wave * y))
    loss = mf.L2Distance(torus.density(lambda x, y: 1 + 0.2 * np.sin(wave * y)))
    x, y = wave * torus.points
    return node, rho0, loss, np.tile(0.01 * np.stack([np.sin(y), np.cos(x)]), (depth, 1, 1, 1))


def make_peer(node: mf.DensityNODE, rho0, loss):
    """JAX: control (L, 2, n, n) -> risk and gradient in L²([0,1], V), compiled."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    n, depth = node.torus.n, node.depth
    k = np.fft.fftfreq(n, 1 / n)[:, None], np.arange(n // 2 + 1)[None]
    mask = jnp.asarray((3 * np.abs(k[0]) < n) & (3 * k[1] < n))
    slopes = [2j * np.pi * jnp.asarray(axis) * mask for axis in k]
    kernel = jnp.asarray(node.kernel.multiplier(node.torus))
    target = jnp.asarray(loss.target.values)

    def rate(u, v):
        values = jnp.fft.irfft2(u, s=(n, n))
        return -sum(slope * jnp.fft.rfft2(values * v_a) for slope, v_a in zip(slopes, v))

    def layer(u, v):
        h = 1 / depth
        a = rate(u, v)
        b = rate(u + h / 2 * a, v)
        c = rate(u + h / 2 * b, v)
        d = rate(u + h * c, v)
        return u + h / 6 * (a + 2 * b + 2 * c + d), None

    def risk(v):
        start = jnp.fft.rfft2(jnp.asarray(rho0.values)) * mask
        end, _ = jax.lax.scan(layer, start, v)
        return 0.5 * jnp.mean((jnp.fft.irfft2(end, s=(n, n)) - target) ** 2)

    @jax.jit
    def both(v):
        value, slope = jax.value_and_grad(risk)(v)
        return value, jnp.fft.irfft2(kernel * jnp.fft.rfft2(slope * (depth * n * n)), s=(n, n))

    def run(v):
        value, gradient = both(v)
        return float(value), np.asarray(gradient)

    return run


def make_bare(n: int, pairs: int):
    """``pairs`` forward and inverse transforms of n² values."""
    values, work = np.zeros((n, n)), np.empty((n, n // 2 + 1), dtype=complex)

    def run():
        for _ in range(pairs):
            transforms.forward_real(values, work)
            transforms.forward(work, 0)
            transforms.inverse(work, 0)
            transforms.inverse_real(work, values)

    return run


def count(job, n: int) -> float:
    """Pairs of full-size transforms that ``job`` contains."""
    counter = Counter()
    _half_spectrum.transforms = counter
    job()
    _half_spectrum.transforms = transforms
    return counter.points / n**2 / 2


def grown(name: str, n: int, depth: int) -> float:
    """MiB by which a fresh process grows at its peak over two gradients of ``name``."""
    command = [sys.executable, __file__, str(n), str(depth), name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def resident(field: str) -> float:
    """MiB of memory of this process, now (``VmRSS``) or at its peak (``VmHWM``); Linux only."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def grow(name: str, n: int, depth: int) -> None:
    """What :func:`grown` runs; a small problem first, so that libraries are loaded before the start."""
    mf.parallel.set_threads(1)

    def make(n: int, depth: int):
        node, rho0, loss, v = problem(n, depth)
        job = make_peer(node, rho0, loss) if name == "jax" else lambda v: node.risk_and_gradient(v, rho0, loss)
        return job, v

    job, v = make(16, 2)
    job(v)
    job, v = make(n, depth)
    start = resident("VmRSS")
    job(v)
    job(v)
    print(resident("VmHWM") - start)


def main(n: int, depth: int) -> None:
    """Measure and print."""
    mf.parallel.set_threads(1)
    node, rho0, loss, v = problem(n, depth)
    value, gradient = node.risk_and_gradient(v, rho0, loss)
    pairs = count(lambda: node.gradient(v, rho0, loss), n)
    print(machine())
    print(f"  one gradient contains {pairs:g} pairs of full-size transforms")
    tracemalloc.start()
    node.gradient(v, rho0, loss)
    beyond = (tracemalloc.get_traced_memory()[1] - gradient.nbytes) / rho0.values.nbytes
    tracemalloc.stop()
    fresh = mf.DensityNODE(node.torus, node.kernel, depth=depth)
    tracemalloc.start()
    fresh.gradient(v, rho0, loss)
    first = (tracemalloc.get_traced_memory()[1] - gradient.nbytes) / rho0.values.nbytes
    tracemalloc.stop()
    print(f"  beyond control and gradient: {first:.1f} densities, {beyond:.1f} of them anew in every call")
    jobs = {
        "bare transforms": make_bare(n, round(pairs)),
        "meanfield, risk and gradient": lambda: node.risk_and_gradient(v, rho0, loss),
        "meanfield, risk": lambda: node.risk(v, rho0, loss),
    }
    try:
        peer = make_peer(node, rho0, loss)
    except ImportError:
        print("JAX is not installed: pip install 'meanfield[bench]' to compare")
    else:
        start = time.process_time()
        risk, theirs = peer(v)
        seconds = time.process_time() - start
        jobs["JAX, risk and gradient"] = lambda: peer(v)
        difference = np.abs(theirs - gradient).max() / np.abs(gradient).max()
        print(
            f"  JAX: compilation and first call {seconds:.2f} CPU s; its risk differs by {risk - value:.1e}, ", end=""
        )
        print(f"its gradient by {difference:.1e} (relative)")
        sizes = {name: grown(name, n, depth) for name in ("meanfield", "jax")}
        print(f"  growth at the peak, MiB: {sizes}, ratio {sizes['jax'] / sizes['meanfield']:.2f}")
    report(f"n = {n}², depth {depth}, CPU time", interleaved(jobs, 20), "bare transforms")


if __name__ == "__main__":
    n, depth = int(sys.argv[1]) if len(sys.argv) > 1 else 256, int(sys.argv[2]) if len(sys.argv) > 2 else 32
    if len(sys.argv) > 3:
        grow(sys.argv[3], n, depth)
    else:
        main(n, depth)
