from __future__ import annotations

from fractions import Fraction

import pytest

from netlab.middlebox.catalogue import CATALOGUE
from netlab.middlebox.parameters import Parameter, Unfit, read

KINDS = list(CATALOGUE.values())


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_every_kind_says_what_it_is(kind):
    assert (kind.rules is None) != (kind.box is None)
    assert kind.summary.endswith(".")
    assert kind.seen.endswith(".")
    assert kind.source
    assert kind.name == kind.name.lower()


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_every_default_is_a_value_that_a_file_could_give(kind):
    for p in kind.parameters:
        assert p.help
        assert p.required == (p.default is None)
        if p.default is not None:
            given = list(p.default) if isinstance(p.default, tuple) else p.default
            assert read(p, given) == p.default


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("every-nth", {"n": 1}, "n: 1 is less than 2"),
        ("every-nth", {"n": True}, "True is not a whole number"),
        ("every-nth", {"m": 3}, "no parameter 'm'"),
        ("seeded-loss", {}, "needs the parameter 'loss'"),
        ("seeded-loss", {"loss": "3/0"}, "'3/0' is not a share"),
        ("seeded-loss", {"loss": "200%"}, "'200%' is not between 0 and 1"),
        ("seeded-loss", {"loss": 1}, "loss: 1 has no unit"),
        ("impair", {"delay": "5"}, "delay: 5 has no unit"),
        ("impair", {"rate": 0.5}, "rate: 0.5 has no unit"),
        ("impair", {"delay": "50 parsecs"}, "'50 parsecs' is not a duration"),
        ("impair", {"rate": "-1"}, "is not a rate"),
        ("impair", {"direction": "up"}, "'up' is not one of both, outbound, inbound"),
        ("outbound-only", {"inside": 'x" accept; #'}, "characters that no name"),
        ("reset-on-payload", {"pattern": "x", "pass-it": "no"}, "is not a boolean"),
        ("payload-rewrite", {"find": ["a"], "replace": "b"}, "is not a text"),
    ],
)
def test_what_is_wrong_is_said(kind, given, said):
    problems = list(CATALOGUE[kind].problems(given))
    assert len(problems) == 1
    assert said in problems[0][1]


@pytest.mark.parametrize(
    ("type_", "given", "value"),
    [
        ("duration", "50ms", 0.05),
        ("duration", "2 min", 120.0),
        ("duration", 3, 3.0),
        ("rate", "10mbit", 1e7),
        ("rate", "64kbit", 64e3),
        ("share", "15%", Fraction(3, 20)),
        ("share", "3/20", Fraction(3, 20)),
        ("share", 0.25, Fraction(1, 4)),
        ("integers", 7, (7,)),
        ("words", ["tcp", 255], ("tcp", "255")),
    ],
)
def test_values_are_read(type_, given, value):
    assert read(Parameter("p", type_, "help"), given) == pytest.approx(value)


@pytest.mark.parametrize("given", [None, {}, "", "ms", "1..2ms", float("nan")])
def test_no_nonsense_is_a_duration(given):
    with pytest.raises(Unfit):
        read(Parameter("p", "duration", "help", least=0), given)
