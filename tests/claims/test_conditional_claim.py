"""COT-1 can fail: a distance that keeps labels, or that lets mass change its layer, is found out."""

from meanfield.claims import Outcome, conditional, get, load_ladder

PARTICLES = {"layers": 3, "seeds": 1, "width_of_programme": 8}


def verdict(**parameters):
    return get("COT-1").check(quick=True, ladder=load_ladder("conditional_transport").with_parameters(**parameters))


def violated(**parameters):
    rows = verdict(**parameters).measurements
    return {row.quantity.split(", width")[0] for row in rows if row.outcome is Outcome.VIOLATED}


def test_a_distance_that_keeps_labels_is_found_out(monkeypatch):
    normal = conditional.normal
    monkeypatch.setattr(conditional, "conditional_wasserstein", conditional.labelled_distance)
    monkeypatch.setattr(conditional, "normal", lambda rng, shape, weighted=False: normal(rng, shape))
    assert "conditional over labelled distance, far apart" in violated(**PARTICLES)


def test_a_distance_that_lets_mass_change_its_layer_is_found_out(monkeypatch):
    monkeypatch.setattr(
        conditional,
        "conditional_wasserstein",
        lambda a, b: conditional.wasserstein(conditional.joint(a), conditional.joint(b)),
    )
    assert "joint W2 over conditional distance, layers exchanged" in violated(**PARTICLES)


def test_beyond_half_the_gap_nothing_is_said():
    assert verdict(nearby=0.6).outcome is Outcome.HYPOTHESES_NOT_MET


def test_beyond_half_the_gap_labels_may_be_exchanged(monkeypatch):
    """The hypothesis is needed: with moves of ten gaps the equality is lost."""
    moved = conditional.moved
    monkeypatch.setattr(conditional, "moved", lambda mu, rng, share: moved(mu, rng, 10.0))
    assert violated(**PARTICLES) == {"relative gap to the labelled distance, nearby"}
