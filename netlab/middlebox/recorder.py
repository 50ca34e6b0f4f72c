"""What the boxes of a chain do with each packet, reported while it happens.

A chain without an observer has no recorder and pays nothing. With one, every packet gets a number
when it comes in, and keeps it whatever a box makes of it; what a box makes from nothing gets its
own number. Four events describe the rest::

    Came    a packet came in to the line
    Did     a box did something else with it than pass it on
    Made    a box made a packet, because of another or because its time had come
    Left    a packet left the line
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from netlab.middlebox.box import After, Back, Direction, Drop, Middlebox
from netlab.middlebox.packet import Packet
from netlab.wire import tcp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from netlab.middlebox.box import Verdict
    from netlab.middlebox.chain import Name

TOLD = 128
"""Octets of a packet that an event carries: headers, and enough of the payload to know it by."""

What: TypeAlias = Literal[
    "kept",  # gave nothing for it: dropped, unless it leaves later
    "failed",  # raised an exception, which dropped it
    "delayed",
    "rewritten",
    "merged",  # gave one packet for it and for what it had kept
    "duplicated",
    "cut",
    "returned",  # sent it back to where it came from
    "answered",  # sent another packet back because of it
    "injected",  # sent another packet along because of it
]


class Came(NamedTuple):
    """Packet ``number`` came in, going in ``direction``; ``octets`` are its first ones."""

    number: int
    direction: Direction
    octets: bytes


class Did(NamedTuple):
    """The box at place ``box`` of the line did ``what``; ``text`` says how or why, if known."""

    number: int
    box: int
    name: str
    topology: str
    what: What
    text: str


class Made(NamedTuple):
    """A box made packet ``number`` because of packet ``cause``, -1 for none."""

    number: int
    cause: int
    name: str
    topology: str
    what: What


class Left(NamedTuple):
    """Packet ``number`` left, going in ``direction``."""

    number: int
    direction: Direction
    octets: bytes


Event: TypeAlias = Came | Did | Made | Left


class Recorder:
    """Tells of one line, whose boxes have ``names``; ``numbers`` is where numbers come from."""

    def __init__(
        self,
        report: Callable[[Event], object],
        names: Sequence[Name],
        numbers: Iterator[int] | None = None,
    ) -> None:
        self._report = report
        self._names = names
        self._numbers = numbers or count(1)

    def came(self, packet: Packet, direction: Direction) -> None:
        """A packet comes in to the line."""
        packet.number = next(self._numbers)
        self._report(Came(packet.number, direction, packet.octets[:TOLD]))

    def left(self, packet: Packet, direction: Direction) -> None:
        """A packet leaves the line."""
        self._report(Left(self._number(packet), direction, packet.octets[:TOLD]))

    def ask(
        self, place: int, box: Middlebox, packet: Packet, direction: Direction, now: float
    ) -> Iterator[Verdict]:
        """What a box says of a packet, verdict by verdict as it says it."""
        gave = _Gave(packet)
        number = self._number(packet)
        try:
            for verdict in box.packet(packet, direction, now):
                if isinstance(verdict, Drop):
                    gave.reason = verdict.reason
                elif isinstance(verdict, (Packet, After, Back)):
                    self._note(place, number, gave, verdict)
                yield verdict
        except Exception as error:
            self._did(place, number, "failed", f"{type(error).__name__}: {error}")
            raise
        for what, text in gave.actions():
            self._did(place, number, what, text)

    def woke(self, place: int, verdict: Verdict) -> None:
        """A box gives something because its time had come."""
        if isinstance(verdict, Drop):
            return
        packet = verdict if isinstance(verdict, Packet) else verdict.packet
        if _stamp(packet) is None:
            self._made(place, -1, packet, "injected")

    def _note(self, place: int, number: int, gave: _Gave, verdict: Packet | After | Back) -> None:
        packet = verdict if isinstance(verdict, Packet) else verdict.packet
        known = _stamp(packet)
        if known is None:
            if isinstance(verdict, Back):
                self._made(place, number, packet, "answered")
                gave.made.append("answered")
                return
            if not _is_of(gave.packet, packet):
                self._made(place, number, packet, "injected")
                gave.made.append("injected")
                return
            packet.number = number
        elif known != number:
            return  # one that it had kept
        if isinstance(verdict, Back):
            gave.made.append("returned")
            return
        gave.packets.append(packet)
        if isinstance(verdict, After):
            gave.delay = max(gave.delay, verdict.seconds)

    def _did(self, place: int, number: int, what: What, text: str = "") -> None:
        self._report(Did(number, place, *self._names[place], what, text))

    def _made(self, place: int, cause: int, packet: Packet, what: What) -> None:
        packet.number = next(self._numbers)
        self._report(Made(packet.number, cause, *self._names[place], what))

    def _number(self, packet: Packet) -> int:
        """Its number; one that was under way before anybody asked gets it now."""
        known = _stamp(packet)
        if known is None:
            packet.number = known = next(self._numbers)
        return known


class _Gave:
    """What a box gave for a packet: itself or what it became, and what else it ``made``."""

    def __init__(self, packet: Packet) -> None:
        self.packet = packet
        self.packets: list[Packet] = []
        self.made: list[What] = []
        self.delay = 0.0
        self.reason = ""

    def actions(self) -> Iterator[tuple[What, str]]:
        """Each thing that was done, in the order in which it reads best."""
        changed = [p for p in self.packets if p != self.packet]
        if len(self.packets) == 1 and changed:
            yield ("merged" if _carries(changed[0], self.packet) else "rewritten"), ""
        elif len(self.packets) > 1 and changed:
            yield "cut", f"into {len(self.packets)}"
        elif len(self.packets) > 1:
            yield "duplicated", ""
        if self.delay:
            yield "delayed", f"{self.delay * 1000:.6g} ms"
        for what in self.made:
            yield what, ""
        if not self.packets and "returned" not in self.made:
            yield "kept", self.reason


def _stamp(packet: Packet) -> int | None:
    return getattr(packet, "number", None)


def _carries(given: Packet, came: Packet) -> bool:
    """Whether a segment has all the data of another at their place, and more."""
    if given.tcp is None or came.tcp is None:
        return False
    data, more = came.payload, given.payload
    at = (came.tcp.seq - given.tcp.seq) % (1 << 32)
    return 0 < len(data) < len(more) and more[at : at + len(data)] == data


def _is_of(came: Packet, given: Packet) -> bool:
    """Whether a box made ``given`` from ``came``, not anew: a reset, an error."""
    if came.protocol != given.protocol:
        return False
    before, after = came.tcp, given.tcp
    return before is None or after is None or not (before.flags ^ after.flags) & tcp.RST
