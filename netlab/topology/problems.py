"""The problems of one file, gathered so that a user sees all of them at once.

Codes are stable and documented in ``docs/errors.md``: E1xx the text, E20x and E21x the
form, E22x and E230 names and wires, E24x addresses, E25x routes, E26x NAT and firewall,
E27x middleboxes.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol

from netlab.errors import Diagnostic, InputError, Position

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_LINE = 400
"""Characters of the offending line that are shown; a longer one would fill the terminal."""


MOST = 100
"""Problems shown at most: a hostile file may hold a million."""


class SourceLocation(Protocol):
    """Anything that knows its line and column, both from 1."""

    @property
    def line(self) -> int:
        """From 1."""
        ...

    @property
    def column(self) -> int:
        """From 1, in characters."""
        ...


class Problems:
    """Collects diagnostics of one file; a problem said twice is kept once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: list[str] = []
        self._found: dict[Diagnostic, None] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(
        self, code: str, message: str, place: SourceLocation, hint: str, offset: int = 0
    ) -> None:
        """Note one problem at ``place``, ``offset`` characters to its right."""
        position = Position(self.file, place.line, place.column + offset)
        self._found[Diagnostic(code, message, position, self._line(position), hint)] = None

    def position(self, place: SourceLocation) -> Position:
        """``place`` as others keep it."""
        return Position(self.file, place.line, place.column)

    def _line(self, position: Position) -> str:
        if position.line > len(self.lines) or position.column > LONGEST_LINE:
            return ""
        line = self.lines[position.line - 1][:LONGEST_LINE]
        # The file is not trusted: no terminal escape sequence of its may reach a terminal.
        return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line)

    def raise_if_any(self) -> None:
        """Raise InputError with every problem, in the order of the file.

        Raises:
            InputError: there are problems.
        """
        found = sorted(self._found, key=_order)
        if len(found) > MOST:
            more = found[MOST]
            message = f"{len(found) - MOST} more problems, from here on"
            hint = "these may go away with the ones above"
            found[MOST:] = [Diagnostic("E114", message, more.position, more.source, hint)]
        if found:
            raise InputError(*found)


def _order(diagnostic: Diagnostic) -> tuple[int, int]:
    place = diagnostic.position
    return (place.line, place.column) if place else (0, 0)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word nearest to ``word``, or lists them all."""
    words = sorted(known)
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    if not words:
        return "there are none"
    shown = ", ".join(words[:16])
    return f"known here: {shown}{', …' if len(words) > 16 else ''}"
