"""Slow start, congestion avoidance and the halving of RFC 5681, counting octets (RFC 3465)."""

from __future__ import annotations

UNLIMITED = 1 << 62


def initial_window(mss: int) -> int:
    """RFC 6928: ten segments, or about 14 KB if they are large."""
    return min(10 * mss, max(2 * mss, 14600))


class Reno:
    """The standard. Its window grows by one segment for each round trip."""

    __slots__ = ("_credit", "cwnd", "mss", "name", "ssthresh")

    def __init__(self, mss: int) -> None:
        self.name = "reno"
        self.mss = mss
        self.cwnd = initial_window(mss)
        self.ssthresh = UNLIMITED
        self._credit = 0

    def acknowledged(self, octets: int, now: float, srtt: float) -> None:  # noqa: ARG002
        """Grow. Slow start takes every acknowledged octet, however many ACKs were joined to one."""
        if self.cwnd < self.ssthresh:
            step = min(octets, self.ssthresh - self.cwnd)
            self.cwnd += step
            octets -= step
        self._credit += octets
        if self._credit >= self.cwnd:
            self._credit -= self.cwnd
            self.cwnd += self.mss

    def sample(self, rtt: float, una: int, nxt: int) -> None:
        """Delay says nothing to Reno."""

    def lost(self, in_flight: int, now: float) -> None:  # noqa: ARG002
        """Halve (equation 4)."""
        self.ssthresh = self.cwnd = max(in_flight // 2, 2 * self.mss)
        self._credit = 0

    def timed_out(self, in_flight: int, now: float) -> None:  # noqa: ARG002
        """Start again from the loss window of one segment."""
        self.ssthresh = max(in_flight // 2, 2 * self.mss)
        self.cwnd = self.mss
        self._credit = 0

    def undo(self, cwnd: int, ssthresh: int) -> None:
        """As if nothing had happened."""
        self.cwnd, self.ssthresh = max(self.cwnd, cwnd), max(self.ssthresh, ssthresh)

    def restart(self) -> None:
        """No more than the initial window at once."""
        self.cwnd = min(self.cwnd, initial_window(self.mss))
