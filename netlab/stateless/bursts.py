"""Answers longer than the client's window, still without memory: the client's ACKs carry all of it.

The stream of the answer is cut into bursts of ``BURST`` octets. An ACK for exactly the end of one
asks for the next: SEG.ACK says where the client is, and the octets there are made again. What the
ACK does not say by its numbers, *which* answer this is, it says by its timestamp: the server's
TSval is not a clock but a token, and the client echoes it in every segment (RFC 7323 section 3),
as Linux itself hides options in the timestamps of its SYN cookies.

    token = 1 + (resource << 14 | length of the request)

It only ever rises (1 on the SYN+ACK), so the client's PAWS check is content. A client that offers
no timestamps gets no long answers.

SACK is offered together with timestamps, for two things. An ACK for a duplicate says so (RFC 2883)
and is answered only if it is the duplicate of a burst's last piece; otherwise every duplicate
piece would ask for a whole burst, and each of those again (the Sorcerer's Apprentice, RFC 1123
section 4.2.3.1). And once the end of a burst has arrived, its SACK blocks show the first hole,
which is sent again. Loss of a burst's last piece stays unnoticed: only a timer could tell.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from netlab.stateless.segment import SEQ_MASK

BURST = 32768
"""Octets. A Linux client offers twice that without window scaling."""

FIRST = 1
"""The token before there is a request."""

_LENGTH_BITS = 14
LONGEST_REQUEST = (1 << _LENGTH_BITS) - 1
MOST_RESOURCES = 1 << 16


class Source(Protocol):
    """Long answers that can be made again, octet for octet, from a number and a position."""

    def resource(self, request: bytes) -> int | None:
        """The number (below 65,536) of the answer to a request; ``None``: no long answer."""

    def length(self, resource: int) -> int:
        """Octets of the whole answer with its framing; 0 for a number that is not known."""

    def read(self, resource: int, start: int, stop: int) -> bytes:
        """The octets from ``start`` to ``stop`` (past the end: fewer)."""


class Token(NamedTuple):
    """What a timestamp echo says."""

    resource: int
    request_length: int


def encode_token(token: Token) -> int:
    """The TSval that encodes a token."""
    return FIRST + (token.resource << _LENGTH_BITS | token.request_length)


def decode_token(echo: int) -> Token | None:
    """The token of a TSecr; ``None`` for one that is none of ours."""
    value = echo - FIRST
    if not 0 < value < MOST_RESOURCES << _LENGTH_BITS:
        return None
    return Token(value >> _LENGTH_BITS, value & LONGEST_REQUEST)


class Span(NamedTuple):
    """Octets of an answer, from ``start`` to before ``stop``."""

    start: int
    stop: int


def wanted(
    acknowledged: int, ack: int, window: int, sack: tuple[tuple[int, int], ...], length: int
) -> Span | None:
    """What an ACK asks for.

    ``acknowledged`` is the client's position in the answer of ``length`` octets, ``ack`` the same
    as a sequence number, ``sack`` its blocks.
    """
    if not 0 < acknowledged < length or window < BURST:
        return None
    ahead = [
        ((left - ack) & SEQ_MASK, (right - ack) & SEQ_MASK)
        for left, right in sack
        if (left - ack) & SEQ_MASK < 1 << 28
    ]
    if ahead:
        end = acknowledged + max(right for _, right in ahead)
        if end % BURST and end < length:
            return None  # more pieces of this burst are under way
        return Span(acknowledged, min(acknowledged + min(left for left, _ in ahead), length))
    if acknowledged % BURST or (sack and sack[0][1] != ack):
        return None
    return Span(acknowledged, min(acknowledged + BURST, length))
