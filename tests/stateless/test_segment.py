from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.stateless.segment import FIN, PSH, SEQ_MASK, Segment, checksum_holds, cut, encode, parse
from netlab.wire import Malformed, ipv4, ipv6, tcp
from netlab.wire.checksum import pseudo_header
from tests.stateless.peers import CLIENT, SERVER, segments


@given(segments())
def test_what_was_encoded_is_parsed(segment: Segment) -> None:
    packet = encode(segment)
    assert parse(packet) == segment
    assert parse(packet + b"padding of a short frame") == segment
    assert checksum_holds(packet)


@given(segments(), st.data())
def test_a_flipped_bit_of_the_segment_is_noticed(segment: Segment, data: st.DataObject) -> None:
    packet = bytearray(encode(segment))
    start = 20 if len(segment.source) == 4 else 40
    # Not in the data offset: another one moves the payload.
    at = data.draw(st.integers(start, len(packet) - 1).filter(lambda at: at != start + 12))
    packet[at] ^= 1 << data.draw(st.integers(0, 7))
    assert not checksum_holds(packet)


@given(segments())
def test_the_ip_headers_are_what_the_wire_room_writes(segment: Segment) -> None:
    packet = encode(segment)
    if len(segment.source) == 4:
        header = ipv4.parse(packet)
        assert ipv4.verify(packet, header)
        assert header.flags == 0
        assert (header.source, header.destination) == segment[:2]
        assert header.total_length == len(packet)
    else:
        fixed = ipv6.parse(packet)
        assert (fixed.source, fixed.destination) == segment[:2]
        assert fixed.total_length == len(packet)


@given(segments())
def test_a_partial_checksum_is_the_pseudo_header_alone(segment: Segment) -> None:
    start = 20 if len(segment.source) == 4 else 40
    packet = encode(segment, partial=True)
    length = len(packet) - start
    pseudo = pseudo_header(segment.source, segment.destination, 6, length)
    assert packet[start + 16 : start + 18] == pseudo.to_bytes(2, "big")
    whole = encode(segment)
    assert packet[: start + 16] == whole[: start + 16]
    assert packet[start + 18 :] == whole[start + 18 :]


@given(segments(), st.integers(1, 100))
def test_the_pieces_are_the_whole(segment: Segment, size: int) -> None:
    pieces = cut(segment._replace(cut=size))
    assert b"".join(piece.payload for piece in pieces) == segment.payload
    assert all(len(piece.payload) <= size for piece in pieces)
    for before, after in itertools.pairwise(pieces):
        assert after.seq == before.seq + len(before.payload) & SEQ_MASK
        assert not before.flags & (FIN | PSH)
    assert pieces[-1].flags == segment.flags


@given(st.binary(max_size=120))
def test_rubbish_is_malformed_or_parsed(packet: bytes) -> None:
    with contextlib.suppress(Malformed):
        parse(packet)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p[:9] + b"\x11" + p[10:], "IP protocol 17"),
        (lambda p: p[:6] + b"\x20\x00" + p[8:], "fragment"),
        (lambda p: p[:6] + b"\x00\x09" + p[8:], "fragment"),
        (lambda p: p[:32] + b"\xf0" + p[33:], "data offset"),
        (lambda p: p[:32] + b"\x10" + p[33:], "data offset"),
        (lambda p: p[:-1], "shorter|exceeds|length"),
        (lambda p: b"\x75" + p[1:], "version|IPv6"),
    ],
)
def test_what_is_no_segment_is_said(change, reason: str) -> None:
    packet = encode(Segment(CLIENT, SERVER, 1, 2, 3, 4, 16, payload=b"abc"))
    with pytest.raises(Malformed, match=reason):
        parse(change(packet))


def test_ipv4_options_and_ipv6_extension_headers_are_stepped_over() -> None:
    part = tcp.encode(tcp.Header(1, 2, seq=3, flags=2), b"x", CLIENT, SERVER)
    packet = ipv4.encode(ipv4.Header(CLIENT, SERVER, 6, options=b"\x01" * 4), part)
    assert parse(packet) == Segment(CLIENT, SERVER, 1, 2, 3, 0, 2, 0, b"x")
