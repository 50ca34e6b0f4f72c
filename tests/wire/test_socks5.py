from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.wire import Malformed, socks5
from netlab.wire.socks5 import Command, Reply, Request


def test_a_greeting_lists_methods() -> None:
    assert socks5.parse_greeting(b"\x05\x02\x00\x02rest") == (frozenset({0, 2}), 4)
    assert socks5.method(frozenset({0, 2})) == b"\x05\x00"
    assert socks5.method(frozenset({2})) == b"\x05\xff"


@pytest.mark.parametrize(
    ("octets", "request_"),
    [
        ("05 01 00 01 c6336402 0050", Request(Command.CONNECT, "198.51.100.2", 80)),
        ("05 02 00 03 06 736572766572 0016", Request(Command.BIND, "server", 22)),
        (
            "05 01 00 04 20010db8000000000000000000000001 01bb",
            Request(Command.CONNECT, "2001:db8::1", 443),
        ),
        ("05 09 00 01 c6336402 0050", Request(9, "198.51.100.2", 80)),
    ],
)
def test_a_request_names_a_host_in_three_ways(octets: str, request_: Request) -> None:
    whole = bytes.fromhex(octets)
    assert socks5.parse_request(whole + b"more") == (request_, len(whole))
    for size in range(len(whole)):
        assert socks5.parse_request(whole[:size]) is None


def test_other_versions_and_types_are_refused() -> None:
    for octets in (b"\x04\x01", b"GET / HTTP/1.1"):
        with pytest.raises(Malformed, match="version"):
            socks5.parse_greeting(octets)
    with pytest.raises(Malformed, match="version"):
        socks5.parse_request(b"\x04")
    with pytest.raises(Malformed, match="address type 2"):
        socks5.parse_request(b"\x05\x01\x00\x02abcdef")


def test_a_reply_says_where() -> None:
    assert socks5.reply(Reply.SUCCEEDED, "10.0.0.1", 4000).hex() == "050000010a0000010fa0"
    assert socks5.reply(Reply.CONNECTION_REFUSED).hex() == "05050001000000000000"
    assert len(socks5.reply(Reply.SUCCEEDED, "fd00::1", 1)) == 22


@given(st.binary(max_size=300))
def test_nothing_else_is_raised(octets: bytes) -> None:
    for parse in (socks5.parse_greeting, socks5.parse_request):
        try:
            found = parse(octets)
        except Malformed:
            continue
        assert found is None or 0 < found[1] <= len(octets)
