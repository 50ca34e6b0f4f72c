"""Boxes that cut, join and replace TCP data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netlab.middlebox.box import Direction, Middlebox
from netlab.middlebox.boxes.sequence import MODULUS, Flow, ahead, reverse
from netlab.middlebox.kind import Kind
from netlab.middlebox.parameters import Parameter
from netlab.wire import tcp

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    def __init__(self, size: int, wait: float) -> None:
        self._size = size
        self._wait = wait
        self._held: dict[Flow, tuple[float, Direction, Packet]] = {}

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
            self._held[flow] = (now + self._wait, direction, pkt)
        else:
            yield pkt

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
        return min((due for due, _, _ in self._held.values()), default=None)

    def wake(self, now: float) -> Iterator[tuple[Direction, Verdict]]:
        """What has waited long enough."""
        for flow in [f for f, (due, _, _) in self._held.items() if due <= now]:
            _, direction, pkt = self._held.pop(flow)
            yield direction, pkt


@dataclass(slots=True)
class _Shift:
    """How one direction's sequence numbers moved: (first number behind it, by how much) each."""

    points: list[tuple[int, int]] = field(default_factory=list)

    def add(self, after: int, by: int) -> None:
        """``by`` octets more from ``after`` on; a retransmission adds nothing."""
        if not self.points or ahead(after, self.points[-1][0]) > 0:
            self.points.append((after, self.total + by))

    @property
    def total(self) -> int:
        return self.points[-1][1] if self.points else 0

    def of(self, seq: int) -> int:
        """The new number of ``seq`` as its sender counts."""
        by = 0
        for after, total in self.points:
            if ahead(seq, after) >= 0:
                by = total
        return (seq + by) % MODULUS

    def back(self, ack: int) -> int:
        """What the sender means by ``ack`` as the receiver counts, never beyond what it sent."""
        result = ack
        before = 0
        for after, total in self.points:
            if ahead(ack, (after + total) % MODULUS) >= 0:
                result = (ack - total) % MODULUS
            elif ahead(ack, (after + before) % MODULUS) > 0:
                # Within what the box inserted: the octet before it is acknowledged, no more.
                result = after
            before = total
        return result


class PayloadRewrite(Middlebox):
    """Replaces octets of TCP data by others of any length, as an application-level gateway does.

    Sequence and acknowledgement numbers are mended both ways; a segment that might become too
    long for the link leaves as two. Only a pattern that lies within one
    segment is found, which is what the simple ones of its kind do.
    """

    def __init__(self, find: str, replace: str, port: int) -> None:
        self._find = find.encode()
        self._replace = replace.encode()
        self._port = port
        self._shifts: dict[Flow, _Shift] = {}

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The segment with other data, and numbers that fit."""
        del direction, now
        head, flow = pkt.tcp, pkt.flow
        if head is None or flow is None or self._port not in (0, flow[1], flow[3]):
            yield pkt
            return
        if head.flags & tcp.SYN:
            self._shifts[flow] = _Shift()
        own = self._shifts.setdefault(flow, _Shift())
        other = self._shifts.setdefault(reverse(flow), _Shift())
        data = pkt.payload
        changed = data.replace(self._find, self._replace)
        seq = own.of(head.seq)
        if len(changed) != len(data):
            own.add((head.seq + len(data)) % MODULUS, len(changed) - len(data))
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


class FirstCopy(Middlebox):
    """Remembers what it passed: a retransmission with other data leaves with the old ones."""

    def __init__(self, remember: int) -> None:
        self._remember = remember
        self._flows: dict[Flow, _Memory] = {}

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The segment, each octet as it was when it passed first."""
        del direction, now
        head, flow = pkt.tcp, pkt.flow
        data = pkt.payload if head else b""
        if head is None or flow is None or not data:
            yield pkt
            return
        seq = (head.seq + bool(head.flags & tcp.SYN)) % MODULUS
        memory = self._flows.setdefault(flow, _Memory(seq, self._remember))
        first = memory.first(seq, data)
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
        ),
        box=PayloadRewrite,
    ),
    Kind(
        "first-copy",
        "A normaliser that lets no two versions of the same sequence number pass: a retransmission"
        " with other data leaves with the data of the first.",
        "Honda et al. 2011 (retransmission with other payload); Handley, Paxson, Kreibich 2001",
        "The receiver has the data of the first transmission, although the second was accepted.",
        (Parameter("remember", "integer", "octets of each flow", 65536, 1, 1 << 24),),
        box=FirstCopy,
    ),
)
