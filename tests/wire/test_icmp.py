from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.wire import Malformed, icmp, ipv4, ipv6, tcp
from netlab.wire.address import text
from tests.wire.strategies import address_pairs, payloads, u8, u16, u32

V4 = (b"\x0a\0\0\1", b"\x0a\0\0\2")
V6 = (b"\xfd" + bytes(14) + b"\1", b"\xfd" + bytes(14) + b"\2")


def packet_of(addresses: tuple[bytes, bytes], data: bytes = b"") -> bytes:
    segment = tcp.encode(tcp.Header(4000, 80, seq=7), data, *addresses)
    if len(addresses[0]) == 4:
        return ipv4.encode(ipv4.Header(*addresses, protocol=6), segment)
    return ipv6.encode(ipv6.Header(*addresses, next_header=6), segment)


@given(st.builds(icmp.Message, u8, u8, u32, payloads), address_pairs)
def test_what_was_encoded_is_parsed(message: icmp.Message, addresses: tuple[bytes, bytes]) -> None:
    octets = icmp.encode(message, *addresses)
    read = icmp.parse(octets)
    assert read == message._replace(checksum=read.checksum)
    assert icmp.verify(octets, *addresses)
    assert icmp.encode_header(read) == octets[:8]


@given(u16, u16, payloads, st.sampled_from([V4, V6]))
def test_scapy_writes_the_same_echo(
    scapy: Any, identifier: int, sequence: int, data: bytes, addresses: tuple[bytes, bytes]
) -> None:
    source, destination = map(text, addresses)
    if len(addresses[0]) == 4:
        theirs = scapy.IP(src=source, dst=destination) / scapy.ICMP(id=identifier, seq=sequence)
        version = 4
    else:
        theirs = scapy.IPv6(src=source, dst=destination)
        theirs /= scapy.ICMPv6EchoRequest(id=identifier, seq=sequence)
        version = 6
    request = icmp.echo_request(version, identifier, sequence, data)
    assert bytes(theirs / data).endswith(icmp.encode(request, *addresses))
    reply = icmp.echo_reply(version, request)
    assert (reply.identifier, reply.sequence, reply.body) == (identifier, sequence, data)
    assert reply.type == (0 if version == 4 else 129)


@pytest.mark.parametrize("addresses", [V4, V6], ids=["v4", "v6"])
@pytest.mark.parametrize("length", [0, 5000])
def test_an_error_quotes_what_caused_it(addresses: tuple[bytes, bytes], length: int) -> None:
    packet = packet_of(addresses, bytes(length))
    version = packet[0] >> 4
    for error in (
        icmp.unreachable(packet, 3),
        icmp.too_big(packet, 1280),
        icmp.time_exceeded(packet),
    ):
        assert icmp.is_error(version, error.type)
        assert len(error.body) + 8 + (20 if version == 4 else 40) <= (576 if version == 4 else 1280)
        quote = icmp.quoted(error)
        assert (quote.version, quote.source, quote.destination) == (version, *addresses)
        assert (quote.protocol, quote.source_port, quote.destination_port) == (6, 4000, 80)
        assert int.from_bytes(quote.transport[4:8], "big") == 7
    assert icmp.too_big(packet, 1280).rest == 1280


def test_a_quote_of_eight_octets_is_enough() -> None:
    body = packet_of(V4, b"data")[:28]
    assert icmp.quoted(icmp.Message(3, 3, 0, body)).destination_port == 80


def test_a_quote_without_ports_has_none() -> None:
    body = ipv4.encode(ipv4.Header(*V4, protocol=253), b"\1\2\3\4\5\6\7\x08")
    quote = icmp.quoted(icmp.Message(3, 2, 0, body))
    assert (quote.protocol, quote.source_port, quote.destination_port) == (253, 0, 0)


def test_a_quote_is_read_through_extension_headers() -> None:
    hop_by_hop = ipv6.Extension(0, bytes(7))
    segment = tcp.encode(tcp.Header(4000, 80), b"", *V6)
    packet = ipv6.encode(ipv6.Header(*V6, next_header=6), segment, (hop_by_hop,))
    assert icmp.quoted(icmp.too_big(packet, 1280)).source_port == 4000


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not IP"),
        (b"\x50" + bytes(40), "not IP"),
        (b"\x45" + bytes(10), "shorter"),
        (b"\x60" + bytes(30), "shorter"),
        (ipv4.encode(ipv4.Header(*V4, protocol=6, fragment_offset=8), bytes(8)), "later fragment"),
        (
            ipv6.encode(
                ipv6.Header(*V6, next_header=6),
                bytes(8),
                (ipv6.fragment_extension(ipv6.Fragment(1, 8)),),
            ),
            "later fragment",
        ),
    ],
)
def test_a_quote_that_tells_nothing_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        icmp.quoted(icmp.Message(3, 3, 0, body))


@given(st.binary(max_size=100))
def test_any_quote_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        icmp.quoted(icmp.Message(3, 3, 0, body))


def test_a_short_message_is_refused() -> None:
    with pytest.raises(Malformed, match="shorter"):
        icmp.parse(bytes(7))


def test_echo_is_no_error() -> None:
    assert not icmp.is_error(4, icmp.ECHO_REQUEST)
    assert not icmp.is_error(6, icmp.V6_ECHO_REQUEST)
