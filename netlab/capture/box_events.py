"""What the boxes of each wire did, as the program in it tells: see ``netlab.middlebox.report``."""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING

from netlab.capture.evidence import MISSED, BoxAction, BoxEvent, Count, Gap
from netlab.middlebox.recorder import Came, Did, Left, Made
from netlab.middlebox.report import ADDRESS, LARGEST, NOTHING, Lost, Missed, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from netlab.capture.collector import RunInNetns
    from netlab.middlebox import Direction
    from netlab.middlebox.recorder import Event

SECONDS = 5.0
"""How long a wire may take to begin, and to tell what is left at the end."""

CAME_BY: dict[Direction, str] = {"outbound": "a", "inbound": "b"}
LEFT_BY: dict[Direction, str] = {"outbound": "b", "inbound": "a"}


class Boxes:
    """What the programs in all of ``wires`` report. A wire whose program is gone is a gap."""

    def __init__(self, wires: Sequence[str], inside: RunInNetns) -> None:
        self.gaps: list[Gap] = []
        self._wires = wires
        self._inside = inside
        self._told: dict[str, list[bytes]] = {wire: [] for wire in wires}
        self._logs: list[_Log] = []
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
            while text := self._connections[wire].recv(LARGEST):
                self._told[wire].append(text)

    def stop(self) -> None:
        """Hear each wire out, and hang up."""
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(SECONDS)
        for wire, connection in self._connections.items():
            try:
                while text := connection.recv(LARGEST):
                    self._told[wire].append(text)
            except OSError as error:
                self._lose(wire, error)
            connection.close()
            self._read(wire)
        self._connections.clear()

    def _lose(self, wire: str, why: object) -> None:
        text = f"the program in the wire does not tell what it does: {why}"
        self.gaps.append(Gap("boxes", text, wire))

    def _read(self, wire: str) -> None:
        log = _Log(wire)
        *reports, farewell = self._told[wire] or [b""]
        if farewell != NOTHING:
            self._lose(wire, "it ended")
        for text in reports:
            report = decode(text)
            if isinstance(report, Lost):
                self._lose(wire, f"{report.events} events came too fast")
            elif isinstance(report, Missed):
                self._missed.append(Count(wire, MISSED, report.packets))
            else:
                log.read(report)
        self._logs.append(log)

    def counts(self) -> list[Count]:
        """How many packets came to a wire faster than it took them in."""
        return self._missed

    def box_events(self) -> list[BoxEvent]:
        """Every packet that a wire reported, wire by wire in the order in which they came."""
        return [box_event for log in self._logs for box_event in log.box_events()]


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
        self._numbers: dict[int, None] = {}
        self._came: dict[int, Came] = {}
        self._did: dict[int, list[Did]] = {}
        self._made: dict[int, Made] = {}
        self._left: dict[int, list[tuple[str, bytes]]] = {}

    def read(self, events: Iterable[Event]) -> None:
        """More events, in the order in which they were reported."""
        for event in events:
            self._numbers.setdefault(event.number)
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
        return [self._carriage(number) for number in self._numbers]

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
