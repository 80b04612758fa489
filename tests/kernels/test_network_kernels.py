"""Kernels of networks against their NumPy twins: strips, thin products, whole passes."""

import inspect

import numpy as np
import pytest

from meanfield._kernels import activation_functions, activations, resnet, strips, thin_products, two_layer
from meanfield._kernels.strips import BLOCK, ROW, SAMPLES
from meanfield.models._chunks import read_only

EPS = np.finfo(float).eps
WIDTHS = [1, 2, 3, 4, 5, 6, 7, 8, 11, 33]
TANH = activation_functions.TANH


def aligned(rng, *shape):
    out = strips.aligned(*shape)
    out[...] = rng.standard_normal(shape)
    return out


def assert_close(got, wanted, terms):
    scale = np.abs(wanted).max() + 1
    assert np.abs(got - wanted).max() <= 8 * terms * EPS * scale


def test_kernels_made_by_one_line_have_files_of_their_own():
    """Or processes that compile at the same time would read one another's code (Numba numbers files without a lock)."""
    members = [value for module in (thin_products, activations) for value in vars(module).values()]
    kernels = {id(kernel): kernel.py_func for kernel in members if hasattr(kernel, "py_func")}.values()
    names = [(kernel.__module__, kernel.__qualname__, kernel.__code__.co_firstlineno) for kernel in kernels]
    assert len(names) > 10
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("n", [1, 8, 100, SAMPLES])
@pytest.mark.parametrize("width", WIDTHS)
def test_thin_products_agree_with_their_twins(width, n):
    rng = np.random.default_rng(width)
    a, x, z = aligned(rng, width * BLOCK), aligned(rng, width * ROW), aligned(rng, BLOCK * ROW)
    for name, arguments, out in (
        ("expand", (a, width, x), aligned(rng, BLOCK * ROW)),
        ("contract", (a, width, z), aligned(rng, width * ROW)),
        ("inner", (z, x, width), aligned(rng, width * BLOCK)),
    ):
        before, twin, given = out.copy(), out.copy(), [np.copy(value) for value in arguments]
        call = (lambda target, name=name: (n, target)) if name == "inner" else (lambda target: (target, n))
        getattr(thin_products, name)(*arguments, *call(out))
        getattr(thin_products, f"{name}_numpy")(*arguments, *call(twin))
        assert_close(out, twin, n if name == "inner" else width + BLOCK)
        assert all(np.array_equal(now, then) for now, then in zip(arguments, given)), "an input was changed"
        if name != "inner":
            assert np.array_equal(out.reshape(-1, ROW)[:, n:], before.reshape(-1, ROW)[:, n:])


@pytest.mark.parametrize("n", [1, 8, 100, SAMPLES])
def test_points_to_strips_and_back(n):
    rng = np.random.default_rng(n)
    points, rows = rng.standard_normal((n, 3)), aligned(rng, 4 * ROW)
    twin, before = rows.copy(), rows.copy()
    strips.load(read_only(points), rows)
    strips.load_numpy(points, twin)
    assert np.array_equal(rows, twin)
    end = strips.padded(n)
    assert end % 8 == 0
    assert 0 <= end - n < 8
    assert np.array_equal(rows.reshape(4, ROW)[3], before.reshape(4, ROW)[3])
    assert np.all(rows.reshape(4, ROW)[:3, n:end] == points[-1:].T)
    back, plain = np.empty((n, 3)), np.empty((n, 3))
    strips.store(rows, back)
    strips.store_numpy(rows, plain)
    assert np.array_equal(back, points)
    assert np.array_equal(plain, points)


@pytest.mark.parametrize("m", [1, 7, 8, 9, 24])
def test_neurons_to_blocks_and_back(m):
    rng = np.random.default_rng(m)
    parameters = rng.standard_normal((2, m, 5))
    shape = (2, strips.blocks(m), 5 * BLOCK)
    packed, twin = aligned(rng, *shape), aligned(rng, *shape)
    strips.pack(read_only(parameters), packed)
    strips.pack_numpy(parameters, twin)
    assert np.array_equal(packed, twin)
    assert np.count_nonzero(packed) == parameters.size
    back, plain = np.empty_like(parameters), np.empty_like(parameters)
    strips.unpack(packed, back)
    strips.unpack_numpy(packed, plain)
    assert np.array_equal(back, parameters)
    assert np.array_equal(plain, parameters)
    weights, out, other = rng.random(BLOCK), aligned(rng, 6 * BLOCK), aligned(rng, 6 * BLOCK)
    strips.weigh(packed[0, 0], 5, weights, 0.3, out)
    strips.weigh_numpy(packed[0, 0], 5, weights, 0.3, other)
    assert_close(out[: 5 * BLOCK], other[: 5 * BLOCK], 1)


def test_strips_start_at_cache_lines():
    assert all(strips.aligned(3, size).ctypes.data % 64 == 0 for size in range(1, 20))
    assert ROW % 8 == 0
    assert ROW * 8 % 4096 != 0


@pytest.mark.parametrize("bias", [0, 1])
@pytest.mark.parametrize(("d", "m", "samples"), [(1, 1, 1), (2, 8, 256), (3, 20, 300), (9, 11, 600)])
def test_two_layer_passes_agree_with_their_twins(d, m, samples, bias):
    rng = np.random.default_rng(d)
    x, residual, weights = rng.standard_normal((samples, d)), rng.standard_normal(samples), rng.random((1, m))
    packed, padded = pack(rng.standard_normal((1, m, 1 + d + bias)), weights)
    packed, x, residual = read_only(packed), read_only(x), read_only(residual)  # as the models pass them
    for code in range(6):
        h, plain = np.empty(samples), np.empty(samples)
        two_layer.outputs(code, packed[0], padded[0], x, h, two_layer.workspace(d + bias))
        two_layer.outputs_numpy(code, packed[0], padded[0], x, plain, None)
        assert_close(h, plain, m + d)
        g, plain = np.full(packed[0].shape, np.nan), np.full(packed[0].shape, np.nan)
        two_layer.gradient(code, packed[0], x, residual, g, two_layer.workspace(d + bias))
        two_layer.gradient_numpy(code, packed[0], x, residual, plain, None)
        assert_close(g, plain, samples)


def pack(parameters, weights):
    depth, m, p = parameters.shape
    packed, padded = np.empty((depth, strips.blocks(m), p * BLOCK)), np.zeros((depth, strips.blocks(m) * BLOCK))
    strips.pack_numpy(parameters, packed)
    padded[:, :m] = weights
    return packed, padded.reshape(depth, -1, BLOCK)


@pytest.mark.parametrize(
    ("d", "depth", "m", "samples"), [(1, 1, 1, 1), (2, 3, 8, 256), (3, 2, 20, 77), (10, 2, 9, 100)]
)
def test_residual_passes_agree_with_their_twins(d, depth, m, samples):
    rng = np.random.default_rng(d)
    packed, padded = pack(rng.standard_normal((depth, m, 2 * d + 1)), rng.random((depth, m)))
    for code in range(6):
        rows, back = aligned(rng, depth + 1, (d + 1) * ROW), np.zeros(d * ROW)
        rows[0, d * ROW :] = 1.0
        back.reshape(d, ROW)[:, :samples] = rng.standard_normal((d, samples))
        start = rng.standard_normal(packed.shape)
        results = []
        for suffix in ("", "_numpy"):
            states, covector, result = rows.copy(), back.copy(), start.copy()
            arguments = (code, packed, padded, states)
            getattr(resnet, f"forward{suffix}")(*arguments, samples, resnet.workspace(d))
            getattr(resnet, f"adjoint{suffix}")(*arguments, covector, samples, result, resnet.workspace(d))
            results.append((states.reshape(depth + 1, d + 1, ROW)[:, :, :samples], covector, result))
        for got, wanted in zip(*results):
            assert_close(got, wanted, 4 * (m + samples))


def test_every_kernel_has_a_twin():
    for module in (activations, resnet, strips, thin_products, two_layer):
        here = {
            name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
        }
        kernels = {name for name, value in here.items() if hasattr(value, "py_func") and not name.startswith("_")}
        twins = {name.removesuffix("_numpy") for name in here if name.endswith("_numpy")}
        assert kernels - {"padded"} == twins, module.__name__
        for name in twins:
            assert inspect.signature(here[name].py_func) == inspect.signature(here[f"{name}_numpy"])
