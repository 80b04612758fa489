"""Claims on the kernelised flow: hypotheses, that they can fail, and the data they rest on."""

import numpy as np
import pytest

from meanfield import claims
from meanfield.claims import Ladder, Outcome, kernelised, kernelised_runs, load_ladder
from meanfield.claims.kernelised_runs import loss_of, one_run, rough, window_of
from meanfield.geometries import Kernelised
from meanfield.torus import SobolevKernel


def small(name, **changes):
    """A ladder that takes a moment."""
    ladder = load_ladder(name)
    return ladder.with_parameters(**changes)


@pytest.mark.parametrize(
    ("claim", "changes"),
    [("KPM-1", {"amplitude": 1.0}), ("KPM-2", {"amplitude": 0.01}), ("KPM-3", {"amplitude": 1.5}),
     ("KPM-3", {"n": 256}), ("KPM-3", {"length": 0.1}), ("KPM-4", {"amplitude": 2})],
)  # fmt: skip
def test_outside_its_hypotheses_a_claim_says_nothing(claim, changes):
    claim = claims.get(claim)
    verdict = claim.check(quick=True, ladder=small(claim.ladder, **changes))
    assert verdict.outcome is Outcome.HYPOTHESES_NOT_MET


@pytest.mark.parametrize("wrong", [1.0002, 0.9998])
def test_a_kernel_off_by_little_is_violated(monkeypatch, wrong):
    """KPM-2 sees a rate that is off by 2e-4, on either side."""

    class Off(SobolevKernel):
        def spectrum(self, squared_wavenumber):
            return wrong * super().spectrum(squared_wavenumber)

    monkeypatch.setattr(kernelised_runs, "SobolevKernel", Off)
    verdict = claims.get("KPM-2").check(quick=True, ladder=small("kernelised_modes", lengths=[0.1], losses=["L2"]))
    assert verdict.outcome is Outcome.VIOLATED, str(verdict)


def test_a_kernel_of_another_order_is_violated(monkeypatch):
    """KPM-3 sees a tenth of an order."""
    ladder = small("kernelised_algebraic", losses=["L2"], n=1024, tolerance=1e-6)
    text = ladder.to_toml().replace("seeds = 4", "seeds = 2")
    ladder = Ladder.from_toml(text, name=ladder.name)
    claim = claims.get("KPM-3")
    assert claim.check(quick=True, ladder=ladder).outcome is Outcome.CONFIRMED

    def flow(name, torus, *, order, length, loss_order=0.0):
        kernel = SobolevKernel(order + 0.1, length)
        return kernelised.GradientFlow(loss_of(name, torus, loss_order), Kernelised(kernel))

    monkeypatch.setattr(kernelised, "kernelised", flow)
    verdict = claim.check(quick=True, ladder=ladder)
    assert verdict.outcome is Outcome.VIOLATED, str(verdict)


def test_a_kernel_of_first_order_in_its_length_is_violated(monkeypatch):
    """KPM-4: with ε in place of ε² in the kernel the distance to porous media is of order one."""

    class First(SobolevKernel):
        def spectrum(self, squared_wavenumber):
            return (1.0 + 0.01 * self.length * squared_wavenumber) ** -self.order

    monkeypatch.setattr(kernelised_runs, "SobolevKernel", First)
    verdict = claims.get("KPM-4").check(quick=True, ladder=small("kernelised_limit", n=128, orders=[1]))
    assert verdict.outcome is Outcome.VIOLATED, str(verdict)


def test_a_dissipation_off_by_little_is_violated(monkeypatch):
    norm = Kernelised.squared_norm
    monkeypatch.setattr(Kernelised, "squared_norm", lambda *a: (1 + 1e-9) * norm(*a))
    quickly = {"losses": ["L2"], "n_in_time": 24, "n_in_space": [24, 12, 8]}
    verdict = claims.get("KPM-1").check(quick=True, ladder=small("kernelised_dissipation", **quickly))
    bad = {m.quantity.partition(",")[0] for m in verdict.measurements if m.outcome is Outcome.VIOLATED}
    assert "relative defect of ⟨δℓ" in bad, str(verdict)


@pytest.mark.parametrize(("n", "dim"), [(64, 1), (65, 1), (24, 2), (12, 3)])
def test_rough_data_have_the_spectrum_they_promise(n, dim):
    rho = rough(n, 0.75, 0.3, seed=1, dim=dim)
    torus = rho.torus
    assert rho.mass == pytest.approx(1, rel=1e-14)
    assert np.abs(rho.values - 1).max() == pytest.approx(0.3, rel=1e-12)
    modulus = np.abs(torus.coefficients(rho.values))
    k = np.sqrt(torus.squared_wavenumber) / (2 * np.pi)
    frequencies = np.broadcast_arrays(*np.meshgrid(*[np.abs(np.fft.fftfreq(n, 1 / n))] * dim, indexing="ij"))
    inside = np.all([3 * f < n for f in frequencies], axis=0)[..., : n // 2 + 1] & (k > 0)
    scaled = modulus[inside] * k[inside] ** (0.75 + dim / 2)
    assert np.ptp(scaled) <= 1e-10 * scaled.max()
    assert modulus[~inside & (k > 0)].max(initial=0) <= 1e-15
    assert not np.array_equal(rho.values, rough(n, 0.75, 0.3, seed=2, dim=dim).values)
    mirrored = rough(n, 0.75, -0.3, seed=1, dim=dim)
    np.testing.assert_allclose(mirrored.values - 1, 1 - rho.values, rtol=0, atol=1e-15)


def test_the_window_is_that_of_the_rule():
    """k_c = t^{1/(2s−2)}/2π from 5 to k_max/20 for ε = 1."""
    for s in (1.5, 2, 2.5):
        cut = [t ** (1 / (2 * s - 2)) / (2 * np.pi) for t in window_of(2048, order=s, length=1.0)]
        assert cut == pytest.approx([5, 682 / 20], rel=1e-13)


def test_names_of_a_run_are_refused_with_the_others():
    p = dict(load_ladder("kernelised_porous_medium").parameters)
    for change, names in (
        ({"loss": "MMD"}, r"loss must be one of L2, KL, Sobolev \(got 'MMD'\)"),
        ({"data": "sine"}, "data must be one of rough, cosine"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"saves": 3}, "saves must be at least 20"),
    ):
        with pytest.raises(ValueError, match=names):
            one_run(p | change, 64)
