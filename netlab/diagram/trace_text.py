"""Fates for people: hops as text, a conversation as a ladder, the ways over the topology."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.diagram.paths import Leg, Way
from netlab.diagram.sequence.model import Arrow, Column, Ladder
from netlab.trace.disposition import Disposition
from netlab.trace.explain import because
from netlab.trace.fold import Folded
from netlab.trace.inventory import peers
from netlab.wire.view import TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from netlab.capture.evidence import Gap
    from netlab.diagram.paths import Ending
    from netlab.diagram.sequence.model import State
    from netlab.plan.operations import NodeSummary, Plan
    from netlab.trace.model import Hop, PacketTrace, Traces


FOLDED = 60
"""Packets from which on equal ones are summed up."""


def text(traces: Traces, numbers: Mapping[int, int] | None = None) -> str:
    """Every packet's journey, hop by hop, and its end; by its id, or its number if it has one.

    Of more than ``FOLDED`` without numbers, equal ones are summed up.
    """
    known = numbers or {}
    if not known and len(traces) > FOLDED:
        folded = Folded()
        folded.add(traces)
        return folded_text(folded, traces.gaps)
    blocks = [
        "\n".join(_journey(packet_trace, known.get(packet_trace.id, packet_trace.id)))
        for packet_trace in traces
    ]
    return _joined(blocks, traces.gaps)


def folded_text(folded: Folded, gaps: Iterable[Gap] = ()) -> str:
    """The same of packets of which equal ones are summed up."""
    blocks = ["\n".join(_journey(packet_trace, packet_trace.id)) for packet_trace in folded.kept]
    ends = {one.id: end(one) for one in folded.kept}
    blocks += [
        f"and {count} more like #{number}: {ends[number]}"
        for number, count in sorted(folded.more.items())
    ]
    blocks += [f"and {count} of other kinds: {what}" for what, count in folded.others.items()]
    return _joined(blocks, gaps)


def _joined(blocks: list[str], gaps: Iterable[Gap]) -> str:
    blocks += [f"incomplete capture ({gap.node or 'all nodes'}, {gap.collector}): "
               f"{gap.text}" for gap in gaps]  # fmt: skip
    return "\n\n".join(blocks) + "\n" if blocks else "no packets\n"


def _journey(packet_trace: PacketTrace, number: int) -> Iterator[str]:
    yield f"#{number}  {packet_trace.label}{_relation(packet_trace)}"
    width = max((len(hop.node) for hop in packet_trace.hops), default=0)
    ports = max((len(hop.interface) for hop in packet_trace.hops), default=0)
    start, node = (packet_trace.hops[0].time_ns if packet_trace.hops else 0), ""
    for hop in packet_trace.hops:
        name, node = (hop.node if hop.node != node else ""), hop.node
        line = (
            f"  {(hop.time_ns - start) / 1000:>9.1f} µs  {name:<{width}}"
            f"  {hop.interface:<{ports}}  {hop.direction:<3}  {', '.join(hop.changes + hop.boxes)}"
            f"{' [conntrack]' if hop.binding else ''}"
        )
        yield line.rstrip()
    yield f"  {mark(packet_trace)} {end(packet_trace)}"
    if packet_trace.reason.rule and packet_trace.reason.label:
        yield f"      {packet_trace.reason.rule}"


def _relation(packet_trace: PacketTrace) -> str:
    if not packet_trace.parents:
        return ""
    of = " ".join(f"#{parent}" for parent in packet_trace.parents)
    return f"  (a copy of {of})" if packet_trace.copied else f"  (of {of})"


def mark(packet_trace: PacketTrace) -> str:
    """A tick, a cross, a dot for what a stranger ignored, dots for what lives on in others."""
    if packet_trace.arrived:
        return "✓"
    if packet_trace.disposition is Disposition.IGNORED:
        return "·"
    return "…" if packet_trace.disposition.lives_on else "✗"


def end(packet_trace: PacketTrace) -> str:
    """The end in a line: ``denied in nat: forward chain, rule "x" (nat.yaml:23)``."""
    return f"{packet_trace.disposition} in {packet_trace.node}: {because(packet_trace.reason)}"


def ladder(
    traces: Traces, plan: Plan, title: str = "", numbers: Mapping[int, int] | None = None
) -> Ladder:
    """The packets of ``traces`` as a ladder over the nodes that they touched.

    ``numbers`` (fate id to number) are shown at those packets that have one.
    """
    ends = {end: node for end, (node, _) in peers(plan).items()}
    touched = {hop.node for packet_trace in traces for hop in packet_trace.hops} | {
        f.node for f in traces
    }
    columns = tuple(
        Column(node.name, node.kind, _address(node.interfaces))  # type: ignore[arg-type]
        for node in _in_order(plan, ends)
        if node.name in touched
    )
    names = {column.name for column in columns}
    arrows = tuple(
        arrow
        for packet_trace in traces
        for arrow in _arrows(packet_trace, ends, (numbers or {}).get(packet_trace.id, 0))
        if _known(arrow, names)
    )
    description = "" if traces.complete else "incomplete capture"
    return Ladder(title, columns, arrows, (), description)


def _in_order(plan: Plan, ends: Mapping[tuple[str, str], str]) -> list[NodeSummary]:
    """The nodes as the file has them, each wire with boxes between the nodes that it joins."""
    places = {node.name: float(place) for place, node in enumerate(plan.nodes)}
    for node in plan.nodes:
        joined = [ends[node.name, i.name] for i in node.interfaces if (node.name, i.name) in ends]
        if node.kind == "inline" and joined:
            places[node.name] = sum(places[name] for name in joined) / len(joined)
    return sorted(plan.nodes, key=lambda node: places[node.name])


def ways(
    traces: Iterable[PacketTrace], plan: Plan, numbers: Mapping[int, int] | None = None
) -> list[Way]:
    """The ways of the packets, each with all the packets that went it, by their ``numbers``."""
    ends = {end: node for end, (node, _) in peers(plan).items()}
    groups: dict[tuple[object, ...], list[tuple[Way, int]]] = {}
    for packet_trace in traces:
        way = _way(packet_trace, ends)
        fields = tuple((node, _fields(what)) for node, what in way.rewrites)
        key = (way.legs, way.node, way.ending, way.reason, fields)
        groups.setdefault(key, []).append((way, (numbers or {}).get(packet_trace.id, 0)))
    found = []
    for group in groups.values():
        first = group[0][0]
        numbered = tuple(sorted({number for _, number in group if number}))
        rewrites = tuple(
            (node, what if len({way.rewrites[at] for way, _ in group}) == 1 else _fields(what))
            for at, (node, what) in enumerate(first.rewrites)
        )
        found.append(replace(first, numbers=numbered, rewrites=rewrites))
    return sorted(found, key=lambda way: way.numbers or (len(numbers or {}) + 1,))


def _way(packet_trace: PacketTrace, ends: Mapping[tuple[str, str], str]) -> Way:
    legs, rewrites = [], []
    for hop in packet_trace.hops:
        changed = ", ".join(_telling(hop))
        if changed:
            rewrites.append((hop.node, changed))
        if hop.direction == "out" and (hop.node, hop.interface) in ends:
            legs.append(Leg(hop.node, hop.interface, bool(rewrites)))
    ending: Ending = "dropped"
    if packet_trace.arrived:
        ending = "arrived"
    elif packet_trace.disposition.lives_on:
        ending = "onward"
    elif packet_trace.disposition is Disposition.LOST_ON_LINK:
        ending = "lost"
    reason = "" if ending in ("arrived", "onward") else because(packet_trace.reason)
    return Way((), tuple(legs), packet_trace.node, ending, reason, tuple(rewrites))


def _fields(changes: str) -> str:
    """``IP::Src, TCP::SrcPort`` of changes with their values."""
    return ", ".join(change.partition(" ")[0] for change in changes.split(", "))


def _known(arrow: Arrow, names: set[str]) -> bool:
    return arrow.source in names and arrow.target in names


def _address(interfaces: Iterable[object]) -> str:
    for interface in interfaces:
        for address in getattr(interface, "addresses", ()):
            return str(address).partition("/")[0]
    return ""


def _arrows(
    packet_trace: PacketTrace, ends: Mapping[tuple[str, str], str], number: int
) -> Iterator[Arrow]:
    """An arrow for each wire that the packet crossed, the last one with its end."""
    label, detail = _names(packet_trace)
    if number:
        label = f"#{number} {label}"
    hops = [hop for hop in packet_trace.hops if hop.direction == "out"]
    dead = not packet_trace.arrived and not packet_trace.disposition.lives_on
    if not hops:
        if dead:
            node, reason = packet_trace.node, because(packet_trace.reason)
            start = packet_trace.hops[0].time_ns if packet_trace.hops else 0
            yield Arrow(start, node, node, label, detail, "dropped", "", reason, number)
        return
    for index, hop in enumerate(hops):
        target = ends.get((hop.node, hop.interface), hop.node)
        rewritten = ", ".join(_telling(hop))
        state: State = "rewritten" if rewritten else "delivered"
        at, note = "", rewritten
        if dead and index == len(hops) - 1:
            lost = packet_trace.disposition is Disposition.LOST_ON_LINK
            state, at = ("lost", "") if lost else ("dropped", target)
            note = because(packet_trace.reason)
        yield Arrow(hop.time_ns, hop.node, target, label, detail, state, at, note, number)


def _telling(hop: Hop) -> list[str]:
    """The changes worth a look: a router's TTL is not."""
    return [change for change in hop.changes if not change.startswith("IP::TTL")]


def _names(packet_trace: PacketTrace) -> tuple[str, str]:
    """What an arrow says: ``SYN``, ``UDP``, ``ICMP 8/0``, ``protocol 255``; and how much."""
    packet = packet_trace.packet
    amount = f"{packet.payload_length} octets" if packet.payload_length else ""
    head, _, rest = packet_trace.label.partition(" ")
    if packet.protocol == TCP:
        flags = ("FIN", "SYN", "RST", "PSH", "ACK")
        head = "+".join(n for bit, n in enumerate(flags) if packet.flags >> bit & 1) or "TCP"
    elif packet.protocol == UDP:
        amount = f"{packet.source_port} > {packet.destination_port}, {amount}"
    else:
        head += f" {rest.partition(' ')[0]}"
    return head, amount
