"""Two connections and a seeded wire between them, on a virtual clock."""

from __future__ import annotations

import heapq
import itertools
import random
from typing import TYPE_CHECKING, NamedTuple

from netlab.tcp.connection import Connection
from netlab.tcp.sender import NEVER
from netlab.tcp.settings import DEFAULTS, Settings
from netlab.tcp.state import Role, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.tcp.segment import Segment


class Weather(NamedTuple):
    """What the wire does to segments: probabilities, and seconds."""

    loss: float = 0.0
    duplication: float = 0.0
    delay: float = 0.01
    jitter: float = 0.0


FAIR = Weather()


class Side:
    """One connection with a user who sends ``outbox`` and reads whatever comes."""

    def __init__(self, connection: Connection, outbox: bytes = b"", read: int = 1 << 30) -> None:
        self.connection = connection
        self.outbox = outbox
        self.inbox = bytearray()
        self.read = read
        self.closes = True
        self.closed = False
        self.events = 0

    def act(self, now: float) -> None:
        c = self.connection
        self.events |= c.take_events()
        if c.end is None and c.state not in {State.LISTEN, State.CLOSED}:
            if self.outbox and not self.closed:
                taken = c.send(self.outbox)
                self.outbox = self.outbox[taken:]
            if (
                not self.outbox
                and self.closes
                and not self.closed
                and c.state
                in {
                    State.ESTABLISHED,
                    State.CLOSE_WAIT,
                }
            ):
                c.close(now)
                self.closed = True
        if c.receiver.waiting:
            for piece in c.recv(self.read):
                self.inbox += piece


class Simulation:
    """Runs both sides until nothing more can happen, or until a time."""

    def __init__(self, a: Side, b: Side, weather: Weather = FAIR, seed: int = 0) -> None:
        self.sides = (a, b)
        self.weather = weather
        self.random = random.Random(seed)
        self.now = 0.0
        self.sent: list[tuple[float, int, Segment]] = []
        self.lose: Callable[[int, int], bool] = lambda number, to: False  # noqa: ARG005
        self.tick = NEVER  # how often users look for themselves whether they can do something
        self._order = itertools.count()
        self._under_way: list[tuple[float, int, int, Segment]] = []

    def _flush(self) -> None:
        for index, side in enumerate(self.sides):
            side.act(self.now)
            for segment in side.connection.to_send(self.now):
                self.sent.append((self.now, index, segment))
                self._transmit(1 - index, segment)

    def _transmit(self, to: int, segment: Segment) -> None:
        weather, rnd = self.weather, self.random
        if self.lose(len(self.sent), to):
            return
        copies = 1 + (rnd.random() < weather.duplication)
        for _ in range(copies):
            if rnd.random() >= weather.loss:
                due = self.now + weather.delay + rnd.random() * weather.jitter
                heapq.heappush(self._under_way, (due, next(self._order), to, segment))

    def run(self, until: float = 1e6, steps: int = 400_000) -> None:
        """Advance the clock from event to event."""
        self._flush()
        for _ in range(steps):
            timers = [side.connection.next_timer() for side in self.sides]
            arrival = self._under_way[0][0] if self._under_way else NEVER
            due = min(*timers, arrival)
            if any(side.connection.receiver.waiting for side in self.sides):
                due = min(due, self.now + self.tick)
            if due == NEVER or due > until:
                return
            self.now = max(self.now, due)
            if arrival <= self.now:
                _, _, to, segment = heapq.heappop(self._under_way)
                self.sides[to].connection.receive(segment, self.now)
            for side in self.sides:
                if side.connection.next_timer() <= self.now:
                    side.connection.handle_timer(self.now)
            self._flush()
        raise AssertionError("the simulation does not come to an end")


def pair(
    settings: Settings = DEFAULTS,
    other: Settings | None = None,
    *,
    iss: tuple[int, int] = (1000, 5000),
    simultaneous: bool = False,
) -> tuple[Connection, Connection]:
    """An active and a passive connection (or two active ones) that know nothing of each other."""
    a = Connection(iss[0], settings, clock_offset=7)
    b = Connection(iss[1], other or settings, clock_offset=0xFFFF_FF00)
    a.open(Role.ACTIVE)
    b.open(Role.ACTIVE if simultaneous else Role.PASSIVE)
    return a, b
