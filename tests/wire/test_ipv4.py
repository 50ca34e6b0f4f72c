from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.wire import Malformed, ipv4
from netlab.wire.address import packed
from tests.wire.strategies import payloads, u8, u16, v4_addresses, words

headers = st.builds(
    ipv4.Header,
    v4_addresses,
    v4_addresses,
    protocol=u8,
    ttl=u8,
    identification=u16,
    flags=st.integers(0, 7),
    fragment_offset=st.integers(0, 0x1FFF).map(lambda n: n * 8),
    traffic_class=u8,
    options=words(40),
)


@given(headers, payloads, payloads)
def test_what_was_encoded_is_parsed(header: ipv4.Header, data: bytes, padding: bytes) -> None:
    packet = ipv4.encode(header, data) + padding
    read = ipv4.parse(packet)
    assert read == header._replace(
        total_length=read.total_length, header_checksum=read.header_checksum
    )
    assert bytes(ipv4.payload(packet, read)) == data
    assert ipv4.verify(packet, read)
    assert ipv4.encode_header(read) == packet[: read.header_length]


@given(st.binary(max_size=80))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        header = ipv4.parse(data)
    except Malformed:
        return
    assert ipv4.encode_header(header) == data[: header.header_length]


@given(headers, payloads)
def test_scapy_reads_the_same(scapy: Any, header: ipv4.Header, data: bytes) -> None:
    packet = ipv4.encode(header._replace(options=b""), data)
    theirs = scapy.IP(packet)
    assert (packed(theirs.src), packed(theirs.dst)) == (header.source, header.destination)
    assert (theirs.proto, theirs.ttl, theirs.id) == (
        header.protocol,
        header.ttl,
        header.identification,
    )
    assert (int(theirs.flags), theirs.frag * 8) == (header.flags, header.fragment_offset)
    assert (theirs.tos, theirs.len, theirs.ihl) == (header.traffic_class, len(packet), 5)
    del theirs.chksum
    assert bytes(theirs)[:20] == packet[:20]


def test_fragments_are_told_from_whole_packets() -> None:
    whole = ipv4.Header(bytes(4), bytes(4), 6)
    assert not whole.is_fragment
    assert whole._replace(flags=ipv4.MORE_FRAGMENTS).is_fragment
    assert whole._replace(fragment_offset=8).is_fragment


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((slice(0, 20), b""), "shorter"),
        ((slice(0, 1), b"\x65"), "version 6"),
        ((slice(0, 1), b"\x44"), "header length 16"),
        ((slice(0, 1), b"\x4f"), "total length"),
        ((slice(2, 4), b"\x00\x13"), "total length 19"),
        ((slice(2, 4), b"\x00\x19"), "total length 25"),
    ],
)
def test_the_reason_says_what_is_wrong(change: tuple[slice, bytes], reason: str) -> None:
    packet = bytearray(ipv4.encode(ipv4.Header(bytes(4), bytes(4), 6), b"data"))
    packet[change[0]] = change[1]
    with pytest.raises(Malformed, match=reason):
        ipv4.parse(packet)


def test_what_cannot_be_written_is_refused() -> None:
    header = ipv4.Header(bytes(4), bytes(4), 6)
    with pytest.raises(ValueError, match="65556"):
        ipv4.encode(header, bytes(65536))
    with pytest.raises(ValueError, match="32-bit words"):
        ipv4.encode(header._replace(options=b"\x01"))
