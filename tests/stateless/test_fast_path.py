from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from netlab.stateless.cookie import SEGMENT_SIZES, SLOT, slot_at
from netlab.stateless.dns import Dns
from netlab.stateless.fast_path import Express, usable
from netlab.stateless.framing import Echo, Framing
from netlab.stateless.http import Http
from netlab.stateless.responder import receive, reply
from netlab.stateless.segment import ACK, FIN, PSH, SEQ_MASK, SYN, Segment, encode, parse
from netlab.wire import tcp
from tests.stateless.peers import CLIENT, NOW, SECRET, SERVER, rules, segments, syn, u16, u32

if TYPE_CHECKING:
    from netlab.stateless.interfaces import Request

FRAMINGS: st.SearchStrategy[Framing] = st.sampled_from([Http(), Dns(), Echo()])
PAYLOADS = st.sampled_from([b"", b"GET / HTTP/1.1\r\n\r\n", b"GET /", b"\0\x01x", b"\0\x01xyz"])


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Framing, Segment, float]:
    """A framing, a segment at or near a right place of a connection, and when it comes."""
    framing = draw(FRAMINGS)
    mss = draw(st.none() | st.sampled_from([0, *SEGMENT_SIZES]) | u16)
    first = syn(draw(u32), mss)
    kind = draw(st.sampled_from([SYN, ACK, ACK | PSH, ACK | FIN, ACK | FIN | PSH]))
    now = draw(st.sampled_from([NOW, NOW + SLOT, NOW + 3 * SLOT]))
    if kind == SYN:
        return framing, first, now
    (syn_ack,) = receive(first, NOW, SECRET, rules(framing)).segments
    near = draw(
        st.sampled_from(
            [0, 0, 0, 1, -1, 17, -200, 30_000, 32_768, 32_769, -65536, -65537, 98304, 98305]
        )
    )
    return (
        framing,
        Segment(
            CLIENT,
            SERVER,
            40000,
            80,
            first.seq + 1 & SEQ_MASK,
            syn_ack.seq + 1 + near & SEQ_MASK,
            kind,
            draw(u16),
            draw(PAYLOADS),
            draw(st.sampled_from([b"", tcp.encode_options(tcp.Options(timestamps=(1, 2)))])),
        ),
        now,
    )


def judge(framing: Framing, segment: Segment, now: float) -> bool:
    """Hold the two against each other; whether the express way took the segment."""
    given_rules = rules(framing)
    packet = bytearray(b"front" + encode(segment) + b"tail")
    express = Express(given_rules, SECRET, (SERVER, 80))
    quick = express.receive(packet, 5, len(packet), slot_at(now))
    if quick is None:
        return False
    slow = receive(segment, now, SECRET, given_rules)
    if isinstance(quick, bytes):
        assert [quick] == [encode(answer, partial=True) for answer in slow.segments]
    else:
        assert quick == slow.request
        judge_reply(express, quick, framing)
    return True


def judge_reply(express: Express, request: Request, framing: Framing) -> None:
    """The same for answers of many lengths."""
    for size in (0, 1, 3, 5, 100, 40_000, 64_239, 64_240, 65_535):
        answers = [bytes(size)] * len(request.messages)
        quick = express.reply(request, answers[0])
        if quick is not None:
            slow = reply(request, answers, rules(framing))
            assert [b"".join(quick)] == [encode(answer, partial=True) for answer in slow]
            assert {answer.cut for answer in slow} == {request.segment_size}


@given(conversations())
def test_what_it_says_the_responder_says_too(case: tuple[Framing, Segment, float]) -> None:
    judge(*case)


@given(segments())
def test_on_any_segment(segment: Segment) -> None:
    judge(Http(), segment._replace(destination=SERVER, destination_port=80), NOW)


def test_it_takes_the_three_segments_of_an_ordinary_client() -> None:
    first = syn(7)
    assert judge(Http(), first, NOW)
    (syn_ack,) = receive(first, NOW, SECRET, rules(Http())).segments
    request = first._replace(
        seq=8, ack=syn_ack.seq + 1, flags=ACK | PSH, options=b"", payload=b"GET / HTTP/1.1\r\n\r\n"
    )
    assert judge(Http(), request, NOW)
    taken = receive(request, NOW, SECRET, rules(Http())).request
    assert taken is not None
    assert Express(rules(Http()), SECRET, (SERVER, 80)).reply(taken, b"page")
    fin = request._replace(seq=26, ack=request.ack + 100, flags=ACK | FIN, payload=b"")
    assert judge(Http(), fin, NOW)


@given(conversations(), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4))
def test_on_damaged_packets(
    case: tuple[Framing, Segment, float], damage: list[tuple[int, int]]
) -> None:
    framing, segment, now = case
    packet = bytearray(encode(segment))
    for at, octet in damage:
        packet[at % len(packet)] = octet
    quick = Express(rules(framing), SECRET, (SERVER, 80)).receive(
        packet, 0, len(packet), slot_at(now)
    )
    if quick is None:
        return
    slow = receive(parse(packet), now, SECRET, rules(framing))
    if isinstance(quick, bytes):
        assert [quick] == [encode(answer, partial=True) for answer in slow.segments]
    else:
        assert quick == slow.request


@given(st.binary(max_size=100))
def test_rubbish_is_left_alone(packet: bytes) -> None:
    express = Express(rules(Http()), SECRET, (SERVER, 80))
    assert express.receive(bytearray(packet), 0, len(packet), slot_at(NOW)) is None


def test_extraordinary_rules_are_left_to_the_responder() -> None:
    assert usable(rules(Http()), SERVER)
    assert not usable(rules(Http(), cookie=False), SERVER)
    assert not usable(rules(Http(), withhold=True), SERVER)
    assert not usable(rules(Http()), bytes(16))
