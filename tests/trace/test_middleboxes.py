"""Every kind of middlebox: what it drops and changes is named after it."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from netlab.lab import rootless
from netlab.lab.lab import Lab
from netlab.middlebox.catalogue import CATALOGUE
from netlab.topology import loads
from netlab.trace.disposition import Disposition as End
from netlab.trace.tree import end_of
from netlab.wire import ipv4, tcp
from netlab.wire.address import packed
from tests.middlebox.path import CLOSED_PORT, SERVER, UDP_PORT, Path, build, drain, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.trace.model import PacketTrace, Traces
    from netlab.trace.watch import Watch

pytestmark = pytest.mark.kernel

PARAMETERS: dict[str, dict[str, Any]] = {
    "every-nth": {"n": 3},
    "seeded-loss": {"loss": "3/20", "period": 20, "seed": 7},
    "outbound-only": {"inside": "a"},
    "block": {"ports": [UDP_PORT]},
    "policer": {"packets": 1, "burst": 5},
    "option-drop": {"options": ["sack-permitted"], "on": "syn"},
}
MARKED_PORT = 6000
RULES = sorted(name for name, kind in CATALOGUE.items() if kind.is_rules)


@pytest.fixture(scope="module")
def _module_path(netlab_state) -> Iterator[Path]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})  # on one CPU packets keep their order
    lab = build()
    yield Path(lab)
    lab.stop()
    os.sched_setaffinity(0, allowed)


@pytest.fixture
def path(_module_path: Path) -> Iterator[Path]:
    yield _module_path
    _module_path.close()


@pytest.mark.parametrize("kind", RULES)
def test_its_work_is_named_after_it(path: Path, kind: str) -> None:
    given = PARAMETERS.get(kind, {})
    path.become(kind, **given)
    with path.lab.observe() as watch:
        arrived = path.datagrams(8)
        mark(path)
        try_to_connect(path)
    traces = watch.traces
    check_complete(traces)
    probes = traces.where(origin="client", proto=17, port=UDP_PORT)
    numbered = {
        int.from_bytes(packet_trace.packet.transport[8:12], "big"): packet_trace
        for packet_trace in probes
    }
    assert sorted(numbered) == list(range(8))
    assert [number for number, packet_trace in numbered.items() if packet_trace.arrived] == arrived
    for packet_trace in probes.dropped_at("router"):
        assert packet_trace.disposition is End.DENIED
        assert packet_trace.reason.source == "nft"
        assert packet_trace.reason.label == f"{kind} at router"
    assert len(probes.dropped_at("router")) == 8 - len(arrived)
    if kind == "ecn-bleach":
        [marked] = traces.where(origin="client", port=MARKED_PORT)
        assert marked.hops[2].changes == ("IP::TTL 64 -> 63", "IP::ECN 2 -> 0")
    else:
        check_syn(kind, traces.where(origin="client", proto=6)[0])


def check_complete(traces: Traces) -> None:
    """Nothing was out of sight; an ordinary user does not see the kernel's own drops."""
    blind = {"drops"} if rootless.is_inside() else set()
    assert {gap.collector for gap in traces.gaps} <= blind, traces.gaps


def try_to_connect(path: Path) -> None:
    with path.lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as trying:
        trying.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 46 << 2)
        trying.setblocking(False)
        trying.connect_ex((SERVER, 81))
        path.settle()


def mark(path: Path) -> None:
    """A datagram with ECT(0), which the kernel lets no program set on TCP."""
    with path.lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as marking:
        marking.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 2)
        marking.sendto(b"marked", (SERVER, MARKED_PORT))


def check_syn(kind: str, syn: PacketTrace) -> None:
    """What became of the SYN is what the catalogue says of the kind."""
    expected = CATALOGUE[kind].expected_changes(PARAMETERS.get(kind, {}))
    changed = [change for hop in syn.hops for change in hop.changes]
    if expected == ("lost",):
        assert syn.disposition in (End.DENIED, End.ABSORBED)
        assert syn.reason.label == f"{kind} at router"
        return
    for field in expected or ():
        if field == "IP::TTL":  # which says that it is *not* a router's one less
            assert not any(change.startswith(field) for change in changed)
        else:
            assert any(change.startswith(field.lstrip("-")) for change in changed), changed
    assert all(change.startswith("IP::TTL") for change in changed) or expected


@pytest.mark.parametrize("kind", ["allow-list", "outbound-only", "trailing-fragments", "syn-proxy"])
def test_fragments_that_are_cut_anew_keep_their_fate(path: Path, kind: str) -> None:
    path.become(kind, **PARAMETERS.get(kind, {}))
    with path.lab.observe() as watch:
        arrived = path.datagrams(4, 3000)
    traces = watch.traces
    check_complete(traces)
    everything = {packet_trace.id: packet_trace for packet_trace in traces}
    sent: dict[int, list[PacketTrace]] = {}
    for packet_trace in traces.where(origin="client", proto=17):
        if packet_trace.packet.is_fragment:
            sent.setdefault(packet_trace.packet.identification, []).append(packet_trace)
    assert len(sent) == 4
    outcomes = [end_of(parts, everything) for parts in sent.values()]
    assert [number for number, end in enumerate(outcomes) if end and end.arrived] == arrived
    assert not traces.where(disposition=End.UNKNOWN)


WIRE = """
nodes: {client: {}, server: {}}
links: [{ends: [client:eth0, server:eth0], subnet: 10.0.0.0/24, delay: 0s}]
"""
PLACE = "wire.yaml:9"
PROGRAMS = sorted(name for name, kind in CATALOGUE.items() if not kind.is_rules)
PARAMETERS_OF_PROGRAMS: dict[str, dict[str, Any]] = {
    "impair": {"loss": "40%", "seed": 3, "delay": "1ms"},
    "payload-rewrite": {"find": "some", "replace": "any"},
    "proxy-ack": {"keep": False},  # the other one waits for a handshake
    "reset-on-payload": {"pattern": "more"},
    "option-remove": {"kinds": [4]},
    "coalesce": {"size": 10},
    "unknown-option-drop": {"known": [2]},
}
TOLD = {
    "impair": {"delayed by", "dropped by: random loss"},
    "duplicator": {"sent twice by"},
    "sequence-rewrite": {"rewritten by"},
    "hole-blocker": {"dropped by: it lies behind a hole in the sequence"},
    "proxy-ack": {"answered by", "made by"},
    "split": {"cut by", "cut into segments by"},
    "coalesce": {"merged by", "merged into another by"},
    "payload-rewrite": {"rewritten by"},
    "first-copy": {"rewritten by"},
    "option-remove": {"rewritten by"},
    "unknown-option-drop": {"dropped by: option 4 is unknown"},
    "mss-add": {"rewritten by"},
    "short-quote": {"rewritten by"},
    "transparent-proxy": {
        "answered by",
        "rewritten by",
        "made by",
        "dropped by: it ends at the proxy",
    },
    "reset-on-payload": {"dropped by: it contains the text", "made by"},
    "sequence-shift": {"rewritten by"},
    "udp-block": {f"dropped by: packet {number} of its flow" for number in range(5, 9)},
    "unsent-ack-answer": set(),
    # This traffic gives them nothing to do, so they must not say that they did anything.
    "captive-portal": set(),
    "dns-rewrite": set(),
    "quic-version-block": set(),
    "quote-mend": set(),
    "sni-reset": set(),
    "syn-data-strip": set(),
    "window-rewrite": set(),
}
"""What is told of the packets of ``say``: at hops, and as the reasons of those that ended there."""

LATE = {
    "transparent-proxy": {"dropped by: it belongs to no connection of the proxy"},
    "unsent-ack-answer": {"dropped by: it acknowledges what was never sent", "made by"},
}
"""What is said, too, if the server's reset is back before the last segments have come."""

NEAR, FAR = "10.0.0.1", "10.0.0.2"
DATA = 600


def say(lab: Lab, watch: Watch) -> list[int]:
    """Numbered datagrams, an ICMP error, and segments that every kind has something to do with.

    Returns which datagrams arrived, in order.
    """

    def segment(data: bytes, **fields: Any) -> None:
        near, far = packed(NEAR), packed(FAR)
        head = tcp.Header(4000, 5001, **({"flags": tcp.ACK, "ack": 77} | fields))
        body = tcp.encode(head, data, near, far)
        raw.sendto(ipv4.encode(ipv4.Header(near, far, tcp.PROTOCOL), body), (FAR, 0))

    with (
        lab["server"].socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
        lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        lab["client"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw,
    ):
        far.bind((FAR, UDP_PORT))
        for number in range(8):
            near.sendto(number.to_bytes(4, "big") + bytes(40), (FAR, UDP_PORT))
        near.sendto(bytes(40), (FAR, CLOSED_PORT))
        segment(b"", seq=0, flags=tcp.SYN, ack=0, options=bytes([2, 4, 5, 180, 4, 2, 1, 1]))
        segment(b"some ", seq=1)
        segment(b"data ", seq=6)
        segment(b"other", seq=6)
        segment(b"more ", seq=999)
        segment(bytes(DATA), seq=11)
        watch.settle()
        return [int.from_bytes(data[:4], "big") for data, _ in drain(far)]


@pytest.fixture(scope="module")
def wired(netlab_state: object) -> Iterator[Lab]:
    with Lab(loads(WIRE, "wire.yaml")) as lab:
        yield lab


@pytest.mark.parametrize("kind", PROGRAMS)
def test_what_a_program_on_a_wire_does_is_told(wired: Lab, kind: str) -> None:
    given = PARAMETERS_OF_PROGRAMS.get(kind, {})
    fill(wired, [{"kind": kind, "parameters": given, "seed": 0, "topology": PLACE}])
    with wired.observe() as watch:
        received = say(wired, watch)
    traces = watch.traces
    check_complete(traces)
    probes = traces.where(proto=17, port=UDP_PORT)
    arrived = [int.from_bytes(f.packet.transport[8:12], "big") for f in probes if f.arrived]
    assert sorted(arrived) == sorted(received)
    copies = [packet_trace for packet_trace in probes if packet_trace.copied]
    assert len(copies) == len(received) - len(set(received))

    told = {
        words.replace(f" {kind} ({PLACE})", "") for f in traces for h in f.hops for words in h.boxes
    }
    for packet_trace in traces:
        if packet_trace.reason.source == "box":
            assert packet_trace.node == "client~server"
            assert packet_trace.reason.topology == PLACE
            assert packet_trace.reason.label == f"{kind} at client~server"
            told.add(packet_trace.reason.text.replace(f" {kind}", ""))
        elif packet_trace.disposition is End.ABSORBED:
            pytest.fail(f"nobody says who: {packet_trace.reason}")
    assert TOLD[kind] <= told <= TOLD[kind] | LATE.get(kind, set())
