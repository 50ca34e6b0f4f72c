"""How much room a text takes, without the font.

An SVG file that brings no font is drawn with whichever the reader has, so the widths here are
those of the widest of the usual ones (DejaVu Sans, close to Verdana): what fits by this measure
fits everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import combining, east_asian_width

if TYPE_CHECKING:
    from collections.abc import Callable

MONOSPACE = 0.61
"""Advance of one monospaced character, in em; Consolas 0.55, Menlo and DejaVu Sans Mono 0.602."""

_SANS = {
    character: width
    for width, characters in (
        (0.29, "ijlI'|"),
        (0.34, " .,:;/\\![]fJ"),
        (0.41, 'rt-()`"'),
        (0.53, "csz_?*"),
        (0.60, "kvxyFLT^"),
        (0.64, "abdeghnopqu0123456789EPSY$#"),
        (0.70, "ABCKRVXZ"),
        (0.79, "DGHNOQUw&"),
        (0.90, "M+<>=~%"),
        (1.00, "mW@"),
    )
    for character in characters
}
_UNKNOWN = 0.84


def cells(text: str) -> int:
    """Columns of a terminal that ``text`` takes."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def mono(text: str, size: float) -> float:
    """Width of monospaced ``text`` at font size ``size``, in the unit of ``size``."""
    return cells(text) * MONOSPACE * size


def sans(text: str, size: float, *, bold: bool = False) -> float:
    """Width of proportional ``text`` at font size ``size``, in the unit of ``size``."""
    width = sum(
        0.0 if combining(c) else 1.05 if east_asian_width(c) in "WF" else _SANS.get(c, _UNKNOWN)
        for c in text
    )
    return size * (width * 1.09 + 0.03 * len(text) if bold else width)


def shorten(text: str, room: float, measure: Callable[[str], float] = cells) -> str:
    """``text``, or as much of it as fits ``room`` by ``measure`` with an ellipsis at its end."""
    if measure(text) <= room:
        return text
    while text and measure(text + "…") > room:
        text = text[:-1]
    return text + "…"


def wrap(paragraph: str, room: float, measure: Callable[[str], float] = cells) -> list[str]:
    """Lines of ``paragraph`` no wider than ``room`` by ``measure``; only long words are broken."""
    lines: list[str] = []
    for word in paragraph.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and measure(longer) <= room:
            lines[-1] = longer
            continue
        lines.append("")
        for character in word:
            if lines[-1] and measure(lines[-1] + character) > room:
                lines.append("")
            lines[-1] += character
    return lines
