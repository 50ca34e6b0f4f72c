"""256 protocol numbers at one look: sixteen by sixteen cells, in the terminal and as SVG.

A cell is one number on the wire; its colour and its sign both say the outcome, so that neither
colour vision nor a colour terminal is needed. The hues follow Okabe and Ito, darkened or lightened
until dark text on each has a contrast of at least 7 to 1. Below the cells is the
legend with counts, then each reason with its numbers: what differs is few words, not 256 lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

from netlab.hdp import numbers
from netlab.probe.rows import OUTCOMES, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlab.probe.rows import Row


class Look(NamedTuple):
    """How an outcome is shown: sign, SVG fill, terminal colour (of 256), meaning."""

    sign: str
    fill: str
    terminal: int
    meaning: str


LOOKS: dict[Outcome, Look] = {
    "received": Look("✓", "#7ccdb0", 115, "received"),
    "partly": Look("◐", "#f5c84c", 221, "in part"),
    "refused": Look("↩", "#8fbdf0", 111, "refused by ICMP"),
    "taken": Look("■", "#dda9d3", 182, "kept by the kernel"),
    "lost": Look("✗", "#f58a52", 209, "lost"),
    "unsent": Look("⊘", "#c9c9c9", 251, "not sendable"),
    "unknown": Look("?", "#f2f0e6", 230, "sent, not watched"),
}

REASONS_SHOWN = 12


def cells(rows: Iterable[Row]) -> dict[int, Row]:
    """The row that represents each number on the wire.

    An argument that leaves under its own number comes first; a number that has none such (0 of
    IPv4, which only the argument 256 sends) is shown by whichever argument does send it.
    """
    chosen: dict[int, Row] = {}
    for row in rows:
        number = numbers.on_the_wire(row.argument)
        if row.argument < 0:
            continue
        if number not in chosen or (chosen[number].outcome == "unsent" != row.outcome):
            chosen[number] = row
    return chosen


def counts(shown: dict[int, Row]) -> list[tuple[Outcome, int]]:
    """How many cells have each outcome, those that occur only."""
    found = [row.outcome for row in shown.values()]
    return [(outcome, found.count(outcome)) for outcome in OUTCOMES if outcome in found]


def reasons(shown: dict[int, Row]) -> list[tuple[Outcome, str, list[int]]]:
    """Each reason with its numbers: by outcome, then the reason with most numbers first."""
    found: dict[tuple[Outcome, str], list[int]] = {}
    for number, row in sorted(shown.items()):
        found.setdefault((row.outcome, row.reason), []).append(number)
    order = sorted(found.items(), key=lambda item: (OUTCOMES.index(item[0][0]), -len(item[1])))
    return [(outcome, reason, members) for (outcome, reason), members in order]


def ranges(members: Sequence[int]) -> str:
    """Sorted numbers, runs shortened: ``1 3-5 9``."""
    runs: list[list[int]] = []
    for number in members:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(str(a) if a == b else f"{a} {b}" if b == a + 1 else f"{a}-{b}" for a, b in runs)


def _share(row: Row) -> str:
    """``1/3`` where only some arrived."""
    return f"{row.arrived}/{row.sent}" if row.outcome == "partly" else ""


# --- terminal


def terminal(rows: Iterable[Row], title: str, *, colour: bool) -> str:
    """At most 80 columns wide; without ``colour`` the signs alone carry the meaning.

    Lines of the grid on which nothing was tried are left out.
    """
    shown = cells(rows)
    lines = [title, ""]
    for start in range(0, 256, 16):
        if shown.keys().isdisjoint(range(start, start + 16)):
            continue
        line = (_terminal_cell(n, shown.get(n), colour=colour) for n in range(start, start + 16))
        lines.append(" ".join(line))
    lines.append("")
    for outcome, count in counts(shown):
        sign = _painted(f" {LOOKS[outcome].sign} ", outcome, colour=colour)
        lines.append(f"{sign} {count:3}  {LOOKS[outcome].meaning}")
    lines.append("")
    for outcome, reason, members in reasons(shown):
        lines.append(f" {LOOKS[outcome].sign}  {reason}: {_shortened(ranges(members), 200)}")
    return "\n".join(lines) + "\n"


def _terminal_cell(number: int, row: Row | None, *, colour: bool) -> str:
    if row is None:
        return f"{number:3} "
    return _painted(f"{number:3}{LOOKS[row.outcome].sign}", row.outcome, colour=colour)


def _painted(text: str, outcome: Outcome, *, colour: bool) -> str:
    return f"\x1b[30;48;5;{LOOKS[outcome].terminal}m{text}\x1b[0m" if colour else text


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 2].rpartition(" ")[0] + " …"


# --- SVG

_CELL_W, _CELL_H, _GAP = 84, 50, 4
_LEFT, _TOP = 32, 96
_WIDTH = 2 * _LEFT + 16 * (_CELL_W + _GAP) - _GAP
_INK, _FAINT, _PAPER = "#141414", "#4a4a4a", "#ffffff"


def svg(rows: Iterable[Row], title: str, subtitle: str = "") -> str:
    """A picture 16:9 or a little taller, all text as text, each cell with its reason as tooltip."""
    shown = cells(rows)
    below = _TOP + 16 * (_CELL_H + _GAP) + 34
    body = [
        _text(_LEFT, 44, title, 30, weight=700),
        _text(_LEFT, 74, subtitle, 18, fill=_FAINT),
        *(_svg_cell(number, shown.get(number)) for number in range(256)),
        *_legend(shown, below),
    ]
    listed, height = _reason_lines(shown, below + 48)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-label="{_attribute(title)}" '
        f"font-family=\"'DejaVu Sans', Verdana, sans-serif\">\n"
        f'<rect width="100%" height="100%" fill="{_PAPER}"/>\n'
        + "\n".join(body + listed)
        + "\n</svg>\n"
    )


def _attribute(text: str) -> str:
    return escape(text, {'"': "&quot;"})


def _text(
    x: float, y: float, text: str, size: float, *, weight: int = 400, fill: str = _INK,
    anchor: str = "start",
) -> str:  # fmt: skip
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" fill="{fill}" '
        f'stroke="#00000022"/>'
    )


def _svg_cell(number: int, row: Row | None) -> str:
    x = _LEFT + number % 16 * (_CELL_W + _GAP)
    y = _TOP + number // 16 * (_CELL_H + _GAP)
    fill = LOOKS[row.outcome].fill if row else _PAPER
    parts = [
        _box(x, y, _CELL_W, _CELL_H, fill),
        _text(x + 8, y + 22, str(number), 18, weight=700),
        _text(x + 8, y + 41, numbers.name(number), 13.5),
    ]
    hint = f"{number} {numbers.name(number)}: not tried"
    if row:
        share = _share(row)
        # Longer shares would run into the number.
        mark, size = (share, 15) if 0 < len(share) <= 3 else (LOOKS[row.outcome].sign, 17)
        parts.append(_text(x + _CELL_W - 7, y + 22, mark, size, anchor="end"))
        hint = f"{number} {numbers.name(number)}: {row.reason}"
    return f"<g><title>{escape(hint)}</title>{''.join(parts)}</g>"


def _legend(shown: dict[int, Row], y: int) -> list[str]:
    parts, x = [], float(_LEFT)
    for outcome, count in counts(shown):
        look = LOOKS[outcome]
        label = f"{count} {look.meaning}"
        parts += [
            _box(x, y - 19, 28, 26, look.fill),
            _text(x + 14, y, look.sign, 17, anchor="middle"),
            _text(x + 38, y, label, 18, weight=700),
        ]
        x += 38 + len(label) * 11.8 + 34
    return parts


def _reason_lines(shown: dict[int, Row], y: int) -> tuple[list[str], int]:
    lines = []
    listed = reasons(shown)
    for outcome, reason, members in listed[:REASONS_SHOWN]:
        text = f"{LOOKS[outcome].sign}  {reason}:  {ranges(members)}"
        lines.append(_text(_LEFT, y, _shortened(text, 138), 17))
        y += 27
    if len(listed) > REASONS_SHOWN:
        lines.append(_text(_LEFT, y, f"and {len(listed) - REASONS_SHOWN} more reasons", 17))
        y += 27
    return lines, y + 6
