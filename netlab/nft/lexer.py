"""nft's text as statements: the position of each, and its chain.

As much of the scanner of nft(8) as finds where a statement begins and ends. It ends with its line
or with a semicolon, but not inside braces or quotes, nor where a backslash continues the line;
``#`` begins a comment. A line that opens a table, a chain or another block is not a statement.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r'"[^"\n]*"|#[^\n]*|\\\n|[{};\n]|[^"#\\{};\n]+|.')
_TABLE = re.compile(r"(?:(?:add|create)\s+)?table\s+(?:(\w+)\s+)?(\S+)$")
_CHAIN = re.compile(r"(?:(?:add|create)\s+)?chain\s+(?:(?:\w+\s+)?\S+\s+)?(\S+)$")
_OBJECT = re.compile(
    r"(?:(?:add|create)\s+)?(?:set|map|flowtable|counter|quota|limit|secmark|synproxy"
    r"|ct\s+\w+)\s+(?:\S+\s+){0,2}\S+$"
)

_SETTINGS = ("type", "policy", "comment", "devices", "device", "flags")
_DEFINITIONS = ("define", "redefine", "undefine", "include")


class Statement(NamedTuple):
    """A statement at ``text[start:end]`` of a ruleset; ``line`` counts from 1.

    ``family`` and ``table`` are empty outside of a table's braces, ``chain`` outside of a chain's.
    """

    text: str
    line: int
    start: int
    end: int
    family: str = ""
    table: str = ""
    chain: str = ""

    @property
    def is_rule(self) -> bool:
        """Whether it is a rule; else a chain's setting, a definition or a command."""
        words = self.text.split(None, 2)
        if self.chain:
            return words[0] not in _SETTINGS + _DEFINITIONS
        return not self.table and words[:2] in (["add", "rule"], ["insert", "rule"])


class Unreadable(ValueError):
    """Braces or quotes of the text do not match."""


def statements(text: str) -> Iterator[Statement]:
    """Every statement of a ruleset outside of sets, maps and other objects.

    Raises ``Unreadable`` for a text whose braces or quotes do not match.

    Raises:
        Unreadable: the text ends within a block or a string.
    """
    place: list[tuple[str, str, str]] = []
    """What encloses this point: family, table and chain; an object's are all empty."""
    inner = 0
    """Braces that belong to the statement itself."""
    start = end = first = -1
    line = 1
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word == '"':
            raise Unreadable(f"line {line}: a quote is not closed")
        ends = word in ("\n", ";") and not inner
        if word == "{" and not inner:
            opened = _opened(text[max(start, 0) : end], place) if start >= 0 else None
            if opened:
                place.append(opened)
                start = -1
            else:
                inner = 1
        elif word == "{":
            inner += 1
        elif word == "}" and inner:
            inner -= 1
        elif word == "}":
            ends = True
        if ends:
            if start >= 0 and (not place or any(place[-1])):
                yield Statement(text[start:end], first, start, end, *(place[-1] if place else ()))
            start = -1
            if word == "}":
                if not place:
                    raise Unreadable(f"line {line}: a brace too many")
                place.pop()
        elif (
            word[0] not in "#\\" and word.strip() and not (word in "{}" and not inner and start < 0)
        ):
            if start < 0:
                start = token.start() + len(word) - len(word.lstrip())
                first = line
            end = token.start() + len(word.rstrip())
        line += word.count("\n")
    if inner or place:
        raise Unreadable("a brace is not closed")
    if start >= 0:
        yield Statement(text[start:end], first, start, end)


def _opened(head: str, place: list[tuple[str, str, str]]) -> tuple[str, str, str] | None:
    """What ``head`` and a brace open; ``None`` if the brace belongs to a statement."""
    if not place:
        if found := _TABLE.match(head):
            return found[1] or "ip", found[2], ""
        return ("", "", "") if _CHAIN.match(head) or _OBJECT.match(head) else None
    family, table, chain = place[-1]
    if not table or chain:
        return None
    if found := _CHAIN.match(head):
        return family, table, found[1]
    return "", "", ""
