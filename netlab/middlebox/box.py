"""What every middlebox in userspace is: a function from packets to packets, with a memory.

A box sits between two ends. Packets that come from the first end are *outbound*, those from the
second *inbound*; on a link ``a -- b`` the first end is ``a``.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from netlab.middlebox.packet import Packet

Direction: TypeAlias = Literal["outbound", "inbound"]


def opposite(direction: Direction) -> Direction:
    """The other way."""
    return "inbound" if direction == "outbound" else "outbound"


class After(NamedTuple):
    """A packet that goes on in ``seconds``; others may overtake it."""

    seconds: float
    packet: Packet


class Back(NamedTuple):
    """A packet that the box sends the other way: to where the one at hand came from."""

    packet: Packet


class Drop(NamedTuple):
    """No packet. To yield nothing at all is a drop as well; this one says why."""

    reason: str


Verdict: TypeAlias = "Packet | After | Back | Drop"


class Middlebox:
    """Derive from this and decide what happens to a packet.

    ``rng`` is a random source of the box's own, seeded from the topology: use no other, and the
    same packets meet the same fate in each run. It is not there yet in ``__init__``.
    """

    rng: Random = Random(0)  # noqa: S311 - a lab repeats itself

    @property
    def forgotten(self) -> Mapping[str, int]:
        """How many connections it had to forget, by the bound that they exceeded."""
        return {}

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterable[Verdict]:
        """What leaves the box because ``pkt`` came in at ``now`` (seconds, monotonic).

        A packet goes on in its direction, ``After`` goes on later, ``Back`` returns; nothing at
        all is a drop, and ``Drop`` is one that says why.
        """
        del direction, now
        yield pkt

    def deadline(self) -> float | None:
        """When the box wants to be woken although no packet came; ``None`` for never."""
        return None

    def wake(self, now: float) -> Iterable[tuple[Direction, Verdict]]:
        """What leaves the box because its deadline has come."""
        del now
        return ()
