"""RACK: a segment is lost if one that was sent later has arrived, and some time has passed.

RFC 8985 section 6. A count of duplicates (RFC 6675) cannot tell reordering from loss, and never
sees that a retransmission was lost too. Time sees both: each transmission is remembered with its
hour, the newest that has arrived is known, and whatever was sent before it and has not arrived
within a round trip and the *reordering window* is lost.

    sent at      t1        t2        t3   ...
                 [ hole ]  [ hole ]  [ arrived: the newest ]        now > t1 + RTT + reo_wnd:
                 lost      wait until t2 + RTT + reo_wnd             the first is lost

Every octet from SND.UNA to SND.NXT is in one of three places: SACKed (``ranges``), in the network
(``_fresh`` for the first time, ``_again`` as a retransmission), or lost and waiting to be sent
again (``_lost``). So what is in the network needs no estimate: it is ``flight``.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from typing import TYPE_CHECKING, NamedTuple

from netlab.tcp.recovery.scoreboard import DUP_THRESH, Scoreboard
from netlab.tcp.recovery.spans import Span, length, union

if TYPE_CHECKING:
    from collections.abc import Iterable

MICROSECOND = 1e-6  # differences of times are not exact
PERSIST = 16  # recoveries for which a wider reordering window stays (section 6.2, step 4)


class Transmission(NamedTuple):
    """The octets [start, end), sent ``at`` this time; ``again`` if not for the first time.

    ``order`` counts transmissions: of two that left at the same time it says which was later, where
    the RFC has to guess by the sequence number.
    """

    start: int
    end: int
    at: float
    again: bool
    order: int


class Rack(Scoreboard):
    """``rtt`` is RACK.rtt, ``min_rtt`` the smallest round trip ever seen, ``due`` a deadline.

    All times are seconds. ``detect`` has to be called after each ACK with news, and at ``due``.
    """

    __slots__ = (
        "_again",
        "_fack",
        "_fresh",
        "_lost",
        "_multiplier",
        "_newest",
        "_order",
        "_original",
        "_persist",
        "_round",
        "flight",
        "min_rtt",
        "reordering",
        "rtt",
    )
    probes = True

    def __init__(self, una: int, mss: int) -> None:
        super().__init__(una, mss)
        self.flight = 0
        self.rtt = 0.0
        self.min_rtt = math.inf
        self.reordering = False
        self._fresh: list[Transmission] = []  # by position, which is also by time
        self._again: list[Transmission] = []  # by time
        self._lost: list[Transmission] = []  # by position
        self._order = 0
        self._newest = (0, una)  # in place of RACK.xmit_ts, and RACK.end_seq
        self._original = self._newest  # the newest that surely was not a retransmission
        self._fack = una  # the highest position that has arrived
        self._multiplier = 1
        self._persist = 0
        self._round = una  # D-SACKs up to here belong to one round trip

    # -- what goes out --

    def sent(self, start: int, end: int, now: float, *, again: bool) -> None:
        """A transmission; if there was one of these octets before, it counts no more."""
        self._order += 1
        if again:
            self.flight -= _octets(_cut(self._fresh, start, end))
            self.flight -= _octets(_cut_any(self._again, start, end))
            _cut(self._lost, start, end)
            self._again.append(Transmission(start, end, now, True, self._order))
        else:
            self._fresh.append(Transmission(start, end, now, False, self._order))
        self.flight += end - start

    @property
    def has_lost(self) -> bool:
        """True while something lost waits to be sent again."""
        return bool(self._lost)

    def next_hole(self, una: int) -> Span | None:  # noqa: ARG002
        """The first run of lost octets."""
        if not self._lost:
            return None
        start, end = self._lost[0][:2]
        for one in self._lost[1:]:
            if one.start != end:
                break
            end = one.end
        return start, end

    def pipe(self, una: int, nxt: int) -> int:  # noqa: ARG002
        """The octets in the network."""
        return self.flight

    # -- what comes back: steps 1 to 3 --

    def advance(self, una: int, octets: int, now: float) -> None:
        """SND.UNA moved by ``octets``."""
        self._delivered(una - octets, una, now)
        if self.ranges:
            self.ranges = [(max(left, una), right) for left, right in self.ranges if right > una]
            self.sacked = length(self.ranges)

    def update(self, blocks: Iterable[Span], una: int, nxt: int, now: float) -> None:
        """Learn from the SACK blocks of an acceptable ACK; senseless ones are passed over."""
        news = [(left, right) for left, right in blocks if una < left < right <= nxt]
        if news:
            for left, right in news:
                self._delivered(left, right, now)
            self.ranges = union([*self.ranges, *news])
            self.sacked = length(self.ranges)

    def _delivered(self, left: int, right: int, now: float) -> None:
        for one in _cut(self._fresh, left, right):
            self.flight -= one.end - one.start
            rtt = now - one.at
            self.min_rtt = min(self.min_rtt, rtt)
            self._note(one, rtt)
        if self._again:
            for one in _cut_any(self._again, left, right):
                self.flight -= one.end - one.start
                # Perhaps it was the original that arrived: surely if it came back too soon.
                if now - one.at >= self.min_rtt - MICROSECOND:
                    self._note(one, now - one.at)
        if self._lost:
            for one in _cut(self._lost, left, right):
                self._note(one, None)
        self._fack = max(self._fack, right)

    def _note(self, one: Transmission, rtt: float | None) -> None:
        """One transmission has arrived, ``rtt`` after it was sent (steps 2 and 3)."""
        if not one.again and one.end < self._fack:
            self.reordering = True
        self._fack = max(self._fack, one.end)
        if rtt is not None:
            self.rtt = rtt
            self._newest = max(self._newest, (one.order, one.end))
            if not one.again:
                self._original = max(self._original, (one.order, one.end))

    # -- step 4: how long may a segment be late? --

    def duplicate_arrived(self, una: int, nxt: int) -> None:
        """A D-SACK: we retransmitted too early, so the window becomes wider, once a round trip."""
        if una >= self._round:
            self._round = nxt
            self._multiplier += 1
            self._persist = PERSIST

    def recovered(self) -> None:
        """A recovery has ended."""
        self._persist -= 1
        if self._persist <= 0:
            self._multiplier = 1

    def _window(self, srtt: float, *, in_recovery: bool) -> float:
        """RACK_update_reo_wnd()."""
        if not self.reordering and (in_recovery or self.sacked >= DUP_THRESH * self.mss):
            return 0.0
        if self.min_rtt == math.inf:
            return 0.0
        # Once D-SACKs speak of too little patience: where packets are reordered by arriving early,
        # the smallest round trip is theirs, and says nothing of how long the others take.
        unit = self.min_rtt if self._multiplier == 1 else max(self.min_rtt, srtt)
        return min(self._multiplier * unit / 4, srtt)

    # -- step 5: what is lost? --

    def detect(self, now: float, srtt: float, *, in_recovery: bool) -> None:
        """RACK_detect_loss()."""
        wait = self.rtt + self._window(srtt, in_recovery=in_recovery)
        self.due = math.inf
        for records in (self._fresh, self._again):
            late = []
            for index, one in enumerate(records):
                if one.order > self._newest[0]:
                    break
                if (one.order, one.end) >= self._newest:
                    continue
                if one.at + wait <= now:
                    late.append(index)
                else:
                    # The last of them sets the alarm, so that one alarm is enough.
                    self.due = one.at + wait
            self._lose(records, late)

    def _lose(self, records: list[Transmission], indexes: list[int]) -> None:
        for index in reversed(indexes):
            one = records.pop(index)
            self.flight -= one.end - one.start
            insort(self._lost, one)

    def timed_out(self, una: int, nxt: int, now: float, srtt: float) -> None:
        """The retransmission timer: the first segment is lost, and what is late (section 6.3)."""
        if self.ranges and self.ranges[0][0] <= una:
            self.lose_all(una, nxt, forget=True)
            return
        wait = self.rtt + self._window(srtt, in_recovery=True)
        for records in (self._fresh, self._again):
            late = [
                index
                for index, one in enumerate(records)
                if one.start <= una or one.at + wait <= now
            ]
            self._lose(records, late)
        self.due = math.inf

    def lose_all(self, una: int, nxt: int, *, forget: bool) -> None:
        """Whatever was not SACKed has to be sent again; ``forget`` what was, too."""
        for records in (self._fresh, self._again):
            self._lose(records, list(range(len(records))))
        if forget:
            for left, right in self.ranges:
                insort(self._lost, Transmission(max(left, una), min(right, nxt), 0.0, True, 0))
            self.ranges = []
            self.sacked = 0
        self.due = math.inf

    def speculative(self, una: int) -> Span | None:  # noqa: ARG002
        """Nothing: the reordering timer and the tail loss probe do better than guesses."""
        return None

    def rescue(self, una: int, nxt: int) -> Span | None:  # noqa: ARG002
        """As ``speculative``."""
        return None

    def unmark(self) -> None:
        """Nothing was lost after all: it is still under way, and originals are what has arrived."""
        self._newest = self._original
        for one in self._lost:
            self.flight += one.end - one.start
            if one.again:
                insort(self._again, one, key=_order)
            else:
                insort(self._fresh, one)
        self._lost.clear()


def _order(one: Transmission) -> int:
    return one.order


def _start(one: Transmission) -> int:
    return one.start


def _octets(records: list[Transmission]) -> int:
    return sum(one.end - one.start for one in records)


def _cut(records: list[Transmission], left: int, right: int) -> list[Transmission]:
    """Take the octets [left, right) out of records that are sorted by position; returns them."""
    if not records or records[-1].end <= left:
        return []
    first = 0
    if records[0].start < left:
        first = bisect_right(records, left, key=_start) - 1
        if records[first].end <= left:
            first += 1
    last = first
    while last < len(records) and records[last].start < right:
        last += 1
    if first == last:
        return []
    taken, rest = records[first:last], []
    if taken[0].start < left:
        rest.append(taken[0]._replace(end=left))
        taken[0] = taken[0]._replace(start=left)
    if taken[-1].end > right:
        rest.append(taken[-1]._replace(start=right))
        taken[-1] = taken[-1]._replace(end=right)
    records[first:last] = rest
    return taken


def _cut_any(records: list[Transmission], left: int, right: int) -> list[Transmission]:
    """As ``_cut``, for records that are sorted by time."""
    taken: list[Transmission] = []
    rest: list[Transmission] = []
    for one in records:
        if one.end <= left or one.start >= right:
            rest.append(one)
            continue
        if one.start < left:
            rest.append(one._replace(end=left))
        if one.end > right:
            rest.append(one._replace(start=right))
        taken.append(one._replace(start=max(one.start, left), end=min(one.end, right)))
    if taken:
        records[:] = rest
        taken.sort()
    return taken
