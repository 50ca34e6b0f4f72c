"""Boxes that rewrite what a TCP header says, or take away what a SYN carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.middlebox.box import Back, Direction, Drop, Middlebox
from netlab.middlebox.boxes.sequence import MODULUS, Flow, ahead, length, reverse, shift_sack
from netlab.middlebox.flow_table import FLOWS, IDLE, FlowTable
from netlab.middlebox.kind import Kind
from netlab.middlebox.parameters import Parameter
from netlab.wire import tcp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netlab.middlebox.box import Verdict
    from netlab.middlebox.packet import Packet


class WindowRewrite(Middlebox):
    """Lowers the receive window that segments offer; a scale that was agreed on still holds."""

    def __init__(self, window: int) -> None:
        self._window = window

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The segment, with no larger window than ``window``."""
        del direction, now
        head = pkt.tcp
        if head is None or head.window <= self._window:
            yield pkt
        else:
            yield pkt.with_tcp(window=self._window)


class SequenceShift(Middlebox):
    """Adds a constant to the sequence numbers of outbound segments, and takes it back."""

    def __init__(self, delta: int) -> None:
        self._delta = delta

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """SEG.SEQ of one way, SEG.ACK and SACK of the other."""
        del now
        head = pkt.tcp
        if head is None:
            yield pkt
        elif direction == "outbound":
            yield pkt.with_tcp(seq=(head.seq + self._delta) % MODULUS)
        elif head.flags & tcp.ACK:
            options = shift_sack(head.options, -self._delta) if head.options else b""
            yield pkt.with_tcp(ack=(head.ack - self._delta) % MODULUS, options=options)
        else:
            yield pkt


class SynDataStrip(Middlebox):
    """Takes the data out of SYNs; their sender sends them again when nobody acknowledges them."""

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The SYN alone."""
        del direction, now
        head = pkt.tcp
        if head is None or not head.flags & tcp.SYN or not pkt.payload:
            yield pkt
        else:
            yield pkt.with_tcp(b"")


class UnsentAckAnswer(Middlebox):
    """Answers an ACK of data that was never sent with what was, as if it were the other end."""

    def __init__(self, flows: int, idle: float) -> None:
        self._next: FlowTable[Flow, int] = FlowTable(flows, idle)

    @property
    def forgotten(self) -> Mapping[str, int]:
        """Directions whose ACKs are believed until they send again."""
        return self._next.forgotten

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The segment; or an ACK back to the one who acknowledged too much."""
        del direction
        head, flow = pkt.tcp, pkt.flow
        if head is None or flow is None:
            yield pkt
            return
        sent = self._next.get(reverse(flow), now)
        if sent is not None and head.flags & tcp.ACK and ahead(head.ack, sent) > 0:
            yield Drop("it acknowledges what was never sent")
            yield Back(pkt.answer(seq=sent, ack=head.seq, flags=tcp.ACK, window=head.window))
            return
        end = (head.seq + length(head, pkt.payload)) % MODULUS
        known = self._next.get(flow, now)
        if known is None or head.flags & tcp.SYN or ahead(end, known) > 0:
            self._next.put(flow, end, now)
        yield pkt


KINDS = (
    Kind(
        "window-rewrite",
        "Lowers the receive window of each segment, to slow a sender down without dropping any."
        " It knows no window scale, so where one is in use the limit is that many times larger.",
        "RFC 3135 section 3; Detal et al. 2013 (`TCP::Window`)",
        "The window differs between the ends; in tracebox notation `TCP::Window`.",
        (Parameter("window", "integer", "as the header has it", 8192, 1, 65535),),
        box=WindowRewrite,
    ),
    Kind(
        "sequence-shift",
        "Adds a constant to the sequence numbers from the link's first end: what is left of an"
        " application-level gateway that once inserted octets. Acknowledgements and SACK are"
        " corrected on their way back.",
        "Honda et al. 2011 (sequence numbers rewritten); Detal et al. 2013 (`TCP::SeqNumber`)",
        "The sequence number differs between the ends by the same number in each connection.",
        (Parameter("delta", "integer", "what is added", 1000, 1, (1 << 32) - 1),),
        box=SequenceShift,
    ),
    Kind(
        "syn-data-strip",
        "Takes the data out of SYNs of both directions and lets the SYN pass. TCP Fast Open still"
        " connects, a round trip later than without the box.",
        "RFC 7413 (TCP Fast Open; a SYN whose data are not acknowledged); Honda et al. 2011",
        "The SYN arrives without its data, which come again after the handshake.",
        box=SynDataStrip,
    ),
    Kind(
        "unsent-ack-answer",
        "Drops an ACK of data that was never sent and answers it in the other end's name, with what"
        " was sent: Honda et al. saw boxes drop such ACKs, and boxes that answered.",
        "Honda et al. 2011 (ACK of unsent data); RFC 9293 section 3.10.7.4",
        "An ACK above SND.NXT does not arrive, and a correct ACK comes back.",
        (FLOWS, IDLE),
        box=UnsentAckAnswer,
    ),
)
