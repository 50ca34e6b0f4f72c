"""Text on a terminal: columns, a little colour, errors.

Colour only where a person looks: on a terminal and without ``NO_COLOR`` (no-color.org).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.errors import NetlabError

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def coloured(stream: TextIO | None = None) -> bool:
    """Whether ``stream`` (default stdout) is a terminal that shows colours."""
    return not os.environ.get("NO_COLOR") and (stream or sys.stdout).isatty()


def style(text: str, name: str, stream: TextIO | None = None) -> str:
    """``text`` in a style of ``STYLES`` where ``stream`` (default stdout) is a terminal."""
    return f"\x1b[{STYLES[name]}m{text}\x1b[0m" if coloured(stream) else text


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Rows as aligned columns, two spaces apart; the first row is the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line = indent + "  ".join(cells).rstrip()
        lines.append(line if number else style(line, "bold"))
    return "\n".join(lines)


def print_json(value: Any) -> None:
    """``value`` as indented JSON on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def report(error: NetlabError) -> None:
    """Every diagnostic of an error on standard error."""
    with contextlib.suppress(OSError):  # there is no other place to say it
        for diagnostic in error.diagnostics:
            print(_coloured(str(diagnostic)), file=sys.stderr)


def _coloured(text: str) -> str:
    head, newline, rest = text.partition("\n")
    before, error, after = head.partition("error[")
    code, bracket, message = after.partition("]")
    marked = style(error + code + bracket, "red", sys.stderr)
    return before + marked + style(message, "bold", sys.stderr) + newline + rest


def clear_line() -> None:
    """Take a progress off the terminal, before something else is printed on its line."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class Progress:
    """A counter on one line of a terminal; silent elsewhere and for small amounts."""

    def __init__(self, what: str, least: int = 1000) -> None:
        self._what = what
        self._least = least

    def __call__(self, done: int, total: int) -> None:
        """Show ``done`` of the total; the line is erased at the end."""
        if total < self._least or not sys.stderr.isatty():
            return
        line = f"\r{self._what} {done}/{total}" if done < total else "\r\x1b[K"
        print(line, end="", file=sys.stderr, flush=True)
