"""``pingall``: who reaches whom by name, and what became of the others' pings."""

import json
import os

import pytest

from netlab.lab.lab import Lab
from tests.helpers.commands import printed as netlab

pytestmark = pytest.mark.kernel


@pytest.fixture
def lab():
    """nat.yaml under a name of its own."""
    with Lab("topologies/nat.yaml", name=f"pingall-{os.getpid()}") as running:
        yield running.name


def test_every_pair_has_its_answer(lab):
    found = json.loads(netlab("pingall", lab, "--json", code=1).rpartition("}")[0] + "}")
    answered = {(pair["from"], pair["to"]): pair["answered"] for pair in found["pairs"]}
    assert len(answered) == 12
    assert [pair for pair, came in answered.items() if not came] == [
        ("router", "client"),
        ("router", "nat"),
        ("server", "client"),
        ("server", "nat"),
    ]


def test_a_ping_without_answer_gets_its_reason(lab):
    said = netlab("pingall", lab, code=1)
    assert "8 of 12 pings were answered" in said
    assert "router -> client (192.168.1.2)" in said
    assert "It never left: Network is unreachable." in said
    assert 'rule "unsolicited to the NAT" (nat.yaml:' in said


def test_all_answered_is_exit_code_0(tmp_path):
    file = tmp_path / "two.yaml"
    file.write_text("nodes: {a: , b: }\nlinks: [{ends: [a:eth0, b:eth0], subnet: 10.9.0.0/24}]\n")
    with Lab(str(file), name=f"pingall-two-{os.getpid()}") as two:
        assert "2 of 2 pings were answered" in netlab("pingall", two.name)


def test_a_lab_without_the_version_and_a_node_are_refused(lab):
    assert "E443" in netlab("pingall", lab, "-6", code=2)
    assert "E512" in netlab("pingall", f"{lab}/client", code=2)
