"""Fates for people: every hop of a packet as text, and a conversation as a ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.fate.disposition import Disposition
from netlab.fate.explain import because
from netlab.fate.packet import TCP, UDP
from netlab.fate.surroundings import peers
from netlab.report.ladder import Arrow, Column, Ladder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlab.fate.fates import Fate, Fates, Hop
    from netlab.plan.operations import Plan
    from netlab.report.ladder import State


def text(fates: Fates) -> str:
    """Every packet's journey, hop by hop, and its end."""
    blocks = ["\n".join(_journey(fate)) for fate in fates]
    blocks += [f"not everything could be seen: {gap.node or 'everywhere'}, {gap.collector}: "
               f"{gap.text}" for gap in fates.gaps]  # fmt: skip
    return "\n\n".join(blocks) + "\n" if blocks else "no packets\n"


def _journey(fate: Fate) -> Iterator[str]:
    yield f"#{fate.id}  {fate.label}{_relation(fate)}"
    width = max((len(hop.node) for hop in fate.hops), default=0)
    ports = max((len(hop.interface) for hop in fate.hops), default=0)
    start, node = (fate.hops[0].time_ns if fate.hops else 0), ""
    for hop in fate.hops:
        name, node = (hop.node if hop.node != node else ""), hop.node
        line = (
            f"  {(hop.time_ns - start) / 1000:>9.1f} µs  {name:<{width}}"
            f"  {hop.interface:<{ports}}  {hop.direction:<3}  {', '.join(hop.changes)}"
        )
        yield line.rstrip()
    yield f"  {_mark(fate)} {end(fate)}"
    if fate.reason.rule and fate.reason.label:
        yield f"      {fate.reason.rule}"


def _relation(fate: Fate) -> str:
    if not fate.parents:
        return ""
    of = " ".join(f"#{parent}" for parent in fate.parents)
    return f"  (a copy of {of})" if fate.copied else f"  (of {of})"


def _mark(fate: Fate) -> str:
    if fate.arrived:
        return "✓"
    return "…" if fate.disposition.lives_on else "✗"


def end(fate: Fate) -> str:
    """The end in a line: ``denied in nat: forward chain, rule "x" (nat.yaml:23)``."""
    return f"{fate.disposition} in {fate.node}: {because(fate.reason)}"


def ladder(fates: Fates, plan: Plan, title: str = "") -> Ladder:
    """The packets of ``fates`` as a ladder over the nodes that they touched."""
    ends = {end: node for end, (node, _) in peers(plan).items()}
    touched = {hop.node for fate in fates for hop in fate.hops} | {f.node for f in fates}
    columns = tuple(
        Column(node.name, node.kind, _address(node.interfaces))  # type: ignore[arg-type]
        for node in plan.nodes
        if node.name in touched
    )
    names = {column.name for column in columns}
    arrows = tuple(arrow for fate in fates for arrow in _arrows(fate, ends) if _known(arrow, names))
    description = "" if fates.complete else "not everything could be seen"
    return Ladder(title, columns, arrows, (), description)


def _known(arrow: Arrow, names: set[str]) -> bool:
    return arrow.source in names and arrow.target in names


def _address(interfaces: Iterable[object]) -> str:
    for interface in interfaces:
        for address in getattr(interface, "addresses", ()):
            return str(address).partition("/")[0]
    return ""


def _arrows(fate: Fate, ends: dict[tuple[str, str], str]) -> Iterator[Arrow]:
    """An arrow for each wire that the packet crossed, the last one with its end."""
    label, detail = _names(fate)
    hops = [hop for hop in fate.hops if hop.direction == "out"]
    dead = not fate.arrived and not fate.disposition.lives_on
    if not hops:
        if dead:
            yield Arrow(0 if not fate.hops else fate.hops[0].time_ns, fate.node, fate.node, label,
                        detail, "dropped", "", because(fate.reason))  # fmt: skip
        return
    for number, hop in enumerate(hops):
        target = ends.get((hop.node, hop.interface), hop.node)
        rewritten = ", ".join(_telling(hop))
        state: State = "rewritten" if rewritten else "delivered"
        at, note = "", rewritten
        if dead and number == len(hops) - 1:
            lost = fate.disposition is Disposition.LOST_ON_WIRE
            state, at = ("lost", "") if lost else ("dropped", target)
            note = because(fate.reason)
        yield Arrow(hop.time_ns, hop.node, target, label, detail, state, at, note)


def _telling(hop: Hop) -> list[str]:
    """The changes worth a look: a router's TTL is not."""
    return [change for change in hop.changes if not change.startswith("IP::TTL")]


def _names(fate: Fate) -> tuple[str, str]:
    """What an arrow says: ``SYN``, ``UDP``, ``ICMP 8/0``, ``protocol 255``; and how much."""
    packet = fate.packet
    amount = f"{packet.payload_length} octets" if packet.payload_length else ""
    head, _, rest = fate.label.partition(" ")
    if packet.protocol == TCP:
        flags = ("FIN", "SYN", "RST", "PSH", "ACK")
        head = "+".join(n for bit, n in enumerate(flags) if packet.flags >> bit & 1) or "TCP"
    elif packet.protocol == UDP:
        amount = f"{packet.source_port} > {packet.destination_port}, {amount}"
    else:
        head += f" {rest.partition(' ')[0]}"
    return head, amount
