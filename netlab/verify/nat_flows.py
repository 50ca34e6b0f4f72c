"""Flows through a NAT on the bench: what comes out of a packet, and what comes back to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.topology.model import StaticNat
from netlab.topology.nat import Translator
from netlab.verify import crafted
from netlab.verify.bench import to
from netlab.verify.crafted import EXPERIMENT, datagram, echo, ends, segment
from netlab.verify.tap import NotMeasured
from netlab.wire import icmp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.middlebox import Packet
    from netlab.topology.model import Masquerade
    from netlab.verify.bench import Bench

Endpoint = tuple[str, int]
KNOWN, ANOTHER = 3478, 3479
"""Ports of the server: STUN's (RFC 8489) and one beside it."""


DRAWS = 6
"""Packets that a NAT gets to find a free port."""

SHORT_LIST = 512
"""Ports: fewer than this are tried one after the other, and each takes a packet."""


class Flow(NamedTuple):
    """One flow from inside: its endpoints on both sides, and a packet of it as it came out."""

    protocol: str
    inside: Endpoint
    remote: Endpoint
    outside: Endpoint
    packet: Packet


class Flows:
    """The NAT at one outside interface of a node, with hosts of ours on both sides."""

    def __init__(self, bench: Bench, nat: Translator | Masquerade) -> None:
        self.bench, self.nat = bench, nat
        node = bench.node
        self.outside = nat.outside
        outsides = {getattr(n, "outside", None) for n in node.nat}
        candidates = [i.name for i in node.interfaces if i.name not in outsides]
        self.inside = next((c for c in candidates if self._has_room(c)), "")
        if not self.inside:
            raise NotMeasured(f"{node.name} has no inside subnet with three free addresses")
        own = bench.interface(self.outside).addresses
        self.addresses = (
            {str(a) for a in nat.addresses}
            if isinstance(nat, Translator)
            else {str(a.ip) for a in own if a.version == 4}
        )
        static = [n for n in node.nat if isinstance(n, StaticNat) and n.outside == nat.outside]
        self.fixed = {str(n.inside_address): str(n.outside_address) for n in static
                      if not n.protocol}  # fmt: skip
        # Two hosts inside, a server and another one outside.
        self.a, self.b, _ = bench.hosts(self.inside, 3)
        self.server, self.other, _ = bench.hosts(self.outside, 3)

    def _has_room(self, interface: str) -> bool:
        try:
            self.bench.hosts(interface, 3)
        except NotMeasured:
            return False
        return True

    def port(self) -> int:
        """A free source port, within the NAT's range if that has one."""
        port = self.bench.port()
        if isinstance(self.nat, Translator):
            low, high = self.nat.port_range
            if not low <= port <= high:
                return low + port % (high - low + 1)
        return port

    def first(self, protocol: str, inside: Endpoint, remote: Endpoint) -> Packet:
        """The first packet of a flow."""
        if protocol == "udp":
            return datagram(inside, remote)
        if protocol == "tcp":
            return segment(inside, remote, "S")
        if protocol == "icmp":
            return echo(inside[0], remote[0], inside[1])
        return crafted.other(inside[0], remote[0])

    def out(self, protocol: str, inside: Endpoint, remote: Endpoint) -> Flow | None:
        """Send a flow's first packet; ``None`` if it does not come out."""
        came = self.bench.send(self.inside, self.first(protocol, inside, remote))
        return self.found(protocol, inside, remote, came[self.outside])

    def found(
        self, protocol: str, inside: Endpoint, remote: Endpoint, came: list[Packet]
    ) -> Flow | None:
        """The flow whose packet is among those that came out."""
        for packet in came:
            source, target = ends(packet)
            if target[0] != remote[0] or packet.is_icmp_error:
                continue
            if protocol in ("tcp", "udp") and target != remote:
                continue
            if PROTOCOLS[protocol] != packet.protocol:
                continue
            return Flow(protocol, inside, remote, source, packet)
        return None

    def begin(self, protocol: str, host: str = "", remote: Endpoint | None = None) -> Flow:
        """A new flow from a port of its own.

        Raises:
            LookupError: it does not come out.
        """
        flow = self.again(protocol, (host or self.a, self.port()), remote or (self.server, KNOWN))
        if flow is None:
            raise LookupError(f"a {protocol} packet from inside does not come out")
        return flow

    def again(self, protocol: str, inside: Endpoint, remote: Endpoint) -> Flow | None:
        """As a client does that is not answered: a NAT may draw a port that is taken, and drop.

        Of a NAT that drops everything nothing comes out for all that.
        """
        draws = DRAWS
        if isinstance(self.nat, Translator):
            low, high = self.nat.port_range
            if high - low < SHORT_LIST:
                draws = max(draws, high - low + 2)  # they are gone through in turn
        for _ in range(draws):
            flow = self.out(protocol, inside, remote)
            if flow:
                return flow
        return None

    def connect(self) -> Flow:
        """A TCP connection whose handshake is over."""
        flow = self.begin("tcp")
        self.answer(flow)
        self.bench.send(self.inside, segment(flow.inside, flow.remote, "A", seq=1001, ack=5001))
        return flow

    def answer(self, flow: Flow) -> bool:
        """Whether the known peer's answer to the first packet reaches its sender."""
        if flow.protocol == "tcp":
            reply = segment(flow.remote, flow.outside, "SA", seq=5000, ack=1001)
        elif flow.protocol == "icmp":
            reply = echo(flow.remote[0], flow.outside[0], flow.outside[1], reply=True)
        elif flow.protocol == "udp":
            reply = datagram(flow.remote, flow.outside)
        else:
            reply = crafted.other(flow.remote[0], flow.outside[0])
        return self.arrives(flow, reply)

    def more(self, flow: Flow) -> bool:
        """Whether data of the known peer's arrive in a connection."""
        data = segment(flow.remote, flow.outside, "PA", b"late", seq=5001, ack=1001)
        return self.arrives(flow, data)

    def stranger(self, flow: Flow, source: Endpoint) -> bool:
        """Whether a first packet from somebody else passes, to whichever host."""
        packet = self.first(flow.protocol, source, flow.outside)
        came = self.bench.send(self.outside, packet)[self.inside]
        return any(ends(p)[0] == source for p in came)

    def arrives(self, flow: Flow, packet: Packet) -> bool:
        """Whether a packet from outside reaches the inside endpoint."""
        came = self.bench.send(self.outside, packet)[self.inside]
        return bool(to(came, flow.inside, packet.protocol))

    def several(self, protocol: str, number: int, host: str) -> Iterator[Flow]:
        """That many flows to the server that are under way at once; those that came out."""
        for _ in range(number):
            inside = (host, self.port())
            flow = self.out(protocol, inside, (self.server, KNOWN))
            if flow:
                yield flow


PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": icmp.PROTOCOL, "unknown": EXPERIMENT}
