"""Every behaviour, as ``netlab verify`` measures it; and that it sees what is not as declared."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from typing import TYPE_CHECKING

import pytest

from netlab.cli import main
from netlab.lab.lab import Lab
from netlab.topology import loads, presets
from netlab.topology.nat import DEPENDENCES, Translator
from netlab.verify import verify
from netlab.verify.measure import measured
from netlab.verify.probe import one_cpu

if TYPE_CHECKING:
    from netlab.topology.model import Topology

pytestmark = pytest.mark.kernel

ONE = (IPv4Address("203.0.113.1"),)
THREE = tuple(ONE[0] + i for i in range(3))

PAIRS = [
    Translator(
        "wan",
        ONE,
        mapping,
        filtering,
        ports="random" if mapping == DEPENDENCES[2] else "preserve",
    )
    for mapping in DEPENDENCES
    for filtering in DEPENDENCES
]
OTHERS = [
    Translator("wan", ONE, hairpinning=True, unknown_protocols="leak", unsolicited="reset"),
    Translator("wan", ONE, unknown_protocols="drop", icmp_errors=False, ports="random"),
    Translator("wan", ONE, "address-dependent", hairpinning=True, ports="preserve-parity"),
    Translator("wan", ONE, port_range=(50000, 50099)),
    Translator("wan", ONE, sessions_per_subscriber=12),
    Translator("wan", THREE, hairpinning=True, unknown_protocols="pool"),
    Translator("wan", THREE[::2], "address-dependent", pooling="arbitrary"),
]


NAT = """
nodes:
  one: {}
  two: {}
  lan: {kind: bridge, subnet: 10.0.0.0/24}
  nat: {kind: nat, outside: wan}
  server: {}
links:
  - [one:eth0, lan]
  - [two:eth0, lan]
  - [nat:lan, lan]
  - {ends: [nat:wan, server:eth0], subnet: 192.0.2.0/24}
"""


def lab_of(nat: Translator) -> Topology:
    """A NAT in a lab of the usual form."""
    topology = loads(NAT)
    addresses = tuple(IPv4Address("192.0.2.1") + i for i in range(len(nat.addresses)))
    nodes = []
    for node in topology.nodes:
        if node.name == "nat":
            lan, wan = node.interfaces
            own = tuple(IPv4Interface((a, 24)) for a in addresses)
            made = replace(nat, outside="wan", addresses=addresses)
            nodes.append(replace(node, nat=(made,), interfaces=(lan, replace(wan, addresses=own))))
        else:
            nodes.append(node)
    return replace(topology, nodes=tuple(nodes))


@pytest.mark.parametrize("nat", PAIRS + OTHERS, ids=str)
def test_a_nat_is_what_it_is_declared_to_be(netlab_state, nat):
    checks = verify(lab_of(nat))
    assert [c for c in checks if not c.ok] == []
    assert len(checks) > 18


@pytest.mark.parametrize("preset", presets.names())
def test_a_preset_is_what_it_says(netlab_state, preset):
    checks = verify(loads(NAT.replace("outside: wan", f"outside: wan, nat: {{preset: {preset}}}")))
    assert [c for c in checks if not c.ok] == []


def test_plain_masquerade_is_what_the_kernel_documents(netlab_state):
    checks = verify(loads(NAT))
    assert [c for c in checks if not c.ok] == []


FILE = """
nodes:
  client: {}
  router: {kind: router, middleboxes: [ecn-bleach]}
  nat: {kind: nat, outside: wan}
  server: {}
links:
  - [client:eth0, router:a]
  - [router:b, nat:lan]
  - [nat:wan, server:eth0]
"""


def test_verify_prints_each_check(netlab_state, tmp_path, capsys):
    file = tmp_path / "lab.yaml"
    file.write_text(FILE)
    assert main(["verify", "--json", str(file)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert {c["verdict"] for c in report["checks"]} == {"as declared"}
    assert {c["node"] for c in report["checks"]} == {"router", "nat"}
    (check,) = [c for c in report["checks"] if c["property"] == "ecn-bleach: ECN 2, ECT(0)"]
    assert check["declared"] == check["measured"] == "ecn 0, dscp same"
    assert check["how"] == "1 packets sent, 1 came out"
    assert "RFC 3168" in check["source"]


def test_a_nat_that_is_something_else_is_found_out(netlab_state, monkeypatch, tmp_path, capsys):
    from netlab.plan import nat

    honest = nat.translate

    def dishonest(chains, translator, *more):
        honest(chains, replace(translator, filtering="endpoint-independent"), *more)

    monkeypatch.setattr(nat, "translate", dishonest)
    text = FILE.replace("outside: wan", "outside: wan, nat: {preset: home-router}")
    wrong = {c.name for c in verify(loads(text)) if c.is_otherwise}
    assert wrong == {"filtering udp", "filtering tcp"}
    file = tmp_path / "lab.yaml"
    file.write_text(text)
    assert main(["verify", str(file)]) == 1
    assert "2 of them not as declared" in capsys.readouterr().out


WALL = """
nodes:
  desk: {}
  wall:
    kind: router
    firewall:
      forward: drop
      input: drop
      rules:
        - accept established
        - accept from a to web tcp/80
        - reject from a tcp/25
        - drop input from a udp/53
        - accept input from a icmp
  web: {}
links:
  - [desk:eth0, wall:a]
  - [wall:b, web:eth0]
"""


def test_each_rule_of_a_firewall_has_a_row(netlab_state):
    checks = verify(loads(WALL))
    assert {c.name: c.measured for c in checks} == {
        "firewall: accept established": "passes",
        "firewall: accept from a to web tcp/80": "passes",
        "firewall: reject from a tcp/25": "refused",
        "firewall: drop input from a udp/53": "nothing comes back",
        "firewall: accept input from a icmp": "an answer",
        "firewall: forward policy drop": "nothing comes back",
        "firewall: input policy drop": "nothing comes back",
    }
    assert all(c.ok for c in checks)


def test_what_is_declared_and_not_measured_has_an_exit_code(netlab_state, tmp_path, capsys):
    file = tmp_path / "lab.yaml"
    text = FILE.replace("[ecn-bleach]", "[{kind: every-nth, n: 5000}]")
    file.write_text(text.replace("kind: nat, outside: wan", "kind: router"))
    assert main(["verify", str(file)]) == 3
    assert "1 not measured" in capsys.readouterr().out
    assert main(["verify", "--allow-unmeasured", str(file)]) == 0


def test_a_running_lab_is_measured_and_left_as_it_is(netlab_state):
    with (
        one_cpu(),
        Lab(loads(NAT.replace("outside: wan", "outside: wan, nat: {preset: home-router}"))) as lab,
    ):
        topology = loads(NAT.replace("outside: wan", "outside: wan, nat: {preset: home-router}"))
        before = [node.run(["ip", "-br", "address"]).stdout for node in lab]
        checks = list(measured(lab, topology, own=False))
        assert [c for c in checks if c.is_otherwise] == []
        assert all("running lab" in c.why or "of its own" in c.why for c in checks if c.why)
        assert [node.run(["ip", "-br", "address"]).stdout for node in lab] == before
        # Behind the lab's back: UDP is forgotten after a second.
        lab["nat"].run(
            ["sysctl", "-w", "net.netfilter.nf_conntrack_udp_timeout=1",
             "net.netfilter.nf_conntrack_udp_timeout_stream=1"], check=True)  # fmt: skip
        wrong = [c.name for c in measured(lab, topology, own=False) if c.is_otherwise]
        assert wrong == ["udp timeout, 120 s"]
