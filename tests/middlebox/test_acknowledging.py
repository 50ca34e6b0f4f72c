"""Proxies that acknowledge, packet by packet and in conversations of two stacks."""

from __future__ import annotations

from itertools import pairwise

import pytest

from netlab.middlebox import SimulatedLink
from netlab.middlebox.boxes.acknowledging import TRIES
from netlab.middlebox.boxes.link import Impairment, Link
from netlab.middlebox.catalogue import CATALOGUE
from netlab.tcp.events import End
from netlab.tcp.settings import Settings
from netlab.wire import tcp
from tests.middlebox.conversation import Conversation
from tests.middlebox.packets import answer, is_right, segment

SYN_OPTIONS = tcp.encode_options(tcp.Options(mss=1460, window_scale=3, sack_permitted=True))


def proxy(**parameters):
    return CATALOGUE["proxy-ack"].make_box({"keep": True} | parameters)


def opened(window=100):
    """A wire with a proxy on which a connection was opened: numbers begin with 1 and 51."""
    wire = SimulatedLink(proxy())
    wire.send("outbound", [segment(seq=0, flags=tcp.SYN, window=9000, options=SYN_OPTIONS)])
    wire.send(
        "inbound",
        [answer(seq=50, ack=1, flags=tcp.SYN | tcp.ACK, window=100, options=SYN_OPTIONS)],
    )
    wire.send("outbound", [segment(seq=1, ack=51, window=1000)])
    wire.send("inbound", [answer(seq=51, ack=1, window=window)])
    wire.advance(0)
    return wire


def seen(arrivals):
    """Direction, number, data or ACK and window of each."""
    assert all(is_right(a.packet) for a in arrivals)
    found = []
    for a in arrivals:
        data, head = a.packet.payload, a.packet.tcp
        found.append(
            (a.direction, head.seq, data) if data else (a.direction, head.ack, head.window)
        )
    return found


def test_without_a_copy_it_acknowledges_and_forgets():
    wire = SimulatedLink(proxy(keep=False))
    wire.send("outbound", [segment(b"abc", seq=7, ack=50)])
    data, ack = wire.run()
    assert (data.direction, data.packet.payload) == ("outbound", b"abc")
    assert ack.direction == "inbound"
    assert ack.packet.tcp
    assert (ack.packet.tcp.seq, ack.packet.tcp.ack, ack.packet.tcp.flags) == (50, 10, tcp.ACK)
    assert is_right(ack.packet)


def test_data_is_acknowledged_before_it_arrives_with_the_room_that_is_left():
    wire = opened(window=100)  # in units of eight octets
    wire.send("outbound", [segment(b"x" * 80, seq=1, ack=51)])
    assert seen(wire.advance(0)) == [("outbound", 1, b"x" * 80), ("inbound", 81, 90)]


def test_what_is_not_acknowledged_comes_again_until_nobody_is_believed_to_be_there():
    wire = opened()
    wire.send("outbound", [segment(b"abc", seq=1, ack=51)])
    wire.advance(0)
    again = wire.run()
    assert seen(again) == [("outbound", 1, b"abc")] * TRIES
    waits = [later.time - earlier.time for earlier, later in pairwise(again)]
    assert waits == [2.0 * 2**n for n in range(5)] + [60.0] * 2


def test_three_acks_of_one_number_bring_the_segment_again_and_stay_with_the_box():
    wire = opened()
    wire.send("outbound", [segment(bytes([48 + n]) * 8, seq=1 + 8 * n, ack=51) for n in range(5)])
    wire.advance(0)
    wire.send("inbound", [answer(seq=51, ack=9, window=100)] * 4)
    assert seen(wire.advance(0)) == [("inbound", 41, 96), ("outbound", 9, b"1" * 8)]
    # A partial ACK, the third segment is missing too: at once, and the rest is acknowledged.
    wire.send("inbound", [answer(seq=51, ack=17, window=100)])
    assert seen(wire.advance(0)) == [("inbound", 41, 97), ("outbound", 17, b"2" * 8)]
    wire.send("inbound", [answer(seq=51, ack=41, window=100)])
    assert seen(wire.run()) == [("inbound", 41, 100)]


def test_what_comes_again_says_what_its_sender_says_by_now():
    wire = opened()
    sack = tcp.encode_options(tcp.Options(sack=((61, 71),), timestamps=(7, 8)))
    wire.send("outbound", [segment(b"abc", seq=1, ack=51, options=sack)])
    wire.send("inbound", [answer(b"d" * 10, seq=51, ack=1, window=100)])
    now = tcp.encode_options(tcp.Options(timestamps=(9, 8)))
    wire.send("outbound", [segment(seq=4, ack=61, window=900, options=now)])
    wire.advance(0)
    again = next(a.packet for a in wire.run() if a.packet.payload == b"abc")
    assert (again.tcp.seq, again.tcp.ack, again.tcp.window) == (1, 61, 900)
    assert tcp.parse_options(again.tcp.options) == tcp.Options(timestamps=(9, 8))


def test_what_comes_too_early_is_acknowledged_when_the_hole_is_filled():
    wire = opened()
    wire.send("outbound", [segment(b"later", seq=4, ack=51), segment(b"abc", seq=1, ack=51)])
    acks = [s for s in seen(wire.advance(0)) if s[0] == "inbound"]
    assert acks == [("inbound", 1, 100), ("inbound", 9, 99)]


def test_the_sender_hears_of_no_hole_behind_the_box():
    wire = opened()
    wire.send("outbound", [segment(bytes(10), seq=1, ack=51), segment(bytes(10), seq=11, ack=51)])
    wire.advance(0)
    sack = tcp.encode_options(tcp.Options(sack=((11, 21),), timestamps=(7, 8)))
    wire.send("inbound", [answer(b"data", seq=51, ack=1, window=200, options=sack)])
    data = next(a.packet for a in wire.advance(0) if a.packet.payload)
    assert data.tcp.ack == 21
    assert tcp.parse_options(data.tcp.options) == tcp.Options(timestamps=(7, 8))


def test_a_reset_ends_the_box_s_part():
    wire = opened()
    wire.send("outbound", [segment(b"abc", seq=1, ack=51), segment(seq=4, flags=tcp.RST)])
    wire.advance(0)
    assert wire.run() == []


def lossy(share, delay, seed):
    impairment = Impairment(loss=share, delay=delay)
    return Link(impairment, impairment, seed)


LOSSES = [0.0, 0.02, 0.1]
SIZES = [(0, 0), (1, 0), (1448, 20_000), (60_000, 1), (50_000, 50_000)]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("stamps", [True, False])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("behind", LOSSES)
@pytest.mark.parametrize("before", LOSSES)
def test_streams_are_whole_wherever_segments_are_lost(before, behind, seed, sizes, stamps):
    forth, back = sizes
    wire = SimulatedLink(lossy(before, 0.01, seed), proxy(), lossy(behind, 0.02, seed + 1))
    data = bytes(range(256)) * 300
    talk = Conversation(wire, data[:forth], data[7 : 7 + back], Settings(timestamps=stamps))
    talk.run()
    assert (talk.server.got, talk.client.got) == (data[:forth], data[7 : 7 + back])
    assert set(talk.ends) <= {End.NORMAL, None}


def test_a_sender_near_the_box_is_not_slowed_by_losses_behind_it():
    """What such a proxy is for (RFC 3135 section 4.1)."""
    data = bytes(200_000)
    resent = {}
    for name, boxes in (("with", [proxy()]), ("without", [])):
        wire = SimulatedLink(*boxes, lossy(0.05, 0.05, 4))
        talk = Conversation(wire, data, b"")
        talk.run()
        assert talk.server.got == data
        resent[name] = talk.client.connection.sender.timeouts, talk.client.segments
    assert resent["with"][1] < resent["without"][1]


@pytest.mark.parametrize("keep", [True, False])
def test_only_one_that_keeps_a_copy_survives_a_loss_behind_it(keep):
    wire = SimulatedLink(proxy(keep=keep), lossy(0.2, 0.01, 9))
    talk = Conversation(wire, bytes(50_000), b"", Settings(timestamps=False))
    if keep:
        talk.run()
        assert talk.server.got == bytes(50_000)
    else:
        with pytest.raises(AssertionError, match="hangs"):
            talk.run()
        assert len(talk.server.got) < 50_000
