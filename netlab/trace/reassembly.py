"""Fragments that came in to a node: which datagrams are whole, and which never will be.

A node keeps fragments until the datagram is whole, and nothing tells of one that waits. So this
plays the receiver (RFC 791 section 3.2, RFC 5722): fragments of one datagram are collected as they
come; when they cover it without a hole it is whole and what follows begins anew; when one overlaps
another, or they disagree about the end, all of them are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlab.trace.track import Track


@dataclass
class Datagram:
    """Fragments that a node has, in the order in which they came."""

    fragments: list[Track] = field(default_factory=list)
    end: int | None = None
    """Octets of the whole, once the last fragment is there."""
    overlaps: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return not self.overlaps and self.end == sum(one.view.length for one in self.fragments)

    def in_order(self) -> list[Track]:
        """The fragments from the start to the end of the datagram."""
        return sorted(self.fragments, key=lambda one: one.view.fragment_offset)

    def add(self, track: Track) -> None:
        """One more fragment; one that it has already is no news (RFC 5722)."""
        start, end = _span(track)
        spans = [_span(one) for one in self.fragments]
        self.fragments.append(track)
        last = None if track.view.more_fragments else end
        self.overlaps |= any(one < end and start < other for one, other in spans)
        self.overlaps |= last is not None and self.end not in (None, last)
        self.end = last if self.end is None else self.end
        self.overlaps |= (
            self.end is not None and max(e for _, e in (*spans, (start, end))) > self.end
        )


def datagrams(tracks: Iterable[Track]) -> Iterator[Datagram]:
    """What the fragments among some tracks make in the nodes where they ended.

    ``tracks`` are those of which no one said that they died; only what came in is looked at.
    """
    current: dict[tuple[object, ...], Datagram] = {}
    found: list[Datagram] = []
    for track in sorted(tracks, key=lambda track: track.time_at_end):
        last = track.last
        if not track.view.is_fragment or last is None or last.direction != "in":
            continue
        view = track.view
        which = (track.node, view.source, view.destination, *view.datagram)
        datagram = current.get(which)
        if datagram is None:
            datagram = current[which] = Datagram()
            found.append(datagram)
        if _span(track) in [_span(one) for one in datagram.fragments]:
            continue  # the receiver had it already
        datagram.add(track)
        if datagram.is_whole or datagram.overlaps:
            del current[which]
    yield from found


def _span(track: Track) -> tuple[int, int]:
    start = track.view.fragment_offset
    return start, start + track.view.length
