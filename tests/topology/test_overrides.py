from __future__ import annotations

import pytest

from netlab.errors import InputError
from netlab.topology import load
from netlab.topology.nat import Translator

FILE = """\
nodes:
  client: {}
  nat: {kind: nat, outside: wan}
  server: {}
links:
  - [client:eth0, nat:lan]
  - [nat:wan, server:eth0]
"""


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "amend.yaml"
    made.write_text(FILE)
    return made


def test_values_stand_in_for_those_of_the_file(file):
    (nat,) = (
        load(file, {"nat.nat.mapping": "address-dependent", "nat.nat.timeouts.udp": "7"})
        .node("nat")
        .nat
    )
    assert isinstance(nat, Translator)
    assert nat.origin is not None
    assert (nat.mapping, nat.timeouts.udp) == ("address-dependent", 7)
    assert nat.origin.line == 3


def test_without_values_the_file_is_what_it_is(file):
    assert load(file, {}) == load(file)


@pytest.mark.parametrize(
    ("path", "value", "code", "hint"),
    [
        ("nta.nat.ports", "random", "E211", "did you mean `nat`?"),
        ("nat", "random", "E211", ""),
        ("nat.nat.ports", "[random]", "E211", "no list"),
        ("nat.nat.ports", "radnom", "E204", "did you mean `random`?"),
        ("nat.nat.prots", "random", "E201", "did you mean `ports`?"),
        ("nat.nat.hairpinning", "yes", "E202", ""),
    ],
)
def test_a_wrong_value_is_told_at_its_node(file, path, value, code, hint):
    with pytest.raises(InputError) as caught:
        load(file, {path: value})
    (problem,) = caught.value.diagnostics
    assert problem.code == code
    assert problem.position is not None
    assert problem.position.line == (3 if path.startswith("nat.") else 1)
    assert hint in problem.hint


def test_the_name_of_a_setting_has_dots(file):
    path = "client.sysctls.net.ipv4.conf.eth0.rp_filter"
    assert load(file, {path: "1"}).node("client").sysctls == (
        ("net.ipv4.conf.eth0.rp_filter", "1"),
    )
    with pytest.raises(InputError, match="did you mean `net"):
        load(file, {path[:-1]: "1"})
