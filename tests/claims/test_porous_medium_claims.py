"""Every claim stated so far, on its quick levels; on all levels under the marker ``ladder``; and that they can fail."""

import numpy as np
import pytest

from meanfield import claims
from meanfield.claims import Ladder, Outcome, load_ladder, porous_medium
from meanfield.torus import Torus

CLAIMS = claims.all()


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_is_confirmed_on_its_quick_levels(claim):
    verdict = claim.check(quick=True, progress=False)
    assert verdict.outcome is Outcome.CONFIRMED, str(verdict)


@pytest.mark.ladder
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_is_confirmed_on_its_whole_ladder(claim):
    verdict = claim.check(progress=False)
    assert verdict.outcome is Outcome.CONFIRMED, str(verdict)


@pytest.mark.parametrize("claim_id", ["PME-1", "PME-4", "FLOW-1"])
def test_outside_its_hypotheses_a_claim_says_nothing(claim_id):
    claim = claims.get(claim_id)
    ladder = load_ladder(claim.ladder)
    name = "amplitude_time" if claim_id == "PME-1" else "amplitude"
    verdict = claim.check(quick=True, ladder=ladder.with_parameters(**{name: 1.5}))
    assert verdict.outcome is Outcome.HYPOTHESES_NOT_MET


def test_a_wrong_decay_rate_is_violated(monkeypatch):
    """Data without the first mode decay four times faster."""

    def second_mode(n, amplitude, mean=1.0, dim=1):
        return Torus(int(n)).density(lambda x: mean * (1 + amplitude * np.cos(4 * np.pi * x)))

    monkeypatch.setattr(porous_medium, "cosine", second_mode)
    ladder = load_ladder("porous_medium_decay").with_parameters(decades=0.7)
    verdict = claims.get("PME-4").check(quick=True, ladder=ladder)
    assert verdict.outcome is Outcome.VIOLATED, str(verdict)


def test_a_wrong_order_is_violated():
    claim = claims.get("PME-1")
    text = load_ladder(claim.ladder).to_toml().replace("slope = -3", "slope = -4")
    verdict = claim.check(quick=True, ladder=Ladder.from_toml(text, name=claim.ladder), progress=False)
    bad = [m.quantity for m in verdict.measurements if m.outcome is not Outcome.CONFIRMED]
    assert bad == ["order of SSPRK3"], str(verdict)
