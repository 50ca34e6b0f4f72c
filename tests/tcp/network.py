"""Stacks that exchange packets, whole and with all their octets, on a virtual clock."""

from __future__ import annotations

import heapq
import itertools
import random
from typing import TYPE_CHECKING, NamedTuple

from netlab.tcp.ip import complete
from netlab.tcp.sender import NEVER
from netlab.tcp.settings import DEFAULTS, Settings
from netlab.tcp.stack import Stack
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.tcp.stack import Socket

A, B = packed("10.0.0.1"), packed("10.0.0.2")
A6, B6 = packed("fd00::1"), packed("fd00::2")


class Weather(NamedTuple):
    """What happens to packets on the way: probabilities, and seconds."""

    loss: float = 0.0
    corruption: float = 0.0
    delay: float = 0.001
    jitter: float = 0.0


FAIR = Weather()


class Network:
    """Two stacks, and a wire that a test may look at and cut."""

    def __init__(
        self,
        settings: Settings = DEFAULTS,
        other: Settings | None = None,
        weather: Weather = FAIR,
        seed: int = 0,
    ) -> None:
        self.a = Stack((A, A6), bytes(16), settings)
        self.b = Stack((B, B6), bytes(range(16)), other or settings)
        self.weather = weather
        self.random = random.Random(seed)
        self.now = 100.0
        self.packets: list[tuple[int, bytes]] = []
        self.router: Callable[[int, bytes], list[tuple[int, bytes]]] | None = None
        self._order = itertools.count()
        self._under_way: list[tuple[float, int, int, bytes]] = []

    def flush(self) -> None:
        """Let both send what they have."""
        for side, stack in enumerate((self.a, self.b)):
            for packet in stack.to_send(self.now):
                octets = complete(packet)
                self.packets.append((side, octets))
                routed = self.router(1 - side, octets) if self.router else [(1 - side, octets)]
                for to, data in routed:
                    self._transmit(to, data)

    def _transmit(self, to: int, octets: bytes) -> None:
        weather, rnd = self.weather, self.random
        if rnd.random() < weather.loss:
            return
        if rnd.random() < weather.corruption:
            at = rnd.randrange(len(octets))
            octets = octets[:at] + bytes([octets[at] ^ 1 << rnd.randrange(8)]) + octets[at + 1 :]
        due = self.now + weather.delay + rnd.random() * weather.jitter
        heapq.heappush(self._under_way, (due, next(self._order), to, octets))

    def run(self, seconds: float = 5.0, act: Callable[[], None] = lambda: None) -> None:
        """Let time pass; ``act`` is called after each event."""
        end = self.now + seconds
        while True:
            act()
            self.flush()
            arrival = self._under_way[0][0] if self._under_way else NEVER
            due = min(arrival, self.a.next_timer(), self.b.next_timer())
            if due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            if arrival <= self.now:
                _, _, to, octets = heapq.heappop(self._under_way)
                (self.a, self.b)[to].receive(octets, self.now)
            for stack in (self.a, self.b):
                stack.handle_timer(self.now)

    def connect(self, port: int = 80, *, family: int = 4) -> tuple[Socket, Socket]:
        """An established connection from a to b: its two places."""
        key = None, port
        listener = self.b._listeners.get(key) or self.b.listen(port)
        client = self.a.connect(B if family == 4 else B6, port, self.now)
        for _ in range(100):
            self.run(1.0)
            server = listener.accept()
            if server is not None:
                return client, server
        raise AssertionError("no connection in 100 seconds")
