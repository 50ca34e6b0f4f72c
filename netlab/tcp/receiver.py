"""The receiving half of a connection: RCV.NXT, the window, and octets that came too early.

    already read | waiting for the user | may come, parts of it are held     | not yet allowed
    -------------+----------------------+------------------------------------+----------------
                                     RCV.NXT                        RCV.NXT + RCV.WND (edge)

Positions are unwrapped sequence numbers. The right edge of the window never moves left (SHLD-14).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.wire import Buffer

MAXIMUM_SHIFT = 14  # RFC 7323 section 2.3
MAXIMUM_HELD_PIECES = 1024
_SMALL = 512
_JOINED = 4096
_AMPLE = 32768


class Held(NamedTuple):
    """Octets that came before those in front of them."""

    start: int
    end: int
    data: Sequence[Buffer]


class Receiver:
    """Reassembly, flow control and the memory of what was acknowledged.

    ``nxt`` is RCV.NXT, ``edge`` the position up to which the peer may send, ``waiting`` the octets
    that the user has not read. ``fin`` is the position of the peer's FIN once it is known.
    ``mss`` estimates the segments that the peer sends (RMSS in RFC 5681).
    """

    __slots__ = (
        "_held",
        "_pieces",
        "_recent",
        "capacity",
        "duplicate",
        "edge",
        "fin",
        "irs",
        "mss",
        "nxt",
        "shift",
        "waiting",
    )

    def __init__(self, capacity: int, mss: int, *, scaling: bool) -> None:
        self.capacity = capacity
        self.mss = mss
        # The shift must let the whole capacity be said in sixteen bits.
        self.shift = min(max(capacity.bit_length() - 16, 0), MAXIMUM_SHIFT) if scaling else 0
        self.irs = self.nxt = self.edge = 0
        self.waiting = 0
        self.fin: int | None = None
        self.duplicate: tuple[int, int] | None = None
        self._pieces: deque[Buffer] = deque()
        self._held: list[Held] = []
        self._recent: list[int] = []  # positions inside held blocks, the latest first

    def start(self, irs: int) -> None:
        """The peer's SYN came, with this sequence number."""
        self.irs = irs
        self.nxt = irs + 1
        self.edge = self.nxt + min(self.capacity, 0xFFFF)

    # -- what comes in --

    def accept(self, position: int, length: int, data: Sequence[Buffer]) -> bool:
        """Take the octets of one segment; True if RCV.NXT moved.

        Octets that came before are dropped, as are those beyond the window; a segment may overlap
        any of them (RFC 9293 section 3.10.7.4, "segments ... tailored to this").
        """
        end = position + length
        if end > self.edge:
            if position >= self.edge:
                return False
            length -= end - self.edge
            end = self.edge
            data = _part(data, 0, length)
        if position == self.nxt and not self._held:
            self._deliver(end, data)
            return length > 0
        if position < self.nxt:
            self.duplicate = (position, min(end, self.nxt))
            if end <= self.nxt:
                return False
            data = _part(data, self.nxt - position, end - position)
            position = self.nxt
        elif overlap := self._overlap(position, end):
            self.duplicate = overlap
        if position == self.nxt:
            self._deliver(end, data)
            self._deliver_held()
            return True
        self._hold(position, end, data)
        return False

    def _deliver(self, end: int, data: Sequence[Buffer]) -> None:
        length = end - self.nxt
        self.nxt = end
        self.waiting += length
        pieces = self._pieces
        if length < _SMALL:
            # A sender of single octets must not cost one object for each.
            if pieces and len(pieces[-1]) < _JOINED and isinstance(pieces[-1], bytearray):
                for piece in data:
                    pieces[-1] += piece
                return
            data = (bytearray().join(data),)
        pieces.extend(data)

    def _deliver_held(self) -> None:
        held = self._held
        count = 0
        for start, end, data in held:
            if start > self.nxt:
                break
            count += 1
            if end > self.nxt:
                self._deliver(end, _part(data, self.nxt - start, end - start))
        del held[:count]

    def _hold(self, start: int, end: int, data: Sequence[Buffer]) -> None:
        """Put octets between those that are held; where both have an octet, the older one stays."""
        held = self._held
        first = position = start
        at = bisect_left(held, start, key=lambda block: block.end)
        fresh = False
        while position < end:
            if len(held) >= MAXIMUM_HELD_PIECES:
                return
            gap_end = min(held[at].start, end) if at < len(held) else end
            if position < gap_end:
                piece = _part(data, position - first, gap_end - first)
                held.insert(at, Held(position, gap_end, piece))
                fresh = True
                at += 1
            if at < len(held) and gap_end < end:
                position = held[at].end
                at += 1
            else:
                position = gap_end
        if fresh:
            self._recent = [start, *self._recent[:7]]

    def _overlap(self, start: int, end: int) -> tuple[int, int] | None:
        """The first run of octets of [start, end) that are held already (RFC 2883 section 4)."""
        left = right = None
        for block in self._held[bisect_left(self._held, start + 1, key=lambda b: b.end) :]:
            if block.start >= end or (right is not None and block.start > right):
                break
            left = max(block.start, start) if left is None else left
            right = min(block.end, end)
        return None if left is None or right is None else (left, right)

    @property
    def holds(self) -> bool:
        """True while octets wait for others that belong in front of them."""
        return bool(self._held)

    def blocks(self, limit: int) -> tuple[tuple[int, int], ...]:
        """The SACK blocks to report (RFC 2018 section 4), positions, the most recent first.

        A duplicate goes in front once, and behind it the block that it is part of, if it lies above
        RCV.NXT (RFC 2883 section 4).
        """
        found: list[tuple[int, int]] = []
        islands = self._islands()
        if self.duplicate is not None:
            left, right = self.duplicate
            found.append(self.duplicate)
            found += [one for one in islands if one[0] <= left and right <= one[1]]
            self.duplicate = None
        first = len(found) and 1  # the duplicate may look like a block; it is none
        self._recent = [position for position in self._recent if position >= self.nxt]
        for position in self._recent:
            for island in islands:
                if island[0] <= position < island[1] and island not in found[first:]:
                    found.append(island)
        found += [island for island in islands if island not in found[first:]]
        return tuple(found[:limit])

    def _islands(self) -> list[tuple[int, int]]:
        islands: list[tuple[int, int]] = []
        for start, end, _ in self._held:
            if islands and islands[-1][1] == start:
                islands[-1] = (islands[-1][0], end)
            else:
                islands.append((start, end))
        return islands

    # -- what the user takes --

    def read(self, limit: int) -> list[Buffer]:
        """Take up to ``limit`` octets as they lie, without joining them."""
        taken: list[Buffer] = []
        pieces = self._pieces
        while pieces and limit > 0:
            piece = pieces.popleft()
            size = len(piece)
            if size > limit:
                view = memoryview(piece)
                pieces.appendleft(view[limit:])
                piece = view[:limit]
                size = limit
            taken.append(piece)
            self.waiting -= size
            limit -= size
        return taken

    def peek(self, limit: int) -> bytes:
        """Up to ``limit`` of the octets that wait; they go on waiting."""
        found, missing = b"", limit
        for piece in self._pieces:
            if missing <= 0:
                break
            found += bytes(piece[:missing])
            missing = limit - len(found)
        return found

    # -- the window --

    @property
    def wnd(self) -> int:
        """RCV.WND: how much the peer may still send, as advertised to it."""
        return self.edge - self.nxt

    def _wanted_edge(self) -> int:
        return self.nxt + max(self.capacity - self.waiting, 0)

    def advertise(self) -> int:
        """The window field of the segment that is about to go, and move the edge accordingly.

        The edge moves only by a worthwhile step, so that a slow reader does not make the peer send
        tiny segments (silly window avoidance, MUST-39, RFC 9293 section 3.8.6.2.2).
        """
        edge = self.edge
        if (wanted := self._wanted_edge()) - edge >= min(self.capacity // 2, self.mss):
            edge = wanted
        # Rounded up: the peer would see a window that is rounded down as a shrinking one.
        field = min(-(-(edge - self.nxt) >> self.shift), 0xFFFF)
        self.edge = max(self.edge, self.nxt + (field << self.shift))
        return field

    @property
    def update_due(self) -> bool:
        """True if the window has opened so far that it should be advertised without delay.

        While the peer has room for a good many segments it will send them, and learn of the window
        from their ACKs.
        """
        growth = self._wanted_edge() - self.edge
        room = self.edge - self.nxt
        half = self.capacity // 2
        return growth >= (min(half, self.mss) if room < self.mss else half) and room < _AMPLE


def _part(data: Sequence[Buffer], start: int, end: int) -> Sequence[Buffer]:
    """The octets [start, end) of a sequence of pieces, as views."""
    parts: list[Buffer] = []
    for piece in data:
        size = len(piece)
        if start < size and end > 0:
            parts.append(memoryview(piece)[max(start, 0) : end])
        start -= size
        end -= size
    return parts
