from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.hdp import text
from netlab.hdp.endpoint import Client, Framing, Garbage, Received, Server
from netlab.wire import ipv4, ipv6
from netlab.wire.address import packed

A4, B4 = packed("192.0.2.1"), packed("192.0.2.2")
A6, B6 = packed("2001:db8::1"), packed("2001:db8::2")
SENT = 1_739_303_387_714_244_761


def arrived(framing: Framing, data: bytes, version: int = 4) -> Received:
    a, b = (A4, B4) if version == 4 else (A6, B6)
    datagram = Client(framing, data).datagram(0, SENT, a, b)
    if version == 4:
        packet = ipv4.encode(ipv4.Header(a, b, 253, identification=0xBEEF), datagram)
    else:
        packet = ipv6.encode(ipv6.Header(a, b, 253), datagram)
    event = Server(framing).packet(packet, SENT + 11_300)
    assert isinstance(event, Received)
    return event


def test_headers_and_data_as_the_original_prints_them() -> None:
    cow = b" _____\n< moo >\n -----\n"
    assert text.received(arrived("hdp", cow)).splitlines() == [
        "IPv4  192.0.2.1 -> 192.0.2.2  protocol 253 (test-1)  ttl 64  id 0xbeef  DF  54 octets",
        "HDP   420 -> 420  sent 2025-02-11T19:49:47.714244761Z  latency 11.3 us",
        "       _____",
        "      < moo >",
        "       -----",
    ]


def test_ipv6_and_udp_framing() -> None:
    lines = text.received(arrived("udp", b"x", 6)).splitlines()
    assert lines[0] == (
        "IPv6  2001:db8::1 -> 2001:db8::2  next header 253 (test-1)  hop limit 64  9 octets"
    )
    assert lines[1].startswith("UDP   420 -> 420  length 9  checksum 0x")


def test_an_ipv6_raw_socket_has_no_header_to_show() -> None:
    event = Server().payload(Client().datagram(0, SENT, A6, B6), 200, SENT, A6)
    assert isinstance(event, Received)
    assert text.received(event).startswith("IPv6  2001:db8::1  next header 200  13 octets\n")


def test_one_line_for_each_of_many() -> None:
    assert text.row(arrived("hdp", b"x")) == (
        "253 test-1    2025-02-11T19:49:47.714256061Z  192.0.2.1           33 octets       11.3 us"
    )


@pytest.mark.parametrize(
    ("octets", "lines"),
    [
        (b"", []),
        (b"a\tb", ["a\tb"]),
        ("schön".encode(), ["schön"]),
        (b"\x1b[2Jgone", ["1b5b324a 676f6e65"]),
        (b"\xff\xfe", ["fffe"]),
        (b"\x00" * 33, ["00000000 " * 7 + "00000000", "00"]),
    ],
)
def test_only_text_is_shown_as_text(octets: bytes, lines: list[str]) -> None:
    assert text.data(octets) == lines


@given(st.binary(max_size=5000))
def test_no_control_character_reaches_the_terminal(octets: bytes) -> None:
    for line in text.data(octets):
        assert line.replace("\t", " ").isprintable()
    assert sum(map(len, text.data(octets))) < 6000


def test_garbage_is_shown_with_its_reason() -> None:
    event = Garbage(200, SENT, A4, 3, "shorter than an HDP header: 3 octets", b"\1\2\3")
    assert text.garbage(event) == (
        "? from 192.0.2.1 protocol 200  3 octets: shorter than an HDP header: 3 octets\n"
        "      010203"
    )
    assert text.garbage(Garbage(None, 0, b"", 0, "not IP", b"")) == "?  0 octets: not IP"


@given(st.integers(0, (1 << 64) - 1))
def test_any_time_can_be_told(nanoseconds: int) -> None:
    assert text.moment(nanoseconds).endswith(("Z", "ns"))
