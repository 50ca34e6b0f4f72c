"""Congestion control behind one small interface: write your own and add it to ``ALGORITHMS``.

All values are octets. Loss recovery decides *what* is lost and asks the algorithm only how much may
be under way: it calls ``acknowledged`` for octets that arrived while the window was what limited
the sender, ``sample`` for each round trip that was measured, ``lost`` once for each round trip with
a loss or a congestion mark, and ``timed_out`` when the retransmission timer expired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from netlab.tcp.congestion.cubic import Cubic
from netlab.tcp.congestion.reno import Reno

if TYPE_CHECKING:
    from collections.abc import Callable


class Congestion(Protocol):
    """``cwnd`` is the congestion window, ``ssthresh`` where slow start ends."""

    name: str
    mss: int
    cwnd: int
    ssthresh: int

    def acknowledged(self, octets: int, now: float, srtt: float) -> None:
        """New data was acknowledged; ``srtt`` in seconds, 0 if unknown."""

    def sample(self, rtt: float, una: int, nxt: int) -> None:
        """A round-trip time in seconds, for those that watch the queue."""

    def lost(self, in_flight: int, now: float) -> None:
        """Loss, or ECN's word of congestion; ``in_flight`` as it was before."""

    def timed_out(self, in_flight: int, now: float) -> None:
        """The retransmission timer expired."""

    def undo(self, cwnd: int, ssthresh: int) -> None:
        """Nothing was lost: the window is at least what it was before."""

    def restart(self) -> None:
        """The connection was idle for longer than the RTO (RFC 5681 section 4.1)."""


ALGORITHMS: dict[str, Callable[[int], Congestion]] = {"cubic": Cubic, "reno": Reno}
