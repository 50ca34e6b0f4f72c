"""CUBIC (RFC 9438): the window is a cubic function of the time since the last loss.

    W_cubic(t) = C * (t - K)^3 + W_max        with W_cubic(0) = cwnd after the loss

so it rises steeply, is flat around the window where the loss happened, and then probes beyond it.
Its slow start ends by ``netlab.tcp.congestion.hystart`` where that is sooner than the first loss.
"""

from __future__ import annotations

from netlab.tcp.congestion.hystart import HyStart
from netlab.tcp.congestion.reno import UNLIMITED, initial_window

C = 0.4
BETA = 0.7
# Section 4.3: what makes the estimate as aggressive as Reno with this BETA.
ALPHA = 3 * (1 - BETA) / (1 + BETA)


class Cubic:
    """The default of Linux and others. The names with a W are in segments, as in the RFC."""

    __slots__ = (
        "_before",
        "_epoch",
        "_hystart",
        "_k",
        "_w_est",
        "_w_max",
        "cwnd",
        "mss",
        "name",
        "ssthresh",
    )

    def __init__(self, mss: int) -> None:
        self.name = "cubic"
        self.mss = mss
        self.cwnd = initial_window(mss)
        self.ssthresh = UNLIMITED
        self._epoch: float | None = None
        self._k = 0.0
        self._w_max = 0.0
        self._w_est = 0.0
        self._hystart = HyStart()
        self._before: tuple[float, float | None] = (0.0, None)

    def acknowledged(self, octets: int, now: float, srtt: float) -> None:
        """Grow: slow start, then the larger of the cubic curve and what Reno would have."""
        if self.cwnd < self.ssthresh:
            divisor = self._hystart.divisor if self.ssthresh == UNLIMITED else 1
            step = min(octets // divisor, self.ssthresh - self.cwnd)
            self.cwnd += step
            octets -= step * divisor
            if octets <= 0 or self.cwnd < self.ssthresh:
                return
        window = self.cwnd / self.mss
        if self._epoch is None:
            self._epoch = now
            self._w_est = window
            self._w_max = max(self._w_max, window)
            self._k = ((self._w_max - window) / C) ** (1 / 3)
        self._w_est += (ALPHA if self._w_est < self._w_max else 1.0) * octets / self.cwnd
        # Section 4.2: the target one round trip ahead, within [cwnd, 1.5 cwnd].
        target = C * (now - self._epoch + srtt - self._k) ** 3 + self._w_max
        target = min(max(target, window), 1.5 * window)
        grown = window + (target - window) * octets / self.cwnd
        self.cwnd = int(max(grown, self._w_est) * self.mss)

    def sample(self, rtt: float, una: int, nxt: int) -> None:
        """Does a queue grow in the first slow start? Later ones have a bound (RFC 9406)."""
        if self.ssthresh == UNLIMITED:
            self._hystart.sample(rtt, una, nxt)
            if self._hystart.done:
                self.ssthresh = self.cwnd

    def lost(self, in_flight: int, now: float) -> None:  # noqa: ARG002
        """Multiplicative decrease with fast convergence (sections 4.6 and 4.7)."""
        window = self.cwnd / self.mss
        self._before = self._w_max, self._epoch
        self._w_max = window * (1 + BETA) / 2 if window < self._w_max else window
        self._epoch = None
        self.ssthresh = max(int(in_flight * BETA), 2 * self.mss)
        self.cwnd = self.ssthresh

    def timed_out(self, in_flight: int, now: float) -> None:
        """As a loss, but from one segment on (section 4.8)."""
        self.lost(in_flight, now)
        self.cwnd = self.mss

    def undo(self, cwnd: int, ssthresh: int) -> None:
        """As if nothing had happened (section 4.9.1)."""
        self.cwnd, self.ssthresh = max(self.cwnd, cwnd), max(self.ssthresh, ssthresh)
        self._w_max, self._epoch = self._before

    def restart(self) -> None:
        """No more than the initial window at once; the curve starts anew."""
        self.cwnd = min(self.cwnd, initial_window(self.mss))
        self._epoch = None
