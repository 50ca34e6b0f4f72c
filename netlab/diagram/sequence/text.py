"""A ladder in box characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.diagram.primitives.canvas import to_ascii
from netlab.diagram.primitives.metrics import cells, shorten, wrap
from netlab.diagram.sequence.rows import clock, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlab.diagram.sequence.model import Ladder
    from netlab.diagram.sequence.rows import Leg, Row

TIME = 9
"""Columns of the margin with the times."""
NARROWEST, WIDEST = 12, 34
"""Distances of two lifelines."""


def draw(ladder: Ladder, *, width: int, unicode: bool) -> str:
    """The whole text."""
    drawing = _Drawing(ladder, width)
    lines = [ladder.title, *wrap(ladder.description, width), ""]
    lines += drawing.head()
    for row in rows(ladder):
        lines += drawing.row(row)
    lines.append(drawing.line({}))
    result = "\n".join(line.rstrip() for line in lines) + "\n"
    return result if unicode else to_ascii(result)


class _Drawing:
    """The lifelines, and the lines of text that go across them."""

    def __init__(self, ladder: Ladder, width: int) -> None:
        self.columns = ladder.columns
        count = max(1, len(ladder.columns))
        # Half the frame of the first and of the last name is outside the lifelines.
        margin = max(NARROWEST, (width - TIME - 2) // count) // 2
        frames = [max(cells(c.name), cells(c.subtitle)) + 4 for c in ladder.columns] or [0]
        first, last = (min(frame // 2 + 1, margin) for frame in (frames[0], frames[-1]))
        room = (width - TIME - first - last) // max(1, count - 1)
        self.step = max(NARROWEST, min(WIDEST, room))
        self.xs = [TIME + first + number * self.step for number in range(len(ladder.columns))]
        self.width = max(width, max(self.xs, default=0) + last)
        self.name_width = min(self.step - 5, 2 * margin - 5)

    def line(self, written: dict[int, str], time: str = "") -> str:
        """A line of lifelines with texts over it, by the place where each starts."""
        characters = [" "] * (self.width + 2)
        for x in self.xs:
            characters[x] = "│"
        for start, text in (*written.items(), (0, time)):
            x = start
            for character in text:
                characters[x] = character
                # The second half of a wide character has no cell of its own.
                for covered in range(x + 1, x + cells(character)):
                    characters[covered] = ""
                x += cells(character)
        return "".join(characters)

    def head(self) -> list[str]:
        """The names in frames."""
        frames: list[dict[int, str]] = [{}, {}, {}, {}]
        for x, column in zip(self.xs, self.columns, strict=True):
            name = shorten(column.name, self.name_width)
            subtitle = shorten(column.subtitle, self.name_width)
            inner = max(cells(name), cells(subtitle)) + 2
            left = x - inner // 2 - 1
            middle = x - left - 1
            frames[0][left] = f"╭{'─' * inner}╮"
            frames[1][left] = f"│{_centred(name, inner)}│"
            frames[2][left] = f"│{_centred(subtitle, inner)}│"
            frames[3][left] = f"╰{'─' * middle}┬{'─' * (inner - middle - 1)}╯"
        if not any(column.subtitle for column in self.columns):
            del frames[2]
        return [_placed(frame) for frame in frames]

    def row(self, row: Row) -> list[str]:
        """A blank line, the texts above, the arrows and the texts below."""
        if not row.legs:
            return [self.line({}), *self._note(row)]
        above = [self._beside(leg, wrap(leg.above, self._room(leg))) for leg in row.legs]
        below = [
            self._beside(
                leg, [line for _, text in leg.below for line in wrap(text, self._room(leg))]
            )
            for leg in row.legs
        ]
        high = max(map(len, above))
        deep = max(map(len, below))
        # Short labels are right above their arrows.
        above = [[{}] * (high - len(texts)) + texts for texts in above]
        below = [texts + [{}] * (deep - len(texts)) for texts in below]
        arrows = _merged(self._arrow(leg) for leg in row.legs)
        return [
            self.line({}),
            *(self.line(_merged(texts)) for texts in zip(*above, strict=True)),
            self.line(arrows, clock(row.time_ns)),
            *(self.line(_merged(texts)) for texts in zip(*below, strict=True)),
        ]

    def _room(self, leg: Leg) -> int:
        return self.step * abs(leg.end - leg.start) - 3

    def _beside(self, leg: Leg, lines: Sequence[str]) -> list[dict[int, str]]:
        middle = (self.xs[leg.start] + self.xs[leg.end]) // 2
        return [{middle - (cells(line) - 1) // 2: line} for line in lines]

    def _arrow(self, leg: Leg) -> dict[int, str]:
        """The line itself, from the source's lifeline to just before the target's."""
        x0, x1 = self.xs[leg.start], self.xs[leg.end]
        rightward = x1 > x0
        length = abs(x1 - x0)
        shaft = dict.fromkeys(range(1, length), "─")
        for x in self.xs:
            if min(x0, x1) < x < max(x0, x1):
                shaft[abs(x - x0)] = "┼"
        shaft[0] = "├" if rightward else "┤"
        if leg.cross is None:
            shaft[length - 1] = "▶" if rightward else "◀"
        else:
            end = max(2, int(leg.cross * length))
            shaft = {distance: part for distance, part in shaft.items() if distance < end}
            shaft[end] = "✗"
        return {x0 + (d if rightward else -d): part for d, part in sorted(shaft.items())}

    def _note(self, row: Row) -> list[str]:
        lines = wrap(row.text, min(self.width - TIME - 6, max(24, self.step)))
        inner = max(map(cells, lines), default=0) + 2
        left = max(TIME, min(self.xs[row.at] - inner // 2 - 1, self.width - inner - 2))
        return [
            self.line({left: f"┌{'─' * inner}┐"}),
            *(
                self.line(
                    {left: f"│ {line}{' ' * (inner - 1 - cells(line))}│"},
                    "" if number else clock(row.time_ns),
                )
                for number, line in enumerate(lines)
            ),
            self.line({left: f"└{'─' * inner}┘"}),
        ]


def _placed(written: dict[int, str]) -> str:
    """Texts at their places, and nothing between them."""
    line = ""
    for x in sorted(written):
        line += " " * (x - cells(line)) + written[x]
    return line


def _merged(parts: Iterable[dict[int, str]]) -> dict[int, str]:
    return {x: text for part in parts for x, text in part.items()}


def _centred(text: str, width: int) -> str:
    left = (width - cells(text)) // 2
    return " " * left + text + " " * (width - cells(text) - left)
