"""From a track to its end: who saw it, what that means, and how sure it is.

Witnesses are heard in this order, the first that knows decides:

    a program   took it and says what it did with it
    nft         a rule or a policy dropped it
    the kernel  freed it for a reason
    a wire      took it in and did not give it out: its boxes say why, or it is inferred
    the place   it reached its destination, or a wire that nobody watches
    answers     an ICMP error or a RST that quotes it               from here on: inferred
    counters    rose by no less than the packets in question
    nobody      unknown

A witness that was missing makes an arrival doubtful only where it alone could have contradicted:
without drop reasons a packet that reached its node counts as delivered unless an answer or a
counter speaks against it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from netlab.capture.evidence import MISSED
from netlab.trace import neighbours
from netlab.trace.box_events import by_box, kept
from netlab.trace.checksums import is_wrong_udp
from netlab.trace.counters import CAUSES, SILENT, suspicions
from netlab.trace.disposition import REASONS, Disposition
from netlab.trace.icmp_errors import Answers, accepted
from netlab.trace.kernel_reasons import NOT_OURS, End, KernelReasons
from netlab.trace.model import Reason
from netlab.trace.neighbours import Requests, asks_for
from netlab.trace.pending import carried
from netlab.trace.reassembly import datagrams
from netlab.wire import address
from netlab.wire.view import UDP

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from netlab.capture.evidence import Evidence, RuleVerdict
    from netlab.trace.icmp_errors import IcmpError
    from netlab.trace.nat_bindings import Bindings
    from netlab.trace.program_reports import Programs
    from netlab.trace.track import Sighting, Track


SHORTEST_TIMEOUT = 1_000_000_000
"""Nanoseconds: conntrack's timeouts are whole seconds."""


class Verdict(NamedTuple):
    """The end of a track."""

    disposition: Disposition
    reason: Reason
    node: str
    interface: str


class Judge:
    """Judges the tracks of one body of evidence."""

    def __init__(
        self,
        evidence: Evidence,
        tracks: Sequence[Track],
        bindings: Bindings,
        programs: Programs,
    ) -> None:
        self._evidence = evidence
        self._bindings = bindings
        self._programs = programs
        self._places = evidence.inventory
        self._own = {
            node: {a for i in place.interfaces for a in i.addresses}
            for node, place in self._places.items()
        }
        self._blind = {gap.collector for gap in evidence.gaps if not gap.node}
        self._blind_at = {(gap.collector, gap.node) for gap in evidence.gaps}
        self._overrun = {c.node for c in evidence.counts if c.name == MISSED}
        blind = {node for collector, node in self._blind_at if collector == "boxes"}
        self._telling = {box_event.node for box_event in evidence.box_events} - blind
        self._macs = {
            (node, i.name): i.mac
            for node, place in self._places.items()
            for i in place.interfaces
            if i.mac
            and place.kind != "inline"
            and not any(one.kind == "bridge" for one in place.interfaces)
        }
        self._flow_times: dict[tuple[object, ...], list[int]] = {}
        if evidence.flows:
            for track in tracks:
                for seen in track.sightings:
                    self._flow_times.setdefault((seen.node, *seen.view.flow), []).append(
                        seen.time_ns
                    )
        self._served = set(self._spoken_for(tracks))
        self._flows_of_programs = set(taken_flows(tracks))
        self._known: dict[int, End] = {}
        doubtful = []
        self._requests = Requests(tracks, self._places)
        answers = Answers(tracks)
        self._kernel = KernelReasons(evidence, self._requests, answers, programs)
        for track in tracks:
            end = self._certain(track)
            if end is None or (track.drop and end[0] is Disposition.DELIVERED):
                # What TIME-WAIT takes it may still refuse.
                end = self._refused(track) or answered(answers.of(track)) or end
            if end:
                self._known[id(track)] = end
            else:
                doubtful.append(track)
        self._known = self._by_content(tracks, doubtful) | self._known
        doubtful = [track for track in doubtful if id(track) not in self._known]
        explained = Counter(
            (track.node, self._known[id(track)][0]) for track in tracks if id(track) in self._known
        )
        # Where the kernel's reasons are known, no arrival needs a counter's word but for what the
        # kernel is silent about.
        sure = [t for t in doubtful if self._is_at_home(t) and self._sees_drops(t.node)]
        known = {id(track) for track in sure}
        asked = [track for track in doubtful if id(track) not in known]
        taken = accepted(tracks)
        unanswered = [t for t in sure if (t.node, *t.view.flow, t.view.sequence) not in taken]
        for doubted, causes in ((asked, CAUSES), (unanswered, SILENT)):
            said = suspicions(evidence, doubted, explained, self._is_at_home, causes)
            for number, what in said.items():
                self._known[number] = what.disposition, Reason(what.source, what.text)

    def _by_content(self, tracks: Sequence[Track], doubtful: Sequence[Track]) -> dict[int, End]:
        """What follows from the packets themselves: datagrams that are not whole, or not right."""
        found: dict[int, End] = {}
        frames = self._evidence.frames
        waiting = {id(track) for track in doubtful if not track.children}
        for datagram in datagrams(t for t in tracks if self._is_collected(t, waiting)):
            fragments = datagram.in_order()
            if datagram.overlaps:
                end = Disposition.REASSEMBLY_FAILED, Reason("inferred", OVERLAP)
            elif not datagram.is_whole:
                end = Disposition.STILL_QUEUED, Reason("inferred", "waits for other fragments")
            elif is_wrong_udp(
                [frames[one.sightings[-1].frame] for one in fragments], fragments[0].view
            ):
                end = WRONG_CHECKSUM
            else:
                continue
            found |= {id(track): end for track in fragments}
        for track in doubtful:
            view, last = track.view, track.last
            if view.protocol != UDP or view.is_fragment or not last or not self._is_at_home(track):
                continue
            if is_wrong_udp([frames[last.frame]], view):
                found[id(track)] = WRONG_CHECKSUM
        return found

    def _is_collected(self, track: Track, waiting: Container[int]) -> bool:
        """Whether a fragment came as far as to be put together with others."""
        known = self._known.get(id(track))
        return id(track) in waiting or bool(known and known[0] is Disposition.REASSEMBLY_FAILED)

    def verdict(self, track: Track) -> Verdict:
        """How this one ended."""
        last = track.last
        interface = last.interface if last and last.node == track.node else ""
        disposition, reason = self._known.get(id(track)) or self._by_place(track)
        flow = (track.node, *track.view.flow)
        if (
            disposition is Disposition.NO_LISTENER
            and reason.source == "kernel"
            and (flow in self._flows_of_programs)
        ):
            # The program takes this connection and has no use for some of its segments.
            text = f"the program at {interface}, which takes its connection, passes it over"
            disposition, reason = Disposition.DELIVERED, Reason("inferred", text)
        if disposition in NOT_OURS and flow in self._served:
            # The kernel has no use for it, but a packet socket got it before.
            text = f"a program at {track.node} speaks for {address.text(track.view.destination)}"
            disposition, reason = Disposition.DELIVERED, Reason("inferred", text)
        lives = disposition.arrived or disposition.lives_on
        if last and not lives:
            reason = reason._replace(text=reason.text + self._expired(track, last))
        return Verdict(disposition, reason, track.node, interface)

    def _expired(self, track: Track, last: Sighting) -> str:
        """That its conntrack entry had expired, if so, and how long its flow had been idle."""
        gone = self._bindings.has_gone(track.node, track.view, last.time_ns)
        if not gone and not self._bindings.goes(track.node, track.view, last.time_ns):
            return ""
        source, destination, protocol, source_port, port = last.view.flow
        ways = (last.view.flow, (destination, source, protocol, port, source_port))
        times = [t for way in ways for t in self._flow_times.get((track.node, *way), ())]
        idle = last.time_ns - max((t for t in times if t < last.time_ns), default=0)
        if not gone and idle < SHORTEST_TIMEOUT:
            return ""
        since = f" (idle for {idle / 1e9:.1f} s)" if idle < last.time_ns else ""
        return f"; its conntrack entry had already expired{since}"

    def _spoken_for(self, tracks: Sequence[Track]) -> Iterator[tuple[object, ...]]:
        """Flows to foreign addresses for which a node sends all the same: a program does."""
        for track in tracks:
            if not track.sightings or track.parents or track.sightings[0].direction == "in":
                continue
            node = track.sightings[0].node
            source, destination, protocol, source_port, port = track.begins.flow
            if source and source not in self._own.get(node, ()):
                yield node, destination, source, protocol, port, source_port

    def _is_at_home(self, track: Track) -> bool:
        """Whether it came in to the node that it was for."""
        last = track.last
        if last is None or last.direction != "in" or last.node != track.node:
            return False
        frame = self._evidence.frames[last.frame]
        return (
            last.view.destination in self._own.get(last.node, ())
            or last.interface == "lo"
            # Broadcast and multicast, by the lowest bit of the Ethernet address (IEEE 802.3).
            or (frame.ethernet and bool(frame.data[0] & 1))
        )

    def _is_a_strangers(self, track: Track) -> bool:
        """Whether the frame was addressed to another node, so that this one's kernel ignores it."""
        last = track.last
        if last is None or last.direction != "in" or last.node != track.node:
            return False
        frame = self._evidence.frames[last.frame]
        mac = self._macs.get((last.node, last.interface))
        return bool(mac) and frame.ethernet and not frame.data[0] & 1 and frame.data[:6] != mac

    # Somebody saw it

    def _certain(self, track: Track) -> End | None:
        by_program = self._programs.end(track)
        if by_program:
            return by_program
        dropped = next((p.dropped for p in reversed(track.rule_traces) if p.dropped), None)
        if dropped:
            return Disposition.DENIED, by_rule(dropped)
        taken = track.rule_trace.taken if track.rule_trace else None
        if taken:
            return Disposition.ABSORBED, by_rule(taken)
        if track.drop:
            target = asks_for(track.view)
            if target and not self._requests.is_for(track.node, target):
                return neighbours.at_stranger(track.view)
            return self._kernel.of(track)
        if track.last and track.last.direction == "in":
            target = asks_for(track.view)
            if target and not self._requests.is_for(track.node, target):
                return neighbours.at_stranger(track.view)
        if self._is_a_strangers(track):
            return Disposition.IGNORED, Reason("inferred", REASONS["OTHERHOST"][1])
        if track.children and track.becoming:
            end = Disposition.MERGED if track.becoming == "merged" else _pieces(track)
            if track.becoming == "merged" or track.covered >= carried(track.view):
                word = WORDS[end]
                return end, by_box(track, word) or Reason("inferred", f"{word} at {track.node}")
        last = track.last
        if last and last.direction == "out":
            return self._left(track)
        place = self._places.get(track.node)
        if track.box_event:
            return kept(track.box_event, track.node)
        if place and place.kind == "inline" and track.node in self._telling:
            # It tells of every packet that it takes in.
            if track.node in self._overrun:
                text = "came faster than the wire's program could take it in"
                return Disposition.QUEUE_FULL, Reason("inferred", text)
            return Disposition.STILL_QUEUED, Reason("inferred", "waits for the wire's program")
        if place and place.kind == "inline":
            boxes = " or ".join(place.boxes) or "a program"
            text = f"went into {boxes} on the wire and did not come out"
            return Disposition.ABSORBED, Reason("inferred", text)
        return None

    def _refused(self, track: Track) -> End | None:
        """A refusing route, of a packet that never came out of a node and that no one saw die."""
        last = track.last
        if self._sees_drops(track.node) or last is None or last.direction != "in":
            return None
        return None if self._is_at_home(track) else self._kernel.refusing(track)

    def _left(self, track: Track) -> End:
        last = track.last
        assert last
        place = self._places.get(last.node)
        interface = next(
            (i for i in place.interfaces if i.name == last.interface) if place else iter(()), None
        )
        if interface and interface.peer:
            if ("capture", interface.peer[0]) in self._blind_at or "capture" in self._blind:
                text = f"left {last.node}; {interface.peer[0]} could not be watched well enough"
                return Disposition.UNKNOWN, Reason("inferred", text)
            text = f"left by {last.interface} and never came in at {':'.join(interface.peer)}"
            return Disposition.LOST_ON_LINK, Reason("inferred", text)
        if self._programs.is_behind(self._evidence.frames[last.frame]):
            return self._programs.without_report(last.node, last.interface)
        self._programs.lead_out(last.node, last.interface)
        text = f"left by {last.interface}, whose other end is not part of the lab"
        return Disposition.UNKNOWN, Reason("inferred", text)

    def _sees_drops(self, node: str) -> bool:
        return "drops" not in self._blind and ("drops", node) not in self._blind_at

    def _by_place(self, track: Track) -> End:
        """Nobody said anything: then it arrived, if it was in the right place."""
        if self._is_at_home(track):
            if self._sees_drops(track.node):
                return Disposition.DELIVERED, Reason("kernel", "reached its destination")
            text = "reached its destination, as far as can be seen"
            return Disposition.DELIVERED, Reason("inferred", text)
        request = self._requests.of(track.node, track.view.destination)
        if request and request.target == track.view.destination:
            return Disposition.NEIGHBOUR_UNREACHABLE, Reason("inferred", neighbours.text(request))
        return Disposition.UNKNOWN, Reason("inferred", f"never left {track.node}; nobody saw why")


def taken_flows(tracks: Sequence[Track]) -> Iterator[tuple[object, ...]]:
    """The node and flow of each packet that a program took from a packet socket."""
    for track in tracks:
        if track.report and track.report.end == Disposition.DELIVERED:
            yield track.node, *track.view.flow


WORDS = {
    Disposition.MERGED: "merged into another",
    Disposition.FRAGMENTED: "cut into fragments",
    Disposition.SEGMENTED: "cut into segments",
}


def _pieces(track: Track) -> Disposition:
    """What a packet was cut into, by its first piece."""
    is_cut = any(child.begins.is_fragment for child in track.children if not child.copied)
    return Disposition.FRAGMENTED if is_cut else Disposition.SEGMENTED


def answered(answer: IcmpError | None) -> End | None:
    """What an answer says, if there is one."""
    return (answer.disposition, Reason("inferred", answer.text)) if answer else None


OVERLAP = "it overlaps another fragment of its datagram, or contradicts its length (RFC 5722)"
WRONG_CHECKSUM = (
    Disposition.BAD_CHECKSUM,
    Reason("inferred", "the UDP checksum is wrong, so no program gets to read it"),
)


def by_rule(verdict: RuleVerdict) -> Reason:
    """What nft says: the rule, and where it came from by its comment ``LABEL FILE:LINE``."""
    label, topology = split_comment(verdict.comment)
    where = f"{verdict.hook or verdict.chain} chain"
    if verdict.kind == "policy":
        text = f"{where}, policy drop"
    elif label:
        text = f'{where}, rule "{label}"'
    else:
        text = f"{where}, rule `{verdict.rule}`" if verdict.rule else f"{where}, a rule"
    return Reason("nft", text, verdict.rule, topology, label, verdict.chain)


def split_comment(comment: str) -> tuple[str, str]:
    """Label and ``file:line`` of a rule's comment; either may be empty."""
    label, _, place = comment.rpartition(" ")
    file, colon, line = place.rpartition(":")
    if colon and file and line.isdigit():
        return label, place
    return comment, ""
