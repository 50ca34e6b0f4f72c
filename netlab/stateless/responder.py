"""The rules of the server: a segment in, segments out, nothing kept.

``respond`` is all of it; ``receive`` and ``reply`` are its two halves (see ``exchange``).

Where the first such server (``published``) was wrong or careless, this one differs:

    the FIN is acknowledged at SEG.ACK, so that Linux sends one and not four
    a segment without a right cookie gives nothing: no answer goes to a spoofed address
    answer and FIN leave as one segment, cut at the size that the client named in its SYN
    an answer that the client's window cannot hold is replaced by one that says so
    a request that is not whole is neither answered nor acknowledged: its sender will repeat it
    data on a FIN is read
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.stateless import bursts
from netlab.stateless.cookie import Position, initial_sequence_number, position
from netlab.stateless.interfaces import Reaction, Request, Rules, in_one
from netlab.stateless.segment import ACK, FIN, PSH, RST, SEQ_MASK, SYN, Segment
from netlab.wire import tcp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.stateless.bursts import Source
    from netlab.stateless.framing import Message

ADVERTISED_MSS = 1460
ADVERTISED_MSS_V6 = 1440
DEFAULT_MSS = 536
DEFAULT_MSS_V6 = 1220
"""What a client takes that names no MSS (RFC 9293 section 3.7.1, MUST-15)."""

LOWEST, ENOUGH = -(1 << 16), 1 << 15
HIGHEST = ENOUGH + (1 << 16)
"""Between which bounds "sent less received" of a connection is believed to be one of ours.

A connection that was sent ``ENOUGH`` more than it has sent is closed with that answer, which is at
most a window long. Each number is one more that passes as a cookie: of blind guesses one in 8,192
passes for a later request, and one in 1,638 for a FIN, whose answer is no longer than itself.
"""


def receive(segment: Segment, now: float, secret: bytes, rules: Rules) -> Reaction:
    """Judge one segment; never raises."""
    control = segment.flags & (SYN | FIN | RST | ACK)
    if control == SYN:
        return Reaction("syn", (_syn_ack(segment, now, secret, rules),))
    if control & (SYN | RST) or not control & ACK:
        return _FLAGS
    token = _token(segment) if rules.source else None
    if rules.cookie:
        highest = HIGHEST
        if token is not None and rules.source:
            highest = max(highest, rules.source.length(token.resource) + 1)
        where = position(segment, now, secret, LOWEST, highest)
        if where is None:
            return _COOKIE
    else:
        where = Position(rules.segment_size, 0)
    if segment.payload:
        return _receive_data(segment, where, rules)
    if control & FIN:
        # Nothing sent, nothing received: the client closes first and still needs our FIN. Where
        # the client is the one to close it always does.
        ours = where.balance == 0 or not rules.framing.closes
        return Reaction("fin", (_answer(segment, flags=ACK | FIN if ours else ACK),))
    if token is not None and rules.source:
        return _continue(segment, where, token, rules.source, rules)
    return _ACK


_FLAGS = Reaction("flags")
_COOKIE = Reaction("cookie")
_EARLY = Reaction("early")
_LATE = Reaction("late")
_INCOMPLETE = Reaction("incomplete")
_ACK = Reaction("ack")


def _receive_data(segment: Segment, where: Position, rules: Rules) -> Reaction:
    framing = rules.framing
    if where.balance < 0:
        return _EARLY
    # The one request of a connection that the server closes comes first; withheld, it is repeated
    # with the client's position in the answer.
    once = HIGHEST if rules.withhold else 0
    if where.balance > (once if framing.closes else ENOUGH):
        return _LATE
    messages, refusal = framing.take(segment.payload)
    cut = _cut(segment, where, rules)
    if refusal is not None:
        return Reaction("refused", (_last(segment, refusal, cut),))
    if not messages:
        if len(segment.payload) + len(segment.options) < _advertised(segment):
            return _INCOMPLETE
        excuse = framing.request_too_long(segment.payload)
        end = _reset(segment) if excuse is None else _last(segment, excuse, cut)
        return Reaction("refused", (end,))
    if rules.source:
        resource = _long_answer(segment, messages[0], rules.source)
        if resource is not None:
            token = bursts.Token(resource, len(segment.payload))
            span = bursts.Span(0, bursts.BURST)
            return Reaction("burst", (_burst(segment, token, span, rules.source, cut),))
    return Reaction("request", (), Request(segment, messages, cut, where.balance))


def reply(request: Request, answers: Sequence[bytes | None], rules: Rules) -> list[Segment]:
    """The segments that carry ``answers``, one for each message of the request, in order.

    ``None`` means a request that cannot be answered: the connection is reset. Answers that
    do not fit into the client's window are left out together with the acknowledgement of their
    requests, which will come again; if not even the first fits, the framing excuses itself.
    """
    segment, messages, cut, have = request
    framing = rules.framing
    room = segment.window - 1  # the FIN takes one
    consumed = 0
    stream = b""
    for message, answer in zip(messages, answers, strict=True):
        if answer is None:
            return [_reset(segment)]
        wrapped = framing.wrap(answer)
        if len(stream) + len(wrapped) > room + (have if framing.closes else 0):
            break
        stream += wrapped
        consumed += message.length
    if not consumed:
        excuse = framing.answer_too_long(messages[0].data, room)
        return [_reset(segment) if excuse is None else _last(segment, excuse, cut)]
    flags = ACK | PSH
    client_closes = segment.flags & FIN and consumed == len(segment.payload)
    # An answer shorter than its request would make the next one look as if it came too early.
    balance = len(stream) - consumed
    if framing.closes or client_closes or balance < 0 or have + balance > ENOUGH:
        flags |= FIN
    ack = segment.seq + consumed + bool(client_closes)
    if rules.withhold and framing.closes:
        if have > len(stream):
            return [_answer(segment)]
        stream = stream[have:]
        ack = segment.seq
    return [_answer(segment, stream, flags, ack & SEQ_MASK, cut=cut)]


respond = in_one(receive, reply)
"""``respond(segment, now, secret, rules, answer)``: all segments that a segment gives."""


def _syn_ack(syn: Segment, now: float, secret: bytes, rules: Rules) -> Segment:
    offered = tcp.parse_options(syn.options)
    if len(syn.source) == 4:
        mss, ours = offered.mss or DEFAULT_MSS, ADVERTISED_MSS
    else:
        mss, ours = offered.mss or DEFAULT_MSS_V6, ADVERTISED_MSS_V6
    if rules.source and offered.timestamps and offered.sack_permitted:
        options = tcp.encode_options(
            tcp.Options(
                mss=ours, sack_permitted=True, timestamps=(bursts.FIRST, offered.timestamps[0])
            )
        )
    else:
        options = _MSS_OPTION[ours]
    return Segment(
        syn.destination,
        syn.source,
        syn.destination_port,
        syn.source_port,
        initial_sequence_number(syn, now, secret, mss),
        syn.seq + 1 & SEQ_MASK,  # data on the SYN is left for the client to repeat
        SYN | ACK,
        options=options,
    )


_MSS_OPTION = {
    mss: tcp.encode_options(tcp.Options(mss=mss)) for mss in (ADVERTISED_MSS, ADVERTISED_MSS_V6)
}


def _advertised(segment: Segment) -> int:
    return ADVERTISED_MSS if len(segment.source) == 4 else ADVERTISED_MSS_V6


def _cut(segment: Segment, where: Position, rules: Rules) -> int:
    bound = rules.segment_size if len(segment.source) == 4 else rules.segment_size_v6
    # The MSS counts options, the payload does not (RFC 6691 section 2).
    return min(where.segment_size, bound) - (12 if segment.options else 0)


def _answer(
    segment: Segment,
    payload: bytes = b"",
    flags: int = ACK,
    ack: int | None = None,
    *,
    cut: int = 0,
    token: int | None = None,
) -> Segment:
    """A segment the other way, at the client's SEG.ACK; by default it acknowledges everything."""
    if ack is None:
        ack = segment.seq + segment.length & SEQ_MASK
    options = b""
    if segment.options:
        timestamps = tcp.parse_options(segment.options).timestamps
        if timestamps:
            # What the client saw last, so that its PAWS check (RFC 7323 section 5) lets it pass.
            value = timestamps[1] if token is None else token
            options = tcp.encode_options(tcp.Options(timestamps=(value, timestamps[0])))
    return Segment(
        segment.destination,
        segment.source,
        segment.destination_port,
        segment.source_port,
        segment.ack,
        ack,
        flags,
        0xFFFF,
        payload,
        options,
        cut,
    )


def _last(segment: Segment, answer: bytes, cut: int) -> Segment:
    """An answer that ends the connection and acknowledges all that came."""
    return _answer(segment, answer, ACK | PSH | FIN, cut=cut)


def _reset(segment: Segment) -> Segment:
    """RFC 9293 section 3.10.7.1: for a segment with ACK the reset is at SEG.ACK."""
    return _answer(segment, flags=RST, ack=0)._replace(options=b"")


def _token(segment: Segment) -> bursts.Token | None:
    timestamps = tcp.parse_options(segment.options).timestamps
    return bursts.decode_token(timestamps[1]) if timestamps else None


def _long_answer(segment: Segment, message: Message, source: Source) -> int | None:
    """The number of an answer that has to go in bursts, and can."""
    if not segment.options or len(segment.payload) > bursts.LONGEST_REQUEST:
        return None
    resource = source.resource(message.data)
    if resource is None or segment.window < bursts.BURST:
        return None
    return resource if source.length(resource) >= segment.window else None


def _continue(
    segment: Segment, where: Position, token: bursts.Token, source: Source, rules: Rules
) -> Reaction:
    span = bursts.wanted(
        where.balance + token.request_length,
        segment.ack,
        segment.window,
        tcp.parse_options(segment.options).sack,
        source.length(token.resource),
    )
    if span is None:
        return _ACK
    cut = _cut(segment, where, rules)
    return Reaction("burst", (_burst(segment, token, span, source, cut),))


def _burst(
    segment: Segment, token: bursts.Token, span: bursts.Span, source: Source, cut: int
) -> Segment:
    data = source.read(token.resource, *span)
    ends = span.start + len(data) >= source.length(token.resource)
    flags = ACK | PSH | (FIN if ends else 0)
    return _answer(segment, data, flags, cut=cut, token=bursts.encode_token(token))
