from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.wire import Malformed, udp
from netlab.wire.address import text
from tests.wire.strategies import address_pairs, payloads, u16


@given(u16, u16, payloads, payloads, address_pairs)
def test_what_was_encoded_is_parsed(
    source: int, destination: int, data: bytes, padding: bytes, addresses: tuple[bytes, bytes]
) -> None:
    datagram = udp.encode(udp.Header(source, destination), data, *addresses) + padding
    header = udp.parse(datagram)
    assert header[:3] == (source, destination, 8 + len(data))
    assert header.checksum != 0
    assert bytes(udp.payload(datagram, header)) == data
    assert udp.verify(datagram, *addresses)
    assert udp.encode_header(header) == datagram[:8]


@given(u16, u16, payloads, address_pairs)
def test_scapy_writes_the_same(
    scapy: Any, source: int, destination: int, data: bytes, addresses: tuple[bytes, bytes]
) -> None:
    ip = scapy.IP if len(addresses[0]) == 4 else scapy.IPv6
    theirs = bytes(
        ip(src=text(addresses[0]), dst=text(addresses[1]))
        / scapy.UDP(sport=source, dport=destination)
        / data
    )
    datagram = udp.encode(udp.Header(source, destination), data, *addresses)
    assert theirs.endswith(datagram)


@given(st.binary(max_size=40))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        header = udp.parse(data)
    except Malformed:
        return
    assert len(udp.payload(data, header)) == header.length - 8


def test_no_checksum_is_right_for_ipv4_only() -> None:
    datagram = udp.encode_header(udp.Header(1, 2))
    assert udp.verify(datagram, bytes(4), bytes(4))
    assert not udp.verify(datagram, bytes(16), bytes(16))


def test_a_sum_of_zero_is_sent_as_all_ones() -> None:
    # Chosen so that the checksum comes out as zero.
    plain = udp.parse(udp.encode(udp.Header(0, 0), b"\0\0", bytes(4), bytes(4)))
    data = plain.checksum.to_bytes(2, "big")
    assert udp.parse(udp.encode(udp.Header(0, 0), data, bytes(4), bytes(4))).checksum == 0xFFFF


@pytest.mark.parametrize("length", [0, 7, 9])
def test_a_length_outside_the_datagram_is_refused(length: int) -> None:
    with pytest.raises(Malformed, match=f"UDP length {length}"):
        udp.parse(udp.encode_header(udp.Header(1, 2, length)))


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="65544"):
        udp.encode(udp.Header(1, 2), bytes(65536), bytes(4), bytes(4))
