from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.stateless import http
from netlab.stateless.dns import Dns
from netlab.stateless.framing import Echo
from netlab.stateless.http import Http
from netlab.stateless.responder import ENOUGH, receive, respond
from netlab.stateless.segment import ACK, FIN, PSH, RST, SYN, Segment
from netlab.wire import tcp
from tests.stateless.peers import (
    CLIENT_6,
    NOW,
    SECRET,
    SERVER_6,
    Client,
    noting,
    rules,
    segments,
    syn,
    u32,
)

GET = b"GET / HTTP/1.1\r\nHost: server\r\n\r\n"
PAGE = http.response(200, b"hello\n")
HTTP = rules(Http())


def page(_: bytes) -> bytes:
    return PAGE


def of(size: int):
    body = http.response(200, bytes(i * i % 251 for i in range(size)))
    return lambda _: body


def echo(data: bytes) -> bytes:
    return data


def test_one_transaction() -> None:
    client = Client(respond, HTTP, page)
    client.send(GET)
    client.close()
    syn_ack, answer, last = client.came
    assert (syn_ack.flags, syn_ack.window) == (SYN | ACK, 0xFFFF)
    assert tcp.parse_options(syn_ack.options) == tcp.Options(mss=1460)
    assert (answer.flags, answer.payload) == (ACK | PSH | FIN, PAGE)
    assert last.flags == ACK
    assert (last.seq, last.ack) == (client.sent[2].ack, client.sent[2].seq + 1)
    assert client.received == PAGE
    assert client.fin_acked
    assert not client.flight


@given(u32, st.integers(0, 60000), st.sampled_from([536, 1220, 1460]), st.floats(0, 1e6))
def test_an_answer_arrives_whole_at_any_sequence_number(
    isn: int, size: int, mss: int, now: float
) -> None:
    answer = of(size)
    client = Client(respond, HTTP, answer, isn=isn, mss=mss, now=now)
    client.send(GET)
    assert client.received == answer(b"")
    assert client.fin_seen
    assert all(len(piece.payload) <= mss for piece in client.came)


def test_over_ipv6_no_segment_needs_a_path_wider_than_1280() -> None:
    first = syn(source=CLIENT_6, destination=SERVER_6)
    (syn_ack,) = respond(first, NOW, SECRET, HTTP, page)
    assert tcp.parse_options(syn_ack.options).mss == 1440
    request = first._replace(seq=1001, ack=syn_ack.seq + 1, flags=ACK, payload=GET, options=b"")
    (answer,) = respond(request, NOW, SECRET, HTTP, of(4000))
    assert answer.cut == 1220


@given(segments())
def test_nothing_but_a_syn_is_answered_without_the_cookie(segment: Segment) -> None:
    answers = respond(segment, NOW, SECRET, HTTP, page)
    if segment.flags & (SYN | ACK | RST | FIN) == SYN:
        (answer,) = answers
        assert answer.flags == SYN | ACK
        assert not answer.payload
        assert answer.destination == segment.source
    else:
        assert not answers


@given(st.lists(segments(), max_size=8))
def test_nothing_is_kept(others: list[Segment]) -> None:
    before = receive(syn(), NOW, SECRET, HTTP)
    for other in others:
        receive(other, NOW, SECRET, HTTP)
    assert receive(syn(), NOW, SECRET, HTTP) == before


@given(st.integers(1, len(GET) - 1))
def test_a_request_in_two_segments_is_answered_when_the_client_repeats_it(split: int) -> None:
    client = Client(respond, HTTP, page)
    client.send(GET[:split], GET[split:])
    assert not client.received
    client.timer()
    assert client.received == PAGE
    assert not client.flight


def test_a_request_that_fills_a_segment_is_refused_not_ignored() -> None:
    client = Client(respond, HTTP, page)
    client.send((b"GET / HTTP/1.1\r\nCookie: " + b"x" * 1460)[:1460])
    assert client.received.startswith(b"HTTP/1.1 431 ")
    assert client.fin_seen


def test_a_repeated_request_is_answered_again() -> None:
    asked: list[bytes] = []
    client = Client(respond, HTTP, noting(asked, PAGE))
    client.lost = lambda segment: bool(segment.payload) and len(asked) == 1
    client.send(GET)
    client.timer()
    assert client.received == PAGE
    assert asked == [GET, GET]


def test_an_answer_beyond_the_window_is_replaced() -> None:
    client = Client(respond, HTTP, of(5000), window=4000)
    client.send(GET)
    assert client.received.startswith(b"HTTP/1.1 500 ")
    assert b"3999 octets" in client.received


def test_no_answer_is_a_reset() -> None:
    client = Client(respond, HTTP, lambda _: None)
    client.send(GET)
    assert client.reset


def test_data_on_a_fin_is_read() -> None:
    client = Client(respond, HTTP, page)
    client.fin_sent = True
    client.flight = GET
    client._emit(client._segment(client.nxt, ACK | PSH | FIN, GET))
    assert client.received == PAGE
    assert client.fin_acked


def test_a_client_that_closes_without_asking_gets_a_fin() -> None:
    client = Client(respond, HTTP, page)
    client.close()
    assert client.fin_acked
    assert client.fin_seen


def test_a_second_request_on_a_closed_connection_gets_nothing() -> None:
    client = Client(respond, HTTP, page)
    client.send(GET)
    client.send(GET)
    assert client.received == PAGE
    assert client.flight == GET


class TestLoss:
    def test_a_lost_piece_hangs_the_client(self) -> None:
        client = Client(respond, HTTP, of(5000))
        client.lost = lambda _: len(client.came) == 3
        client.send(GET)
        assert 0 < len(client.received) < 5000
        client.timer()
        client.acknowledge()
        assert not client.flight, "it has nothing to repeat"
        assert len(client.received) < 5000

    @given(st.sets(st.integers(1, 60), max_size=6), st.integers(0, 9000) | st.just(60_000))
    def test_withholding_the_acknowledgement_mends_it(self, losses: set[int], size: int) -> None:
        answer = of(size)
        client = Client(respond, rules(Http(), withhold=True), answer)
        client.lost = lambda _: len(client.came) - 1 in losses
        client.send(GET)
        for _ in range(len(losses) + 1):
            assert client.flight or client.fin_seen, "acknowledged before all had arrived"
            client.timer()
        assert client.received == answer(b"")
        assert client.fin_seen
        client.lost = lambda _: False
        client.close()
        assert client.fin_acked
        assert not client.flight


class TestSeveralRequests:
    @given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=6))
    def test_one_after_the_other(self, writes: list[bytes]) -> None:
        client = Client(respond, rules(Echo()), echo)
        for data in writes:
            client.send(data)
        assert client.received == b"".join(writes)
        client.close()
        assert client.fin_acked
        assert client.fin_seen

    @given(st.lists(st.binary(min_size=1, max_size=200), min_size=2, max_size=6))
    def test_pipelined_ones_wait_for_the_clients_timer(self, writes: list[bytes]) -> None:
        client = Client(respond, rules(Echo()), echo)
        client.send(*writes)
        assert client.received == writes[0]
        client.timer()
        assert client.received == b"".join(writes)

    def test_dns_queries_of_one_segment_are_answered_together(self) -> None:
        client = Client(respond, rules(Dns()), lambda query: query + b"!")
        stream = b"\0\x0caaaaaaaaaaaa\0\x0cbbbbbbbbbbbb"
        client.send(stream + b"\0\x0cccc")
        assert client.received == b"\0\x0daaaaaaaaaaaa!\0\x0dbbbbbbbbbbbb!"
        assert client.flight == b"\0\x0cccc"
        assert not client.fin_seen

    def test_what_exceeds_the_window_is_asked_again_by_the_client(self) -> None:
        client = Client(respond, rules(Dns()), lambda query: query * 100, window=2000)
        client.send(b"\0\x0caaaaaaaaaaaa\0\x0cbbbbbbbbbbbb")
        assert client.received == b"\x04\xb0" + b"a" * 1200
        client.timer()
        assert client.received == b"\x04\xb0" + b"a" * 1200 + b"\x04\xb0" + b"b" * 1200

    def test_a_connection_that_has_got_enough_is_closed(self) -> None:
        client = Client(respond, rules(Dns()), lambda query: query * 1000)
        while not client.fin_seen:
            before = len(client.received)
            client.send(b"\0\x0caaaaaaaaaaaa")
            assert len(client.received) == before + 12002
        assert before < ENOUGH <= len(client.received)
        client.close()
        assert client.fin_acked

    def test_an_answer_shorter_than_its_request_is_the_last(self) -> None:
        client = Client(respond, rules(Dns()), lambda _: b"x" * 12)
        client.send(b"\0\x10" + b"q" * 16)
        assert client.received == b"\0\x0c" + b"x" * 12
        assert client.fin_seen


def test_without_the_cookie_anybody_is_answered() -> None:
    spoofed = Segment(bytes(4), bytes(4), 5, 80, 77, 99, ACK | PSH, payload=GET)
    assert respond(spoofed, NOW, SECRET, HTTP, page) == []
    (answer,) = respond(spoofed, NOW, SECRET, rules(Http(), cookie=False), page)
    assert answer.payload == PAGE


@pytest.mark.parametrize("flags", [SYN | ACK, SYN | RST, SYN | FIN, RST, RST | ACK, FIN, PSH, 0])
def test_anything_else_gives_nothing(flags: int) -> None:
    assert respond(syn(flags=flags, payload=GET), NOW, SECRET, HTTP, page) == []
