"""What a drawing shows of a topology: cards for nodes, wires for links, realms behind NATs.

The four formats differ in looks, not in content; what is worth showing is decided here once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from netlab.diagram.primitives.metrics import shorten
from netlab.topology.model import MAIN_TABLE, Masquerade, Nat64, NextHop, Nptv6
from netlab.topology.nat import Translator

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from netlab.topology.model import (
        Address,
        Box,
        Firewall,
        Interface,
        InterfaceAddress,
        Link,
        Nat,
        Node,
        NodeKind,
        Program,
        Route,
        Topology,
    )
    from netlab.topology.nat import Dependence

MarkKind: TypeAlias = Literal["nat", "firewall", "boxes", "routing"]
Realm: TypeAlias = tuple[str, ...]
"""The NATs a node is behind, the outermost first; empty for the outside."""

USUAL_MTU = 1500
LONGEST_NOTE = 28
"""Columns of what is said of a box in a link."""
IMPAIR = "impair"
_IMPAIRMENTS = frozenset(
    {"delay", "jitter", "rate", "loss", "duplicate", "reorder", "corrupt", "burst-begin"}
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that a node does to packets, in one or two short lines."""

    kind: MarkKind
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A node.

    ``networks`` are the subnets of the LAN that a bridge makes; ``devices`` are the interfaces
    that no wire ends at, such as a TUN device.
    """

    name: str
    kind: NodeKind
    realm: Realm
    networks: tuple[str, ...]
    devices: tuple[str, ...]
    marks: tuple[Mark, ...]
    programs: tuple[str, ...]
    routes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class End:
    """Where a wire meets a node; ``notes`` are its addresses, and its MTU if the ends differ."""

    node: str
    interface: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wire:
    """A link, from the inside of a NAT to its outside where it has a part in one.

    ``notes`` are its subnets, its MTU if that is not the usual one, and the boxes in it.
    """

    a: End
    b: End
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Portrait:
    """All that a drawing shows. ``sides`` are ``(inside, outside)`` neighbours of a NAT."""

    title: str
    description: str
    cards: tuple[Card, ...]
    wires: tuple[Wire, ...]
    sides: frozenset[tuple[str, str]]

    @property
    def realms(self) -> tuple[Realm, ...]:
        """Every realm but the outside, outer ones first."""
        found = {card.realm[:n] for card in self.cards for n in range(1, len(card.realm) + 1)}
        return tuple(sorted(found, key=lambda realm: (len(realm), realm)))


def portray(topology: Topology) -> Portrait:
    """Decide what is shown of ``topology``."""
    neighbours = _neighbours(topology.links)
    insides = _insides(topology.nodes, neighbours)
    lans = _lans(topology, neighbours)
    sides = _sides(topology.nodes, neighbours)
    return Portrait(
        title=topology.name,
        # Free text of the author's, which must not drive the terminal it is shown on.
        description="".join(c for c in " ".join(topology.description.split()) if c.isprintable()),
        cards=tuple(
            _card(node, _realm(node.name, insides), lans.get(node.name, ()), topology.links)
            for node in topology.nodes
        ),
        wires=tuple(
            _wire(topology, link.b, link.a, link)
            if (link.b[0], link.a[0]) in sides
            else _wire(topology, link.a, link.b, link)
            for link in topology.links
        ),
        sides=sides,
    )


def _sides(
    nodes: Iterable[Node], neighbours: Mapping[str, list[tuple[str, str]]]
) -> frozenset[tuple[str, str]]:
    return frozenset(
        (node.name, peer) if interface in _outsides(node) else (peer, node.name)
        for node in nodes
        if node.nat
        for interface, peer in neighbours.get(node.name, ())
    )


def _neighbours(links: Iterable[Link]) -> dict[str, list[tuple[str, str]]]:
    """Node -> its ``(interface, neighbour)``."""
    found: dict[str, list[tuple[str, str]]] = {}
    for link in links:
        for (node, interface), (peer, _) in ((link.a, link.b), (link.b, link.a)):
            if node != peer:
                found.setdefault(node, []).append((interface, peer))
    return found


def _outsides(node: Node) -> set[str]:
    return {rule.outside for rule in node.nat if not isinstance(rule, (Nat64, Nptv6))}


def _insides(
    nodes: Iterable[Node], neighbours: Mapping[str, list[tuple[str, str]]]
) -> dict[str, frozenset[str]]:
    """NAT -> the nodes that reach the outside only through it; the largest set first.

    A NAT that can be walked around divides nothing and is left out, and so is one whose inside
    would cut across that of a larger one: realms nest.
    """
    found = {}
    for node in nodes:
        near = neighbours.get(node.name, [])
        sides = [
            _reach(
                {peer for interface, peer in near if (interface in _outsides(node)) is outside},
                node.name,
                neighbours,
            )
            for outside in (False, True)
        ]
        if node.nat and all(sides) and not sides[0] & sides[1]:
            found[node.name] = sides[0]
    nested: dict[str, frozenset[str]] = {}
    for name in sorted(found, key=lambda name: (-len(found[name]), name)):
        inside = found[name]
        if all(inside < other or not inside & other for other in nested.values()):
            nested[name] = inside
    return nested


def _reach(
    start: set[str], barred: str, neighbours: Mapping[str, list[tuple[str, str]]]
) -> frozenset[str]:
    seen = set(start)
    todo = list(start)
    while todo:
        for _, peer in neighbours[todo.pop()]:
            if peer != barred and peer not in seen:
                seen.add(peer)
                todo.append(peer)
    return frozenset(seen)


def _realm(name: str, insides: Mapping[str, frozenset[str]]) -> Realm:
    return tuple(nat for nat, inside in insides.items() if name in inside)


def _lans(
    topology: Topology, neighbours: Mapping[str, list[tuple[str, str]]]
) -> dict[str, tuple[str, ...]]:
    """Bridge -> the subnets of its LAN, which may span several bridges."""
    bridges = {node.name for node in topology.nodes if node.kind == "bridge"}
    found = {}
    for bridge in bridges:
        segment, todo = {bridge}, [bridge]
        while todo:
            for _, peer in neighbours.get(todo.pop(), ()):
                if peer in bridges and peer not in segment:
                    segment.add(peer)
                    todo.append(peer)
        addresses = [
            address
            for node in topology.nodes
            for interface in node.interfaces
            if node.name in segment or (interface.peer and interface.peer[0] in segment)
            for address in interface.addresses
        ]
        found[bridge] = tuple(dict.fromkeys(str(a.network) for a in _by_version(addresses)))
    return found


def _by_version(addresses: Iterable[InterfaceAddress]) -> list[InterfaceAddress]:
    return sorted(addresses, key=lambda address: address.version)


def _card(node: Node, realm: Realm, networks: tuple[str, ...], links: Iterable[Link]) -> Card:
    wired = {end for link in links for end in (link.a, link.b) if link.a[0] != link.b[0]}
    return Card(
        name=node.name,
        kind=node.kind,
        realm=realm,
        networks=networks,
        devices=tuple(
            f"{interface.name} {address}".rstrip()
            for interface in node.interfaces
            if (node.name, interface.name) not in wired
            for address in interface.addresses or (() if interface.kind == "bridge" else ("",))
        )
        + tuple(f"stack {address}" for address in node.stack_addresses),
        marks=tuple(_nat_mark(rule) for rule in node.nat)
        + ((_firewall_mark(node.firewall),) if node.firewall else ())
        + ((Mark("firewall", ("nftables",)),) if node.nftables.strip() else ())
        + ((_boxes_mark(node.middleboxes),) if node.middleboxes else ())
        + _routing_marks(node),
        # The program of a wire with boxes is the wire.
        programs=tuple(_program(p) for p in node.programs if node.kind != "inline"),
        routes=tuple(_route(route) for route in node.routes),
    )


def _route(route: Route) -> str:
    """A route as `ip` shows it."""
    words: list[str] = [] if route.type == "unicast" else [route.type]
    words.append("default" if route.destination.prefixlen == 0 else str(route.destination))
    hops = route.next_hops or (NextHop(route.gateway, route.interface),)
    for hop in hops:
        words += ["nexthop"] if route.next_hops else []
        words += [f"via {hop.gateway}"] if hop.gateway else []
        words += [f"dev {hop.interface}"] if hop.interface else []
        words += [f"weight {hop.weight}"] if route.next_hops else []
    words += [f"src {route.source}"] if route.source else []
    words += [f"metric {route.metric}"] if route.metric else []
    words += [f"table {route.table}"] if route.table != MAIN_TABLE else []
    return " ".join(words)


def _routing_marks(node: Node) -> tuple[Mark, ...]:
    """What of its routing a reader would not expect: rules, several next hops, refusals."""
    lines = []
    if node.rules:
        count = len({(rule.priority, rule.version) for rule in node.rules})
        lines.append(f"{count} routing rule{'s' if count > 1 else ''}")
    if any(route.next_hops for route in node.routes):
        lines.append("multipath")
    lines += sorted({route.type for route in node.routes if route.type != "unicast"})
    return (Mark("routing", tuple(lines)),) if lines else ()


_DEPENDENCE: dict[Dependence, str] = {
    "endpoint-independent": "EI",
    "address-dependent": "AD",
    "address-and-port-dependent": "APD",
}
"""The usual abbreviations: EIM/APDF is a NAT with endpoint-independent mapping (RFC 4787, 4.1)
and address-and-port-dependent filtering (section 5)."""


def _nat_mark(rule: Nat) -> Mark:
    if isinstance(rule, Nat64):
        return Mark("nat", ("NAT64", str(rule.prefix)))
    if isinstance(rule, Nptv6):
        return Mark("nat", (f"NPTv6 {rule.inside}", f"⇄ {rule.outside}"))
    if isinstance(rule, Masquerade):
        return Mark("nat", ("masquerade", rule.outside))
    if isinstance(rule, Translator):
        kind = f"{_DEPENDENCE[rule.mapping]}M/{_DEPENDENCE[rule.filtering]}F"
        return Mark("nat", (f"{rule.preset or 'NAT'} {rule.outside}", kind))
    outside = _endpoint(rule.outside_address, rule.outside_port)
    inside = _endpoint(rule.inside_address, rule.inside_port or rule.outside_port)
    if rule.protocol:
        return Mark("nat", (f"{rule.protocol} {outside}", f"→ {inside}"))
    return Mark("nat", (outside, f"⇄ {inside}"))


def _endpoint(address: Address, port: int | None) -> str:
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


MOST_BOXES = 4
"""Boxes of a node that are named."""


def _boxes_mark(boxes: tuple[Box, ...]) -> Mark:
    more = len(boxes) - MOST_BOXES
    return Mark(
        "boxes",
        tuple(_box(box) for box in boxes[:MOST_BOXES]) + ((f"{more} more",) if more > 0 else ()),
    )


def _firewall_mark(firewall: Firewall) -> Mark:
    dropped = [hook for hook, policy in firewall.policies if policy == "drop"]
    count = len(firewall.rules)
    return Mark(
        "firewall",
        ((f"drop {', '.join(dropped)}",) if dropped else ())
        + ((f"{count} rule{'s' if count > 1 else ''}",) if count else ())
        or ("accept all",),
    )


def _program(program: Program) -> str:
    port = program.ready.port if program.ready else None
    return f"{program.name} :{port[1]}" if port else program.name


def _wire(
    topology: Topology,
    first: tuple[str, str],
    second: tuple[str, str],
    link: Link,
) -> Wire:
    ends = [_interface(topology, end) for end in (first, second)]
    mtus = {interface.mtu for interface in ends}
    shown = {str(network) for network in link.networks} | {
        str(address.network)
        for (node, _) in (first, second)
        if topology.node(node).kind == "bridge"
        for interface in ends
        for address in interface.addresses
    }
    common = mtus.pop() if len(mtus) == 1 else None
    a, b = (
        End(
            node=node,
            interface=name,
            notes=tuple(
                str(address.ip if str(address.network) in shown else address)
                for address in _by_version(interface.addresses)
            )
            + ((f"MTU {interface.mtu}",) if common is None else ()),
        )
        for (node, name), interface in zip((first, second), ends, strict=True)
    )
    return Wire(
        a=a,
        b=b,
        notes=tuple(str(network) for network in link.networks)
        + ((f"MTU {common}",) if common not in (None, USUAL_MTU) else ())
        + tuple(_box(box) for box in link.middleboxes),
    )


def _box(box: Box) -> str:
    """What is said of a box in a link: its kind, or how it impairs."""
    if box.kind == IMPAIR:
        words = [f"{name} {value}" for name, value in box.parameters if name in _IMPAIRMENTS]
        if words:
            return shorten(", ".join(words), LONGEST_NOTE)
    return shorten(box.kind or box.python.rpartition(":")[2], LONGEST_NOTE)


def _interface(topology: Topology, end: tuple[str, str]) -> Interface:
    node, name = end
    return next(i for i in topology.node(node).interfaces if i.name == name)
