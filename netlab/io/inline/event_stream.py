"""Telling whoever asks what the boxes of a wire do: a connection for each who watches.

The messages are those of ``middlebox.report``. Nothing is left to tidy up: a watcher that dies
takes its connection with it, and with the last one the wire stops telling.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import TYPE_CHECKING, Self

from netlab.middlebox.report import (
    ADDRESS,
    MOST_EVENTS,
    NOTHING,
    Lost,
    Missed,
    encode,
    encode_notice,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from netlab.middlebox.recorder import Event

KEPT = 32 << 20
"""Octets that wait for a watcher who does not read."""


class Reports:
    """All watchers of a wire. Use as a context manager, in the wire's namespace.

    ``missed`` counts the packets that the wire was too slow for.
    """

    def __init__(self, missed: Callable[[], int] = int) -> None:
        self._missed = missed
        # Messages keep their bounds and their order, and the end of the connection is seen.
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._door.bind(ADDRESS)
        self._door.listen()
        self._door.setblocking(False)
        self._watchers: list[Watcher] = []
        self._events: list[Event] = []
        self.tell = self._events.append

    @property
    def are_wanted(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watchers)

    def readable(self) -> list[socket.socket]:
        """What to select for reading: when one is ready, it is time for ``turn``."""
        return [self._door, *(w.connection for w in self._watchers if not w.is_leaving)]

    def writable(self) -> list[socket.socket]:
        """What to select for writing."""
        return [w.connection for w in self._watchers if w.waiting]

    def turn(self, ready: Collection[object]) -> None:
        """Let watchers in and out, and send what there is to tell."""
        if self._events:
            for at in range(0, len(self._events), MOST_EVENTS):
                report = self._events[at : at + MOST_EVENTS]
                text = encode(report)
                for watcher in self._watchers:
                    watcher.put(text, len(report))
            self._events.clear()
        if self._door in ready:
            connection, _ = self._door.accept()
            self._watchers.append(Watcher(connection, self._missed))
        for watcher in list(self._watchers):
            if not watcher.go_on(ready):
                watcher.connection.close()
                self._watchers.remove(watcher)

    def close(self) -> None:
        """Stop; idempotent."""
        for each in (self._door, *(w.connection for w in self._watchers)):
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Watcher:
    """One who watches, and the messages that it has not yet read.

    What does not fit into ``room`` octets of them is lost, and how much that was is reported.
    """

    def __init__(
        self, connection: socket.socket, missed: Callable[[], int] = int, room: int = KEPT
    ) -> None:
        self._missed = missed
        self._missed_before = missed()
        self.connection = connection
        connection.setblocking(False)
        self.waiting: deque[bytes] = deque()
        self.is_leaving = False
        self._room = room
        self.lost = 0
        """Events whose loss has not been reported yet."""
        self._say(NOTHING)

    def put(self, report: bytes, events: int) -> None:
        """Something to tell."""
        if self.is_leaving:
            return
        if len(report) > self._room:
            self.lost += events
            return
        if self.lost:
            self._say(encode_notice(Lost(self.lost)))
            self.lost = 0
        self._say(report)

    def _say(self, message: bytes) -> None:
        self._room -= len(message)
        self.waiting.append(message)

    def go_on(self, ready: Collection[object]) -> bool:
        """Send what can be sent; false when there is no more to do."""
        try:
            if self.connection in ready and not self.is_leaving:
                self.connection.recv(1)  # nothing to be heard but that it has heard enough
                self.is_leaving = True
                if self.lost:
                    self._say(encode_notice(Lost(self.lost)))
                missed = self._missed() - self._missed_before
                if missed:
                    self._say(encode_notice(Missed(missed)))
                self._say(NOTHING)
            while self.waiting:
                self.connection.send(self.waiting[0])
                self._room += len(self.waiting.popleft())
        except BlockingIOError:
            return True
        except OSError:
            return False  # it is gone
        return not self.is_leaving
