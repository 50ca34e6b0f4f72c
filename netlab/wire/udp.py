"""The UDP header (RFC 768; over IPv6 RFC 8200 section 8.1): four fields of 16 bits."""

from __future__ import annotations

import struct
from typing import NamedTuple

from netlab.wire import Buffer, Malformed
from netlab.wire.checksum import VALID, checksum, ones_complement_sum, pseudo_header

PROTOCOL = 17
HEADER_LENGTH = 8

_LAYOUT = struct.Struct("!HHHH")


class Header(NamedTuple):
    """One UDP header; ``length`` counts the header too, ``checksum`` 0 is "none" (IPv4 only)."""

    source_port: int
    destination_port: int
    length: int = HEADER_LENGTH
    checksum: int = 0


def parse(datagram: Buffer) -> Header:
    """The header at the start of ``datagram``.

    Raises:
        Malformed: it is not a UDP header.
    """
    if len(datagram) < HEADER_LENGTH:
        raise Malformed("shorter than a UDP header")
    header = Header(*_LAYOUT.unpack_from(datagram))
    if not HEADER_LENGTH <= header.length <= len(datagram):
        raise Malformed(f"UDP length {header.length} of {len(datagram)} octets")
    return header


def payload(datagram: Buffer, header: Header) -> memoryview:
    """The octets that the length covers after the header, as a view."""
    return memoryview(datagram)[HEADER_LENGTH : header.length]


def verify(datagram: Buffer, source: bytes, destination: bytes) -> bool:
    """True if the checksum is right, or absent where it may be."""
    header = parse(datagram)
    if header.checksum == 0:
        return len(source) == 4
    pseudo = pseudo_header(source, destination, PROTOCOL, header.length)
    return ones_complement_sum(datagram[: header.length], pseudo) == VALID


def encode_header(header: Header) -> bytes:
    """The header exactly as the record says."""
    return _LAYOUT.pack(*header)


def encode(header: Header, data: Buffer, source: bytes, destination: bytes) -> bytes:
    """A whole datagram between two packed addresses; length and checksum are computed.

    Raises:
        ValueError: it does not fit into a datagram.
    """
    length = HEADER_LENGTH + len(data)
    if length > 0xFFFF:
        raise ValueError(f"a UDP datagram of {length} octets")
    blank = encode_header(header._replace(length=length, checksum=0)) + data
    pseudo = pseudo_header(source, destination, PROTOCOL, length)
    # A computed zero is sent as all ones, since zero means "no checksum" (RFC 768).
    check = checksum(blank, pseudo) or 0xFFFF
    return blank[:6] + check.to_bytes(2, "big") + blank[8:]
