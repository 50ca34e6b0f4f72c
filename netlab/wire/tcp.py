"""The TCP header (RFC 9293 section 3.1) and its options (section 3.2, RFC 7323, RFC 2018).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-------------------------------+-------------------------------+
    |          Source port          |       Destination port        |
    +-------------------------------+-------------------------------+
    |                        Sequence number                        |
    +---------------------------------------------------------------+
    |                    Acknowledgment number                      |
    +-------+-------+---------------+-------------------------------+
    | Data  |       |C|E|U|A|P|R|S|F|                               |
    | offset| Rsrvd |W|C|R|C|S|S|Y|I|            Window             |
    |       |       |R|E|G|K|H|T|N|N|                               |
    +-------+-------+---------------+-------------------------------+
    |           Checksum            |        Urgent pointer         |
    +-------------------------------+-------------------------------+
    |                      Options, padded to 32 bits               |
    +---------------------------------------------------------------+

The header keeps its options as bytes, since most receivers need them seldom; ``parse_options``
reads them. It never raises: what comes from outside may be wrong, and must do no harm (MUST-7).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from netlab.wire import Buffer, Malformed
from netlab.wire.checksum import VALID, checksum, ones_complement_sum, pseudo_header

PROTOCOL = 6
MINIMUM_LENGTH = 20
MAXIMUM_OPTIONS_LENGTH = 40

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
RESERVED = 0xF00
"""The four bits between data offset and CWR, as in ``Header.flags``."""

END_OF_OPTIONS = 0
NO_OPERATION = 1
MAXIMUM_SEGMENT_SIZE = 2
WINDOW_SCALE = 3
SACK_PERMITTED = 4
SACK = 5
TIMESTAMPS = 8

_LAYOUT = struct.Struct("!HHIIHHHH")
_TIMESTAMPS_ONLY = struct.Struct("!III")
# NOP NOP Timestamps(10): how almost every segment of an established connection begins its options
# (RFC 7323 appendix A), worth a way of its own.
_NOP_NOP_TIMESTAMPS = 0x0101080A


class Header(NamedTuple):
    """One TCP header; the first four fields are what a caller has to say.

    ``flags`` are the low twelve bits of their word: eight control bits and, above them, the four
    that are reserved. ``window`` is as on the wire, not scaled.
    """

    source_port: int
    destination_port: int
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 0
    options: bytes = b""
    urgent_pointer: int = 0
    checksum: int = 0

    @property
    def header_length(self) -> int:
        """Octets before the payload."""
        return MINIMUM_LENGTH + len(self.options)


class Options(NamedTuple):
    """What the options of one segment say; ``None`` or empty is an option that is absent.

    ``timestamps`` are (TSval, TSecr); ``sack`` is (left edge, right edge) for each block;
    ``unknown`` keeps kind and data of the options that are not known here, and of known ones whose
    length is not the one of their definition. ``illegal`` says that a length (0, 1 or past the end)
    cut the reading short: what precedes it counts.
    """

    mss: int | None = None
    window_scale: int | None = None
    sack_permitted: bool = False
    timestamps: tuple[int, int] | None = None
    sack: tuple[tuple[int, int], ...] = ()
    unknown: tuple[tuple[int, bytes], ...] = ()
    illegal: bool = False


NO_OPTIONS = Options()


def parse(segment: Buffer) -> Header:
    """The header at the start of ``segment``.

    Raises:
        Malformed: it is not a TCP header.
    """
    if len(segment) < MINIMUM_LENGTH:
        raise Malformed("shorter than a TCP header")
    (
        source_port, destination_port, seq, ack, offset_flags, window, check, urgent_pointer,
    ) = _LAYOUT.unpack_from(segment)  # fmt: skip
    header_length = offset_flags >> 12 << 2
    if not MINIMUM_LENGTH <= header_length <= len(segment):
        raise Malformed(f"TCP data offset {header_length} of {len(segment)} octets")
    return Header(
        source_port,
        destination_port,
        seq,
        ack,
        offset_flags & 0xFFF,
        window,
        bytes(segment[MINIMUM_LENGTH:header_length]) if header_length > MINIMUM_LENGTH else b"",
        urgent_pointer,
        check,
    )


def payload(segment: Buffer, header: Header) -> memoryview:
    """The octets after header and options, as a view."""
    return memoryview(segment)[header.header_length :]


def verify(segment: Buffer, source: bytes, destination: bytes) -> bool:
    """True if the checksum is right for a segment between these two packed addresses."""
    pseudo = pseudo_header(source, destination, PROTOCOL, len(segment))
    return ones_complement_sum(segment, pseudo) == VALID


def encode_header(header: Header) -> bytes:
    """The header exactly as the record says, checksum included.

    Raises:
        ValueError: the options are not whole words, or too many.
    """
    if len(header.options) % 4 or len(header.options) > MAXIMUM_OPTIONS_LENGTH:
        raise ValueError("TCP options are whole 32-bit words, 40 octets at most")
    return (
        _LAYOUT.pack(
            header.source_port,
            header.destination_port,
            header.seq,
            header.ack,
            header.header_length << 10 | header.flags,
            header.window,
            header.checksum,
            header.urgent_pointer,
        )
        + header.options
    )


def encode(header: Header, data: Buffer, source: bytes, destination: bytes) -> bytes:
    """A whole segment between two packed addresses; the checksum is computed."""
    segment = encode_header(header._replace(checksum=0)) + data
    pseudo = pseudo_header(source, destination, PROTOCOL, len(segment))
    check = checksum(segment, pseudo)
    return segment[:16] + check.to_bytes(2, "big") + segment[18:]


def parse_options(options: Buffer) -> Options:
    """Read options at any alignment (MUST-64); of a repeated one the last counts."""
    if not options:
        return NO_OPTIONS
    if len(options) == 12:
        first, value, echo = _TIMESTAMPS_ONLY.unpack(options)
        if first == _NOP_NOP_TIMESTAMPS:
            return Options(None, None, False, (value, echo))
    mss: int | None = None
    window_scale: int | None = None
    sack_permitted = illegal = False
    timestamps: tuple[int, int] | None = None
    sack: tuple[tuple[int, int], ...] = ()
    unknown: list[tuple[int, bytes]] = []
    at, end = 0, len(options)
    while at < end:
        kind = options[at]
        if kind == END_OF_OPTIONS:
            break
        if kind == NO_OPERATION:
            at += 1
            continue
        length = options[at + 1] if at + 1 < end else 0
        if length < 2 or at + length > end:
            illegal = True
            break
        data = bytes(options[at + 2 : at + length])
        at += length
        match kind, length:
            case 2, 4:
                mss = int.from_bytes(data, "big")
            case 3, 3:
                window_scale = data[0]
            case 4, 2:
                sack_permitted = True
            case 5, 10 | 18 | 26 | 34:
                edges = struct.unpack(f"!{len(data) // 4}I", data)
                sack = tuple(zip(edges[::2], edges[1::2], strict=True))
            case 8, 10:
                timestamps = (int.from_bytes(data[:4], "big"), int.from_bytes(data[4:], "big"))
            case _:
                unknown.append((kind, data))
    return Options(mss, window_scale, sack_permitted, timestamps, sack, tuple(unknown), illegal)


def encode_options(options: Options) -> bytes:
    """The options in the customary order, padded with NOPs in front where alignment is worth it.

    At most 40 octets: ``ValueError`` beyond. A caller that has timestamps has room for three SACK
    blocks, otherwise for four (RFC 2018 section 3). ``illegal`` is not written.

    Raises:
        ValueError: they do not fit into 40 octets.
    """
    mss, window_scale, sack_permitted, timestamps, sack, unknown, _ = options
    if mss is window_scale is None and not (sack_permitted or sack or unknown):
        if timestamps is None:
            return b""
        return _TIMESTAMPS_ONLY.pack(_NOP_NOP_TIMESTAMPS, *timestamps)
    parts: list[bytes] = []
    if mss is not None:
        parts.append(struct.pack("!BBH", MAXIMUM_SEGMENT_SIZE, 4, mss))
    if timestamps is not None:
        # With SACK-permitted in front, its two octets do the aligning.
        lead = b"\x04\x02" if sack_permitted else b"\x01\x01"
        parts.append(lead + struct.pack("!BBII", TIMESTAMPS, 10, *timestamps))
    elif sack_permitted:
        parts.append(b"\x01\x01\x04\x02")
    if window_scale is not None:
        parts.append(struct.pack("!BBBB", NO_OPERATION, WINDOW_SCALE, 3, window_scale))
    if sack:
        edges = [edge for block in sack for edge in block]
        parts.append(struct.pack(f"!BBBB{len(edges)}I", 1, 1, SACK, 2 + 4 * len(edges), *edges))
    parts += [bytes([kind, len(data) + 2]) + data for kind, data in unknown]
    octets = b"".join(parts)
    octets += bytes(-len(octets) % 4)
    if len(octets) > MAXIMUM_OPTIONS_LENGTH:
        raise ValueError(f"{len(octets)} octets of TCP options do not fit")
    return octets
