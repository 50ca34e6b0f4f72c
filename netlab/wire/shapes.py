"""First packets of transports that this program does not speak, shaped so that boxes know them.

What a box looks at is right: ports, lengths, checksums, the type of the packet. What only the
other end would look at is filler. Each carries a *mark* of eight octets at a known place, by which
it is found again wherever it is seen.

    SCTP       INIT                  RFC 9260 section 3.3.2, padded as RFC 4820 has it
    DCCP       Request               RFC 4340 section 5.1
    UDP-Lite   a datagram            RFC 3828
    QUIC       Initial, version 1    RFC 9000 section 17.2.2, the least length of section 14.1
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from netlab.wire.checksum import checksum, pseudo_header

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = 8
"""Octets of a mark."""

SCTP, DCCP, UDPLITE, UDP = 132, 33, 136, 17
SOURCE_PORT = 49200
"""Of the shapes that have no socket that would choose one."""

QUIC_LEAST = 1200

_CASTAGNOLI = 0x82F63B78  # the polynomial of CRC32c, lowest bit first (RFC 9260 appendix A)
_SERVICE_CODE = int.from_bytes(b"NLAB", "big")
_PAYLOAD = bytes(24)


class Shape(NamedTuple):
    """One kind of first packet.

    ``encode(mark, port, source, destination)``, addresses packed, gives what follows the IP
    header, but for ``protocol`` UDP what follows UDP's. ``mark_at`` counts from the IP header's
    end in each case.
    """

    protocol: int
    mark_at: int
    encode: Callable[[bytes, int, bytes, bytes], bytes]


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_CASTAGNOLI if value & 1 else 0)  # noqa: PLW2901 - a register
        table.append(value)
    return tuple(table)


def crc32c(data: bytes) -> int:
    """The checksum of SCTP, over the packet with a checksum of zero."""
    table, register = _crc_table(), 0xFFFFFFFF
    for octet in data:
        register = table[(register ^ octet) & 0xFF] ^ register >> 8
    return register ^ 0xFFFFFFFF


def sctp_init(mark: bytes, port: int, source: bytes, destination: bytes) -> bytes:  # noqa: ARG001
    """An INIT with one stream each way; the mark is in a Padding parameter."""
    padding = struct.pack("!HH", 0x8005, 4 + MARK) + mark
    tag = int.from_bytes(mark[:4], "big") | 1  # one association, of which each INIT is a repetition
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20 + len(padding), tag, 65_536, 1, 1, tag) + padding
    head = struct.pack("!HHI", SOURCE_PORT, port, 0)  # an INIT's verification tag is zero
    # The lowest octet first, unlike all the rest (RFC 9260 appendix A).
    check = struct.pack("<I", crc32c(head + bytes(4) + chunk))
    return head + check + chunk


def dccp_request(mark: bytes, port: int, source: bytes, destination: bytes) -> bytes:
    """A Request with long sequence numbers; the mark begins its data."""
    sequence = int.from_bytes(mark[-6:], "big")
    request, extended = 0, 1
    octets = (
        struct.pack("!HHBBH", SOURCE_PORT, port, 5, 0, 0)
        + bytes([request << 1 | extended, 0])
        + sequence.to_bytes(6, "big")
        + struct.pack("!I", _SERVICE_CODE)
        + mark
        + _PAYLOAD
    )
    pseudo = pseudo_header(source, destination, DCCP, len(octets))
    return octets[:6] + checksum(octets, pseudo).to_bytes(2, "big") + octets[8:]


def udplite(mark: bytes, port: int, source: bytes, destination: bytes) -> bytes:
    """A datagram of which only the header is covered, as the protocol is meant for."""
    covered = 8
    head = struct.pack("!HHH", SOURCE_PORT, port, covered)
    # The pseudo header has the length of the whole datagram, the sum covers less (section 3.1).
    pseudo = pseudo_header(source, destination, UDPLITE, 8 + MARK + len(_PAYLOAD))
    check = checksum(head, pseudo) or 0xFFFF
    return head + check.to_bytes(2, "big") + mark + _PAYLOAD


def quic_initial(mark: bytes, port: int, source: bytes, destination: bytes) -> bytes:  # noqa: ARG001
    """An Initial whose Destination Connection ID is the mark; its protected part is zeros."""
    long_header, version, token_length = 0b1100_0000, 1, 0
    head = struct.pack("!BIB", long_header, version, MARK) + mark + bytes([0, token_length])
    rest = QUIC_LEAST - len(head) - 2
    return head + struct.pack("!H", 0x4000 | rest) + bytes(rest)


SHAPES = {
    "sctp": Shape(SCTP, 36, sctp_init),
    "dccp": Shape(DCCP, 20, dccp_request),
    "udp-lite": Shape(UDPLITE, 8, udplite),
    "quic": Shape(UDP, 8 + 6, quic_initial),
}
