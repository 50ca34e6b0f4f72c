"""Was it a loss at all? Two ways to find out, and then everything is as before.

*Eifel* (RFC 3522, with the answer of RFC 4015): the first ACK that moves SND.UNA after a
retransmission echoes a timestamp. If it is older than the retransmission, the original has arrived.

*D-SACK* (RFC 3708): the peer reports each octet that came twice. When all that was retransmitted
has been reported, all of it had arrived.
"""

from __future__ import annotations

from netlab.tcp.recovery.spans import Span, union, without

TICK = 0.001  # the timestamps' clock


class Undo:
    """The memory of one recovery: how large the window was, and what was sent again."""

    __slots__ = ("_again", "_first_at", "_judged", "cwnd", "ssthresh")

    def __init__(self, cwnd: int, ssthresh: int) -> None:
        self.cwnd = cwnd
        self.ssthresh = ssthresh
        self._again: list[Span] = []
        self._first_at: float | None = None
        self._judged = False

    def sent_again(self, start: int, end: int, now: float) -> None:
        """A retransmission."""
        if self._first_at is None:
            self._first_at = now
        self._again = union([*self._again, (start, end)])

    def inherit(self, past: Undo) -> None:
        """The recovery before this one was needless too, so its window is the one to go back to."""
        self.cwnd = max(self.cwnd, past.cwnd)
        self.ssthresh = max(self.ssthresh, past.ssthresh)

    def echoed(self, sent_at: float) -> bool:
        """An ACK moved SND.UNA and echoes what was sent then; True if no loss was the reason."""
        if self._judged or self._first_at is None:
            return False
        self._judged = True
        return sent_at < self._first_at - TICK

    def duplicate(self, span: Span) -> bool:
        """A D-SACK; True if with it everything that was sent again had arrived before."""
        if not self._again:
            return False
        self._again = without(self._again, span)
        return not self._again
