"""Sweeps: reproducible whatever the order, labelled, and loud about runs that fail."""

import numpy as np
import pytest
import xarray as xr

from meanfield.claims import sweep


def draw(m, k=1, *, rng):
    return rng.normal() * m * k


def test_numbers_do_not_depend_on_order_or_company():
    whole = sweep(draw, over={"m": [1, 2, 3], "k": [5, 7]}, seeds=4)
    turned = sweep(draw, over={"k": [7, 5], "m": [3, 1, 2]}, seeds=[3, 1, 0, 2])
    xr.testing.assert_identical(whole, turned.transpose("m", "k", "seed").sortby(["m", "k", "seed"]))
    alone = sweep(draw, over={"m": [2], "k": [7]}, seeds=[3])
    assert alone["value"].item() == whole["value"].sel(m=2, k=7, seed=3).item()
    assert sweep(draw, over={"m": [2.0], "k": [7]}, seeds=[3])["value"].item() == alone["value"].item()


def test_every_level_and_seed_has_its_own_generator():
    draws = sweep(lambda m, k, rng: rng.normal(), over={"m": [1, 2, 3], "k": [1, 2, 3]}, seeds=5)["value"]
    assert len(np.unique(draws)) == 45
    other = sweep(lambda m, k, rng: rng.normal(), over={"m": [1, 2, 3], "k": [1, 2, 3]}, seeds=5, root_seed=1)["value"]
    assert not np.isin(other, draws).any()


def test_generators_are_fit_for_statistics():
    # 4000 first draws are uniform: a mean within 4 standard errors, neighbours uncorrelated
    draws = sweep(lambda m, rng: rng.random(), over={"m": range(1, 9)}, seeds=500)["value"].values
    assert abs(draws.mean() - 0.5) <= 4 / np.sqrt(12 * draws.size)
    assert abs(np.corrcoef(draws[0], draws[1])[0, 1]) <= 4 / np.sqrt(500)


def test_dimensions_coordinates_and_names():
    def run(m, seed):
        return {"error": 1 / m, "seed_seen": seed}

    result = sweep(run, over={"m": [4, 8]}, seeds=[7, 9])
    assert result["error"].dims == ("m", "seed")
    assert result["seed_seen"].values.tolist() == [[7, 9], [7, 9]]
    assert result["m"].values.tolist() == [4, 8]
    single = sweep(lambda m: 1 / m, over={"m": [4, 8]}, seeds=None)
    assert dict(single.sizes) == {"m": 2}
    assert single["value"].values.tolist() == [0.25, 0.125]
    scalars = sweep(lambda m: xr.Dataset({"a": m, "b": ((), 1j)}), over={"m": [4, 8]}, seeds=None)
    assert scalars["a"].values.tolist() == [4, 8]
    assert scalars["b"].dtype == np.complex128
    names = sweep(lambda loss: len(loss), over={"loss": ["l2", "kl2"]}, seeds=None)
    assert names["value"].sel(loss="kl2").item() == 3


def test_without_seeds_a_generator_is_that_of_seed_zero():
    assert (
        sweep(draw, over={"m": [3]}, seeds=None)["value"].item()
        == sweep(draw, over={"m": [3]}, seeds=1)["value"].item()
    )


def test_a_failing_run_names_its_level():
    def run(m, rng):
        if m == 8:
            raise ZeroDivisionError("no mass")
        return 1.0

    with pytest.raises(RuntimeError, match=r"run failed at m = 8, seed 0: ZeroDivisionError: no mass") as caught:
        sweep(run, over={"m": [4, 8]}, seeds=2)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_progress_is_shown_when_asked_and_not_into_files(capsys):
    sweep(lambda m: m, over={"m": [1, 2]}, seeds=None)
    assert capsys.readouterr().err == ""
    sweep(lambda m: m, over={"m": [1, 2]}, seeds=None, progress=True)
    assert "2/2" in capsys.readouterr().err


def never(m, rng):
    raise AssertionError("ran")


@pytest.mark.parametrize(
    ("run", "over", "options", "error", "message"),
    [
        (never, {}, {}, ValueError, r"over must name at least one axis"),
        (never, {"m": []}, {}, ValueError, r"levels of 'm' must be distinct and at least one \(got \[\]\)"),
        (never, {"m": [1, 2, 1]}, {}, ValueError, r"levels of 'm' must be distinct"),
        (never, {"m": 3}, {}, TypeError, r"levels of 'm' must be a sequence \(got 3\)"),
        (never, {"m": "ab"}, {}, TypeError, r"levels of 'm' must be a sequence"),
        (never, {"rng": [1]}, {}, ValueError, r"an axis must not be called rng or seed"),
        (never, {"k": [1]}, {}, TypeError, r"run must take the axes \['k'\].*missing a required argument: 'm'"),
        (never, {"m": [1]}, {"seeds": 0}, ValueError, r"seeds must be at least 1"),
        (never, {"m": [1]}, {"seeds": [1, 1]}, ValueError, r"seeds must be distinct"),
        (never, {"m": [1]}, {"seeds": [-1]}, ValueError, r"a seed must be at least 0"),
        (never, {"m": [1]}, {"root_seed": -1}, ValueError, r"root_seed must be at least 0"),
        (lambda m: m, {"m": [1]}, {}, ValueError, r"run must take rng or seed when there are seeds .*pass seeds=None"),
        (lambda m: [m, m], {"m": [1]}, {"seeds": None}, TypeError, r"'value' at m = 1.*list of shape \(2,\)"),
        (lambda m: None, {"m": [1]}, {"seeds": None}, TypeError, r"got NoneType"),
        (lambda m: {}, {"m": [1]}, {"seeds": None}, ValueError, r"at least one number, at m = 1"),
        (lambda m: {str(m): m}, {"m": [1, 2]}, {"seeds": None}, ValueError, r"same names, at m = 2 as before"),
    ],
)
def test_bad_input_is_refused(run, over, options, error, message):
    with pytest.raises(error, match=message) as caught:
        sweep(run, over, **options)
    assert "\n" not in str(caught.value)
