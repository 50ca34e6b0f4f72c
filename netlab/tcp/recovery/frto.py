"""F-RTO: after a timeout, look before sending everything again (RFC 5682 section 3.1).

A delay longer than the RTO looks like a loss. Without timestamps one thing tells them apart: after
the first segment has gone again, is something acknowledged that went only once?

    timeout            first segment again           1
    ACK moves SND.UNA  two new segments, no old one  2
    ACK of what went only once: the timeout was false; a duplicate: it was right
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlab.tcp.recovery.spans import Span

SEGMENTS = 2


class Verdict(Enum):
    """What the ACKs after a timeout show."""

    OPEN = "wait"
    NEW_DATA = "send new data"
    SPURIOUS = "nothing was lost"
    LOST = "send all of it again"


class ForwardRto:
    """One timeout; ``head`` is the end of what goes again at once, ``point`` SND.NXT then."""

    __slots__ = ("_head", "_point", "_sacked", "waiting")

    def __init__(self, head: int, point: int) -> None:
        self._head = head
        self._point = point
        self._sacked: int | None = None
        self.waiting = False  # in step 3: new data is out

    def acknowledged(self, una: int, *, moved: bool, sacked: Iterable[Span]) -> Verdict:
        """An ACK; ``sacked`` is what the scoreboard knows after it."""
        known = sum(min(right, self._point) - left for left, right in sacked if left < self._point)
        before, self._sacked = self._sacked, known
        if not self.waiting:
            if not moved or una >= self._point:
                return Verdict.LOST  # nobody can say by which transmission it arrived
            self.waiting = True
            return Verdict.NEW_DATA
        if (moved and una > self._head) or (before is not None and known > before):
            return Verdict.SPURIOUS
        return Verdict.LOST
