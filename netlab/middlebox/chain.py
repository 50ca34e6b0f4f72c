"""Boxes one behind the other: the core that the simulated wire and the real one share.

Sans-I/O: packets and the time go in, packets and the next deadline come out. Packets that wait lie
in a heap by due time; of two with one due time the first to arrive leaves first.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from netlab.middlebox.box import After, Back, Direction, Drop, Middlebox, opposite
from netlab.middlebox.packet import Packet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlab.middlebox.box import Verdict
    from netlab.middlebox.recorder import Recorder


Leaving: TypeAlias = tuple[Direction, Packet]
"""A packet that comes out of the line; outbound ones at the second end."""


class Name(NamedTuple):
    """What a box is called, and the place in the topology, ``file:line``, that put it there."""

    name: str
    topology: str = ""


class Chain:
    """Any number of boxes; outbound packets meet them in order, inbound ones in reverse.

    ``names`` are those of the boxes, if they are not their classes'. A ``recorder``, if there is
    one, learns what happens to each packet.
    """

    def __init__(self, boxes: Sequence[Middlebox] = (), names: Sequence[Name] = ()) -> None:
        self.boxes = tuple(boxes)
        self.names = tuple(names) or tuple(Name(type(box).__name__) for box in boxes)
        self.recorder: Recorder | None = None
        # (due, arrival number, index of the box that comes next, direction, packet)
        self._waiting: list[tuple[float, int, int, Direction, Packet]] = []
        self._number = 0
        # A deadline is asked for only where a class has one to give.
        self._timed = [
            (i, box) for i, box in enumerate(self.boxes) if type(box).wake is not Middlebox.wake
        ]

    def arrive(self, packet: Packet, direction: Direction, now: float) -> list[Leaving]:
        """A packet comes in at its end; what leaves the line at once."""
        out: list[Leaving] = []
        if self.recorder:
            self.recorder.came(packet, direction)
        first = 0 if direction == "outbound" else len(self.boxes) - 1
        self._pass(first, direction, packet, now, out)
        return out

    def due(self, now: float) -> list[Leaving]:
        """What leaves the line by ``now``, in the order in which it was due."""
        out: list[Leaving] = []
        waiting = self._waiting
        while True:
            wakes = self._next_wake() if self._timed else None
            if waiting and waiting[0][0] <= now and (wakes is None or waiting[0][0] <= wakes):
                due, _, index, direction, packet = heappop(waiting)
                self._pass(index, direction, packet, due, out)
                continue
            if wakes is None or wakes > now:
                return out
            at = wakes
            for index, box in self._timed:
                deadline = box.deadline()
                if deadline is not None and deadline <= at:
                    for way, verdict in box.wake(at):
                        if self.recorder:
                            self.recorder.woke(index, verdict)
                        self._follow(index, way, (verdict,), at, out)
                    self._must_advance(box, at)

    @staticmethod
    def _must_advance(box: Middlebox, at: float) -> None:
        deadline = box.deadline()
        if deadline is not None and deadline <= at:
            raise RuntimeError(f"{type(box).__name__}.wake left its deadline in the past")

    def retire(self, successor: Chain) -> None:
        """Only carry on what is under way; boxes that the successor has too are woken by it."""
        self._timed = [(i, box) for i, box in self._timed if box not in successor.boxes]

    def next_due(self) -> float | None:
        """When ``due`` has to be called next; ``None`` if nothing is under way."""
        wakes = self._next_wake()
        if not self._waiting:
            return wakes
        first = self._waiting[0][0]
        return first if wakes is None else min(first, wakes)

    def _next_wake(self) -> float | None:
        times = (box.deadline() for _, box in self._timed)
        return min((t for t in times if t is not None), default=None)

    def _pass(
        self, index: int, direction: Direction, packet: Packet, now: float, out: list[Leaving]
    ) -> None:
        if 0 <= index < len(self.boxes):
            box = self.boxes[index]
            if self.recorder:
                verdicts: Iterable[Verdict] = self.recorder.ask(index, box, packet, direction, now)
            else:
                verdicts = box.packet(packet, direction, now)
            self._follow(index, direction, verdicts, now, out)
        else:
            out.append((direction, packet))
            if self.recorder:
                self.recorder.left(packet, direction)

    def _follow(
        self,
        index: int,
        direction: Direction,
        verdicts: Iterable[Verdict],
        now: float,
        out: list[Leaving],
    ) -> None:
        step = 1 if direction == "outbound" else -1
        for verdict in verdicts:
            if isinstance(verdict, Packet):
                self._pass(index + step, direction, verdict, now, out)
            elif isinstance(verdict, After):
                self._number += 1
                seconds, packet = verdict
                entry = (now + seconds, self._number, index + step, direction, packet)
                heappush(self._waiting, entry)
            elif isinstance(verdict, Back):
                self._pass(index - step, opposite(direction), verdict.packet, now, out)
            elif not isinstance(verdict, Drop):
                name = type(self.boxes[index]).__name__
                raise TypeError(
                    f"{name} yields {verdict!r}, which is not a Packet, After, Back or Drop"
                )
