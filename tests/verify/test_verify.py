"""Every behaviour, as ``netlab verify`` measures it; and that it sees what is not as declared."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netlab.cli import main
from netlab.middlebox.catalogue import CATALOGUE
from netlab.topology import loads
from netlab.topology.model import Box, Node
from netlab.topology.nat import DEPENDENCES, Translator
from netlab.verify import verify
from netlab.verify.nat import declaration, measure
from netlab.verify.path import check_link, check_node

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


@pytest.mark.parametrize("nat", PAIRS + OTHERS, ids=str)
def test_a_nat_is_what_it_is_declared_to_be(netlab_state, nat):
    declared, measured = declaration(nat), measure(nat)
    assert {name: measured[name] for name in declared} == declared


RULES = [k.name for k in CATALOGUE.values() if k.is_rules]
REQUIRED = {"seeded-loss": {"loss": "1/5"}, "outbound-only": {"inside": "a"}}


@pytest.mark.parametrize("kind", RULES)
def test_a_box_of_rules_does_what_the_catalogue_says(netlab_state, kind):
    box = Box(kind, tuple(REQUIRED.get(kind, {}).items()))
    checks = list(check_node(Node("router", "router", middleboxes=(box,))))
    assert [c for c in checks if not c.ok] == []


LINKED = """
nodes: {client: {}, server: {}}
links: [{ends: [client:eth0, server:eth0], %s}]
"""


@pytest.mark.parametrize(
    "text",
    [
        "loss: 20%, delay: 1ms, seed: 3",
        "duplicate: 1/2, jitter: 2ms",
        "middleboxes: [sequence-rewrite, {kind: option-remove, kinds: [4, 8]}]",
        "middleboxes: [{kind: mss-add, mss: 600}, {kind: duplicator, every: 3}]",
        'middleboxes: [{python: "tests/middlebox/every_second.py:EverySecond"}]',
    ],
)
def test_a_program_does_what_its_simulation_does(netlab_state, text):
    root = Path(__file__).parents[2]
    (link,) = loads(LINKED % text, str(root / "lab.yaml")).links
    checks = list(check_link(link))
    assert len(checks) == 2
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
    assert {
        "node": "router",
        "property": "ecn-bleach: changes",
        "declared": ["IP::ECN"],
        "measured": ["IP::ECN"],
        "ok": True,
    } in report["checks"]
    assert {c["node"] for c in report["checks"]} == {"router", "nat"}


def test_a_nat_that_is_something_else_is_found_out(netlab_state, monkeypatch, tmp_path, capsys):
    from netlab.plan import nat

    honest = nat.translate

    def dishonest(chains, translator, *more):
        honest(chains, replace(translator, filtering="endpoint-independent"), *more)

    monkeypatch.setattr(nat, "translate", dishonest)
    text = FILE.replace("outside: wan", "outside: wan, nat: {preset: home-router}")
    wrong = {c.name for c in verify(loads(text)) if not c.ok}
    assert wrong == {"filtering udp", "filtering tcp"}
    file = tmp_path / "lab.yaml"
    file.write_text(text)
    assert main(["verify", str(file)]) == 1
    assert "2 of them not as declared" in capsys.readouterr().out
