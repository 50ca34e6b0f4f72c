"""Tail loss probes: ask again before the retransmission timer would (RFC 8985 section 7).

If the last segments of a flight are lost, nothing arrives above them, so nothing shows their loss
but the retransmission timer, which is slow and takes the whole congestion window. Two round trips
after the last transmission one segment more is sent, new if there is one, else the last one again.
What the peer answers makes the loss an ordinary one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.tcp.recovery.spans import Span

ACK_DELAY = 0.2  # TLP.max_ack_delay, as Linux has it: a lone segment's ACK may be so late


class TailLossProbe:
    """``at`` is when the probe goes (PTO), ``end`` SND.NXT when it went, if one is out."""

    __slots__ = ("_again", "at", "end")

    def __init__(self) -> None:
        self.at = math.inf
        self.end: int | None = None
        self._again = False

    def schedule(self, now: float, *, flight: int, mss: int, srtt: float, rto: float) -> None:
        """TLP_calc_PTO(): ``rto`` is the time when the retransmission timer expires."""
        if self.end is not None or not srtt:
            self.at = math.inf
            return
        wait = 2 * srtt + (ACK_DELAY if flight <= mss else 0)
        # Never later than the timer: a probe in its place leaves the window as it is.
        self.at = min(now + wait, rto)

    def sent(self, nxt: int, *, again: bool) -> None:
        """The probe went out; ``again`` if it was no new data."""
        self.at = math.inf
        self.end = nxt
        self._again = again

    def acknowledged(self, ack: int, duplicate: Span | None, *, empty: bool) -> bool:
        """TLP_process_ack(): True if the probe has repaired a loss, so that cwnd has to pay for it.

        ``duplicate`` is what a D-SACK reports, ``empty`` says a duplicate ACK without SACK.
        """
        if self.end is None or ack < self.end:
            return False
        if not self._again or (duplicate is not None and duplicate[1] == self.end):
            self.end = None
            return False
        if ack > self.end:
            self.end = None
            return True
        if empty:
            self.end = None
        return False
