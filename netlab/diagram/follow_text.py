"""Fates as they come, a line each; of a flood a few, and how many more there were.

12:00:01.123456  ✓ ICMP 8/0 10.0.0.2 > 10.0.1.2, 64 octets  client → nat → server: delivered
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from netlab.diagram.trace_text import end, mark
from netlab.trace.model import Traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from netlab.trace.model import PacketTrace

LINES = 100
"""Lines in a second; what comes beyond is summed up."""

SECOND = 1_000_000_000


class Lines:
    """Writes packets as lines, at most ``LINES`` in a second of ``now_ns``.

    ``clock`` writes a time of day.
    """

    def __init__(self, clock: Callable[[int], str], most: int = LINES) -> None:
        self._clock = clock
        self._most = most
        self._began = 0
        self._written = 0
        self._more: Counter[str] = Counter()

    def lines(self, traces: Iterable[PacketTrace], now_ns: int) -> Iterator[str]:
        """The lines of some more packets."""
        if now_ns >= self._began + SECOND:
            yield from self.rest()
            self._began, self._written = now_ns, 0
        for one in traces:
            if self._written < self._most:
                self._written += 1
                yield f"{self._clock(one.time_ns)}  {line(one)}"
            else:
                self._more[f"{one.disposition} in {one.node}"] += 1

    def rest(self) -> Iterator[str]:
        """What was not written, summed up."""
        if self._more:
            ends = ", ".join(f"{count} {what}" for what, count in self._more.most_common(8))
            others = len(self._more) - 8
            ends += f", {others} other ends" if others > 0 else ""
            yield f"… and {self._more.total()} more packets: {ends}"
            self._more.clear()


def line(one: PacketTrace) -> str:
    """A packet, its way and its end."""
    nodes = [hop.node for hop in one.hops]
    way = [node for at, node in enumerate(nodes) if at == 0 or nodes[at - 1] != node]
    parts = [f"{mark(one)} {one.label}", " → ".join(way), end(one)]
    return "  ".join(part for part in parts if part)


def of_interest(traces: Iterable[PacketTrace], *, everything: bool) -> Traces:
    """Those that are shown."""
    found = Traces(traces)
    return found if everything else found.of_interest
