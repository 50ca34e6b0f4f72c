"""The bump in the wire: middleboxes between two interfaces of a namespace of their own.

::

    one end ==== a  [ box, box, ... ]  b ==== other end

Frames that come in at ``a`` are outbound and leave at ``b``. IP packets go through the boxes, all
else (ARP) passes by. The program gets its boxes as its argument, as JSON, and says ``ready``;
later it obeys datagrams at an abstract socket of its namespace, see ``_obey``, and tells those who
ask what its boxes do, see ``drive.reports``.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
import traceback
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from netlab.io.inline.event_stream import Reports
from netlab.linux.packet_socket import Frames
from netlab.middlebox import Packet, opposite
from netlab.middlebox.factory import changed
from netlab.middlebox.factory import line as make_line
from netlab.middlebox.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from netlab.middlebox import Chain, Direction
    from netlab.middlebox.chain import Leaving
    from netlab.middlebox.recorder import Event

CONTROL = "\0netlab wire"
"""An abstract address (unix(7)) belongs to a network namespace, so each wire has its own."""

ETHERNET = 14
IP_TYPES = (b"\x08\x00", b"\x86\xdd")


class Bump:
    """Joins a line of boxes to two interfaces. ``step`` is one turn of its loop."""

    def __init__(self, a: Frames, b: Frames, line: Chain) -> None:
        self._from: dict[Direction, Frames] = {"outbound": a, "inbound": b}
        self._by_fd: dict[int, Direction] = {a.fileno(): "outbound", b.fileno(): "inbound"}
        self._lines = [line]
        self._tell: Callable[[Event], object] | None = None
        self._numbers = count(1)  # none twice: a packet may outlast those who watch
        self._link: dict[Direction, bytes] = {}
        self.received = 0
        self.sent = 0
        self.failed = 0
        """Packets at which a box raised an exception; they are dropped."""

    @property
    def line(self) -> Chain:
        """The boxes that packets meet who come in now."""
        return self._lines[-1]

    def forgotten(self) -> dict[str, dict[str, int]]:
        """By box, how many connections it had to forget, by the bound that they exceeded."""
        return {
            name.name: dict(box.forgotten)
            for name, box in zip(self.line.names, self.line.boxes, strict=True)
            if box.forgotten
        }

    def use(self, line: Chain) -> None:
        """Put other boxes in; what is under way still goes the way that it began."""
        self.line.retire(line)
        self._lines.append(line)
        self.report(self._tell)

    def report(self, tell: Callable[[Event], object] | None) -> None:
        """From now on ``tell`` of each packet what becomes of it, or nobody."""
        self._tell = tell
        for line in self._lines:
            line.recorder = Recorder(tell, line.names, self._numbers) if tell else None

    def step(
        self, readers: Sequence[socket.socket] = (), writers: Sequence[socket.socket] = ()
    ) -> set[Any]:
        """Wait until a frame can be read or a packet is due, then carry.

        One of ``readers`` or ``writers`` that is ready ends the wait too; returns those.
        """
        now = time.monotonic()
        due = min((t for li in self._lines if (t := li.next_due()) is not None), default=None)
        wait = None if due is None else max(due - now, 0.0)
        sources: list[Any] = [*self._by_fd, *readers]
        readable, writable, _ = select.select(sources, writers, (), wait)
        directions = [way for fd, way in self._by_fd.items() if fd in readable]
        self.carry(time.monotonic(), directions)
        return {*readable, *writable}

    def carry(self, now: float, readable: Iterable[Direction]) -> None:
        """Take in what waits to go in the ``readable`` directions, send what is due by ``now``."""
        out: dict[Direction, list[bytes]] = {"outbound": [], "inbound": []}
        for line in self._lines:
            self._put(partial(line.due, now), out)
        if len(self._lines) > 1:
            *old, current = self._lines
            self._lines = [*(li for li in old if li.next_due() is not None), current]
        for direction in readable:
            for frame in self._from[direction].receive():
                self._take(frame, direction, now, out)
        for direction, ready in out.items():
            if ready:
                self.sent += len(ready)
                self._from[opposite(direction)].send(ready)

    def _take(
        self, frame: bytes, direction: Direction, now: float, out: dict[Direction, list[bytes]]
    ) -> None:
        self.received += 1
        if frame[12:ETHERNET] not in IP_TYPES:
            out[direction].append(frame)
            return
        self._link[direction] = link = frame[:ETHERNET]
        packet = Packet(frame[ETHERNET:], link)
        self._put(partial(self._lines[-1].arrive, packet, direction, now), out)

    def _put(self, let: Callable[[], list[Leaving]], out: dict[Direction, list[bytes]]) -> None:
        try:
            leaving = let()
        except Exception:  # noqa: BLE001 - a user's box may raise anything
            self.failed += 1
            if self.failed == 1:
                traceback.print_exc()
                sys.stderr.flush()
            return
        for direction, packet in leaving:
            # What a box made from nothing has no addresses: it gets those of its direction.
            link = packet.link or self._link.get(direction, b"")
            if link:
                out[direction].append(link + packet.octets)


def main(argv: Sequence[str]) -> None:
    """Run until killed; ``argv`` is one JSON text: see ``middlebox.make``."""
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    control.bind(CONTROL)
    control.setblocking(False)
    with (
        Frames("a") as a,
        Frames("b") as b,
        Reports(lambda: a.missed + b.missed) as reports,
    ):
        described = json.loads(argv[0])
        bump = Bump(a, b, make_line(described))
        print("ready", flush=True)
        said = 0
        while True:
            ready = bump.step((control, *reports.readable()), reports.writable())
            if control in ready:
                described = _obey(bump, control, described, a, b)
            said = _say_forgotten(bump, said)
            were_wanted = reports.are_wanted
            if ready or were_wanted:
                reports.turn(ready)
                if reports.are_wanted is not were_wanted:
                    bump.report(reports.tell if reports.are_wanted else None)


def _say_forgotten(bump: Bump, said: int) -> int:
    """A line in the log when a box first forgets something, and each time it is ten times as much.

    ``said`` is how much there was the last time; returns how much there is now, if that was said.
    """
    total = sum(sum(box.forgotten.values()) for box in bump.line.boxes)
    if total < max(10 * said, 1):
        return said
    for box, bounds in bump.forgotten().items():
        why = ", ".join(f"{count} by {bound}" for bound, count in bounds.items())
        print(f"{box} forgets connections: {why}", file=sys.stderr, flush=True)
    return total


def _obey(bump: Bump, control: socket.socket, described: Any, a: Frames, b: Frames) -> Any:
    """Answer every request that waits; returns the boxes that are in the wire now.

    A request is a new list of boxes, or ``null``; the answer tells the boxes and the counters.
    """
    while True:
        try:
            request, sender = control.recvfrom(65_536)
        except BlockingIOError:
            return described
        answer: dict[str, Any] = {}
        try:
            wanted = json.loads(request)
            if wanted is not None:
                bump.use(changed(bump.line, described, wanted))
                described = wanted
        except Exception as error:  # noqa: BLE001 - a user's box may raise anything when it is made
            answer["error"] = f"{type(error).__name__}: {error}"
        answer |= {
            "boxes": described,
            "received": bump.received,
            "sent": bump.sent,
            "failed": bump.failed,
            "missed": a.missed + b.missed,
            "unsent": a.unsent + b.unsent,
        }
        forgotten = bump.forgotten()
        if forgotten:
            answer["forgotten"] = forgotten
        if sender:
            control.sendto(json.dumps(answer).encode(), sender)


if __name__ == "__main__":
    main(sys.argv[1:])
