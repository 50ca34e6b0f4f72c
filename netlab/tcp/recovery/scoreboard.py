"""What of the octets under way has arrived, what is lost, what was sent again (RFC 6675).

        SND.UNA                  lost_below                      SND.NXT
           |  hole  | SACKed |  hole  |  hole | SACKed | not yet  |
           |                          |       |        | reported |
           |<-- high_rxt: sent again up to here

``Scoreboard`` learns from SACK blocks. ``DuplicateAcks`` has only the count of duplicate ACKs and
draws NewReno's conclusions from it (RFC 6582), in the same terms; so one loss recovery serves both,
and ``netlab.tcp.recovery.rack`` too. Octets count here, not segments: a segment of 64 KiB is many
segments for the network.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from netlab.tcp.recovery.spans import Span, length, union

if TYPE_CHECKING:
    from collections.abc import Iterable

DUP_THRESH = 3


class Scoreboard:
    """Of the octets from SND.UNA on: which were SACKed, lost and retransmitted.

    ``lost_below``: every hole before this position counts as lost. ``high_rxt``: the holes before
    this one were retransmitted in this recovery.
    """

    __slots__ = ("due", "high_rxt", "lost_below", "mss", "ranges", "sacked")
    selective = True
    """The peer sends SACK blocks, and gets ours."""
    probes = False
    """The retransmission timer has a tail loss probe before it."""

    def __init__(self, una: int, mss: int) -> None:
        self.mss = mss
        self.ranges: list[Span] = []
        self.sacked = 0
        self.lost_below = self.high_rxt = una
        self.due = math.inf  # when ``detect`` may find more

    def sent(self, start: int, end: int, now: float, *, again: bool) -> None:
        """A transmission; here ``high_rxt`` says enough of them."""

    @property
    def has_lost(self) -> bool:
        """True while something lost waits to be sent again."""
        return self.high_rxt < self.lost_below

    def update(self, blocks: Iterable[Span], una: int, nxt: int, now: float) -> None:  # noqa: ARG002
        """Learn from the SACK blocks of an acceptable ACK; senseless ones are passed over.

        A block at or below SND.UNA reports a duplicate (RFC 2883) and says nothing about holes.
        """
        news = [(left, right) for left, right in blocks if una < left < right <= nxt]
        if news:
            self.ranges = union([*self.ranges, *news])
            self.sacked = length(self.ranges)
            self._find_lost()

    def duplicate(self, una: int, nxt: int) -> None:
        """A duplicate ACK came; SACK blocks say more than the count of these does."""

    def detect(self, now: float, srtt: float, *, in_recovery: bool) -> None:
        """Look for losses that time shows; here the count of what arrived shows them all."""

    def duplicate_arrived(self, una: int, nxt: int) -> None:
        """A D-SACK came: something was sent again too early."""

    def recovered(self) -> None:
        """A recovery has ended."""

    def _find_lost(self) -> None:
        """RFC 6675 IsLost(): DupThresh blocks, or more than DupThresh - 1 segments, lie above."""
        octets = 0
        for count, (left, right) in enumerate(reversed(self.ranges), 1):
            octets += right - left
            if count >= DUP_THRESH or octets > (DUP_THRESH - 1) * self.mss:
                self.lost_below = max(self.lost_below, left)
                return

    def advance(self, una: int, octets: int, now: float) -> None:  # noqa: ARG002
        """SND.UNA moved by ``octets``."""
        if self.ranges:
            self.ranges = [(max(left, una), right) for left, right in self.ranges if right > una]
            self.sacked = length(self.ranges)
        self.lost_below = max(self.lost_below, una)
        self.high_rxt = max(self.high_rxt, una)

    def timed_out(self, una: int, nxt: int, now: float, srtt: float) -> None:  # noqa: ARG002
        """The retransmission timer expired.

        A peer that has not acknowledged what it SACKed at SND.UNA has thrown it away, and perhaps
        more (RFC 2018 section 8).
        """
        self.lose_all(una, nxt, forget=bool(self.ranges) and self.ranges[0][0] <= una)

    def unmark(self) -> None:
        """Nothing was lost after all."""
        self.lost_below = self.high_rxt

    def lose_all(self, una: int, nxt: int, *, forget: bool) -> None:
        """Whatever was not SACKed has to be sent again; ``forget`` what was, too."""
        if forget:
            self.ranges = []
            self.sacked = 0
        self.lost_below = nxt
        self.high_rxt = una

    def pipe(self, una: int, nxt: int) -> int:
        """The octets in the network: neither arrived nor lost, or lost and sent again."""
        if self.lost_below <= una:
            return nxt - una - self.sacked
        lost = self._holes(una, self.lost_below)
        again = self._holes(una, self.high_rxt) if self.high_rxt > una else 0
        return nxt - una - self.sacked - lost + again

    def _holes(self, start: int, end: int) -> int:
        covered = sum(
            min(right, end) - max(left, start)
            for left, right in self.ranges
            if left < end and right > start
        )
        return end - start - covered

    def next_hole(self, una: int) -> Span | None:
        """The first lost range that was not sent again: RFC 6675 NextSeg() rule 1."""
        start = max(una, self.high_rxt)
        for left, right in self.ranges:
            if start < left:
                end = min(left, self.lost_below)
                return (start, end) if start < end else None
            start = max(start, right)
        return (start, self.lost_below) if start < self.lost_below else None

    def speculative(self, una: int) -> Span | None:
        """NextSeg() rule 3: what is missing below the highest SACKed octet, though not yet lost."""
        start = max(una, self.high_rxt)
        for left, right in self.ranges:
            if start < left:
                return start, left
            start = max(start, right)
        return None

    def rescue(self, una: int, nxt: int) -> Span | None:
        """NextSeg() rule 4: the last segment that was not SACKed."""
        end, floor = nxt, una
        for left, right in reversed(self.ranges):
            if right < end:
                floor = right
                break
            end = left
        start = max(end - self.mss, floor)
        return (start, end) if start < end else None

    def partial(self, una: int, nxt: int) -> bool:  # noqa: ARG002
        """An ACK in recovery that does not end it; True if the next segment must go at once.

        Not so with SACK: its blocks have said what is missing.
        """
        return False


class DuplicateAcks(Scoreboard):
    """The same without SACK: each duplicate ACK says that one more segment has arrived."""

    __slots__ = ("_count",)
    selective = False

    def __init__(self, una: int, mss: int) -> None:
        super().__init__(una, mss)
        self._count = 0

    def duplicate(self, una: int, nxt: int) -> None:
        """One more segment left the network; the third says that the first under way is lost."""
        self._count += 1
        self.sacked = self._count * self.mss
        if self._count == DUP_THRESH:
            self.lost_below = max(self.lost_below, min(una + self.mss, nxt))

    def speculative(self, una: int) -> Span | None:  # noqa: ARG002
        """Nothing is known of what lies above the first hole."""
        return None

    def rescue(self, una: int, nxt: int) -> Span | None:  # noqa: ARG002
        """Nothing is known of what lies above the first hole."""
        return None

    def advance(self, una: int, octets: int, now: float) -> None:
        """SND.UNA moved: the segments that the duplicates spoke of are acknowledged now."""
        in_recovery = self.lost_below > una - octets
        super().advance(una, octets, now)
        # One of the segments is the retransmission, which no duplicate ACK spoke of.
        self._count = max(self._count - octets // self.mss + 1, 0) if in_recovery else 0
        self.sacked = self._count * self.mss

    def partial(self, una: int, nxt: int) -> bool:
        """A partial ACK says that the next segment is lost too (RFC 6582 section 3.2 step 3)."""
        self.lost_below = max(self.lost_below, min(una + self.mss, nxt))
        self.high_rxt = max(self.high_rxt, self.lost_below)
        return True

    def lose_all(self, una: int, nxt: int, *, forget: bool) -> None:
        """A retransmission timeout: all is sent again."""
        super().lose_all(una, nxt, forget=forget)
        self._count = 0
        self.sacked = 0

    def pipe(self, una: int, nxt: int) -> int:
        """As with SACK, but a miscount must not make it negative."""
        return max(super().pipe(una, nxt), 0)
