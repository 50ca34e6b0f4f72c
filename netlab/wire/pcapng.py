"""Capture files in the pcapng format (draft-ietf-opsawg-pcapng), as Wireshark reads them."""

from __future__ import annotations

import struct

LINKTYPE_RAW = 101  # packets begin with their IP header

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_NANOSECONDS = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)  # if_tsresol 10^-9, end of options


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def header(linktype: int = LINKTYPE_RAW, snap_length: int = 0) -> bytes:
    """What a file with one interface begins with; ``snap_length`` 0 is no limit."""
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    interface = struct.pack("<HHI", linktype, 0, snap_length) + _NANOSECONDS
    return _block(_SECTION, section) + _block(_INTERFACE, interface)


def packet(octets: bytes, seconds: float, comment: str = "") -> bytes:
    """One packet, at a time since the epoch."""
    stamp = int(seconds * 1e9)
    size = len(octets)
    body = struct.pack("<IIIII", 0, stamp >> 32, stamp & 0xFFFF_FFFF, size, size)
    body += octets + bytes(-size % 4)
    if comment:
        text = comment.encode()
        body += struct.pack("<HH", 1, len(text)) + text + bytes(-len(text) % 4) + bytes(4)
    return _block(_PACKET, body)
