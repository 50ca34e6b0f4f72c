"""The traces that were published with the first such server, packet for packet in shape."""

from __future__ import annotations

from hypothesis import given

from netlab.stateless.dns import Dns
from netlab.stateless.http import Http
from netlab.stateless.reference import respond
from netlab.stateless.segment import ACK, FIN, PSH, SYN, Segment
from netlab.wire import tcp
from tests.stateless.peers import NOW, SECRET, Client, noting, rules, segments

REQUEST = b"GET / HTTP/1.1\r\nHost: server\r\nX: ".ljust(241, b"x") + b"\r\n\r\n"


def shape(segment: Segment) -> tuple[int, int]:
    return segment.flags, len(segment.payload)


def test_http_245_octets_ask_for_467() -> None:
    client = Client(respond, rules(Http()), lambda _: bytes(467))
    client.send(REQUEST)
    assert len(REQUEST) == 245
    syn_ack, *rest = client.came
    assert tcp.parse_options(syn_ack.options) == tcp.Options(mss=1220)
    assert (syn_ack.flags, syn_ack.window) == (SYN | ACK, 65535)
    assert [shape(segment) for segment in rest] == [(ACK, 0), (ACK | PSH, 467), (ACK | FIN, 0)]
    assert client.fin_seen


def test_dns_34_octets_ask_for_231() -> None:
    client = Client(respond, rules(Dns()), lambda query: query[:2] + bytes(229))
    client.send(b"\0\x22" + bytes(34))
    assert [shape(segment) for segment in client.came[1:]] == [
        (ACK, 0),
        (ACK | PSH, 233),
        (ACK | FIN, 0),
    ]


def test_pieces_of_512_octets() -> None:
    client = Client(respond, rules(Http()), lambda _: bytes(5000))
    client.send(REQUEST)
    assert [len(s.payload) for s in client.came[2:]] == [512] * 9 + [392, 0]
    assert len(client.received) == 5000


def test_the_fin_is_acknowledged_one_below_the_window() -> None:
    client = Client(respond, rules(Http()), lambda _: bytes(467))
    client.send(REQUEST)
    client.close()
    assert client.came[-1].seq == client.sent[-1].ack - 1


def test_a_request_in_two_segments_counts_as_two() -> None:
    asked: list[bytes] = []
    client = Client(respond, rules(Http()), noting(asked, b"x"))
    client.send(REQUEST[:100], REQUEST[100:])
    assert asked == [REQUEST[:100], REQUEST[100:]]


def test_data_on_a_fin_is_lost() -> None:
    asked: list[bytes] = []
    client = Client(respond, rules(Http()), noting(asked, b"x"))
    client._emit(client._segment(client.nxt, ACK | PSH | FIN, REQUEST))
    assert not asked


@given(segments())
def test_any_segment_is_borne(segment: Segment) -> None:
    respond(segment, NOW, SECRET, rules(Http()), lambda _: b"x")
