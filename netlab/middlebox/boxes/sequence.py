"""Boxes that meddle with TCP sequence numbers.

A sequence number is modulo 2**32; ``ahead(a, b)`` says how far ``a`` lies before ``b`` in the
sense of RFC 9293 section 3.4, negative if it lies behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from netlab.middlebox.box import Direction, Drop, Middlebox
from netlab.middlebox.flow_table import FLOWS, IDLE, FlowTable
from netlab.middlebox.kind import Kind
from netlab.middlebox.parameters import Parameter
from netlab.wire import tcp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netlab.middlebox.box import Verdict
    from netlab.middlebox.packet import Packet

MODULUS = 1 << 32

Flow: TypeAlias = tuple[bytes, int, bytes, int]


def ahead(a: int, b: int) -> int:
    """How far ``a`` is ahead of ``b``, between -2**31 and 2**31 - 1."""
    return (a - b + (1 << 31)) % MODULUS - (1 << 31)


def reverse(flow: Flow) -> Flow:
    """The same connection as the other end writes it."""
    return (flow[2], flow[3], flow[0], flow[1])


def connection(flow: Flow) -> Flow:
    """The same for both directions."""
    return min(flow, reverse(flow))


def length(head: tcp.Header, payload: bytes) -> int:
    """Sequence numbers that a segment takes: its data, SYN and FIN (SEG.LEN)."""
    return len(payload) + bool(head.flags & tcp.SYN) + bool(head.flags & tcp.FIN)


def shift_sack(options: bytes, by: int) -> bytes:
    """Options with each SACK edge moved; everything else stays where it is."""
    moved = bytearray(options)
    at = 0
    while at + 1 < len(options):
        kind = options[at]
        if kind == tcp.END_OF_OPTIONS:
            break
        if kind == tcp.NO_OPERATION:
            at += 1
            continue
        size = options[at + 1]
        if size < 2 or at + size > len(options):
            break
        if kind == tcp.SACK:
            for edge in range(at + 2, at + size - 3, 4):
                value = int.from_bytes(options[edge : edge + 4], "big")
                moved[edge : edge + 4] = ((value + by) % MODULUS).to_bytes(4, "big")
        at += size
    return bytes(moved)


class SequenceRewrite(Middlebox):
    """Shifts the sequence numbers of each direction of each connection by its own secret."""

    def __init__(self, sack: str, flows: int, idle: float) -> None:
        self._fix_sack = sack == "rewritten"
        self._table: FlowTable[Flow, dict[Flow, int]] = FlowTable(flows, idle)

    @property
    def forgotten(self) -> Mapping[str, int]:
        """Connections whose numbers pass as they are from then on."""
        return self._table.forgotten

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """SEG.SEQ by the sender's shift, SEG.ACK and SACK back by the receiver's."""
        del direction
        head, flow = pkt.tcp, pkt.flow
        if head is None or flow is None:
            yield pkt
            return
        shifts = self._table.get(connection(flow), now) or {}
        if head.flags & tcp.SYN and flow not in shifts:
            shifts[flow] = self.rng.randrange(MODULUS)
            self._table.put(connection(flow), shifts, now)
        own, other = shifts.get(flow, 0), shifts.get(reverse(flow), 0)
        options = head.options
        if self._fix_sack and options:
            options = shift_sack(options, -other)
        yield pkt.with_tcp(
            seq=(head.seq + own) % MODULUS,
            ack=(head.ack - other) % MODULUS if head.flags & tcp.ACK else head.ack,
            options=options,
        )


class HoleBlocker(Middlebox):
    """Passes data only in sequence: what follows a hole is dropped until it is filled."""

    def __init__(self, flows: int, idle: float) -> None:
        self._table: FlowTable[Flow, int] = FlowTable(flows, idle)

    @property
    def forgotten(self) -> Mapping[str, int]:
        """Directions whose next segment passes, whatever it is."""
        return self._table.forgotten

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """Old and expected data pass, later data do not."""
        del direction
        head, flow = pkt.tcp, pkt.flow
        if head is None or flow is None:
            yield pkt
            return
        end = (head.seq + length(head, pkt.payload)) % MODULUS
        known = self._table.get(flow, now)
        if head.flags & tcp.SYN or known is None:
            expected = end if head.flags & tcp.SYN else head.seq
            self._table.put(flow, expected, now)
        else:
            expected = known
        if ahead(head.seq, expected) > 0 and end != head.seq:
            yield Drop("it lies behind a hole in the sequence")
            return
        if ahead(end, expected) > 0:
            self._table.put(flow, end, now)
        yield pkt


KINDS = (
    Kind(
        "sequence-rewrite",
        "Adds a random number to the sequence numbers of each connection, to hide a weak initial"
        " sequence number. One that does not rewrite SACK blocks along is worse than no SACK: the"
        " receiver's blocks point nowhere.",
        "Honda et al. 2011; Hesmans et al. 2013; Detal et al. 2013 (`TCP::SeqNumber`)",
        "The sequence number of a SYN differs between the ends; `sack: stale` shows as SACK blocks"
        " outside the window.",
        (
            Parameter(
                "sack",
                "choice",
                "the treatment of SACK blocks",
                "rewritten",
                choices=("rewritten", "stale"),
            ),
            FLOWS,
            IDLE,
        ),
        box=SequenceRewrite,
    ),
    Kind(
        "hole-blocker",
        "Passes TCP data in sequence only. After a loss, everything behind the hole is dropped too"
        " until the lost segment comes again.",
        "Honda et al. 2011 (a hole in the sequence is not passed)",
        "One loss makes the sender repeat all that followed; the receiver never sends SACK.",
        (FLOWS, IDLE),
        box=HoleBlocker,
    ),
)
