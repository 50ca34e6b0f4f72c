"""IPv6 packets with extension headers: the rule that dropped them, the error that is about them."""

from __future__ import annotations

import pytest

from netlab.capture.evidence import Evidence, Frame, RuleVerdict
from netlab.trace.build import build_traces
from netlab.trace.disposition import Disposition as End
from netlab.trace.rule_trace import OBSERVER_TABLE
from netlab.wire import icmp, ipv6, udp
from netlab.wire.address import packed
from tests.trace.path import PLACES

A, B, ROUTER = (packed(f"2001:db8::{n}") for n in (1, 2, 3))
ETHERNET = bytes(12) + b"\x86\xdd"
OPTIONS = bytes((17, 0, 1, 4, 0, 0, 0, 0))


def packet(protocol: int, content: bytes, *, label: int = 0, source: bytes = A) -> bytes:
    header = ipv6.Header(source, B if source != B else A, protocol, payload_length=len(content))
    return ipv6.encode_header(header._replace(flow_label=label)) + content


def later_fragment(number: int, content: bytes) -> bytes:
    """At 48 octets, the last of datagram ``number``."""
    return packet(44, bytes((17, 0, 0, 48)) + number.to_bytes(4, "big") + content)


def seen(*packets: bytes, node: str = "router", interface: str = "west") -> tuple[Frame, ...]:
    return tuple(
        Frame(1000 * n, node, interface, "in", ETHERNET + one, len(one) + 14)
        for n, one in enumerate(packets, 1)
    )


def dropped(node: str, headers: bytes) -> tuple[RuleVerdict, ...]:
    def met(table: str, chain: str, verdict: str) -> RuleVerdict:
        rule = "udp dport 9 drop"
        return RuleVerdict(node, 5, "inet", table, chain, chain, "rule", verdict, rule, "", headers)

    return met(OBSERVER_TABLE, "prerouting", "accept"), met("t", "forward", "drop")


@pytest.mark.parametrize("options", [OPTIONS, bytes((17, 1)) + bytes(14)])
def test_a_rule_is_found_behind_extension_headers(options: bytes) -> None:
    whole = packet(60, options + udp.encode(udp.Header(4000, 9), b"hello", A, B))
    # nft shows the fixed header and the transport's, and nothing between.
    shown = whole[:40] + whole[40 + len(options) :][:20]
    [trace] = build_traces(Evidence(PLACES, seen(whole), verdicts=dropped("router", shown)))
    assert (trace.disposition, trace.reason.source) == (End.DENIED, "nft")


def test_a_rule_is_found_of_a_packet_whose_extension_headers_exceed_it() -> None:
    """Seventeen octets, whose authentication header claims to be 664 long."""
    whole = packet(51, bytes((1, 164, 1, 164)) + bytes(13))
    shown = whole[:40] + whole[40:][:20]
    [trace] = build_traces(Evidence(PLACES, seen(whole), verdicts=dropped("router", shown)))
    assert (trace.disposition, trace.reason.source) == (End.DENIED, "nft")


def test_a_rule_is_found_of_a_later_fragment_of_which_nft_shows_little() -> None:
    piece = later_fragment(7, bytes(60))
    [trace] = build_traces(Evidence(PLACES, seen(piece), verdicts=dropped("router", piece[:20])))
    assert (trace.disposition, trace.reason.source) == (End.DENIED, "nft")


def test_an_error_is_about_the_datagram_that_it_quotes() -> None:
    """Two datagrams of equal content: only their identification differs."""
    first, second = (later_fragment(number, bytes(60)) for number in (1, 2))
    error = packet(
        icmp.PROTOCOL_V6,
        icmp.encode(icmp.Message(3, 0, 0, second[:80]), ROUTER, A),
        source=ROUTER,
    )
    answer = Frame(5000, "router", "west", "out", ETHERNET + error, len(error) + 14)
    one, other, _ = build_traces(Evidence(PLACES, (*seen(first, second), answer)))
    assert one.disposition is not End.TTL_EXPIRED
    assert other.disposition is End.TTL_EXPIRED


def test_an_error_is_about_the_stream_that_it_quotes() -> None:
    first, second = (packet(255, b"the same content", label=label) for label in (1, 2))
    error = packet(
        icmp.PROTOCOL_V6,
        icmp.encode(icmp.Message(1, 1, 0, second), ROUTER, A),
        source=ROUTER,
    )
    answer = Frame(5000, "router", "west", "out", ETHERNET + error, len(error) + 14)
    one, other, _ = build_traces(Evidence(PLACES, (*seen(first, second), answer)))
    assert one.disposition is End.UNKNOWN
    assert other.disposition is End.DENIED
