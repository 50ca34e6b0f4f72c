"""Segments in IP packets: between ``Segment`` and the octets, on one path for each IP version.

The header of IP and TCP together is one ``struct``: nothing in between has to be looked at, and the
two addresses with the two ports lie next to each other in it, which makes them the key by which a
connection is found. Packets that do not have this plain form (IP options, extension headers) are
read by the parsers in ``netlab.wire``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from netlab.tcp.segment import Segment
from netlab.wire import Malformed, ipv4, ipv6, tcp
from netlab.wire.checksum import VALID, checksum, ones_complement_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.wire import Buffer

# ..., (addresses and ports), seq, ack, offset and flags, window, checksum, urgent pointer
_V4 = struct.Struct("!BBHHHBBH12sIIHHHH")
_V6 = struct.Struct("!IHBB36sIIHHHH")
_PORTS = struct.Struct("!HH")

V4_HEADERS = 40
V6_HEADERS = 60
DONT_FRAGMENT = 0x4000


class Packet(NamedTuple):
    """A packet to send: headers, the pieces of data behind them, and what is left to do.

    ``transport`` is the offset of a TCP header whose checksum field holds the sum of the pseudo
    header only; 0 if nothing is left to do. ``mss`` above 0 asks for cutting into segments of that
    size. Both are what a network device does when asked (checksum and segmentation offload);
    ``complete`` does the first in its place.
    """

    head: bytes
    data: Sequence[Buffer] = ()
    transport: int = 0
    mss: int = 0


def complete(packet: Packet) -> bytes:
    """The whole packet with its checksum."""
    octets = b"".join((packet.head, *packet.data))
    at = packet.transport
    if not at:
        return octets
    check = checksum(memoryview(octets)[at:])
    return b"".join((octets[: at + 16], check.to_bytes(2, "big"), memoryview(octets)[at + 18 :]))


class Envelope:
    """The socket pair of one connection, and the headers that it leads to.

    ``key`` is the pair as it is in packets that come in: remote address, local address, remote
    port, local port. ``ident`` is the identification of the packet before the first (IPv4),
    ``flow_label`` that of all of them (IPv6, 20 bits).
    """

    __slots__ = (
        "_addresses_and_ports",
        "_fragment_flags",
        "_ident",
        "_ip_sum",
        "_pseudo_sum",
        "_version_and_label",
        "dscp",
        "key",
        "local",
        "local_port",
        "remote",
        "remote_port",
        "ttl",
    )

    def __init__(
        self, key: bytes, ttl: int = 64, dscp: int = 0, ident: int = 0, flow_label: int = 0
    ) -> None:
        size = len(key) // 2 - 2
        self.key = key
        self.remote, self.local = key[:size], key[size : 2 * size]
        self.remote_port, self.local_port = _PORTS.unpack_from(key, 2 * size)
        self._addresses_and_ports = (
            self.local + self.remote + _PORTS.pack(self.local_port, self.remote_port)
        )
        self.ttl, self.dscp = ttl, dscp
        # The constant parts of the two checksums.
        addresses = ones_complement_sum(self.local + self.remote)
        self._ip_sum = 0x4500 + tcp.PROTOCOL + addresses
        self._pseudo_sum = tcp.PROTOCOL + addresses
        self._ident = ident
        self._version_and_label = 6 << 28 | flow_label
        self._fragment_flags = DONT_FRAGMENT

    def allow_fragments(self) -> None:
        """Let the routers of this path cut packets: it carries less than any segment of ours."""
        self._fragment_flags = 0

    @property
    def whole(self) -> bool:
        """True while no router may cut the packets (IPv4)."""
        return self._fragment_flags != 0

    @property
    def version(self) -> int:
        """4 or 6."""
        return 4 if len(self.key) == 12 else 6

    def packet(self, segment: Segment) -> Packet:
        """Put a segment into a packet."""
        (seq, ack, flags, window, length, data, options, urgent_pointer, mss, ecn) = segment
        octets = tcp.encode_options(options)
        size = 20 + len(octets) + length
        offset_and_flags = 20 + len(octets) << 10 | flags
        pseudo = (self._pseudo_sum + size) % 0xFFFF
        traffic_class = self.dscp << 2 | ecn
        if len(self.key) == 36:
            head = _V6.pack(
                self._version_and_label | traffic_class << 20, size, tcp.PROTOCOL, self.ttl,
                self._addresses_and_ports,
                seq, ack, offset_and_flags, window, pseudo, urgent_pointer,
            )  # fmt: skip
            return Packet(head + octets, data, 40, mss)
        self._ident = ident = self._ident + 1 & 0xFFFF
        total = 20 + size
        fragment = self._fragment_flags
        header_sum = self._ip_sum + traffic_class + total + ident + fragment + (self.ttl << 8)
        head = _V4.pack(
            0x45, traffic_class, total, ident, fragment, self.ttl, tcp.PROTOCOL,
            0xFFFF - header_sum % 0xFFFF,
            self._addresses_and_ports,
            seq, ack, offset_and_flags, window, pseudo, urgent_pointer,
        )  # fmt: skip
        return Packet(head + octets, data, 20, mss)


def read(packet: Buffer, mss: int, *, verified: bool) -> tuple[bytes, Segment] | None:
    """The key and the segment of a TCP packet in the plain form; ``None`` if it has another.

    ``mss`` is where a packet was joined from several, 0 if it was not. ``Malformed`` for a wrong
    length, or a wrong checksum unless the device has ``verified`` it.

    Raises:
        Malformed: the packet cannot be read.
    """
    size = len(packet)
    if size < V4_HEADERS:
        return None
    first = packet[0]
    if first == 0x45 and packet[9] == tcp.PROTOCOL:
        (
            _, traffic_class, total, _, fragment, _, _, _, key,
            seq, ack, offset_and_flags, window, _, urgent_pointer,
        ) = _V4.unpack_from(packet)  # fmt: skip
        if fragment & 0x3FFF or total > size:
            return None
        at = 20
        ecn = traffic_class & 3
    elif first >> 4 == 6 and packet[6] == tcp.PROTOCOL and size >= V6_HEADERS:
        (
            word, length, _, _, key, seq, ack, offset_and_flags, window, _, urgent_pointer,
        ) = _V6.unpack_from(packet)  # fmt: skip
        total = 40 + length
        if total > size:
            return None
        at = 40
        ecn = word >> 20 & 3
    else:
        return None
    text = at + (offset_and_flags >> 12 << 2)
    if not at + 20 <= text <= total:
        raise Malformed("TCP data offset")
    view = memoryview(packet)
    if not verified:
        _verify(view[:total], at)
    options = tcp.parse_options(view[at + 20 : text])
    data = (view[text:total],) if text < total else ()
    flags = offset_and_flags & 0xFF
    return key, Segment(
        seq, ack, flags, window, total - text, data, options, urgent_pointer, mss, ecn
    )


def _verify(packet: memoryview, at: int) -> None:
    if at == 20 and ones_complement_sum(packet[:20]) != VALID:
        raise Malformed("IPv4 header checksum")
    addresses = packet[12:20] if at == 20 else packet[8:40]
    if not tcp.verify(packet[at:], bytes(addresses[: len(addresses) // 2]),
                      bytes(addresses[len(addresses) // 2 :])):  # fmt: skip
        raise Malformed("TCP checksum")


def read_any(packet: Buffer) -> tuple[bytes, Segment] | None:
    """As ``read``, for packets with IP options or extension headers, which mean nothing to us.

    ``None`` for what is not a whole TCP segment. IP options are ignored (MUST-50).

    Raises:
        Malformed: the packet cannot be read.
    """
    if packet[0] >> 4 == 4:
        header = ipv4.parse(packet)
        if header.protocol != tcp.PROTOCOL or header.is_fragment:
            return None
        if not ipv4.verify(packet, header):
            raise Malformed("IPv4 header checksum")
        octets = ipv4.payload(packet, header)
        source, destination, traffic_class = header.source, header.destination, header.traffic_class
    else:
        fixed = ipv6.parse(packet)
        upper = ipv6.upper_layer(packet, fixed)
        if upper.protocol != tcp.PROTOCOL or upper.fragment is not None:
            return None
        octets = memoryview(packet)[upper.offset : fixed.total_length]
        source, destination, traffic_class = fixed.source, fixed.destination, fixed.traffic_class
    head = tcp.parse(octets)
    if not tcp.verify(octets, source, destination):
        raise Malformed("TCP checksum")
    data = tcp.payload(octets, head)
    key = source + destination + _PORTS.pack(head.source_port, head.destination_port)
    return key, Segment(
        head.seq,
        head.ack,
        head.flags & 0xFF,
        head.window,
        len(data),
        (data,),
        tcp.parse_options(head.options),
        head.urgent_pointer,
        0,
        traffic_class & 3,
    )
