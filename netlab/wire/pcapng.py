"""Capture files in the pcapng format (draft-ietf-opsawg-pcapng), as Wireshark reads them.

A file is a section header, a description of each interface, then the packets::

    section("netlab") + interface(LINKTYPE_RAW) + packet(0, time_ns, octets, comment="…") + …

Written here in some fifty lines: what libraries there are either cannot write comments or come
with all of scapy. Times are nanoseconds since the epoch.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101
"""Packets begin with their IP header."""

INBOUND, OUTBOUND = 1, 2
"""Directions of a packet (the first two bits of ``epb_flags``)."""

LONGEST_OPTION = 0xFFFF

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_COMMENT, _APPLICATION, _NAME, _FLAGS, _RESOLUTION = 1, 4, 2, 2, 9
_NANOSECONDS = bytes([9])


def section(application: str = "netlab") -> bytes:
    """What a file begins with."""
    body = struct.pack("<IHHq", _BYTE_ORDER_MAGIC, 1, 0, -1)
    return _block(_SECTION, body, [(_APPLICATION, application.encode())])


def interface(linktype: int, name: str = "") -> bytes:
    """The next interface: the first is number 0."""
    options = [(_RESOLUTION, _NANOSECONDS)]
    if name:
        options.insert(0, (_NAME, name.encode()))
    return _block(_INTERFACE, struct.pack("<HHI", linktype, 0, 0), options)


def packet(
    number: int,
    time_ns: int,
    octets: bytes,
    *,
    length: int = 0,
    direction: int = 0,
    comment: str = "",
) -> bytes:
    """A packet seen at interface ``number``; ``length`` if more was on the wire than is kept."""
    options = [(_COMMENT, comment.encode())] if comment else []
    if direction:
        options.append((_FLAGS, struct.pack("<I", direction)))
    high, low = time_ns >> 32, time_ns & 0xFFFF_FFFF
    head = struct.pack("<5I", number, high, low, len(octets), max(length, len(octets)))
    return _block(_PACKET, head + _padded(octets), options)


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


def _block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    for code, value in options:
        cut = value[:LONGEST_OPTION]
        body += struct.pack("<HH", code, len(cut)) + _padded(cut)
    body += bytes(4)  # opt_endofopt
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length
