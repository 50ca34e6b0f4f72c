"""The drawing for a slide: cards with icons, wires with names and addresses at their ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from netlab.diagram.paths import words
from netlab.diagram.primitives import metrics
from netlab.diagram.primitives.markup import document, element, escape, text
from netlab.diagram.topology import icons, path_overlay
from netlab.diagram.topology.layers import SLIDE
from netlab.diagram.topology.layout import arrange
from netlab.diagram.topology.placement import Box, Label, Spacing, Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.diagram.paths import Way
    from netlab.diagram.topology.placement import Layout, Path, Rect
    from netlab.diagram.topology.view_model import Card, End, Portrait, Realm
    from netlab.diagram.topology.view_model import Wire as WireView

NAME, KIND, DETAIL = 20, 13, 14
"""Font sizes in a card."""
INTERFACE, ADDRESS, SUBNET = 14, 15, 14
"""Font sizes on wires."""
TITLE, DESCRIPTION, REALM = 30, 17, 15
LINE = 19
"""Height of a line of details or addresses."""
PAD = 14
ROOMY = 4
"""Up to this many nodes in a column, cards are tall, with the icon above the name."""

SPACING = Spacing(
    stroke=0,
    row_gap=26,
    port_gap=10,
    label_gap=9,
    bend=28,
    track=0,
    mirrored=False,
    gutter=120,
    box_pad=16,
    realm_pad=16,
    realm_title=26,
    margin=36,
    shape=SLIDE,
)

_MARK_COLOUR = {
    "nat": "nat",
    "firewall": "danger",
    "boxes": "inline",
    "routing": "router",
    "rewritten": "nat",
    "arrived": "router",
    "died": "danger",
}
_TWO_ARROWS = "M1 4h11m-3 -3l3 3l-3 3M13 11h-11m3 -3l-3 3l3 3"  # one each way
_MARK_ICON = {
    "nat": _TWO_ARROWS,
    "rewritten": _TWO_ARROWS,
    # A box with a way through it.
    "boxes": "M3 3h9v9h-9zM0 7.5h3m9 0h3",
    # A fork.
    "routing": "M1 7.5h4l4 -5h5m-9 5l4 5h5",
    "arrived": "M1 8l4 5l9 -11",
    "died": "M2 2l11 11m0 -11l-11 11",
    # Bricks.
    "firewall": "M1 1h13v13h-13zM1 5.3h13M1 9.7h13M7.5 1v4.3M4.3 5.3v4.4M10.7 5.3v4.4M7.5 9.7v4.3",
}


def draw(portrait: Portrait, ways: Sequence[Way] = (), *, marked: bool = False) -> str:
    """The whole SVG document, with the paths of packets if any are given."""
    shown = ways[: path_overlay.MOST_LANES]
    tall = _tall(portrait)
    cards = [
        _CardDrawing(card, tuple(path_overlay.events(shown, card.name)), tall=tall)
        for card in portrait.cards
    ]
    layout = arrange(
        [Box(c.card.name, c.width, c.height, c.card.realm) for c in cards],
        [
            Wire(
                w.a.node,
                w.b.node,
                _end_label(w.a, path_overlay.room(shown, w.a.node, w.a.interface)),
                _end_label(w.b, path_overlay.room(shown, w.b.node, w.b.interface)),
                _middle_label(w.notes),
            )
            for w in portrait.wires
        ],
        replace(SPACING, stroke=path_overlay.thickness(shown)),
        portrait.sides,
    )
    head, top, width = _head(portrait, layout)
    left = (width - layout.width) // 2
    body = [
        *_realms(layout),
        *(
            _line(path, wire if marked else None)
            for wire, path in zip(portrait.wires, layout.paths, strict=True)
        ),
        *(
            label
            for wire, path in zip(portrait.wires, layout.paths, strict=True)
            if path.runs
            for label in _labels(wire.a, wire.b, wire.notes, path, path_overlay.depth(shown, wire))
        ),
        *path_overlay.draw(shown, portrait.wires, layout.paths),
        *(card.draw(layout.boxes[card.card.name], marked=marked) for card in cards),
    ]
    return document(
        width,
        layout.height + top,
        portrait.title,
        _summary(portrait, ways),
        [*head, element("g", "\n" + "\n".join(body) + "\n", transform=f"translate({left} {top})")],
    )


def _tall(portrait: Portrait) -> bool:
    degrees = [sum(c.name in (w.a.node, w.b.node) for w in portrait.wires) for c in portrait.cards]
    return max(degrees, default=0) <= ROOMY and len(portrait.cards) <= 3 * ROOMY


def _summary(portrait: Portrait, ways: Sequence[Way]) -> str:
    """The drawing in words, for readers who hear it."""
    return " ".join(
        [portrait.description]
        + [f"{c.name} is a {c.kind}{_behind(c.realm)}." for c in portrait.cards]
        + [
            f"{w.a.node} ({' '.join((w.a.interface, *w.a.notes))}) is linked to "
            f"{w.b.node} ({' '.join((w.b.interface, *w.b.notes))})"
            + (f" by {', '.join(w.notes)}." if w.notes else ".")
            for w in portrait.wires
        ]
        + [f"{words(way)}." for way in ways]
    ).strip()


def _behind(realm: Realm) -> str:
    return f" behind {realm[-1]}" if realm else ""


def _head(portrait: Portrait, layout: Layout) -> tuple[list[str], int, int]:
    """Title and description; the height they take, and the width of the whole drawing."""
    margin = SPACING.margin
    title = metrics.shorten(portrait.title, 60)
    width = max(layout.width, 640, ceil(metrics.sans(title, TITLE, bold=True)) + 2 * margin)
    lines = metrics.wrap(
        portrait.description,
        width - 2 * margin,
        lambda line: metrics.sans(line, DESCRIPTION),
    )
    top = margin + TITLE
    parts = [text(margin, top - 4, title, size=TITLE, bold=True)]
    for line in lines:
        top += DESCRIPTION + 9
        parts.append(text(margin, top, line, size=DESCRIPTION, colour="muted"))
    return parts, top - margin // 2 + 12, width


# -- wires -------------------------------------------------------------------------------------


def _end_label(end: End, least: int) -> Label:
    return Label(
        ceil(
            max(
                least,
                metrics.mono(end.interface, INTERFACE),
                *(metrics.mono(note, ADDRESS) for note in ("", *end.notes)),
            )
        ),
        above=INTERFACE + LINE * len(end.notes) + 10,
        below=4,
    )


def _middle_label(notes: tuple[str, ...]) -> Label:
    if not notes:
        return Label()
    width = ceil(max(metrics.mono(note, SUBNET) for note in notes)) + 18
    return Label(width, above=0, below=LINE * len(notes) + 15)


def _line(path: Path, marked: WireView | None) -> str:
    if not path.runs:
        return ""
    ends = {}
    if marked:
        left, right = (marked.a, marked.b) if path.left_is_a else (marked.b, marked.a)
        ends = {
            "data_left": f"{left.node}:{left.interface}",
            "data_right": f"{right.node}:{right.interface}",
        }
    way = f"M{path.runs[0].x0} {path.runs[0].y}H{path.runs[0].x1}"
    for run, following in zip(path.runs, path.runs[1:], strict=False):
        middle = (run.x1 + following.x0) // 2
        way += f"C{middle} {run.y} {middle} {following.y} {following.x0} {following.y}"
        way += f"H{following.x1}"
    return element("path", d=way, class_="n s-line", stroke_width=2.5, **ends)


def _labels(a: End, b: End, notes: tuple[str, ...], path: Path, below: int) -> list[str]:
    first, last = path.runs[0], path.runs[-1]
    left, right = (a, b) if path.left_is_a else (b, a)
    gap = SPACING.label_gap
    parts = []
    for end, x, y, anchor in (
        (left, first.x0 + gap, first.y, None),
        (right, last.x1 - gap, last.y, "end"),
    ):
        parts.append(
            text(
                x,
                y - 8 - LINE * len(end.notes),
                end.interface,
                size=INTERFACE,
                colour="muted",
                anchor=anchor,
                mono=True,
            )
        )
        parts += [
            text(x, y - 8 - LINE * row, note, size=ADDRESS, anchor=anchor, mono=True)
            for row, note in enumerate(reversed(end.notes))
        ]
    if notes:
        x, y = path.middle
        parts += _pill(notes, x, y + below)
    return parts


def _pill(notes: tuple[str, ...], x: int, y: int) -> list[str]:
    label = _middle_label(notes)
    top = y + 7
    return [
        element(
            "rect",
            x=x - label.width // 2,
            y=top,
            width=label.width,
            height=label.below - 9,
            rx=11,
            class_="f-paper s-faint",
            stroke_width=1.5,
        )
    ] + [
        text(x, top + LINE * row - 2, note, size=SUBNET, anchor="middle", mono=True)
        for row, note in enumerate(notes, 1)
    ]


def _realms(layout: Layout) -> list[str]:
    parts = []
    for realm, place in layout.realms.items():
        parts += [
            element(
                "rect",
                x=place.x,
                y=place.y,
                width=place.width,
                height=place.height,
                rx=18,
                class_="f-nat-tint s-nat",
                stroke_width=1.5,
                stroke_dasharray="7 5",
            ),
            _realm_title(realm[-1], place, layout.boxes[realm[-1]]),
        ]
    return parts


def _realm_title(nat: str, place: Rect, card: Rect) -> str:
    """The name of a realm, at the end where its NAT is not on the border."""
    reversed_ = card.x < place.x
    start, end = (card.right, place.right) if reversed_ else (place.x, min(card.x, place.right))
    if card.x > place.x and card.right < place.right:
        end = place.right
    return text(
        end - 16 if reversed_ else start + 16,
        place.y + 22,
        metrics.shorten(f"inside {nat}", int((end - start - 32) / (0.7 * REALM))),
        size=REALM,
        colour="nat",
        anchor="end" if reversed_ else None,
    )


# -- cards -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """One line or group of lines of a card below its name."""

    lines: tuple[str, ...]
    style: str
    width: int
    height: int


class _CardDrawing:
    """A card: first measured, then drawn where the layout puts it."""

    def __init__(self, card: Card, events: Sequence[path_overlay.Event], *, tall: bool) -> None:
        self.card = card
        self.tall = tall
        self.rows = [
            *(_plain(network) for network in card.networks),
            *(_plain(device) for device in card.devices),
            *(_mark(mark.lines, mark.kind) for mark in card.marks),
            *(_tag(program) for program in card.programs),
            *(_mark(event.lines, event.kind) for event in events),
        ]
        name = metrics.sans(card.name, NAME, bold=True)
        kind = metrics.sans(card.kind, KIND)
        self.icon = 54 if tall else 38
        head = max(name, kind) + (0 if tall else self.icon + 12)
        if tall:
            head = max(head, 92)
        self.head_height = self.icon + 12 + NAME + KIND + 8 if tall else self.icon + 6
        self.width = ceil(max(head, *(row.width for row in self.rows), 0)) + 2 * PAD
        self.height = 2 * PAD - 4 + self.head_height + sum(row.height for row in self.rows)

    def draw(self, place: Rect, *, marked: bool = False) -> str:
        """The card in ``place``, which may be larger than it asked for."""
        card = self.card
        parts = [
            element("title", escape(self._tooltip())),
            element(
                "rect",
                x=place.x,
                y=place.y,
                width=place.width,
                height=place.height,
                rx=12,
                class_=f"f-card s-{card.kind}",
                stroke_width=2.5,
            ),
        ]
        centre = place.x + place.width / 2
        y = place.y + (place.height - self.height) // 2 + PAD
        if self.tall:
            parts += [
                icons.draw(card.kind, centre, y + self.icon / 2 - 2, self.icon),
                text(
                    centre,
                    y + self.icon + NAME + 2,
                    card.name,
                    size=NAME,
                    anchor="middle",
                    bold=True,
                ),
                text(
                    centre,
                    y + self.icon + NAME + KIND + 7,
                    card.kind,
                    size=KIND,
                    anchor="middle",
                    colour=card.kind,
                ),
            ]
        else:
            x = place.x + PAD + self.icon + 12
            parts += [
                icons.draw(card.kind, place.x + PAD + self.icon / 2, y + self.icon / 2, self.icon),
                text(x, y + NAME - 2, card.name, size=NAME, bold=True),
                text(x, y + NAME + KIND + 3, card.kind, size=KIND, colour=card.kind),
            ]
        y += self.head_height
        for row in self.rows:
            parts += _row(row, centre, y)
            y += row.height
        return element("g", "".join(parts), data_node=card.name if marked else None)

    def _tooltip(self) -> str:
        routes = "".join(f"\n{route}" for route in self.card.routes)
        return f"{self.card.name}: {self.card.kind}{_behind(self.card.realm)}{routes}"


def _plain(line: str) -> _Row:
    return _Row((line,), "plain", ceil(metrics.mono(line, DETAIL)), LINE)


def _tag(line: str) -> _Row:
    return _Row((line,), "tag", ceil(metrics.mono(line, DETAIL)) + 24, LINE + 11)


def _mark(lines: tuple[str, ...], kind: str) -> _Row:
    width = ceil(max(metrics.mono(line, DETAIL) for line in lines))
    return _Row(lines, kind, width + 44, LINE * len(lines) + 14)


def _row(row: _Row, centre: float, y: float) -> list[str]:
    if row.style == "plain":
        return [text(centre, y + DETAIL, row.lines[0], size=DETAIL, anchor="middle", mono=True)]
    x = centre - row.width / 2
    colour = _MARK_COLOUR.get(row.style, "host")
    parts = [
        element(
            "rect",
            x=x,
            y=y + 5,
            width=row.width,
            height=row.height - 7,
            rx=6 if row.style != "tag" else 11,
            class_=f"f-{colour}-tint s-{colour}",
            stroke_width=1.2,
        )
    ]
    if row.style == "tag":
        return [
            *parts,
            text(
                centre,
                y + LINE + 1,
                row.lines[0],
                size=DETAIL,
                anchor="middle",
                mono=True,
                colour=colour,
            ),
        ]
    icon = _MARK_ICON[row.style]
    middle = y + 5 + (row.height - 7) / 2
    parts.append(
        element(
            "path",
            d=icon,
            class_=f"n s-{colour}",
            stroke_width=1.5,
            transform=f"translate({x + 9:g} {middle - 7.5:g})",
        )
    )
    return parts + [
        text(x + 32, y + 4 + LINE * number, line, size=DETAIL, mono=True, colour=colour)
        for number, line in enumerate(row.lines, 1)
    ]
