"""What the driver of a sweep did and what was captured meanwhile, joined into one row a number.

    Attempt   what the sender's kernel said      ─┐
    Delivery  a raw socket of the server got it  ─┼─▶ join ──▶ Sweep ─── Row
    Traces    what became of each packet         ─┘

The traces are those of every other command, so a row and ``explain`` are one truth.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from netlab.hdp import numbers
from netlab.hdp.probes import Quote, recognise
from netlab.probe import verdict
from netlab.probe.rows import Hop, Row, Sweep
from netlab.trace.tree import end_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from netlab.capture.evidence import Evidence
    from netlab.hdp.probes import Attempt, Probe, Sent
    from netlab.trace.model import PacketTrace, Traces

_ETHERNET = 14


class Seen(NamedTuple):
    """The probes among some traces.

    ``parts`` are the traces of what left the client, by probe; ``quotes`` the ICMP errors that
    came back to it; ``everything`` is all traces by id.
    """

    parts: dict[Probe, list[PacketTrace]]
    quotes: list[Quote]
    everything: dict[int, PacketTrace]

    def end(self, probe: Probe) -> PacketTrace | None:
        """The trace from which the end of a probe follows."""
        return end_of(self.parts.get(probe, ()), self.everything)


def recognised(sent: Sent, evidence: Evidence, traces: Traces) -> Seen:
    """The probes of ``sent`` among the traces of the evidence."""
    seen = Seen({}, [], {one.id: one for one in traces})
    datagrams: dict[tuple[object, ...], Probe] = {}
    for one in traces:
        if one.parents or not one.frames:
            continue
        frame = evidence.frames[one.frames[0]]
        packet = one.packet
        datagram = (packet.source, packet.destination, *packet.datagram)
        what = recognise(frame.data[_ETHERNET:] if frame.ethernet else frame.data, sent.run)
        if what is None and packet.fragment_offset:
            what = datagrams.get(datagram)
        if isinstance(what, Quote):
            last = one.hops[-1]
            if (last.node, last.direction) == (sent.client, "in"):
                seen.quotes.append(what)
        elif what and one.origin == sent.client:
            seen.parts.setdefault(what, []).append(one)
            if packet.is_fragment:
                datagrams[datagram] = what
    return seen


def join(sent: Sent, evidence: Evidence, traces: Traces) -> Sweep:
    """One row for each number that was tried, in the order of trying."""
    attempts: defaultdict[int, list[Attempt]] = defaultdict(list)
    for attempt in sent.attempts:
        attempts[attempt.probe.argument].append(attempt)
    results = _Results(sent, recognised(sent, evidence, traces))
    rows = tuple(results.row(argument, tried) for argument, tried in attempts.items())
    packets = max((attempt.probe.serial + 1 for attempt in sent.attempts), default=0)
    gaps = tuple(f"{gap.node or 'all nodes'}, {gap.collector}: {gap.text}" for gap in traces.gaps)
    return Sweep(sent.family, packets, rows, gaps, sent.interrupted)


def _untranslated(seen: Seen) -> set[int]:
    """The numbers of probes that kept their source where other probes had another one."""
    kept: set[tuple[int, str, str]] = set()
    outside: set[tuple[str, str]] = set()
    for probe, parts in seen.parts.items():
        for part in parts:
            is_changed = False
            for hop in part.hops:
                is_changed |= any(change.startswith("IP::Src ") for change in hop.changes)
                if is_changed:
                    outside.add((hop.node, hop.interface))
                else:
                    kept.add((probe.argument, hop.node, hop.interface))
    return {argument for argument, *place in kept if tuple(place) in outside}


class _Results:
    """What is known about all numbers."""

    def __init__(self, sent: Sent, seen: Seen) -> None:
        self._sent = sent
        self._seen = seen
        self._deliveries = {delivery.probe: delivery for delivery in sent.deliveries}
        self._replies: defaultdict[int, list[Quote]] = defaultdict(list)
        for quote in seen.quotes:
            self._replies[quote.probe.argument].append(quote)
        self._untranslated = _untranslated(seen)

    def row(self, argument: int, tried: Sequence[Attempt]) -> Row:
        """The row of one number."""
        sent, seen, protocol = self._sent, self._seen, numbers.on_the_wire(argument)
        accepted = {attempt.probe: attempt.time for attempt in tried if attempt.is_sent}
        ends = {probe: seen.end(probe) for probe in accepted}
        delivered = {p: self._deliveries[p] for p in accepted if p in self._deliveries}
        there = {probe: delivery.time for probe, delivery in delivered.items()}
        for probe, end in ends.items():
            if end and verdict.has_reached(end, sent.server, protocol):
                there[probe] = end.hops[-1].time_ns
        waits = [there[probe] - time for probe, time in accepted.items() if probe in there]
        replies = ((reply.type, reply.code) for reply in self._replies[argument])
        case = verdict.Case(
            family=sent.family,
            argument=argument,
            socket_error=tried[0].socket_error,
            send_error=next((a.send_error for a in tried if a.send_error), None),
            sent=len(accepted),
            on_wire=sum(end is not None for end in ends.values()),
            arrived=None if sent.server is None else len(there),
            received=len(delivered) if sent.listening else None,
            reply=max(replies, default=None),
            losses=tuple(
                verdict.Loss(probe.serial + 1, end)
                for probe, end in ends.items()
                if sent.server is not None and probe not in there
            ),
            untranslated=argument in self._untranslated,
        )
        outcome, reason = verdict.judge(case)
        return Row(
            argument=argument,
            protocol=None if case.socket_error else protocol,
            socket_error=case.socket_error,
            send_error=case.send_error,
            sent=case.sent,
            on_wire=case.on_wire,
            arrived=case.arrived,
            received=case.received,
            reply=case.reply_text,
            latency_us=median(waits) / 1000 if waits else None,
            outcome=outcome,
            reason=reason,
            length=next((d.length for d in delivered.values()), None),
            hops=tuple(_hops(end for end in ends.values() if end)),
        )


def _hops(ends: Iterable[PacketTrace]) -> Iterator[Hop]:
    """The interfaces in the order in which the first probe passed them."""
    counts: dict[tuple[str, str, str], int] = {}
    for end in ends:
        for hop in end.hops:
            place = hop.node, hop.interface, hop.direction
            counts[place] = counts.get(place, 0) + 1
    for (node, interface, direction), count in counts.items():
        yield Hop(node, interface, "in" if direction == "in" else "out", count)
