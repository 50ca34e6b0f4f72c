"""The walk through a plan, without any packet; and beside real ones."""

from __future__ import annotations

import socket

import pytest

from netlab.fate import ruleset
from netlab.fate.disposition import Disposition as End
from netlab.fate.predict import Question, divergence, predict
from netlab.lab import Lab
from netlab.plan.build import build
from netlab.topology import loads
from tests.fate.causes import CAUSES, TOPOLOGY

SERVER = "198.51.100.2"
PARTS = ("client", "nat", "router", "server", "link")


def plan(**parts: str):
    filled = {"client": "{}", "nat": "", "router": "", "server": "{}", "link": "", **parts}
    return build(loads(TOPOLOGY.format(**filled), "lab.yaml"))


@pytest.mark.parametrize(
    ("parts", "question", "end", "node", "text"),
    [
        ({}, Question("client", SERVER, 255), End.DELIVERED, "server", "reaches"),
        ({}, Question("client", "192.0.2.1", 17, 80), End.NO_ROUTE, "router", "no route"),
        ({}, Question("server", "192.0.2.1", 17, 80), End.NO_ROUTE, "router", "no route"),
        ({}, Question("client", SERVER, 255, ttl=2), End.TTL_EXPIRED, "router", "TTL"),
        ({}, Question("server", "203.0.113.2", 1), End.DENIED, "nat", "unsolicited to the NAT"),
        ({}, Question("server", "203.0.113.9", 1), End.NEIGHBOUR_UNKNOWN, "router", "next hop"),
        (
            {"nat": "firewall: {rules: [drop protocol 255]}"},
            Question("client", SERVER, 255),
            End.DENIED,
            "nat",
            'forward chain, rule "drop protocol 255"',
        ),
        (
            {"nat": "firewall: {rules: ['accept tcp/80,443'], forward: drop}"},
            Question("client", SERVER, 6, 443),
            End.DELIVERED,
            "server",
            "",
        ),
        (
            {"nat": "firewall: {rules: ['accept tcp/80,443'], forward: drop}"},
            Question("client", SERVER, 6, 22),
            End.DENIED,
            "nat",
            'rule "forward policy drop"',
        ),
        (
            {"client": "{firewall: {rules: [drop output udp/53]}}"},
            Question("client", SERVER, 17, 53),
            End.DENIED,
            "client",
            "output chain",
        ),
        (
            {"router": "sysctls: {net.ipv4.ip_forward: 0}"},
            Question("client", SERVER, 255),
            End.NOT_FORWARDING,
            "router",
            "",
        ),
        (
            {"link": "mtu: 1000"},
            Question("client", SERVER, 17, 80, 1200),
            End.TOO_BIG,
            "router",
            "",
        ),
        (
            {"router": 'nftables: "table ip t {\\n chain f {\\n  type filter hook forward priority'
             ' 0; policy accept;\\n  fib daddr type local drop\\n }\\n}"'},
            Question("client", SERVER, 255),
            End.UNKNOWN,
            "router",
            "fib daddr type local drop",
        ),
    ],
)  # fmt: skip
def test_the_model_says(parts, question, end, node, text):
    fate = predict(plan(**parts), question)
    assert (fate.disposition, fate.node) == (end, node), fate
    assert text in fate.reason.text
    assert fate.reason.source == "inferred"


def test_a_prediction_rewrites_as_a_nat_does():
    fate = predict(plan(), Question("client", SERVER, 17, 80))
    assert [hop[:3] for hop in fate.hops] == [
        ("client", "eth0", "out"),
        ("nat", "lan", "in"),
        ("nat", "wan", "out"),
        ("router", "west", "in"),
        ("router", "east", "out"),
        ("server", "eth0", "in"),
    ]
    assert fate.hops[2].changes == ("IP::Src 192.168.1.2 -> 203.0.113.2", "IP::TTL 64 -> 63")


def test_rules_in_a_form_that_is_not_read_are_not_guessed():
    chains, clear = ruleset.parse("table ip t { chain c { type filter hook input priority 0; } }\n")
    assert not clear
    assert chains == []


def test_where_two_stories_part():
    said = predict(plan(), Question("client", SERVER, 255))
    assert divergence(said, said) == ""
    cut = said._replace(hops=said.hops[:2], node="nat", disposition=End.NAT_CLASH)
    assert divergence(said, cut) == "in nat: predicted delivered in server, seen nat-clash"
    nobody = said._replace(disposition=End.NO_LISTENER)
    assert divergence(said, nobody) == ""
    hops = (*said.hops[:2], said.hops[2]._replace(changes=("IP::TTL 64 -> 63",)), *said.hops[3:])
    assert divergence(said, said._replace(hops=hops)).startswith("at nat:wan: predicted IP::Src")


PREDICTABLE = ("rule", "output", "no listener", "no route", "not forwarding")


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_state")
@pytest.mark.parametrize("name", PREDICTABLE)
def test_what_was_predicted_happens(name):
    cause = CAUSES[name]
    text = TOPOLOGY.format(**{part: getattr(cause, part) for part in PARTS})
    with Lab(loads(text, "lab.yaml")) as lab:
        with lab.observe() as watch:
            cause.send(lab)
        [observed] = watch.fates.where(proto=cause.proto)
        target = socket.inet_ntoa(observed.packet.destination)
        predicted = predict(lab.plan, Question("client", target, cause.proto))
    assert divergence(predicted, observed) == ""
    assert (predicted.disposition, predicted.reason.topology) in (
        (cause.end, cause.topology),
        (End.DELIVERED, ""),  # whether somebody listens there the model does not know
    )
