"""What conntrack says of flows: it decides between equal packets, and names what was forgotten."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from netlab.capture.evidence import Flow, FlowEvent
from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.trace.build import build_traces
from netlab.trace.disposition import Disposition as End
from netlab.trace.nat_bindings import Bindings, flow_of
from netlab.wire.view import view
from tests.trace import path
from tests.trace.causes import SERVER as ADDRESS
from tests.trace.causes import TOPOLOGY
from tests.trace.path import CLIENT, FORTH, OUTSIDE, SERVER, Tape

if TYPE_CHECKING:
    from collections.abc import Iterator


def entry(inside: int, outside: int, *, kind="new", now: int = 0) -> FlowEvent:
    """A UDP flow from ``CLIENT`` to port 80 of ``SERVER``, and the port that the NAT gave it."""
    original = Flow(CLIENT, SERVER, 17, inside, 80)
    return FlowEvent("nat", now, kind, original, Flow(SERVER, OUTSIDE, 17, 80, outside))


def crossed() -> Tape:
    """Equal datagrams from two ports; the NAT lets the second go first, as 5002."""
    tape = Tape()
    for place in FORTH[:2]:
        for port in (1001, 1002):
            tape.see(place, path.datagram(b"all alike", ports=(port, 80)))
    for place in FORTH[2:4]:
        for port in (5002, 5001):
            after = path.datagram(b"all alike", ports=(port, 80), source=OUTSIDE)
            tape.see(place, path.rewritten(after))
    return tape


def ports(traces) -> list[str]:
    return [
        c
        for packet_trace in traces
        for hop in packet_trace.hops
        for c in hop.changes
        if "SPort" in c
    ]


def test_equal_packets_of_two_flows_are_told_apart_by_what_conntrack_did():
    tape = crossed()
    guessed = build_traces(tape.evidence())
    assert ports(guessed) == ["UDP::SPort 1001 -> 5002", "UDP::SPort 1002 -> 5001"]
    assert not any(hop.binding for packet_trace in guessed for hop in packet_trace.hops)
    told = build_traces(tape.evidence(flows=(entry(1001, 5001), entry(1002, 5002))))
    assert ports(told) == ["UDP::SPort 1001 -> 5001", "UDP::SPort 1002 -> 5002"]
    assert told[0].hops[2].binding == (
        "10.0.0.2:1001 > 198.51.100.2:80 as 203.0.113.2:5001 > 198.51.100.2:80"
    )
    assert told[0].to_json()["hops"][2]["binding"] == told[0].hops[2].binding
    assert "binding" not in told[0].to_json()["hops"][1]


def test_one_binding_is_enough_to_tell_two():
    told = build_traces(crossed().evidence(flows=(entry(1002, 5002),)))
    assert ports(told) == ["UDP::SPort 1001 -> 5001", "UDP::SPort 1002 -> 5002"]


def test_a_rule_that_rewrites_once_more_is_no_contradiction():
    tape = Tape()
    tape.pass_through(path.datagram(b"rewritten twice", ports=(1001, 80)))
    [packet_trace] = build_traces(tape.evidence(flows=(entry(1001, 5001),)))
    assert packet_trace.arrived
    assert packet_trace.hops[2].binding == ""


@pytest.mark.parametrize(
    ("events", "gone"),
    [
        ((), False),
        ((("new", 10),), False),
        ((("new", 10), ("destroy", 20)), True),
        ((("destroy", 20), ("new", 30)), False),
        # Read after the packet, but it may have happened before.
        ((("destroy", 20), ("new", 120)), False),
        ((("destroy", 20), ("new", 2_000_000_000)), True),
        ((("destroy", 120),), False),
    ],
)
def test_an_entry_has_gone_only_if_that_is_sure(events, gone):
    told = Bindings(entry(1001, 5001, kind=kind, now=now) for kind, now in events)
    answer = view(path.datagram(b"late", source=SERVER, destination=OUTSIDE, ports=(80, 5001)))
    assert answer
    assert told.has_gone("nat", answer, 100) is gone
    assert not told.has_gone("router", answer, 100)


def test_what_has_no_ports_has_no_flow():
    whole = view(path.datagram(bytes(100), ident=7))
    assert whole
    assert flow_of(whole) == Flow(CLIENT, SERVER, 17, 4000, 80)
    assert flow_of(whole._replace(fragment_offset=1480)) is None


@pytest.fixture
def lab(netlab_state) -> Iterator[Lab]:
    filled = {"client": "{}", "nat": "", "router": "", "server": "{}", "link": ""}
    with Lab(loads(TOPOLOGY.format(**filled), "lab.yaml")) as running:
        yield running


@pytest.mark.kernel
def test_a_nat_says_what_it_made_of_a_flow_and_that_it_forgot_it(lab: Lab) -> None:
    with (
        lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        lab["server"].socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        lab.observe() as watch,
    ):
        client.bind(("192.168.1.2", 5000))
        server.bind((ADDRESS, 4000))
        client.sendto(b"remember me", (ADDRESS, 4000))
        server.settimeout(10)
        _, nat = server.recvfrom(100)
        lab["nat"].run(["conntrack", "-F"], check=True)
        # That it is gone is known once the event was read; nobody tells when that is.
        for number in range(20):
            server.sendto(b"late %d" % number, nat)
            time.sleep(0.02)
        watch.settle()
    assert {event.kind for event in watch.evidence.flows} >= {"new", "destroy"}
    sent = watch.traces.where(proto=17, origin="client")[0]
    bound = [hop for hop in sent.hops if hop.binding]
    assert [(hop.node, hop.interface) for hop in bound] == [("nat", "wan")]
    assert bound[0].binding == (
        "192.168.1.2:5000 > 198.51.100.2:4000 as 203.0.113.2:5000 > 198.51.100.2:4000"
    )
    late = watch.traces.where(proto=17, origin="server")
    assert late.dispositions() == {End.DENIED: 20}
    assert "unsolicited" in late[19].reason.text
    assert "; its conntrack entry had already expired" in late[19].reason.text


def test_a_packet_that_finds_an_entry_expired_destroys_it():
    told = Bindings([entry(1001, 5001, now=10), entry(1001, 5001, kind="destroy", now=120)])
    late = view(path.datagram(b"late", source=SERVER, destination=OUTSIDE, ports=(80, 5001)))
    assert late
    assert told.goes("nat", late, 100)
    assert not told.goes("nat", late, 130)
    assert not told.goes("router", late, 100)
