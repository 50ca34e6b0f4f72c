from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.hdp.endpoint import EXCERPT, Client, Framing, Garbage, Received, Server
from netlab.wire import hdp, ipv4, ipv6, udp
from netlab.wire.address import packed

A4, B4 = packed("192.0.2.1"), packed("192.0.2.2")
A6, B6 = packed("2001:db8::1"), packed("2001:db8::2")

PROTOCOLS = st.integers(0, 255)
FRAMINGS = st.sampled_from(["hdp", "udp"])
TIMES = st.integers(0, (1 << 63) - 1)


def packet4(datagram: bytes, protocol: int) -> bytes:
    return ipv4.encode(ipv4.Header(A4, B4, protocol), datagram)


@given(PROTOCOLS, FRAMINGS, st.binary(max_size=50), TIMES, TIMES)
def test_what_the_client_makes_the_server_reads(
    protocol: int, framing: Framing, data: bytes, sent: int, now: int
) -> None:
    datagram = Client(framing, data).datagram(0, sent, A4, B4)
    event = Server(framing).packet(packet4(datagram, protocol), now)
    assert isinstance(event, Received)
    assert (event.protocol, event.data, event.source) == (protocol, data, A4)
    assert event.length == 20 + len(datagram)
    assert event.latency == (now - sent if framing == "hdp" else None)


@given(PROTOCOLS, FRAMINGS, st.binary(max_size=50))
def test_ipv6_with_its_header_and_without(protocol: int, framing: Framing, data: bytes) -> None:
    datagram = Client(framing, data).datagram(0, 7, A6, B6)
    server = Server(framing)
    whole = server.packet(ipv6.encode(ipv6.Header(A6, B6, protocol), datagram), 9)
    bare = server.payload(datagram, protocol, 9, A6)
    assert isinstance(whole, Received)
    assert whole._replace(ip=None) == bare
    assert whole.length == len(datagram)
    assert server.received == 2


@pytest.mark.parametrize("index", [0, 1, 41])
def test_the_payload_grows_by_one_octet(index: int) -> None:
    assert len(Client().payload(index)) == index + 1


def test_udp_framing_carries_a_right_checksum_under_any_number() -> None:
    datagram = Client("udp", b"x").datagram(0, 7, A6, B6)
    header = udp.parse(datagram)
    assert (header.source_port, header.destination_port) == (hdp.PORT, hdp.PORT)
    assert udp.verify(datagram, A6, B6)


GARBAGE = [
    (b"", "not IP: version None"),
    (b"\x00" * 40, "not IP: version 0"),
    (b"\x45\x00", "shorter than an IPv4 header"),
    (b"\x60" + b"\x00" * 20, "shorter than an IPv6 header"),
    (b"\x41" + packet4(b"x" * 12, 200)[1:], "IPv4 header length 4"),
    (packet4(b"x" * 12, 200)[:-1], "IPv4 total length 32 of 31 octets"),
    (packet4(b"x" * 11, 200), "shorter than an HDP header: 11 octets"),
    (
        ipv4.encode(ipv4.Header(A4, B4, 200, flags=0, fragment_offset=16), b"x" * 12),
        "a fragment after the first",
    ),
]


@pytest.mark.parametrize(("packet", "reason"), GARBAGE)
def test_garbage_is_counted_and_shown(packet: bytes, reason: str) -> None:
    server = Server()
    event = server.packet(packet, 5)
    assert isinstance(event, Garbage)
    assert event.reason == reason
    assert event.excerpt in packet
    assert event.length >= len(event.excerpt)
    assert sum(server.garbage.values()) == 1
    assert server.received == 0


def test_garbage_of_many_lengths_is_one_kind() -> None:
    server = Server()
    for length in range(12):
        server.packet(packet4(b"x" * length, 200), 5)
    assert dict(server.garbage) == {"shorter than an HDP header: n octets": 12}


FRAGMENTS = st.builds(
    lambda data, offset, more: ipv4.encode(
        ipv4.Header(A4, B4, 99, flags=more, fragment_offset=offset * 8), data
    ),
    st.binary(max_size=100),
    st.integers(0, 8191),
    st.integers(0, 7),
)
MANGLED = st.builds(
    lambda data, at, value: data[: at % len(data)] + bytes([value]) + data[at % len(data) + 1 :],
    st.builds(packet4, st.binary(max_size=60), PROTOCOLS),
    st.integers(0, 100),
    st.integers(0, 255),
)
GIANTS = st.builds(
    lambda head, size: head + b"\xff" * size, st.binary(max_size=60), st.integers(9000, 65535)
)


@given(st.one_of(st.binary(max_size=200), FRAGMENTS, MANGLED, GIANTS), FRAMINGS, PROTOCOLS)
def test_nothing_that_arrives_raises(content: bytes, framing: Framing, protocol: int) -> None:
    server = Server(framing)
    events = [server.packet(content, 5), server.payload(content, protocol, 5, A6)]
    good = sum(isinstance(event, Received) for event in events)
    assert server.received == good
    assert sum(server.garbage.values()) == 2 - good
    assert all(len(event.excerpt) <= EXCERPT for event in events if isinstance(event, Garbage))
