"""Follow every packet through the lab: from frames, passages and drops to tracks.

Everything is taken in order of time. A packet is always in one of two kinds of room: inside a
node, or on a wire towards the interface at its other end.

                 ┌────────────┐   out    ┌──────────────┐   in    ┌────────────┐
      made here ─► inside A   ├──────────► wire to B:if ├─────────► inside B   │
                 └────────────┘          └──────────────┘         └────────────┘

Wires do not change packets, nodes may. What is seen and was expected by nobody was made there,
cut from or merged of what was expected, or it is a copy.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from netlab.trace.box_events import BoxEvents
from netlab.trace.fragments import FragmentOrigins
from netlab.trace.pending import PendingPackets, carried
from netlab.trace.program_reports import ProgramReports
from netlab.trace.rule_trace import RuleTraces
from netlab.trace.track import Sighting, Track
from netlab.wire.view import ICMP, ICMPV6, TCP, UDP, frame_view, illegible, view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.capture.evidence import BoxEvent, Evidence, Frame, KernelDrop
    from netlab.trace.nat_bindings import Bindings
    from netlab.trace.program_reports import Programs
    from netlab.trace.rule_trace import RuleTrace
    from netlab.wire.view import Key, View

INNER_KINDS = frozenset({"bridge"})
"""Interfaces that lead to another interface of the same node."""

LATE_REASONS = frozenset({"NEIGH_FAILED", "NEIGH_QUEUEFULL"})
"""The kernel held such a packet in a queue first: it is the oldest that fits, not the newest."""

COPIES = ("tpacket_rcv", "packet_rcv", "packet_rcv_spkt", "ping_rcv")
"""What is freed there is a copy: for AF_PACKET, or of an echo reply for the unprivileged ping
sockets, which a ``ping`` of root does not use."""

COPIED_TO_RAW = frozenset({ICMP, TCP, UDP, ICMPV6})
"""Raw sockets get a copy of these; of all other protocols they get the packet itself (raw(7))."""

LEAST_MTU = 1280 - 40
"""Octets that IPv6 carries everywhere without cutting (RFC 8200 section 5)."""

NOT_DEATHS = frozenset({"QUEUE_PURGE", "CONSUMED", "NOT_DROPPED_YET"})
"""A socket was closed with packets in its buffer: those had arrived."""


def correlate(evidence: Evidence, bindings: Bindings, programs: Programs) -> list[Track]:
    """Every packet of the evidence, in the order in which they were first seen."""
    follower = _Follower(evidence, RuleTraces(evidence.verdicts), bindings, programs)
    events: list[tuple[int, int, int, Callable[[], None]]] = []
    for i, frame in enumerate(evidence.frames):
        events.append((frame.time_ns, 0, i, partial(follower.frame, frame, i)))
    for i, drop in enumerate(evidence.drops):
        events.append((drop.time_ns, 1, i, partial(follower.drop, drop)))
    events.sort(key=lambda event: event[:3])
    for *_, happens in events:
        happens()
    follower.never_seen()
    return sorted(follower.tracks, key=lambda track: track.time_ns)


class _Follower:
    """The rooms, and the rules by which tracks move between them."""

    def __init__(
        self,
        evidence: Evidence,
        rule_traces: RuleTraces,
        bindings: Bindings,
        programs: Programs,
    ) -> None:
        self.tracks: list[Track] = []
        self._arrivals_only = evidence.arrivals_only
        times = [f.time_ns for f in evidence.frames[:1]] + [d.time_ns for d in evidence.drops[:1]]
        self._began = min(times, default=0)
        self._frames = evidence.frames
        self._rule_traces = rule_traces
        self._box_events = BoxEvents(evidence.box_events)
        self._bindings = bindings
        self._programs = programs
        self._reports = ProgramReports(evidence.reports)
        self._peers: dict[tuple[str, str], tuple[str, str]] = {}
        self._inner: set[tuple[str, str]] = set()
        self._own: dict[str, set[bytes]] = {}
        self._interfaces: dict[str, list[tuple[str, str]]] = {}
        for node, place in evidence.inventory.items():
            self._own[node] = {a for i in place.interfaces for a in i.addresses}
            self._peers[node, "lo"] = (node, "lo")
            for i in place.interfaces:
                if i.peer:
                    self._peers[node, i.name] = i.peer
                elif i.kind in INNER_KINDS:
                    self._inner.add((node, i.name))
            self._interfaces[node] = [(node, i.name) for i in place.interfaces] + [(node, "lo")]
        self._carriers = {n for n, p in evidence.inventory.items() if p.kind == "inline"}
        self._inside: dict[str, PendingPackets] = defaultdict(PendingPackets)
        self._wires: dict[tuple[str, str], PendingPackets] = defaultdict(PendingPackets)
        self._under_way: dict[bytes, View] = {}
        self._gone: dict[tuple[str, Key], Track] = {}
        self._clock: dict[str, list[tuple[int, int]]] = {}
        self._fragments = FragmentOrigins()

    def _node(self, node: str) -> PendingPackets:
        return self._inside[node]

    def _wire(self, end: tuple[str, str]) -> PendingPackets:
        return self._wires[end]

    # Frames

    def frame(self, frame: Frame, index: int) -> None:
        """One frame: in or out of a node."""
        packet = self._view(frame)
        if packet is None:
            return
        seen = Sighting(frame.time_ns, frame.node, frame.interface, frame.direction, packet, index)
        if frame.direction == "in":
            self._comes_in(seen)
        else:
            self._goes_out(seen)

    def _view(self, frame: Frame) -> View | None:
        """The packet of a frame. What leaves one end of a wire comes in at the other as it was."""
        if frame.direction == "in" and frame.data in self._under_way:
            return self._under_way.pop(frame.data)
        packet = frame_view(frame.data, ethernet=frame.ethernet)
        if packet and frame.direction == "out":
            self._under_way[frame.data] = packet
        return packet

    def _comes_in(self, seen: Sighting) -> None:
        frame = self._frames[seen.frame]
        from_program = self._programs.is_behind(frame)
        wire = self._wire((seen.node, seen.interface))
        track = self._sent_by_program(frame, seen) if from_program else None
        if track is None:
            track = wire.find(seen.view)
        if track is None and self._arrivals_only:
            track = self._implied(wire, seen)
        if track is None:
            track = self._related(wire, seen)
        if track is None:
            # A switch's port hands a frame to the bridge device: in once more, same node.
            track = self._node(seen.node).find(
                seen.view, lambda t: t.last is not None and t.last.interface != seen.interface
            )
        if track is None:
            track = self._copied(seen) or self._begin(seen.view, seen.node, seen.time_ns)
        self._move(track, seen)
        self._claim(track, self._rule_traces.arriving(seen.node, seen.view))
        self._node(seen.node).add(track)
        if not from_program:
            track.report = self._reports.coming(frame, track)
        if seen.node in self._carriers:
            track.box_event = self._box_events.coming(frame)
            if track.box_event:
                self._box_events.follow(track.box_event, track)

    def _goes_out(self, seen: Sighting) -> None:
        frame = self._frames[seen.frame]._replace(node=seen.node, interface=seen.interface)
        to_program = self._programs.is_behind(frame)
        room = self._node(seen.node)
        box_event, track = self._carried(room, seen)
        if track is None and not to_program:
            track = self._sent_by_program(frame, seen)
        if track is None:
            weigh = self._bindings.weight(seen.node, seen.view)
            track = room.find(seen.view, lambda t: self._may_go_on(t, seen), weigh=weigh)
        if track is None:
            track = self._copied(seen)
        if track is None:
            track = self._related(room, seen)
        if track is None:
            track = self._rewritten(room, seen)
        if track is None:
            track = self._begin(seen.view, seen.node, seen.time_ns)
            self._claim(track, self._rule_traces.leaving(seen.node, seen.view))
            self._adopt_looped(track, seen)
        elif track.last and track.last.node == seen.node:
            self._gone[seen.node, track.view.key] = track
        self._move(track, seen)
        if box_event:
            track.box_event = None
            track.box_events[len(track.sightings) - 1] = box_event
        if to_program:
            track.report = self._reports.coming(frame, track)
        here = (seen.node, seen.interface)
        if here in self._inner:
            room.add(track)
        elif here in self._peers:
            self._wire(self._peers[here]).add(track)

    def _begin(self, packet: View, node: str, time_ns: int) -> Track:
        track = Track(packet, node, time_ns)
        self.tracks.append(track)
        return track

    def _leave_rooms(self, track: Track) -> None:
        self._node(track.node).remove(track)
        last = track.last
        if last and last.direction == "out":
            end = self._peers.get((last.node, last.interface))
            if end:
                self._wire(end).remove(track)

    def _move(self, track: Track, seen: Sighting) -> None:
        self._leave_rooms(track)
        track.sightings.append(seen)
        track.node = seen.node

    def _may_go_on(self, track: Track, seen: Sighting) -> bool:
        """Whether what goes out can be what came in, and not an answer of the same content."""
        if track.is_dead:
            return False
        came = track.view
        own = self._own.get(seen.node, set())
        if track.is_looped(own):
            return False
        if came.destination in own and seen.view.source in own:
            # An echo, unless a NAT turned the packet around: then it lost one from its TTL.
            return seen.view.ttl == came.ttl - 1
        return True

    def _carried(
        self, room: PendingPackets, seen: Sighting
    ) -> tuple[BoxEvent | None, Track | None]:
        """What the boxes of a wire know of a packet that goes out there, and whose it is."""
        if seen.node not in self._carriers:
            return None, None
        frame = self._frames[seen.frame]
        box_event = self._box_events.leaving(seen.node, seen.interface, frame)
        if box_event is None:
            return None, None
        if box_event.came is None:
            if not box_event.actions:
                return box_event, None  # it had come before anybody looked
            # Made there, be it of what the box had kept or of nothing.
            made = self._related(room, seen) or self._begin(seen.view, seen.node, seen.time_ns)
            return box_event, made
        track = self._box_events.track_of(box_event)
        if track is None or any(action.what in ("cut", "merged") for action in box_event.actions):
            return box_event, None
        if track in room:
            return box_event, track
        return box_event, self._copy(track, seen)

    def _sent_by_program(self, frame: Frame, seen: Sighting) -> Track | None:
        """The track of what a program says that it sent."""
        report = self._reports.leaving(frame)
        if report is None:
            return None
        track = self._reports.track_of(report)
        if report.end or track is None:
            made = self._begin(seen.view, seen.node, seen.time_ns)  # its own, be it an answer
            made.reports.append(report)
            return made
        if track.report is report:
            track.report = None
            if len(report.left) == 1:
                return track
            track.becoming, track.covered = "cut", carried(track.view)
            self._leave_rooms(track)
        elif track.becoming != "cut":
            return self._copy(track, seen)
        piece = self._begin(seen.view, seen.node, seen.time_ns)
        piece.parents.append(track)
        track.children.append(piece)
        return piece

    # What was not expected as it came

    def _implied(self, wire: PendingPackets, seen: Sighting) -> Track | None:
        """It went out at the other end of the wire, where nobody looked."""
        end = self._peers.get((seen.node, seen.interface))
        if end is None:
            return None
        node, interface = end
        self._goes_out(seen._replace(node=node, interface=interface, direction="out"))
        return wire.find(seen.view)

    def _copied(self, seen: Sighting) -> Track | None:
        """A second time out of a node that the packet entered once: the node made a copy.

        So does a switch that hands a broadcast frame to its own bridge device.
        """
        if seen.direction == "in" and (seen.node, seen.interface) not in self._inner:
            return None
        first = self._gone.get((seen.node, seen.view.key))
        if first is None or (first.is_dead and first.node == seen.node):
            return None
        out = next(
            (s for s in first.sightings if s.node == seen.node and s.direction == "out"), None
        )
        if out is None or (out.view.identification, out.view.ttl, out.view.transport[:20]) != (
            seen.view.identification,
            seen.view.ttl,
            seen.view.transport[:20],
        ):
            return None
        return self._copy(first, seen)

    def _copy(self, first: Track, seen: Sighting) -> Track:
        copy = self._begin(seen.view, seen.node, seen.time_ns)
        first.add_copy(copy, seen.node)
        return copy

    def _adopt_looped(self, track: Track, seen: Sighting) -> None:
        """The copy of a broadcast that the sender's kernel handed to itself just before."""
        own = self._own.get(seen.node, set())
        looped = self._node(seen.node).find(
            seen.view, lambda t: t.is_looped(own) and not t.parents, newest=True
        )
        if looped:
            track.add_copy(looped, seen.node)

    def _related(self, room: PendingPackets, seen: Sighting) -> Track | None:
        """A piece of what was expected, or several of them in one."""
        fit = self._overlapping(room, seen, seen.view)
        origins = () if fit else self._fragments.of(room, seen)
        for origin in origins:
            fit = fit or self._overlapping(room, seen, origin)
        if not fit:
            return None
        track = self._begin(seen.view, seen.node, seen.time_ns)
        for parent, amount in fit:
            track.parents.append(parent)
            parent.children.append(track)
            whole = carried(parent.view)
            parent.becoming = "merged" if amount == whole else "cut"
            parent.covered += amount
            if parent.covered >= whole:
                self._leave_rooms(parent)
                parent.node = seen.node  # which may have done it as it came in
        return track

    def _overlapping(
        self, room: PendingPackets, seen: Sighting, packet: View
    ) -> list[tuple[Track, int]]:
        return [(t, amount) for t, amount in room.overlapping(packet) if self._may_go_on(t, seen)]

    def _rewritten(self, room: PendingPackets, seen: Sighting) -> Track | None:
        """The same packet with its sequence numbers, options or payload rewritten by a box."""
        own = self._own.get(seen.node, set())
        for track in room.latest():
            came = track.view
            if came.destination in own or not self._may_go_on(track, seen):
                continue
            if came.protocol != seen.view.protocol or came.is_fragment or seen.view.is_fragment:
                continue
            same_flow = came.flow == seen.view.flow and came.identification == (
                seen.view.identification
            )
            start = came.header_length
            same_payload = (
                came.payload_length == seen.view.payload_length >= 8
                and came.transport[start:] == seen.view.transport[seen.view.header_length :]
                and bool(came.transport[start:])
            )
            if (same_flow or same_payload) and came.flags & 0x3F == seen.view.flags & 0x3F:
                return track
        return None

    # Other evidence

    def drop(self, drop: KernelDrop) -> None:
        """End the track of a packet that the kernel freed."""
        if drop.reason in NOT_DEATHS or drop.function.startswith(COPIES):
            return
        if drop.node in self._carriers:
            return  # programs took it by packet socket; what the kernel drops there is a copy
        packet = view(drop.data)
        if packet and packet.protocol in COPIED_TO_RAW and drop.function.startswith("raw"):
            return
        if packet is None:
            # Not IP, or only said to be: then a frame of it was seen.
            found = [self._dropped(drop, packet) for packet in illegible(drop.data)]
            tracks = found[0] or found[1]
        else:
            tracks = self._dropped(drop, packet)
        if packet and not tracks:
            track = self._begin(packet, drop.node, drop.time_ns)
            self._claim(track, self._rule_traces.dying(drop.node, packet))
            tracks = [track]
        for track in tracks:
            track.drop = drop
            if track.node != drop.node:
                self._leave_rooms(track)
                track.node = drop.node

    def _dropped(self, drop: KernelDrop, packet: View) -> list[Track]:
        def lives(track: Track) -> bool:
            return track.drop is None

        newest = drop.reason not in LATE_REASONS
        room = self._node(drop.node)
        found = room.find(packet, lives, newest=newest)
        if found:
            return [found]
        for place in self._interfaces.get(drop.node, []):
            # Before it was seen to come in, or after it was seen to go out.
            for end in dict.fromkeys((place, self._peers.get(place, place))):
                found = self._wire(end).find(packet, lives, newest=newest)
                if found:
                    return [found]
        # Reassembled, or not yet cut: all that belongs to it.
        return [track for track, _ in room.overlapping(packet) if lives(track)]

    def never_seen(self) -> None:
        """Packets that only nft met: made in a node and gone before they reached an interface."""
        cut = {
            (first.node, *trait)
            for first in (track.sightings[0] for track in self.tracks if track.sightings)
            for trait in _beginnings(first.view)
        }
        for order in self._clock.values():
            order.sort()
        for rule_trace in sorted(self._rule_traces.rest(), key=lambda p: p.number):
            packet = rule_trace.arrived
            if packet is None or not rule_trace.local:
                continue
            known = any((rule_trace.node, *trait) in cut for trait in _beginnings(packet))
            if known and not rule_trace.dropped:
                continue  # nft met it whole, the wire saw its pieces
            self._begin(packet, rule_trace.node, self._time_of(rule_trace)).rule_traces.append(
                rule_trace
            )

    def _claim(self, track: Track, rule_trace: RuleTrace | None) -> None:
        if rule_trace:
            track.rule_traces.append(rule_trace)
            self._clock.setdefault(track.node, []).append((rule_trace.number, track.time_ns))

    def _time_of(self, rule_trace: RuleTrace) -> int:
        """A time for it: nft tells order only, so just after the passage before."""
        known = self._clock.get(rule_trace.node, [])
        before = bisect_left(known, (rule_trace.number, 0))
        return known[before - 1][1] + 1 if before else self._began


def _beginnings(packet: View) -> Iterator[tuple[object, ...]]:
    """What a packet has in common with the first piece that it is cut into on its way out."""
    who = packet.flow[:3]
    if packet.version == 4:
        yield (*who, packet.identification)
    elif packet.is_fragment or packet.length > LEAST_MTU:
        yield (*who, "pieces")  # IPv6 numbers a datagram only when it cuts it
    if packet.protocol == TCP:
        yield (*packet.flow, packet.sequence)
