"""Claims: hypotheses come first, the measure gets the right levels, and nothing expected is left out."""

import sys
import types

import numpy as np
import pytest

from meanfield import claims
from meanfield.claims import Claim, Hypothesis, Ladder, Outcome, Registry, fit_rate, sweep

TOML = """
id = ["DEMO-1"]
title = "quadrature of sin on [0, 1]"
source = "any textbook"
exact = true

[levels]
n = [8, 16, 32, 64, 128]
quick = [8, 16, 32]

[parameters]
offset = 0.5

[expected.order]
slope = -2
tolerance = 0.05
source = "midpoint rule"
"""
LADDER = Ladder.from_toml(TOML, name="demo")


def quadrature_error(n, offset):
    return abs(np.sin((np.arange(n) + offset) / n).mean() - (1 - np.cos(1)))


def measure(ladder, levels):
    errors = sweep(lambda n: quadrature_error(n, ladder.parameters["offset"]), over=levels, seeds=None)["value"]
    yield ladder.expected["order"].measured(fit_rate(errors, along="n"))


CENTRED = Hypothesis("points at cell centres", lambda table: table["offset"] == 0.5)
CLAIM = Claim("DEMO-1", "the midpoint rule has order 2", "any textbook", "demo", measure, (CENTRED,))


def test_confirmed_on_all_levels_and_on_the_quick_ones():
    full, quick = CLAIM.check(ladder=LADDER), CLAIM.check(ladder=LADDER, quick=True)
    assert full.outcome is Outcome.CONFIRMED, full
    assert quick.outcome is Outcome.CONFIRMED, quick
    assert (full.quick, quick.quick) == (False, True)
    assert full.measurements[0].measured != quick.measurements[0].measured


def test_unmet_hypotheses_stop_before_measuring():
    def never(ladder, levels):
        raise AssertionError("measured")

    claim = Claim("DEMO-1", "order 2", "s", "demo", never, (CENTRED, Hypothesis("true", lambda table: True)))
    verdict = claim.check(ladder=LADDER.with_parameters(offset=0.25))
    assert verdict.outcome is Outcome.HYPOTHESES_NOT_MET
    assert verdict.unmet == ("points at cell centres",)
    assert "points at cell centres  does not hold" in str(verdict)


def test_outside_its_hypotheses_the_claim_is_false():
    unguarded = Claim("DEMO-1", "order 2 whatever the points", "nobody", "demo", measure)
    assert unguarded.check(ladder=LADDER.with_parameters(offset=0.25)).outcome is Outcome.VIOLATED


def test_hypotheses_see_the_levels_to_be_run():
    seen = []
    claim = Claim(
        "DEMO-1", "s", "s", "demo", measure, (Hypothesis("h", lambda table: seen.append(table["n"]) or True),)
    )
    claim.check(ladder=LADDER, quick=True)
    assert seen == [[8, 16, 32]]
    misspelt = Claim("DEMO-1", "s", "s", "demo", measure, (Hypothesis("h", lambda table: table["ofset"] > 0),))
    with pytest.raises(KeyError, match=r"demo.toml: parameters and levels must hold 'ofset'.*did you mean 'offset'"):
        misspelt.check(ladder=LADDER)


def test_progress_is_handed_on_where_it_is_asked_for():
    seen = []

    def asks(ladder, levels, progress=None):
        seen.append(progress)
        return measure(ladder, levels)

    Claim("DEMO-1", "s", "s", "demo", asks).check(ladder=LADDER, quick=True, progress=False)
    assert seen == [False]


def test_the_ladder_is_found_by_path(tmp_path):
    path = tmp_path / "other.toml"
    path.write_text(TOML, encoding="utf-8")
    assert CLAIM.check(ladder=path).ladder == "other"


def test_a_ladder_of_other_claims_is_refused():
    other = Claim("DEMO-2", "s", "s", "demo", measure)
    with pytest.raises(ValueError, match=r"a ladder for DEMO-2 must name it in id \(got demo.toml with \['DEMO-1'\]\)"):
        other.check(ladder=LADDER)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], r"measure of DEMO-1 must give Measurements \(got nothing\)"),
        ([2.0], r"measure of DEMO-1 must give Measurements \(got float\)"),
        ([claims.Measurement("other", 1.0, 1.0, tolerance=0.1)], r"expected in demo.toml must be measured .*'order'"),
    ],
)
def test_a_measure_that_leaves_something_out_is_refused(made, message):
    with pytest.raises(ValueError, match=message):
        Claim("DEMO-1", "s", "s", "demo", lambda ladder, levels: made).check(ladder=LADDER)


def test_a_quantity_may_carry_its_case():
    def cases(ladder, levels):
        return [ladder.expected["order"].measured(-2.0, case=f"d = {dim}") for dim in (1, 2)]

    verdict = Claim("DEMO-1", "s", "s", "demo", cases).check(ladder=LADDER)
    assert [row[0] for row in verdict.rows()] == ["order, d = 1", "order, d = 2"]


def test_ids_are_checked():
    with pytest.raises(ValueError, match=r"id must look like PME-1 \(got 'pme1'\)"):
        Claim("pme1", "s", "s", "demo", measure)


@pytest.fixture
def registry(monkeypatch):
    module = types.ModuleType("demo_claims")
    module.CLAIMS = (CLAIM, Claim("DEMO-2", "s", "s", "demo", measure))
    monkeypatch.setitem(sys.modules, "demo_claims", module)
    return Registry({"DEMO": "demo_claims", "LATER": "no_module_of_this_name"})


def test_registry_imports_only_the_section_asked_for(registry):
    assert registry.get("DEMO-1") is CLAIM
    with pytest.raises(ModuleNotFoundError):
        registry.all()
    with pytest.raises(ValueError, match=r"must be in section DEMO \(got 'DEMO-3'\); did you mean 'DEMO-"):
        registry.get("DEMO-3")
    with pytest.raises(ValueError, match=r"must start with a known section \(got 'DEMA-1'\); did you mean 'DEMO'"):
        registry.get("DEMA-1")
    assert [claim.id for claim in Registry({"DEMO": "demo_claims"}).all()] == ["DEMO-1", "DEMO-2"]


def test_registry_refuses_a_section_with_an_id_twice(registry):
    sys.modules["demo_claims"].CLAIMS = (CLAIM, CLAIM)
    with pytest.raises(ValueError, match=r"demo_claims.CLAIMS must hold claims of DEMO, each id once"):
        registry.get("DEMO-1")


def test_every_claim_of_the_package_is_listed_in_its_ladder():
    for claim in claims.all():
        assert claim.id in claims.load_ladder(claim.ladder).id, claim
        assert claims.get(claim.id) is claim
