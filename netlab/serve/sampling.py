"""PURE: which packets are drawn when there are more than eyes, or a browser, can follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.trace.model import PacketTrace

A_SECOND = 200.0
"""Packets that are drawn each second."""

BURST = 60.0
"""Packets that may come at once after a silence."""


class Sampler:
    """A bucket of packets to draw, which fills by the clock that the caller reads."""

    def __init__(self, now: float, *, rate: float = A_SECOND, burst: float = BURST) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._filled = now
        self.seen = 0
        """Packets so far."""
        self.drawn = 0
        """Those of them that were chosen."""

    def choose(self, traces: Sequence[PacketTrace], now: float) -> list[PacketTrace]:
        """Those to draw, in their order: all while there is room, else an even part of them.

        Of those that died each gets its place before any that did not.
        """
        self._left = min(self._burst, self._left + (now - self._filled) * self._rate)
        self._filled = now
        self.seen += len(traces)
        room = int(self._left)
        if len(traces) > room:
            dead = [i for i, t in enumerate(traces) if not t.arrived and not t.disposition.lives_on]
            rest = [i for i in range(len(traces)) if i not in set(dead)]
            first = _evenly(dead, room)
            chosen = sorted([*first, *_evenly(rest, room - len(first))])
            traces = [traces[i] for i in chosen]
        self._left -= len(traces)
        self.drawn += len(traces)
        return list(traces)


class Shown(NamedTuple):
    """How much of what happened is drawn: what the page says of itself."""

    seen: int
    drawn: int
    let_go: int


def _evenly(places: Sequence[int], most: int) -> list[int]:
    """At most so many of them, as far apart as can be."""
    if len(places) <= most:
        return list(places)
    return [places[n * len(places) // most] for n in range(most)]
