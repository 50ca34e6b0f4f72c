"""One packet's walk through the plan, from node to node."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from netlab.nft import evaluate, ruleset
from netlab.predict.node import ConntrackEntry
from netlab.trace.build import label
from netlab.trace.disposition import Disposition
from netlab.trace.kernel_reasons import CLASH, ROUTE_KINDS, article
from netlab.trace.model import Hop, PacketTrace, Reason
from netlab.trace.verdict import split_comment
from netlab.wire.address import packed
from netlab.wire.diff import changes
from netlab.wire.view import View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.capture.evidence import Direction
    from netlab.predict.node import Node

LOOSE = 2
"""Of `rp_filter`: any way back will do."""

LONGEST = 64
"""Hops after which a walk that has not ended is a loop, whatever the TTL."""


class Way(NamedTuple):
    """The one hop that a route leads to, and the source address that it asks for."""

    gateway: str
    interface: str
    source: str = ""


class Walk:
    """One packet on its way; ``flow`` is the name of its flow."""

    def __init__(
        self,
        places: dict[str, Node],
        origin: str,
        packet: View,
        flow: int,
        *,
        is_reply: bool = False,
    ) -> None:
        self.nodes = places
        self.name = origin
        self.packet = packet
        self.flow = flow
        self.is_reply = is_reply
        self.hops: list[Hop] = []
        self.first: View | None = None
        self.seen: View | None = None
        self.entry: ConntrackEntry | None = None
        self.turns = False
        """Whether the packet is the other direction of the entry where it is."""
        self.is_silent = False
        """Whether it was dropped without a word."""
        self.came_by = ""
        """The port of the switch by which it came in."""
        self.is_cut_off = ""
        """The port of a switch whose link is down, if it met one."""

    def see(self, node: str, interface: str, direction: Direction, packet: View) -> None:
        """The packet passes an interface."""
        changed = changes(self.seen, packet) if self.seen else ()
        self.first = self.first or packet
        self.hops.append(Hop(node, interface, direction, 0, changed))
        self.seen = packet

    def end(
        self, packet: View, node: str, interface: str, disposition: Disposition, reason: Reason
    ) -> PacketTrace:
        """The walk ends here, so."""
        first = self.first or packet
        self.packet = packet
        return PacketTrace(
            1, label(first), first.protocol, disposition, node, interface, reason,
            tuple(self.hops), first,
        )  # fmt: skip

    def run(self) -> PacketTrace:
        """Walk until the packet ends."""
        packet, name, incoming = self.packet, self.name, ""
        for _ in range(LONGEST):
            node = self.nodes[name]
            self.entry = None
            if incoming:
                self.track(node, packet)
                moved = self.rules(name, "prerouting", packet, incoming, "")
                if isinstance(moved, PacketTrace):
                    return moved
                packet = moved
                if reason := self.no_way_back(node, packet, incoming):
                    self.is_silent = True
                    return self.end(packet, name, incoming, Disposition.RPF_FAILED, reason)
            if packet.destination in node.own:
                if self.entry is None:
                    self.track(node, packet)
                moved = self.rules(name, "input", packet, incoming or "lo", "")
                if isinstance(moved, PacketTrace):
                    return moved
                self.confirm(moved)
                reason = _inferred("reaches its destination")
                return self.end(moved, name, incoming, Disposition.DELIVERED, reason)
            after = self.onward(name, packet, incoming)
            if isinstance(after, PacketTrace):
                return after
            packet, name, incoming = after
        text = "goes round in circles"
        return self.end(packet, name, incoming, Disposition.TTL_EXPIRED, _inferred(text))

    @staticmethod
    def no_way_back(node: Node, packet: View, incoming: str) -> Reason | None:
        """Why the reverse path filter drops a packet (RFC 3704), if it does."""
        mode = node.reverse_filter(incoming) if packet.version == 4 else 0
        if not mode or packet.source in node.own:
            return None
        back = node.routes.lookup(packet.source, packet.destination)
        outs = [interface for _, interface in back.hops] if back else []
        if incoming in outs or (mode == LOOSE and outs):
            return None
        way = f"leaves by {' or '.join(outs)}" if outs else "is none"
        return _inferred(f"the way back to its source {way} (reverse path filter)")

    # Conntrack

    def track(self, node: Node, packet: View) -> None:
        """Find the flow's entry, or begin one that holds if the packet gets through."""
        entry = node.flows.get(self.flow)
        self.turns = bool(entry and entry.is_confirmed and self.is_reply)
        if entry is None or not entry.is_confirmed:
            entry = node.flows[self.flow] = node.known_flow(packet) or ConntrackEntry(packet)
        elif self.turns:
            entry.replied = True
        entry.packets += not self.turns
        self.entry = entry

    def confirm(self, packet: View) -> None:
        """The packet got through: so its entry stays."""
        if self.entry and not self.entry.is_confirmed:
            self.entry.left = packet
            self.entry.is_confirmed = True

    # From node to node

    def onward(self, name: str, packet: View, incoming: str) -> PacketTrace | tuple[View, str, str]:
        """Out of a node and to the next: what arrives there, and where."""
        node, version = self.nodes[name], packet.version
        if incoming and not node.passes(version, incoming):
            reason = _inferred("the node does not forward")
            return self.end(packet, name, incoming, Disposition.NOT_FORWARDING, reason)
        if incoming and packet.ttl <= 1:
            reason = _inferred("TTL expired")
            return self.end(packet, name, incoming, Disposition.TTL_EXPIRED, reason)
        route = self.routed(name, packet, incoming)
        if isinstance(route, PacketTrace):
            return route
        if incoming:
            packet = packet._replace(ttl=packet.ttl - 1)
            if self.is_too_big(node, packet, route) and packet.dont_fragment:
                reason = _inferred(f"larger than the MTU of {route.interface}")
                return self.end(packet, name, incoming, Disposition.TOO_BIG, reason)
            if self.is_too_big(node, packet, route):
                packet = packet._replace(more_fragments=True)
        else:
            packet = self.made(node, packet, route)
            self.track(node, packet)
        moved = self.rules(
            name, "forward" if incoming else "output", packet, incoming, route.interface
        )
        if isinstance(moved, PacketTrace):
            return moved
        if not incoming and moved.destination != packet.destination:
            # The kernel looks for a route again; what is its own now goes back by lo.
            if moved.destination in node.own:
                self.confirm(moved)
                return moved, name, "lo"
            again = self.routed(name, moved, incoming)
            if isinstance(again, PacketTrace):
                return again
            route = again
        moved = self.rules(name, "postrouting", moved, incoming, route.interface)
        if isinstance(moved, PacketTrace):
            return moved
        if self.entry and not self.entry.is_confirmed and node.has_taken(self.entry, moved):
            self.is_silent = True
            return self.end(moved, name, incoming, Disposition.NAT_CLASH, _inferred(CLASH))
        self.confirm(moved)
        if node.is_down(route.interface):
            self.is_silent = True
            reason = _inferred(f"the link behind {route.interface} is down")
            return self.end(moved, name, incoming, Disposition.LINK_DOWN, reason)
        gateway = packed(route.gateway) if route.gateway else None
        return self.across(name, moved, route.interface, gateway)

    def routed(self, name: str, packet: View, incoming: str) -> PacketTrace | Way:
        """The way on, or the end of a packet that has none, or several."""
        route = self.nodes[name].routes.lookup(packet.destination, packet.source, incoming)
        if route is None:
            reason = _inferred("no route to the destination")
            return self.end(packet, name, incoming, Disposition.NO_ROUTE, reason)
        if len(route.hops) == 1:
            return Way(*route.hops[0], route.source)
        if route.hops:
            ways = " or ".join(interface for _, interface in route.hops)
            reason = _inferred(f"a hash of the flow chooses between {ways}")
            return self.end(packet, name, incoming, Disposition.UNKNOWN, reason)
        self.is_silent = route.kind == "blackhole"
        reason = _inferred(article(route.kind))
        return self.end(packet, name, incoming, ROUTE_KINDS[route.kind], reason)

    @staticmethod
    def is_too_big(node: Node, packet: View, route: Way) -> bool:
        """Whether it must be cut to leave."""
        return _length(packet) > node.mtu.get(route.interface, 65536)

    def made(self, node: Node, packet: View, route: Way) -> View:
        """The packet as its node makes it: source address, TTL, whether it may be cut."""
        own = [a for a in node.addresses.get(route.interface, ()) if len(a) == len(packet.source)]
        if route.source:
            own = [packed(route.source)]
        if own and not any(packet.source):
            packet = packet._replace(source=own[0])
        is_cut = self.is_too_big(node, packet, route)
        return packet._replace(
            ttl=packet.ttl or node.ttl(packet.version, route.interface),
            dont_fragment=not is_cut and not node.sends_fragments(packet.version),
            more_fragments=is_cut,
        )

    def across(
        self, name: str, packet: View, outgoing: str, gateway: bytes | None
    ) -> PacketTrace | tuple[View, str, str]:
        """Over a wire, and through the switches and boxes on it, to who owns the next hop."""
        node = self.nodes[name]
        self.see(name, outgoing, "out", packet)
        if outgoing not in node.peers:
            reason = _inferred(f"goes to the program behind {outgoing}")
            stack = node.kind == "stack"
            disposition = Disposition.DELIVERED if stack else Disposition.UNKNOWN
            return self.end(packet, name, outgoing, disposition, reason)
        wanted = gateway or packet.destination
        mac = node.neighbours.get((outgoing, wanted))
        for path in self.switched(node.peers[outgoing]):
            there, interface, _ = path[-1]
            far = self.nodes[there]
            if mac == far.macs.get(interface, "") or wanted in far.addresses.get(interface, ()):
                return self.along(path, packet)
        if self.is_cut_off:
            reason = _inferred(f"the link behind {self.is_cut_off} is down")
            return self.end(packet, name, outgoing, Disposition.UNKNOWN, reason)
        reason = _inferred("the next hop is not on the wire")
        return self.end(packet, name, outgoing, Disposition.NEIGHBOUR_UNREACHABLE, reason)

    def along(
        self, path: list[tuple[str, str, Direction]], packet: View
    ) -> PacketTrace | tuple[View, str, str]:
        """From interface to interface; the boxes of a wire see the packet on its way."""
        for place, interface, direction in path:
            self.see(place, interface, direction, packet)
            node = self.nodes[place]
            if direction == "in" and interface in node.peers:
                met = self.at_device(place, interface, packet)
                if met:
                    return met
            if node.masters.get(interface):
                passed = self.at_switch(place, interface, direction, packet)
                if isinstance(passed, PacketTrace):
                    return passed
                packet = passed
            wire = node.wire
            if wire is None or direction == "out":
                continue
            way: Literal["outbound", "inbound"] = "outbound" if interface == "a" else "inbound"
            carried = wire.carry(place, packet, way, is_reply=self.is_reply)
            if not isinstance(carried, View):
                self.is_silent = carried.is_silent
                return self.end(packet, place, interface, carried.disposition, carried.reason)
            packet = carried
        there, interface, _ = path[-1]
        return packet, there, interface

    def at_device(self, name: str, interface: str, packet: View) -> PacketTrace | None:
        """The end of a packet at a device's own hook, ingress."""
        node = self.nodes[name]
        if not any(chain.hook == "ingress" for chain in node.chains):
            return None
        here = ruleset.Situation(packet, interface, "", node.memory, layer="netdev")
        return self.ended(
            evaluate.at_hook(node.chains, "ingress", here), name, interface, "ingress"
        )

    def at_switch(
        self, name: str, port: str, direction: Direction, packet: View
    ) -> View | PacketTrace:
        """A frame that comes in by a port of a bridge, or goes out by it: the rules for frames.

        ``br_netfilter`` passes it through the hooks of IP as well, as if it came by the bridge.
        """
        node = self.nodes[name]
        hooks = ("prerouting",) if direction == "in" else ("forward", "postrouting")
        ports = (port, "") if direction == "in" else (self.came_by, port)
        self.came_by = port if direction == "in" else ""
        for hook in hooks:
            here = ruleset.Situation(
                packet, *ports, node.memory, ruleset.Tracked(replied=None), layer="bridge"
            )
            met = self.ended(evaluate.at_hook(node.chains, hook, here), name, ports[0], hook)
            if met:
                return met
            if node.filters_frames(packet.version) and any(c.hook == hook for c in node.chains):
                if direction == "in" or self.entry is None:
                    self.track(node, packet)
                master = node.masters[port]
                outgoing = "" if direction == "in" else master
                moved = self.rules(name, hook, packet, master, outgoing)
                if isinstance(moved, PacketTrace):
                    return moved
                packet = moved
        return packet

    def ended(
        self, ruled: evaluate.Ruled, name: str, interface: str, hook: str
    ) -> PacketTrace | None:
        """The end of a packet by rules, if they ended it or may have."""
        if ruled.end is None:
            return None
        if ruled.end.verdict == "drop":
            self.is_silent = ruled.end.to != "reject"
            reason = _by_rule(ruled.end, hook)
            return self.end(ruled.packet, name, interface, Disposition.DENIED, reason)
        rule = ruled.end.rule
        text = rule.text if rule else ruled.end.verdict
        why = f"what rule `{text}` does {ruled.end.why}" if ruled.end.why else ""
        reason = _inferred(why or f"the model does not know what rule `{text}` does")
        return self.end(ruled.packet, name, interface, Disposition.UNKNOWN, reason)

    def switched(self, start: tuple[str, str]) -> Iterator[list[tuple[str, str, Direction]]]:
        """Every interface that a frame reaches from the end of a wire, with the way there."""
        waiting: list[tuple[tuple[str, str], list[tuple[str, str, Direction]]]] = [(start, [])]
        visited = {start}
        while waiting:
            (there, interface), before = waiting.pop(0)
            node = self.nodes[there]
            way: list[tuple[str, str, Direction]] = [*before, (there, interface, "in")]
            master = node.masters.get(interface)
            if node.wire:
                ports = [port for port in node.peers if port != interface]
            elif master:
                ports = [p for p, m in node.masters.items() if m == master and p != interface]
                yield [*way, (there, master, "in")]
            else:
                yield way
                continue
            for port in ports:
                end = node.peers.get(port)
                if end and (node.is_down(port) or self.nodes[end[0]].is_down(end[1])):
                    self.is_cut_off = f"{there}:{port}"
                    continue
                if end and end not in visited:
                    visited.add(end)
                    waiting.append((end, [*way, (there, port, "out")]))

    def rules(
        self, name: str, hook: str, packet: View, incoming: str, outgoing: str
    ) -> View | PacketTrace:
        """The packet after the rules of a hook, or its end."""
        node, entry = self.nodes[name], self.entry
        assert entry
        if not node.is_clear:
            reason = _inferred("the node has rules that the model does not read")
            return self.end(packet, name, incoming, Disposition.UNKNOWN, reason)
        here = ruleset.Situation(
            packet,
            incoming,
            outgoing,
            node.memory,
            entry.tracked(is_reply=self.turns),
            node.addresses.get(outgoing, ()),
        )
        ruled = evaluate.at_hook(node.chains, hook, here, self.translation(hook))
        entry.nat |= ruled.nat
        return self.ended(ruled, name, incoming, hook) or ruled.packet

    def translation(self, hook: str) -> Callable[[View], View] | None:
        """What conntrack does at a hook with packets of a flow that it knows."""
        entry = self.entry
        if entry is None or not entry.is_confirmed or hook in ("forward", "input"):
            return None
        turn = entry.leaving if hook == "postrouting" else entry.arriving
        return partial(turn, is_reply=self.turns)


def _by_rule(effect: evaluate.Effect, hook: str) -> Reason:
    if effect.rule is None:
        _, topology = split_comment(effect.chain.comment if effect.chain else "")
        return Reason("inferred", f"{hook} chain, policy drop", topology=topology)
    name, topology = split_comment(effect.rule.comment)
    text = f'{hook} chain, rule "{name}"' if name else f"{hook} chain, rule `{effect.rule.text}`"
    return Reason("inferred", text, effect.rule.text, topology, name)


def _inferred(text: str) -> Reason:
    return Reason("inferred", text)


def _length(packet: View) -> int:
    return packet.length + (20 if packet.version == 4 else 40)
