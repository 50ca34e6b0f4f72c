"""What was seen: the records that the collectors deliver and that ``netlab.trace`` judges.

    Frame          bytes that passed an interface        the backbone
    RuleVerdict    one step of a packet through nft
    KernelDrop     the kernel freed a packet, and why
    FlowEvent      an entry of conntrack came, changed or went
    Count          a counter rose while we watched
    Carriage       what the boxes of a wire did with one packet
    PacketReport   what a program says that it did with one packet
    TunProgram     who has a TUN device open
    Gap            what could not be watched, or was lost

A ``Surroundings`` says where all this happened. Times are nanoseconds since the epoch on the one
clock that all nodes share; addresses are packed; ``node`` and ``interface`` are the lab's names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Direction: TypeAlias = Literal["in", "out"]
Source: TypeAlias = Literal["capture", "nft", "drops", "conntrack", "counters", "boxes", "programs"]


class Frame(NamedTuple):
    """A frame as AF_PACKET saw it: coming ``in`` before nft, going ``out`` after the queue.

    ``data`` may be cut short; ``length`` is what was on the wire. A frame of a TUN device has no
    Ethernet header.
    """

    time_ns: int
    node: str
    interface: str
    direction: Direction
    data: bytes
    length: int
    ethernet: bool = True
    is_summed: bool = True
    """Whether the transport's checksum is there: a sender may leave it to a device."""


class RuleVerdict(NamedTuple):
    """One message of nft's trace: a rule that matched, or the policy at the end of a chain.

    ``trace_id`` tells packets apart as long as they live; ``verdict`` is ``accept``, ``drop``,
    ``continue``, ``jump CHAIN`` and so on. ``headers`` are the first octets from the IP header
    on, at most 40 + 20, and only in the first message of each run through a chain.
    """

    node: str
    trace_id: int
    family: str
    table: str
    chain: str
    hook: str
    kind: Literal["rule", "return", "policy"]
    verdict: str
    rule: str = ""
    comment: str = ""
    headers: bytes = b""


class KernelDrop(NamedTuple):
    """The tracepoint skb:kfree_skb: ``reason`` without its prefix, and the freeing function.

    ``data`` are the first octets from the IP header on. ``state`` is the state of the TCP socket
    that refused the packet, by its name in RFC 9293; empty where the kernel does not show it.
    """

    time_ns: int
    node: str
    reason: str
    function: str
    data: bytes
    state: str = ""


class Flow(NamedTuple):
    """One direction of a flow, as conntrack tells flows apart.

    Where a protocol has no ports they are 0; of an ICMP echo both are its identifier.
    """

    source: bytes
    destination: bytes
    protocol: int
    source_port: int = 0
    destination_port: int = 0

    @property
    def back(self) -> Flow:
        """The other direction, where nothing translates."""
        return Flow(
            self.destination,
            self.source,
            self.protocol,
            self.destination_port,
            self.source_port,
        )


class FlowEvent(NamedTuple):
    """An entry of conntrack. ``reply`` is what an answer looks like before it is translated back.

    So a packet of ``original`` leaves the node as ``reply.back``. ``time_ns`` is when this was
    read: it happened earlier, nobody knows by how much. ``status`` are the IPS_ bits.
    """

    node: str
    time_ns: int
    kind: Literal["new", "update", "destroy"]
    original: Flow
    reply: Flow
    status: int = 0


class Count(NamedTuple):
    """A counter that rose by ``delta`` in a node.

    ``name`` is ``Udp.NoPorts`` (SNMP), ``conntrack.insert_failed``, ``queue.eth0.drops`` or
    ``MISSED``.
    """

    node: str
    name: str
    delta: int


MISSED = "wire.missed"
"""Packets that came faster than the program in a wire took them in."""


class BoxAction(NamedTuple):
    """Something that a box did with a packet other than to pass it on.

    ``box`` is its kind or its class, ``topology`` the ``file:line`` that put it on the wire.
    ``what`` is a word of ``netlab.middlebox.recorder``; ``text`` says how or why, if it is known.
    """

    box: str
    topology: str
    what: str
    text: str = ""


class BoxEvent(NamedTuple):
    """One packet in a wire: how it came in, what the boxes did with it in order, how it went out.

    ``came`` and each of ``left`` are an interface of ``node`` and the first octets from the IP
    header on. A packet that a box made did not come: its first deed says who made it. One that
    came before the observation began has neither.
    """

    node: str
    came: tuple[str, bytes] | None
    actions: tuple[BoxAction, ...] = ()
    left: tuple[tuple[str, bytes], ...] = ()


class PacketReport(NamedTuple):
    """What a program of ``node`` says that it did with a packet (``netlab.linux.packet_reports``).

    ``program`` is ``PID/name``. ``came`` and each of ``left`` are an interface and the first
    octets from the IP header on; what the program sent unasked did not come. ``end`` is a
    disposition's word; without it the packet went on as what ``left``.
    """

    node: str
    program: str
    came: tuple[str, bytes] | None
    end: str = ""
    text: str = ""
    left: tuple[tuple[str, bytes], ...] = ()


class TunProgram(NamedTuple):
    """``program``, as ``PID/name``, had a TUN or TAP device open."""

    node: str
    interface: str
    program: str


class Gap(NamedTuple):
    """Something that this collector did not see; ``node`` is empty where it concerns them all."""

    collector: Source
    text: str
    node: str = ""


class RefusingRoute(NamedTuple):
    """A route of a node that refuses what it matches: ``length`` is that of its prefix."""

    node: str
    destination: bytes
    length: int
    kind: str
    """``unreachable``, ``prohibit`` or ``blackhole``."""

    def covers(self, address: bytes) -> bool:
        """Whether ``address`` is in its prefix."""
        if len(address) != len(self.destination):
            return False
        shift = len(address) * 8 - self.length
        return int.from_bytes(address, "big") >> shift == (
            int.from_bytes(self.destination, "big") >> shift
        )


class RunningRoute(NamedTuple):
    """A route as the kernel has it: ``kind`` as in ip-route(8), the least ``metric`` goes first.

    ``hops`` are (gateway, interface), none for a route that refuses; ``source`` is the address
    that packets get by it, if it names one.
    """

    destination: bytes
    length: int
    kind: str
    hops: tuple[tuple[bytes, str], ...]
    metric: int = 0
    table: int = 254
    source: bytes = b""


class NodeState(NamedTuple):
    """A node as it runs: what a plan does not know.

    ``down`` are the interfaces that carry nothing. ``flows`` are the entries of conntrack: both
    directions, and the IPS_ bits of its status.
    """

    down: frozenset[str]
    routes: tuple[RunningRoute, ...]
    flows: tuple[tuple[Flow, Flow, int], ...] = ()


class Interface(NamedTuple):
    """An interface of a node. ``peer`` is the interface at the other end of its wire.

    ``mac`` is its Ethernet address, empty where it has none or where that is not known.
    """

    name: str
    kind: str = "veth"
    addresses: tuple[bytes, ...] = ()
    peer: tuple[str, str] | None = None
    mac: bytes = b""


class NodeInfo(NamedTuple):
    """A node as the evidence needs it. ``kind`` as in the topology, or ``wire``.

    A ``wire`` is where programs carry each packet from one interface to the other: ``boxes`` are
    the kinds of middlebox that they are.
    """

    kind: str
    interfaces: tuple[Interface, ...]
    boxes: tuple[str, ...] = ()


class Evidence(NamedTuple):
    """All that was collected. The order within each kind is the order of arrival."""

    inventory: Mapping[str, NodeInfo]
    frames: tuple[Frame, ...] = ()
    verdicts: tuple[RuleVerdict, ...] = ()
    drops: tuple[KernelDrop, ...] = ()
    counts: tuple[Count, ...] = ()
    gaps: tuple[Gap, ...] = ()
    flows: tuple[FlowEvent, ...] = ()
    arrivals_only: bool = False
    """Frames were captured only where they came in: what comes in by a wire had gone out before."""
    box_events: tuple[BoxEvent, ...] = ()
    routes: tuple[RefusingRoute, ...] = ()
    reports: tuple[PacketReport, ...] = ()
    tun_programs: tuple[TunProgram, ...] = ()
