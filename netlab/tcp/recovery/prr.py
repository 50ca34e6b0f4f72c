"""Proportional rate reduction: in recovery, send for what arrives (RFC 6937, RFC 9937).

Halving the window at once stops the sender for half a round trip and lets it loose in a burst. PRR
keeps the clock of the ACKs: by the end of the recovery as much is under way as the congestion
control wants, and until then, for each octet that arrives, ``ssthresh / flight`` of one goes out.
"""

from __future__ import annotations


class ProportionalRate:
    """``flight`` is RecoverFS, the octets under way when the loss was found."""

    __slots__ = ("_delivered", "_flight", "_out", "ssthresh")

    def __init__(self, flight: int, ssthresh: int) -> None:
        self._flight = max(flight, 1)
        self.ssthresh = ssthresh
        self._delivered = 0  # prr_delivered
        self._out = 0  # prr_out

    def sent(self, octets: int) -> None:
        """So much went out."""
        self._out += octets

    def window(self, delivered: int, pipe: int, mss: int, *, safe: bool) -> int:
        """The congestion window after an ACK that brought ``delivered`` octets.

        ``safe`` if it moved SND.UNA and showed no further loss: then a little more than arrived may
        go, so that a window that shrank too far grows again (PRR-SSRB).
        """
        self._delivered += delivered
        if pipe > self.ssthresh:
            count = -(-self._delivered * self.ssthresh // self._flight) - self._out
        else:
            count = max(self._delivered - self._out, delivered) + (mss if safe else 0)
            count = min(self.ssthresh - pipe, count)
        if not self._out:
            count = max(count, mss)  # the fast retransmit itself
        return pipe + max(count, 0)
