from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.wire import Malformed, hdp

HEADERS = st.builds(
    hdp.Header,
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
)


def test_layout_is_the_published_one() -> None:
    header = hdp.Header(timestamp=0x0102030405060708)
    assert hdp.encode(header, b"moo") == bytes.fromhex("01a4 01a4 0102030405060708") + b"moo"


@given(HEADERS, st.binary(max_size=40))
def test_parse_is_the_inverse_of_encode(header: hdp.Header, data: bytes) -> None:
    datagram = hdp.encode(header, data)
    assert hdp.parse(datagram) == header
    assert bytes(hdp.payload(datagram)) == data
    assert len(datagram) == hdp.HEADER_LENGTH + len(data)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_is_read(kind: type) -> None:
    assert hdp.parse(kind(hdp.encode(hdp.Header(5)))).timestamp == 5


@given(st.binary(max_size=hdp.HEADER_LENGTH - 1))
def test_short_input_is_malformed(datagram: bytes) -> None:
    with pytest.raises(Malformed, match=f"shorter than an HDP header: {len(datagram)} octets"):
        hdp.parse(datagram)


@given(st.binary(min_size=hdp.HEADER_LENGTH, max_size=64))
def test_any_twelve_octets_are_a_header(datagram: bytes) -> None:
    assert hdp.encode(hdp.parse(datagram), hdp.payload(datagram)) == datagram


@pytest.mark.parametrize(
    ("header", "field"),
    [
        (hdp.Header(-1), "timestamp"),
        (hdp.Header(1 << 64), "timestamp"),
        (hdp.Header(0, 1 << 16), "port"),
        (hdp.Header(0, 0, -1), "port"),
    ],
)
def test_a_field_that_does_not_fit_is_refused(header: hdp.Header, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        hdp.encode(header)
