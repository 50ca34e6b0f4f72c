"""What a line tells of the packets that its boxes saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from netlab.middlebox import After, Back, Chain, Drop, Middlebox, SimulatedLink
from netlab.middlebox.catalogue import CATALOGUE
from netlab.middlebox.chain import Name
from netlab.middlebox.recorder import (
    Came,
    Did,
    Event,
    Left,
    Made,
    Recorder,
)
from netlab.middlebox.simulated_link import seeded
from netlab.wire import tcp
from tests.middlebox.packets import datagram, segment

if TYPE_CHECKING:
    from netlab.middlebox import Packet


def told(*boxes: Middlebox, packets: list[Packet], direction="outbound") -> list[Event]:
    """All that is told of packets that pass the boxes."""
    events: list[Event] = []
    names = [Name(type(box).__name__, f"test.yaml:{i}") for i, box in enumerate(boxes, 1)]
    line = Chain(boxes, names)
    line.recorder = Recorder(events.append, line.names)
    wire = SimulatedLink.of(line)
    wire.send(direction, packets)
    wire.run()
    return events


def actions(events: list[Event]) -> list[tuple[int, str, str]]:
    """What was done to each packet, box by box: a box tells only when those behind it have."""
    done = sorted((e for e in events if isinstance(e, Did)), key=lambda e: (e.number, e.box))
    return [(e.number, e.name, e.what) for e in done]


def of(kind: str, **parameters: object) -> Middlebox:
    return CATALOGUE[kind].make_box(parameters)


class Says(Middlebox):
    """Yields what it is told to."""

    def __init__(self, *verdicts):
        self._verdicts = verdicts

    def packet(self, pkt, direction, now):
        for verdict in self._verdicts:
            yield verdict(pkt)


def test_a_packet_that_nobody_touches_comes_and_leaves():
    packet = datagram(0)
    assert told(Says(lambda p: p), packets=[packet]) == [
        Came(1, "outbound", packet.octets),
        Left(1, "outbound", packet.octets),
    ]


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], [("kept", "")]),
        ([lambda _: Drop("so it is")], [("kept", "so it is")]),
        ([lambda p: After(0.02, p)], [("delayed", "20 ms")]),
        ([lambda p: p.with_tcp(seq=9)], [("rewritten", "")]),
        ([lambda p: p.with_ip(ttl=9)], [("rewritten", "")]),
        ([lambda p: p, lambda p: p], [("duplicated", "")]),
        ([lambda p: p.with_tcp(b"a"), lambda p: p.with_tcp(b"b")], [("cut", "into 2")]),
        ([Back], [("returned", "")]),
        ([lambda p: p, lambda p: Back(p.answer(flags=tcp.ACK))], [("answered", "")]),
        ([lambda p: Back(p.answer(flags=tcp.RST))], [("answered", ""), ("kept", "")]),
        ([lambda p: p.with_tcp(b"", flags=tcp.RST)], [("injected", ""), ("kept", "")]),
        ([lambda p: p, lambda _: datagram(1)], [("injected", "")]),
        ([lambda p: After(1, p.with_tcp(seq=9))], [("rewritten", ""), ("delayed", "1000 ms")]),
    ],
)
def test_what_a_box_does_has_a_name(verdicts, expected):
    events = told(Says(*verdicts), packets=[segment(b"data")])
    assert [(e.what, e.text) for e in events if isinstance(e, Did)] == expected
    assert {(e.name, e.topology) for e in events if isinstance(e, Did)} == {("Says", "test.yaml:1")}


def test_a_packet_keeps_its_number_through_every_box():
    boxes = of("sequence-rewrite", sack="stale"), of("impair", delay=0.01), of("hole-blocker")
    events = told(*boxes, packets=[segment(flags=tcp.SYN), segment(b"data", seq=77)])
    assert actions(events) == [
        (1, "SequenceRewrite", "rewritten"),
        (1, "Link", "delayed"),
        (2, "SequenceRewrite", "rewritten"),
        (2, "Link", "delayed"),
        (2, "HoleBlocker", "kept"),
    ]
    assert [e.number for e in events if isinstance(e, Left)] == [1]


def test_an_answer_is_a_packet_of_its_own_and_met_by_the_boxes_before():
    events = told(
        of("hole-blocker"), of("proxy-ack", keep=False), packets=[segment(b"data", seq=1, ack=5)]
    )
    [made] = [e for e in events if isinstance(e, Made)]
    assert (made.cause, made.name, made.what) == (1, "ForgetfulProxy", "answered")
    assert {(e.number, e.direction) for e in events if isinstance(e, Left)} == {
        (1, "outbound"),
        (made.number, "inbound"),
    }


def test_what_was_kept_and_leaves_later_does_so_under_its_own_number():
    box = of("coalesce", size=1000, wait=0.5)
    events = told(box, packets=[segment(b"one", seq=1), segment(b"two", seq=500)])
    assert actions(events) == [(1, "Coalesce", "kept"), (2, "Coalesce", "kept")]
    assert [e.number for e in events if isinstance(e, Left)] == [1, 2]


def test_what_is_made_when_a_box_wakes_has_no_cause():
    box = of("coalesce", size=1000, wait=0.5)
    events = told(box, packets=[segment(b"one", seq=1), segment(b"two", seq=4)])
    [made] = [e for e in events if isinstance(e, Made)]
    assert (made.cause, made.what) == (-1, "injected")
    assert [e.number for e in events if isinstance(e, Left)] == [made.number]


def test_what_is_joined_to_what_was_kept_is_merged():
    box = of("coalesce", size=6, wait=0.5)
    events = told(box, packets=[segment(b"one", seq=1), segment(b"two", seq=4)])
    assert actions(events) == [(1, "Coalesce", "kept"), (2, "Coalesce", "merged")]
    assert [e.number for e in events if isinstance(e, Left)] == [2]


def test_a_box_that_raises_is_told_and_still_raises():
    class Breaks(Middlebox):
        def packet(self, pkt, direction, now):
            raise ValueError("too odd")

    events: list[Event] = []
    line = Chain([Breaks()])
    line.recorder = Recorder(events.append, [Name("Breaks")])
    with pytest.raises(ValueError, match="too odd"):
        line.arrive(segment(), "outbound", 0.0)
    [did] = [e for e in events if isinstance(e, Did)]
    assert (did.what, did.text) == ("failed", "ValueError: too odd")


def test_a_verdict_that_is_none_says_what_it_should_be():
    with pytest.raises(TypeError, match="Says yields b'x', which is not a Packet, After, Back"):
        Chain([Says(lambda _: b"x")]).arrive(segment(), "outbound", 0.0)


def test_packets_that_were_under_way_before_leave_under_a_number_of_their_own():
    line = Chain([of("impair", delay=1.0)])
    line.arrive(datagram(0), "outbound", 0.0)
    events: list[Event] = []
    line.recorder = Recorder(events.append, [Name("impair")])
    line.due(2.0)
    assert events == [Left(1, "outbound", datagram(0).octets)]


@pytest.mark.parametrize("kind", [k for k in CATALOGUE.values() if k.box], ids=lambda k: k.name)
def test_a_witness_changes_nothing(kind):
    given = {
        "payload-rewrite": {"find": "da", "replace": "datum "},
        "reset-on-payload": {"pattern": "data 3"},
        "impair": {"loss": "1/3", "delay": "5ms", "jitter": "9ms", "duplicate": "1/4", "seed": 3},
    }.get(kind.name, {})
    packets = [segment(flags=tcp.SYN, options=b"\2\4\5\xb4\4\2\1\1")]
    packets += [segment(b"data %d" % n, seq=1 + 6 * n, ack=7) for n in (0, 1, 3, 2, 3, 4)]

    def outcome(*, watched: bool) -> list[object]:
        box = kind.make_box(given)
        box.rng = seeded(1, 0)
        line = Chain([box])
        if watched:
            line.recorder = Recorder(lambda _: None, [Name(kind.name)])
        wire = SimulatedLink.of(line)
        for packet in packets:
            wire.send("outbound", [packet.octets])
            wire.advance(0.001)
        return list(wire.run())

    assert outcome(watched=True) == outcome(watched=False)
