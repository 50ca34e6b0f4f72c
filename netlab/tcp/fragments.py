"""IP packets in pieces: put together again, and cut (RFC 791, RFC 8200 section 4.5).

No segment of ours is ever cut, and few that come are; a ping larger than the MTU is.

Nobody honest sends fragments that overlap, so a packet with such is lost for good (RFC 5722, and
for IPv4 as Linux does). What waits to be whole is bounded in octets and in time, and the oldest
goes first.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from netlab.wire import Malformed, ipv4, ipv6

if TYPE_CHECKING:
    from netlab.wire import Buffer

LIFETIME = 30.0  # seconds, as Linux' ipfrag_time
MAXIMUM_HELD = 1 << 20  # octets, of all packets that are not whole yet
OVERHEAD = 200  # octets of memory for a piece, about
LARGEST = 0xFFFF

Frame = ipv4.Header | tuple[ipv6.Header, tuple[ipv6.Extension, ...]]
"""What precedes the data of a packet that is whole."""


class Piece(NamedTuple):
    """One fragment: the octets [start, end) of packet ``key``; ``more`` but in the last."""

    key: tuple[bytes | int, ...]
    start: int
    end: int
    more: bool
    data: bytes
    frame: Frame


class Partial:
    """What has come of one packet."""

    __slots__ = ("_pieces", "_starts", "expires", "held", "length", "octets")

    def __init__(self, expires: float) -> None:
        self.expires = expires
        self.length: int | None = None  # known from the last piece
        self.octets = 0
        self.held = OVERHEAD
        self._starts: list[int] | None = []  # None: spoiled
        self._pieces: list[Piece] = []

    def add(self, piece: Piece) -> None:
        """Take a piece; one that contradicts another spoils the packet, a repeated one does not."""
        if self._starts is None:
            return
        at = bisect_left(self._starts, piece.start)
        around = self._pieces[max(at - 1, 0) : at + 1]
        if piece in around:
            return
        overlaps = any(one.start < piece.end and piece.start < one.end for one in around)
        if not piece.more:
            overlaps = overlaps or self.length not in {None, piece.end}
            self.length = piece.end
        self._starts.insert(at, piece.start)
        self._pieces.insert(at, piece)
        self.octets += len(piece.data)
        self.held += len(piece.data) + OVERHEAD
        if overlaps or (self.length is not None and self._pieces[-1].end > self.length):
            self._starts = None
            self._pieces.clear()
            self.held = OVERHEAD

    def whole(self) -> bytes | None:
        """The packet, if nothing is missing."""
        if self._starts is None or self.octets != self.length:
            return None
        return _framed(self._pieces[0].frame, b"".join(piece.data for piece in self._pieces))


class Fragments:
    """Packets that are not whole yet; the oldest is the first of them."""

    def __init__(self) -> None:
        self._partial: dict[tuple[bytes | int, ...], Partial] = {}
        self.held = 0

    def __len__(self) -> int:
        return len(self._partial)

    def take(self, packet: Buffer, now: float) -> bytes | None:
        """Take a fragment; the whole packet if this was the last that was missing."""
        while self._partial and next(iter(self._partial.values())).expires <= now:
            self._drop_oldest()
        piece = _piece(packet)
        if not (piece.start or piece.more):
            return _framed(piece.frame, piece.data)  # it is all there is: RFC 6946
        partial = self._partial.get(piece.key)
        if partial is None:
            partial = self._partial[piece.key] = Partial(now + LIFETIME)
        else:
            self.held -= partial.held
        partial.add(piece)
        self.held += partial.held
        whole = partial.whole()
        if whole is not None:
            del self._partial[piece.key]
            self.held -= partial.held
        while self.held > MAXIMUM_HELD:
            self._drop_oldest()
        return whole

    def _drop_oldest(self) -> None:
        self.held -= self._partial.pop(next(iter(self._partial))).held


def _framed(frame: Frame, data: bytes) -> bytes:
    if isinstance(frame, ipv4.Header):
        return ipv4.encode(frame, data)
    header, extensions = frame
    return ipv6.encode(header, data, extensions)


def _piece(packet: Buffer) -> Piece:
    """Read a fragment; ``Malformed`` if it can be part of no packet."""
    read = _piece_v4 if packet[0] >> 4 == 4 else _piece_v6
    piece = read(packet)
    if piece.start == piece.end or (piece.more and piece.end % 8):
        raise Malformed("a fragment that nothing can follow")
    if piece.end > LARGEST:
        raise Malformed("a fragment beyond the largest packet")
    return piece


def _piece_v4(packet: Buffer) -> Piece:
    header = ipv4.parse(packet)
    if not ipv4.verify(packet, header):
        raise Malformed("IPv4 header checksum")
    data = bytes(ipv4.payload(packet, header))
    start = header.fragment_offset
    key = header.source, header.destination, header.protocol, header.identification
    frame = header._replace(flags=0, fragment_offset=0)
    if header.header_length + start + len(data) > LARGEST:
        raise Malformed("a fragment beyond the largest packet")
    more = bool(header.flags & ipv4.MORE_FRAGMENTS)
    return Piece(key, start, start + len(data), more, data, frame)


def _piece_v6(packet: Buffer) -> Piece:
    header = ipv6.parse(packet)
    before: list[ipv6.Extension] = []
    at = ipv6.HEADER_LENGTH
    for extension in ipv6.upper_layer(packet, header).extensions:
        if extension.kind == ipv6.FRAGMENT:
            break
        before.append(extension)
        at += 1 + len(extension.body)
    fragment = ipv6.parse_fragment(packet[at : at + 8])
    data = bytes(packet[at + 8 : header.total_length])
    start = fragment.offset
    key = header.source, header.destination, fragment.identification
    frame = header._replace(next_header=packet[at]), tuple(before)
    if at - ipv6.HEADER_LENGTH + start + len(data) > LARGEST:
        raise Malformed("a fragment beyond the largest packet")
    return Piece(key, start, start + len(data), fragment.more, data, frame)


def cut(packet: bytes, mtu: int, identification: int) -> list[bytes]:
    """The packets of at most ``mtu`` octets that carry this one; itself if it is not larger.

    Of IPv6, packets without extension headers.
    """
    if len(packet) <= mtu:
        return [packet]
    if packet[0] >> 4 == 4:
        v4 = ipv4.parse(packet)._replace(identification=identification & 0xFFFF)
        data = bytes(ipv4.payload(packet, v4))
        return [
            ipv4.encode(v4._replace(flags=int(more), fragment_offset=start), data[start:end])
            for start, end, more in _spans(len(data), mtu - v4.header_length)
        ]
    v6 = ipv6.parse(packet)
    data = bytes(ipv6.payload(packet, v6))
    return [
        ipv6.encode(
            v6,
            data[start:end],
            (ipv6.fragment_extension(ipv6.Fragment(identification, start, more)),),
        )
        for start, end, more in _spans(len(data), mtu - ipv6.HEADER_LENGTH - 8)
    ]


def _spans(length: int, room: int) -> list[tuple[int, int, bool]]:
    step = room & ~7
    return [(at, min(at + step, length), at + step < length) for at in range(0, length, step)]
