"""The position of everything in a drawing, in whole units: pixels or characters.

Columns come from :mod:`.layers`; here each column is put in an order with few crossings, its
rows are set so that wires run straight where they can, and the room between two columns is laid
out so that no text meets another::

    ┌─────┐ interface                                ┌─────┐
    │     │ address                                  │     │
    │  a  ├───────────────╮                interface │  b  │
    │     │    subnet     │                  address │     │
    └─────┘               ╰──────────────────────────┤     │
           └─ left zone ─┘└ bend zone ┘└ right zone ┘└─────┘

Every link end has its own row, as high as its label; rows of one column never overlap, and
only curves cross the bend zone, so labels cannot collide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from netlab.diagram.topology import layers
from netlab.diagram.topology.placement import Box, Label, Layout, Path, Rect, Run, Spacing, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SWEEPS = 12
"""Rounds of ordering and of settling; drawings of a few dozen nodes are still after fewer."""


@dataclass(eq=False, slots=True)
class _Item:
    """A node, or the place where a long wire passes a column. ``y`` is its middle."""

    column: int
    box: Box | None
    realm: tuple[str, ...]
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    offsets: dict[tuple[int, bool], int] = field(default_factory=dict)
    top: int = 0
    bottom: int = 0
    box_top: int = 0
    box_bottom: int = 0
    y: int = 0
    order: int = 0


def arrange(
    boxes: Sequence[Box],
    wires: Sequence[Wire],
    spacing: Spacing,
    sides: frozenset[tuple[str, str]] = frozenset(),
) -> Layout:
    """Lay out a graph. Parts that are not connected are below each other.

    ``sides`` are pairs of neighbours of which the first should be left of the second.
    A wire from a box to itself takes no part and has a path without runs.
    """
    whole = Layout(0, 0, {}, (), {})
    paths: dict[int, Path] = {}
    for names in _components(boxes, wires):
        inner = [i for i, wire in enumerate(wires) if wire.a in names and wire.a != wire.b]
        part = _Part(
            [b for b in boxes if b.name in names], {i: wires[i] for i in inner}, spacing, sides
        )
        part_layout = part.layout()
        dy = whole.height
        whole = Layout(
            width=max(whole.width, part_layout.width),
            height=dy + part_layout.height,
            boxes=whole.boxes | {n: _down(r, dy) for n, r in part_layout.boxes.items()},
            paths=(),
            realms=whole.realms | {n: _down(r, dy) for n, r in part_layout.realms.items()},
        )
        for index, path in zip(inner, part_layout.paths, strict=True):
            paths[index] = Path(
                tuple(Run(r.x0, r.x1, r.y + dy, r.turn) for r in path.runs),
                path.left_is_a,
                (path.middle[0], path.middle[1] + dy),
            )
    nowhere = Path((), True, (0, 0))
    return Layout(
        whole.width,
        whole.height,
        whole.boxes,
        tuple(paths.get(i, nowhere) for i in range(len(wires))),
        whole.realms,
    )


def _down(rect: Rect, dy: int) -> Rect:
    return Rect(rect.x, rect.y + dy, rect.width, rect.height)


def _components(boxes: Sequence[Box], wires: Sequence[Wire]) -> list[set[str]]:
    group = {box.name: {box.name} for box in boxes}
    for wire in wires:
        if group[wire.a] is not group[wire.b]:
            joined = group[wire.a] | group[wire.b]
            for name in joined:
                group[name] = joined
    return list({id(names): names for names in group.values()}.values())


class _Part:
    """One connected part on its way to a layout."""

    def __init__(
        self,
        boxes: Sequence[Box],
        wires: Mapping[int, Wire],
        spacing: Spacing,
        sides: frozenset[tuple[str, str]],
    ) -> None:
        self.boxes = boxes
        self.wires = wires
        self.spacing = spacing
        self.nats = {nat for box in boxes for nat in box.realm}
        names = [box.name for box in boxes]
        self.column = layers.assign(
            names,
            [(w.a, w.b) for w in wires.values()],
            frozenset(p for p in sides if p[0] in names),
            spacing.shape,
        )
        self.items = {box.name: _Item(self.column[box.name], box, box.realm) for box in boxes}
        self.chains: dict[int, list[_Item]] = {}
        self.columns: list[list[_Item]] = [[] for _ in range(max(self.column.values()) + 1)]
        self._thread()
        self._order()
        self._ports()
        self._settle()

    # -- order ---------------------------------------------------------------------------------

    def _left_end(self, wire: Wire) -> tuple[str, str]:
        left_is_a = self.column[wire.a] < self.column[wire.b]
        return (wire.a, wire.b) if left_is_a else (wire.b, wire.a)

    def _thread(self) -> None:
        """Give every wire an item in each column that it passes, and the columns a first order.

        Depth first, so that in a tree no wires cross and every branch stays together.
        """
        for index, wire in self.wires.items():
            left, right = (self.items[name] for name in self._left_end(wire))
            shared = tuple(a for a, b in zip(left.realm, right.realm, strict=False) if a == b)
            chain = [left]
            chain += [_Item(c, None, shared) for c in range(left.column + 1, right.column)]
            chain.append(right)
            self.chains[index] = chain
            for one, other in pairwise(chain):
                one.right.append(index)
                other.left.append(index)
        seen: set[int] = set()
        todo = [self.items[self.boxes[0].name]]
        while todo:
            item = todo.pop()
            if id(item) in seen:
                continue
            seen.add(id(item))
            self.columns[item.column].append(item)
            near = [self.preceding(i, item) for i in item.left]
            near += [self.following(i, item) for i in item.right]
            todo += reversed(near)

    def following(self, index: int, item: _Item) -> _Item:
        """The item of a wire right of ``item``."""
        chain = self.chains[index]
        return chain[item.column - chain[0].column + 1]

    def preceding(self, index: int, item: _Item) -> _Item:
        """The item of a wire left of ``item``."""
        chain = self.chains[index]
        return chain[item.column - chain[0].column - 1]

    def _order(self) -> None:
        """Barycentre sweeps, kept only where they take crossings away (Sugiyama 1981)."""
        self._number()
        best, crossings = [list(column) for column in self.columns], self._crossings()
        for sweep in range(SWEEPS):
            if not crossings:
                break
            forward = sweep % 2 == 0
            for column in self.columns if forward else reversed(self.columns):
                column.sort(key=lambda item: self._barycentre(item, forward=forward))
                for order, item in enumerate(column):
                    item.order = order
            if (count := self._crossings()) < crossings:
                best, crossings = [list(column) for column in self.columns], count
        self.columns = best
        self._number()

    def _number(self) -> None:
        for column in self.columns:
            for order, item in enumerate(column):
                item.order = order

    def _barycentre(self, item: _Item, *, forward: bool) -> float:
        near = (
            [self.preceding(i, item).order for i in item.left]
            if forward
            else [self.following(i, item).order for i in item.right]
        )
        return sum(near) / len(near) if near else item.order

    def _crossings(self) -> int:
        total = 0
        for column in self.columns:
            ends = [
                order
                for item in column
                for order in sorted(self.following(i, item).order for i in item.right)
            ]
            total += sum(
                later < earlier for n, earlier in enumerate(ends) for later in ends[n + 1 :]
            )
        return total

    # -- rows ----------------------------------------------------------------------------------

    def label(self, index: int, item: _Item, *, rightward: bool) -> Label:
        """Room that the wire's row needs where it leaves ``item``."""
        wire = self.wires[index]
        middle = wire.middle
        if item.box is None:
            return middle
        label = wire.a_label if item.box.name == wire.a else wire.b_label
        if self.spacing.mirrored and not rightward:
            label = Label(label.width, label.below, label.above)
        return Label(label.width, max(label.above, middle.above), max(label.below, middle.below))

    def _ports(self) -> None:
        """Spread the wires of each side of an item over it, in the order of their other ends."""
        space = self.spacing
        for column in self.columns:
            for item in column:
                item.right.sort(key=partial(self._port_order, item, rightward=True))
                item.left.sort(key=partial(self._port_order, item, rightward=False))
                half = item.box.height // 2 if item.box else 0
                item.box_top = half
                item.box_bottom = item.box.height - half if item.box else space.stroke
                item.top, item.bottom = item.box_top, item.box_bottom
                for rightward, wires in ((False, item.left), (True, item.right)):
                    labels = [self.label(i, item, rightward=rightward) for i in wires]
                    ys = [0]
                    for upper, lower in pairwise(labels):
                        ys.append(
                            ys[-1] + space.stroke + upper.below + space.port_gap + lower.above
                        )
                    middle = ys[-1] // 2
                    for i, down, label in zip(wires, ys, labels, strict=False):
                        y = down - middle
                        item.offsets[i, rightward] = y
                        item.top = max(item.top, label.above - y)
                        item.bottom = max(item.bottom, y + space.stroke + label.below)
                        if item.box:
                            item.box_top = max(item.box_top, space.box_pad - y)
                            item.box_bottom = max(item.box_bottom, y + space.stroke + space.box_pad)
                item.top = max(item.top, item.box_top)
                item.bottom = max(item.bottom, item.box_bottom)

    def _port_order(self, item: _Item, index: int, *, rightward: bool) -> tuple[int, int]:
        other = self.following(index, item) if rightward else self.preceding(index, item)
        return other.order, index

    def _gap(self, upper: _Item, lower: _Item) -> int:
        """Room between two items of a column, with that of the realms that begin or end there.

        A NAT counts as inside, for its realm reaches to its middle.
        """
        one, other = self._shade(upper), self._shade(lower)
        shared = sum(a == b for a, b in zip(one, other, strict=False))
        ends, begins = len(one) - shared, len(other) - shared
        space = self.spacing
        return space.row_gap + (ends + begins) * space.realm_pad + begins * space.realm_title

    def _shade(self, item: _Item) -> tuple[str, ...]:
        if item.box and item.box.name in self.nats:
            return (*item.realm, item.box.name)
        return item.realm

    def _settle(self) -> None:
        """Set the rows: first where all neighbours pull, then outward from one column.

        What hangs on that column then runs exactly straight; it is the one that leaves the
        fewest bends.
        """
        for sweep in range(SWEEPS):
            for column in self.columns if sweep % 2 else reversed(self.columns):
                self._pull(column, left=True, right=True)
        best: tuple[int, list[list[int]]] | None = None
        settled = [[item.y for item in column] for column in self.columns]
        for start in range(len(self.columns)):
            for column, ys in zip(self.columns, settled, strict=True):
                for item, y in zip(column, ys, strict=True):
                    item.y = y
            for column in reversed(self.columns[:start]):
                self._pull(column, left=False, right=True)
            for column in self.columns[start + 1 :]:
                self._pull(column, left=True, right=False)
            bends = self._bends()
            if best is None or bends < best[0]:
                best = bends, [[item.y for item in column] for column in self.columns]
        assert best is not None
        for column, ys in zip(self.columns, best[1], strict=True):
            for item, y in zip(column, ys, strict=True):
                item.y = y

    def _bends(self) -> int:
        """How far from straight the wires are; a small bend looks worse than its size."""
        total = 0
        for column in self.columns:
            for item in column:
                for i in item.right:
                    other = self.following(i, item)
                    off = abs(item.y + item.offsets[i, True] - other.y - other.offsets[i, False])
                    total += off + 40 if off else 0
        return total

    def _pull(self, column: Sequence[_Item], *, left: bool, right: bool) -> None:
        """Least squares: every item as near as the others allow to where its wires are straight.

        With the room between neighbours taken off, this is isotonic regression, solved by
        pooling adjacent violators (Ayer et al. 1955).
        """
        room, wanted = [], []
        taken = 0
        for n, item in enumerate(column):
            if n:
                taken += column[n - 1].bottom + self._gap(column[n - 1], item) + item.top
            room.append(taken)
            pulls = []
            if left:
                for i in item.left:
                    other = self.preceding(i, item)
                    pulls.append(other.y + other.offsets[i, True] - item.offsets[i, False])
            if right:
                for i in item.right:
                    other = self.following(i, item)
                    pulls.append(other.y + other.offsets[i, False] - item.offsets[i, True])
            wanted.append((sum(pulls) / len(pulls) if pulls else item.y) - taken)
        pools: list[tuple[float, int]] = []
        for want in wanted:
            total, count = want, 1
            while pools and pools[-1][0] / pools[-1][1] > total / count:
                total, count = total + pools[-1][0], count + pools[-1][1]
                pools.pop()
            pools.append((total, count))
        levels = [round(total / count) for total, count in pools for _ in range(count)]
        for item, level, used in zip(column, levels, room, strict=True):
            item.y = level + used

    # -- places --------------------------------------------------------------------------------

    def layout(self) -> Layout:
        """Turn columns and rows into places."""
        depth = max((len(box.realm) for box in self.boxes), default=0)
        space = self.spacing
        top = min(item.y - item.top for column in self.columns for item in column)
        shift = space.margin + depth * (space.realm_pad + space.realm_title) - top
        bottom = 0
        for column in self.columns:
            for item in column:
                item.y += shift
                bottom = max(bottom, item.y + item.bottom)
        x = space.margin + depth * space.realm_pad
        rects: dict[str, Rect] = {}
        lefts, widths = [], []
        gutters: list[_Gutter] = []
        for number, column in enumerate(self.columns):
            width = max((item.box.width for item in column if item.box), default=0)
            lefts.append(x)
            widths.append(width)
            for item in column:
                if item.box:
                    rects[item.box.name] = Rect(
                        x, item.y - item.box_top, width, item.box_top + item.box_bottom
                    )
            x += width
            if number + 1 < len(self.columns):
                gutters.append(_Gutter(self, column, x))
                x = gutters[-1].end
        paths = tuple(self._path(index, gutters, lefts, widths) for index in self.wires)
        edge = depth * space.realm_pad + space.margin
        return Layout(
            width=x + edge,
            height=bottom + edge,
            boxes={box.name: rects[box.name] for box in self.boxes},
            paths=paths,
            realms=self._realms(rects),
        )

    def _path(
        self,
        index: int,
        gutters: Sequence[_Gutter],
        lefts: Sequence[int],
        widths: Sequence[int],
    ) -> Path:
        chain = self.chains[index]
        first = chain[0].column
        runs: list[Run] = []
        x0 = lefts[first] + widths[first]
        for item, following in pairwise(chain):
            gutter = gutters[item.column]
            y = item.y + item.offsets[index, True]
            # Straight on through a gutter: the run goes on into the next one.
            if y != following.y + following.offsets[index, False]:
                runs.append(Run(x0, gutter.bend_start, y, gutter.turns.get(index, 0)))
                x0 = gutter.bend_end
        last = chain[-1]
        runs.append(Run(x0, lefts[last.column], last.y + last.offsets[index, False]))
        gutter = gutters[first]
        on_left = chain[0] if gutter.middle_left else chain[1]
        y = on_left.y + on_left.offsets[index, gutter.middle_left]
        return Path(
            tuple(runs),
            chain[0] is self.items[self.wires[index].a],
            (gutter.middle_x, y),
        )

    def _realms(self, rects: Mapping[str, Rect]) -> dict[tuple[str, ...], Rect]:
        """The places of the realms, without those that would cover what is not inside.

        A realm ends in the middle of its NAT, which straddles the border.
        """
        space = self.spacing
        deepest = max((len(box.realm) for box in self.boxes), default=0)
        realms: dict[tuple[str, ...], Rect] = {}
        for depth in range(1, deepest + 1):
            for realm in dict.fromkeys(
                b.realm[:depth] for b in self.boxes if len(b.realm) >= depth
            ):
                inside = [i for c in self.columns for i in c if i.realm[:depth] == realm]
                names = [i.box.name for i in inside if i.box]
                below = max(len(i.realm) for i in inside) - depth
                pad = space.realm_pad * (below + 1)
                left = min(rects[name].x for name in names) - pad
                right = max(rects[name].right for name in names) + pad
                nat = rects.get(realm[-1])
                if nat and nat.x >= right - pad:
                    right = nat.x + nat.width // 2
                elif nat and nat.right <= left + pad:
                    left = nat.x + nat.width // 2
                y = min(i.y - i.top for i in inside) - pad - space.realm_title * (below + 1)
                end = max(i.y + i.bottom for i in inside) + pad
                rect = Rect(left, y, right - left, end - y)
                foreign = [
                    place
                    for box in self.boxes
                    if box.realm[:depth] != realm and box.name != realm[-1]
                    for place in [rects[box.name]]
                ]
                beside = [place for other, place in realms.items() if other != realm[: len(other)]]
                if not any(rect.meets(place) for place in foreign + beside):
                    realms[realm] = rect
        return realms


class _Gutter:
    """The room between a column and the next one, and how it is shared out.

    ``turns`` are the x of the vertical piece of every wire that bends here; ``middle_left`` says
    which end's row the middle labels are on: that of the column with more items, so that each
    is beside its own node.
    """

    def __init__(self, part: _Part, column: Sequence[_Item], start: int) -> None:
        space = part.spacing
        ends = [(i, item, part.following(i, item)) for item in column for i in item.right]
        bent = {
            i: (y, end)
            for i, item, following in ends
            for y, end in [
                (item.y + item.offsets[i, True], following.y + following.offsets[i, False])
            ]
            if y != end
        }
        left = max(part.label(i, item, rightward=True).width for i, item, _ in ends)
        right = max(part.label(i, item, rightward=False).width for i, _, item in ends)
        middle = max(part.wires[i].middle.width if item.box else 0 for i, item, _ in ends)
        left, right, middle = (
            size + 2 * space.label_gap if size else space.label_gap
            for size in (left, right, middle)
        )
        self.middle_left = len({id(e[1]) for e in ends}) >= len({id(e[2]) for e in ends})
        tracks, bend = _bends(bent, space)
        if not bent:
            # Of several wires, one end's label would hang down to the next one's.
            share = space.mirrored and len(ends) == 1
            ends_width = max(left, right) if share else left + right
            left, bend, right = 0, max(ends_width, middle, space.gutter), 0
            self.middle_x = start + bend // 2
        elif self.middle_left:
            left = max(left, middle)
            self.middle_x = start + left // 2
        else:
            right = max(right, middle)
            self.middle_x = start + left + bend + right - right // 2
        self.bend_start = start + left
        self.bend_end = self.bend_start + bend
        self.end = self.bend_end + right
        self.turns = {i: self.bend_start + x for i, x in tracks.items()}


def _bends(bent: Mapping[int, tuple[int, int]], space: Spacing) -> tuple[dict[int, int], int]:
    """Offsets of the vertical pieces of ``bent`` wires, and the width of their zone.

    Wires whose vertical pieces would touch get tracks side by side, in the order in which they
    cross each other least: of those that go down the lowest turns first, of those that go up the
    highest.
    """
    if not bent:
        return {}, 0
    if not space.track:
        # The curve of a long way down needs more room to stay legible.
        return {}, min(
            5 * space.bend, 2 * space.bend + max(abs(a - b) for a, b in bent.values()) // 4
        )
    taken: list[tuple[int, int, int]] = []
    tracks = {}
    for i, (y, end) in sorted(
        bent.items(), key=lambda entry: -entry[1][0] if entry[1][0] < entry[1][1] else entry[1][0]
    ):
        low, high = min(y, end), max(y, end)
        tracks[i] = max((t + 1 for t, a, b in taken if a <= high and low <= b), default=0)
        taken.append((tracks[i], low, high))
    return (
        {i: track * space.track for i, track in tracks.items()},
        max(tracks.values()) * space.track + 1,
    )
