"""One TCP segment together with its two addresses, and its packets.

A server of this kind reads three packets and writes three for each connection, so the codec is its
inner loop: the common packet (IPv4 without options, or IPv6 without extension headers) is read by
one ``unpack`` into one flat record. Everything else goes by way of ``netlab.wire``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from netlab.wire import Malformed, ipv4, ipv6, tcp
from netlab.wire.checksum import VALID, ones_complement_sum, pseudo_header
from netlab.wire.tcp import ACK, FIN, PSH, RST, SYN

if TYPE_CHECKING:
    from netlab.wire import Buffer

__all__ = ["ACK", "FIN", "PSH", "RST", "SYN", "Segment", "checksum_holds", "cut", "encode", "parse"]

SEQ_MASK = 0xFFFFFFFF
IPV4_OVERHEAD = 40
IPV6_OVERHEAD = 60

_IPV4_TCP = struct.Struct("!BBHHHBBH4s4sHHIIHHHH")
_IPV6_TCP = struct.Struct("!IHBB16s16sHHIIHHHH")
_TTL = 64


class Segment(NamedTuple):
    """One segment; addresses are packed (4 or 16 octets), numbers in host order.

    ``cut`` is the largest payload that the path takes: a sender splits a longer one at multiples
    of it, the FIN on the last piece (0: send it whole).
    """

    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    seq: int
    ack: int
    flags: int
    window: int = 0xFFFF
    payload: bytes = b""
    options: bytes = b""
    cut: int = 0

    @property
    def length(self) -> int:
        """The sequence space that the segment occupies (SEG.LEN, RFC 9293 section 3.4)."""
        return len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)


def parse(packet: Buffer) -> Segment:
    """The segment in an IPv4 or IPv6 packet, padding ignored.

    Raises:
        Malformed: there is none.
    """
    size = len(packet)
    if size >= IPV4_OVERHEAD and packet[0] == 0x45:
        (
            _, _, total, _, fragment, _, protocol, _, source, destination,
            source_port, destination_port, seq, ack, offset_flags, window, _, _,
        ) = _IPV4_TCP.unpack_from(packet)  # fmt: skip
        start = 20 + (offset_flags >> 12 << 2)
        if protocol == tcp.PROTOCOL and not fragment & 0x3FFF and IPV4_OVERHEAD <= start <= total:
            if total > size:
                raise Malformed("the packet is shorter than its length field")
            return Segment(
                source, destination, source_port, destination_port, seq, ack, offset_flags & 0xFFF,
                window, bytes(packet[start:total]), bytes(packet[IPV4_OVERHEAD:start]),
            )  # fmt: skip
    return _parse_any(packet)


def _parse_any(packet: Buffer) -> Segment:
    source, destination, part = _transport(packet)
    header = tcp.parse(part)
    return Segment(
        source,
        destination,
        header.source_port,
        header.destination_port,
        header.seq,
        header.ack,
        header.flags,
        header.window,
        bytes(tcp.payload(part, header)),
        header.options,
    )


def _transport(packet: Buffer) -> tuple[bytes, bytes, memoryview]:
    """Source, destination and the octets of the TCP segment."""
    if not packet:
        raise Malformed("an empty packet")
    if packet[0] >> 4 == 4:
        header = ipv4.parse(packet)
        if header.fragment_offset or header.flags & ipv4.MORE_FRAGMENTS:
            raise Malformed("a fragment")
        protocol, part = header.protocol, ipv4.payload(packet, header)
        source, destination = header.source, header.destination
    else:
        fixed = ipv6.parse(packet)
        upper = ipv6.upper_layer(packet, fixed)
        if upper.fragment and (upper.fragment.offset or upper.fragment.more):
            raise Malformed("a fragment")
        protocol = upper.protocol
        part = memoryview(packet)[upper.offset : fixed.total_length]
        source, destination = fixed.source, fixed.destination
    if protocol != tcp.PROTOCOL:
        raise Malformed(f"IP protocol {protocol}, not TCP")
    return source, destination, part


def checksum_holds(packet: Buffer) -> bool:
    """Whether the TCP checksum of a packet is right; ``Malformed`` as ``parse``."""
    source, destination, part = _transport(packet)
    return tcp.verify(part, source, destination)


def encode(segment: Segment, *, partial: bool = False) -> bytes:
    """The whole IP packet.

    With ``partial`` the checksum field holds the sum of the pseudo header only, for a device that
    finishes the checksum of each piece that it cuts (``VIRTIO_NET_HDR_F_NEEDS_CSUM``).
    """
    (
        source, destination, source_port, destination_port, seq, ack, flags, window, payload,
        options, _,
    ) = segment  # fmt: skip
    length = 20 + len(options) + len(payload)
    pseudo = pseudo_header(source, destination, tcp.PROTOCOL, length)
    offset_flags = (20 + len(options)) << 10 | flags
    if partial:
        check = pseudo
    else:
        header = tcp.Header(
            source_port, destination_port, seq, ack, flags, window, options, checksum=0
        )
        octets = tcp.encode_header(header) + payload
        check = VALID - ones_complement_sum(octets, pseudo)
    if len(source) == 4:
        # Don't Fragment stays clear: nobody here would read the ICMP message that asks for
        # smaller segments, so a narrow link may fragment rather than lose them.
        identification = (seq ^ ack) & 0xFFFF
        total = 20 + length
        address_sum = int.from_bytes(source + destination, "big")
        ip_check = 0xFFFF - (
            (0x4500 + total + identification + (_TTL << 8 | tcp.PROTOCOL) + address_sum) % 0xFFFF
            or 0xFFFF
        )
        fixed = _IPV4_TCP.pack(
            0x45, 0, total, identification, 0, _TTL, tcp.PROTOCOL, ip_check, source, destination,
            source_port, destination_port, seq, ack, offset_flags, window, check, 0,
        )  # fmt: skip
    else:
        fixed = _IPV6_TCP.pack(
            6 << 28, length, tcp.PROTOCOL, _TTL, source, destination,
            source_port, destination_port, seq, ack, offset_flags, window, check, 0,
        )  # fmt: skip
    return fixed + options + payload


def cut(segment: Segment) -> list[Segment]:
    """The pieces that fit the path: PSH and FIN on the last, as the kernel's own cutting does."""
    size, payload = segment.cut, segment.payload
    if not size or len(payload) <= size:
        return [segment._replace(cut=0)]
    last = (len(payload) - 1) // size
    return [
        segment._replace(
            seq=segment.seq + number * size & SEQ_MASK,
            flags=segment.flags if number == last else segment.flags & ~(FIN | PSH),
            payload=payload[number * size : (number + 1) * size],
            cut=0,
        )
        for number in range(last + 1)
    ]
