"""Requirements of RFC 9293 that no other test shows (docs/rfc9293.md has the whole list)."""

from __future__ import annotations

import itertools

import pytest

from netlab.tcp import isn
from netlab.tcp.connection import Connection
from netlab.tcp.events import CONNECTED, TROUBLE, URGENT, WRITABLE
from netlab.tcp.ip import Envelope, complete
from netlab.tcp.segment import CE, ECT_0, Segment
from netlab.tcp.settings import DEFAULTS, Settings
from netlab.tcp.stack import Stack
from netlab.tcp.state import Role, State
from netlab.wire import ipv4, tcp
from netlab.wire.address import packed
from netlab.wire.tcp import ACK, CWR, ECE, PSH, SYN, URG, Options
from tests.tcp.network import A, B, Network
from tests.tcp.peer import IRS, ISS, PLAIN, TIME, feed, in_state
from tests.tcp.simulation import Side, Simulation, pair

KEY = bytes(16)


def syn_of(c: Connection) -> Segment:
    c.open(Role.ACTIVE)
    (syn,) = c.to_send(TIME)
    return syn


def acknowledged(
    settings: Settings, *, mss: int = 1460, peer: Options | None = None, default_mss: int = 536
) -> Connection:
    """An established connection to a peer that offered these options."""
    c = Connection(ISS, settings, mss=mss, default_mss=default_mss)
    c.open(Role.ACTIVE)
    c.to_send(TIME)
    c.receive(Segment(IRS, ISS + 1, SYN | ACK, 60_000, options=peer or Options()), TIME)
    c.to_send(TIME)
    return c


# -- initial sequence numbers --


def test_the_clock_of_initial_sequence_numbers_ticks_every_four_microseconds() -> None:
    first = isn.initial_sequence_number(KEY, b"pair", 10.0)
    assert isn.initial_sequence_number(KEY, b"pair", 10.000004) - first & 0xFFFF_FFFF == 1
    assert isn.initial_sequence_number(KEY, b"pair", 11.0) - first & 0xFFFF_FFFF == 250_000


def test_another_key_or_pair_gives_another_sequence() -> None:
    numbers = {
        isn.initial_sequence_number(key, pair, 0.0)
        for key in (bytes(16), bytes([1]) * 16)
        for pair in (b"a", b"b")
    }
    assert len(numbers) == 4


# -- the maximum segment size --


def test_mss_is_sent_in_a_syn_and_nowhere_else() -> None:
    c = Connection(ISS, mss=1460)
    assert syn_of(c).options.mss == 1460
    c.receive(Segment(IRS, ISS + 1, SYN | ACK, 60_000, options=Options(mss=1000)), TIME)
    c.send(bytes(5000))
    for segment in c.to_send(TIME):
        assert segment.options.mss is None


def test_the_mss_of_a_syn_is_what_the_interface_carries() -> None:
    for address, expected in ((B, 1360), (packed("fd00::2"), 1340)):
        stack = Stack((A, packed("fd00::1")), KEY, Settings(mtu=1400))
        stack.connect(address, 80, 0.0)
        (packet,) = stack.to_send(0.0)
        octets = complete(packet)[20 if len(address) == 4 else 40 :]
        assert tcp.parse_options(tcp.parse(octets).options).mss == expected


@pytest.mark.parametrize(("default", "family"), [(536, 4), (1220, 6)])
def test_without_an_mss_the_default_holds(default: int, family: int) -> None:
    del family
    assert acknowledged(PLAIN, default_mss=default).sender.mss == default


@pytest.mark.parametrize(("path", "offer", "smaller"), [(1460, 1000, 1000), (960, 1460, 960)])
def test_the_smaller_of_peer_and_path_less_options(path: int, offer: int, smaller: int) -> None:
    plain = acknowledged(PLAIN, mss=path, peer=Options(mss=offer))
    assert plain.sender.mss == smaller
    stamped = PLAIN._replace(timestamps=True)
    peer = Options(mss=offer, timestamps=(1, 5000))
    assert acknowledged(stamped, mss=path, peer=peer).sender.mss == smaller - 12


# -- sending --


def test_nagle_holds_a_second_small_segment_and_can_be_turned_off() -> None:
    c = acknowledged(PLAIN, peer=Options(mss=1000))
    for data in (b"first", b"second", b"third"):
        c.send(data)
        sent = c.to_send(TIME)
        assert [s.length for s in sent] == ([5] if data == b"first" else [])
    assert [s.length for s in feed(c, IRS + 1, ACK, ISS + 6)] == [11]
    c = acknowledged(PLAIN, peer=Options(mss=1000))
    c.sender.nagle = False
    for data in (b"first", b"second"):
        c.send(data)
        assert [s.length for s in c.to_send(TIME)] == [len(data)]


def test_push_is_set_where_the_queue_ends() -> None:
    c = acknowledged(PLAIN, peer=Options(mss=1000))
    c.send(bytes(2500))
    assert [bool(s.flags & PSH) for s in c.to_send(TIME)] == [False, False, True]


def test_segments_are_full_where_possible() -> None:
    c = acknowledged(PLAIN, peer=Options(mss=1000))
    for _ in range(30):
        c.send(bytes(100))
    assert [s.length for s in c.to_send(TIME)] == [1000, 1000, 1000]


def test_large_segments_are_given_whole_with_the_size_to_cut_them_to() -> None:
    c = acknowledged(PLAIN._replace(largest_segment=65160), peer=Options(mss=1000))
    c.send(bytes(9500))
    (segment,) = c.to_send(TIME)
    assert (segment.length, segment.mss) == (9500, 1000)


def test_a_retransmitted_segment_gives_no_sample() -> None:
    c = acknowledged(PLAIN, peer=Options(mss=1000))
    before = c.sender.rto.srtt
    c.send(b"data")
    c.to_send(TIME)
    c.handle_timer(TIME + 5)
    assert len(c.to_send(TIME + 5)) == 1
    c.receive(Segment(IRS + 1, ISS + 5, ACK, 60_000), TIME + 5.1)
    assert c.sender.rto.srtt == before
    assert c.sender.una == ISS + 5


def test_timeouts_double() -> None:
    c = acknowledged(PLAIN, peer=Options(mss=1000))
    c.send(b"data")
    c.to_send(TIME)
    times = []
    for _ in range(5):
        at = c.next_timer()
        c.handle_timer(at)
        c.to_send(at)
        times.append(at)
    gaps = [round(later - earlier, 6) for earlier, later in itertools.pairwise(times)]
    assert all(later == 2 * earlier for earlier, later in itertools.pairwise(gaps))


def test_the_user_hears_of_r1_retransmissions() -> None:
    c = acknowledged(PLAIN, peer=Options(mss=1000))
    c.take_events()
    c.send(b"data")
    c.to_send(TIME)
    for _ in range(3):
        assert not c.take_events() & TROUBLE
        at = c.next_timer()
        c.handle_timer(at)
        c.to_send(at)
    assert c.take_events() & TROUBLE
    assert "3 retransmissions" in c.trouble


def test_the_user_may_choose_r2() -> None:
    c = acknowledged(PLAIN, peer=Options(mss=1000))
    c.user_timeout = 5.0
    c.send(b"data")
    c.to_send(TIME)
    while c.state is State.ESTABLISHED:
        at = c.next_timer()
        c.handle_timer(at)
        c.to_send(at)
    assert 5 <= at - TIME < 15


def test_the_defaults_are_within_the_rfcs_bounds() -> None:
    assert DEFAULTS.r1 >= 3
    assert DEFAULTS.user_timeout >= 100
    assert DEFAULTS.syn_timeout >= 180
    assert DEFAULTS.keepalive_idle >= 7200
    assert not DEFAULTS.keepalive
    assert DEFAULTS.delayed_ack < 0.5


def test_a_window_that_shrinks_stops_new_data_but_not_old() -> None:
    c = acknowledged(PLAIN, peer=Options(mss=1000))
    c.send(bytes(5000))
    assert len(c.to_send(TIME)) == 5
    assert feed(c, IRS + 1, ACK, ISS + 1001, window=1500) == []
    c.send(bytes(2000))
    assert c.to_send(TIME) == []
    at = c.next_timer()
    c.handle_timer(at)
    again = c.to_send(at)
    assert [(s.seq, s.length) for s in again] == [(ISS + 1001, 1000)]


def test_a_window_closed_over_data_under_way_is_probed_for_ever() -> None:
    c = acknowledged(PLAIN, peer=Options(mss=1000))
    c.send(bytes(3000))
    c.to_send(TIME)
    feed(c, IRS + 1, ACK, ISS + 1, window=0)
    cwnd = c.sender.congestion.cwnd
    at = TIME
    for _ in range(30):
        at = c.next_timer()
        c.handle_timer(at)
        assert [(s.seq, s.length) for s in c.to_send(at)] == [(ISS + 1, 1)]
        c.receive(Segment(IRS + 1, ISS + 1, ACK, 0), at)
    assert at - TIME > 1000
    assert c.sender.congestion.cwnd == cwnd
    c.receive(Segment(IRS + 1, ISS + 1, ACK, 10_000), at)
    for _ in range(5):
        for s in c.to_send(at):
            c.receive(Segment(IRS + 1, s.seq + s.length, ACK, 10_000), at)
        at = min(c.next_timer(), at + 60)
        c.handle_timer(at)
    assert c.sender.una == ISS + 3001


# -- acknowledging --


def test_a_lone_segment_is_acknowledged_soon_and_two_at_once() -> None:
    c = acknowledged(PLAIN._replace(delayed_ack=0.04))
    assert feed(c, IRS + 1, ACK, ISS + 1, bytes(536)) == []
    assert c.next_timer() == TIME + 0.04
    assert [a.ack for a in feed(c, IRS + 537, ACK, ISS + 1, bytes(536))] == [IRS + 1073]


def test_all_that_came_is_acknowledged_by_one_segment() -> None:
    c = acknowledged(PLAIN)
    for number in range(20):
        piece = Segment(IRS + 1 + 500 * number, ISS + 1, ACK, 60_000, 500, (bytes(500),))
        c.receive(piece, TIME)
    assert [a.ack for a in c.to_send(TIME)] == [IRS + 1 + 10_000]


def test_data_carries_the_acknowledgment() -> None:
    c = acknowledged(PLAIN)
    c.receive(Segment(IRS + 1, ISS + 1, ACK, 60_000, 4, (b"text",)), TIME)
    c.send(b"answer")
    assert [(s.length, s.ack) for s in c.to_send(TIME)] == [(6, IRS + 5)]


def test_an_early_segment_is_kept_and_answered_at_once_with_sack() -> None:
    choice = PLAIN._replace(sack=True, delayed_ack=0.2)
    c = acknowledged(choice, peer=Options(sack_permitted=True))
    (answer,) = feed(c, IRS + 11, ACK, ISS + 1, b"later")
    assert (answer.ack, answer.options.sack) == (IRS + 1, ((IRS + 11, IRS + 16),))
    feed(c, IRS + 1, ACK, ISS + 1, b"before....")
    assert b"".join(c.recv()) == b"before....later"


def test_options_may_come_in_any_segment() -> None:
    c = acknowledged(PLAIN)
    strange = Options(mss=9, window_scale=9, unknown=((253, b"ab"),))
    c.receive(Segment(IRS + 1, ISS + 1, ACK, 60_000, 4, (b"text",), strange), TIME)
    assert b"".join(c.recv()) == b"text"
    assert (c.sender.mss, c.snd_shift) == (536, 0)


def test_what_follows_the_end_of_options_is_zero() -> None:
    octets = tcp.encode_options(Options(unknown=((253, b"a"),)))
    assert octets == b"\xfd\x03a\x00"


# -- urgent data --


def test_urgent_data_may_be_longer_than_the_pointer_reaches() -> None:
    c = acknowledged(PLAIN._replace(largest_segment=65160), peer=Options(mss=1000))
    c.sender.congestion.cwnd = 1 << 20
    c.sender.set_window(1 << 20)
    c.send(bytes(100_000), urgent=True)
    sent = c.to_send(TIME)
    assert sent[0].urgent_pointer == 0xFFFF
    assert all(s.flags & URG for s in sent)
    assert sent[-1].urgent_pointer == sent[-1].length


def test_urgent_data_is_announced_before_it_comes() -> None:
    c = in_state(State.ESTABLISHED)
    feed(c, IRS + 1, ACK | URG, ISS + 1, b"", urgent_pointer=50_000)
    assert c.take_events() & URGENT
    assert c.urgent_octets == 50_000


# -- the user and IP --


def test_a_passive_open_touches_nobody_else() -> None:
    network = Network()
    active = network.a.connect(B, 80, network.now, local_port=50_000)
    listener = network.a.listen(50_000)
    network.b.listen(80)
    network.run(1.0)
    assert active.connection.state is State.ESTABLISHED
    network.b.connect(A, 50_000, network.now)
    network.run(1.0)
    assert listener.accept() is not None


def test_a_connection_keeps_the_address_it_began_with() -> None:
    first, second = packed("10.0.0.1"), packed("10.0.0.9")
    stack = Stack((first, second), KEY)
    assert stack.connect(B, 80, 0.0).envelope.local == first
    assert stack.connect(B, 80, 0.0, local=second).envelope.local == second
    for packet in stack.to_send(0.0):
        assert ipv4.parse(packet.head + bytes(100)).source in {first, second}


def test_ttl_and_dscp_are_the_users() -> None:
    envelope = Envelope(B + A + b"\0\x50\0\x51", ttl=7, dscp=10)
    header = ipv4.parse(complete(envelope.packet(Segment(1, flags=ACK))))
    assert (header.ttl, header.traffic_class >> 2) == (7, 10)
    envelope.dscp = 46
    assert ipv4.parse(complete(envelope.packet(Segment(1)))).traffic_class >> 2 == 46


def test_syns_to_many_are_ignored() -> None:
    for address in ("224.0.0.1", "255.255.255.255"):
        stack = Stack((), KEY)
        stack.listen(80)
        key = packed(address) + A + b"\0\x50\x9c\x40"
        stack.receive(complete(Envelope(key).packet(Segment(7, flags=SYN))), 0.0)
        assert stack.to_send(0.0) == []


def test_the_user_need_not_listen_to_events() -> None:
    c = in_state(State.ESTABLISHED)
    c.soft_error("ICMP type 3 code 1")
    c.soft_error("ICMP type 3 code 0")
    assert c.events & TROUBLE
    assert c.trouble == "ICMP type 3 code 0"
    assert c.state is State.ESTABLISHED


def test_both_sides_learn_that_they_are_connected() -> None:
    a, b = pair()
    simulation = Simulation(Side(a), Side(b))
    for side in simulation.sides:
        side.closes = False
    simulation.run(until=1)
    for side in simulation.sides:
        assert side.events & CONNECTED
        assert side.events & WRITABLE


# -- ECN (RFC 3168) --


def test_ecn_is_agreed_on_and_halves_without_loss() -> None:
    asks, grants = Settings(ecn=True), Settings()
    a, b = pair(asks, grants)
    simulation = Simulation(Side(a, bytes(300_000)), Side(b))
    marked = False
    transmit = simulation._transmit

    def mark(to: int, segment: Segment) -> None:
        nonlocal marked
        if to == 1 and len(simulation.sent) > 60 and segment.length and not marked:
            marked = True
            segment = segment._replace(ecn=CE)
        transmit(to, segment)

    simulation._transmit = mark  # type: ignore[method-assign]
    simulation.run()
    flags = [(who, s.flags) for _, who, s in simulation.sent]
    assert flags[0] == (0, SYN | ECE | CWR)
    assert flags[1] == (1, SYN | ACK | ECE)
    assert all(s.ecn == ECT_0 for _, who, s in simulation.sent if who == 0 and s.length)
    assert any(f & ECE for who, f in flags[2:] if who == 1)
    assert any(f & CWR for who, f in flags[2:] if who == 0)
    assert a.sender.congestion.ssthresh < 1 << 40
    assert a.sender.retransmissions == 0
    echoes = [at for at, who, s in simulation.sent[2:] if who == 1 and s.flags & ECE]
    assert max(echoes) - min(echoes) < 0.1  # ends when CWR arrives


def test_ecn_is_not_used_with_a_peer_that_does_not_grant_it() -> None:
    c = Connection(ISS, Settings(ecn=True))
    assert syn_of(c).flags == SYN | ECE | CWR
    c.receive(Segment(IRS, ISS + 1, SYN | ACK, 60_000), TIME)
    c.send(b"data")
    assert all(s.ecn == 0 for s in c.to_send(TIME))
