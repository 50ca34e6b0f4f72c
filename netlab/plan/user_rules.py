"""Rules that the author of a topology wrote in nft's own language, led back to their lines.

Each rule, and each chain whose policy is to drop, says in its comment where in the topology file
it is, after the author's own comment. So a trace, a listing and a prediction can all
point at it, however the rules were changed since. Nothing else of the text is touched, and its
lines stay where they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from netlab.nft.builder import comment
from netlab.nft.lexer import Statement, Unreadable, statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.errors import Position

_COMMENT = re.compile(r'(?:^|(?<=\s))comment\s+(?:"(?P<quoted>[^"]*)"|(?P<word>\w+))$')
_DROPS = re.compile(r"policy\s+drop$")


def located(text: str, origin: Position, *, is_block: bool) -> str:
    """``text`` with comments that give each line's position; unchanged if not understood.

    ``origin`` is where it begins. In a block each line of it is one of the file; text in quotes
    counts as one line.
    """
    try:
        found = list(statements(text))
    except Unreadable:
        return text
    for edit in sorted(_edits(found), reverse=True):
        place = origin._replace(line=origin.line + edit.line - 1) if is_block else origin
        said = comment(edit.label, place).strip()
        text = f'{text[: edit.start]}{edit.joint}comment "{said}"{text[edit.end :]}'
    return text


class _Edit(NamedTuple):
    """A comment in the place of ``text[start:end]``, and what the author says there."""

    start: int
    end: int
    line: int
    joint: str
    label: str


def _edits(found: list[Statement]) -> Iterator[_Edit]:
    said = {(s.family, s.table, s.chain): s for s in found if s.text.startswith("comment")}
    for statement in found:
        if statement.is_rule:
            yield _edit(statement, statement.line, " ")
        elif statement.chain and _DROPS.match(statement.text):
            own = said.get((statement.family, statement.table, statement.chain))
            yield _edit(own or statement, statement.line, "; ")


def _edit(statement: Statement, line: int, joint: str) -> _Edit:
    own = _COMMENT.search(statement.text)
    if own is None:
        return _Edit(statement.end, statement.end, line, joint, "")
    start = statement.start + own.start()
    return _Edit(start, statement.end, line, "", own["quoted"] or own["word"] or "")
