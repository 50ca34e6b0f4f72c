"""What became of every packet: the answer, ready to be asked, printed and compared."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from netlab.wire.view import ARP, ICMPV6

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlab.capture.evidence import Direction, Gap
    from netlab.trace.disposition import Disposition
    from netlab.wire.view import View

IGMP = 2
HOUSEKEEPING = frozenset(bytes([kind]) for kind in (*range(130, 138), 143))
"""ICMPv6 types of MLD (RFC 2710, RFC 3810) and Neighbour Discovery (RFC 4861)."""

Source: TypeAlias = Literal["nft", "kernel", "conntrack", "box", "program", "inferred"]


class Reason(NamedTuple):
    """Why a packet ended so. ``source`` is who says it.

    ``inferred`` means that nobody saw the end itself. ``rule`` is the rule's text, ``topology``
    the place in the topology file that made it, as ``file:line``.
    """

    source: Source
    text: str
    rule: str = ""
    topology: str = ""
    label: str = ""
    """What the rule calls itself in its comment."""
    chain: str = ""
    program: str = ""
    """``PID/name`` of "the program" that the text speaks of, if that is known."""


class Hop(NamedTuple):
    """A packet at an interface; ``changes`` since the hop before, in tracebox's notation.

    ``boxes`` is what the boxes of a wire say that they did with it on its way out of there.
    ``binding`` is the translation that conntrack reported, empty where it made or reported none.
    """

    node: str
    interface: str
    direction: Direction
    time_ns: int
    changes: tuple[str, ...] = ()
    boxes: tuple[str, ...] = ()
    binding: str = ""

    def to_json(self) -> dict[str, Any]:
        """``boxes`` and ``binding`` are there only if they were reported."""
        return {
            "node": self.node,
            "interface": self.interface,
            "direction": self.direction,
            "time_ns": self.time_ns,
            "changes": list(self.changes),
            **({"boxes": list(self.boxes)} if self.boxes else {}),
            **({"binding": self.binding} if self.binding else {}),
        }


class PacketTrace(NamedTuple):
    """The journey of one packet and its end.

    ``id`` counts from 1 in the order in which packets were first seen; ``node`` and ``interface``
    are where it ended, ``interface`` empty if it was on none. ``frames`` are the indices of its
    frames in the evidence, one for each hop. ``packet`` is the packet as it was first seen.
    """

    id: int
    label: str
    proto: int
    disposition: Disposition
    node: str
    interface: str
    reason: Reason
    hops: tuple[Hop, ...]
    packet: View
    frames: tuple[int, ...] = ()
    parents: tuple[int, ...] = ()
    """The packets that it was cut from, merged of, or copied from."""
    children: tuple[int, ...] = ()
    copied: bool = False
    """It is a copy that a node made."""
    time_ns: int = 0
    """When it was first seen, or when it died if it was never seen on an interface."""
    last: View | None = None
    """The packet as it was last seen; ``None`` in a prediction."""

    @property
    def arrived(self) -> bool:
        """Whether it reached its destination."""
        return self.disposition.arrived

    @property
    def is_housekeeping(self) -> bool:
        """Whether it is IGMP, MLD, ARP or Neighbour Discovery: what nodes say of themselves."""
        kind = self.packet.transport[:1]
        return self.proto in (IGMP, ARP) or (self.proto == ICMPV6 and kind in HOUSEKEEPING)

    @property
    def asks_for_neighbour(self) -> bool:
        """Whether it is an ARP request or a Neighbour Solicitation."""
        if self.proto == ARP:
            return self.packet.transport[7:8] == b"\1"
        return self.proto == ICMPV6 and self.packet.transport[:1] == b"\x87"

    @property
    def origin(self) -> str:
        """The node where it was first seen."""
        return self.hops[0].node if self.hops else self.node

    def to_json(self) -> dict[str, Any]:
        """The form that every command prints with ``--json``."""
        return {
            "id": self.id,
            "label": self.label,
            "proto": self.proto,
            "disposition": str(self.disposition),
            "where": {"node": self.node, "interface": self.interface},
            "reason": {
                "source": self.reason.source,
                "text": self.reason.text,
                "rule": self.reason.rule,
                "topology": self.reason.topology,
                **({"program": self.reason.program} if self.reason.program else {}),
            },
            "hops": [hop.to_json() for hop in self.hops],
            **({"parents": list(self.parents), "copied": self.copied} if self.parents else {}),
        }


class Traces:
    """Fates in order, to be narrowed by questions and counted; false if there are none.

    ``complete`` says that no witness was missing and none lost anything; else ``gaps`` say what.
    """

    def __init__(self, traces: Iterable[PacketTrace], gaps: Iterable[Gap] = ()) -> None:
        self._traces = tuple(traces)
        self.gaps = tuple(gaps)

    @property
    def complete(self) -> bool:
        """Whether every packet's whole story was in sight."""
        return not self.gaps

    def __iter__(self) -> Iterator[PacketTrace]:
        return iter(self._traces)

    def __len__(self) -> int:
        return len(self._traces)

    def __getitem__(self, index: int) -> PacketTrace:
        return self._traces[index]

    def __repr__(self) -> str:
        ends = ", ".join(f"{n} {end}" for end, n in self.dispositions().items())
        return f"<Fates: {ends or 'none'}{'' if self.complete else ', incomplete'}>"

    def _only(self, traces: Iterable[PacketTrace]) -> Traces:
        return Traces(traces, self.gaps)

    def where(
        self,
        *,
        proto: int | None = None,
        origin: str | None = None,
        source: str | None = None,
        destination: str | None = None,
        port: int | None = None,
        disposition: Disposition | str | None = None,
    ) -> Traces:
        """Those that fit. Addresses and ``port`` (either one) are those of the first hop.

        ``origin`` is the node where a packet was first seen, ``proto`` its IP protocol.
        """
        from netlab.wire.address import packed

        start = packed(source) if source else None
        end = packed(destination) if destination else None
        return self._only(
            packet_trace
            for packet_trace in self._traces
            if (proto is None or packet_trace.proto == proto)
            and (origin is None or packet_trace.origin == origin)
            and (start is None or packet_trace.packet.source == start)
            and (end is None or packet_trace.packet.destination == end)
            and (
                port is None
                or port in (packet_trace.packet.source_port, packet_trace.packet.destination_port)
            )
            and (disposition is None or packet_trace.disposition == disposition)
        )

    def through(self, node: str) -> Traces:
        """Those that were seen at ``node``."""
        return self._only(f for f in self._traces if any(hop.node == node for hop in f.hops))

    @property
    def of_interest(self) -> Traces:
        """All but the nodes' own housekeeping; of that what asked for a neighbour in vain."""
        answered = {
            parent for one in self._traces if one.arrived for parent in (one.id, *one.parents)
        }
        return self._only(
            one
            for one in self._traces
            if not one.is_housekeeping
            or (one.asks_for_neighbour and not answered.intersection((one.id, *one.parents)))
        )

    @property
    def arrived(self) -> Traces:
        """Those that reached their destination."""
        return self._only(packet_trace for packet_trace in self._traces if packet_trace.arrived)

    def dropped_at(self, node: str) -> Traces:
        """Those that ended at ``node`` and neither arrived nor live on in other packets."""
        return self._only(
            packet_trace
            for packet_trace in self._traces
            if packet_trace.node == node
            and not packet_trace.arrived
            and not packet_trace.disposition.lives_on
        )

    def dispositions(self) -> dict[Disposition, int]:
        """How many ended how."""
        return dict(Counter(packet_trace.disposition for packet_trace in self._traces))

    def to_json(self) -> dict[str, Any]:
        """``{"packets": [...], "complete": bool}``."""
        return {
            "packets": [packet_trace.to_json() for packet_trace in self._traces],
            "complete": self.complete,
        }

    def canonical(self) -> list[dict[str, Any]]:
        """The same without what differs from run to run: ids of packets and programs, times."""
        found = []
        for packet_trace in self._traces:
            plain = packet_trace.to_json()
            del plain["id"]
            plain.pop("parents", None)
            plain["reason"].pop("program", None)
            for hop in plain["hops"]:
                del hop["time_ns"]
            found.append(plain)
        return sorted(found, key=repr)
