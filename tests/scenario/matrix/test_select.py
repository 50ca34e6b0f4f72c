import pytest

from netlab.errors import InputError
from netlab.scenario.matrix.select import narrow, select


def chosen(scenario, only):
    found = select(scenario.steps[0].action, only)
    return list(found.traffic), [obstacle.name for obstacle in found.obstacles]


def test_both_sides(scenario):
    assert chosen(scenario, "udp,*-tcp x hotel,cl*") == (
        ["udp", "kernel-tcp", "our-tcp", "stateless-tcp"],
        ["cloud", "hotel"],
    )


def test_without_a_cross_a_name_is_looked_for_on_both_sides(scenario):
    assert chosen(scenario, "hotel, udp") == (["udp"], ["hotel"])


def test_one_side_alone(scenario):
    traffic, obstacles = chosen(scenario, "hotel")
    assert len(traffic) == len(scenario.steps[0].action.traffic)
    assert obstacles == ["hotel"]
    assert chosen(scenario, "udp x ")[1] == chosen(scenario, "*")[1]
    assert chosen(scenario, " x hotel") == (traffic, obstacles)


@pytest.mark.parametrize(
    ("only", "word", "hint"),
    [
        ("upd", "upd", "did you mean `udp`?"),
        ("udp,hotle", "hotle", "did you mean `hotel`?"),
        ("hotel x udp", "hotel", "known here: dccp-shaped"),
        ("udp x hotel,x*y", "x*y", "known here"),
    ],
)
def test_a_word_that_names_nothing(scenario, only, word, hint):
    with pytest.raises(InputError) as raised:
        chosen(scenario, only)
    [diagnostic] = raised.value.diagnostics
    assert diagnostic.code == "E915"
    assert f"`{word}`" in diagnostic.message
    assert diagnostic.hint.startswith(hint)


def test_what_is_expected_is_narrowed_along(scenario):
    step = scenario.steps[0]
    narrowed = narrow(step, select(step.action, "udp,hdp x allow-list,linux"))
    table = narrowed.expected.table
    assert table
    assert table.columns == ("obstacle", "udp", "hdp")
    assert table.rows == (("allow-list", "3", "0 denied"), ("linux", "3", "3"))
    assert narrow(step, select(step.action, "*")) == step
