"""A grid of characters on which lines meet properly."""

from __future__ import annotations

from netlab.diagram.primitives.metrics import cells

UP, RIGHT, DOWN, LEFT = 1, 2, 4, 8
_JOINTS = {
    UP: "│", DOWN: "│", LEFT: "─", RIGHT: "─",
    UP | DOWN: "│", LEFT | RIGHT: "─",
    DOWN | RIGHT: "╭", DOWN | LEFT: "╮", UP | RIGHT: "╰", UP | LEFT: "╯",
    UP | DOWN | RIGHT: "├", UP | DOWN | LEFT: "┤",
    LEFT | RIGHT | DOWN: "┬", LEFT | RIGHT | UP: "┴",
    UP | DOWN | LEFT | RIGHT: "┼",
}  # fmt: skip
_ASCII = str.maketrans(
    {
        **dict.fromkeys("╭╮╰╯├┤┬┴┼", "+"),
        **dict.fromkeys("─━", "-"),
        **dict.fromkeys("│┊┆", "|"),
        **dict.fromkeys("→▸▶►", ">"),
        "◀": "<", "◄": "<", "←": "<", "⇄": "=", "…": ".", "·": ".", "✗": "X",
        "↻": "@", "µ": "u",
    }
)  # fmt: skip


def to_ascii(drawing: str) -> str:
    """``drawing`` in ASCII, every character at its old place; an unknown one becomes ``?``."""
    return drawing.translate(_ASCII).encode("ascii", "replace").decode("ascii")


class Overlap(Exception):
    """Two things want the same cell."""


class Canvas:
    """Lines and texts; a text may not cover anything, lines may only cross."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, int], int] = {}
        self._texts: dict[tuple[int, int], str] = {}

    def across(self, x0: int, x1: int, y: int) -> None:
        """A line from the middle of cell ``x0`` to that of ``x1``."""
        for x in range(x0, x1 + 1):
            self._join((x, y), (RIGHT if x < x1 else 0) | (LEFT if x > x0 else 0))

    def down(self, x: int, y0: int, y1: int) -> None:
        """A line from the middle of cell ``y0`` to that of ``y1``."""
        for y in range(y0, y1 + 1):
            self._join((x, y), (DOWN if y < y1 else 0) | (UP if y > y0 else 0))

    def box(self, x: int, y: int, width: int, height: int) -> None:
        """A frame; ``width`` and ``height`` include it."""
        for line in (y, y + height - 1):
            self.across(x, x + width - 1, line)
        for side in (x, x + width - 1):
            self.down(side, y, y + height - 1)

    def write(self, x: int, y: int, text: str) -> None:
        """``text`` from column ``x`` on.

        Raises:
            Overlap: something else is there already.
        """
        for character in text:
            if width := cells(character):
                for column in range(x, x + width):
                    if (column, y) in self._texts or (column, y) in self._lines:
                        raise Overlap(text)
                    self._texts[column, y] = ""
                self._texts[x, y] = character
                x += width
            else:
                self._texts[x - 1, y] += character

    def _join(self, cell: tuple[int, int], arms: int) -> None:
        before = self._lines.get(cell, 0)
        if before & arms or cell in self._texts:
            raise Overlap(f"a line at {cell}")
        self._lines[cell] = before | arms

    def __str__(self) -> str:
        filled = self._lines.keys() | self._texts.keys()
        if not filled:
            return ""
        rows = []
        for y in range(min(y for _, y in filled), max(y for _, y in filled) + 1):
            row = [
                self._texts.get((x, y), _JOINTS.get(self._lines.get((x, y), 0), " "))
                for x in range(max((x for x, line in filled if line == y), default=-1) + 1)
            ]
            rows.append("".join(row).rstrip())
        return "\n".join(rows) + "\n"
