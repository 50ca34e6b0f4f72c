"""A transparent proxy between two stacks."""

from __future__ import annotations

import pytest

from netlab.middlebox import Packet, SimulatedLink
from netlab.middlebox.boxes.link import Impairment, Link
from netlab.middlebox.catalogue import CATALOGUE
from netlab.tcp.events import End
from netlab.tcp.settings import DEFAULTS, Settings
from netlab.wire import tcp
from tests.middlebox.conversation import Conversation
from tests.middlebox.packets import answer, datagram, is_right, segment, segment6


def proxy(**parameters):
    return CATALOGUE["transparent-proxy"].make_box({"accept": "at-once"} | parameters)


def lossy(loss, delay, seed):
    impairment = Impairment(loss=loss, delay=delay)
    return Link(impairment, impairment, seed)


def head(packet: Packet) -> tcp.Header:
    assert packet.tcp
    return packet.tcp


def flags(arrivals, direction):
    assert all(is_right(a.packet) for a in arrivals if a.packet.tcp)
    return [head(a.packet).flags for a in arrivals if a.direction == direction]


SIZES = [(0, 0), (1, 0), (0, 1), (1448, 20_000), (60_000, 1), (50_000, 50_000)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("accept", ["at-once", "after-server"])
@pytest.mark.parametrize("loss", [0.0, 0.02, 0.1])
def test_the_octets_of_both_arrive_and_both_close(loss, accept, seed, sizes):
    wire = SimulatedLink(lossy(loss, 0.01, seed), proxy(accept=accept), lossy(loss, 0.02, seed + 1))
    data = bytes(range(256)) * 300
    forth, back = data[: sizes[0]], data[7 : 7 + sizes[1]]
    talk = Conversation(wire, forth, back)
    talk.run()
    assert (talk.server.got, talk.client.got) == (forth, back)
    assert set(talk.ends) <= {End.NORMAL, None}


def test_more_than_all_buffers_hold_passes():
    talk = Conversation(SimulatedLink(proxy(), lossy(0.0, 0.01, 1)), bytes(5_000_000), b"done")
    talk.run()
    assert len(talk.server.got) == 5_000_000
    assert talk.client.got == b"done"


UNKNOWN = bytes([253, 4, 0x12, 0x34, 2, 4, 5, 180])


@pytest.mark.parametrize("make", [segment, segment6])
def test_options_that_it_does_not_know_do_not_pass(make):
    wire = SimulatedLink(proxy())
    wire.send("outbound", [make(flags=tcp.SYN, options=UNKNOWN)])
    syn = next(a.packet for a in wire.advance(0) if a.direction == "outbound")
    assert is_right(syn)
    assert head(syn).flags == tcp.SYN
    options = tcp.parse_options(head(syn).options)
    assert options.mss in (1440, 1460)
    assert not options.unknown


def test_it_accepts_for_a_server_that_refuses_and_resets_when_it_knows():
    wire = SimulatedLink(proxy())
    wire.send("outbound", [segment(seq=7, flags=tcp.SYN)])
    arrived = wire.advance(0)
    assert flags(arrived, "inbound") == [tcp.SYN | tcp.ACK]
    syn = next(a.packet for a in arrived if a.direction == "outbound")
    refusal = answer(seq=0, ack=head(syn).seq + 1, flags=tcp.RST | tcp.ACK)
    wire.send("inbound", [refusal])
    assert flags(wire.advance(0), "inbound") == [tcp.RST | tcp.ACK]
    assert wire.run() == []


def test_it_can_wait_for_the_server_and_pass_its_refusal_on():
    wire = SimulatedLink(proxy(accept="after-server"))
    wire.send("outbound", [segment(seq=7, flags=tcp.SYN)] * 2)
    [syn] = wire.advance(0)
    wire.send("inbound", [answer(seq=0, ack=head(syn.packet).seq + 1, flags=tcp.RST | tcp.ACK)])
    [reset] = wire.advance(0)
    assert (head(reset.packet).flags, head(reset.packet).ack) == (tcp.RST | tcp.ACK, 8)


def test_segments_of_no_connection_are_reset_and_what_is_not_tcp_passes():
    wire = SimulatedLink(proxy())
    wire.send("outbound", [segment(b"data", seq=1, ack=5), datagram(3)])
    reset, other = wire.run()
    assert (reset.direction, head(reset.packet).flags, head(reset.packet).seq) == (
        "inbound",
        tcp.RST,
        5,
    )
    assert other.packet == datagram(3)


def test_the_same_seed_gives_the_same_numbers():
    def numbers(seed: int) -> list[int]:
        wire = SimulatedLink(proxy(), seed=seed)
        wire.send("outbound", [segment(seq=7, flags=tcp.SYN)])
        return [head(a.packet).seq for a in wire.advance(0)]

    assert numbers(1) == numbers(1) != numbers(2)


def test_a_client_that_resets_takes_the_server_with_it():
    wire = SimulatedLink(proxy())
    talk = Conversation(wire, bytes(1000), b"", DEFAULTS)
    talk.run()
    wire.run()  # the proxy's own TIME-WAIT
    wire.send("outbound", [segment(seq=7, flags=tcp.SYN)])
    first = wire.advance(0)
    ours = next(head(a.packet) for a in first if a.direction == "inbound")
    theirs = next(head(a.packet) for a in first if a.direction == "outbound")
    wire.send("outbound", [segment(seq=8, ack=ours.seq + 1)])
    wire.send("inbound", [answer(ack=theirs.seq + 1, flags=tcp.SYN | tcp.ACK, window=9000)])
    wire.advance(0)
    wire.send("outbound", [segment(seq=8, flags=tcp.RST)])
    assert flags(wire.advance(0), "outbound") == [tcp.RST | tcp.ACK]
    assert wire.run() == []


def test_a_client_that_resets_before_it_is_connected_is_forgotten():
    wire = SimulatedLink(proxy())
    wire.send("outbound", [segment(seq=7, flags=tcp.SYN), segment(seq=8, flags=tcp.RST)])
    assert flags(wire.advance(0), "outbound") == [tcp.SYN]
    assert wire.run() == []


def test_a_slow_reader_holds_the_sender_back():
    """What the server has no room for waits in the proxy, and then with the client."""
    small = Settings(receive_buffer=10_000)
    talk = Conversation(SimulatedLink(proxy(), lossy(0.0, 0.1, 1)), bytes(200_000), b"", small)
    talk.run()
    assert talk.server.got == bytes(200_000)
