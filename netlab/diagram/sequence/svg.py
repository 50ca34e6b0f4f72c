"""A ladder for a slide: large labels, one colour for what was rewritten, one for what died."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from netlab.diagram.primitives import metrics
from netlab.diagram.primitives.markup import document, element, text
from netlab.diagram.sequence.rows import clock, rows
from netlab.diagram.topology import icons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.diagram.sequence.model import Column, Ladder
    from netlab.diagram.sequence.rows import Leg, Row, Style

TITLE, DESCRIPTION, NAME, SUBTITLE = 30, 17, 20, 14
LABEL, DETAIL, TIME = 18, 15, 14
LINE = 20
MARGIN = 36
TIMES = 84
"""Width of the margin with the times."""
NARROWEST, WIDEST = 240, 340
"""Distances of two lifelines."""
HEAD = 84
LONG = 900
"""A ladder higher than this repeats its names at the bottom."""

_COLOUR: dict[Style, str] = {"detail": "muted", "nat": "nat", "danger": "danger"}


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of text beside an arrow."""

    content: str
    size: int
    colour: str
    mono: bool

    @property
    def width(self) -> float:
        if self.mono:
            return metrics.mono(self.content, self.size)
        return metrics.sans(self.content, self.size, bold=True)


def draw(ladder: Ladder) -> str:
    """The whole SVG document."""
    drawing = _Drawing(ladder)
    head, y = _title(ladder, drawing.width)
    top = y + HEAD
    body: list[str] = []
    bottom = top + 6
    for row in drawing.rows:
        parts, bottom = drawing.row(row, bottom)
        body += [_of_packet(row.packet, parts)] if row.packet else parts
    bottom += 24
    lifelines = [
        element("path", d=f"M{x} {top}V{bottom}", class_="n s-faint", stroke_width=3)
        for x in drawing.xs
    ]
    names = drawing.names(y)
    if bottom - top > LONG:
        names += drawing.names(bottom)
        bottom += HEAD
    return document(
        drawing.width,
        bottom + MARGIN,
        ladder.title,
        _summary(ladder),
        [*head, *lifelines, *names, *body],
    )


def _of_packet(number: int, parts: list[str]) -> str:
    return element("g", "".join(parts), class_="way", data_packets=number)


def _title(ladder: Ladder, width: int) -> tuple[list[str], int]:
    y = MARGIN + TITLE

    def measure(words: str) -> float:
        return metrics.sans(words, TITLE, bold=True)

    title = metrics.shorten(ladder.title, width - 2 * MARGIN, measure)
    parts = [text(MARGIN, y - 4, title, size=TITLE, bold=True)]
    for line in _wrapped(ladder.description, width - 2 * MARGIN, DESCRIPTION, mono=False):
        y += DESCRIPTION + 9
        parts.append(text(MARGIN, y, line, size=DESCRIPTION, colour="muted"))
    return parts, y + 24


def _summary(ladder: Ladder) -> str:
    """The ladder in words, for readers who hear it."""
    ends = {"delivered": "", "rewritten": ", rewritten", "dropped": ", dropped", "lost": ", lost"}
    return " ".join(
        [ladder.description]
        + [
            f"{a.source} to {a.target}: {a.label}{ends[a.state]}{f' ({a.note})' if a.note else ''}."
            for a in ladder.arrows
        ]
    ).strip()


class _Drawing:
    """Where the lifelines are, and what is drawn between them."""

    def __init__(self, ladder: Ladder) -> None:
        self.columns = ladder.columns
        self.rows = rows(ladder)
        first = _card_width(self.columns[0]) // 2 if self.columns else 0
        last = _card_width(self.columns[-1]) // 2 if self.columns else 0
        self.xs = [MARGIN + TIMES + first] if self.columns else []
        for number, (left, right) in enumerate(zip(self.columns, self.columns[1:], strict=False)):
            wanted = max(
                [
                    metrics.sans(leg.above, LABEL, bold=True) + 40
                    for row in self.rows
                    for leg in row.legs
                    if {leg.start, leg.end} == {number, number + 1}
                ]
                + [
                    metrics.mono(line, DETAIL) + 40
                    for row in self.rows
                    for leg in row.legs
                    if {leg.start, leg.end} == {number, number + 1}
                    for _, line in leg.below
                ],
                default=0,
            )
            cards = (_card_width(left) + _card_width(right)) // 2 + 24
            self.xs.append(self.xs[-1] + max(NARROWEST, cards, min(WIDEST, ceil(wanted))))
        self.width = max(640, (self.xs[-1] if self.xs else 0) + last + MARGIN)

    def names(self, y: int) -> list[str]:
        """The cards at the head of the lifelines."""
        parts = []
        for x, column in zip(self.xs, self.columns, strict=True):
            width = _card_width(column)
            left = x - width // 2
            line = y + (HEAD + NAME) // 2 - 4 - (9 if column.subtitle else 0)
            parts += [
                element(
                    "rect",
                    x=left,
                    y=y,
                    width=width,
                    height=HEAD,
                    rx=12,
                    class_=f"f-card s-{column.kind}",
                    stroke_width=2.5,
                ),
                icons.draw(column.kind, left + 34, y + HEAD / 2, 40),
                text(left + 64, line, column.name, size=NAME, bold=True),
            ]
            if column.subtitle:
                parts.append(
                    text(
                        left + 64,
                        line + 21,
                        column.subtitle,
                        size=SUBTITLE,
                        colour="muted",
                        mono=True,
                    )
                )
        return parts

    def row(self, row: Row, y: int) -> tuple[list[str], int]:
        """A row that begins at ``y``, and where the next one begins."""
        if not row.legs:
            return self._note(row, y)
        above = [self._above(leg) for leg in row.legs]
        below = [self._below(leg) for leg in row.legs]
        # The cross of a loss is in the middle of the way, where the texts are.
        aside = 7 if any(leg.cross == 0.5 for leg in row.legs) else 0
        line = y + 28 + aside + LINE * max(map(len, above))
        parts = [_time(row, line)]
        for leg, over, under in zip(row.legs, above, below, strict=True):
            middle = (self.xs[leg.start] + self.xs[leg.end]) / 2
            for number, label in enumerate(reversed(over)):
                parts += _written(label, middle, line - 13 - aside - LINE * number)
            for number, label in enumerate(under):
                parts += _written(label, middle, line + 24 + aside + LINE * number)
        for leg in row.legs:
            parts += self._arrow(leg, line)
        return parts, line + 14 + aside + LINE * max(map(len, below))

    def _room(self, leg: Leg) -> float:
        return abs(self.xs[leg.end] - self.xs[leg.start]) - 32

    def _above(self, leg: Leg) -> list[_Line]:
        colour = "ink" if leg.cross is None else "danger"
        return [
            _Line(line, LABEL, colour, mono=False)
            for line in _wrapped(leg.above, self._room(leg), LABEL, mono=False)
        ]

    def _below(self, leg: Leg) -> list[_Line]:
        return [
            _Line(line, DETAIL, _COLOUR[style], mono=True)
            for style, content in leg.below
            for line in _wrapped(content, self._room(leg), DETAIL, mono=True)
        ]

    def _arrow(self, leg: Leg, y: int) -> Iterator[str]:
        x0, x1 = self.xs[leg.start], self.xs[leg.end]
        ahead = 1 if x1 > x0 else -1
        dead = leg.cross is not None
        colour = "danger" if dead else "nat" if leg.rewritten else "line"
        tip = x1 - 4 * ahead
        if leg.cross is not None:
            tip = round(x0 + (x1 - x0) * leg.cross)
            if leg.cross == 0:
                tip = x0 + 40 * ahead
        shaft = tip if dead else tip - 8 * ahead
        yield element("path", d=f"M{x0} {y}H{shaft}", class_=f"n s-{colour} a", stroke_width=3)
        yield element("circle", cx=x0, cy=y, r=4.5, class_=f"f-{colour}")
        if dead:
            yield element(
                "path",
                d=f"M{tip - 9} {y - 9}L{tip + 9} {y + 9}M{tip + 9} {y - 9}L{tip - 9} {y + 9}",
                class_="n s-danger a",
                stroke_width=5,
                stroke_linecap="round",
            )
        else:
            yield element("path", d=f"M{tip} {y}l{-14 * ahead} -8v16z", class_=f"f-{colour}")

    def _note(self, row: Row, y: int) -> tuple[list[str], int]:
        lines = _wrapped(row.text, WIDEST, DETAIL, mono=False)
        width = ceil(max((metrics.sans(line, DETAIL) for line in lines), default=0)) + 28
        height = LINE * len(lines) + 14
        left = self.xs[row.at] - width // 2
        left = max(MARGIN + TIMES, min(left, self.width - MARGIN - width))
        top = y + 14
        parts = [
            _time(row, top + 22),
            element(
                "rect",
                x=left,
                y=top,
                width=width,
                height=height,
                rx=8,
                class_="f-host-tint s-host",
                stroke_width=1.5,
            ),
        ]
        parts += [
            text(left + 14, top + 22 + LINE * number, line, size=DETAIL)
            for number, line in enumerate(lines)
        ]
        return parts, top + height + 6


def _card_width(column: Column) -> int:
    words = max(metrics.sans(column.name, NAME, bold=True), metrics.mono(column.subtitle, SUBTITLE))
    return ceil(words) + 82


def _time(row: Row, y: int) -> str:
    return text(
        MARGIN + TIMES - 16,
        y + 5,
        clock(row.time_ns),
        size=TIME,
        colour="muted",
        anchor="end",
        mono=True,
    )


def _written(line: _Line, x: float, y: float) -> Iterator[str]:
    """A line of text on a patch of paper, for it may cross lifelines."""
    yield element(
        "rect",
        x=x - line.width / 2 - 3,
        y=y - 0.8 * line.size,
        width=line.width + 6,
        height=1.08 * line.size,
        class_="f-paper",
    )
    yield text(
        x,
        y,
        line.content,
        size=line.size,
        colour=line.colour,
        anchor="middle",
        mono=line.mono,
        bold=not line.mono,
    )


def _wrapped(paragraph: str, width: float, size: int, *, mono: bool) -> list[str]:
    def measure(line: str) -> float:
        return metrics.mono(line, size) if mono else metrics.sans(line, size, bold=True)

    return metrics.wrap(paragraph, width, measure)
