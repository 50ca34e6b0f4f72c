"""The initial sequence number as a proof that the client is where it says (RFC 4987 section 3.6).

A SYN is answered with

    ISN = SEG.SEQ + K(addresses, ports, slot) + (index of the segment size << 29)    modulo 2^32

where K is a keyed hash and a slot lasts 128 seconds. Nothing is kept; K is computed again for each
later segment. All of those repeat the sum: with the client's own numbers for what it has sent
and received,

    SEG.ACK - SEG.SEQ - K  =  (index << 29) + sent - received

A client that never saw the SYN+ACK, because its source address is another's, cannot know K: for
a first request, where sent = received, 16 of 2^32 guesses pass (8 indices, 2 slots).

``sent - received`` is worth more than the proof. It is 0 for the first request of a connection,
negative for one that was sent before the answer to its predecessor arrived (pipelining), and
positive later: this is what tells them apart without memory, if an answer is never
shorter than its request.

Adding the client's own number makes K useless to others even when it repeats within a slot, and
keeps sequence numbers of one reused port growing as RFC 9293 section 3.4.1 wants.
"""

from __future__ import annotations

import struct
from hashlib import blake2s
from typing import TYPE_CHECKING, NamedTuple

from netlab.stateless.segment import SEQ_MASK

if TYPE_CHECKING:
    from netlab.stateless.segment import Segment

SLOT = 128
"""Seconds; a connection is recognised for one to two slots after its SYN."""

SEGMENT_SIZES = (536, 1220, 1300, 1360, 1400, 1440, 1460, 8960)
"""What the three bits mean: RFC 9293's default, the IPv6 minimum, tunnels, Ethernet, jumbo."""

_PORTS = struct.Struct("!HH")
INDEX_SHIFT = 29
BALANCE = (1 << INDEX_SHIFT) - 1
SIGNED = 1 << INDEX_SHIFT - 1
"""The position of the index, the bits below it, and what makes a negative balance positive."""


class Position(NamedTuple):
    """What a segment's numbers tell: the segment size, and octets sent less octets received."""

    segment_size: int
    balance: int


def initial_sequence_number(syn: Segment, now: float, secret: bytes, mss: int) -> int:
    """The ISN for a SYN whose sender takes segments of ``mss`` octets; ``secret`` up to 32."""
    index = 0
    while index < 7 and SEGMENT_SIZES[index + 1] <= mss:
        index += 1
    return syn.seq + _key(syn, slot_at(now), secret) + (index << INDEX_SHIFT) & SEQ_MASK


def position(
    segment: Segment, now: float, secret: bytes, lowest: int, highest: int
) -> Position | None:
    """Where the segment is in the stream, or ``None`` if no SYN+ACK of ours came before it.

    Only balances from ``lowest`` to ``highest`` are believed: the wider the range, the more
    guesses pass.
    """
    slot = slot_at(now)
    difference = segment.ack - segment.seq
    for candidate in (slot, slot - 1):
        # The balance may be negative, so the index is read as if it were rounded to the nearest.
        raised = difference - _key(segment, candidate, secret) + SIGNED & SEQ_MASK
        balance = (raised & BALANCE) - SIGNED
        if lowest <= balance <= highest:
            return Position(SEGMENT_SIZES[raised >> INDEX_SHIFT], balance)
    return None


def slot_at(now: float) -> int:
    """The number of the slot in which ``now`` (seconds) lies."""
    return int(now) // SLOT


def keyed(slot: int, secret: bytes) -> blake2s:
    """The hash that K is, before addresses and ports go into it."""
    return blake2s((slot & SEQ_MASK).to_bytes(4, "big"), key=secret, digest_size=4)


def _key(segment: Segment, slot: int, secret: bytes) -> int:
    """K, from the client's side of the addresses."""
    hashed = keyed(slot, secret)
    ports = _PORTS.pack(segment.source_port, segment.destination_port)
    hashed.update(segment.source + segment.destination + ports)
    return int.from_bytes(hashed.digest(), "big")
