"""What would become of the packets of a flow: a walk through the plan, without any packet.

    origin ─ route ─ output ─ postrouting ─► wire ─► prerouting ─ for this node? ─ input ─► there
                                              ▲           │
                                              └─ postrouting ─ forward ─ route ─ TTL

Later packets meet what earlier ones left behind: entries of conntrack, rules that count, boxes that
remember (``nodes.py``, ``ruleset.py``, ``wired.py``). An echo is answered, and the answer walks
back. Whether somebody else answers is not in the model, so what depends on that is ``unknown``
from then on, as are rules beyond what ``ruleset`` reads and programs behind a TUN device. A packet
that reaches its node counts as delivered.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from netlab.nft import evaluate
from netlab.predict.node import ConntrackEntry, nodes
from netlab.trace.build import label
from netlab.trace.disposition import Disposition
from netlab.trace.model import Hop, PacketTrace, Reason
from netlab.trace.verdict import split_comment
from netlab.wire import tcp
from netlab.wire.address import packed
from netlab.wire.diff import changes
from netlab.wire.view import ICMP, ICMPV6, TCP, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.capture.evidence import Direction
    from netlab.plan.operations import Plan
    from netlab.predict.node import Node
    from netlab.predict.routes import Route

LOOSE = 2
"""Of `rp_filter`: any way back will do."""

LONGEST = 64
"""Hops after which a walk that has not ended is a loop, whatever the TTL."""


class Question(NamedTuple):
    """Packets to be: ``size`` counts the octets after the IP header.

    ``is_fresh`` is whether the lab has carried nothing yet. ``listens`` is whether a socket at the
    destination takes them and says nothing, if that is known.
    """

    node: str
    target: str
    proto: int
    port: int = 0
    size: int = 40
    ttl: int = 64
    packets: int = 1
    is_fresh: bool = True
    listens: bool = False


class _Walk:
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

    def see(self, node: str, interface: str, direction: Direction, packet: View) -> None:
        changed = changes(self.seen, packet) if self.seen else ()
        self.first = self.first or packet
        self.hops.append(Hop(node, interface, direction, 0, changed))
        self.seen = packet

    def end(
        self, packet: View, node: str, interface: str, disposition: Disposition, reason: Reason
    ) -> PacketTrace:
        first = self.first or packet
        self.packet = packet
        return PacketTrace(
            1, label(first), first.protocol, disposition, node, interface, reason,
            tuple(self.hops), first,
        )  # fmt: skip

    def run(self) -> PacketTrace:
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

    # Conntrack

    def track(self, node: Node, packet: View) -> None:
        """Find the flow's entry, or begin one that holds if the packet gets through."""
        entry = node.flows.get(self.flow)
        self.turns = bool(entry and entry.is_confirmed and self.is_reply)
        if entry is None or not entry.is_confirmed:
            entry = node.flows[self.flow] = ConntrackEntry(packet)
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

    def onward(self, name: str, packet: View, incoming: str) -> PacketTrace | tuple[View, str, str]:
        """Out of a node and to the next: what arrives there, and where."""
        node, version = self.nodes[name], packet.version
        if incoming and not node.passes(version, incoming):
            reason = _inferred("the node does not forward")
            return self.end(packet, name, incoming, Disposition.NOT_FORWARDING, reason)
        if incoming and packet.ttl <= 1:
            reason = _inferred("TTL expired")
            return self.end(packet, name, incoming, Disposition.TTL_EXPIRED, reason)
        route = node.routes.lookup(packet.destination, packet.source, incoming)
        if route is None or len(route.hops) != 1:
            return self.no_way_on(route, packet, name, incoming)
        gateway, outgoing = route.hops[0]
        small = _length(packet) <= node.mtu.get(outgoing, 65536)
        if incoming:
            packet = packet._replace(ttl=packet.ttl - 1)
            if not small and packet.dont_fragment:
                reason = _inferred(f"larger than the MTU of {outgoing}")
                return self.end(packet, name, incoming, Disposition.TOO_BIG, reason)
        else:
            own = [a for a in node.addresses.get(outgoing, ()) if len(a) == len(packet.source)]
            if route.source:
                own = [packed(route.source)]
            if own and not any(packet.source):
                packet = packet._replace(source=own[0])
            packet = packet._replace(dont_fragment=small)
            self.track(node, packet)
        for hook in ("forward" if incoming else "output", "postrouting"):
            moved = self.rules(name, hook, packet, incoming, outgoing)
            if isinstance(moved, PacketTrace):
                return moved
            packet = moved
        self.confirm(packet)
        return self.across(name, packet, outgoing, packed(gateway) if gateway else None)

    def no_way_on(self, route: Route | None, packet: View, name: str, incoming: str) -> PacketTrace:
        """The end where no route is, or one that refuses, or where there are several ways."""
        if route is None:
            reason = _inferred("no route to the destination")
            return self.end(packet, name, incoming, Disposition.NO_ROUTE, reason)
        if route.hops:
            ways = " or ".join(interface for _, interface in route.hops)
            reason = _inferred(f"a hash of the flow chooses between {ways}")
            return self.end(packet, name, incoming, Disposition.UNKNOWN, reason)
        self.is_silent = route.kind == "blackhole"
        disposition = Disposition(f"{route.kind}-route")
        return self.end(packet, name, incoming, disposition, _inferred(f"a {route.kind} route"))

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
        reason = _inferred("the next hop is not on the wire")
        return self.end(packet, name, outgoing, Disposition.NEIGHBOUR_UNREACHABLE, reason)

    def along(
        self, path: list[tuple[str, str, Direction]], packet: View
    ) -> PacketTrace | tuple[View, str, str]:
        """From interface to interface; the boxes of a wire see the packet on its way."""
        for place, interface, direction in path:
            self.see(place, interface, direction, packet)
            wire = self.nodes[place].wire
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
        here = evaluate.Situation(
            packet,
            incoming,
            outgoing,
            node.memory,
            entry.tracked(is_reply=self.turns),
            node.addresses.get(outgoing, ()),
        )
        ruled = evaluate.at_hook(node.chains, hook, here, self.translation(hook))
        entry.nat |= ruled.nat
        if ruled.end is None:
            return ruled.packet
        if ruled.end.verdict == "drop":
            self.is_silent = ruled.end.to != "reject"
            reason = _by_rule(ruled.end, hook)
            return self.end(ruled.packet, name, incoming, Disposition.DENIED, reason)
        rule = ruled.end.rule
        text = rule.text if rule else ruled.end.verdict
        why = f"what rule `{text}` does {ruled.end.why}" if ruled.end.why else ""
        reason = _inferred(why or f"the model does not know what rule `{text}` does")
        return self.end(ruled.packet, name, incoming, Disposition.UNKNOWN, reason)

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


def _packet(asked: Question, target: bytes) -> View:
    version = 4 if len(target) == 4 else 6
    return View(
        version, bytes(len(target)), target, asked.proto, (asked.proto,), asked.size, b"",
        destination_port=asked.port, ttl=asked.ttl, dont_fragment=True,
        flags=tcp.SYN if asked.proto == TCP else 0,
    )  # fmt: skip


def _length(packet: View) -> int:
    return packet.length + (20 if packet.version == 4 else 40)


def predict(plan: Plan, question: Question) -> PacketTrace:
    """What the model says would happen to the first packet."""
    return next(predictions(plan, question))


def predictions(plan: Plan, question: Question) -> Iterator[PacketTrace]:
    """What the model says would happen to each packet; the source of all reasons is ``inferred``.

    The packets are of one flow, but for TCP, where each is a connection that is tried.
    """
    places = nodes(plan, is_fresh=question.is_fresh)
    for number in range(1, question.packets + 1):
        packet = _packet(question, packed(question.target))
        flow = number if question.proto == TCP else 1
        walk = _Walk(places, question.node, packet, flow)
        packet_trace = walk.run()._replace(id=number)
        yield packet_trace
        if not _is_all(places, walk, packet_trace, question):
            for place in places.values():
                place.doubt()


def _is_all(
    places: dict[str, Node], walk: _Walk, packet_trace: PacketTrace, question: Question
) -> bool:
    """Whether it is known which packets there are because of one; an echo's reply walks back."""
    if not packet_trace.arrived:
        return walk.is_silent
    if question.proto not in (ICMP, ICMPV6):
        return question.listens and question.proto != TCP
    back = _reply(places, walk, packet_trace.node)
    return back.run().arrived or back.is_silent


def _reply(places: dict[str, Node], walk: _Walk, node: str) -> _Walk:
    """The way of an echo's reply."""
    asked = walk.packet
    reply = asked._replace(
        source=asked.destination, destination=asked.source, ttl=64, identification=0
    )
    return _Walk(places, node, reply, walk.flow, is_reply=True)


def is_answered(places: dict[str, Node], source: str, target: str, flow: int) -> bool:
    """Whether a ping of an address would be answered; ``flow`` is one not used before."""
    asked = Question(source, target, ICMP if "." in target else ICMPV6)
    walk = _Walk(places, source, _packet(asked, packed(target)), flow)
    end = walk.run()
    return end.arrived and _reply(places, walk, end.node).run().node == source


def divergence(predicted: PacketTrace, observed: PacketTrace) -> str:
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
