"""``--pairs``: which pairs a text names, and the lab of each."""

import pytest

from netlab.errors import InputError
from netlab.scenario.meet.meet import topology_of
from netlab.scenario.meet.pairs import Pair, pairs, sides
from netlab.topology import presets


def test_the_classic_ten():
    found = pairs("classic")
    assert len(found) == 10
    assert found[-1] == Pair("symmetric", "symmetric")
    assert all(each.a in presets.names() and each.b in presets.names() for each in found)


def test_every_preset_with_every_other():
    assert len(pairs("presets")) == len(presets.names()) ** 2


def test_all_is_each_side_with_each():
    found = pairs("all")
    assert found[: len(pairs("presets"))] == pairs("presets")
    assert {frozenset(pair) for pair in found} == {
        frozenset((a, b)) for a in sides() for b in sides()
    }
    assert len(found) == len({*found})
    assert {"none", "nat64", "ipv6-firewall", "home-router+carrier-grade"} < {e.a for e in found}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("symmetric", ["symmetric:symmetric"]),
        ("symmetric:none, none", ["symmetric:none", "none:none"]),
        ("port-restricted:address-restricted", ["home-router:restricted-cone"]),
        ("none:*cone", ["none:full-cone", "none:restricted-cone"]),
        ("none,none", ["none:none"]),
        ("cloud+hotel:none", ["cloud+hotel:none"]),
    ],
)
def test_a_list(text, expected):
    assert [str(pair) for pair in pairs(text)] == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("symetric", "did you mean `symmetric`"),
        ("none:zzzzzz", "sides: carrier-grade"),
        ("none:", "nothing is called ``"),
        (" , ", "names no pair"),
        ("cloud+nowhere", "nothing is called `cloud+nowhere`"),
    ],
)
def test_what_names_nothing_is_refused(text, said):
    with pytest.raises(InputError) as caught:
        pairs(text)
    assert "E931" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", sides())
def test_each_side_is_a_topology_on_either_side(name):
    for pair in (Pair(name, "nat64"), Pair("nat64", name)):
        names = [node.name for node in topology_of(pair).nodes]
        assert {"anna", "boris", "server", "internet"} <= {*names}
