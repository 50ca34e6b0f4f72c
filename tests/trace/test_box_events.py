"""Packets in a wire with boxes, from evidence made by hand: what the boxes say decides.

client ──── wire1 ──── server
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from netlab.capture import recording
from netlab.capture.evidence import MISSED, Carriage, Count, Deed, Evidence, Interface, Place
from netlab.trace.build import join
from netlab.trace.disposition import Disposition as End
from netlab.wire import tcp
from tests.trace.path import CLIENT, SERVER, Tape, datagram, segment

if TYPE_CHECKING:
    from netlab.trace.model import Fates

PLACES = {
    "client": Place("host", (Interface("eth0", "veth", (CLIENT,), ("wire1", "a")),)),
    "server": Place("host", (Interface("eth0", "veth", (SERVER,), ("wire1", "b")),)),
    "wire1": Place(
        "wire",
        (
            Interface("a", "veth", (), ("client", "eth0")),
            Interface("b", "veth", (), ("server", "eth0")),
        ),
        ("impair", "split"),
    ),
}
INTO = (("client", "eth0", "out"), ("wire1", "a", "in"))
OUT = (("wire1", "b", "out"), ("server", "eth0", "in"))
BACK = (("wire1", "a", "out"), ("client", "eth0", "in"))


class Wire:
    """Frames around the wire, and what is told of them."""

    def __init__(self) -> None:
        self._tape = Tape()
        self._carriages: list[Carriage] = []

    def into(self, packet: bytes) -> None:
        for place in INTO:
            self._tape.see(place, packet)

    def out(self, packet: bytes, way: tuple[tuple[str, str, str], ...] = OUT) -> None:
        for place in way:
            self._tape.see(place, packet)

    def tell(
        self, came: bytes | None, *deeds: Deed, left: tuple[bytes, ...] = (), by: str = "b"
    ) -> None:
        end = ("a", came[:128]) if came else None
        left_by = tuple((by, packet[:128]) for packet in left)
        self._carriages.append(Carriage("wire1", end, deeds, left_by))

    def fates(self, *counts: Count) -> Fates:
        carriages = tuple(self._carriages)
        evidence = Evidence(PLACES, tuple(self._tape.frames), counts=counts, carriages=carriages)
        # Whatever is judged can be written down and judged again.
        assert recording.read(recording.write(evidence)) == evidence
        return join(evidence)


@pytest.mark.parametrize(
    ("deeds", "end", "text"),
    [
        ([("kept", "")], End.CONSUMED, "dropped by impair"),
        ([("kept", "its queue is full")], End.CONSUMED, "dropped by impair: its queue is full"),
        ([("rewritten", ""), ("kept", "")], End.CONSUMED, "dropped by impair"),
        ([("failed", "KeyError: 3")], End.CONSUMED, "dropped by an error of impair: KeyError: 3"),
        ([("delayed", "9000 ms")], End.STILL_QUEUED, "impair delays it by 9000 ms"),
        ([("returned", "")], End.CONSUMED, "sent back by impair"),
    ],
)
def test_what_the_box_says_is_why(deeds, end, text):
    wire, packet = Wire(), datagram(b"hello")
    wire.into(packet)
    wire.tell(packet, *(Deed("impair", "lab.yaml:7", what, why) for what, why in deeds))
    [fate] = wire.fates()
    assert (fate.disposition, fate.node) == (end, "wire1")
    assert fate.reason == ("box", text, "", "lab.yaml:7", "impair at wire1", "")


def test_when_nobody_tells_it_is_inferred():
    wire = Wire()
    wire.into(datagram(b"hello"))
    [fate] = wire.fates()
    assert fate.disposition is End.CONSUMED
    assert fate.reason.source == "inferred"
    assert fate.reason.text == "went into impair or split on the wire and did not come out"


@pytest.mark.parametrize(("count", "end"), [(0, End.STILL_QUEUED), (1, End.QUEUE_FULL)])
def test_what_a_wire_that_tells_of_others_did_not_take_in_waits_or_was_too_much(count, end):
    wire = Wire()
    taken, missed = datagram(b"taken"), datagram(b"missed")
    for packet in (taken, missed):
        wire.into(packet)
    wire.out(taken)
    wire.tell(taken, left=(taken,))
    one, two = wire.fates(*[Count("wire1", MISSED, count)] * count)
    assert one.arrived
    assert (two.disposition, two.reason.source) == (end, "inferred")


def test_what_left_the_boxes_unseen_is_not_said_to_be_dropped_by_them():
    wire, packet = Wire(), datagram(b"hello")
    wire.into(packet)
    wire.tell(packet, left=(packet,))
    [fate] = wire.fates()
    assert (fate.disposition, fate.reason.source) == (End.UNKNOWN, "inferred")


def test_of_two_packets_of_equal_content_the_right_one_is_missing():
    wire = Wire()
    first, second = (datagram(b"the same", ident=n) for n in (1, 2))
    for packet in (first, second):
        wire.into(packet)
    wire.out(second)
    wire.tell(first, Deed("impair", "", "kept"))
    wire.tell(second, left=(second,))
    one, two = wire.fates()
    assert not one.arrived
    assert two.arrived
    assert two.hops[2].changes == ()


def test_packets_that_are_equal_in_all_keep_the_order_of_the_wire():
    wire, packet = Wire(), datagram(b"the same")
    for number in range(3):
        wire.into(packet)
        if number != 1:
            wire.out(packet)
        kept = [Deed("impair", "", "kept")] if number == 1 else []
        wire.tell(packet, *kept, left=() if kept else (packet,))
    assert [fate.arrived for fate in wire.fates()] == [True, False, True]


def test_what_was_done_on_the_way_is_told_where_it_left():
    wire, packet = Wire(), datagram(b"hello")
    wire.into(packet)
    wire.out(packet)
    wire.out(packet)
    deeds = Deed("impair", "lab.yaml:7", "delayed", "1 ms"), Deed("duplicator", "", "duplicated")
    wire.tell(packet, *deeds, left=(packet, packet))
    original, copy = wire.fates()
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
    wire.tell(data, Deed("proxy-ack", "", "answered"), left=(data,))
    wire.tell(None, Deed("proxy-ack", "lab.yaml:9", "answered"), left=(ack,), by="a")
    sent, answer = wire.fates()
    assert sent.hops[2].boxes == ("answered by proxy-ack",)
    assert answer.origin == "wire1"
    assert answer.hops[0].boxes == ("made by proxy-ack (lab.yaml:9)",)
    assert answer.arrived


def test_pieces_and_mergers_name_the_box():
    wire = Wire()
    whole = segment(b"0123456789", seq=5)
    pieces = segment(b"01234", seq=5), segment(b"56789", seq=10)
    wire.into(whole)
    for piece in pieces:
        wire.out(piece)
    wire.tell(whole, Deed("split", "lab.yaml:9", "cut", "into 2"), left=pieces)
    cut, *rest = wire.fates()
    assert cut.disposition is End.CUT
    assert (cut.reason.source, cut.reason.text) == ("box", "cut into pieces by split")
    assert [fate.parents for fate in rest] == [(cut.id,)] * 2

    wire = Wire()
    for piece in pieces:
        wire.into(piece)
    wire.out(whole)
    wire.tell(pieces[0], Deed("coalesce", "", "kept"))
    wire.tell(pieces[1], Deed("coalesce", "", "merged"), left=(whole,))
    one, two, merged = wire.fates()
    assert one.disposition is two.disposition is End.MERGED
    assert one.reason.text == two.reason.text == "merged into another by coalesce"
    assert merged.arrived


def test_a_rewritten_packet_is_the_same_however_much_was_rewritten():
    wire = Wire()
    before = segment(b"data", seq=5, flags=tcp.ACK)
    after = segment(b"something else", seq=99, flags=tcp.ACK | tcp.FIN)
    wire.into(before)
    wire.out(after)
    wire.tell(before, Deed("mine", "", "rewritten"), left=(after,))
    [fate] = wire.fates()
    assert fate.arrived
    assert "TCP::Seq 5 -> 99" in fate.hops[2].changes
