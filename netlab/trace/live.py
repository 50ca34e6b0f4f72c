"""Fates while a lab is watched: each a moment after its packet's end, in bounded memory.

What the machine cannot join in time is let go and counted; see ``netlab.trace.stream``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from netlab.capture.routes import refusing_routes
from netlab.trace.stream import MOST, PATIENCE, SLICE, Settled, Stream

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from netlab.capture.collector import RunInNetns
    from netlab.capture.evidence import Count, Evidence, NodeInfo, RefusingRoute
    from netlab.capture.session import Observation
    from netlab.trace.stream import Left

TICK = 0.025
"""Seconds between two steps."""

RETIRED_NS = 10_000_000
"""Nanoseconds after which what a kernel buffer holds can be read: a ring's block needs 4 ms."""

FIRST = 40_000
"""Frames that the first step may join: an observation may have run for a while before it."""

LONGEST_REST = 0.5
"""Seconds without looking, after more came than can be joined."""

AT_A_TIME = 4
"""Nodes whose counters are read in one step, a millisecond each."""

ROUTES_FOR = 1.0
"""Seconds for which the routes of a node are believed."""


class LetGo(NamedTuple):
    """What there was no time for: frames that were not looked at, packets that were not judged."""

    frames: int
    packets: int

    def __str__(self) -> str:
        return f"{self.frames} frames and {self.packets} packets let go: too many at once"


class Live:
    """The fates of an observation that is under way."""

    def __init__(
        self, observation: Observation, inside: RunInNetns, inventory: Mapping[str, NodeInfo]
    ) -> None:
        self._observation = observation
        self._inside = inside
        self._stream = Stream(inventory)
        self._taken = 0
        self._doubtful: frozenset[str] = frozenset()
        self._nodes = list(inventory)
        self._routes: dict[str, tuple[float, list[RefusingRoute]]] = {}
        self._rests_until = 0.0
        self._is_first = True
        self._missed = self._lost = self._since = 0

    @property
    def let_go(self) -> LetGo:
        """What was let go so far."""
        beyond = self._observation.copied + self._observation.lost() - self._taken
        return LetGo(max(beyond, 0) + self._stream.frames_let_go, self._stream.packets_let_go)

    def step(self, *, is_last: bool = False, all_frames: bool = False) -> Settled:
        """What has ended since the last time.

        The last step also reports what is still under way. With ``all_frames`` those that were
        let go are among the frames, too.
        """
        if time.monotonic() < self._rests_until:
            return Settled((), self._begin_anew(all_frames=all_frames))
        began = time.monotonic()
        now = time.time_ns() - RETIRED_NS
        most = FIRST if self._is_first else MOST
        limit = None if all_frames else (SLICE + 1) * most
        evidence = self._observation.take(limit, self._since)
        self._is_first = self._is_first and not evidence.frames
        self._taken += len(evidence.frames)
        is_slice = self._observation.missed() > self._missed
        if self._observation.lost() > self._lost:
            # Some of a packet's frames may be there, and others not: nothing follows from them.
            gone = (*self._stream.give_up(), *evidence.frames)
            self._taken -= len(gone)
            after = self._begin_anew(all_frames=all_frames)
            return Settled((), (*((frame, None, 0) for frame in gone), *after))
        self._stream.add(self._with_answers(evidence), now)
        settled = self._stream.settle(now, most=most, is_last=is_last, is_slice=is_slice)
        self._doubtful = settled.doubtful
        self._observation.forget_boxes(settled.box_events, now - PATIENCE)
        if settled.overloaded:
            # As long as the join took: the lab needs the machine, too.
            now_s = time.monotonic()
            self._rests_until = now_s + min(now_s - began, LONGEST_REST)
            after = self._begin_anew(all_frames=all_frames)
            return settled._replace(frames=(*settled.frames, *after))
        return settled

    def _begin_anew(self, *, all_frames: bool) -> tuple[Left, ...]:
        """Leave out what has come: from now on everything counts again."""
        frames = self._observation.take_frames() if all_frames else []
        self._observation.discard()
        self._missed, self._lost = self._observation.missed(), self._observation.lost()
        self._since = time.time_ns()
        self._stream.resume(self._since)
        return tuple((frame, None, 0) for frame in frames)

    def _with_answers(self, evidence: Evidence) -> Evidence:
        counts: list[Count] = []
        ask = [node for node in self._nodes if node in self._doubtful][:AT_A_TIME]
        # Of one of the others so that what it counts from does not grow old.
        for node in dict.fromkeys((*ask, self._nodes[0])):
            self._nodes.remove(node)
            self._nodes.append(node)
            found = self._read_counts(node)
            if node in self._doubtful:
                counts += found
        nodes = {drop.node for drop in evidence.drops} | self._doubtful
        return evidence._replace(counts=tuple(counts), routes=tuple(self._refusing(nodes)))

    def _read_counts(self, node: str) -> list[Count]:
        try:
            return self._observation.counts_since_last(node)
        except OSError:
            return []  # the node is gone

    def _refusing(self, nodes: Collection[str]) -> Iterator[RefusingRoute]:
        now = time.monotonic()
        for node in nodes:
            if now > self._routes.get(node, (0.0, []))[0]:
                try:
                    found = self._inside(node, lambda n=node: list(refusing_routes(n)))  # type: ignore[misc]
                except OSError:
                    found = []
                self._routes[node] = (now + ROUTES_FOR, found)
        for _, routes in self._routes.values():
            yield from routes
