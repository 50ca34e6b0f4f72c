"""The IPv6 header and its extension headers (RFC 8200).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-------+---------------+---------------------------------------+
    |Version| Traffic class |              Flow label               |
    +-------+---------------+-------+---------------+---------------+
    |        Payload length         |  Next header  |   Hop limit   |
    +-------------------------------+---------------+---------------+
    |                  Source address, 16 octets                    |
    |                Destination address, 16 octets                 |
    +---------------------------------------------------------------+

An extension header starts with the type of what follows it and its own length in units of eight
octets, the first not counted. Those that are walked here are the ones whose layout is known; the
first other number is the upper layer, whatever it may be.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from netlab.wire import Buffer, Malformed

HEADER_LENGTH = 40

HOP_BY_HOP = 0
ROUTING = 43
FRAGMENT = 44
AUTHENTICATION = 51
NO_NEXT_HEADER = 59
DESTINATION_OPTIONS = 60
MOBILITY = 135

EXTENSION_HEADERS = frozenset(
    {HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS, MOBILITY}
)

_LAYOUT = struct.Struct("!IHBB16s16s")
_FRAGMENT = struct.Struct("!BBHI")


class Header(NamedTuple):
    """The fixed header; ``traffic_class`` is DSCP and ECN together."""

    source: bytes
    destination: bytes
    next_header: int
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0
    payload_length: int = 0

    @property
    def total_length(self) -> int:
        """Octets of the packet, this header included."""
        return HEADER_LENGTH + self.payload_length


class Extension(NamedTuple):
    """One extension header: its type and its octets after the next-header one."""

    kind: int
    body: bytes


class Fragment(NamedTuple):
    """The fragment header (RFC 8200 section 4.5); ``offset`` in octets."""

    identification: int
    offset: int = 0
    more: bool = False
    reserved: int = 0


class UpperLayer(NamedTuple):
    """Where the chain of extension headers ends: the protocol and its offset in the packet.

    In a fragment other than the first there is no upper-layer header at ``offset``, only data.
    """

    protocol: int
    offset: int
    extensions: tuple[Extension, ...] = ()
    fragment: Fragment | None = None


def parse(packet: Buffer) -> Header:
    """The fixed header; bytes after the payload length are link padding.

    Raises:
        Malformed: it is not an IPv6 header.
    """
    if len(packet) < HEADER_LENGTH:
        raise Malformed("shorter than an IPv6 header")
    first, payload_length, next_header, hop_limit, source, destination = _LAYOUT.unpack_from(packet)
    if first >> 28 != 6:
        raise Malformed(f"IP version {first >> 28}, not 6")
    if HEADER_LENGTH + payload_length > len(packet):
        raise Malformed(f"IPv6 payload length {payload_length} of {len(packet)} octets in all")
    return Header(
        source,
        destination,
        next_header,
        hop_limit,
        first >> 20 & 0xFF,
        first & 0xFFFFF,
        payload_length,
    )


def upper_layer(packet: Buffer, header: Header) -> UpperLayer:
    """Walk the extension headers to the upper layer.

    Raises:
        Malformed: the chain is cut short or too long.
    """
    kind, offset, end = header.next_header, HEADER_LENGTH, header.total_length
    extensions: list[Extension] = []
    fragment: Fragment | None = None
    while kind in EXTENSION_HEADERS:
        if offset + 8 > end:
            raise Malformed("the packet ends within its extension headers")
        length = _extension_length(kind, packet[offset + 1])
        if offset + length > end:
            raise Malformed(f"extension header {kind} of {length} octets exceeds the packet")
        extensions.append(Extension(kind, bytes(packet[offset + 1 : offset + length])))
        following = packet[offset]
        if kind == FRAGMENT:
            fragment = parse_fragment(packet[offset : offset + 8])
            if fragment.offset:
                return UpperLayer(following, offset + length, tuple(extensions), fragment)
        kind, offset = following, offset + length
    return UpperLayer(kind, offset, tuple(extensions), fragment)


def _extension_length(kind: int, field: int) -> int:
    if kind == FRAGMENT:
        return 8
    if kind == AUTHENTICATION:
        return field * 4 + 8  # RFC 4302 section 2.2 counts in 32-bit words, less two
    return field * 8 + 8


def parse_fragment(extension: Buffer) -> Fragment:
    """The fragment header from its eight octets.

    Raises:
        Malformed: it is cut short.
    """
    if len(extension) < 8:
        raise Malformed("shorter than a fragment header")
    _, reserved, offset_flags, identification = _FRAGMENT.unpack_from(extension)
    return Fragment(
        identification,
        offset_flags & 0xFFF8,
        bool(offset_flags & 1),
        reserved << 2 | offset_flags >> 1 & 3,
    )


def fragment_extension(fragment: Fragment) -> Extension:
    """The fragment header in the form that ``encode`` takes."""
    octets = _FRAGMENT.pack(
        0,
        fragment.reserved >> 2,
        fragment.offset & 0xFFF8 | (fragment.reserved & 3) << 1 | fragment.more,
        fragment.identification,
    )
    return Extension(FRAGMENT, octets[1:])


def payload(packet: Buffer, header: Header) -> memoryview:
    """All that follows the fixed header, extension headers included, as a view."""
    return memoryview(packet)[HEADER_LENGTH : header.total_length]


def encode_header(header: Header) -> bytes:
    """The fixed header exactly as the record says."""
    return _LAYOUT.pack(
        6 << 28 | header.traffic_class << 20 | header.flow_label,
        header.payload_length,
        header.next_header,
        header.hop_limit,
        header.source,
        header.destination,
    )


def encode(header: Header, data: Buffer = b"", extensions: tuple[Extension, ...] = ()) -> bytes:
    """A whole packet; ``header.next_header`` names the upper layer, the chain is linked here.

    Raises:
        ValueError: a field does not fit.
    """
    kinds = [extension.kind for extension in extensions] + [header.next_header]
    chain = b"".join(
        bytes([following]) + extension.body
        for extension, following in zip(extensions, kinds[1:], strict=True)
    )
    length = len(chain) + len(data)
    if length > 0xFFFF:
        raise ValueError(f"an IPv6 payload of {length} octets needs a jumbogram")
    fixed = header._replace(next_header=kinds[0], payload_length=length)
    return encode_header(fixed) + chain + bytes(data)
