from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.stateless.framing import INCOMPLETE, Taken
from netlab.stateless.http import Head, Http, closing, parse, response

HTTP = Http()
START = b"POST /form HTTP/1.1\r\nHost: a\r\n"


def whole(data: bytes) -> bool:
    taken = HTTP.take(data)
    assert taken.refusal is None
    assert taken == INCOMPLETE or taken.messages[0].data == data
    return bool(taken.messages)


REQUESTS = [
    b"GET / HTTP/1.0\r\n\r\n",
    START + b"Content-Length: 5\r\n\r\nhello",
    START + b"content-length:5\r\n\r\nhello",
    START + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    START + b"Transfer-Encoding: chunked\r\n\r\nA;x=1\r\n0123456789\r\n0\r\nT: x\r\n\r\n",
    START + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_is_whole_exactly_at_its_end(request_: bytes) -> None:
    head = request_.find(b"\r\n\r\n") + 4
    # With Expect the head alone is refused, since its client would wait (tested below).
    lengths = [n for n in range(len(request_) + 1) if b"Expect" not in request_ or n != head]
    assert [n for n in lengths if whole(request_[:n])] == [len(request_)]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"Content-Length: x", 400),
        (b"Content-Length: -1", 400),
        (b"Content-Length: 5\r\nContent-Length: 6", 400),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        (b"Transfer-Encoding: gzip", 400),
        (b"Transfer-Encoding: chunked\r\n\r\nnonsense", 400),
        (b"Expect: 100-continue\r\nContent-Length: 5", 417),
    ],
)
def test_what_cannot_be_framed_is_refused(fields: bytes, status: int) -> None:
    taken = HTTP.take(START + fields + b"\r\n\r\n")
    assert taken.refusal is not None
    assert taken.refusal.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in taken.refusal


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    request = draw(st.sampled_from(REQUESTS))
    at = draw(st.integers(0, len(request)))
    return request[:at] + draw(st.binary(max_size=3)) + request[at + draw(st.integers(0, 3)) :]


@given(st.binary(max_size=200) | mutated())
def test_anything_is_borne(data: bytes) -> None:
    assert isinstance(HTTP.take(data), Taken)
    parse(data)
    assert closing(closing(data)) == closing(data)


def test_request_lines() -> None:
    assert parse(b"GET /a?b HTTP/1.1\r\n") == Head("GET", "/a?b")
    assert parse(b"GET /\r\n") is None
    assert parse(b"\x16\x03\x01") is None


def test_a_forwarded_message_closes_its_connection() -> None:
    request = b"GET / HTTP/1.1\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nHost: a\r\n\r\nbody"
    assert closing(request) == b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nbody"


def test_a_response_says_its_length() -> None:
    assert response(404, b"no\n", head=True).endswith(
        b"Content-Length: 3\r\nConnection: close\r\n\r\n"
    )
