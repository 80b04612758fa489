"""Handwritten digits told apart by two-layer networks, one against the rest, trained by mini-batch descent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import _check
from meanfield.claims.ladder import Ladder
from meanfield.claims.runs import chosen
from meanfield.claims.sweep import with_progress
from meanfield.claims.verdict import Measurement
from meanfield.data import digits
from meanfield.energies import Risk
from meanfield.flow import GradientFlow
from meanfield.geometries import Wasserstein
from meanfield.initial import antisymmetric, gaussian
from meanfield.measures import ParticleMeasure
from meanfield.models import LogisticLoss, SquareLoss, TwoLayer, relu, sigmoid, tanh
from meanfield.run import solve
from meanfield.steppers import Epochs, StochasticDescent

if TYPE_CHECKING:
    import xarray as xr

Parameters = Mapping[str, Any]
CLASSES = 10
ACTIVATIONS = {"relu": relu, "tanh": tanh, "sigmoid": sigmoid}
LOSSES = {"square": SquareLoss, "logistic": LogisticLoss}


@dataclass(frozen=True)
class Split:
    """Images to train on and images held out, centred by the mean of the former and scaled to E|x|² = size²."""

    x: np.ndarray
    labels: np.ndarray
    x_test: np.ndarray
    labels_test: np.ndarray

    @classmethod
    def draw(cls, p: Parameters, rng: np.random.Generator) -> Split:
        """A random split of the 1797 digits, a share ``held_out`` of them for the test."""
        images, labels = digits()
        if not 0 < _check.real("held_out", p["held_out"], "pass a share of the images") < 1:
            raise _check.fail("held_out must lie in (0, 1)", repr(p["held_out"]), "pass a share of the images, as 0.25")
        order = rng.permutation(len(labels))
        test, train = np.split(order, [max(1, round(p["held_out"] * len(labels)))])
        x = images.reshape(len(images), -1)
        x = x - x[train].mean(axis=0)
        size = _check.positive("size", p["size"], "pass the size of the inputs")
        x *= size / np.sqrt(np.mean(np.sum(x[train] ** 2, axis=1)))
        return cls(x[train], labels[train], x[test], labels[test])

    def linear_accuracy(self) -> float:
        """On the test images, of the least squares fit of the same targets by affine functions."""
        train, test = (np.column_stack([x, np.ones(len(x))]) for x in (self.x, self.x_test))
        weights = np.linalg.lstsq(train, one_against_rest(self.labels), rcond=None)[0]
        return accuracy(test @ weights, self.labels_test)


def one_against_rest(labels: np.ndarray) -> np.ndarray:
    """1 in the column of the label and −1 in the others, (N, 10)."""
    return np.where(labels[:, None] == np.arange(CLASSES), 1.0, -1.0)


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """The share of rows whose largest score is that of their label."""
    return float(np.mean(np.argmax(scores, axis=1) == labels))


def digit_study(p: Parameters, width: float, seeds: int, *, progress: bool | None = None) -> xr.Dataset:
    """Ten networks a seed, one for each digit, by mini-batch descent on the same batches; the largest output decides.

    Returns
    -------
    Dataset — along (seed, epoch): ``risk`` on the training images, mean over the digits, ``train_accuracy``,
    ``test_accuracy``; along seed ``linear_accuracy``; of seed 0: ``neurons`` (digit, particle, parameter) at the end,
    ``confusion`` (digit, answer), the numbers of test images
    """
    import xarray as xr

    runs = [_train(p, width, seed) for seed in with_progress(list(range(seeds)), progress)]
    first, (epoch, *_) = runs[0], [run["epoch"] for run in runs]
    along = {name: np.stack([run[name] for run in runs]) for name in ("risk", "train_accuracy", "test_accuracy")}
    return xr.Dataset(
        {name: (("seed", "epoch"), values) for name, values in along.items()}
        | {
            "linear_accuracy": ("seed", [run["linear_accuracy"] for run in runs]),
            "neurons": (("digit", "particle", "parameter"), first["neurons"]),
            "confusion": (("digit", "answer"), first["confusion"]),
        },
        coords={"seed": np.arange(seeds), "epoch": epoch, "digit": np.arange(CLASSES), "answer": np.arange(CLASSES)},
    )


def _train(p: Parameters, width: float, seed: int) -> dict[str, Any]:
    """What `digit_study` keeps of one seed."""
    rng = np.random.default_rng([seed, 0])
    split = Split.draw(p, rng)
    network = TwoLayer(split.x.shape[1], chosen("activation", p["activation"], _constant(ACTIVATIONS)), bias=True)
    loss = chosen("loss", p["loss"], LOSSES)
    number = _check.whole("width", width, "pass an even number of neurons", at_least=2)
    if number % 2:
        raise _check.fail("width must be even: neurons come with their mirror images", f"{number}", "add one")
    batch = _check.whole("batch", p["batch"], "pass a number of images", at_least=1)
    epochs = _check.whole("epochs", p["epochs"], "pass a number of epochs", at_least=1)
    stepper = StochasticDescent(p["learning_rate"], Epochs(batch))
    t_end = p["learning_rate"] * epochs * (len(split.x) // batch)
    saves = epochs + 1
    if batch > len(split.x):
        raise _check.fail("a batch must not exceed the data", f"{batch} of {len(split.x)}", "take a smaller batch")
    risks, trained, tested, ends = [], [], [], []
    for targets in one_against_rest(split.labels).T:
        flow = GradientFlow(Risk(network, split.x, targets, loss=loss, penalty=p["penalty"]), Wasserstein())
        start = antisymmetric(gaussian(network, number // 2, rng, scale=p["scale"]))
        rng_batches = np.random.default_rng([seed, 1])
        ds = solve(flow, start, t_end=t_end, stepper=stepper, save_at=saves, rng=rng_batches, progress=False)
        states = [ParticleMeasure(positions, ds.weights.values) for positions in ds.positions.values]
        risks.append(ds.risk.values)
        trained.append([network.predict(mu, split.x) for mu in states])
        tested.append([network.predict(mu, split.x_test) for mu in states])
        ends.append(ds.positions.values[-1])
    scores, scores_test = (np.moveaxis(np.array(outputs), 0, -1) for outputs in (trained, tested))  # (epoch, N, digit)
    answers = np.argmax(scores_test[-1], axis=1)
    return {
        "epoch": np.arange(saves),
        "risk": np.mean(risks, axis=0),
        "train_accuracy": [accuracy(now, split.labels) for now in scores],
        "test_accuracy": [accuracy(now, split.labels_test) for now in scores_test],
        "linear_accuracy": split.linear_accuracy(),
        "neurons": np.array(ends),
        "confusion": np.histogram2d(split.labels_test, answers, bins=np.arange(CLASSES + 1) - 0.5)[0].astype(int),
    }


def _constant(choices: Mapping[str, Any]) -> dict[str, Any]:
    return {name: lambda value=value: value for name, value in choices.items()}


def of_digits(ladder: Ladder, ds: xr.Dataset) -> Iterator[Measurement]:
    """What is asked of the classifier: that it learns, that it beats linear functions, and by every seed."""
    expected, test = ladder.expected, ds.test_accuracy.isel(epoch=-1)
    wrong, wrong_linear = 1 - float(test.mean()), 1 - float(ds.linear_accuracy.mean())
    yield expected["risk at the end over that at the start"].measured(float((ds.risk[:, -1] / ds.risk[:, 0]).max()))
    yield expected["test accuracy, mean over the seeds"].measured(float(test.mean()))
    if ds.sizes["seed"] > 1:
        yield expected["test accuracy, standard deviation over the seeds"].measured(float(test.std(ddof=1)))
    yield expected["test errors over those of linear least squares"].measured(wrong / wrong_linear)
