"""Where a request ends, and how an answer is wrapped: what http, dns and echo have in common."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """One request as the application sees it, and the octets of the stream that it took."""

    data: bytes
    length: int


class Taken(NamedTuple):
    """What a segment's payload holds.

    ``messages`` are whole requests, from the start of the payload on; what follows them is not
    acknowledged, so that the client sends it again. With ``refusal`` the framing itself answers
    (a request that is wrong in itself) and the connection ends.
    """

    messages: tuple[Message, ...] = ()
    refusal: bytes | None = None


INCOMPLETE = Taken()


class Framing(Protocol):
    """One application protocol over TCP."""

    @property
    def closes(self) -> bool:
        """Whether the server ends the connection after one answer."""

    def take(self, data: bytes) -> Taken:
        """The requests at the start of ``data``; never raises, whatever the data."""

    def wrap(self, answer: bytes) -> bytes:
        """An answer as it is in the stream."""

    def request_too_long(self, data: bytes) -> bytes | None:
        """The answer to a request that needs more than one segment; ``None``: reset."""

    def answer_too_long(self, request: bytes, room: int) -> bytes | None:
        """What to send in place of an answer that exceeds ``room`` octets; ``None``: reset."""


class Echo:
    """RFC 862: all that comes goes back, until the client closes."""

    closes = False

    def take(self, data: bytes) -> Taken:
        """Every payload is a request."""
        return Taken((Message(data, len(data)),))

    def wrap(self, answer: bytes) -> bytes:
        """The octets themselves."""
        return answer

    def request_too_long(self, data: bytes) -> None:
        """No payload is incomplete, so this is never asked."""

    def answer_too_long(self, request: bytes, room: int) -> None:
        """There is no shorter way to say it: reset."""
