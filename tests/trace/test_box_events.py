"""Packets in a wire with boxes, from evidence made by hand: what the boxes say decides.

client ──── client~server ──── server
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from netlab.capture import recording
from netlab.capture.evidence import (
    MISSED,
    BoxAction,
    BoxEvent,
    Count,
    Evidence,
    Interface,
    NodeInfo,
)
from netlab.trace.build import build_traces
from netlab.trace.disposition import Disposition as End
from netlab.trace.model import Reason
from netlab.wire import tcp
from tests.trace.path import CLIENT, SERVER, Tape, datagram, segment

if TYPE_CHECKING:
    from netlab.trace.model import Traces

PLACES = {
    "client": NodeInfo("host", (Interface("eth0", "veth", (CLIENT,), ("client~server", "a")),)),
    "server": NodeInfo("host", (Interface("eth0", "veth", (SERVER,), ("client~server", "b")),)),
    "client~server": NodeInfo(
        "inline",
        (
            Interface("a", "veth", (), ("client", "eth0")),
            Interface("b", "veth", (), ("server", "eth0")),
        ),
        ("impair", "split"),
    ),
}
INTO = (("client", "eth0", "out"), ("client~server", "a", "in"))
OUT = (("client~server", "b", "out"), ("server", "eth0", "in"))
BACK = (("client~server", "a", "out"), ("client", "eth0", "in"))


class Wire:
    """Frames around the wire, and what is told of them."""

    def __init__(self) -> None:
        self._tape = Tape()
        self._carriages: list[BoxEvent] = []

    def into(self, packet: bytes) -> None:
        for place in INTO:
            self._tape.see(place, packet)

    def out(self, packet: bytes, way: tuple[tuple[str, str, str], ...] = OUT) -> None:
        for place in way:
            self._tape.see(place, packet)

    def tell(
        self, came: bytes | None, *actions: BoxAction, left: tuple[bytes, ...] = (), by: str = "b"
    ) -> None:
        end = ("a", came[:128]) if came else None
        left_by = tuple((by, packet[:128]) for packet in left)
        self._carriages.append(BoxEvent("client~server", end, actions, left_by))

    def traces(self, *counts: Count) -> Traces:
        box_events = tuple(self._carriages)
        evidence = Evidence(PLACES, tuple(self._tape.frames), counts=counts, box_events=box_events)
        # Whatever is judged can be written down and judged again.
        assert recording.read(recording.write(evidence)) == evidence
        return build_traces(evidence)


@pytest.mark.parametrize(
    ("actions", "end", "text"),
    [
        ([("kept", "")], End.ABSORBED, "dropped by impair"),
        ([("kept", "its queue is full")], End.ABSORBED, "dropped by impair: its queue is full"),
        ([("rewritten", ""), ("kept", "")], End.ABSORBED, "dropped by impair"),
        ([("failed", "KeyError: 3")], End.ABSORBED, "dropped by an error of impair: KeyError: 3"),
        ([("delayed", "9000 ms")], End.STILL_QUEUED, "impair delays it by 9000 ms"),
        ([("returned", "")], End.ABSORBED, "sent back by impair"),
    ],
)
def test_what_the_box_says_is_why(actions, end, text):
    wire, packet = Wire(), datagram(b"hello")
    wire.into(packet)
    wire.tell(packet, *(BoxAction("impair", "lab.yaml:7", what, why) for what, why in actions))
    [packet_trace] = wire.traces()
    assert (packet_trace.disposition, packet_trace.node) == (end, "client~server")
    assert packet_trace.reason == Reason("box", text, "", "lab.yaml:7", "impair at client~server")


def test_when_nobody_tells_it_is_inferred():
    wire = Wire()
    wire.into(datagram(b"hello"))
    [packet_trace] = wire.traces()
    assert packet_trace.disposition is End.ABSORBED
    assert packet_trace.reason.source == "inferred"
    assert packet_trace.reason.text == "went into impair or split on the wire and did not come out"


@pytest.mark.parametrize(("count", "end"), [(0, End.STILL_QUEUED), (1, End.QUEUE_FULL)])
def test_what_a_wire_that_tells_of_others_did_not_take_in_waits_or_was_too_much(count, end):
    wire = Wire()
    taken, missed = datagram(b"taken"), datagram(b"missed")
    for packet in (taken, missed):
        wire.into(packet)
    wire.out(taken)
    wire.tell(taken, left=(taken,))
    one, two = wire.traces(*[Count("client~server", MISSED, count)] * count)
    assert one.arrived
    assert (two.disposition, two.reason.source) == (end, "inferred")


def test_what_left_the_boxes_unseen_is_not_said_to_be_dropped_by_them():
    wire, packet = Wire(), datagram(b"hello")
    wire.into(packet)
    wire.tell(packet, left=(packet,))
    [packet_trace] = wire.traces()
    assert (packet_trace.disposition, packet_trace.reason.source) == (End.UNKNOWN, "inferred")


def test_of_two_packets_of_equal_content_the_right_one_is_missing():
    wire = Wire()
    first, second = (datagram(b"the same", ident=n) for n in (1, 2))
    for packet in (first, second):
        wire.into(packet)
    wire.out(second)
    wire.tell(first, BoxAction("impair", "", "kept"))
    wire.tell(second, left=(second,))
    one, two = wire.traces()
    assert not one.arrived
    assert two.arrived
    assert two.hops[2].changes == ()


def test_packets_that_are_equal_in_all_keep_the_order_of_the_wire():
    wire, packet = Wire(), datagram(b"the same")
    for number in range(3):
        wire.into(packet)
        if number != 1:
            wire.out(packet)
        kept = [BoxAction("impair", "", "kept")] if number == 1 else []
        wire.tell(packet, *kept, left=() if kept else (packet,))
    assert [packet_trace.arrived for packet_trace in wire.traces()] == [True, False, True]


def test_what_was_done_on_the_way_is_told_where_it_left():
    wire, packet = Wire(), datagram(b"hello")
    wire.into(packet)
    wire.out(packet)
    wire.out(packet)
    actions = (
        BoxAction("impair", "lab.yaml:7", "delayed", "1 ms"),
        BoxAction("duplicator", "", "duplicated"),
    )
    wire.tell(packet, *actions, left=(packet, packet))
    original, copy = wire.traces()
    told = ("delayed by impair (lab.yaml:7)", "sent twice by duplicator")
    assert original.hops[2].boxes == copy.hops[0].boxes == told
    assert copy.copied
    assert copy.parents == (original.id,)


def test_an_answer_of_a_box_is_not_taken_for_another_packet():
    """Both are ACKs with the same numbers; only the wire knows which is which."""
    wire = Wire()
    data = segment(b"data", seq=5)
    ack = segment(b"", seq=77, source=SERVER, destination=CLIENT)
    wire.into(data)
    wire.out(data)
    wire.out(ack, BACK)
    wire.tell(data, BoxAction("proxy-ack", "", "answered"), left=(data,))
    wire.tell(None, BoxAction("proxy-ack", "lab.yaml:9", "answered"), left=(ack,), by="a")
    sent, answer = wire.traces()
    assert sent.hops[2].boxes == ("answered by proxy-ack",)
    assert answer.origin == "client~server"
    assert answer.hops[0].boxes == ("made by proxy-ack (lab.yaml:9)",)
    assert answer.arrived


def test_pieces_and_mergers_name_the_box():
    wire = Wire()
    whole = segment(b"0123456789", seq=5)
    pieces = segment(b"01234", seq=5), segment(b"56789", seq=10)
    wire.into(whole)
    for piece in pieces:
        wire.out(piece)
    wire.tell(whole, BoxAction("split", "lab.yaml:9", "cut", "into 2"), left=pieces)
    cut, *rest = wire.traces()
    assert cut.disposition is End.SEGMENTED
    assert (cut.reason.source, cut.reason.text) == ("box", "cut into segments by split")
    assert [packet_trace.parents for packet_trace in rest] == [(cut.id,)] * 2

    wire = Wire()
    for piece in pieces:
        wire.into(piece)
    wire.out(whole)
    wire.tell(pieces[0], BoxAction("coalesce", "", "kept"))
    wire.tell(pieces[1], BoxAction("coalesce", "", "merged"), left=(whole,))
    one, two, merged = wire.traces()
    assert one.disposition is two.disposition is End.MERGED
    assert one.reason.text == two.reason.text == "merged into another by coalesce"
    assert merged.arrived


def test_a_rewritten_packet_is_the_same_however_much_was_rewritten():
    wire = Wire()
    before = segment(b"data", seq=5, flags=tcp.ACK)
    after = segment(b"something else", seq=99, flags=tcp.ACK | tcp.FIN)
    wire.into(before)
    wire.out(after)
    wire.tell(before, BoxAction("mine", "", "rewritten"), left=(after,))
    [packet_trace] = wire.traces()
    assert packet_trace.arrived
    assert "TCP::Seq 5 -> 99" in packet_trace.hops[2].changes
