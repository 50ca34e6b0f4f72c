"""What would become of the first packet of a flow: a walk through the plan, without any packet.

    origin ─ route ─ output ─ postrouting ─► wire ─► prerouting ─ for this node? ─ input ─► there
                                              ▲           │
                                              └─ postrouting ─ forward ─ route ─ TTL

What the model does not know ends the walk as ``unknown``: rules beyond what ``ruleset`` reads,
programs that take packets out of a TUN device. Whether somebody listens at the destination is not
in the model either, so a packet that reaches its node counts as delivered.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, NamedTuple

from netlab.fate import ruleset
from netlab.fate.changes import changes
from netlab.fate.disposition import Disposition
from netlab.fate.fates import Fate, Hop, Reason
from netlab.fate.join import label
from netlab.fate.judge import split_comment
from netlab.fate.packet import View
from netlab.plan.operations import (
    AddAddress,
    AddNeighbour,
    AddRoute,
    CreateNamespace,
    CreateVeth,
    Enslave,
    LoadRules,
    SetSysctl,
)
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.observe.evidence import Direction
    from netlab.plan.operations import Plan

LONGEST = 64
"""Hops after which a walk that has not ended is a loop, whatever the TTL."""


class Question(NamedTuple):
    """A packet to be: ``size`` counts the octets after the IP header."""

    node: str
    target: str
    proto: int
    port: int = 0
    size: int = 40
    ttl: int = 64


class _Node:
    """What the plan says of one node."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.addresses: dict[str, list[bytes]] = {}
        self.routes: list[tuple[int, int, int, str, str]] = []
        """Version, network, prefix length, gateway, interface."""
        self.mtu: dict[str, int] = {"lo": 65536}
        self.peers: dict[str, tuple[str, str]] = {}
        self.masters: dict[str, str] = {}
        self.macs: dict[str, str] = {}
        self.neighbours: dict[tuple[str, bytes], str] = {}
        """MAC addresses that are known from the start, by interface and address."""
        self.forwards = {4: kind in ("router", "nat", "stack"), 6: False}
        self.chains: list[ruleset.Chain] = []
        self.is_clear = True

    @property
    def own(self) -> set[bytes]:
        return {address for found in self.addresses.values() for address in found}

    def route(self, target: bytes) -> tuple[str, str] | None:
        """Gateway and interface by longest prefix."""
        address = ip_address(target)
        width = address.max_prefixlen
        best: tuple[int, str, str] | None = None
        for version, network, length, gateway, interface in self.routes:
            if version != address.version or (best and length <= best[0]):
                continue
            if int(address) >> (width - length) == network >> (width - length):
                best = (length, gateway, interface)
        return best[1:] if best else None


def _nodes(plan: Plan) -> dict[str, _Node]:
    found: dict[str, _Node] = {}
    for operation in plan.operations:
        match operation:
            case CreateNamespace():
                found[operation.node] = _Node(operation.kind)
            case CreateVeth(a=a, b=b):
                for one, other in ((a, b), (b, a)):
                    found[one.node].peers[one.name] = (other.node, other.name)
                    found[one.node].mtu[one.name] = one.mtu
                    found[one.node].macs[one.name] = one.mac
            case AddNeighbour():
                entry = (operation.name, packed(operation.address))
                found[operation.node].neighbours[entry] = operation.mac
            case AddAddress(node=name, name=interface, address=text):
                node, address = found[name], ip_interface(text)
                node.addresses.setdefault(interface, []).append(address.packed)
                _add_route(node, str(address.network), "", interface)
            case AddRoute():
                _add_route(
                    found[operation.node],
                    operation.destination,
                    operation.gateway,
                    operation.name,
                )
            case Enslave():
                found[operation.node].masters[operation.name] = operation.master
            case SetSysctl():
                _setting(found[operation.node], operation)
            case LoadRules():
                chains, clear = ruleset.parse(operation.text)
                found[operation.node].chains += chains
                found[operation.node].is_clear &= clear
    return found


def _add_route(node: _Node, destination: str, gateway: str, interface: str) -> None:
    network = ip_network(destination)
    entry = (network.version, int(network.network_address), network.prefixlen, gateway, interface)
    node.routes.append(entry)


def _setting(node: _Node, operation: SetSysctl) -> None:
    on = operation.value != "0"
    if operation.key in ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"):
        node.forwards[4] = on
    elif operation.key == "net.ipv6.conf.all.forwarding":
        node.forwards[6] = on


class _Walk:
    """One packet on its way."""

    def __init__(self, plan: Plan, question: Question) -> None:
        self.nodes = _nodes(plan)
        self.question = question
        self.hops: list[Hop] = []
        self.first: View | None = None
        self.seen: View | None = None

    def see(self, node: str, interface: str, direction: Direction, packet: View) -> None:
        changed = changes(self.seen, packet) if self.seen else ()
        self.first = self.first or packet
        self.hops.append(Hop(node, interface, direction, 0, changed))
        self.seen = packet

    def end(
        self, packet: View, node: str, interface: str, disposition: Disposition, reason: Reason
    ) -> Fate:
        first = self.first or packet
        return Fate(
            1, label(first), first.protocol, disposition, node, interface, reason,
            tuple(self.hops), first,
        )  # fmt: skip

    def run(self) -> Fate:
        asked = self.question
        target = packed(asked.target)
        name, incoming = asked.node, ""
        packet = _packet(asked, bytes(len(target)), target)
        for _ in range(LONGEST):
            node = self.nodes[name]
            if incoming:
                moved = self.rules(name, "prerouting", packet, incoming, "")
                if isinstance(moved, Fate):
                    return moved
                packet = moved
            if packet.destination in node.own:
                moved = self.rules(name, "input", packet, incoming or "lo", "")
                if isinstance(moved, Fate):
                    return moved
                reason = _inferred("reaches its destination")
                return self.end(moved, name, incoming, Disposition.DELIVERED, reason)
            after = self.onward(name, packet, incoming)
            if isinstance(after, Fate):
                return after
            packet, name, incoming = after
        text = "goes round in circles"
        return self.end(packet, name, incoming, Disposition.TTL_EXPIRED, _inferred(text))

    def onward(self, name: str, packet: View, incoming: str) -> Fate | tuple[View, str, str]:
        """Out of a node and to the next: what arrives there, and where."""
        node, version = self.nodes[name], packet.version
        if incoming and not node.forwards[version]:
            reason = _inferred("the node does not forward")
            return self.end(packet, name, incoming, Disposition.NOT_FORWARDING, reason)
        if incoming and packet.ttl <= 1:
            reason = _inferred("TTL expired")
            return self.end(packet, name, incoming, Disposition.TTL_EXPIRED, reason)
        route = node.route(packet.destination)
        if route is None:
            reason = _inferred("no route to the destination")
            return self.end(packet, name, incoming, Disposition.NO_ROUTE, reason)
        gateway, outgoing = route
        if incoming:
            packet = packet._replace(ttl=packet.ttl - 1)
        else:
            own = [a for a in node.addresses.get(outgoing, ()) if len(a) == len(packet.source)]
            packet = packet._replace(source=own[0] if own else packet.source)
        if incoming and _length(packet) > node.mtu.get(outgoing, 65536) and packet.dont_fragment:
            reason = _inferred(f"larger than the MTU of {outgoing}")
            return self.end(packet, name, incoming, Disposition.TOO_BIG, reason)
        for hook in ("forward" if incoming else "output", "postrouting"):
            moved = self.rules(name, hook, packet, incoming, outgoing)
            if isinstance(moved, Fate):
                return moved
            packet = moved
        return self.across(name, packet, outgoing, packed(gateway) if gateway else None)

    def across(
        self, name: str, packet: View, outgoing: str, gateway: bytes | None
    ) -> Fate | tuple[View, str, str]:
        """Over a wire, and through the switches on it, to who owns the next hop."""
        node = self.nodes[name]
        if outgoing not in node.peers:
            self.see(name, outgoing, "out", packet)
            reason = _inferred(f"goes to the program behind {outgoing}")
            stack = node.kind == "stack"
            disposition = Disposition.DELIVERED if stack else Disposition.UNKNOWN
            return self.end(packet, name, outgoing, disposition, reason)
        if not self.hops:
            small = _length(packet) <= node.mtu.get(outgoing, 65536)
            packet = packet._replace(dont_fragment=small)
        self.see(name, outgoing, "out", packet)
        wire, end = node.peers[outgoing]
        if self.nodes[wire].kind == "wire":
            self.see(wire, end, "in", packet)
            reason = _inferred("the model does not know what the boxes on the wire do")
            return self.end(packet, wire, end, Disposition.UNKNOWN, reason)
        wanted = gateway or packet.destination
        mac = node.neighbours.get((outgoing, wanted))
        for path in self.switched(node.peers[outgoing]):
            there, interface, _ = path[-1]
            far = self.nodes[there]
            if mac == far.macs.get(interface, "") or wanted in far.addresses.get(interface, ()):
                for seen in path:
                    self.see(*seen, packet)
                return packet, there, interface
        reason = _inferred("the next hop is not on the wire")
        return self.end(packet, name, outgoing, Disposition.NEIGHBOUR_UNKNOWN, reason)

    def switched(self, start: tuple[str, str]) -> Iterator[list[tuple[str, str, Direction]]]:
        """Every interface that a frame reaches from the end of a wire, with the way there."""
        waiting: list[tuple[tuple[str, str], list[tuple[str, str, Direction]]]] = [(start, [])]
        visited = {start}
        while waiting:
            (there, interface), before = waiting.pop(0)
            node = self.nodes[there]
            way: list[tuple[str, str, Direction]] = [*before, (there, interface, "in")]
            master = node.masters.get(interface)
            if master is None:
                yield way
                continue
            yield [*way, (there, master, "in")]
            for port, other in node.masters.items():
                end = node.peers.get(port)
                if other == master and port != interface and end and end not in visited:
                    visited.add(end)
                    waiting.append((end, [*way, (there, port, "out")]))

    def rules(
        self, name: str, hook: str, packet: View, incoming: str, outgoing: str
    ) -> View | Fate:
        """The packet after the rules of a hook, or its end."""
        node = self.nodes[name]
        if not node.is_clear:
            reason = _inferred("the node has rules that the model does not read")
            return self.end(packet, name, incoming, Disposition.UNKNOWN, reason)
        effect = ruleset.at_hook(node.chains, hook, ruleset.Situation(packet, incoming, outgoing))
        if effect.verdict == "accept":
            return packet
        if effect.verdict in ("masquerade", "snat", "dnat"):
            own = iter(node.addresses.get(outgoing, ()))
            after = ruleset.translated(packet, effect, own)
            if after is not None:
                return after
        if effect.verdict == "drop":
            reason = _by_rule(effect, hook)
            return self.end(packet, name, incoming, Disposition.DENIED, reason)
        text = effect.rule.text if effect.rule else effect.verdict
        reason = _inferred(f"the model does not know what rule `{text}` does")
        return self.end(packet, name, incoming, Disposition.UNKNOWN, reason)


def _by_rule(effect: ruleset.Effect, hook: str) -> Reason:
    if effect.rule is None:
        return Reason("inferred", f"{hook} chain, policy drop")
    name, topology = split_comment(effect.rule.comment)
    text = f'{hook} chain, rule "{name}"' if name else f"{hook} chain, rule `{effect.rule.text}`"
    return Reason("inferred", text, effect.rule.text, topology, name)


def _inferred(text: str) -> Reason:
    return Reason("inferred", text)


def _packet(asked: Question, source: bytes, target: bytes) -> View:
    version = 4 if len(target) == 4 else 6
    return View(
        version, source, target, asked.proto, (asked.proto,), asked.size, b"",
        destination_port=asked.port, ttl=asked.ttl, dont_fragment=True,
    )  # fmt: skip


def _length(packet: View) -> int:
    return packet.length + (20 if packet.version == 4 else 40)


def predict(plan: Plan, question: Question) -> Fate:
    """What the model says would happen; its reason's source is always ``inferred``."""
    return _Walk(plan, question).run()


def divergence(predicted: Fate, observed: Fate) -> str:
    """Where what was seen first differs from what was predicted; empty if it does not."""
    for number, (one, other) in enumerate(zip(predicted.hops, observed.hops, strict=False)):
        if one[:3] != other[:3]:
            before = f"after {observed.hops[number - 1].node}" if number else "at the start"
            return (
                f"{before}: predicted {one.node}:{one.interface} {one.direction},"
                f" seen {other.node}:{other.interface} {other.direction}"
            )
        if _rewriting(one) != _rewriting(other):
            return (
                f"at {one.node}:{one.interface}: predicted"
                f" {', '.join(_rewriting(one)) or 'no change'},"
                f" seen {', '.join(_rewriting(other)) or 'no change'}"
            )
    if predicted.disposition is Disposition.UNKNOWN:
        return ""
    at_home = predicted.arrived and observed.node == predicted.node
    if at_home and observed.disposition in (
        Disposition.DELIVERED, Disposition.NO_LISTENER, Disposition.SOCKET_FULL
    ):  # fmt: skip
        return ""
    if (predicted.node, predicted.disposition) == (observed.node, observed.disposition):
        return ""
    return (
        f"in {observed.node}: predicted {predicted.disposition} in {predicted.node},"
        f" seen {observed.disposition}"
    )


def _rewriting(hop: Hop) -> list[str]:
    """The changes that a prediction can know: of addresses and of the TTL."""
    return [c for c in hop.changes if c.startswith(("IP::Src", "IP::Dst", "IP::TTL"))]
