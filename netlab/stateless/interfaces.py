"""The shape of both servers: a segment in, a reaction out, and what lies between them.

A server is two functions. ``receive`` judges a segment, and either says at once what to send or
hands out the ``Request``; ``reply`` turns the answers to that into segments. What a driver keeps
between the two, while a backend takes its time, is the request and not the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlab.stateless.bursts import Source
    from netlab.stateless.framing import Framing, Message
    from netlab.stateless.segment import Segment

Kind: TypeAlias = Literal[
    "syn",  # answered by SYN+ACK
    "request",  # handed out
    "refused",  # answered by the framing or by a reset
    "fin",  # acknowledged
    "burst",  # a piece of a long answer
    "flags",  # nothing to do: RST, SYN+ACK, no ACK
    "cookie",  # no SYN+ACK of ours came before it
    "early",  # sent before the last answer arrived; its retransmission will be answered
    "late",  # after the server has closed
    "incomplete",  # a request that is not whole
    "ack",  # a pure ACK
]


OUTCOMES: dict[str, tuple[str, str]] = {
    "flags": ("unacceptable", "neither a SYN nor an ACK alone"),
    "cookie": ("unacceptable", "its acknowledgement number is not from here"),
    "early": ("unacceptable", "sent before the last answer arrived"),
    "late": ("unacceptable", "the server had closed"),
    "refused": ("unacceptable", "its request is refused"),
    "malformed": ("malformed", "it cannot be read"),
    "checksum": ("bad-checksum", "the TCP checksum is wrong"),
    "elsewhere": ("no-listener", "for another address or port"),
}
"""What becomes of a packet by ``Kind``, or by the driver's own words: an end as docs/fate.md names
it, and why. All others are delivered."""


class Rules(NamedTuple):
    """How a server behaves; none of it changes while it runs.

    ``cookie`` False answers anybody, and shows what reflection would be. ``segment_size`` and
    ``segment_size_v6`` bound what the client's MSS allows: no ICMP message reaches this server, so
    over IPv6, where nobody fragments on the way, 1220 octets fit any path. ``withhold`` leaves a
    request unacknowledged until the client closes, so that the client's timer mends a lost
    answer (only where the server closes).
    """

    framing: Framing
    cookie: bool = True
    segment_size: int = 1460
    segment_size_v6: int = 1220
    withhold: bool = False
    source: Source | None = None


class Request(NamedTuple):
    """What ``reply`` needs to know, and all that is ever kept, while a backend works.

    ``position`` counts the octets of the answer that the client already has.
    """

    segment: Segment
    messages: tuple[Message, ...]
    segment_size: int
    position: int = 0


class Reaction(NamedTuple):
    """What to do about a segment: send ``segments``, and ask for an answer to ``request``."""

    kind: Kind
    segments: tuple[Segment, ...] = ()
    request: Request | None = None


class Receive(Protocol):
    """The first half of a server."""

    def __call__(self, segment: Segment, now: float, secret: bytes, rules: Rules) -> Reaction:
        """Judge one segment; never raises. ``now`` in seconds, ``secret`` 16 to 32 octets."""


class Reply(Protocol):
    """The second half."""

    def __call__(
        self, request: Request, answers: Sequence[bytes | None], rules: Rules
    ) -> list[Segment]:
        """The segments that carry ``answers``, one for each message of the request, in order."""


class Core(Protocol):
    """A server: the module ``responder`` or ``published``."""

    @property
    def receive(self) -> Receive:
        """Its first half."""

    @property
    def reply(self) -> Reply:
        """Its second half."""


def in_one(
    receive: Receive, reply: Reply
) -> Callable[[Segment, float, bytes, Rules, Callable[[bytes], bytes | None]], list[Segment]]:
    """The whole server, for answers that are there at once: a segment in, segments out."""

    def respond(
        segment: Segment,
        now: float,
        secret: bytes,
        rules: Rules,
        answer: Callable[[bytes], bytes | None],
    ) -> list[Segment]:
        reaction = receive(segment, now, secret, rules)
        segments = list(reaction.segments)
        if reaction.request is not None:
            answers = [answer(message.data) for message in reaction.request.messages]
            segments += reply(reaction.request, answers, rules)
        return segments

    return respond
