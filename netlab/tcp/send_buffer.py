"""The octets that a user gave to send, until the peer has acknowledged them."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.wire import Buffer

_SMALL = 2048
_COMPACT_AFTER = 64


class SendBuffer:
    """A queue of pieces, addressed by sequence position.

    Pieces are kept as they were given and cut as views: a segment of 64 KiB, or its
    retransmission, costs as much as one of ten octets. ``start`` is the position of the first
    octet that is not yet acknowledged, ``end`` the one after the last.
    """

    __slots__ = ("_pieces", "_positions", "_released", "end", "start")

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self._pieces: list[memoryview] = []
        self._positions: list[int] = []
        self._released = 0  # pieces at the front of the lists that are done with

    def append(self, data: Buffer) -> None:
        """Add octets; they must not change until they are released."""
        if self._pieces and len(data) + len(self._pieces[-1]) <= _SMALL:
            # A writer of single octets must not cost one piece for each.
            data = self._pieces.pop().tobytes() + data
            self.end = self._positions.pop()
        self._pieces.append(memoryview(data))
        self._positions.append(self.end)
        self.end += len(data)

    def release(self, position: int) -> None:
        """Forget what lies before ``position``."""
        self.start = position
        done = bisect_right(self._positions, position) - 1
        if position == self.end:
            done = len(self._pieces)
        # The piece that holds ``position`` stays whole: it may be in a segment that is under way.
        for index in range(self._released, done):
            self._pieces[index] = _NOTHING
        self._released = max(done, 0)
        if self._released > _COMPACT_AFTER or self._released == len(self._pieces):
            del self._pieces[: self._released], self._positions[: self._released]
            self._released = 0

    def slice(self, position: int, length: int) -> list[memoryview]:
        """Views of ``length`` octets from ``position`` on, in order."""
        index = bisect_right(self._positions, position) - 1
        skip = position - self._positions[index]
        piece = self._pieces[index]
        if len(piece) - skip >= length:
            return [piece[skip : skip + length]]
        views = [piece[skip:]]
        length -= len(piece) - skip
        while length > 0:
            index += 1
            piece = self._pieces[index]
            views.append(piece[:length])
            length -= len(piece)
        return views

    def __len__(self) -> int:
        return self.end - self.start


_NOTHING = memoryview(b"")
