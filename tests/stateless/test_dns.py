from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.stateless import dns
from netlab.stateless.dns import Dns
from netlab.wire import Malformed

QUESTION = b"\x07example\x03org\x00\x00\x30\x00\x01"
OPT = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"


def message(flags: int = 0x0100, additional: bytes = b"", count: int = 0) -> bytes:
    return struct.pack("!6H", 0x1234, flags, 1, 0, 0, count) + QUESTION + additional


QUERY = message()
WITH_OPT = message(additional=OPT, count=1)


@given(st.lists(st.binary(max_size=100), max_size=5), st.binary(max_size=1))
def test_messages_are_taken_as_far_as_they_are_whole(parts: list[bytes], tail: bytes) -> None:
    framing = Dns()
    stream = b"".join(framing.wrap(part) for part in parts) + tail
    taken = framing.take(stream)
    assert [m.data for m in taken.messages] == parts
    assert sum(m.length for m in taken.messages) == len(stream) - len(tail)


def test_the_edns_size_is_the_proxys_own() -> None:
    query, added = dns.with_edns(WITH_OPT, 4096)
    assert not added
    assert query == WITH_OPT.replace(b"\x04\xd0", b"\x10\x00")
    query, added = dns.with_edns(QUERY, 4096)
    assert added
    assert dns.without_edns(query) == QUERY


def test_a_response_must_repeat_identifier_and_question() -> None:
    response = message(flags=0x8180)
    assert dns.answers(QUERY, response)
    assert dns.answers(QUERY, response.replace(b"example", b"EXAMPLE"))
    assert not dns.answers(QUERY, b"\0\0" + response[2:])
    assert not dns.answers(QUERY, response.replace(b"example", b"another"))
    assert not dns.answers(QUERY, QUERY)


def test_failures() -> None:
    failed = dns.failure(WITH_OPT)
    assert failed is not None
    assert failed[:4] == b"\x12\x34\x81\x82"
    assert failed.endswith(QUESTION)
    assert dns.answers(WITH_OPT, failed)
    assert not dns.is_truncated(failed)
    short = dns.failure(QUERY, truncated=True)
    assert short is not None
    assert dns.is_truncated(short)
    assert dns.failure(b"nonsense") is None


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        QUERY[:11],
        QUERY[:20],
        QUERY[:-1],
        QUERY[:5] + b"\x02" + QUERY[6:],
        QUERY[:12] + b"\x80" + QUERY[13:],
        WITH_OPT[:-1],
        message(additional=OPT[:-2] + b"\x00\x09", count=1),
        message(count=1),
    ],
)
def test_what_is_no_query_is_malformed(broken: bytes) -> None:
    with pytest.raises(Malformed):
        dns.with_edns(broken, 4096)


@given(st.binary(max_size=80), st.integers(0, 40), st.binary(max_size=3))
def test_anything_is_borne(rubbish: bytes, at: int, octets: bytes) -> None:
    for data in (rubbish, WITH_OPT[:at] + octets + WITH_OPT[at + 1 :]):
        dns.failure(data)
        dns.answers(data, data)
        dns.without_edns(data)
        dns.is_truncated(data)
        with contextlib.suppress(Malformed):
            dns.with_edns(data, 512)
