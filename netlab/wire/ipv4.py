"""The IPv4 header (RFC 791 section 3.1).

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-------+-------+---------------+-------------------------------+
|Version|  IHL  | Traffic class |         Total length          |
+-------+-------+---------------+-----+-------------------------+
|         Identification        |Flags|     Fragment offset     |
+---------------+---------------+-----+-------------------------+
|      TTL      |   Protocol    |        Header checksum        |
+---------------+---------------+-------------------------------+
|                        Source address                         |
+---------------------------------------------------------------+
|                     Destination address                       |
+---------------------------------------------------------------+
|                      Options, padded to 32 bits               |
+---------------------------------------------------------------+
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from netlab.wire import Buffer, Malformed
from netlab.wire.checksum import VALID, checksum, ones_complement_sum

MINIMUM_LENGTH = 20

MORE_FRAGMENTS = 1
DONT_FRAGMENT = 2

_LAYOUT = struct.Struct("!BBHHHBBH4s4s")


class Header(NamedTuple):
    """One IPv4 header; the fields' order puts first what a caller has to say.

    ``traffic_class`` is DSCP and ECN together (RFC 2474, RFC 3168), ``flags`` the three bits (the
    highest is reserved), ``fragment_offset`` in octets. ``header_checksum`` is what was read.
    """

    source: bytes
    destination: bytes
    protocol: int
    ttl: int = 64
    identification: int = 0
    flags: int = DONT_FRAGMENT
    fragment_offset: int = 0
    traffic_class: int = 0
    options: bytes = b""
    total_length: int = MINIMUM_LENGTH
    header_checksum: int = 0

    @property
    def header_length(self) -> int:
        """Octets before the payload."""
        return MINIMUM_LENGTH + len(self.options)

    @property
    def is_fragment(self) -> bool:
        """True for each piece of a fragmented packet, the first too."""
        return bool(self.flags & MORE_FRAGMENTS or self.fragment_offset)


def parse(packet: Buffer) -> Header:
    """The header at the start of ``packet``; bytes after ``total_length`` are link padding.

    Raises:
        Malformed: it is not an IPv4 header.
    """
    if len(packet) < MINIMUM_LENGTH:
        raise Malformed("shorter than an IPv4 header")
    (
        version_ihl, traffic_class, total_length, identification, flags_offset,
        ttl, protocol, header_checksum, source, destination,
    ) = _LAYOUT.unpack_from(packet)  # fmt: skip
    if version_ihl >> 4 != 4:
        raise Malformed(f"IP version {version_ihl >> 4}, not 4")
    header_length = (version_ihl & 15) * 4
    if header_length < MINIMUM_LENGTH:
        raise Malformed(f"IPv4 header length {header_length}")
    if not header_length <= total_length <= len(packet):
        raise Malformed(f"IPv4 total length {total_length} of {len(packet)} octets")
    return Header(
        source,
        destination,
        protocol,
        ttl,
        identification,
        flags_offset >> 13,
        (flags_offset & 0x1FFF) * 8,
        traffic_class,
        bytes(packet[MINIMUM_LENGTH:header_length]) if header_length > MINIMUM_LENGTH else b"",
        total_length,
        header_checksum,
    )


def payload(packet: Buffer, header: Header) -> memoryview:
    """What the header carries, as a view: without options and without link padding."""
    return memoryview(packet)[header.header_length : header.total_length]


def encode_header(header: Header) -> bytes:
    """The header exactly as the record says, length and checksum included.

    Raises:
        ValueError: a field does not fit.
    """
    if len(header.options) % 4 or len(header.options) > 40:
        raise ValueError("IPv4 options are whole 32-bit words, 40 octets at most")
    return (
        _LAYOUT.pack(
            0x40 | header.header_length // 4,
            header.traffic_class,
            header.total_length,
            header.identification,
            header.flags << 13 | header.fragment_offset // 8,
            header.ttl,
            header.protocol,
            header.header_checksum,
            header.source,
            header.destination,
        )
        + header.options
    )


def encode(header: Header, data: Buffer = b"") -> bytes:
    """A whole packet; total length and header checksum are computed.

    Raises:
        ValueError: a field does not fit.
    """
    length = header.header_length + len(data)
    if length > 0xFFFF:
        raise ValueError(f"an IPv4 packet of {length} octets")
    blank = header._replace(total_length=length, header_checksum=0)
    right = blank._replace(header_checksum=checksum(encode_header(blank)))
    return encode_header(right) + bytes(data)


def verify(packet: Buffer, header: Header) -> bool:
    """True if the header checksum is right."""
    return ones_complement_sum(packet[: header.header_length]) == VALID
