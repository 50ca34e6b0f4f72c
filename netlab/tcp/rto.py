"""The retransmission timeout (RFC 6298)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.tcp.settings import Settings

ALPHA, BETA, K = 1 / 8, 1 / 4, 4
GRANULARITY = 0.001


class RetransmissionTimeout:
    """SRTT, RTTVAR and the RTO that follows from them, all in seconds.

    By Karn's algorithm (section 3) a sample never comes from a segment that was sent twice, unless
    its timestamp tells which; the caller sees to that. A timeout doubles ``value`` until the next
    sample.
    """

    __slots__ = ("_base", "_maximum", "_minimum", "backoff", "srtt", "value", "var")

    def __init__(self, settings: Settings) -> None:
        self._minimum = settings.minimum_rto
        self._maximum = settings.maximum_rto
        self.srtt = 0.0
        self.var = 0.0
        self.backoff = 0
        self._base = self.value = settings.initial_rto

    def sample(self, rtt: float) -> None:
        """One measured round-trip time."""
        if not self.srtt:
            self.srtt = rtt or 1e-9
            self.var = rtt / 2
        else:
            error = rtt - self.srtt
            self.var += BETA * (abs(error) - self.var)
            self.srtt += ALPHA * error
        # Linux too bounds the variance's part, not the sum: with a long and steady round trip the
        # sum alone would leave no margin at all.
        self._base = self.srtt + max(GRANULARITY, K * self.var, self._minimum)
        self.backoff = 0
        self.value = min(self._base, self._maximum)

    def back_off(self) -> None:
        """The timer expired (section 5.5)."""
        self.backoff += 1
        self.value = min(self.value * 2, self._maximum)

    def forward_progress(self) -> None:
        """New data was acknowledged, by an ACK that gives no sample: undo the backoff.

        RFC 6298 would keep it until the next sample. With an ACK lost now and then samples are
        rare, so the timeout would grow although the path works; RFC 9002 section 6.2.1 resets the
        backoff of QUIC's probe timeout likewise.
        """
        self.backoff = 0
        self.value = min(self._base, self._maximum)

    def after_syn_loss(self) -> None:
        """A SYN was lost, so the guess that it was answered late is worth 3 s (section 5.7)."""
        if not self.srtt:
            self._base = self.value = 3.0
            self.backoff = 0
