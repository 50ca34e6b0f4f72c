"""The HDP header: twelve octets that no router, firewall or kernel has ever heard of.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-------------------------------+-------------------------------+
    |          Source port          |       Destination port        |
    +-------------------------------+-------------------------------+
    |          Nanoseconds since the Unix epoch, 64 bits            |
    |                                                               |
    +---------------------------------------------------------------+

No checksum, no length, no version: it travels directly over IP, under any protocol number, and
what follows it is the payload. The two ports are where TCP and UDP have theirs.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from netlab.wire import Malformed

if TYPE_CHECKING:
    from netlab.wire import Buffer

HEADER_LENGTH = 12
PORT = 420

_LAYOUT = struct.Struct("!HHQ")


class Header(NamedTuple):
    """One HDP header; ``timestamp`` in nanoseconds since the Unix epoch, when it was sent."""

    timestamp: int
    source_port: int = PORT
    destination_port: int = PORT


def parse(datagram: Buffer) -> Header:
    """The header at the start of ``datagram``; any twelve octets are one.

    Raises:
        Malformed: it is shorter than a header.
    """
    if len(datagram) < HEADER_LENGTH:
        raise Malformed(f"shorter than an HDP header: {len(datagram)} octets")
    source_port, destination_port, timestamp = _LAYOUT.unpack_from(datagram)
    return Header(timestamp, source_port, destination_port)


def payload(datagram: Buffer) -> memoryview:
    """The octets after the header, as a view."""
    return memoryview(datagram)[HEADER_LENGTH:]


def encode(header: Header, data: Buffer = b"") -> bytes:
    """A whole datagram.

    Raises:
        ValueError: a field does not fit.
    """
    if not 0 <= header.timestamp < 1 << 64:
        raise ValueError(f"timestamp {header.timestamp} does not fit into 64 bits")
    for port in (header.source_port, header.destination_port):
        if not 0 <= port < 1 << 16:
            raise ValueError(f"port {port} does not fit into 16 bits")
    return _LAYOUT.pack(header.source_port, header.destination_port, header.timestamp) + bytes(data)
