"""Ladders: every broken rule is refused in one line with file and key; text and object round-trip."""

import pickle
import tomllib

import pytest

from meanfield._share_paths import shared_folder
from meanfield.claims import Ladder, RateFit, Relation, expectation, ladder, ladder_names, load_ladder

GOOD = """
id = ["PME-1", "PME-2"]
title = "a title with \\"quotes\\" and ρ"
source = "Vázquez 2007"
seeds = 12
reference = {n = 2048, dt = 1e-5}

[levels]
n = [16, 32, 64, 128]
dt = [0.001, 0.002, 0.004]
quick = {n = [16, 64, 128], dt = [0.001]}

[parameters]
exponent = 3
coefficient = 0.3333333333333333
names = ["a", "b"]
nested = {on = true, level = 1e-9}

[expected."L1 order"]
slope = -1.8
relation = "<="
tolerance = 0.0
source = "§3"

[expected.rate]
value = 78.95683520871486
tolerance = 0.005
relative = true
rivals = [39.5, 157.9]
source = "8π²"

[expected.defect]
bound = 1e-8
tolerance = 0.0
source = "§0"

[expected.mass]
rounding = 100
scale = 2.0
source = "finite volumes"
"""


def read(text):
    return Ladder.from_toml(text, name="wave")


def test_reads_every_key():
    ladder = read(GOOD)
    assert ladder.id == ("PME-1", "PME-2")
    assert ladder.level_set() == {"n": [16, 32, 64, 128], "dt": [0.001, 0.002, 0.004]}
    assert ladder.level_set(quick=True) == {"n": [16, 64, 128], "dt": [0.001]}
    assert ladder.parameters["nested"]["level"] == 1e-9
    assert (ladder.seeds, ladder.exact, dict(ladder.reference)) == (12, False, {"n": 2048, "dt": 1e-5})
    assert ladder.expected["L1 order"].relation is Relation.AT_MOST
    assert ladder.expected["defect"].relation is Relation.AT_MOST
    assert repr(ladder) == "Ladder(wave: PME-1 PME-2, n = 16, 32, 64, 128, dt = 0.001, 0.002, 0.004)"


def test_text_and_object_round_trip():
    ladder = read(GOOD)
    text = ladder.to_toml()
    assert read(text) == ladder
    assert read(text).to_toml() == text
    assert read(text.replace("0.004", "0.005")) != ladder
    assert pickle.loads(pickle.dumps(ladder)) == ladder


def test_a_reader_of_the_text_needs_no_library():
    assert tomllib.loads(read(GOOD).to_toml())["expected"]["rate"]["value"] == 78.95683520871486


def test_it_is_read_only_and_misspelt_names_are_answered():
    ladder = read(GOOD)
    with pytest.raises(TypeError):
        ladder.parameters["exponent"] = 2
    with pytest.raises(KeyError, match=r"wave.toml: parameters must hold 'exponant'.*did you mean 'exponent'"):
        ladder.parameters["exponant"]
    with pytest.raises(KeyError, match=r"wave.toml: expected must hold 'L1 ordre'.*did you mean 'L1 order'"):
        ladder.expected["L1 ordre"]


def test_parameters_can_be_changed_but_not_added():
    ladder = read(GOOD)
    assert ladder.with_parameters(exponent=2).parameters["exponent"] == 2
    assert ladder.parameters["exponent"] == 3
    with pytest.raises(ValueError, match=r"wave.toml: parameters .*unknown key 'exponnt'.*did you mean 'exponent'"):
        ladder.with_parameters(exponnt=2)


BROKEN = [
    (
        "seeds = 12",
        "seed = 12",
        r"wave.toml must have known keys only \(got unknown key 'seed'\); did you mean 'seeds'",
    ),
    ('source = "Vázquez 2007"', "", r"wave.toml must have the key 'source'"),
    ("[16, 32, 64, 128]", "[16, 64, 32, 128]", r"levels.n must increase strictly \(got 64 before 32\)"),
    ("[16, 32, 64, 128]", "[16, 32, 32, 128]", r"levels.n must increase strictly \(got 32 before 32\)"),
    ("[16, 32, 64, 128]", "[16, nan, 64, 128]", r"levels.n must be finite \(got nan\)"),
    ("{n = [16, 64, 128], dt", "{n = [16, 63, 128], dt", r"levels.quick.n must be levels of n \(got 63\)"),
    ("{n = [16, 64, 128], dt", "{m = [16, 64, 128], dt", r"levels.quick .*unknown key 'm'"),
    (", dt = [0.001]}", "}", r"levels.quick must have the key 'dt'"),
    ("quick = {n = [16, 64, 128], dt = [0.001]}", "", r"wave.toml: levels must have the key 'quick'"),
    ("exponent = 3", "n = 3", r"a name must be an axis or a parameter \(got both for \['n'\]\)"),
    ("seeds = 12", "seeds = 1", r"wave.toml: seeds must be at least 2"),
    ("n = 2048", "n = 1024", r"reference.n must be at least 16 times finer .*1024.*use 2048 or 1\)?"),
    ("dt = 1e-5", "dt = 1e-4", r"reference.dt must be at least 16 times finer"),
    ("n = 2048", "k = 2048", r"reference .*unknown key 'k'"),
    ("reference = {n = 2048, dt = 1e-5}", "", r"slope must be measured against a reference level or a formula"),
    ('["PME-1", "PME-2"]', '["PME1"]', r"wave.toml: id must be claim ids like PME-1 \(got 'PME1'\)"),
    ("slope = -1.8", "slop = -1.8", r"expected.L1 order must have exactly one of slope, value"),
    ("slope = -1.8", "slope = -1.8\nvalue = 1.0", r"exactly one of .*\(got \['slope', 'value'\]\)"),
    ('relation = "<="', 'relation = "<"', r"expected.L1 order.relation must be one of =, <=, >="),
    ("bound = 1e-8", 'bound = 1e-8\nrelation = "="', r"expected.defect.relation must be <= or >= for a bound"),
    ("tolerance = 0.005", "tolerence = 0.005", r"expected.rate .*'tolerence'\); did you mean 'tolerance'"),
    ("tolerance = 0.005", "tolerance = 0.0", r"expected.rate: .*tolerance must be > 0"),
    ("tolerance = 0.005", "tolerance = -0.1", r"expected.rate: .*must be ≥ 0"),
    ("rivals = [39.5, 157.9]", "rivals = [79.0]", r"expected.rate: rivals .*must lie outside"),
    ("rounding = 100", "rounding = 100\ntolerance = 0.1", r"expected.mass .*unknown key 'tolerance'"),
    ("exponent = 3", "exponent = = 3", r"wave.toml must be valid TOML"),
]


@pytest.mark.parametrize(("before", "after", "message"), BROKEN)
def test_a_broken_rule_names_file_and_key(before, after, message):
    assert GOOD.count(before) >= 1
    with pytest.raises(ValueError, match=message) as caught:
        read(GOOD.replace(before, after, 1))
    assert "wave.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("[16, 32, 64, 128]", '["16", 32]', r"levels.n must be a number \(got str '16'\)"),
        ("[16, 32, 64, 128]", "16", r"levels.n must be a list of numbers \(got 16\)"),
        ("seeds = 12", "seeds = 1.5", r"wave.toml: seeds must be an integer \(got float 1.5\)"),
        ("seeds = 12", "exact = 1", r"wave.toml: exact must be true or false \(got int 1\)"),
        ("{n = 2048, dt = 1e-5}", "2048", r"wave.toml: reference must be a table \(got 2048\); .*\{n = 4096\}"),
        ("exponent = 3", "exponent = 2020-01-01", r"parameters.exponent must hold numbers, texts.*got date"),
        ("value = 78.95683520871486", 'value = "78"', r"expected.rate.value must be a number"),
        ('["PME-1", "PME-2"]', '"PME-1"', r"id must be a list of claim ids"),
        ("{n = [16, 64, 128], dt = [0.001]}", "[16]", r"levels.quick must be a list for one axis, a table"),
    ],
)
def test_a_wrong_type_names_file_and_key(before, after, message):
    with pytest.raises(TypeError, match=message):
        read(GOOD.replace(before, after, 1))


SMALL = """
id = ["PME-1"]
title = "t"
source = "s"
exact = true
levels = {n = [16, 32, 64], quick = [16, 32]}
parameters = {}
expected.order = {slope = -2, tolerance = 0.1, source = "s"}
"""


def test_one_axis_takes_plain_lists_and_numbers():
    assert read(SMALL).level_set(quick=True) == {"n": [16, 32]}
    with_reference = read(SMALL.replace("exact = true", "reference = 1024"))
    assert dict(with_reference.reference) == {"n": 1024}
    assert read(with_reference.to_toml()) == with_reference


def test_a_slope_brings_its_interval_and_rivals():
    fit = RateFit(-2.03, (-2.06, -2.0), (16, 64), None)
    measurement = read(SMALL).expected["order"].measured(fit, case="m = 2")
    assert measurement.quantity == "order, m = 2"
    assert measurement.interval == (-2.06, -2.0)
    assert measurement.rivals == (-2.5, -1.5)


def test_a_relative_tolerance_follows_theory():
    rate = read(GOOD).expected["rate"]
    assert rate.measured(79.0).tolerance == pytest.approx(0.005 * 78.95683520871486, rel=1e-15)
    assert read(GOOD.replace("rivals = [39.5, 157.9]", "")).expected["rate"].measured(40, theory=40).tolerance == 0.2


def test_load_ladder_by_path_and_by_name(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    assert load_ladder(path) == load_ladder(str(path)) == Ladder.from_toml(SMALL, name="small")
    with pytest.raises(ValueError, match=r"a ladder's path must exist"):
        load_ladder(tmp_path / "smal.toml")
    with pytest.raises(ValueError, match=r"a ladder must be in grids/ \(got 'no_such_ladder'\)"):
        load_ladder("no_such_ladder")


@pytest.mark.parametrize("name", ladder_names())
def test_every_ladder_of_the_package_is_valid_and_round_trips(name):
    ladder = load_ladder(name)
    assert Ladder.from_toml(ladder.to_toml(), name=name) == ladder


def test_the_readme_documents_every_key():
    readme = (shared_folder("grids") / "README.md").read_text(encoding="utf-8")
    keys = {*ladder._REQUIRED, *ladder._OPTIONAL, "levels.quick", *expectation.KINDS}
    keys |= {"relation", "tolerance", "relative", "rivals", "scale", "source"}
    assert {key for key in keys if f"| `{key}` |" not in readme} == set()
    example = readme.split("```toml\n")[1].split("```")[0]
    assert Ladder.from_toml(example, name="example").expected["decay rate"].relative
    assert f"at least {ladder.REFERENCE_FACTOR} times finer" in readme
