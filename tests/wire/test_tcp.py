from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.wire import Malformed, tcp
from netlab.wire.address import text
from tests.wire.strategies import address_pairs, payloads, u8, u16, u32, words

headers = st.builds(
    tcp.Header,
    u16,
    u16,
    seq=u32,
    ack=u32,
    flags=st.integers(0, 0xFFF),
    window=u16,
    options=words(40),
    urgent_pointer=u16,
)
KNOWN = (0, 1, 2, 3, 4, 5, 8)
options = st.builds(
    tcp.Options,
    mss=st.none() | u16,
    window_scale=st.none() | u8,
    sack_permitted=st.booleans(),
    timestamps=st.none() | st.tuples(u32, u32),
    sack=st.lists(st.tuples(u32, u32), max_size=2).map(tuple),
    unknown=st.lists(
        st.tuples(u8.filter(lambda kind: kind not in KNOWN), st.binary(max_size=2)), max_size=1
    ).map(tuple),
    illegal=st.just(False),
).filter(lambda o: not (o.timestamps and len(o.sack) == 2 and o.mss is not None))


@given(headers, payloads, address_pairs)
def test_what_was_encoded_is_parsed(
    header: tcp.Header, data: bytes, addresses: tuple[bytes, bytes]
) -> None:
    segment = tcp.encode(header, data, *addresses)
    read = tcp.parse(segment)
    assert read == header._replace(checksum=read.checksum)
    assert bytes(tcp.payload(segment, read)) == data
    assert tcp.verify(segment, *addresses)
    assert tcp.encode_header(read) == segment[: read.header_length]


@given(headers, payloads, address_pairs, st.data())
def test_a_flipped_bit_is_noticed(
    header: tcp.Header, data: bytes, addresses: tuple[bytes, bytes], draw: st.DataObject
) -> None:
    segment = bytearray(tcp.encode(header, data, *addresses))
    segment[draw.draw(st.integers(0, len(segment) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    assert not tcp.verify(segment, *addresses)


@given(options)
def test_options_that_were_encoded_are_parsed(wanted: tcp.Options) -> None:
    octets = tcp.encode_options(wanted)
    assert len(octets) % 4 == 0
    assert tcp.parse_options(octets) == wanted


@given(st.integers(0, 3), options)
def test_alignment_does_not_matter(nops: int, wanted: tcp.Options) -> None:
    octets = bytes([tcp.NO_OPERATION]) * nops + tcp.encode_options(wanted)
    assert tcp.parse_options(octets) == wanted


@given(st.binary(max_size=40))
def test_no_option_bytes_do_harm(octets: bytes) -> None:
    read = tcp.parse_options(memoryview(octets))
    assert isinstance(read, tcp.Options)


@given(st.binary(max_size=80))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        header = tcp.parse(data)
    except Malformed:
        return
    assert tcp.encode_header(header) == data[: header.header_length]


@given(headers, options, payloads, address_pairs)
def test_scapy_reads_and_writes_the_same(
    scapy: Any, header: tcp.Header, wanted: tcp.Options, data: bytes, addresses: tuple[bytes, bytes]
) -> None:
    header = header._replace(options=tcp.encode_options(wanted._replace(unknown=())))
    segment = tcp.encode(header, data, *addresses)
    ip = scapy.IP if len(addresses[0]) == 4 else scapy.IPv6
    theirs = ip(src=text(addresses[0]), dst=text(addresses[1])) / scapy.TCP(segment)
    layer = theirs[scapy.TCP]
    assert (layer.sport, layer.dport) == header[:2]
    assert (layer.seq, layer.ack, layer.window) == (header.seq, header.ack, header.window)
    assert layer.dataofs * 4 == header.header_length
    assert layer.reserved << 9 | int(layer.flags) == header.flags
    found = dict(layer.options)
    assert found.get("MSS") == wanted.mss
    assert found.get("WScale") == wanted.window_scale
    assert found.get("Timestamp") == wanted.timestamps
    assert ("SAckOK" in found) == wanted.sack_permitted
    edges = tuple(edge for block in wanted.sack for edge in block)
    assert found.get("SAck", ()) == edges
    del layer.chksum
    assert bytes(theirs)[-len(segment) :] == segment


@pytest.mark.parametrize(
    ("octets", "read"),
    [
        ("", tcp.Options()),
        ("020405b4", tcp.Options(mss=1460)),
        ("0101080a0000000100000002", tcp.Options(timestamps=(1, 2))),
        ("080a00000001000000020000", tcp.Options(timestamps=(1, 2))),
        ("fe04abcd020405b4", tcp.Options(mss=1460, unknown=((254, b"\xab\xcd"),))),
        ("00020405b4", tcp.Options()),
        ("020405b402040218", tcp.Options(mss=536)),
        # Known kinds of a wrong length are as good as unknown ones.
        ("0203050303", tcp.Options(unknown=((2, b"\x05"),), illegal=True)),
        ("050601020304", tcp.Options(unknown=((5, b"\x01\x02\x03\x04"),))),
        # Lengths 0 and 1, past the end, and none at all.
        ("020405b40300", tcp.Options(mss=1460, illegal=True)),
        ("020405b40301", tcp.Options(mss=1460, illegal=True)),
        ("020405b403ff", tcp.Options(mss=1460, illegal=True)),
        ("020405b403", tcp.Options(mss=1460, illegal=True)),
    ],
)
def test_options_as_they_come(octets: str, read: tcp.Options) -> None:
    assert tcp.parse_options(bytes.fromhex(octets)) == read


def test_timestamps_leave_room_for_three_sack_blocks() -> None:
    stamped = tcp.Options(timestamps=(1, 2), sack=((1, 2), (3, 4), (5, 6)))
    assert len(tcp.encode_options(stamped)) == 40
    with pytest.raises(ValueError, match="do not fit"):
        tcp.encode_options(stamped._replace(sack=(*stamped.sack, (7, 8))))
    assert len(tcp.encode_options(tcp.Options(sack=(*stamped.sack, (7, 8))))) == 36


@pytest.mark.parametrize("offset", [0, 4, 6, 15])
def test_a_data_offset_outside_the_segment_is_refused(offset: int) -> None:
    segment = bytearray(tcp.encode_header(tcp.Header(1, 2)))
    segment[12] = offset << 4
    with pytest.raises(Malformed, match=f"data offset {offset * 4}"):
        tcp.parse(segment)


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="32-bit words"):
        tcp.encode_header(tcp.Header(1, 2, options=b"\x01"))
