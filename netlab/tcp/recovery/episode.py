"""One recovery, from the discovery of a loss until all that was under way then has arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.tcp.recovery.frto import ForwardRto
    from netlab.tcp.recovery.prr import ProportionalRate
    from netlab.tcp.recovery.undo import Undo


class Episode:
    """``point`` is RecoveryPoint (RFC 6675 section 2), SND.NXT when it began.

    ``rate`` meters a fast recovery; a timeout has none: it begins again with slow start. ``undo``
    is ``None`` where nobody is to blame, as when a path's MTU shrank.
    """

    __slots__ = ("frto", "point", "rate", "rescued", "undo")

    def __init__(
        self,
        point: int,
        *,
        rate: ProportionalRate | None = None,
        undo: Undo | None = None,
        frto: ForwardRto | None = None,
    ) -> None:
        self.point = point
        self.rate = rate
        self.undo = undo
        self.frto = frto
        self.rescued = False  # RFC 6675: the one rescue retransmission has gone

    @property
    def timed_out(self) -> bool:
        """True if the retransmission timer began it."""
        return self.rate is None

    @property
    def held_back(self) -> bool:
        """True while F-RTO waits for what new data shows, so that nothing old is to be sent."""
        return self.frto is not None and self.frto.waiting

    def sent(self, start: int, end: int, now: float, *, again: bool) -> None:
        """A transmission during this recovery."""
        if self.rate is not None:
            self.rate.sent(end - start)
        if again and self.undo is not None:
            self.undo.sent_again(start, end, now)
