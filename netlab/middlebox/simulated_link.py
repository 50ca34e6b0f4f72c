"""A simulated wire: boxes under a virtual clock, for tests that need neither root nor time."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

from netlab.middlebox.chain import Chain
from netlab.middlebox.packet import Packet

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from netlab.middlebox.box import Direction, Middlebox


class Arrival(NamedTuple):
    """A packet that came out of the wire, at ``time`` seconds from its beginning."""

    time: float
    direction: Direction
    packet: Packet


class SimulatedLink:
    """``send`` packets, ``advance`` the clock or ``run`` until nothing is under way.

    Each box gets its own random source, from ``seed`` and its place in the chain.
    """

    def __init__(self, *boxes: Middlebox, seed: int = 0) -> None:
        for number, box in enumerate(boxes):
            box.rng = seeded(seed, number)
        self._line = Chain(boxes)
        self._arrived: list[Arrival] = []
        self.now = 0.0

    @classmethod
    def of(cls, line: Chain) -> Self:
        """A wire with a line that is there already, random sources and all."""
        wire = cls()
        wire._line = line
        return wire

    def send(self, direction: Direction, packets: Iterable[Packet | bytes]) -> None:
        """Put packets on the wire now, one after the other."""
        for packet in packets:
            given = packet if isinstance(packet, Packet) else Packet(packet)
            for leaving in self._line.arrive(given, direction, self.now):
                self._arrived.append(Arrival(self.now, *leaving))

    def advance(self, seconds: float) -> list[Arrival]:
        """Let time pass; what arrived since the last call, packets sent before it included."""
        self._until(self.now + seconds)
        return self._taken()

    def next_due(self) -> float | None:
        """When something will happen on the wire by itself; ``None`` for never."""
        return self._line.next_due()

    def run(self) -> list[Arrival]:
        """Let time pass until nothing is under way; what arrived since the last call."""
        while (due := self._line.next_due()) is not None:
            self._until(max(due, self.now))
        return self._taken()

    def _until(self, end: float) -> None:
        while (due := self._line.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            for leaving in self._line.due(self.now):
                self._arrived.append(Arrival(self.now, *leaving))
        self.now = end

    def _taken(self) -> list[Arrival]:
        arrived, self._arrived = self._arrived, []
        return arrived


def seeded(seed: int, number: int) -> Random:
    """The random source of the box at place ``number`` of a line."""
    return Random(f"netlab {seed} {number}")  # noqa: S311 - a lab repeats itself
