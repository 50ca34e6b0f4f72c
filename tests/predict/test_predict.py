"""The walk through a plan, without any packet; and beside real ones."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from netlab.io.probes import Probes, listener
from netlab.lab.lab import Lab
from netlab.nft import ruleset
from netlab.plan.build import build
from netlab.predict.divergence import divergence
from netlab.predict.predict import Question, predict, predictions
from netlab.topology import load, loads
from netlab.trace.disposition import Disposition as End
from netlab.trace.probe_results import probed
from tests.trace.causes import CAUSES, TOPOLOGY

ROOT = Path(__file__).parents[2]
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
        ({}, Question("server", "203.0.113.9", 1), End.NEIGHBOUR_UNREACHABLE, "router", "next hop"),
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
    packet_trace = predict(plan(**parts), question)
    assert (packet_trace.disposition, packet_trace.node) == (end, node), packet_trace
    assert text in packet_trace.reason.text
    assert packet_trace.reason.source == "inferred"


def test_a_prediction_rewrites_as_a_nat_does():
    packet_trace = predict(plan(), Question("client", SERVER, 17, 80))
    assert [hop[:3] for hop in packet_trace.hops] == [
        ("client", "eth0", "out"),
        ("nat", "lan", "in"),
        ("nat", "wan", "out"),
        ("router", "west", "in"),
        ("router", "east", "out"),
        ("server", "eth0", "in"),
    ]
    assert packet_trace.hops[2].changes == (
        "IP::Src 192.168.1.2 -> 203.0.113.2",
        "IP::TTL 64 -> 63",
    )


@pytest.mark.parametrize(
    "text", ['include "more.nft"\n', "flush ruleset\n", "table ip t {\n chain c {\n  drop\n }\n"]
)
def test_rules_in_a_form_that_is_not_read_are_not_guessed(text):
    chains, clear = ruleset.parse(text)
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
@pytest.mark.root  # expects the kernel's own drop reasons, which only BPF sees
@pytest.mark.usefixtures("netlab_state")
@pytest.mark.parametrize("name", PREDICTABLE)
def test_what_was_predicted_happens(name):
    cause = CAUSES[name]
    text = TOPOLOGY.format(**{part: getattr(cause, part) for part in PARTS})
    with Lab(loads(text, "lab.yaml")) as lab:
        with lab.observe() as watch:
            cause.send(lab)
        [observed] = watch.traces.where(proto=cause.proto)
        target = socket.inet_ntoa(observed.packet.destination)
        predicted = predict(lab.plan, Question("client", target, cause.proto))
    assert divergence(predicted, observed) == ""
    assert (predicted.disposition, predicted.reason.topology) in (
        (cause.end, cause.topology),
        (End.DELIVERED, ""),  # whether somebody listens there the model does not know
    )


def ends(question: Question, router: str) -> list[End]:
    return [packet_trace.disposition for packet_trace in predictions(plan(router=router), question)]


def forward(*rules: str, family: str = "inet") -> str:
    """A router with these rules of the author's own."""
    base = "type filter hook forward priority 0; policy accept;"
    text = "\\n".join((f"table {family} t {{", "chain f {", base, *rules, "}", "}"))
    return f'nftables: "{text}"'


THERE, GONE, OPEN = End.DELIVERED, End.DENIED, End.UNKNOWN
PING, UDP = Question("client", SERVER, 1, packets=4), Question("client", SERVER, 17, 80, packets=4)
HEARD = UDP._replace(listens=True)


@pytest.mark.parametrize(
    ("question", "router", "expected"),
    [
        (PING, "", [THERE] * 4),
        (UDP, forward("ct original packets > 1 drop"), [THERE, GONE, GONE, GONE]),
        # The replies are counted, too: 1, 2 (back), 3, 4, 5 (back), 6.
        (PING, forward("numgen inc mod 3 == 2 drop"), [THERE, GONE, THERE, GONE]),
        (HEARD, forward("numgen inc mod 3 == 2 drop"), [THERE, THERE, GONE, THERE]),
        (HEARD, forward("numgen inc mod 4 { 0, 2-3 } drop"), [GONE, THERE, GONE, GONE]),
        # Whether somebody answers is not known, so neither is what is counted next.
        (UDP, forward("numgen inc mod 3 == 2 drop"), [THERE, OPEN, OPEN, OPEN]),
        (PING._replace(is_fresh=False), forward("numgen inc mod 3 == 2 drop"), [OPEN] * 4),
        # Conntrack sees the reply before a rule drops it.
        (PING, forward("ct state established drop"), [THERE, GONE, GONE, GONE]),
        (HEARD, forward("ct state established drop"), [THERE] * 4),
        (UDP, forward("ct state established drop"), [THERE, OPEN, OPEN, OPEN]),
        (UDP, forward("ct state new,established accept", "drop"), [THERE] * 4),
        (HEARD, forward("limit rate over 5/second burst 2 packets drop"),
         [THERE, THERE, OPEN, OPEN]),
        (HEARD, forward("limit rate 5/second burst 2 packets accept", "drop"),
         [THERE, THERE, OPEN, OPEN]),
        (UDP, forward("ip saddr != 10.0.0.0/8 drop", family="ip6"), [THERE] * 4),
        (UDP, forward("ip6 saddr != ::1 drop"), [THERE] * 4),
        (UDP, forward("tcp dport != 80 drop"), [THERE] * 4),
        (UDP, forward("tcp option maxseg size > 9 tcp option maxseg size set 9"), [THERE] * 4),
        (UDP, forward("fib daddr type local counter"), [THERE] * 4),
        (UDP, forward("ip daddr { 192.0.2.1,\\n 198.51.100.2 } drop"), [GONE] * 4),
        (UDP, forward("ip ttl set 1"), [THERE] * 4),
        (Question("client", SERVER, 6, 80, packets=2),
         forward("tcp flags & (syn | ack) == syn drop"), [GONE] * 2),
    ],
)  # fmt: skip
def test_later_packets_meet_what_earlier_ones_left(question, router, expected):
    assert ends(question, router) == expected


def test_what_is_not_known_says_why():
    asked = HEARD._replace(packets=1, is_fresh=False)
    packet_trace = predict(plan(router=forward("numgen inc mod 3 == 2 drop")), asked)
    assert packet_trace.reason.text == (
        "what rule `numgen inc mod 3 == 2 drop` does depends on how many packets it has counted"
    )
    nat = plan(nat="nat: {preset: full-cone}")
    assert predict(nat, UDP).arrived  # nobody has a mapping yet
    running = predict(nat, UDP._replace(is_fresh=False))
    assert "depends on what is in mapping_wan" in running.reason.text


def test_a_policy_of_the_author_s_own_has_a_line():
    text = 'nftables: "add table ip t; table ip t { chain f { type filter hook forward priority 5;'
    packet_trace = predict(plan(router=text + ' policy drop; }; }"'), UDP)
    assert (packet_trace.reason.text, packet_trace.reason.topology) == (
        "forward chain, policy drop",
        "lab.yaml:6",
    )


WIRED = """
nodes: {{a: , b: }}
links:
  - ends: [a:eth0, b:eth0]
    {wire}
"""


@pytest.mark.parametrize(
    ("wire", "is_fresh", "expected", "says"),
    [
        ("middleboxes: [sequence-rewrite]", True, THERE, ""),
        ("middleboxes: [sequence-rewrite]", False, THERE, ""),
        ("loss: 100%", True, End.ABSORBED, "dropped by impair: random loss"),
        ("loss: 50%", False, OPEN, "depends on what it saw before"),
        ("delay: 20ms", True, THERE, ""),
    ],
)
def test_boxes_on_a_wire_are_asked(wire, is_fresh, expected, says):
    lab = build(loads(WIRED.format(wire=wire), "lab.yaml"))
    target = next(i.addresses[0] for i in lab.nodes[1].interfaces).partition("/")[0]
    packet_trace = predict(lab, Question("a", target, 17, 80, is_fresh=is_fresh))
    assert packet_trace.disposition is expected, packet_trace
    assert says in packet_trace.reason.text
    assert packet_trace.reason.source == "inferred"


def observed(lab: Lab, targets: list[str], count: int):
    """UDP to sockets that say nothing: to each target its probes' outcomes and predictions."""
    asked = {name: Probes(lab[name].address, 17, port=5000, count=count) for name in targets}
    sockets = [lab[name].inside(lambda: listener(4, 17, 5000)) for name in targets]
    with lab.observe() as watch:
        for probes in asked.values():
            probes.send(lab["client"].inside)
        watch.settle(0.1)
    for s in sockets:
        s.close()
    for name, probes in asked.items():
        question = Question("client", probes.target, 17, 5000, 40, packets=count, listens=True)
        _, outcomes = probed(watch.traces, probes)
        yield name, zip(outcomes, predictions(lab.plan, question), strict=True)


BOXES = {
    "allow": "kind: router, middleboxes: [{kind: allow-list, protocols: [tcp]}]",
    "first": "kind: router, middleboxes: [first-packet-only]",
    "nth": "kind: router, middleboxes: [{kind: every-nth, n: 3, protocols: [udp]}]",
    "seeded": "kind: router, middleboxes: [{kind: seeded-loss, loss: 1/2, period: 4}]",
    "pieces": "kind: router, middleboxes: [trailing-fragments]",
    "outward": "kind: router, middleboxes: [{kind: outbound-only, inside: lan}]",
    "block": "kind: router, middleboxes: [{kind: block, ports: [5000]}]",
    "header": "kind: router, middleboxes: [ecn-bleach, dscp-bleach, {kind: ttl-normalise, to: 9}]",
    "options": "kind: router, middleboxes: [mss-clamp, option-nop, option-drop, syn-proxy]",
    "plain": "kind: nat, outside: wan",
    "cone": "kind: nat, outside: wan, nat: {preset: full-cone}",
    "home": "kind: nat, outside: wan, nat: {preset: home-router}",
    "carrier": "kind: nat, outside: wan, nat: {preset: carrier-grade}",
}


def every_box() -> str:
    """One way from a client through each box to a server of its own."""
    nodes = ["  client:", "  access: {kind: router}"]
    links = ["  - [client:eth0, access:lan]"]
    for name, box in BOXES.items():
        nodes += [f"  {name}: {{{box}}}", f"  to-{name}:"]
        links += [f"  - [access:{name}, {name}:lan]", f"  - [{name}:wan, to-{name}:eth0]"]
    return "\n".join(("nodes:", *nodes, "links:", *links))


@pytest.mark.kernel
@pytest.mark.root  # expects the kernel's own drop reasons, which only BPF sees
@pytest.mark.usefixtures("netlab_state")
@pytest.mark.parametrize(
    ("topology", "prefix", "count"),
    [
        (loads(every_box(), "boxes.yaml"), "to-", 6),
        (load(ROOT / "topologies" / "middleboxes.yaml"), "server", 60),
    ],
    ids=["boxes made of rules", "boxes on a wire"],
)
def test_each_packet_through_each_box_fares_as_predicted(topology, prefix, count):
    with Lab(topology) as lab:
        targets = [node.name for node in lab if node.name.startswith(prefix)]
        dispositions = set()
        for name, pairs in observed(lab, targets, count):
            for outcome, predicted in pairs:
                assert outcome.decisive, name
                assert predicted.disposition is not OPEN, (name, predicted.reason)
                assert divergence(predicted, outcome.decisive) == "", name
                dispositions.add(predicted.disposition)
    assert len(dispositions) == 2


@pytest.mark.parametrize(
    ("node", "target", "end"),
    [
        ("laptop", "2001:db8:5::2", End.DELIVERED),
        ("server", "2001:db8:a:cf43::2", End.DELIVERED),
        ("server", "2001:db8:a:1::2", End.DENIED),
    ],
)
def test_nptv6_is_followed_both_ways(node, target, end):
    built = build(load(ROOT / "topologies" / "nptv6.yaml"))
    assert predict(built, Question(node, target, 17, 9)).disposition is end
