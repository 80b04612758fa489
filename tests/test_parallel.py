"""Threads: chunks that depend on the problem only, results in order, the one knob."""

import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

from meanfield import parallel

FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")


@pytest.fixture(autouse=True)
def same_threads_afterwards():
    before = parallel.get_threads()
    yield
    parallel.set_threads(before)


@pytest.mark.parametrize("length", [1, 2, 7, 16, 100, 512])
@pytest.mark.parametrize("points", [1, 2**16, 2**17 - 1, 2**17, 2**19, 2**24])
def test_chunks_tile_the_range_and_number_by_the_work(length, points):
    chunks = parallel.chunks(length, points)
    assert [i for chunk in chunks for i in range(chunk.start, chunk.stop)] == list(range(length))
    sizes = [chunk.stop - chunk.start for chunk in chunks]
    assert max(sizes) - min(sizes) <= 1
    assert len(chunks) == max(1, min(16, length, points // 2**16))


def test_chunks_do_not_depend_on_the_threads():
    found = []
    for number in (1, 2, 4, 7):
        parallel.set_threads(number)
        found.append(parallel.chunks(512, 512**2))
    assert all(chunks == found[0] for chunks in found)
    assert len(found[0]) == 4


@pytest.mark.parametrize("number", [1, 2, 4])
def test_run_keeps_the_order_of_the_items(number):
    parallel.set_threads(number)
    assert parallel.get_threads() == number
    assert parallel.run(lambda i: i * i, list(range(40))) == [i * i for i in range(40)]
    assert parallel.run(abs, [-3]) == [3]
    assert parallel.run(abs, []) == []


def test_run_uses_several_threads_and_hands_errors_on():
    parallel.set_threads(2)
    meet = threading.Barrier(2, timeout=5)  # both items must be under way at once to pass it
    assert len(set(parallel.run(lambda _: (meet.wait(), threading.get_ident())[1], [0, 1]))) == 2

    def fail(item):
        raise KeyError(item)

    with pytest.raises(KeyError, match="3"):
        parallel.run(fail, [3, 4])


@pytest.mark.parametrize("number", [1, 2])
def test_the_error_state_of_numpy_is_the_callers(number):
    parallel.set_threads(number)
    with np.errstate(invalid="ignore", divide="raise"):
        assert np.isnan(parallel.run(np.sqrt, [np.array([-1.0]), np.array([-2.0])])).all()
        with pytest.raises(FloatingPointError):
            parallel.run(np.log, [np.zeros(1), np.zeros(1)])


def test_libraries_run_on_one_thread_inside_the_scope():
    from threadpoolctl import threadpool_info

    with parallel.one_thread_libraries():
        assert {pool["num_threads"] for pool in threadpool_info()} <= {1}


def test_the_scope_sees_libraries_that_are_imported_later():
    code = (
        "from meanfield import parallel\nimport numpy\n"
        "from threadpoolctl import ThreadpoolController, threadpool_info\n"
        "with parallel.one_thread_libraries(): before = threadpool_info()\n"
        "import scipy.linalg\n"
        "with parallel.one_thread_libraries(): after = threadpool_info()\n"
        "print(len(after) > len(before), {pool['num_threads'] for pool in before + after})"
    )
    done = _in_a_new_process(code, OPENBLAS_NUM_THREADS="2")
    if done.stdout.startswith("False"):
        pytest.skip("NumPy and SciPy share their libraries here")
    assert done.stdout.strip() == "True {1}", done.stderr


@pytest.mark.parametrize(("number", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)])
def test_bad_number_of_threads(number, error):
    with pytest.raises(error, match="number of threads") as info:
        parallel.set_threads(number)
    assert FORM.fullmatch(str(info.value))


def _in_a_new_process(code, **environment):
    run = [sys.executable, "-c", code]
    return subprocess.run(run, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_environment_sets_the_number():
    code = "from meanfield import parallel; print(parallel.get_threads())"
    assert _in_a_new_process(code, MEANFIELD_THREADS="3").stdout.strip() == "3"
    refused = _in_a_new_process(code, MEANFIELD_THREADS="many")
    last = refused.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: MEANFIELD_THREADS")
    assert FORM.fullmatch(last)


def test_importing_the_package_stays_cheap():
    code = (
        "import sys, meanfield; print([name for name in "
        "('ot', 'matplotlib', 'xarray', 'numba', 'scipy', 'h5py', 'ducc0', 'finufft', 'tqdm') if name in sys.modules])"
    )
    assert _in_a_new_process(code).stdout.strip() == "[]"
