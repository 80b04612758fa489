"""Input that does not fit a model is refused in one line that says what would fit."""

import re

import numpy as np
import pytest

import meanfield as mf
from meanfield.torus import Torus

FORM = re.compile(r"[^\n]+ \(got [^\n]+\); [^\n]+")
TWO, RES = mf.TwoLayer(3, mf.tanh), mf.ResNet(2, mf.tanh)
MU, NU = mf.ParticleMeasure(np.ones((5, 4))), mf.LayeredMeasure(np.ones((2, 5, 5)))
X, Y = np.ones((7, 3)), np.ones(7)
A, B = np.ones((7, 2)), np.ones((7, 2))
ONE = mf.ResNet(2, mf.tanh, readout=np.ones((1, 2)))
BAD = {
    "dimension 0": (lambda: mf.TwoLayer(0, mf.tanh), "dim must be at least 1"),
    "activation by name": (lambda: mf.ResNet(2, "tanh"), "activation must be an Activation"),
    "bias by number": (lambda: mf.TwoLayer(2, mf.tanh, 1), "bias must be True or False"),
    "packing": (lambda: TWO.predict(mf.ParticleMeasure(np.ones((5, 5))), X), r"\(m, 4\), packed \(a, w\) with w of 3"),
    "packing with bias": (lambda: mf.TwoLayer(3, mf.tanh, True).predict(MU, X), r"\(m, 5\), packed \(a, w, b\)"),
    "particles on a torus": (
        lambda: TWO.predict(mf.ParticleMeasure(np.ones((5, 1)), torus=Torus(8)), X), "ParticleMeasure on R",
    ),
    "layers for a two-layer network": (lambda: TWO.predict(NU, X), r"needs a ParticleMeasure on R\^p \(got Layered"),
    "points of another dimension": (lambda: TWO.predict(MU, A), r"points must have shape \(k, 3\)"),
    "one point as a vector": (lambda: TWO.predict(MU, X[0]), r"points must have shape \(k, 3\)"),
    "no points": (lambda: TWO.predict(MU, X[:0]), r"points must have shape \(k, 3\)"),
    "points not finite": (lambda: TWO.predict(MU, np.full((7, 3), np.nan)), "points must be finite"),
    "labels of another length": (lambda: TWO.risk(MU, X, Y[:3]), r"labels must have shape \(7,\)"),
    "labels as a column": (lambda: TWO.gradient(MU, X, Y[:, None]), r"labels must have shape \(7,\)"),
    "labels not finite": (lambda: TWO.risk(MU, X, np.inf * Y), "labels must be finite"),
    "labels that are no signs": (lambda: TWO.risk(MU, X, 0 * Y, mf.LogisticLoss()), "LogisticLoss needs labels -1"),
    "hinge too": (lambda: RES.gradient(NU, A, 2 * B, mf.HingeLoss()), "HingeLoss needs labels -1 and 1"),
    "loss by name": (lambda: TWO.risk(MU, X, Y, "square"), "loss must be a Loss"),
    "probe of another packing": (lambda: TWO.first_variation(MU, X, Y, np.ones((3, 3))), r"probe .* packed \(a, w\)"),
    "no probe": (lambda: TWO.first_variation(MU, X, Y, np.ones((0, 4))), r"probe must have shape \(k, 4\)"),
    "no derivative": (lambda: mf.ResNet(2, mf.Activation("step", np.sign)).gradient(NU, A, B), "with a derivative"),
    "no derivative in pairs": (
        lambda: mf.TwoLayer(3, mf.Activation("step", np.sign)).gradient_pairwise(MU, X, Y), "with a derivative",
    ),
    "layers of another packing": (lambda: mf.ResNet(3, mf.tanh).predict(NU, X), r"\(L, m, 7\), packed \(u, w, b\)"),
    "particles for a residual network": (lambda: RES.predict(MU, A), r"needs a LayeredMeasure \(got Particle"),
    "states of another dimension": (lambda: RES.states(NU, X), r"points must have shape \(k, 2\)"),
    "labels as a vector": (lambda: RES.risk(NU, A, Y), r"labels must have shape \(7, 2\)"),
    "labels of another dimension": (lambda: ONE.risk(NU, A, B), r"labels must have shape \(7, 1\)"),
    "lift that does not fit": (lambda: mf.ResNet(2, mf.tanh, lift=np.ones((3, 2))), r"lift must have .*\(2, d_in\)"),
    "lift as a vector": (lambda: mf.ResNet(2, mf.tanh, lift=np.ones(2)), r"lift must have .*\(2, d_in\)"),
    "readout": (lambda: mf.ResNet(2, mf.tanh, readout=np.ones((2, 3))), r"readout must have shape \(d_out, 2\)"),
    "lift not finite": (lambda: mf.ResNet(1, mf.tanh, lift=[[np.nan]]), "lift must be finite"),
    "layers of different width": (lambda: mf.LayeredMeasure([np.ones((2, 5)), np.ones((3, 5))]), "layers must have"),
    "no neurons": (lambda: mf.ParticleMeasure(np.ones((0, 4))), "N >= 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_refused_in_one_line(name):
    call, words = BAD[name]
    with pytest.raises((ValueError, TypeError), match=words) as info:
        call()
    assert FORM.fullmatch(str(info.value))


def test_networks_print_themselves():
    assert repr(TWO) == "TwoLayer(dim=3, activation=tanh, bias=False)"
    assert repr(ONE) == "ResNet(dim=2, activation=tanh, inputs=2, outputs=1)"
