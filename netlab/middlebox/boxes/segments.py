"""Boxes that cut, join and replace TCP data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netlab.middlebox.box import Back, Direction, Middlebox
from netlab.middlebox.boxes.sequence import MODULUS, Flow, ahead, connection, reverse
from netlab.middlebox.flow_table import FLOWS, IDLE, FlowTable, Timers, octets
from netlab.middlebox.kind import Kind
from netlab.middlebox.parameters import Parameter
from netlab.wire import tcp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netlab.middlebox.box import Verdict
    from netlab.middlebox.packet import Packet


SAFE_PACKET = 1280
"""Octets that every link carries (RFC 8200 section 5): below, a packet may grow as it likes."""


def pieces(pkt: Packet, size: int) -> Iterator[Packet]:
    """A segment in pieces of at most ``size`` octets of data.

    Options are copied to each, PSH and FIN go with the last.
    """
    head, data = pkt.tcp, pkt.payload
    if head is None or len(data) <= size:
        yield pkt
        return
    for at in range(0, len(data), size):
        last = at + size >= len(data)
        flags = head.flags if last else head.flags & ~(tcp.PSH | tcp.FIN)
        yield pkt.with_tcp(data[at : at + size], seq=(head.seq + at) % MODULUS, flags=flags)


class Split(Middlebox):
    """Cuts segments to at most ``size`` octets of data."""

    def __init__(self, size: int) -> None:
        self._size = size

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The pieces in order."""
        del direction, now
        head = pkt.tcp
        if head is None or head.flags & tcp.SYN:
            yield pkt
        else:
            yield from pieces(pkt, self._size)


class Coalesce(Middlebox):
    """Holds a data segment back for a while and joins what follows it in sequence."""

    def __init__(self, size: int, wait: float, flows: int) -> None:
        self._size = size
        self._wait = wait
        self._flows = flows
        self._held: dict[Flow, tuple[float, Direction, Packet]] = {}
        self._timers: Timers[Flow] = Timers()

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """Nothing yet, or what was held and cannot grow any more."""
        head, flow = pkt.tcp, pkt.flow
        if head is None or flow is None:
            yield pkt
            return
        data = pkt.payload
        held = self._held.pop(flow, None)
        if held:
            due, _, before = held
            joined = self._joined(before, pkt)
            if joined is None:
                yield before
            else:
                pkt, data, now = joined, joined.payload, due - self._wait
        mergeable = data and not head.flags & (tcp.SYN | tcp.FIN | tcp.RST | tcp.URG)
        if mergeable and len(data) < self._size:
            due = now + self._wait
            self._held[flow] = due, direction, pkt
            self._timers.set(flow, due)
            if len(self._held) > self._flows:
                yield self._released(next(iter(self._held)), direction)
        else:
            self._timers.set(flow, None)
            yield pkt

    def _released(self, flow: Flow, now_going: Direction) -> Verdict:
        """What is held of a connection, before its time."""
        self._timers.set(flow, None)
        _, direction, pkt = self._held.pop(flow)
        return pkt if direction == now_going else Back(pkt)

    def _joined(self, before: Packet, pkt: Packet) -> Packet | None:
        """Both as one segment with the options of the first; ``None`` if they do not fit."""
        first, second = before.tcp, pkt.tcp
        assert first is not None
        assert second is not None
        data, more = before.payload, pkt.payload
        follows = second.seq == (first.seq + len(data)) % MODULUS
        if not more or not follows or len(data) + len(more) > self._size:
            return None
        flags = first.flags | second.flags
        return before.with_tcp(data + more, ack=second.ack, window=second.window, flags=flags)

    def deadline(self) -> float | None:
        """When the oldest held segment has waited long enough."""
        return self._timers.first()

    def wake(self, now: float) -> Iterator[tuple[Direction, Verdict]]:
        """What has waited long enough."""
        for flow in self._timers.due(now):
            _, direction, pkt = self._held.pop(flow)
            yield direction, pkt


@dataclass(slots=True)
class _Shift:
    """How one direction's sequence numbers moved: (first number behind it, by how much) each."""

    points: list[tuple[int, int]] = field(default_factory=list)
    base: int = 0
    """By how much they moved before the first of ``points``, of which the oldest are forgotten."""

    def add(self, after: int, by: int) -> None:
        """``by`` octets more from ``after`` on; a retransmission adds nothing."""
        if not self.points or ahead(after, self.points[-1][0]) > 0:
            self.points.append((after, self.total + by))
            if len(self.points) > POINTS:
                self.base = self.points.pop(0)[1]

    @property
    def total(self) -> int:
        return self.points[-1][1] if self.points else self.base

    def of(self, seq: int) -> int:
        """The new number of ``seq`` as its sender counts."""
        reached = (total for after, total in reversed(self.points) if ahead(seq, after) >= 0)
        return (seq + next(reached, self.base)) % MODULUS

    def back(self, ack: int) -> int:
        """What the sender means by ``ack`` as the receiver counts, never beyond what it sent."""
        for number in range(len(self.points) - 1, -1, -1):
            after, total = self.points[number]
            before = self.points[number - 1][1] if number else self.base
            if ahead(ack, (after + total) % MODULUS) >= 0:
                return (ack - total) % MODULUS
            if ahead(ack, (after + before) % MODULUS) > 0:
                # Within what the box inserted: the octet before it is acknowledged, no more.
                return after
        return (ack - self.base) % MODULUS


POINTS = 1024
"""Replacements of one direction that are remembered: more than a window holds."""

POINT = 128
"""Octets that one of them takes, about."""


class PayloadRewrite(Middlebox):
    """Replaces octets of TCP data by others of any length, as an application-level gateway does.

    Sequence and acknowledgement numbers are mended both ways; a segment that might become too
    long for the link leaves as two. Only a pattern that lies within one
    segment is found, which is what the simple ones of its kind do.
    """

    def __init__(
        self, find: str, replace: str, port: int, *, flows: int, idle: float, octets: int
    ) -> None:
        self._find = find.encode()
        self._replace = replace.encode()
        self._port = port
        self._table: FlowTable[Flow, dict[Flow, _Shift]] = FlowTable(flows, idle, octets)

    @property
    def forgotten(self) -> Mapping[str, int]:
        """Connections whose numbers are no longer mended."""
        return self._table.forgotten

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The segment with other data, and numbers that fit."""
        del direction
        head, flow = pkt.tcp, pkt.flow
        if head is None or flow is None or self._port not in (0, flow[1], flow[3]):
            yield pkt
            return
        both = connection(flow)
        shifts = self._table.get(both, now)
        if shifts is None:
            shifts = {flow: _Shift(), reverse(flow): _Shift()}
            self._table.put(both, shifts, now)
        if head.flags & tcp.SYN:
            shifts[flow] = _Shift()
        own, other = shifts[flow], shifts[reverse(flow)]
        data = pkt.payload
        changed = data.replace(self._find, self._replace)
        seq = own.of(head.seq)
        if len(changed) != len(data):
            own.add((head.seq + len(data)) % MODULUS, len(changed) - len(data))
            self._table.weigh(both, POINT * (len(own.points) + len(other.points)))
        ack = other.back(head.ack) if head.flags & tcp.ACK else head.ack
        rewritten = pkt.with_tcp(changed, seq=seq, ack=ack)
        if len(changed) <= len(data) or len(rewritten) <= SAFE_PACKET:
            yield rewritten
        else:
            yield from pieces(rewritten, len(data))


class _Memory:
    """The octets of one flow that have passed, as far back as ``room`` goes."""

    def __init__(self, start: int, room: int) -> None:
        self._start = start
        self._room = room
        self._octets = bytearray()
        self._known = bytearray()  # 1 where the octet has passed

    def first(self, seq: int, data: bytes) -> bytes:
        """``data``, or for each octet that has passed before what it was then."""
        at = ahead(seq, self._start)
        if at < 0:
            # Older than what is remembered.
            return data[:-at] + (self.first(self._start, data[-at:]) if len(data) > -at else b"")
        end = at + len(data)
        beyond = min(end - self._room, at)
        if beyond > 0:
            # What would not fit is forgotten now: a gap may be two gigabytes long.
            del self._octets[:beyond], self._known[:beyond]
            self._start = (self._start + beyond) % MODULUS
            at, end = at - beyond, end - beyond
        missing = end - len(self._octets)
        if missing > 0:
            self._octets += bytes(missing)
            self._known += bytes(missing)
        known = self._known[at:end]
        if any(known):
            old = self._octets[at:end]
            data = bytes(o if k else d for o, k, d in zip(old, known, data, strict=True))
        self._octets[at:end] = data
        self._known[at:end] = b"\1" * len(data)
        excess = len(self._octets) - self._room
        if excess > 0:
            del self._octets[:excess], self._known[:excess]
            self._start = (self._start + excess) % MODULUS
        return data

    def __len__(self) -> int:
        return len(self._octets) + len(self._known)


class FirstCopy(Middlebox):
    """Remembers what it passed: a retransmission with other data leaves with the old ones."""

    def __init__(self, remember: int, flows: int, idle: float, octets: int) -> None:
        self._remember = remember
        self._table: FlowTable[Flow, _Memory] = FlowTable(flows, idle, octets)
        self._begun: FlowTable[Flow, int] = FlowTable(flows, idle)

    @property
    def forgotten(self) -> Mapping[str, int]:
        """Directions of which a retransmission with other data passes as it is."""
        return self._table.forgotten

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The segment, each octet as it was when it passed first."""
        del direction
        head, flow = pkt.tcp, pkt.flow
        if head is None or flow is None:
            yield pkt
            return
        data = pkt.payload
        seq = (head.seq + bool(head.flags & tcp.SYN)) % MODULUS
        if head.flags & tcp.SYN and self._begun.get(flow, now) != seq:
            self._begun.put(flow, seq, now)
            self._table.pop(flow)  # the same ports, another connection
        if not data:
            yield pkt
            return
        memory = self._table.get(flow, now)
        if memory is None:
            memory = _Memory(seq, self._remember)
            self._table.put(flow, memory, now)
        first = memory.first(seq, data)
        self._table.weigh(flow, len(memory))
        yield pkt if first == data else pkt.with_tcp(first)


KINDS = (
    Kind(
        "split",
        "Cuts TCP segments into smaller ones; every piece gets a copy of the options.",
        "Honda et al. 2011 (segments split); Hesmans et al. 2013",
        "More and smaller segments arrive than were sent, with the same options on each.",
        (Parameter("size", "integer", "octets of data in a segment", 536, 1, 65495),),
        box=Split,
    ),
    Kind(
        "coalesce",
        "Joins TCP segments that follow each other; the options of all but the first are lost.",
        "Honda et al. 2011 (segments coalesced); Hesmans et al. 2013",
        "Fewer and larger segments arrive than were sent.",
        (
            Parameter("size", "integer", "octets of data at most", 1448, 2, 65495),
            Parameter("wait", "duration", "how long a segment is held back", 0.002, 1e-6, 10),
            Parameter("flows", "integer", "segments held; the oldest goes on", 4096, 1, 1 << 20),
        ),
        box=Coalesce,
    ),
    Kind(
        "payload-rewrite",
        "An application-level gateway: replaces a text in TCP data by one of another length, as for"
        " the addresses of FTP, and shifts the sequence numbers that follow.",
        "RFC 2663 section 2.9; RFC 3234 section 2.11; Honda et al. 2011",
        "Other data arrives than was sent, and absolute sequence numbers in options no longer fit.",
        (
            Parameter("find", "text", "what to replace", required=True),
            Parameter("replace", "text", "by what", required=True),
            Parameter("port", "integer", "at either end; 0 for all", 0, 0, 65535),
            FLOWS,
            IDLE,
            octets("for what was replaced, of all connections together"),
        ),
        box=PayloadRewrite,
    ),
    Kind(
        "first-copy",
        "A normaliser that lets no two versions of the same sequence number pass: a retransmission"
        " with other data leaves with the data of the first.",
        "Honda et al. 2011 (retransmission with other payload); Handley, Paxson, Kreibich 2001",
        "The receiver has the data of the first transmission, although the second was accepted.",
        (
            Parameter("remember", "integer", "octets of each flow", 65536, 1, 1 << 24),
            FLOWS,
            IDLE,
            octets("remembered of all connections together"),
        ),
        box=FirstCopy,
    ),
)
