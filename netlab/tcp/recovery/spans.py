"""Ranges of positions, and lists of them that are sorted and do not overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Span = tuple[int, int]


def union(spans: Iterable[Span]) -> list[Span]:
    """The same positions, sorted; what touches is joined."""
    joined: list[Span] = []
    for left, right in sorted(spans):
        if joined and left <= joined[-1][1]:
            if right > joined[-1][1]:
                joined[-1] = (joined[-1][0], right)
        else:
            joined.append((left, right))
    return joined


def without(spans: Iterable[Span], hole: Span) -> list[Span]:
    """``spans`` less the positions of ``hole``."""
    left, right = hole
    rest = []
    for start, end in spans:
        if start < left:
            rest.append((start, min(end, left)))
        if end > right:
            rest.append((max(start, right), end))
    return [(start, end) for start, end in rest if start < end]


def length(spans: Iterable[Span]) -> int:
    """The number of positions."""
    return sum(right - left for left, right in spans)


def duplicate_report(blocks: tuple[Span, ...], una: int) -> Span | None:
    """The D-SACK among the SACK blocks of an ACK of ``una``; ``None`` without one.

    RFC 2883 section 4: it is the first block, and lies below the cumulative ACK or inside the
    second.
    """
    if not blocks:
        return None
    first = blocks[0]
    if first[0] < una:
        return first
    if len(blocks) > 1 and blocks[1][0] <= first[0] and first[1] <= blocks[1][1]:
        return first
    return None
