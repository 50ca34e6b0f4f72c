"""Boxes that make errors: ICMP messages that quote too little, resets on a payload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.middlebox.box import Back, Direction, Drop, Middlebox
from netlab.middlebox.boxes.sequence import MODULUS, length
from netlab.middlebox.kind import Kind
from netlab.middlebox.parameters import Parameter
from netlab.wire import icmp, ipv4, ipv6, tcp
from netlab.wire.checksum import checksum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.middlebox.box import Verdict
    from netlab.middlebox.packet import Packet


class ShortQuote(Middlebox):
    """Cuts what ICMP errors quote to the IP header and a few octets."""

    def __init__(self, octets: int) -> None:
        self._octets = octets

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The error with a shorter quote."""
        del direction, now
        if not pkt.is_icmp_error:
            yield pkt
            return
        message = icmp.parse(pkt.upper)
        body = message.body
        header = ipv6.HEADER_LENGTH if body[:1] and body[0] >> 4 == 6 else (body[0] & 15) * 4
        shorter = message._replace(body=body[: header + self._octets])
        yield pkt.with_upper(icmp.encode(shorter, pkt.source, pkt.destination))


class QuoteMend(Middlebox):
    """Computes the checksum of quoted IPv4 headers anew, as a router does that changed them."""

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The error, with a quote whose header sum is right whatever was quoted."""
        del direction, now
        if not pkt.is_icmp_error:
            yield pkt
            return
        message = icmp.parse(pkt.upper)
        body = message.body
        size = (body[0] & 15) * 4 if body else 0
        if not body or body[0] >> 4 != 4 or not ipv4.MINIMUM_LENGTH <= size <= len(body):
            yield pkt
            return
        blank = body[:10] + b"\0\0" + body[12:size]
        mended = message._replace(body=blank[:10] + checksum(blank).to_bytes(2, "big") + body[12:])
        yield pkt.with_upper(icmp.encode(mended, pkt.source, pkt.destination))


class ResetOnPayload(Middlebox):
    """Resets both ends of a TCP connection when a text passes."""

    def __init__(self, pattern: str, pass_it: bool) -> None:  # noqa: FBT001 - as in the catalogue
        self._pattern = pattern.encode()
        self._pass_it = pass_it

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """Two resets in place of the segment, or behind it."""
        del direction, now
        head = pkt.tcp
        if head is None or self._pattern not in pkt.payload:
            yield pkt
            return
        end = (head.seq + length(head, pkt.payload)) % MODULUS
        yield pkt if self._pass_it else Drop("it contains the text")
        # A reset counts only at RCV.NXT exactly (RFC 5961 section 3.2): where the receiver will be.
        seq = end if self._pass_it else head.seq
        yield pkt.with_tcp(b"", seq=seq, flags=tcp.RST, options=b"", window=0)
        yield Back(pkt.answer(seq=head.ack, ack=end, flags=tcp.RST | tcp.ACK))


KINDS = (
    Kind(
        "short-quote",
        "ICMP errors quote the IP header and eight octets, as RFC 792 asked for, where Linux quotes"
        " as much as fits.",
        "RFC 792; RFC 1812 section 4.3.2.3; tracebox 2013",
        "tracebox sees ports and sequence number of the quoted packet, but no options.",
        (Parameter("octets", "integer", "octets behind the quoted IP header", 8, 8, 1500),),
        box=ShortQuote,
    ),
    Kind(
        "quote-mend",
        "Computes the header checksum in what ICMP errors quote anew. A sender that compares the"
        " quote with what it sent no longer sees from the checksum that a box changed the header.",
        "RFC 1812 section 4.3.2.3; Malone and Luckie 2007 (Analysis of ICMP Quotations)",
        "The quoted header always has a right checksum, even where a wrong one was sent.",
        box=QuoteMend,
    ),
    Kind(
        "reset-on-payload",
        "A censor: when a text passes in TCP data it sends a reset to both ends, each with the"
        " address of the other.",
        "Clayton, Murdoch, Watson 2006; RFC 3360",
        "The connection is reset at both ends as soon as the text is sent.",
        (
            Parameter("pattern", "text", "the text", required=True),
            Parameter("pass-it", "truth", "whether the segment itself arrives", False),
        ),
        box=ResetOnPayload,
    ),
)
