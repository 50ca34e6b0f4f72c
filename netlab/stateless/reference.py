"""The first stateless TCP server to the letter, as G. Huston published it; weaknesses included.

    in        out
    SYN       SYN+ACK: ISN from the clock, window 65535, the only option MSS 1220
    FIN       ACK at SEG.ACK-1, acknowledging SEG.SEQ+1
    payload   ACK of it; then the answer in segments of 512 octets, back to back; then FIN
    else      nothing

Nothing is checked: no cookie, no window, no whole request. A Linux client rejects the ACK of its
FIN, which lies one before its window, and sends the FIN four times in 1.6 s. Data on a FIN is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.stateless.framing import Message
from netlab.stateless.interfaces import Reaction, Request, Rules, in_one
from netlab.stateless.segment import ACK, FIN, PSH, RST, SEQ_MASK, SYN, Segment
from netlab.wire import tcp

if TYPE_CHECKING:
    from collections.abc import Sequence

SEGMENT_SIZE = 512
MSS = 1220

_OPTIONS = tcp.encode_options(tcp.Options(mss=MSS))


def receive(segment: Segment, now: float, secret: bytes, rules: Rules) -> Reaction:  # noqa: ARG001 - one signature for both servers
    """Judge one segment; only the framing of ``rules`` counts."""
    flags = segment.flags
    if flags & RST:
        return Reaction("flags")
    if flags & SYN:
        if flags & ACK:
            return Reaction("flags")
        isn = int(now * 1_000_000) & SEQ_MASK
        syn_ack = _to(segment, isn, segment.seq + 1, SYN | ACK)._replace(options=_OPTIONS)
        return Reaction("syn", (syn_ack,))
    if flags & FIN:
        return Reaction("fin", (_to(segment, segment.ack - 1, segment.seq + 1),))
    if not segment.payload:
        return Reaction("ack")
    acknowledgement = _to(segment, segment.ack, segment.seq + len(segment.payload))
    # Each segment counts as one request, whole or not.
    taken = rules.framing.take(segment.payload).messages
    messages = taken[:1] or (Message(segment.payload, len(segment.payload)),)
    return Reaction("request", (acknowledgement,), Request(segment, messages, SEGMENT_SIZE))


def reply(request: Request, answers: Sequence[bytes | None], rules: Rules) -> list[Segment]:
    """The answer in pieces of 512 octets, then the FIN; ``None`` gives only the FIN."""
    segment = request.segment
    answer = answers[0]
    stream = b"" if answer is None else rules.framing.wrap(answer)
    ack = segment.seq + len(segment.payload)
    pieces = [
        _to(segment, segment.ack + at, ack, ACK | PSH, stream[at : at + SEGMENT_SIZE])
        for at in range(0, len(stream), SEGMENT_SIZE)
    ]
    return [*pieces, _to(segment, segment.ack + len(stream), ack, ACK | FIN)]


respond = in_one(receive, reply)
"""All segments that a segment gives, as ``responder.respond``."""


def _to(segment: Segment, seq: int, ack: int, flags: int = ACK, payload: bytes = b"") -> Segment:
    return Segment(
        segment.destination,
        segment.source,
        segment.destination_port,
        segment.source_port,
        seq & SEQ_MASK,
        ack & SEQ_MASK,
        flags,
        payload=payload,
    )
