"""Watch a lab for as long as a ``with`` block lasts, then ask what became of its packets.

with lab.observe() as watch:
    lab["client"].run(["ping", "-c1", "server"])
assert watch.traces.where(proto=1).arrived

Or ask while it lasts, for as long as you like:

with lab.observe() as watch:
    for packet_trace in watch.live(seconds=60):
        print(packet_trace.label, packet_trace.disposition)
print(watch.let_go)
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar

from netlab.capture.routes import refusing_routes
from netlab.capture.session import Observation
from netlab.linux.neighbours import awaited
from netlab.trace.build import build_traces
from netlab.trace.live import TICK, LetGo, Live

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from types import TracebackType

    from netlab.capture.collector import RunInNetns
    from netlab.capture.evidence import Evidence, Frame, NodeInfo, RefusingRoute
    from netlab.capture.session import Kind
    from netlab.trace.model import PacketTrace, Traces
    from netlab.trace.stream import Settled

T = TypeVar("T")

ROUTES_OF = 100
"""Nodes whose routes are read whatever happened there."""


class Watch:
    """An observation and what follows from it; the properties are there after the block."""

    def __init__(
        self, inventory: Mapping[str, NodeInfo], inside: RunInNetns, kinds: Collection[Kind] = ()
    ) -> None:
        self._nodes = tuple(inventory)
        self._inventory = inventory
        self._inside = inside
        self._live: Live | None = None
        self._routes: tuple[RefusingRoute, ...] = ()
        self._observation = Observation(inventory, inside, kinds)
        self.is_over = False
        """Whether the block has ended, so that there is something to ask."""

    def __enter__(self) -> Self:
        self._observation.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._observation.__exit__(kind, error, trace)
        self._routes = tuple(self._refusing_routes())
        self.is_over = True

    def new_frames(self) -> list[Frame]:
        """The frames since the last time, in order of time; while the observation lasts."""
        return self._observation.new_frames()

    def take_frames(self) -> list[Frame]:
        """The frames since the last time, in order of time; while the observation lasts.

        They are forgotten here: ``traces`` will not know of them.
        """
        return self._observation.take_frames()

    def live(self, seconds: float | None = None) -> Iterator[PacketTrace]:
        """The fate of each packet within 200 ms of its end, for so long, or until the caller stops.

        What was reported is forgotten: ``traces`` will not know of it. The last step reports what
        is still under way. In a flood some is let go, see ``let_go``.
        """
        end = time.monotonic() + (float("inf") if seconds is None else seconds)
        while time.monotonic() < end:
            time.sleep(TICK)
            yield from self.step().traces
        yield from self.step(is_last=True).traces

    def step(self, *, is_last: bool = False, all_frames: bool = False) -> Settled:
        """What has ended since the last step, without waiting; for those who wait elsewhere.

        They wait ``tick`` seconds. With ``all_frames`` frames are given also where there was no
        time to say what they are of.
        """
        self._live = self._live or Live(self._observation, self._inside, self._inventory)
        return self._live.step(is_last=is_last, all_frames=all_frames)

    tick = TICK
    """Seconds between two steps."""

    def missed(self) -> int:
        """How many frames so far came faster than they were taken."""
        return self._observation.missed()

    @property
    def let_go(self) -> LetGo:
        """What there was no time to look at since ``live`` began."""
        return self._live.let_go if self._live else LetGo(0, 0)

    def activity(self) -> int:
        """How many frames were seen so far."""
        return self._observation.activity()

    def settle(self, quiet: float = 0.05, limit: float = 5.0) -> None:
        """Wait until no frame was seen for ``quiet`` seconds, at most ``limit`` seconds.

        Packets that wait for an answer to ARP or Neighbour Discovery are waited for, too.
        """
        now = time.monotonic()
        end, seen, since = now + limit, self._observation.activity(), now
        waiting: Collection[str] = self._nodes
        while now < end:
            if now - since >= quiet:
                # What waits for a neighbour has asked for it, and a request is a frame.
                waiting = [node for node in waiting if self._awaits_neighbours(node)]
                if not waiting:
                    return
            time.sleep(quiet / 10)
            now, count = time.monotonic(), self._observation.activity()
            if count != seen:
                seen, since, waiting = count, now, self._nodes

    def _awaits_neighbours(self, node: str) -> bool:
        return bool(self._read(node, lambda: list(awaited())))

    def _refusing_routes(self) -> Iterator[RefusingRoute]:
        """Those of all nodes; in a large lab only of nodes where the kernel dropped packets."""
        asked: Collection[str] = self._nodes
        if len(asked) > ROUTES_OF:
            asked = {drop.node for drop in self._observation.evidence.drops}
        for node in asked:
            yield from self._read(node, lambda n=node: list(refusing_routes(n)))  # type: ignore[misc]

    def _read(self, node: str, action: Callable[[], list[T]]) -> list[T]:
        try:
            return self._inside(node, action)
        except OSError:
            return []  # the node is gone

    @cached_property
    def evidence(self) -> Evidence:
        """All that was seen."""
        return self._observation.evidence._replace(routes=self._routes)

    @cached_property
    def traces(self) -> Traces:
        """The fate of every packet."""
        return build_traces(self.evidence)
