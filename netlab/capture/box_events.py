"""What the boxes of each wire did, as the program in it tells: see ``netlab.middlebox.report``."""

from __future__ import annotations

import contextlib
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from netlab.capture.evidence import MISSED, BoxAction, BoxEvent, Count, Gap
from netlab.middlebox.recorder import Came, Did, Left, Made
from netlab.middlebox.report import ADDRESS, LARGEST, NOTHING, Lost, Missed, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from netlab.capture.collector import RunInNetns
    from netlab.middlebox import Direction
    from netlab.middlebox.recorder import Event

SECONDS = 5.0
"""How long a wire may take to begin, and to tell what is left at the end."""

MESSAGES = 1 << 14
"""Messages of a wire that are kept: some 500,000 events."""

CAME_BY: dict[Direction, str] = {"outbound": "a", "inbound": "b"}
LEFT_BY: dict[Direction, str] = {"outbound": "b", "inbound": "a"}


class Boxes:
    """What the programs in all of ``wires`` report. A wire whose program is gone is a gap."""

    def __init__(self, wires: Sequence[str], inside: RunInNetns) -> None:
        self.gaps: list[Gap] = []
        self._wires = wires
        self._inside = inside
        self._messages: dict[str, list[bytes]] = {wire: [] for wire in wires}
        self._refused: dict[str, int] = {}
        self._logs: dict[str, _Log] = {}
        self._missed: list[Count] = []
        self._connections: dict[str, socket.socket] = {}

    def start(self) -> None:
        """Connect to every wire; from its greeting on nothing is missed."""
        for wire in self._wires:
            try:
                self._connections[wire] = self._inside(wire, _connect)
            except OSError as error:
                self._lose(wire, error)
        for wire, connection in list(self._connections.items()):
            try:
                connection.recv(LARGEST)  # the greeting
                connection.setblocking(False)
            except OSError as error:
                self._connections.pop(wire).close()
                self._lose(wire, error)

    def buffers(self) -> Iterable[tuple[int, Callable[[], None]]]:
        """One for each wire."""
        return [
            (connection.fileno(), partial(self._drain, wire))
            for wire, connection in self._connections.items()
        ]

    def _drain(self, wire: str) -> None:
        with contextlib.suppress(OSError):
            messages = self._messages[wire]
            while text := self._connections[wire].recv(LARGEST):
                if len(messages) < MESSAGES:
                    messages.append(text)
                else:
                    self._refused[wire] = self._refused.get(wire, 0) + 1

    def take(self) -> Callable[[], list[BoxEvent]]:
        """What was reported of packets that were not forgotten yet; it is read by the result."""
        taken = [(wire, messages) for wire, messages in self._messages.items() if messages]
        self._messages |= {wire: [] for wire, _ in taken}

        def read() -> list[BoxEvent]:
            for wire, messages in taken:
                self._read_messages(wire, messages)
            return [event for log in self._logs.values() for event in log.box_events()]

        return read

    def forget(self, used: Iterable[BoxEvent], before_ns: int) -> None:
        """Forget packets whose fate is known, and those that were first reported before then."""
        known = {id(event) for event in used}
        for log in self._logs.values():
            log.forget(known, before_ns)

    def discard(self) -> None:
        """Forget everything that was reported."""
        self._messages = {wire: [] for wire in self._messages}
        self._logs.clear()

    def stop(self) -> None:
        """Hear each wire out, and hang up."""
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(SECONDS)
        for wire, connection in self._connections.items():
            try:
                while text := connection.recv(LARGEST):
                    self._messages[wire].append(text)
            except OSError as error:
                self._lose(wire, error)
            connection.close()
            self._read(wire)
        self._connections.clear()

    def _lose(self, wire: str, why: object) -> None:
        text = f"the program in the wire does not tell what it does: {why}"
        self.gaps.append(Gap("boxes", text, wire))

    def _read(self, wire: str) -> None:
        *reports, farewell = self._messages[wire] or [b""]
        if farewell != NOTHING:
            self._lose(wire, "it ended")
        if self._refused.get(wire):
            self._lose(wire, f"{self._refused[wire]} messages were more than are kept")
        self._read_messages(wire, reports)

    def _read_messages(self, wire: str, reports: Iterable[bytes]) -> None:
        log = self._logs.setdefault(wire, _Log(wire))
        now = time.time_ns()
        for text in reports:
            report = decode(text)
            if isinstance(report, Lost):
                self._lose(wire, f"{report.events} events came too fast")
            elif isinstance(report, Missed):
                self._missed.append(Count(wire, MISSED, report.packets))
            else:
                log.read(report, now)

    def counts(self) -> list[Count]:
        """How many packets came to a wire faster than it took them in."""
        return self._missed

    def box_events(self) -> list[BoxEvent]:
        """Every packet that a wire reported, wire by wire in the order in which they came."""
        return [event for log in self._logs.values() for event in log.box_events()]


def _connect() -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.settimeout(SECONDS)
        connection.connect(ADDRESS)
    except OSError:
        connection.close()
        raise
    return connection


class _Log:
    """The packets of one wire, put together from what was reported of them."""

    def __init__(self, wire: str) -> None:
        self._wire = wire
        self._numbers: dict[int, int] = {}
        self._events: dict[int, int] = {}
        self._came: dict[int, Came] = {}
        self._did: dict[int, list[Did]] = {}
        self._made: dict[int, Made] = {}
        self._left: dict[int, list[tuple[str, bytes]]] = {}

    def read(self, events: Iterable[Event], now_ns: int = 0) -> None:
        """More events, in the order in which they were reported."""
        for event in events:
            self._numbers.setdefault(event.number, now_ns)
            match event:
                case Came():
                    self._came[event.number] = event
                case Did():
                    self._did.setdefault(event.number, []).append(event)
                case Made():
                    self._made[event.number] = event
                case Left():
                    end = (LEFT_BY[event.direction], event.octets)
                    self._left.setdefault(event.number, []).append(end)

    def box_events(self) -> list[BoxEvent]:
        """Each packet."""
        found = {number: self._carriage(number) for number in self._numbers}
        self._events = {id(event): number for number, event in found.items()}
        return list(found.values())

    def forget(self, known: Collection[int], before_ns: int) -> None:
        """Forget the packets of these events (by ``id``), and those that came before then."""
        gone = {number for event, number in self._events.items() if event in known}
        gone |= {number for number, since in self._numbers.items() if since < before_ns}
        for number in gone:
            del self._numbers[number]
            for kept in (self._came, self._did, self._made, self._left):
                kept.pop(number, None)

    def _carriage(self, number: int) -> BoxEvent:
        came, made = self._came.get(number), self._made.get(number)
        did = self._did.get(number, [])
        if came:
            # A box tells only when those behind it have: back into the order of the boxes.
            step = 1 if came.direction == "outbound" else -1
            did = sorted(did, key=lambda d: d.box * step)
        actions = [BoxAction(made.name, made.topology, made.what)] if made else []
        actions += [BoxAction(d.name, d.topology, d.what, d.text) for d in did]
        return BoxEvent(
            self._wire,
            (CAME_BY[came.direction], came.octets) if came else None,
            tuple(actions),
            tuple(self._left.get(number, ())),
        )
