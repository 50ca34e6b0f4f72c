"""What the kernel's drop of a packet means, with all that qualifies it.

A reason alone is ambiguous: a refusing route, a clash in conntrack, a link without carrier and a
neighbour that does not answer are distinguished by routes, counters, answers and requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from netlab.trace import neighbours
from netlab.trace.disposition import NO_NEIGHBOUR, Disposition, of_kernel
from netlab.trace.model import Reason

if TYPE_CHECKING:
    from netlab.capture.evidence import Evidence, RefusingRoute
    from netlab.trace.icmp_errors import Answers
    from netlab.trace.neighbours import Requests
    from netlab.trace.program_reports import Programs
    from netlab.trace.track import Track


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

CLASH = "its translation is taken: conntrack could not confirm the entry (insert_failed)"


class KernelReasons:
    """The ends that follow from drops, in one body of evidence."""

    def __init__(
        self, evidence: Evidence, requests: Requests, answers: Answers, programs: Programs
    ) -> None:
        self._places = evidence.inventory
        self._requests = requests
        self._answers = answers
        self._programs = programs
        blind = {gap.node for gap in evidence.gaps if gap.collector == "counters"}
        self._uncounted = set(self._places) if "" in blind else blind
        self._full = {
            c.node
            for c in evidence.counts
            if c.name.startswith("queue.") and c.name.endswith(".drops")
        }
        self._clashes = {
            c.node
            for c in evidence.counts
            if c.name in ("conntrack.insert_failed", "conntrack.drop")
        }
        self._refusing: dict[str, list[RefusingRoute]] = {}
        for route in evidence.routes:
            self._refusing.setdefault(route.node, []).append(route)

    def of(self, track: Track) -> End:
        """The end of a track that the kernel dropped."""
        drop = track.drop
        assert drop
        disposition, text = of_kernel(drop.reason, drop.function, track.view, drop.state)
        named = f" [{drop.reason} in {drop.function}]" if drop.function else ""
        said = Reason("kernel", text + named)
        if disposition is Disposition.NEIGHBOUR_UNREACHABLE:
            request = self._requests.of(drop.node, track.view.destination)
            if request and text == NO_NEIGHBOUR:
                text = neighbours.text(request)
            return disposition, Reason("kernel", text + named)
        if disposition in ROUTES and disposition is not Disposition.PROHIBIT_ROUTE:
            return self._by_route(track, disposition, said)
        if disposition is Disposition.QUEUE_FULL and self._has_no_queue(track.node):
            device = self._programs.unopened(track.node, track.last.interface if track.last else "")
            text = f"no program has {device} open" if device else "the link behind it is down"
            return Disposition.LINK_DOWN, Reason("kernel", text + named)
        place = self._places.get(track.node)
        if place and place.kind == "bridge" and disposition in NOT_OURS:
            return Disposition.IGNORED, Reason("kernel", "the switch itself has no use for it")
        # nft's own drops happen in nft_do_chain; what passes every chain and dies all the same
        # dies when conntrack confirms its entry, for which a counter is the only witness.
        is_of_conntrack = drop.reason == "NETFILTER_DROP" and drop.function != "nft_do_chain"
        if is_of_conntrack and drop.node in self._clashes:
            return Disposition.NAT_CLASH, Reason("conntrack", CLASH)
        return disposition, said

    def refusing(self, track: Track) -> End | None:
        """The refusing route that a packet must have met where no one saw it die."""
        kind = self._kind_of_route(track)
        return (ROUTE_KINDS[kind], Reason("inferred", article(kind))) if kind else None

    def _by_route(self, track: Track, disposition: Disposition, said: Reason) -> End:
        """No route, or one that refuses: the routes say which, or what was answered."""
        kind = self._kind_of_route(track)
        if not kind and disposition is Disposition.BLACKHOLE_ROUTE:
            answer = self._answers.of(track)
            by_code = {"host unreachable": "unreachable", "administratively prohibited": "prohibit"}
            kind = by_code.get(answer.text.rpartition(": ")[2], "") if answer else "blackhole"
        return (ROUTE_KINDS[kind], Reason("kernel", article(kind))) if kind else (disposition, said)

    def _kind_of_route(self, track: Track) -> str:
        refusing = self._refusing.get(track.node, ())
        fit = [route for route in refusing if route.covers(track.view.destination)]
        return max(fit, key=lambda route: route.length).kind if fit else ""

    def _has_no_queue(self, node: str) -> bool:
        """Whether no queue of the node counted a drop: then the kernel had detached it."""
        return node not in self._uncounted and node not in self._full


def article(kind: str) -> str:
    """``a blackhole route``, ``an unreachable route``."""
    return f"{'an' if kind == 'unreachable' else 'a'} {kind} route"
