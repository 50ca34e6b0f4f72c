"""A segment as the core sees it: sequence numbers, control bits, options and data."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.wire.tcp import ACK, FIN, NO_OPTIONS, PSH, RST, SYN, URG, Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.wire import Buffer

NOT_ECT, ECT_1, ECT_0, CE = range(4)
"""The ECN field of the IP header (RFC 3168 section 5)."""


class Segment(NamedTuple):
    """One segment, of any size: between a peer and here it may be cut and joined (GSO, GRO).

    ``seq``, ``ack`` and ``window`` are as on the wire: 32 bits, 32 bits, 16 bits and not scaled.
    ``data`` is a sequence of pieces with ``length`` octets in all, which are kept, never joined.
    ``mss`` is where a larger segment is to be cut (or was joined), 0 if it is a plain one. ``ecn``
    is the ECN field of the IP header around it.
    """

    seq: int
    ack: int = 0
    flags: int = 0
    window: int = 0
    length: int = 0
    data: Sequence[Buffer] = ()
    options: Options = NO_OPTIONS
    urgent_pointer: int = 0
    mss: int = 0
    ecn: int = NOT_ECT

    @property
    def space(self) -> int:
        """SEG.LEN: the sequence space taken, in which SYN and FIN count as one octet each."""
        return self.length + bool(self.flags & SYN) + bool(self.flags & FIN)

    def __str__(self) -> str:
        names = "".join(letter for bit, letter in _LETTERS if self.flags & bit) or "none"
        return f"seq {self.seq} ack {self.ack} {names} win {self.window} len {self.length}"


_LETTERS = ((SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P"), (URG, "U"), (ACK, "."))


def reset_for(segment: Segment) -> Segment | None:
    """The RST that answers a segment which belongs to no connection (RFC 9293 section 3.10.7.1).

    ``None`` for an RST, which is never answered.
    """
    if segment.flags & RST:
        return None
    if segment.flags & ACK:
        return Segment(segment.ack, flags=RST)
    return Segment(0, segment.seq + segment.space & 0xFFFF_FFFF, RST | ACK)
