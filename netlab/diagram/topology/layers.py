"""The column of each node of a drawing.

The reader expects a path to run from left to right with the inside on the left, a star to spread
to both sides of its hub, and sites to be in one column before the core. No single rule gives
all of these, so a few simple drawings are tried, one for every node taken as the pivot and every
way to send the rest to its left or right, and the one with the least against it is kept.

In every one of them the neighbours of a node are in other columns than its own, so that each
wire runs sideways.
"""

from __future__ import annotations

from collections import Counter
from math import log2
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_PIVOTS = 48
"""Larger graphs try only the nodes with the most neighbours; they are never looked at whole."""

SLIDE = 16 / 9
COLUMN_BY_ROW = 2.6
"""How much wider a column is than a row is high, roughly."""


def assign(
    names: Sequence[str],
    edges: Sequence[tuple[str, str]],
    sides: frozenset[tuple[str, str]] = frozenset(),
    shape: float = SLIDE,
) -> dict[str, int]:
    """Columns of the nodes of one connected graph, from 0 at the left.

    ``sides`` are pairs of neighbours of which the first should be left of the second;
    ``shape`` is the best ratio of width to height.
    """
    near: dict[str, list[str]] = {name: [] for name in names}
    for a, b in edges:
        near[a].append(b)
        near[b].append(a)
    pivots = list(names)
    if len(edges) == len(names) - 1 and all(len(peers) <= 2 for peers in near.values()):
        # A path is drawn as one, from an end.
        pivots = [name for name in names if len(near[name]) < 2]
    elif len(pivots) > MAX_PIVOTS:
        pivots = sorted(names, key=lambda name: -len(near[name]))[:4]
    best = min(
        (columns for pivot in pivots for columns in _spread(pivot, near, sides)),
        key=lambda columns: _objections(columns, names, edges, sides, shape),
    )
    left = min(best.values())
    return {name: best[name] - left for name in names}


def _spread(
    pivot: str, near: Mapping[str, list[str]], sides: frozenset[tuple[str, str]]
) -> Iterator[dict[str, int]]:
    """The drawings around one pivot: its branches to the left or to the right."""
    branches = []
    seen = {pivot}
    for start in near[pivot]:
        if start not in seen:
            branch = _distances(start, pivot, near)
            seen |= branch.keys()
            branches.append(branch)

    def place(leftward: Sequence[bool]) -> dict[str, int]:
        columns = {pivot: 0}
        for branch, left in zip(branches, leftward, strict=True):
            columns.update((name, -d if left else d) for name, d in branch.items())
        return columns

    # Positive if the pairs of the branch ask for the left.
    asked = [
        sum(
            (d := branch.get(a, 0) - branch.get(b, 0)) // abs(d)
            for a, b in sides
            if a in branch or b in branch
        )
        for branch in branches
    ]
    leaves = [len(branch) == 1 for branch in branches]
    half = len(branches) // 2
    yield place([False] * len(branches))
    yield place([votes > 0 for votes in asked])
    yield place(
        [votes > 0 or (votes == 0 and leaf) for votes, leaf in zip(asked, leaves, strict=True)]
    )
    yield place([index < half for index in range(len(branches))])


def _distances(start: str, pivot: str, near: Mapping[str, list[str]]) -> dict[str, int]:
    """Columns of the branch of ``start``, counted from the pivot, breadth first.

    Every node is one further than any neighbour that was met before it.
    """
    branch = {start}
    todo = [start]
    for name in todo:
        fresh = [peer for peer in near[name] if peer != pivot and peer not in branch]
        branch.update(fresh)
        todo += fresh
    columns = {pivot: 0}
    todo = [pivot]
    for name in todo:
        if name != pivot:
            columns[name] = 1 + max(
                columns[peer] for peer in near[name] if columns.get(peer, -1) >= 0
            )
        for peer in near[name]:
            if peer in branch and peer not in columns:
                columns[peer] = -1
                todo.append(peer)
    del columns[pivot]
    return columns


def _objections(
    columns: Mapping[str, int],
    names: Sequence[str],
    edges: Sequence[tuple[str, str]],
    sides: frozenset[tuple[str, str]],
    shape: float,
) -> float:
    """What speaks against a drawing; the weights were found by looking at many."""
    rows = Counter(columns.values())
    left = min(columns.values())
    ratio = len(rows) * COLUMN_BY_ROW / max(rows.values())
    leaves = {
        name for name, count in Counter(end for e in edges for end in e).items() if count == 1
    }
    forks: dict[tuple[str, bool], list[bool]] = {}
    for a, b in edges:
        forks.setdefault((a, columns[a] < columns[b]), []).append(b in leaves)
        forks.setdefault((b, columns[b] < columns[a]), []).append(a in leaves)
    return (
        2.0 * abs(log2(ratio / shape))
        # More than proportional, so that a star spreads to both sides.
        + 2.0 * sum(float((len(peers) - 1) ** 1.3) for peers in forks.values())
        + 1.5 * sum(any(peers) and not all(peers) for peers in forks.values())
        + 3.0 * sum(columns[a] > columns[b] for a, b in sides)
        + 1.0 * sum(abs(columns[a] - columns[b]) - 1 for a, b in edges)
        + 0.5 * (columns[names[0]] > left)
    )
