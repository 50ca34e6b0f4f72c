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
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from netlab.capture.evidence import MISSED
from netlab.trace import neighbours
from netlab.trace.box_events import by_box, kept
from netlab.trace.counters import CAUSES, SILENT, suspicions
from netlab.trace.disposition import NO_NEIGHBOUR, REASONS, Disposition, of_kernel
from netlab.trace.icmp_errors import Answers, accepted
from netlab.trace.model import Reason
from netlab.trace.neighbours import Requests, asks_for
from netlab.trace.pending import carried
from netlab.wire import address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlab.capture.evidence import Evidence, RefusingRoute, RuleVerdict
    from netlab.trace.icmp_errors import IcmpError
    from netlab.trace.nat_bindings import Bindings
    from netlab.trace.program_reports import Programs
    from netlab.trace.track import Sighting, Track


End: TypeAlias = tuple[Disposition, Reason]


NOT_OURS = frozenset(
    {Disposition.NOT_FORWARDING, Disposition.NO_ROUTE, Disposition.RPF_FAILED, Disposition.UNKNOWN}
)
"""Ends of packets that a node's kernel does not take for its own."""


ROUTE_KINDS = {
    "unreachable": Disposition.UNREACHABLE_ROUTE,
    "prohibit": Disposition.PROHIBIT_ROUTE,
    "blackhole": Disposition.BLACKHOLE_ROUTE,
}
ROUTES = frozenset({Disposition.NO_ROUTE, *ROUTE_KINDS.values()})


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
        self._clashes = {
            c.node
            for c in evidence.counts
            if c.name in ("conntrack.insert_failed", "conntrack.drop")
        }
        self._macs = {
            (node, i.name): i.mac
            for node, place in self._places.items()
            for i in place.interfaces
            if i.mac
            and place.kind != "inline"
            and not any(one.kind == "bridge" for one in place.interfaces)
        }
        self._refusing: dict[str, list[RefusingRoute]] = {}
        for route in evidence.routes:
            self._refusing.setdefault(route.node, []).append(route)
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
        answers = self._answers = Answers(tracks)
        for track in tracks:
            end = self._certain(track)
            if end is None or (track.drop and end[0].arrived):
                # What TIME-WAIT takes it may still refuse.
                end = self._refused(track) or answered(answers.of(track)) or end
            if end:
                self._known[id(track)] = end
            else:
                doubtful.append(track)
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
            return self._by_kernel(track)
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

    def _by_kernel(self, track: Track) -> End:
        drop = track.drop
        assert drop
        disposition, text = of_kernel(drop.reason, drop.function, track.view, drop.state)
        said = f"{text} [{drop.reason} in {drop.function}]" if drop.function else text
        if disposition is Disposition.NEIGHBOUR_UNREACHABLE:
            request = self._requests.of(drop.node, track.view.destination)
            if request and text == NO_NEIGHBOUR:
                text = neighbours.text(request)
            return disposition, Reason("kernel", f"{text} [{drop.reason} in {drop.function}]")
        if disposition in ROUTES and disposition is not Disposition.PROHIBIT_ROUTE:
            return self._by_route(track, disposition, said)
        if disposition is Disposition.QUEUE_FULL and self._has_no_queue(track.node):
            came = track.last and track.last.interface
            device = self._programs.unopened(track.node, came or "")
            text = f"no program has {device} open" if device else "the link behind it is down"
            said = f"{text} [{drop.reason} in {drop.function}]"
            return Disposition.LINK_DOWN, Reason("kernel", said)
        place = self._places.get(track.node)
        if place and place.kind == "bridge" and disposition in NOT_OURS:
            return Disposition.IGNORED, Reason("kernel", "the switch itself has no use for it")
        if drop.reason != "NETFILTER_DROP":
            return disposition, Reason("kernel", said)
        # nft's own drops happen in nft_do_chain; what passes every chain and dies all the same
        # dies when conntrack confirms its entry, for which a counter is the only witness.
        beyond_rules = drop.function != "nft_do_chain"
        if beyond_rules and drop.node in self._clashes:
            return Disposition.NAT_CLASH, Reason("conntrack", CLASH)
        return disposition, Reason("kernel", said)

    def _by_route(self, track: Track, disposition: Disposition, said: str) -> End:
        """No route, or one that refuses: the routes say which, or what was answered."""
        kinds = self._refusing.get(track.node, ())
        fit = [route for route in kinds if route.covers(track.view.destination)]
        if fit:
            kind = max(fit, key=lambda route: route.length).kind
            return ROUTE_KINDS[kind], Reason("kernel", article(kind))
        if disposition is Disposition.BLACKHOLE_ROUTE:
            answer = self._answers.of(track)
            by_code = {"host unreachable": "unreachable", "administratively prohibited": "prohibit"}
            kind = by_code.get(answer.text.rpartition(": ")[2], "") if answer else "blackhole"
            if kind:
                return ROUTE_KINDS[kind], Reason("kernel", article(kind))
        return disposition, Reason("kernel", said)

    def _refused(self, track: Track) -> End | None:
        """A refusing route, of a packet that never came out of a node and that no one saw die."""
        last = track.last
        if self._sees_drops(track.node) or last is None or last.direction != "in":
            return None
        if self._is_at_home(track):
            return None
        kinds = self._refusing.get(track.node, ())
        fit = [route for route in kinds if route.covers(track.view.destination)]
        if not fit:
            return None
        kind = max(fit, key=lambda route: route.length).kind
        return ROUTE_KINDS[kind], Reason("inferred", article(kind))

    def _has_no_queue(self, node: str) -> bool:
        """Whether no queue of the node counted a drop: then the kernel had detached it."""
        return self._sees_counters(node) and not any(
            c.node == node and c.name.startswith("queue.") and c.name.endswith(".drops")
            for c in self._evidence.counts
        )

    def _sees_counters(self, node: str) -> bool:
        return "counters" not in self._blind and ("counters", node) not in self._blind_at

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


CLASH = "its translation is taken: conntrack could not confirm the entry (insert_failed)"


def article(kind: str) -> str:
    """``a blackhole route``, ``an unreachable route``."""
    return f"{'an' if kind == 'unreachable' else 'a'} {kind} route"


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
