from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.middlebox import After, Back, Middlebox, SimulatedLink
from tests.middlebox.packets import datagram, number, segment


def numbers(arrivals, direction="outbound"):
    return [number(a.packet) for a in arrivals if a.direction == direction]


def test_without_a_box_all_packets_arrive_in_order():
    wire = SimulatedLink()
    wire.send("outbound", map(datagram, range(5)))
    assert numbers(wire.run()) == [0, 1, 2, 3, 4]


class Late(Middlebox):
    def __init__(self, *seconds):
        self._seconds = list(seconds)

    def packet(self, pkt, direction, now):
        yield After(self._seconds.pop(0), pkt)


def test_packets_leave_by_due_time_and_then_by_number():
    wire = SimulatedLink(Late(3, 1, 1, 2))
    wire.send("outbound", map(datagram, range(4)))
    arrived = wire.run()
    assert numbers(arrived) == [1, 2, 3, 0]
    assert [a.time for a in arrived] == [1, 1, 2, 3]


def test_time_that_passes_in_two_boxes_adds_up():
    wire = SimulatedLink(Late(1), Late(2))
    wire.send("outbound", [datagram(0)])
    assert wire.advance(2.5) == []
    assert [a.time for a in wire.advance(1)] == [3]


class Marks(Middlebox):
    def __init__(self, log, name):
        self._log, self._name = log, name

    def packet(self, pkt, direction, now):
        self._log.append((direction, self._name))
        yield pkt


def test_inbound_packets_meet_the_boxes_in_reverse():
    log: list[tuple[str, str]] = []
    wire = SimulatedLink(Marks(log, "first"), Marks(log, "second"))
    wire.send("outbound", [datagram(0)])
    wire.send("inbound", [datagram(1)])
    assert log == [
        ("outbound", "first"),
        ("outbound", "second"),
        ("inbound", "second"),
        ("inbound", "first"),
    ]


class Echo(Middlebox):
    def packet(self, pkt, direction, now):
        yield Back(pkt)


def test_what_a_box_sends_back_passes_the_boxes_before_it():
    log: list[tuple[str, str]] = []
    wire = SimulatedLink(Marks(log, "before"), Echo(), Marks(log, "behind"))
    wire.send("outbound", [datagram(0)])
    assert numbers(wire.run(), "inbound") == [0]
    assert log == [("outbound", "before"), ("inbound", "before")]


class Hoarder(Middlebox):
    """Releases what it holds at the full second."""

    def __init__(self):
        self._held = []

    def packet(self, pkt, direction, now):
        self._held.append((direction, pkt))
        yield from ()

    def deadline(self):
        return 1.0 if self._held else None

    def wake(self, now):
        held, self._held = self._held, []
        yield from held


def test_a_box_is_woken_at_its_deadline():
    wire = SimulatedLink(Hoarder())
    wire.send("outbound", map(datagram, range(2)))
    arrived = wire.run()
    assert numbers(arrived) == [0, 1]
    assert {a.time for a in arrived} == {1.0}


class Sleepless(Hoarder):
    def wake(self, now):
        return ()


def test_a_box_that_ignores_its_deadline_is_an_error_not_a_loop():
    wire = SimulatedLink(Sleepless())
    wire.send("outbound", [datagram(0)])
    with pytest.raises(RuntimeError, match="Sleepless"):
        wire.run()


class Coin(Middlebox):
    def packet(self, pkt, direction, now):
        if self.rng.random() < 0.5:
            yield pkt


def traces(seed):
    wire = SimulatedLink(Coin(), Coin(), seed=seed)
    wire.send("outbound", map(datagram, range(50)))
    return numbers(wire.run())


def test_one_seed_gives_one_fate_another_seed_another():
    assert traces(1) == traces(1)
    assert traces(1) != traces(2)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=20))
def test_no_packet_is_lost_or_early(delays):
    wire = SimulatedLink(Late(*delays))
    wire.send("outbound", map(datagram, range(len(delays))))
    arrived = wire.run()
    assert {number(a.packet): a.time for a in arrived} == dict(enumerate(delays))
    assert [a.time for a in arrived] == sorted(delays)


def test_packets_may_be_given_as_octets():
    wire = SimulatedLink()
    wire.send("inbound", [segment(b"x").octets])
    assert [a.packet for a in wire.run()] == [segment(b"x")]
