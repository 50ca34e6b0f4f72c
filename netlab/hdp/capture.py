"""Packets out of capture files: pcap (the format of libpcap) and pcapng, bytes in, packets out.

Written here because it is short: two headers to read. The libraries that read these files bring
dissectors for hundreds of protocols, none of which is HDP.

    pcap    24 octets of file header, then (16 octets of record header, packet)*
    pcapng  (type, length, body, length)*, of which four types carry packets or say how to read them

Both come in either byte order. Link types: Ethernet (with VLAN tags), Linux cooked 1 and 2, raw
IP, BSD loopback. Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng, tcpdump.org/linktypes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from netlab.wire import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECTION, _INTERFACE, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 3, 6
_BYTE_ORDER = 0x1A2B3C4D
_OPTION_RESOLUTION = 9

# Octets before the IP header, by link type; Ethernet is looked at.
_ETHERNET = 1
_RAW = {0: 4, 12: 0, 14: 0, 101: 0, 108: 4, 113: 16, 228: 0, 229: 0, 276: 20}
_VLAN = {0x8100, 0x88A8}
_IP = {0x0800, 0x86DD}


class Captured(NamedTuple):
    """One IP packet; ``time`` in nanoseconds since the Unix epoch, ``missing`` octets cut off."""

    time: int
    packet: bytes
    missing: int = 0


def read(content: bytes) -> Iterator[Captured]:
    """The IP packets of a capture file, others left out.

    A file that ends within a packet, as one does that is still being written, gives all packets
    before that.

    Raises:
        Malformed: this is not a capture file, or it is cut short.
    """
    if len(content) < 4:
        raise Malformed("too short for a capture file")
    if int.from_bytes(content[:4], "little") == _SECTION:
        return _pcapng(content)
    for order in "<", ">":
        (magic,) = struct.unpack_from(f"{order}I", content)
        if magic in (0xA1B2C3D4, 0xA1B23C4D):
            return _pcap(content, order, 1000 if magic == 0xA1B2C3D4 else 1)
    raise Malformed("neither pcap nor pcapng")


def _pcap(content: bytes, order: str, unit: int) -> Iterator[Captured]:
    if len(content) < 24:
        raise Malformed("shorter than a pcap file header")
    # The upper bits of the field hold the length of a frame check sequence.
    link = struct.unpack_from(f"{order}I", content, 20)[0] & 0xFFFF
    record = struct.Struct(f"{order}IIII")
    at = 24
    while at + record.size <= len(content):
        seconds, fraction, kept, length = record.unpack_from(content, at)
        frame = content[at + record.size : at + record.size + kept]
        at += record.size + kept
        if len(frame) == kept:
            yield from _captured(link, seconds * 1_000_000_000 + fraction * unit, frame, length)


class _Interface(NamedTuple):
    """What an interface block says: link type and the clock's ticks in a second."""

    link: int
    ticks: int


def _pcapng(content: bytes) -> Iterator[Captured]:
    order = "<"
    interfaces: list[_Interface] = []
    at = 0
    while at + 12 <= len(content):
        if content[at : at + 4] == _SECTION.to_bytes(4, "big"):
            order = (
                "<" if int.from_bytes(content[at + 8 : at + 12], "little") == _BYTE_ORDER else ">"
            )
            interfaces = []
        kind, length = struct.unpack_from(f"{order}II", content, at)
        if length < 12 or length % 4:
            raise Malformed(f"a pcapng block of {length} octets")
        body = content[at + 8 : at + length - 4]
        at += length
        if at > len(content):
            return
        if kind == _INTERFACE:
            interfaces.append(_interface(body, order))
        elif kind == _ENHANCED:
            yield from _enhanced(body, order, interfaces)
        elif kind == _SIMPLE and len(body) >= 4 and interfaces:
            (length,) = struct.unpack_from(f"{order}I", body)
            yield from _captured(interfaces[0].link, 0, body[4 : 4 + length], length)


def _interface(body: bytes, order: str) -> _Interface:
    if len(body) < 8:
        raise Malformed("a pcapng interface block that is too short")
    (link,) = struct.unpack_from(f"{order}H", body)
    ticks, at = 1_000_000, 8
    while at + 4 <= len(body):
        option, length = struct.unpack_from(f"{order}HH", body, at)
        if option == 0:
            break
        if option == _OPTION_RESOLUTION and length and at + 4 < len(body):
            value = body[at + 4]
            ticks = 1 << (value & 0x7F) if value & 0x80 else 10**value
        at += 4 + (length + 3) // 4 * 4
    return _Interface(link, ticks)


def _enhanced(body: bytes, order: str, interfaces: list[_Interface]) -> Iterator[Captured]:
    if len(body) < 20:
        raise Malformed("a pcapng packet block that is too short")
    number, high, low, kept, length = struct.unpack_from(f"{order}IIIII", body)
    if number >= len(interfaces):
        raise Malformed(f"a pcapng packet of interface {number}, which no block describes")
    time = (high << 32 | low) * 1_000_000_000 // interfaces[number].ticks
    yield from _captured(interfaces[number].link, time, body[20 : 20 + kept], length)


def _captured(link: int, time: int, frame: bytes, length: int) -> Iterator[Captured]:
    start = _network(frame) if link == _ETHERNET else _RAW.get(link)
    if start is None or len(frame) <= start or frame[start] >> 4 not in (4, 6):
        return
    yield Captured(time, frame[start:], max(length - len(frame), 0))


def _network(frame: bytes) -> int | None:
    at = 12
    while int.from_bytes(frame[at : at + 2], "big") in _VLAN:
        at += 4
    return at + 2 if int.from_bytes(frame[at : at + 2], "big") in _IP else None
