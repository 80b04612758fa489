"""Predictions and gradients keep their bits over the number of threads, at sizes that are cut into several parts."""

import dataclasses

import numpy as np
import pytest

import meanfield as mf
from meanfield import parallel
from meanfield.models import _chunks, _passes
from meanfield.models._chunks import add_up, sample_chunks


@pytest.fixture(autouse=True)
def same_threads_afterwards():
    before = parallel.get_threads()
    yield
    parallel.set_threads(before)


def bits(job):
    """The job's arrays for 1, 2, 3 and 4 threads, which must be equal."""
    results = []
    for number in (1, 2, 3, 4):
        parallel.set_threads(number)
        results.append(job())
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            assert np.array_equal(first, second)


@pytest.mark.parametrize("code", [None, mf.tanh.code], ids=["blas", "fused"])
@pytest.mark.parametrize(("m", "samples"), [(300, 1500), (1501, 300)])
def test_two_layer(m, samples, code):
    rng = np.random.default_rng(0)
    network = mf.TwoLayer(4, dataclasses.replace(mf.tanh, code=code), True)
    mu = mf.ParticleMeasure(rng.standard_normal((m, 6)))
    x, y, probe = rng.standard_normal((samples, 4)), rng.standard_normal(samples), rng.standard_normal((700, 6))
    bits(lambda: (network.predict(mu, x), network.gradient(mu, x, y), network.first_variation(mu, x, y, probe)))


@pytest.mark.parametrize("code", [None, mf.tanh.code], ids=["blas", "fused"])
@pytest.mark.parametrize("samples", [200, 1300])
def test_residual(samples, code):
    rng = np.random.default_rng(0)
    network = mf.ResNet(3, dataclasses.replace(mf.tanh, code=code), lift=rng.standard_normal((3, 5)))
    mu = mf.LayeredMeasure(rng.standard_normal((60, 100, 7)))
    x, y = rng.standard_normal((samples, 5)), rng.standard_normal((samples, 3))
    bits(lambda: (network.predict(mu, x), network.states(mu, x), network.gradient(mu, x, y)))


def test_a_chunk_fits_a_strip():
    from meanfield._kernels import activations, strips

    assert _chunks.SAMPLES == strips.SAMPLES
    assert activations.TILE <= _passes._SPARE


@pytest.mark.parametrize("samples", [1, 191, 192, 256, 257, 1000, 5000])
def test_chunks_tile_the_samples(samples):
    for neurons in (1, 10**6):
        chunks = sample_chunks(samples, neurons)
        assert [i for chunk in chunks for i in range(chunk.start, chunk.stop)] == list(range(samples))
        sizes = [chunk.stop - chunk.start for chunk in chunks]
        assert max(sizes) <= 256
        assert max(sizes) - min(sizes) <= 1
    assert (len(sample_chunks(samples, 10**6)) > 1) == (samples >= 192)


def test_parts_are_added_in_order():
    """Terms whose sum depends on the order: equal bits then mean an equal order."""
    terms = np.random.default_rng(0).standard_normal(23) * 10.0 ** np.arange(23)
    terms[::2] *= -1

    def job():
        total = np.zeros(1)

        def work(chunk, part):
            part += terms[chunk].sum()
            return chunk.start

        assert add_up(work, [slice(i, i + 1) for i in range(23)], total) == list(range(23))
        return (total,)

    bits(job)
    assert job()[0] == sum(terms.tolist())
    assert job()[0] != sum(terms[::-1].tolist())
