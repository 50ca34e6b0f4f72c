from __future__ import annotations

import itertools
import random
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.tcp import stack as stacks
from netlab.tcp.events import CONNECTED, End, UserError
from netlab.tcp.fragments import cut
from netlab.tcp.ip import Envelope, complete
from netlab.tcp.segment import Segment
from netlab.tcp.settings import Settings
from netlab.tcp.stack import Stack
from netlab.tcp.state import State
from netlab.wire import icmp, ipv4, ipv6, tcp, udp
from netlab.wire.address import packed
from netlab.wire.tcp import ACK, FIN, PSH, RST, SYN, URG, Options
from tests.tcp.network import A6, B6, A, B, Network, Weather

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTS = bytes.fromhex("9c40 0050")  # 40000 to 80


def segment_to_b(segment: Segment, source: bytes = A, ports: bytes = PORTS) -> bytes:
    """A packet from a stranger to b."""
    key = B + source + ports[2:] + ports[:2]
    return complete(Envelope(key).packet(segment))


def answers(network: Network) -> list[tcp.Header]:
    """What b has to say now."""
    packets = [complete(packet) for packet in network.b.to_send(network.now)]
    return [tcp.parse(ipv4.payload(p, ipv4.parse(p))) for p in packets]


def transfer(network: Network, text: bytes, family: int = 4, seconds: float = 300.0) -> None:
    """Send text from a to b and back again through a connection of its own, and close."""
    client, server = network.connect(family=family)
    outbox, echo, inbox = text, b"", b""

    def act() -> None:
        nonlocal outbox, echo, inbox
        if outbox and client.connection.end is None:
            outbox = outbox[client.connection.send(outbox) :]
            if not outbox:
                client.connection.close(network.now)
            network.a.mark_dirty(client)
        if server.connection.receiver.waiting:
            echo += b"".join(server.connection.recv())
        if server.connection.state is State.CLOSE_WAIT:
            echo = echo[server.connection.send(echo) :] if echo else b""
            if not echo:
                server.connection.close(network.now)
        network.b.mark_dirty(server)
        if client.connection.receiver.waiting:
            inbox += b"".join(client.connection.recv())
            network.a.mark_dirty(client)

    network.run(seconds, act)
    assert inbox == text
    assert client.connection.end is End.NORMAL
    assert server.connection.end is End.NORMAL
    assert not network.a.places()
    assert not network.b.places()


@pytest.mark.parametrize("family", [4, 6])
def test_a_transfer_over_a_fair_wire(family: int) -> None:
    network = Network()
    transfer(network, random.Random(1).randbytes(200_000), family)
    assert not network.a.counters
    assert not network.b.counters


@pytest.mark.parametrize("seed", range(6))
def test_corruption_is_noticed_and_repaired(seed: int) -> None:
    weather = Weather(loss=0.02, corruption=0.1, jitter=0.005)
    choice = Settings(sack=seed % 2 == 0, timestamps=seed % 3 == 0, user_timeout=1e5)
    network = Network(choice, weather=weather, seed=seed)
    transfer(network, random.Random(seed).randbytes(80_000), 4 if seed % 2 else 6, 3000)
    assert sum(network.b.counters.values()) > 3


# -- segments that belong to nobody --


@pytest.mark.parametrize(
    ("flags", "answer"),
    [
        (0, []),
        (FIN, []),
        (FIN | PSH | URG, []),
        (SYN | FIN, []),
        (RST, []),
        (RST | ACK, []),
        (ACK, [RST]),
        (SYN | ACK, [RST]),
        (FIN | ACK, [RST]),
        (SYN, [SYN | ACK]),
    ],
)
def test_a_listener_answers_scans_as_the_rfc_says(flags: int, answer: list[int]) -> None:
    """RFC 9293 section 3.10.7.2; a SYN with FIN is dropped as Linux drops it."""
    network = Network()
    network.b.listen(80)
    network.b.receive(segment_to_b(Segment(7, 99 if flags & ACK else 0, flags)), network.now)
    assert [a.flags for a in answers(network)] == answer


def test_connections_in_time_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "MAXIMUM_TIME_WAIT", 3)
    network = Network()
    for _ in range(5):
        client, server = network.connect()
        server.connection.close(network.now)
        network.b.mark_dirty(server)
        network.run(0.1)
        client.connection.close(network.now)
        network.a.mark_dirty(client)
        network.run(0.1)
        assert server.connection.state is State.TIME_WAIT
    waiting = [p for p in network.b.places() if p.connection.state is State.TIME_WAIT]
    assert len(waiting) == 3


def test_a_closed_port_resets() -> None:
    network = Network()
    network.b.receive(segment_to_b(Segment(7, flags=SYN)), 0)
    network.b.receive(segment_to_b(Segment(7, 99, ACK)), 0)
    network.b.receive(segment_to_b(Segment(7, flags=RST)), 0)
    network.b.receive(segment_to_b(Segment(7, flags=FIN, length=2, data=(b"ab",))), 0)
    assert [(a.flags, a.seq, a.ack) for a in answers(network)] == [
        (RST | ACK, 0, 8),
        (RST, 99, 0),
        (RST | ACK, 0, 10),
    ]


@pytest.mark.parametrize("source", ["224.0.0.1", "255.255.255.255", "0.0.0.0"])
def test_syns_from_nowhere_are_ignored(source: str) -> None:
    network = Network()
    network.b.listen(80)
    network.b.receive(segment_to_b(Segment(7, flags=SYN), packed(source)), 0)
    assert answers(network) == []


def test_segments_to_other_addresses_are_ignored() -> None:
    network = Network()
    network.a.listen(80)
    network.a.receive(segment_to_b(Segment(7, flags=SYN)), 0)
    assert network.a.to_send(0) == []
    assert network.a.counters["not for us"] == 1


def test_connect_refuses_what_is_no_host() -> None:
    for address in ("224.0.0.1", "255.255.255.255", "ff02::1"):
        with pytest.raises(UserError, match="unspecified"):
            Network().a.connect(packed(address), 80, 0.0)
    only_ipv4 = Stack((A,), bytes(16))
    with pytest.raises(UserError, match="family"):
        only_ipv4.connect(packed("fd00::5"), 80, 0.0)


def test_a_port_is_listened_to_once_and_one_address_beats_all() -> None:
    network = Network()
    everywhere = network.b.listen(80)
    here = network.b.listen(80, B)
    with pytest.raises(UserError, match="already exists"):
        network.b.listen(80)
    network.b.receive(segment_to_b(Segment(7, flags=SYN)), 0)
    assert (here.half_open, everywhere.half_open) == (1, 0)


def test_ephemeral_ports_differ() -> None:
    network = Network()
    ports = {network.a.connect(B, 80, 0.0).envelope.local_port for _ in range(100)}
    assert len(ports) == 100
    assert min(ports) >= 49152


# -- floods --


def test_a_flood_of_syns_leaves_the_stack_serving() -> None:
    network = Network()
    network.b.listen(80, backlog=64)
    rnd = random.Random(3)
    count = 100_000
    for _ in range(count):
        source = b"\x0b" + rnd.randbytes(3)
        packet = segment_to_b(
            Segment(rnd.randrange(1 << 32), flags=SYN, options=Options(mss=1460)),
            source,
            rnd.randbytes(2) + PORTS[2:],
        )
        network.b.receive(packet, network.now)
        network.b.to_send(network.now)
    assert len(network.b.places()) <= 64
    assert network.b.counters["SYN cookies sent"] >= count - 64 - 1
    transfer_through_cookie(network)


def transfer_through_cookie(network: Network) -> None:
    client = network.a.connect(B, 80, network.now)
    network.run(1.0)
    listener = network.b._listeners[None, 80]
    server = listener.accept()
    assert server is not None
    assert network.b.counters["SYN cookies received"] == 1
    client.connection.send(bytes(5000))
    network.a.mark_dirty(client)
    network.run(1.0)
    assert sum(map(len, server.connection.recv())) == 5000
    assert server.connection.sender.mss == 1460


def test_a_forged_cookie_is_reset() -> None:
    network = Network()
    network.b.listen(80, backlog=1)
    network.b.receive(segment_to_b(Segment(7, flags=SYN), packed("10.0.0.7")), network.now)
    network.b.receive(segment_to_b(Segment(7, flags=SYN)), network.now)
    cookie = answers(network)[0].seq
    for wrong in (cookie, cookie + 2, 12345):
        network.b.receive(segment_to_b(Segment(8, wrong, ACK)), network.now)
    assert [a.flags for a in answers(network)] == [RST, RST, RST]
    assert len(network.b.places()) == 1


def test_a_listener_that_goes_resets_who_waits() -> None:
    network = Network()
    listener = network.b.listen(80)
    clients = [network.a.connect(B, 80, network.now) for _ in range(3)]
    network.run(0.5)
    listener.accept()
    network.b.unlisten(listener)
    network.run(0.5)
    ends = [client.connection.end for client in clients]
    assert ends.count(End.RESET) == 2
    late = network.a.connect(B, 80, network.now)
    network.run(0.5)
    assert late.connection.end is End.REFUSED


def test_connections_that_nobody_accepts_are_bounded() -> None:
    network = Network()
    listener = network.b.listen(80, backlog=4)
    for _ in range(20):
        network.a.connect(B, 80, network.now)
    network.run(0.5)
    assert len(listener.ready) == 4
    assert len(network.b.places()) <= 8


def test_time_wait_is_bounded_and_may_be_reopened() -> None:
    network = Network(Settings(timestamps=False))
    client, server = network.connect()
    server.connection.close(network.now)
    network.b.mark_dirty(server)
    network.run(0.1)
    client.connection.close(network.now)
    network.a.mark_dirty(client)
    network.run(0.1)
    assert server.connection.state is State.TIME_WAIT
    last = server.connection.sender.max
    key, port = server.envelope.key, client.envelope.local_port
    again = network.a.connect(B, 80, network.now, local_port=port)
    network.run(0.1)
    assert again.connection.state is State.ESTABLISHED
    fresh = next(p for p in network.b.places() if p.envelope.key == key)
    assert fresh is not server
    assert fresh.connection.iss - last & 0xFFFF_FFFF < 1 << 31


# -- ICMP --


@pytest.mark.parametrize("family", [4, 6])
def test_ping_is_answered(family: int) -> None:
    network = Network()
    ours, theirs = (A, B) if family == 4 else (A6, B6)
    request = icmp.encode(icmp.echo_request(family, 7, 1, b"data"), ours, theirs)
    if family == 4:
        network.b.receive(ipv4.encode(ipv4.Header(ours, theirs, 1), request), 0)
        (packet,) = (complete(p) for p in network.b.to_send(0))
        payload = ipv4.payload(packet, ipv4.parse(packet))
    else:
        network.b.receive(ipv6.encode(ipv6.Header(ours, theirs, 58), request), 0)
        (packet,) = (complete(p) for p in network.b.to_send(0))
        payload = ipv6.payload(packet, ipv6.parse(packet))
    assert icmp.verify(payload, theirs, ours)
    reply = icmp.parse(payload)
    assert (reply.type, reply.identifier, reply.body) == (0 if family == 4 else 129, 7, b"data")


def test_other_protocols_are_refused_politely_and_not_too_often() -> None:
    network = Network()
    datagram = udp.encode(udp.Header(5, 6), b"x", A, B)
    for _ in range(500):
        network.b.receive(ipv4.encode(ipv4.Header(A, B, 17), datagram), 0.5)
    packets = [complete(p) for p in network.b.to_send(0.5)]
    assert len(packets) == 100
    message = icmp.parse(ipv4.payload(packets[0], ipv4.parse(packets[0])))
    assert (message.type, message.code) == (3, 3)
    network.b.receive(ipv4.encode(ipv4.Header(A, B, 253), b"x"), 2.5)
    packet = complete(network.b.to_send(2.5)[0])
    assert icmp.parse(ipv4.payload(packet, ipv4.parse(packet))).code == 2


def small_router(limit: int) -> object:
    """A router between the two whose next link carries only ``limit`` octets."""

    def route(to: int, octets: bytes) -> list[tuple[int, bytes]]:
        if len(octets) <= limit:
            return [(to, octets)]
        if octets[0] >> 4 == 4 and not octets[6] & 0x40:
            return [(to, piece) for piece in cut(octets, limit, 1)]
        message = icmp.too_big(octets, limit)
        if octets[0] >> 4 == 4:
            source = octets[12:16]
            router = packed("10.0.0.254")
            error = icmp.encode(message, router, source)
            return [(1 - to, ipv4.encode(ipv4.Header(router, source, 1), error))]
        source, router = octets[8:24], packed("fd00::fe")
        error = icmp.encode(message, router, source)
        return [(1 - to, ipv6.encode(ipv6.Header(router, source, 58), error))]

    return route


@pytest.mark.parametrize(("family", "limit"), [(4, 1000), (4, 552), (6, 1280)])
def test_a_smaller_path_is_found_without_a_timeout(family: int, limit: int) -> None:
    network = Network()
    network.router = small_router(limit)  # type: ignore[assignment]
    transfer(network, bytes(50_000), family)
    lengths = [len(octets) for _, octets in network.packets]
    assert max(lengths) == 1500
    assert sum(length > limit for length in lengths) < 40
    assert sum(length == limit for length in lengths) > 20


def test_a_path_smaller_than_any_segment_may_cut_our_packets() -> None:
    network = Network()
    network.router = small_router(300)  # type: ignore[assignment]
    transfer(network, bytes(20_000))
    sent = [len(octets) for _, octets in network.packets if not octets[6] & 0x40]
    assert max(sent) == 552
    client = network.a.connect(B, 80, network.now)  # the next connection knows it from the start
    assert (client.connection.mss, client.envelope.whole) == (512, False)


def test_an_icmp_error_of_mtu_0_does_not_make_tiny_segments() -> None:
    network = Network()
    client, _ = network.connect()
    client.connection.send(bytes(5000))
    network.a.mark_dirty(client)
    packet = complete(network.a.to_send(network.now)[0])
    icmp_to(network, 0, icmp.too_big(packet, 0))
    again = [complete(packet) for packet in network.a.to_send(network.now)]
    assert client.connection.sender.mss == 500
    assert {len(packet) for packet in again} == {552}


def test_identifications_do_not_begin_at_one_and_are_no_global_counter() -> None:
    network = Network()
    found = []
    for port in range(200):
        ports = struct.pack("!HH", 5000 + port, 81)
        network.b.receive(segment_to_b(Segment(1, flags=SYN), ports=ports), 0.0)
        found.append(ipv4.parse(complete(network.b.to_send(0.0)[0])).identification)
    assert len(set(found)) > 190
    assert sum(b - a == 1 for a, b in itertools.pairwise(found)) < 5


def test_a_flow_has_one_ipv6_label_and_another_flow_another() -> None:
    network = Network()
    labels = []
    for _ in range(2):
        before = len(network.packets)
        network.connect(family=6)
        flow = [ipv6.parse(octets) for side, octets in network.packets[before:] if not side]
        assert len({header.flow_label for header in flow}) == 1
        labels.append(flow[0].flow_label)
    assert 0 not in labels
    assert labels[0] != labels[1]


def test_a_path_mtu_is_remembered_for_the_next_connection_but_not_for_ever() -> None:
    network = Network()
    network.router = small_router(1000)  # type: ignore[assignment]
    transfer(network, bytes(20_000))
    assert network.a.connect(B, 80, network.now).connection.mss == 960
    assert network.a.connect(B, 80, network.now + 1000).connection.mss == 1460


def test_a_port_unreachable_refuses_an_active_open() -> None:
    network = Network()
    client = network.a.connect(B, 80, network.now)
    packet = complete(network.a.to_send(network.now)[0])
    icmp_to(network, 0, icmp.unreachable(packet, icmp.PORT_UNREACHABLE))
    assert client.connection.end is End.REFUSED


def test_what_is_corked_waits_for_more_but_not_for_ever() -> None:
    network = Network(Settings(cork=True))
    client, server = network.connect()
    network.now += 500.0  # longer than the user timeout: being idle is no fault
    client.connection.send(bytes(2000))
    network.a.mark_dirty(client)
    network.run(0.1)
    assert server.connection.receiver.waiting == 1448
    network.run(1.0)
    assert server.connection.receiver.waiting == 2000


def test_a_black_hole_is_escaped_if_asked_for() -> None:
    network = Network(Settings(black_hole_detection=True))
    network.router = lambda to, octets: [(to, octets)] if len(octets) <= 1000 else []
    transfer(network, bytes(50_000))


def icmp_to(network: Network, side: int, message: icmp.Message) -> None:
    ours = (A, B)[side]
    router = packed("10.0.0.254")
    packet = ipv4.encode(ipv4.Header(router, ours, 1), icmp.encode(message, router, ours))
    (network.a, network.b)[side].receive(packet, network.now)


@pytest.mark.parametrize(
    ("kind", "code", "hard"),
    [(3, 0, False), (3, 1, False), (3, 2, True), (3, 3, True), (3, 5, False), (11, 0, False),
     (12, 0, False), (4, 0, None), (5, 1, None)],
)  # fmt: skip
def test_icmp_errors_are_soft_hard_or_nothing(kind: int, code: int, hard: bool | None) -> None:  # noqa: FBT001
    network = Network()
    client, _ = network.connect()
    client.connection.send(b"data")
    network.a.mark_dirty(client)
    packet = complete(network.a.to_send(network.now)[0])
    client.connection.take_events()
    icmp_to(network, 0, icmp.Message(kind, code, 0, packet))
    assert (client.connection.end is End.UNREACHABLE) is (hard is True)
    assert bool(client.connection.trouble) is (hard is not None)


def test_an_icmp_error_about_nothing_under_way_is_ignored() -> None:
    network = Network()
    client, _ = network.connect()
    forged = segment_to_b(
        Segment(client.connection.sender.una + 5000 & 0xFFFF_FFFF, 0, ACK),
        ports=client.envelope.local_port.to_bytes(2, "big") + PORTS[2:],
    )
    icmp_to(network, 0, icmp.Message(3, 3, 0, forged))
    icmp_to(network, 0, icmp.Message(3, 3, 0, segment_to_b(Segment(5))))
    assert client.connection.state is State.ESTABLISHED
    assert network.a.counters["ICMP error about nothing of ours"] == 2


# -- malformed packets --


def test_ip_options_and_extension_headers_do_not_matter() -> None:
    network = Network()
    network.b.listen(80)
    plain = segment_to_b(Segment(7, flags=SYN))
    header = ipv4.parse(plain)
    octets = ipv4.payload(plain, header)
    network.b.receive(ipv4.encode(header._replace(options=b"\x07\x04\x04\x00"), octets), 0)
    assert [a.flags for a in answers(network)] == [SYN | ACK]
    segment = tcp.encode(tcp.Header(4000, 80, 7, flags=SYN), b"", A6, B6)
    network.b.receive(
        ipv6.encode(ipv6.Header(A6, B6, 6), segment, (ipv6.Extension(0, bytes(7)),)), 0
    )
    assert len(network.b.to_send(0)) == 1


@given(st.lists(st.binary(max_size=120), max_size=20))
def test_random_octets_do_nothing(packets: list[bytes]) -> None:
    network = Network()
    network.b.listen(80)
    for octets in packets:
        network.b.receive(octets, network.now)
        network.b.to_send(network.now)
    assert network.b.places() == []


def mutants(seed: int, count: int, packets: list[bytes]) -> Iterator[bytes]:
    """Copies of real packets with some octets changed, cut or added, half with right checksums."""
    rnd = random.Random(seed)
    for _ in range(count):
        octets = bytearray(rnd.choice(packets))
        for _ in range(rnd.randrange(1, 5)):
            at = min(int(rnd.expovariate(1 / 25)), len(octets) - 1)
            octets[at] = rnd.choice((0, 1, 255, rnd.randrange(256)))
        if rnd.random() < 0.2:
            del octets[rnd.randrange(len(octets)) :]
        elif rnd.random() < 0.1:
            octets += rnd.randbytes(rnd.randrange(40))
        yield bytes(mend(octets) if rnd.random() < 0.5 else octets)


def mend(octets: bytearray) -> bytearray:
    """Right lengths and checksums, so that the damage gets past them."""
    if len(octets) < 40:
        return octets
    octets[0:1] = b"\x45"
    octets[2:4] = len(octets).to_bytes(2, "big")
    octets[6:8] = b"\0\0"
    octets[9:10] = b"\x06"
    octets[10:12] = b"\0\0"
    header = ipv4.parse(octets)
    packet = ipv4.encode(header, octets[20:])
    text = tcp.encode_header(tcp.Header(0, 0)) if octets[32] >> 4 < 5 else b""
    if text or len(octets) < 20 + (octets[32] >> 4) * 4:
        return octets
    segment = bytearray(packet[20:])
    head = tcp.parse(segment)
    return bytearray(
        packet[:20]
        + tcp.encode(head, bytes(tcp.payload(segment, head)), header.source, header.destination)
    )


@pytest.mark.parametrize(
    ("count", "seed"), [(100_000, 5), pytest.param(10_000_000, 9, marks=pytest.mark.soak)]
)
def test_mutants_disturb_nobody(count: int, seed: int) -> None:
    """Memory stays bounded, nothing is raised, and a connection beside them works on."""
    network = Network()
    listener = network.b.listen(80, backlog=32)
    client, server = network.connect()
    client.connection.send(bytes(3000))
    network.a.mark_dirty(client)
    network.run(0.2)
    server.connection.recv()
    real = [octets for side, octets in network.packets if side == 0]
    stranger = packed("10.0.0.9")
    strangers = []
    for octets in real:
        header = ipv4.parse(octets)
        payload = ipv4.payload(octets, header)
        head = tcp.parse(payload)
        segment = tcp.encode(head, bytes(tcp.payload(payload, head)), stranger, B)
        strangers.append(ipv4.encode(header._replace(source=stranger), segment))
    own = client.envelope.local + client.envelope.remote
    for number, octets in enumerate(mutants(seed, count, strangers)):
        if octets[12:20] == own:
            continue  # a mutant that has become a forgery of the connection itself
        network.b.receive(octets, network.now)
        if number % 64 == 0:
            network.b.to_send(network.now)
            while listener.accept():
                pass
    network.b.to_send(network.now)
    assert len(network.b.places()) < 500
    client.connection.send(b"still here")
    network.a.mark_dirty(client)
    network.run(0.2)
    assert b"".join(server.connection.recv()).endswith(b"still here")
    assert server.connection.events & CONNECTED or server.connection.state is State.ESTABLISHED
