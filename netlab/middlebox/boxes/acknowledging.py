"""Boxes that acknowledge TCP data in the place of the receiver."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from netlab.middlebox.box import Back, Direction, Drop, Middlebox
from netlab.middlebox.boxes.options import without
from netlab.middlebox.boxes.sequence import MODULUS, Flow, ahead, connection, length, reverse
from netlab.middlebox.flow_table import FLOWS, IDLE, FlowTable, Timers, octets
from netlab.middlebox.kind import Kind
from netlab.middlebox.parameters import Parameter
from netlab.tcp.rto import RetransmissionTimeout
from netlab.tcp.settings import DEFAULTS
from netlab.wire import tcp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netlab.middlebox.box import Verdict
    from netlab.middlebox.packet import Packet

DUPLICATES = 3
"""ACKs of one number after which what follows it is lost (RFC 5681 section 3.2)."""

EARLY = 256
"""Segments of a direction that are kept although one before them is missing."""

OVERHEAD = 512
"""Octets that it takes to keep a segment, besides its own."""

TRIES = 8
"""Retransmissions of one segment before the receiver is believed to be gone."""

NOT_FOR_THE_SENDER = frozenset({tcp.SACK})
"""The box deals with the holes that a receiver reports; to its sender there are none."""


class ForgetfulProxy(Middlebox):
    """Acknowledges data on its way, and keeps no copy."""

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The segment, and an ACK for its sender."""
        del direction, now
        yield pkt
        head = pkt.tcp
        if head is None or not head.flags & tcp.ACK or not pkt.payload:
            return
        yield Back(
            pkt.answer(
                seq=head.ack,
                ack=(head.seq + length(head, pkt.payload)) % MODULUS,
                flags=tcp.ACK,
                window=0xFFFF,
            )
        )


class _Stream:
    """The data of one direction: what was acknowledged, and what the receiver has.

    ::

        una ............ taken ............ edge
            kept here          still fits
    """

    def __init__(self, direction: Direction, start: int) -> None:
        self.direction = direction
        self.start = start
        self.taken = start
        """What was acknowledged to the sender: all before it is the box's to deliver."""
        self.una = start
        """What the receiver has acknowledged."""
        self.edge = start
        """The right edge of the receiver's window."""
        self.shift = 0
        """The scale of the receiver's window (RFC 7323)."""
        self.reported: tuple[int, int] | None = None
        """ACK and window as the sender knows them."""
        self.due: float | None = None
        self._kept: deque[tuple[int, Packet]] = deque()  # each with the number behind its data
        self._beyond: dict[int, tuple[int, Packet]] = {}  # what came too early, by its number
        self.octets = 0
        """What it takes to keep all that it keeps."""
        self._timeout = RetransmissionTimeout(DEFAULTS)
        self._timed: tuple[int, float] | None = None  # a number, and when it went out
        self._tries = 0
        self._duplicates = 0
        self._recover = start

    @property
    def owes(self) -> bool:
        """Whether the box still has something to deliver."""
        return bool(self._kept)

    def report(self) -> tuple[int, int]:
        """ACK and window for the sender: no more than the receiver has room for."""
        room = max(ahead(self.edge, self.taken), 0) >> self.shift
        self.reported = self.taken, min(room, 0xFFFF)
        return self.reported

    def take(self, seq: int, pkt: Packet, now: float) -> None:
        """A data segment passes: keep it until the receiver has it."""
        end = (seq + len(pkt.payload)) % MODULUS
        if ahead(seq, self.taken) > 0:
            if len(self._beyond) < EARLY and seq not in self._beyond:
                self._beyond[seq] = end, pkt
                self.octets += len(pkt) + OVERHEAD
            return
        self._keep(end, pkt, now)
        while early := next((s for s in self._beyond if ahead(s, self.taken) <= 0), None):
            end, pkt = self._beyond.pop(early)
            self.octets -= len(pkt) + OVERHEAD
            self._keep(end, pkt, now)

    def _keep(self, end: int, pkt: Packet, now: float) -> None:
        if ahead(end, self.taken) <= 0:
            return
        self._kept.append((end, pkt))
        self.octets += len(pkt) + OVERHEAD
        self.taken = end
        if self.due is None:
            self.due = now + self._timeout.value
        if self._timed is None:
            self._timed = end, now

    def acknowledged(self, head: tcp.Header, now: float, *, plain: bool) -> Packet | None:
        """The receiver says what it has; what it lacks, if that follows from it.

        ``plain`` means that the segment carries nothing else.
        """
        edge = (head.ack + (head.window << self.shift)) % MODULUS
        moved = ahead(edge, self.edge) > 0
        if moved:
            self.edge = edge
        if ahead(head.ack, self.una) > 0:
            self._advance(head.ack, now)
            if self.owes and ahead(self._recover, self.una) > 0:
                return self._again()  # a partial ACK: the next hole (RFC 6582 section 3.2)
        elif head.ack == self.una and self.owes and plain and not moved:
            self._duplicates += 1
            if self._duplicates == DUPLICATES:
                self._recover = self.taken
                return self._again()
        return None

    def _advance(self, ack: int, now: float) -> None:
        self.una = ack
        if ahead(ack, self.taken) > 0:
            self.taken = ack  # a FIN, which is not the box's to acknowledge
        while self._kept and ahead(self._kept[0][0], ack) <= 0:
            self.octets -= len(self._kept.popleft()[1]) + OVERHEAD
        if self._timed and ahead(ack, self._timed[0]) >= 0:
            self._timeout.sample(now - self._timed[1])
            self._timed = None
        self._duplicates = self._tries = 0
        self.due = now + self._timeout.value if self._kept else None

    def _again(self) -> Packet:
        self._timed = None  # its ACK would be ambiguous (Karn's algorithm)
        return self._kept[0][1]

    def expired(self) -> Packet | None:
        """The time for an ACK is over: the first segment again, ``None`` if that is pointless."""
        self._tries += 1
        if self.due is None or self._tries > TRIES:
            self.octets -= sum(len(pkt) + OVERHEAD for _, pkt in self._kept)
            self._kept.clear()
            self.due = None
            return None
        self._timeout.back_off()
        self.due += self._timeout.value
        self._recover = self.taken
        return self._again()


class _Connection(NamedTuple):
    """Both directions: their data, the window scale that each end offered, its last TSval."""

    streams: dict[Flow, _Stream]
    scales: dict[Flow, int | None]
    clocks: dict[Flow, int]


class ProxyAck(Middlebox):
    """Acknowledges data in the place of the receiver, and sees to it that the receiver gets it.

    Its sender learns of no more room than the receiver has, and nothing of losses behind
    the box: they are made good from there. A FIN is left to the ends.
    """

    def __init__(self, flows: int, idle: float, octets: int) -> None:
        self._table: FlowTable[Flow, _Connection] = FlowTable(flows, idle, None, self._is_over)
        self._timers: Timers[Flow] = Timers()
        self._octets = octets

    @property
    def forgotten(self) -> Mapping[str, int]:
        """Connections that the box leaves to their ends, and segments that it could not keep."""
        return self._table.forgotten

    def _is_over(self, both: Flow, _: _Connection) -> None:
        for flow in (both, reverse(both)):
            self._timers.set(flow, None)

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The segment, an ACK for its sender, and again what its sender seems to lack."""
        head, flow = pkt.tcp, pkt.flow
        if head is None or flow is None:
            yield pkt
            return
        options = tcp.parse_options(head.options)
        if head.flags & tcp.SYN:
            self._begin(flow, head, options, direction, now)
        known = self._table.get(connection(flow), now)
        if known and options.timestamps:
            known.clocks[flow] = options.timestamps[0]
        own = known.streams.get(flow) if known else None
        other = known.streams.get(reverse(flow)) if known else None
        if head.flags & tcp.RST:
            self._forget(flow)
        if head.flags & (tcp.SYN | tcp.RST) or own is None or other is None:
            yield pkt
            return
        if head.flags & tcp.ACK:
            plain = not pkt.payload and not head.flags & tcp.FIN
            lacking = other.acknowledged(head, now, plain=plain)
            yield self._as_told(pkt, head, other, plain=plain)
            if lacking:
                yield Back(self._afresh(lacking))
        else:
            yield pkt
        if pkt.payload:
            both = connection(flow)
            if len(pkt) + OVERHEAD > self._octets - self._table.octets:
                # Its sender still has it, and the box could not keep it: it says nothing.
                self._table.forgotten["octets"] += 1
            else:
                own.take(head.seq, pkt, now)
                yield Back(self._ack(pkt, flow, options, own))
            self._table.weigh(both, own.octets + other.octets)
        self._timers.set(flow, own.due)
        self._timers.set(reverse(flow), other.due)

    def _begin(
        self,
        flow: Flow,
        head: tcp.Header,
        options: tcp.Options,
        direction: Direction,
        now: float,
    ) -> None:
        start = (head.seq + 1) % MODULUS
        known = self._table.get(connection(flow), now)
        before = known.streams.get(flow) if known else None
        if before and before.start == start:
            return  # the same SYN again
        if not head.flags & tcp.ACK:
            self._forget(flow)
            known = None
        if known is None:
            known = _Connection({}, {}, {})
            self._table.put(connection(flow), known, now)
        stream = known.streams[flow] = _Stream(direction, start)
        known.scales[flow] = options.window_scale
        asked = known.streams.get(reverse(flow))
        if asked:
            mine, theirs = known.scales[flow], known.scales[reverse(flow)]
            if mine is not None and theirs is not None:  # only if both offer it
                asked.shift, stream.shift = min(mine, 14), min(theirs, 14)
            asked.edge = (asked.start + head.window) % MODULUS  # a SYN's window is never scaled

    def _as_told(self, pkt: Packet, head: tcp.Header, stream: _Stream, *, plain: bool) -> Verdict:
        """The segment with the box's own ACK, unless that says nothing new."""
        if not stream.owes:
            stream.reported = head.ack, head.window
            return pkt
        before = stream.reported
        ack, window = stream.report()
        if plain and (ack, window) == before:
            return Drop("the sender has this acknowledgement already")
        options = without(head.options, NOT_FOR_THE_SENDER)
        return pkt.with_tcp(ack=ack, window=window, options=options)

    def _ack(self, pkt: Packet, flow: Flow, options: tcp.Options, stream: _Stream) -> Packet:
        ack, window = stream.report()
        known = self._table.peek(connection(flow))
        clock = known.clocks.get(reverse(flow)) if known else None
        stamps = (clock, options.timestamps[0]) if options.timestamps and clock else None
        head = pkt.tcp
        assert head
        return pkt.answer(
            seq=head.ack,
            ack=ack,
            flags=tcp.ACK,
            window=window,
            options=tcp.encode_options(tcp.Options(timestamps=stamps)),
        )

    def _forget(self, flow: Flow) -> None:
        known = self._table.pop(connection(flow))
        if known:
            self._is_over(flow, known)

    def deadline(self) -> float | None:
        """When the first ACK is overdue."""
        return self._timers.first()

    def wake(self, now: float) -> Iterator[tuple[Direction, Verdict]]:
        """Segments whose ACK is overdue, again."""
        for flow in self._timers.due(now):
            known = self._table.peek(connection(flow))
            stream = known.streams.get(flow) if known else None
            if stream is None:
                continue
            again = stream.expired() if stream.due is not None and stream.due <= now else None
            self._timers.set(flow, stream.due)
            if again:
                yield stream.direction, self._afresh(again)
            elif known:
                both = (one.octets for one in known.streams.values())
                self._table.weigh(connection(flow), sum(both))

    def _afresh(self, kept: Packet) -> Packet:
        """A copy with what its sender says by now, or its receiver might think it is of the past.

        Old clocks are refused by RFC 7323 section 5.3, old ACK numbers by RFC 5961 section 5.2.
        """
        head, flow = kept.tcp, kept.flow
        assert head
        assert flow
        known = self._table.peek(connection(flow))
        assert known
        ack, window = known.streams[reverse(flow)].reported or (head.ack, head.window)
        options = tcp.parse_options(head.options)._replace(sack=())
        if options.timestamps:
            stamps = known.clocks.get(flow, options.timestamps[0]), options.timestamps[1]
            options = options._replace(timestamps=stamps)
        return kept.with_tcp(ack=ack, window=window, options=tcp.encode_options(options))


def _proxy_ack(*, keep: bool, flows: int, idle: float, octets: int) -> Middlebox:
    return ProxyAck(flows, idle, octets) if keep else ForgetfulProxy()


KINDS = (
    Kind(
        "proxy-ack",
        "A performance-enhancing proxy: it acknowledges data on its way, keeps a copy until the"
        " receiver has acknowledged it too, and makes good what is lost behind it. With"
        " `keep: false` it is of the simple kind that forgets: what is lost behind it, or exceeds"
        " the receiver's window, its sender has forgotten too, and the connection hangs.",
        "RFC 3135 sections 3.1.1 and 3.1.3; Honda et al. 2011 (proxy ACK)",
        "An ACK comes back although the receiver is silent; data lost behind the box comes again"
        " though its sender sends nothing.",
        (
            Parameter("keep", "truth", "whether it keeps a copy", default=True),
            FLOWS,
            IDLE,
            octets("kept of all connections; beyond that nothing is acknowledged"),
        ),
        box=_proxy_ack,
    ),
)
