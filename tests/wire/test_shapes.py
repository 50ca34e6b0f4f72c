"""Shapes: right to whoever looks at them, and found again by their mark."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.sctp import SCTP, SCTPChunkInit

from netlab.wire import shapes
from netlab.wire.checksum import VALID, ones_complement_sum, pseudo_header
from netlab.wire.shapes import MARK, SHAPES

A, B = b"\x0a\x00\x00\x01", b"\xc6\x33\x64\x02"
marks = st.binary(min_size=MARK, max_size=MARK)


@given(marks, st.sampled_from(sorted(SHAPES)), st.integers(1, 65535))
def test_the_mark_is_where_it_is_said_to_be(mark, name, port):
    shape = SHAPES[name]
    octets = shape.encode(mark, port, A, B)
    at = shape.mark_at - (8 if shape.protocol == shapes.UDP else 0)
    assert octets[at : at + MARK] == mark


def test_crc32c_is_that_of_the_standard():
    assert shapes.crc32c(b"123456789") == 0xE3069283
    assert shapes.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720 appendix B.4


@given(marks)
def test_scapy_reads_an_init_and_finds_its_checksum_right(mark):
    octets = shapes.sctp_init(mark, 4000, A, B)
    read = SCTP(octets)
    assert read.dport == 4000
    assert read.tag == 0
    init = read[SCTPChunkInit]
    assert init.len == len(octets) - 12
    assert init.init_tag != 0
    read.chksum = None
    assert bytes(read) == octets


@given(marks)
def test_a_dccp_request_is_whole_and_its_checksum_right(mark):
    octets = shapes.dccp_request(mark, 4000, A, B)
    assert ones_complement_sum(octets, pseudo_header(A, B, shapes.DCCP, len(octets))) == VALID
    data_offset, kind_and_x = octets[4], octets[8]
    assert data_offset * 4 == 20
    assert kind_and_x == 1  # a Request (0) with 48 bits of sequence number


@given(marks)
def test_udplite_covers_its_header(mark):
    octets = shapes.udplite(mark, 4000, A, B)
    covered = int.from_bytes(octets[4:6], "big")
    pseudo = pseudo_header(A, B, shapes.UDPLITE, len(octets))
    assert covered == 8
    assert ones_complement_sum(octets[:covered], pseudo) == VALID


@given(marks)
def test_a_quic_initial_is_as_long_as_a_client_must_make_it(mark):
    octets = shapes.quic_initial(mark, 443, A, B)
    assert len(octets) == 1200
    assert octets[0] & 0xF0 == 0xC0  # long header, fixed bit, type Initial
    assert octets[1:5] == b"\0\0\0\1"
    rest = int.from_bytes(octets[16:18], "big") & 0x3FFF
    assert 18 + rest == len(octets)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_equal_marks_give_equal_packets(name):
    shape = SHAPES[name]
    assert shape.encode(b"12345678", 1, A, B) == shape.encode(b"12345678", 1, A, B)
