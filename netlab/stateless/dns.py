"""DNS messages over TCP (RFC 1035 section 4.2.2, RFC 7766) and what a proxy to UDP must know.

Over TCP each message has its length in two octets before it, and a connection may carry several.
Queries that share a segment are answered together. One that was sent before its predecessor's
answer arrived is left for the client's retransmission: correct, but as slow as that timer.

A client on TCP takes 65,535 octets whatever its EDNS size says; the resolver behind is asked by UDP
with a size of the proxy's own (RFC 6891 section 6.2.3).
"""

from __future__ import annotations

import struct

from netlab.stateless.framing import INCOMPLETE, Message, Taken
from netlab.wire import Malformed

HEADER_LENGTH = 12
OPT = 41

_HEADER = struct.Struct("!HHHHHH")
_FIXED = struct.Struct("!HHIH")
_QR, _TC, _RA = 0x8000, 0x0200, 0x0080
_OPCODE_RD = 0x7900
SERVFAIL = 2


class Dns:
    """The framing; the client ends the connection (RFC 7766 section 6.2.1)."""

    closes = False

    def take(self, data: bytes) -> Taken:
        """All whole messages at the start of the data, without their lengths."""
        messages, at, size = [], 0, len(data)
        while at + 2 <= size:
            length = data[at] << 8 | data[at + 1]
            end = at + 2 + length
            if end > size:
                break
            messages.append(Message(data[at + 2 : end], 2 + length))
            at = end
        return Taken(tuple(messages)) if messages else INCOMPLETE

    def wrap(self, answer: bytes) -> bytes:
        """The message after its length."""
        return len(answer).to_bytes(2, "big") + answer

    def request_too_long(self, data: bytes) -> bytes | None:
        """SERVFAIL if the question can be read, else a reset."""
        return _wrapped(failure(data[2:]))

    def answer_too_long(self, request: bytes, room: int) -> bytes | None:  # noqa: ARG002 - as Framing
        """An empty answer with TC: the nearest that DNS has to "there is more"."""
        return _wrapped(failure(request, truncated=True))


def _wrapped(answer: bytes | None) -> bytes | None:
    return None if answer is None else len(answer).to_bytes(2, "big") + answer


def failure(query: bytes, *, truncated: bool = False) -> bytes | None:
    """SERVFAIL, or with ``truncated`` an empty answer with TC; ``None`` if there is no question."""
    try:
        end = question_end(query)
    except Malformed:
        return None
    identifier, flags, _, _, _, _ = _HEADER.unpack_from(query)
    flags = _QR | flags & _OPCODE_RD | _RA | (_TC if truncated else SERVFAIL)
    return _HEADER.pack(identifier, flags, 1, 0, 0, 0) + query[HEADER_LENGTH:end]


def question_end(message: bytes) -> int:
    """Where the one question of a message ends.

    Raises:
        Malformed: it has none or several.
    """
    if len(message) < HEADER_LENGTH:
        raise Malformed("shorter than a DNS header")
    if _HEADER.unpack_from(message)[2] != 1:
        raise Malformed("not one question")
    end = _name_end(message, HEADER_LENGTH) + 4
    if end > len(message):
        raise Malformed("the question is cut short")
    return end


def is_truncated(message: bytes) -> bool:
    """The TC bit."""
    return len(message) >= HEADER_LENGTH and bool(message[2] & 2)


def answers(query: bytes, message: bytes) -> bool:
    """Whether ``message`` is a response to ``query``: the same identifier and question.

    A response without any question (as FORMERR may be) passes on its identifier alone.
    """
    if len(message) < HEADER_LENGTH or message[:2] != query[:2] or not message[2] & 0x80:
        return False
    if message[4:6] == b"\0\0":
        return True
    try:
        end = question_end(query)
    except Malformed:
        return False
    return query[HEADER_LENGTH:end].lower() == message[HEADER_LENGTH:end].lower()


def with_edns(query: bytes, size: int) -> tuple[bytes, bool]:
    """The query with an EDNS size of ``size``, and whether the OPT record had to be added.

    ``Malformed`` if the records cannot be walked.
    """
    found = _find_opt(query)
    if found is not None:
        start, _ = found
        return query[: start + 3] + size.to_bytes(2, "big") + query[start + 5 :], False
    additional = int.from_bytes(query[10:12], "big") + 1
    record = b"\0" + _FIXED.pack(OPT, size, 0, 0)
    return query[:10] + additional.to_bytes(2, "big") + query[12:] + record, True


def without_edns(message: bytes) -> bytes:
    """The response without its OPT record, for a client that sent none (RFC 6891 section 7).

    Only a last record can go without breaking compressed names after it; servers write it last.
    """
    try:
        found = _find_opt(message)
    except Malformed:
        return message
    if found is None or found[1] != len(message):
        return message
    additional = int.from_bytes(message[10:12], "big") - 1
    return message[:10] + additional.to_bytes(2, "big") + message[12 : found[0]]


def _find_opt(message: bytes) -> tuple[int, int] | None:
    """Start and end of the OPT record."""
    at = question_end(message)
    _, _, _, *counts = _HEADER.unpack_from(message)
    for _ in range(sum(counts)):
        end = _name_end(message, at)
        if end + _FIXED.size > len(message):
            raise Malformed("a record is cut short")
        kind, _, _, length = _FIXED.unpack_from(message, end)
        end += _FIXED.size + length
        if end > len(message):
            raise Malformed("a record is cut short")
        if kind == OPT and message[at] == 0:
            return at, end
        at = end
    return None


def _name_end(message: bytes, at: int) -> int:
    """Where the name at ``at`` ends; a compression pointer ends it (RFC 1035 section 4.1.4)."""
    size = len(message)
    while at < size:
        length = message[at]
        if length >= 0xC0:
            return at + 2
        if length > 63:
            raise Malformed("neither a label nor a pointer")
        at += 1 + length
        if not length:
            return at
    raise Malformed("a name is cut short")
