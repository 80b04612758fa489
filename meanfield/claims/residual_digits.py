"""Handwritten digits told apart by a residual network between a fixed lift and a fixed readout."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.claims.digit_runs import CLASSES, LOSSES, Split, accuracy, one_against_rest
from meanfield.claims.ladder import Ladder
from meanfield.claims.residual_runs import GEOMETRY, Parameters
from meanfield.claims.runs import chosen
from meanfield.claims.sweep import with_progress
from meanfield.claims.verdict import Measurement
from meanfield.distances import conditional_wasserstein
from meanfield.energies import Risk
from meanfield.flow import GradientFlow
from meanfield.initial import zero_output
from meanfield.measures import LayeredMeasure
from meanfield.models import ResNet, tanh
from meanfield.run import solve
from meanfield.steppers import Epochs, StochasticDescent

if TYPE_CHECKING:
    import xarray as xr


def digit_network(p: Parameters, split: Split, rng: np.random.Generator) -> ResNet:
    """States in dimension ``dim``: lifted to the leading principal components of the training images, read at random.

    The readout has orthogonal rows of length ``readout``.
    """
    dim = _check.whole("dim", p["dim"], f"pass a dimension of {CLASSES} to {split.x.shape[1]}", at_least=CLASSES)
    if dim > split.x.shape[1]:
        raise _check.fail("dim must not exceed the number of pixels", str(dim), f"pass at most {split.x.shape[1]}")
    lift = np.linalg.svd(split.x, full_matrices=False)[2][:dim]
    readout = np.linalg.qr(rng.standard_normal((dim, CLASSES)))[0].T
    return ResNet(dim, tanh, lift=lift, readout=p["readout"] * readout)


def digit_study(p: Parameters, layers: float, width: float, seeds: int, *, progress: bool | None = None) -> xr.Dataset:
    """A network a seed, each with its own split, readout, start and batches; the largest output decides.

    Returns
    -------
    Dataset — along (seed, epoch): ``risk`` and ``train_accuracy`` on the training images, ``test_accuracy``; along
    (seed, interface): ``depth_accuracy``, of the readout of the states at depth s on the test images; along seed:
    ``train_errors`` at the end, ``linear_accuracy``, ``distance`` d from the start, ``seconds`` of CPU; of seed 0:
    ``confusion`` (digit, answer) and, on the test images, ``states`` (interface, sample, component) in the plane that
    shows the means of the digits best at s = 1, ``label``
    """
    import xarray as xr

    runs = [_train(p, layers, width, seed) for seed in with_progress(list(range(seeds)), progress)]
    variables: dict[str, Any] = {
        name: (("seed", *dims), np.stack([run[name] for run in runs])) for name, dims in _ALONG.items()
    }
    variables |= {name: (dims, runs[0][name]) for name, dims in _OF_FIRST.items()}
    depth = _check.whole("layers", layers, "pass a number of layers", at_least=1)
    coordinates = {"seed": np.arange(seeds), "epoch": runs[0]["epoch"], "interface": np.arange(depth + 1) / depth}
    return xr.Dataset(variables, coords=coordinates | {name: np.arange(CLASSES) for name in ("digit", "answer")})


_ALONG: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("risk", "train_accuracy", "test_accuracy"), ("epoch",)),
    "depth_accuracy": ("interface",),
    **dict.fromkeys(("train_errors", "linear_accuracy", "distance", "seconds"), ()),
}
_OF_FIRST = {"confusion": ("digit", "answer"), "states": ("interface", "sample", "component"), "label": ("sample",)}


def _train(p: Parameters, layers: float, width: float, seed: int) -> dict[str, Any]:
    """What `digit_study` keeps of one seed."""
    began, rng = time.process_time(), np.random.default_rng([seed, 0])
    split = Split.draw(p, rng)
    network = digit_network(p, split, rng)
    depth, number = (
        _check.whole(name, value, "pass 1, 2 …", at_least=1) for name, value in (("layers", layers), ("width", width))
    )
    start = zero_output(network, depth, number, rng, scale=p["scale"])
    risk = Risk(network, split.x, one_against_rest(split.labels), loss=chosen("loss", p["loss"], LOSSES))
    batch, epochs, saves = (
        _check.whole(name, p[name], "pass 1, 2 …", at_least=1) for name in ("batch", "epochs", "saves")
    )
    if batch > len(split.x):
        raise _check.fail("a batch must not exceed the data", f"{batch} of {len(split.x)}", "take a smaller batch")
    ds = solve(
        GradientFlow(risk, GEOMETRY),
        start,
        t_end=p["learning_rate"] * epochs * (len(split.x) // batch),
        stepper=StochasticDescent(p["learning_rate"], Epochs(batch)),
        save_at=saves,
        observe={
            "train_accuracy": lambda mu: accuracy(network.predict(mu, split.x), split.labels),
            "test_accuracy": lambda mu: accuracy(network.predict(mu, split.x_test), split.labels_test),
        },
        rng=np.random.default_rng([seed, 1]),
        progress=False,
    )
    end = LayeredMeasure(ds.positions.values[-1], ds.weights.values)
    seconds = time.process_time() - began
    return {
        "epoch": epochs * ds.time.values / ds.time.values[-1],
        **{name: ds[name].values for name in ("risk", "train_accuracy", "test_accuracy")},
        "train_errors": np.sum(np.argmax(network.predict(end, split.x), axis=1) != split.labels),
        "distance": conditional_wasserstein(start, end),
        "seconds": seconds,
        **_on_test_images(network, end, split),
    }


def _on_test_images(network: ResNet, mu: LayeredMeasure, split: Split) -> dict[str, Any]:
    """What becomes of the images held out along the depth, beside what affine functions of the lifted images do."""
    assert network.lift is not None
    assert network.readout is not None
    lifted = Split(split.x @ network.lift.T, split.labels, split.x_test @ network.lift.T, split.labels_test)
    states, labels = network.states(mu, split.x_test), split.labels_test
    scores = states @ network.readout.T
    means = np.stack([states[-1, labels == digit].mean(axis=0) for digit in range(CLASSES)])
    plane = np.linalg.svd(means - means.mean(axis=0))[2][:2]
    answers = np.argmax(scores[-1], axis=1)
    return {
        "linear_accuracy": lifted.linear_accuracy(),
        "depth_accuracy": [accuracy(here, labels) for here in scores],
        "confusion": np.histogram2d(labels, answers, bins=np.arange(CLASSES + 1) - 0.5)[0].astype(int),
        "states": states @ plane.T,
        "label": labels,
    }


def of_digit_networks(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement]:
    """What is asked of the classifier: no training errors, test accuracy and its spread."""
    expected, test = ladder.expected, ds.test_accuracy.isel(epoch=-1)
    yield expected["training errors, the worst seed"].measured(int(ds.train_errors.max()))
    yield expected["test accuracy, mean over the seeds"].measured(float(test.mean()))
    if ds.sizes["seed"] > 1:
        yield expected["test accuracy, standard deviation over the seeds"].measured(float(test.std(ddof=1)))
    wrong, wrong_linear = 1 - float(test.mean()), 1 - float(ds.linear_accuracy.mean())
    yield expected["test errors over those of linear least squares"].measured(wrong / wrong_linear)
