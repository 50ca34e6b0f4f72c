"""Sequence numbers: 32 bits on the wire, plain integers inside (RFC 9293 section 3.4).

The RFC compares sequence numbers modulo 2**32, and every comparison in a stack that does so must
remember it. Here a number is *unwrapped* once, when a segment comes in: it becomes the integer,
without bound, that is nearest to one that is known. From then on ``snd_una < ack <= snd_nxt`` means
what it says, and only the writing of a header wraps again.

    >>> unwrap(5, near=0xFFFF_FFF0) == 0x1_0000_0005
    True
    >>> wrap(0x1_0000_0005)
    5
"""

from __future__ import annotations

MASK = 0xFFFF_FFFF
HALF = 1 << 31


def wrap(position: int) -> int:
    """The 32 bits that go on the wire."""
    return position & MASK


def unwrap(number: int, near: int) -> int:
    """The integer that ``number`` represents, at most 2**31 away from ``near``.

    Exactly 2**31 away it is taken to lie before ``near``, so that it counts as old.
    """
    return near - HALF + (number - near + HALF & MASK)
