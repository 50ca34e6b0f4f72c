from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlab.stateless import bursts, http
from netlab.stateless.bursts import BURST, Token, decode_token, encode_token, wanted
from netlab.stateless.http import Http
from netlab.stateless.responder import respond
from netlab.stateless.segment import ACK, SEQ_MASK
from netlab.wire import tcp
from tests.stateless.peers import Client, rules, u32

GET = b"GET /1 HTTP/1.1\r\nHost: server\r\n\r\n"


class Numbers:
    """Resource n is an answer of ``sizes[n]`` octets that differ by position and resource."""

    def __init__(self, *sizes: int) -> None:
        self.answers = [
            http.response(200, bytes((at >> 8 ^ at * 7 ^ number) & 255 for at in range(size)))
            for number, size in enumerate(sizes)
        ]

    def __call__(self, request: bytes) -> bytes:
        return self.answers[int(request[5:6])]

    def resource(self, request: bytes) -> int | None:
        return int(request[5:6])

    def length(self, resource: int) -> int:
        return len(self.answers[resource]) if resource < len(self.answers) else 0

    def read(self, resource: int, start: int, stop: int) -> bytes:
        return self.answers[resource][start:stop]


def download(size: int, isn: int = 1000) -> Client:
    source = Numbers(10, size)
    client = Client(respond, rules(Http(), source=source), source, timestamps=True, isn=isn)
    client.send(GET)
    return client


def finish(client: Client) -> None:
    for _ in range(200):
        if client.fin_seen:
            return
        before = len(client.received)
        client.acknowledge()
        assert len(client.received) > before, "it does not go on"


@given(st.sampled_from([64000, 65535, 65536, 98304, 200_000]), u32)
def test_the_clients_acks_fetch_it_all(size: int, isn: int) -> None:
    client = download(size, isn)
    finish(client)
    assert client.received == Numbers(10, size).answers[1]
    client.close()
    assert client.fin_acked


def test_it_ends_at_a_boundary_too() -> None:
    head = len(http.response(200, bytes(10**5))) - 10**5
    client = download(4 * BURST - head)
    finish(client)
    assert client.fin_seen
    assert len(client.received) == 4 * BURST


def test_a_short_answer_goes_as_ever() -> None:
    client = download(1000)
    assert client.fin_seen
    assert len(client.came) == 2


def test_without_timestamps_a_long_answer_is_refused_in_words() -> None:
    source = Numbers(10, 200_000)
    client = Client(respond, rules(Http(), source=source), source)
    client.send(GET)
    assert client.received.startswith(b"HTTP/1.1 500 ")


def test_acks_within_a_burst_ask_for_nothing() -> None:
    client = download(200_000)
    came = len(client.came)
    for back in (1, 1460, BURST - 1):
        client._emit(client._segment(client.nxt, ACK)._replace(ack=client.ack - back & SEQ_MASK))
    assert len(client.came) == came


def test_a_hole_is_filled_once_the_burst_has_ended() -> None:
    client = download(200_000)
    client.lost = lambda _: len(client.came) == came + 4
    came = len(client.came)
    client.acknowledge()
    client.lost = lambda _: False
    assert len(client.received) < 2 * BURST
    assert client.rcv_isn is not None
    block = (client.ack + 1448 & SEQ_MASK, client.rcv_isn + 1 + 2 * BURST & SEQ_MASK)
    stamps = tcp.encode_options(tcp.Options(timestamps=(9, client.recent), sack=(block,)))
    client._emit(client._segment(client.nxt, ACK)._replace(options=stamps))
    assert len(client.received) == 2 * BURST
    finish(client)
    assert client.received == Numbers(10, 200_000).answers[1]


@given(st.integers(0, 0xFFFF), st.integers(1, bursts.LONGEST_REQUEST))
def test_tokens(resource: int, length: int) -> None:
    token = Token(resource, length)
    value = encode_token(token)
    assert bursts.FIRST < value < 1 << 31, "PAWS compares by signed difference"
    assert decode_token(value) == token


@given(u32)
def test_any_echo_is_read(echo: int) -> None:
    token = decode_token(echo)
    assert token is None or encode_token(token) == echo


class TestWanted:
    def test_the_duplicate_of_a_middle_piece_asks_for_nothing(self) -> None:
        ack = 5000
        assert wanted(BURST, ack, 65535, ((ack - 3000, ack - 1500),), 10**6) is None

    def test_the_duplicate_of_a_last_piece_may_be_the_only_sign(self) -> None:
        ack = 5000
        assert wanted(BURST, ack, 65535, ((ack - 1500, ack),), 10**6) == (BURST, 2 * BURST)

    def test_a_window_that_is_too_small_waits_for_its_update(self) -> None:
        assert wanted(BURST, 5000, BURST - 1, (), 10**6) is None

    @given(u32, u32, st.integers(0, 0xFFFF), st.lists(st.tuples(u32, u32), max_size=3), u32)
    def test_it_stays_within_the_answer(self, at, ack, window, sack, length) -> None:
        span = wanted(at, ack, window, tuple(sack), length)
        assert span is None or 0 < span.start <= span.stop <= length
