from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.wire import Malformed, ipv6
from netlab.wire.address import packed
from tests.wire.strategies import payloads, u8, u32, v6_addresses

headers = st.builds(
    ipv6.Header,
    v6_addresses,
    v6_addresses,
    next_header=u8.filter(lambda kind: kind not in ipv6.EXTENSION_HEADERS),
    hop_limit=u8,
    traffic_class=u8,
    flow_label=st.integers(0, 0xFFFFF),
    payload_length=st.just(0),
)


def options_header(kind: int, units: int) -> ipv6.Extension:
    """An extension header of 8 + 8 * units octets, filled with Pad1 options."""
    return ipv6.Extension(kind, bytes([units]) + bytes(6 + 8 * units))


extensions = st.lists(
    st.builds(
        options_header,
        st.sampled_from([ipv6.HOP_BY_HOP, ipv6.ROUTING, ipv6.DESTINATION_OPTIONS, ipv6.MOBILITY]),
        st.integers(0, 3),
    ),
    max_size=4,
).map(tuple)
fragments = st.builds(
    ipv6.Fragment,
    u32,
    st.integers(0, 0x1FFF).map(lambda n: n * 8),
    st.booleans(),
    st.integers(0, 0x3FF),
)


@given(headers, extensions, payloads, payloads)
def test_what_was_encoded_is_parsed(
    header: ipv6.Header, chain: tuple[ipv6.Extension, ...], data: bytes, padding: bytes
) -> None:
    packet = ipv6.encode(header, data, chain) + padding
    read = ipv6.parse(packet)
    upper = ipv6.upper_layer(packet, read)
    assert upper.protocol == header.next_header
    assert upper.extensions == chain
    assert upper.fragment is None
    assert packet[upper.offset : read.total_length] == data
    assert bytes(ipv6.payload(packet, read)).endswith(data)
    assert ipv6.encode_header(read) == packet[:40]
    assert read._replace(next_header=0, payload_length=0) == header._replace(next_header=0)


@given(headers, fragments, payloads)
def test_a_fragment_ends_the_walk_unless_it_is_the_first(
    header: ipv6.Header, fragment: ipv6.Fragment, data: bytes
) -> None:
    behind = options_header(ipv6.DESTINATION_OPTIONS, 0)
    packet = ipv6.encode(header, data, (ipv6.fragment_extension(fragment), behind))
    upper = ipv6.upper_layer(packet, ipv6.parse(packet))
    assert upper.fragment == fragment
    assert len(upper.extensions) == (1 if fragment.offset else 2)
    assert upper.offset == (48 if fragment.offset else 56)


@given(
    st.binary(min_size=40, max_size=120).map(
        lambda b: b"\x60" + b[1:4] + bytes([0, len(b) - 40]) + b[6:]
    )
)
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    header = ipv6.parse(data)
    try:
        upper = ipv6.upper_layer(data, header)
    except Malformed:
        return
    assert 40 <= upper.offset <= len(data)


@given(headers, payloads)
def test_scapy_reads_the_same(scapy: Any, header: ipv6.Header, data: bytes) -> None:
    packet = ipv6.encode(header._replace(next_header=59), data, (options_header(0, 1),))
    theirs = scapy.IPv6(packet)
    assert (packed(theirs.src), packed(theirs.dst)) == (header.source, header.destination)
    assert (theirs.tc, theirs.fl, theirs.hlim) == (
        header.traffic_class,
        header.flow_label,
        header.hop_limit,
    )
    assert (theirs.plen, theirs.nh) == (16 + len(data), 0)
    assert theirs[scapy.HopByHop].nh == 59


def test_authentication_headers_count_in_32_bit_words() -> None:
    ah = ipv6.Extension(ipv6.AUTHENTICATION, bytes([4]) + bytes(22))
    packet = ipv6.encode(ipv6.Header(bytes(16), bytes(16), 6), b"data", (ah,))
    assert ipv6.upper_layer(packet, ipv6.parse(packet)).offset == 64


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"\x60" + bytes(20), "shorter"),
        (b"\x45" + bytes(40), "version 4"),
        (b"\x60" + bytes(3) + b"\x00\x01" + bytes(34), "payload length 1"),
    ],
)
def test_the_reason_says_what_is_wrong(packet: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        ipv6.parse(packet)


@pytest.mark.parametrize("end", [41, 47, 48, 63])
def test_a_chain_that_is_cut_short_is_refused(end: int) -> None:
    packet = ipv6.encode(ipv6.Header(bytes(16), bytes(16), 6), b"", (options_header(0, 2),))
    cut = packet[:4] + (end - 40).to_bytes(2, "big") + packet[6:end]
    with pytest.raises(Malformed, match="extension header"):
        ipv6.upper_layer(cut, ipv6.parse(cut))
