"""HyStart++: leave slow start when the round trips grow, not when the queue is full (RFC 9406).

Slow start doubles the window until something is lost, by then twice as much as the path holds is
under way. The queue that it fills can be seen before: the shortest round trip of a round (of the
data that one window acknowledges) grows. Then the window grows a quarter as fast for up to five
rounds (conservative slow start); if the round trips shrink meanwhile it was a false alarm.
"""

from __future__ import annotations

import math

MIN_RTT_THRESH, MAX_RTT_THRESH = 0.004, 0.016  # seconds
MIN_RTT_DIVISOR = 8
N_RTT_SAMPLE = 8
CSS_GROWTH_DIVISOR = 4
CSS_ROUNDS = 5


class HyStart:
    """``divisor`` is what slow start's growth is divided by; ``done`` says that it has to end.

    The RFC's limit L on the growth for one ACK is for senders whose ACKs are not joined; here one
    ACK may cover many.
    """

    __slots__ = ("_baseline", "_last", "_lowest", "_rounds", "_samples", "_window_end", "divisor")

    def __init__(self) -> None:
        self.divisor = 1
        self._last = self._lowest = math.inf  # of the round before, and of this one
        self._baseline = math.inf
        self._samples = 0
        self._rounds = 0
        self._window_end: int | None = None

    @property
    def done(self) -> bool:
        """True after the last round of conservative slow start."""
        return self._rounds >= CSS_ROUNDS

    def sample(self, rtt: float, una: int, nxt: int) -> None:
        """One round-trip time in slow start, with SND.UNA and SND.NXT (section 4.2)."""
        if self._window_end is None or una >= self._window_end:
            self._window_end = nxt
            self._last, self._lowest, self._samples = self._lowest, math.inf, 0
            if self.divisor > 1:
                self._rounds += 1
        self._lowest = min(self._lowest, rtt)
        self._samples += 1
        if self._samples < N_RTT_SAMPLE:
            return
        if self.divisor > 1:
            if self._lowest < self._baseline:
                self.divisor, self._rounds, self._baseline = 1, 0, math.inf
        elif self._last < math.inf:
            thresh = min(max(self._last / MIN_RTT_DIVISOR, MIN_RTT_THRESH), MAX_RTT_THRESH)
            if self._lowest >= self._last + thresh:
                self._baseline = self._lowest
                self.divisor = CSS_GROWTH_DIVISOR
