"""Join evidence while it comes: a packet is reported a moment after its end, then forgotten.

What has come and is not yet reported is the *window*. Each time, all of it is joined and judged as
a whole, by the same code as an observation that is over; then what has ended leaves it:

    seen to end (delivered, dropped, lost on a wire), and quiet for QUIET     reported
    still in a node, and nobody saw why                        waits, for PATIENCE at most
    a request for a neighbour                       reported, and kept as long for its answer

More than ``most`` frames cannot be joined in time. Then of the packets in the window only those
are reported whose end was witnessed; the others are let go and counted, and after a rest the
window begins anew: a flood is seen in slices, and what is said of a slice is true.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from netlab.capture.evidence import Evidence
from netlab.trace.build import fate
from netlab.trace.correlate import correlate
from netlab.trace.disposition import Disposition
from netlab.trace.nat_bindings import Bindings
from netlab.trace.neighbours import asks_for
from netlab.trace.program_reports import Programs
from netlab.trace.verdict import Judge
from netlab.wire import tcp
from netlab.wire.view import TCP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from netlab.capture.evidence import (
        BoxEvent,
        Count,
        FlowEvent,
        Frame,
        KernelDrop,
        NodeInfo,
        PacketReport,
        RefusingRoute,
        RuleVerdict,
    )
    from netlab.trace.model import PacketTrace
    from netlab.trace.track import Track
    from netlab.trace.verdict import Verdict

QUIET = 80_000_000
"""Nanoseconds without news after which a packet that can have ended has ended."""

PATIENCE = 5_000_000_000
"""Nanoseconds: ARP and ND give up after three seconds, queues and boxes may delay."""

EDGE = 2_000_000
"""Nanoseconds at the edges of a slice whose packets may have been seen in part only."""

MOST = 1200
"""Frames in the window: 70 µs each to join."""

SLICE = 4
"""What is joined of a window that is too large, in windows."""

FLOWS = 20_000
"""Events of conntrack that are remembered."""

_WAITING = frozenset(
    {Disposition.UNKNOWN, Disposition.STILL_QUEUED, Disposition.NEIGHBOUR_UNREACHABLE}
)


Left: TypeAlias = "tuple[Frame, PacketTrace | None, int]"
"""A frame that leaves the window; its packet, if that is known; the number of its hop."""


class Settled(NamedTuple):
    """What came of one step.

    ``frames`` leave the window; ``box_events`` are those that serve no other packet. ``doubtful``
    are nodes whose counters may say more; ``overloaded`` says that the window was more than can be
    joined.
    """

    traces: tuple[PacketTrace, ...]
    frames: tuple[Left, ...] = ()
    box_events: tuple[BoxEvent, ...] = ()
    doubtful: frozenset[str] = frozenset()
    overloaded: bool = False


class Stream:
    """The window, and what is remembered beyond it. Times are those of the evidence."""

    def __init__(self, inventory: Mapping[str, NodeInfo]) -> None:
        self.packets_let_go = 0
        self.frames_let_go = 0
        self.reported = 0
        self._inventory = inventory
        self._frames: list[Frame] = []
        self._drops: list[KernelDrop] = []
        self._verdicts: list[tuple[int, RuleVerdict]] = []
        self._counts: list[tuple[int, Count]] = []
        self._reports: list[tuple[int, PacketReport]] = []
        self._routes: tuple[RefusingRoute, ...] = ()
        self._latest = Evidence(inventory)
        self._flows: deque[FlowEvent] = deque()
        self._bindings = Bindings(())
        self._numbers: dict[int, int] = {}
        self._left: set[int] = set()
        self._begins = 0
        self._next = 0

    @property
    def waiting(self) -> int:
        """How many frames are in the window."""
        return len(self._frames)

    def add(self, evidence: Evidence, read_ns: int) -> None:
        """What was collected since the last time and read at ``read_ns``.

        ``box_events`` are all that were not used so far, ``routes`` those that are known now.
        """
        self._latest = evidence
        if evidence.frames:
            self._frames = sorted((*self._frames, *evidence.frames), key=lambda f: f.time_ns)
        self._drops += evidence.drops
        self._verdicts += ((read_ns, verdict) for verdict in evidence.verdicts)
        self._counts += ((read_ns, count) for count in evidence.counts)
        self._reports += ((read_ns, report) for report in evidence.reports)
        for event in evidence.flows:
            self._bindings.add(event)
            self._flows.append(event)
        while len(self._flows) > FLOWS:
            self._bindings.forget(self._flows.popleft())
        self._routes = evidence.routes or self._routes

    def settle(
        self, now_ns: int, *, most: int = MOST, is_last: bool = False, is_slice: bool = False
    ) -> Settled:
        """What has ended by ``now_ns``, before which all evidence was added.

        With ``is_last`` nothing is waited for any more, with ``is_slice`` what came after the last
        frame was not added, so that nothing is to be waited for.
        """
        is_overloaded = is_slice or len(self._frames) > most
        beyond: list[Left] = []
        if is_overloaded:
            before = bisect_left(self._frames, self._begins - EDGE, key=lambda f: f.time_ns)
            kept = self._frames[before : before + SLICE * MOST]
            beyond = [(frame, None, 0) for frame in self._frames[before + len(kept) :]]
            beyond += [(frame, None, 0) for frame in self._frames[:before]]
            self.frames_let_go += len(beyond)
            self._frames = kept
            now_ns = kept[-1].time_ns if kept else now_ns
        evidence = self._evidence()
        programs = Programs(evidence)
        tracks = correlate(evidence, self._bindings, programs)
        judge = Judge(evidence, tracks, self._bindings, programs)
        ends = {id(track): judge.verdict(track) for track in tracks}
        read = {id(verdict): when for when, verdict in self._verdicts}

        def is_over(track: Track) -> bool:
            if is_overloaded:
                return track.time_at_end < now_ns - EDGE and _is_witnessed(ends[id(track)])
            since = max(
                track.time_at_end,
                track.drop.time_ns if track.drop else 0,
                *(read.get(id(v), 0) for p in track.rule_traces for v in p.evidence),
            )
            patience = PATIENCE if _may_go_on(track, ends[id(track)]) else QUIET
            return is_last or since < now_ns - patience

        groups = _families(tracks)
        settled = [group for group in groups if all(map(is_over, group))]
        traces = self._report(settled, evidence, ends)
        used = [event for group in settled for track in group for event in _box_events(track)]
        doubtful = frozenset(
            track.node for track in tracks if _asks_counters(track, ends[id(track)])
        )
        frames = self._leave(settled, evidence, traces, now_ns, is_last=is_last)
        if is_overloaded:
            gone = {id(track) for group in settled for track in group}
            self.packets_let_go += sum(id(track) not in gone for track in tracks)
            frames += [(f, None, 0) for f in self._frames if id(f) not in self._left]
            frames += beyond
            self.frames_let_go += len(self._frames)
            self._clear()
        shown = tuple(one for one in sorted(traces.values(), key=lambda one: one.id))
        self.reported += len(shown)
        return Settled(shown, tuple(frames), tuple(used), doubtful, is_overloaded)

    def give_up(self) -> list[Frame]:
        """Let go all that is in the window; its frames that were not left yet."""
        gone = [frame for frame in self._frames if id(frame) not in self._left]
        self._clear()
        return gone

    def resume(self, now_ns: int) -> None:
        """Begin anew: what came before was not added."""
        self._begins = now_ns + EDGE

    def _clear(self) -> None:
        self._frames, self._drops, self._verdicts = [], [], []
        self._counts, self._reports = [], []
        self._numbers.clear()
        self._left.clear()

    def _evidence(self) -> Evidence:
        return self._latest._replace(
            frames=tuple(self._frames),
            drops=tuple(self._drops),
            verdicts=tuple(verdict for _, verdict in self._verdicts),
            counts=tuple(count for _, count in self._counts),
            flows=tuple(self._flows) if self._flows else (),
            routes=self._routes,
            reports=tuple(report for _, report in self._reports),
        )

    def _report(
        self,
        settled: Iterable[Sequence[Track]],
        evidence: Evidence,
        ends: Mapping[int, Verdict],
    ) -> dict[int, PacketTrace]:
        """The traces of tracks by ``id``, in order of time; not of those that were reported."""
        new = []
        numbers: dict[int, int] = {}
        for group in settled:
            for track in group:
                known = self._numbers.get(_mark(track, evidence))
                if known is not None:
                    numbers[id(track)] = known
                elif track.time_ns < self._begins:
                    self.packets_let_go += 1  # it may have been under way before
                    numbers[id(track)] = 0
                else:
                    new.append(track)
        new.sort(key=lambda track: track.time_ns)
        for track in new:
            self._next += 1
            numbers[id(track)] = self._next
        return {id(track): fate(track, ends[id(track)], numbers, self._bindings) for track in new}

    def _leave(
        self,
        settled: Iterable[Sequence[Track]],
        evidence: Evidence,
        traces: Mapping[int, PacketTrace],
        now_ns: int,
        *,
        is_last: bool,
    ) -> list[Left]:
        """Take out of the window what is settled, and what belongs to nothing and is old."""
        gone: set[int] = set()
        left: list[Left] = []
        seen = self._left
        for group in settled:
            recent = max(track.time_at_end for track in group) > now_ns - PATIENCE
            stays = recent and not is_last and any(asks_for(t.begins) for t in group)
            for track in group:
                trace = traces.get(id(track))
                frames = [evidence.frames[seen.frame] for seen in track.sightings]
                if stays:
                    if trace:
                        self._numbers[_mark(track, evidence)] = trace.id
                else:
                    self._numbers.pop(_mark(track, evidence), None)
                    gone.update(map(id, frames))
                    gone.add(id(track.drop))
                    gone.update(id(v) for p in track.rule_traces for v in p.evidence)
                    gone.update(map(id, track.reports))
                for hop, frame in enumerate(frames):
                    if trace and id(frame) not in seen:
                        seen.add(id(frame))
                        left.append((frame, trace, hop))
        old = now_ns - PATIENCE - QUIET
        left += [
            (frame, None, 0)
            for frame in self._frames
            if id(frame) not in seen and (id(frame) in gone or frame.time_ns < old)
        ]
        self._frames = [f for f in self._frames if id(f) not in gone and f.time_ns >= old]
        kept = set(map(id, self._frames))
        self._left &= kept
        self._numbers = {mark: n for mark, n in self._numbers.items() if mark in kept}
        self._drops = [d for d in self._drops if id(d) not in gone and d.time_ns >= old]
        self._verdicts = [(t, v) for t, v in self._verdicts if id(v) not in gone and t >= old]
        self._reports = [(t, r) for t, r in self._reports if id(r) not in gone and t >= old]
        oldest = min((f.time_ns for f in self._frames), default=now_ns)
        self._counts = [(t, count) for t, count in self._counts if t >= oldest]
        left.sort(key=lambda one: one[0].time_ns)
        return left


def _mark(track: Track, evidence: Evidence) -> int:
    """What a track is known by from one step to the next: its first frame."""
    return id(evidence.frames[track.sightings[0].frame]) if track.sightings else 0


def _families(tracks: Sequence[Track]) -> list[list[Track]]:
    """Tracks in groups: each with its copies and pieces, and what it was merged into."""
    found: list[list[Track]] = []
    seen: set[int] = set()
    for first in tracks:
        if id(first) in seen:
            continue
        seen.add(id(first))
        group, waiting = [], [first]
        while waiting:
            track = waiting.pop()
            group.append(track)
            for other in (*track.parents, *track.children):
                if id(other) not in seen:
                    seen.add(id(other))
                    waiting.append(other)
        found.append(group)
    return found


def _may_go_on(track: Track, end: Verdict) -> bool:
    """Whether it is in a node, and nobody saw it end."""
    if track.last is not None and track.last.direction == "out":
        return False
    return end.disposition in _WAITING and end.reason.source in ("inferred", "box")


def _is_witnessed(end: Verdict) -> bool:
    return (
        end.reason.source != "inferred"
        or end.disposition.lives_on
        or end.disposition is Disposition.IGNORED
    )


def _asks_counters(track: Track, end: Verdict) -> bool:
    """Whether counters may say something of its end that nobody else does."""
    if end.reason.source == "inferred" or end.disposition is Disposition.QUEUE_FULL:
        return True
    return track.view.protocol == TCP and bool(track.view.flags & tcp.SYN)  # a full accept queue


def _box_events(track: Track) -> Iterable[BoxEvent]:
    if track.box_event:
        yield track.box_event
    yield from track.box_events.values()
