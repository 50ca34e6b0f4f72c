"""HTTP/1.1 messages (RFC 9112) as far as a server needs that sees one segment of them.

A request must arrive whole in one segment. An incomplete one is left unacknowledged: the client's
retransmission brings it again, and Linux joins small segments when it repeats them. Only a head
that already fills a segment can never become whole, and is answered with 431 or 413.

Keep-alive is refused politely: every answer says ``Connection: close`` (RFC 9112 section 9.6).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from netlab.stateless.framing import INCOMPLETE, Message, Taken

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_END = b"\r\n\r\n"
_BODY = re.compile(
    rb"\n(content-length|transfer-encoding|expect)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE
)
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/1\.[01]\r\n")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
# RFC 9110 section 7.6.1: these speak of one connection only and are not forwarded.
_HOP_BY_HOP = re.compile(
    rb"(?:connection|keep-alive|proxy-connection|te|upgrade)[ \t]*:", re.IGNORECASE
)


class Head(NamedTuple):
    """The request line."""

    method: str
    target: str


class Http:
    """The framing of one request and one answer a connection."""

    closes = True

    def take(self, data: bytes) -> Taken:
        """The request, once it is whole; what follows it (pipelining) is given up."""
        end = data.find(_END)
        if end < 0:
            return INCOMPLETE
        fields = _BODY.findall(data, 0, end)
        if not fields:  # by far the most
            return Taken((Message(data, len(data)),))
        return _with_body(data, end + len(_END), fields)

    def wrap(self, answer: bytes) -> bytes:
        """The answer says for itself where it ends."""
        return answer

    def request_too_long(self, data: bytes) -> bytes:
        """431 if not even the head fits, else 413."""
        return response(413 if _END in data else 431, b"the request must fit into one segment\n")

    def answer_too_long(self, request: bytes, room: int) -> bytes:  # noqa: ARG002 - as Framing
        """500 with the reason in words."""
        return response(500, b"the answer exceeds the client's window of %d octets\n" % room)


def _with_body(data: bytes, start: int, fields: list[tuple[bytes, bytes]]) -> Taken:
    values: dict[bytes, bytes] = {}
    for name, value in fields:
        known = values.setdefault(name.lower(), value.strip())
        if known != value.strip():
            return Taken(refusal=response(400, b"two values of one field\n"))
    if b"expect" in values and len(data) == start:
        # The client waits for "100 Continue" and would then send a body in a segment of its own.
        return Taken(refusal=response(417, b"send the body at once\n"))
    if b"transfer-encoding" in values:
        # RFC 9112 section 6.3: both fields at once is how requests are smuggled past a proxy.
        if b"content-length" in values or values[b"transfer-encoding"].lower() != b"chunked":
            return Taken(refusal=response(400, b"unclear length\n"))
        end = _chunked_end(data, start)
        if end is None:
            return Taken(refusal=response(400, b"malformed chunk\n"))
    else:
        length = values.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 9:
            return Taken(refusal=response(400, b"malformed Content-Length\n"))
        end = start + int(length)
    if end > len(data):
        return INCOMPLETE
    return Taken((Message(data, len(data)),))


def _chunked_end(data: bytes, at: int) -> int | None:
    """Where a chunked body ends: past the end of ``data`` if it does not yet, ``None`` if never."""
    while True:
        size = _CHUNK_SIZE.match(data, at)
        if size is None:
            partial = data[at:]
            return len(data) + 1 if len(partial) < 20 and b"\n" not in partial else None
        at = size.end() + int(size[1], 16)
        if int(size[1], 16) == 0:
            trailer = data.find(_END, at - 2)
            return len(data) + 1 if trailer < 0 else trailer + len(_END)
        if data[at : at + 2] not in (b"\r\n", b"\r", b""):
            return None
        at += 2
        if at > len(data):
            return at


def parse(request: bytes) -> Head | None:
    """Method and target, or ``None`` if it is not an HTTP/1 request."""
    line = _REQUEST_LINE.match(request)
    return Head(line[1].decode("ascii"), line[2].decode("latin-1")) if line else None


def response(
    status: int, body: bytes, content_type: str = "text/plain; charset=utf-8", *, head: bool = False
) -> bytes:
    """A whole response; with ``head`` without its body (the answer to HEAD)."""
    return response_head(status, len(body), content_type) + (b"" if head else body)


def response_head(status: int, length: int, content_type: str) -> bytes:
    """Status line and fields for a body of ``length`` octets."""
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def closing(message: bytes) -> bytes:
    """A request or response that says ``Connection: close`` and nothing else of its connection.

    A message without a whole head is returned as it is.
    """
    end = message.find(_END)
    if end < 0:
        return message
    lines = [line for line in message[:end].split(b"\r\n") if not _HOP_BY_HOP.match(line)]
    return b"\r\n".join([*lines, b"Connection: close"]) + message[end:]
