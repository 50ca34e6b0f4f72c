"""The drawing for a terminal: a picture in box characters, or a list where that is too wide.

A picture is horizontal, its links running to the right, or vertical, its links running down,
which makes it narrower. A vertical one is laid out on its side, with rows for columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.diagram.primitives.canvas import Canvas, Overlap, to_ascii
from netlab.diagram.primitives.metrics import cells, wrap
from netlab.diagram.topology.layers import SLIDE
from netlab.diagram.topology.layout import arrange
from netlab.diagram.topology.placement import Box, Label, Rect, Spacing, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.diagram.topology.placement import Path
    from netlab.diagram.topology.view_model import Card, End, Portrait

SPACING = Spacing(
    stroke=1,
    row_gap=1,
    port_gap=0,
    label_gap=1,
    bend=0,
    track=2,
    mirrored=True,
    gutter=6,
    box_pad=1,
    realm_pad=0,
    realm_title=0,
    margin=0,
    shape=SLIDE,
)
STANDING = Spacing(
    stroke=1,
    row_gap=2,
    port_gap=1,
    label_gap=0,
    bend=0,
    track=1,
    mirrored=False,
    gutter=1,
    box_pad=2,
    realm_pad=0,
    realm_title=0,
    margin=0,
    # A terminal scrolls down, not sideways.
    shape=4 * SLIDE,
)
PICTURE_NODES = 24
"""More nodes than these are better read as a list than scrolled as a picture."""


def draw(portrait: Portrait, *, width: int = 100, unicode: bool = True) -> str:
    """The whole text; no line of a picture is longer than ``width`` columns."""
    subnets = _subnets(portrait)
    below = ["subnets", *(f"  {line}" for line in subnets)] if subnets else []
    drawing = (
        _picture(portrait, width, subnets=True)
        or _picture(portrait, width, subnets=False, below=below)
        or _standing(portrait, width, below)
        or "\n".join([*_list(portrait), "", *below]).rstrip() + "\n"
    )
    head = [portrait.title, *wrap(portrait.description, width)]
    drawing = "\n".join([*head, "", drawing])
    return drawing if unicode else to_ascii(drawing)


def _subnets(portrait: Portrait) -> list[str]:
    named = [(" ".join(wire.notes), wire) for wire in portrait.wires if wire.notes]
    width = max((cells(name) for name, _ in named), default=0)
    return [f"{name:{width}}  {wire.a.node} ─ {wire.b.node}" for name, wire in named]


# -- the picture -------------------------------------------------------------------------------


def _picture(
    portrait: Portrait, width: int, *, subnets: bool, below: list[str] | None = None
) -> str | None:
    """A picture, with the subnets on the wires or below it; ``None`` if it does not fit."""
    if not _can_be_drawn(portrait):
        return None
    contents = {card.name: list(_lines(card)) for card in portrait.cards}
    middles = [f" {' '.join(w.notes)} " if subnets and w.notes else "" for w in portrait.wires]
    layout = arrange(
        [
            Box(name, max(cells(line) for line in lines) + 4, len(lines) + 2)
            for name, lines in contents.items()
        ],
        [
            # One more column than the text, so that the wire is seen on both sides of it.
            Wire(w.a.node, w.b.node, _label(w.a), _label(w.b), Label(cells(m) + 2 if m else 0))
            for w, m in zip(portrait.wires, middles, strict=True)
        ],
        SPACING,
        portrait.sides,
    )
    if layout.width > width:
        return None
    canvas = Canvas()
    try:
        for name, place in layout.boxes.items():
            _card(canvas, place, contents[name])
        for wire, path, middle in zip(portrait.wires, layout.paths, middles, strict=True):
            _wire(canvas, wire.a, wire.b, path, middle)
    except Overlap:
        # Wires that cross in a way which no choice of tracks sorts out.
        return None
    return "\n".join([str(canvas), *(below or [])]).rstrip() + "\n"


def _can_be_drawn(portrait: Portrait) -> bool:
    loops = any(wire.a.node == wire.b.node for wire in portrait.wires)
    return not loops and len(portrait.cards) <= PICTURE_NODES


def _standing(portrait: Portrait, width: int, below: list[str]) -> str | None:
    """A picture whose wires run down; ``None`` if it does not fit."""
    if not _can_be_drawn(portrait):
        return None
    contents = {card.name: list(_lines(card)) for card in portrait.cards}
    layout = arrange(
        [
            Box(name, len(lines) + 2, max(cells(line) for line in lines) + 4)
            for name, lines in contents.items()
        ],
        [
            Wire(wire.a.node, wire.b.node, _side_label(wire.a), _side_label(wire.b))
            for wire in portrait.wires
        ],
        STANDING,
        portrait.sides,
    )
    if layout.height > width:
        return None
    canvas = Canvas()
    try:
        for name, place in layout.boxes.items():
            _card(canvas, Rect(place.y, place.x, place.height, place.width), contents[name])
        for wire, path in zip(portrait.wires, layout.paths, strict=True):
            _falling_wire(canvas, wire.a, wire.b, path)
    except Overlap:
        return None
    return "\n".join([str(canvas), *below]).rstrip() + "\n"


def _side_label(end: End) -> Label:
    lines = (end.interface, *end.notes)
    return Label(len(lines), above=0, below=max(cells(line) for line in lines) + 1)


def _falling_wire(canvas: Canvas, a: End, b: End, path: Path) -> None:
    upper, lower = (a, b) if path.left_is_a else (b, a)
    first, last = path.runs[0], path.runs[-1]
    for row, line in enumerate((upper.interface, *upper.notes)):
        canvas.write(first.y + 2, first.x0 + row, line)
    lines = (lower.interface, *lower.notes)
    for row, line in enumerate(lines):
        canvas.write(last.y + 2, last.x1 - len(lines) + row, line)
    top = first.x0 - 1
    for run, following in zip(path.runs, (*path.runs[1:], None), strict=True):
        bottom = run.turn if following else run.x1
        canvas.down(run.y, top, bottom)
        if following:
            canvas.across(min(run.y, following.y), max(run.y, following.y), bottom)
            top = bottom


def _lines(card: Card) -> Iterator[str]:
    yield card.name
    yield card.kind
    yield from card.networks
    yield from card.devices
    for mark in card.marks:
        if mark.kind == "firewall":
            yield "firewall"
            yield from (f"  {line}" for line in mark.lines)
        elif mark.lines[0] == "masquerade":
            yield " ".join(mark.lines)
        else:
            yield from mark.lines
    yield from (f"▸ {program}" for program in card.programs)


def _label(end: End) -> Label:
    lines = (end.interface, *end.notes)
    return Label(max(cells(line) for line in lines), above=len(lines), below=0)


def _card(canvas: Canvas, place: Rect, lines: list[str]) -> None:
    canvas.box(place.x, place.y, place.width, place.height)
    top = place.y + (place.height - len(lines)) // 2
    for row, line in enumerate(lines):
        canvas.write(place.x + 2, top + row, line)


def _wire(canvas: Canvas, a: End, b: End, path: Path, middle: str) -> None:
    left, right = (a, b) if path.left_is_a else (b, a)
    first, last = path.runs[0], path.runs[-1]
    gap = SPACING.label_gap
    lines = (left.interface, *left.notes)
    for row, line in enumerate(lines):
        canvas.write(first.x0 + gap, first.y - len(lines) + row, line)
    lines = (right.interface, *right.notes)
    for row, line in enumerate(lines):
        canvas.write(last.x1 - gap - cells(line), last.y + 1 + row, line)
    start = path.middle[0] - cells(middle) // 2
    # From and to the frames of the boxes, which are just outside the run.
    x = first.x0 - 1
    for run, following in zip(path.runs, (*path.runs[1:], None), strict=True):
        end = run.turn if following else run.x1
        if middle and path.middle[1] == run.y and x < start < end:
            canvas.across(x, start - 1, run.y)
            canvas.write(start, run.y, middle)
            x = start + cells(middle)
        canvas.across(x, end, run.y)
        if following:
            canvas.down(end, min(run.y, following.y), max(run.y, following.y))
            x = end


# -- the list ----------------------------------------------------------------------------------


def _list(portrait: Portrait) -> Iterator[str]:
    """Every node with what hangs on it."""
    peers: dict[str, list[tuple[End, End]]] = {card.name: [] for card in portrait.cards}
    for wire in portrait.wires:
        peers[wire.a.node].append((wire.a, wire.b))
        peers[wire.b.node].append((wire.b, wire.a))
    for number, card in enumerate(portrait.cards):
        if number:
            yield ""
        behind = f", inside {card.realm[-1]}" if card.realm else ""
        yield f"{card.name} ({card.kind}{behind})"
        branches = [*card.networks, *card.devices]
        branches += [
            f"{'firewall: ' if mark.kind == 'firewall' else ''}{' '.join(mark.lines)}"
            for mark in card.marks
        ]
        branches += [f"▸ {program}" for program in card.programs]
        width = max((cells(end.interface) for end, _ in peers[card.name]), default=0)
        notes = max((cells(" ".join(end.notes)) for end, _ in peers[card.name]), default=0)
        branches += [
            f"{end.interface:{width}}  {' '.join(end.notes):{notes}}  → "
            f"{other.node} {other.interface}"
            for end, other in peers[card.name]
        ]
        for row, branch in enumerate(branches):
            yield f"{'╰' if row == len(branches) - 1 else '├'}─ {branch}"
