"""Every command that a hint, a message, a page or a story names exists, and so do its options."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.cli import full_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

TEXTS = [
    *sorted((ROOT / "netlab").rglob("*.py")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "scenarios").rglob("*.yaml")),
    *sorted((ROOT / "topologies").rglob("*.yaml")),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
]

NAMED = re.compile(
    r"(?:`|\$ |^ {2}|sudo |&& |run: )netlab (?P<words>[a-z][a-z-]*(?: [a-z][a-z-]+)*)"
    r"(?P<rest>[^`\n]*)",
    re.MULTILINE,
)
"""A command line, in backticks, after a prompt, or on a line of its own."""


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def named(text: str) -> Iterator[tuple[str, argparse.ArgumentParser | None, list[str]]]:
    """Each command line, its parser if it exists, and the options that it is given."""
    for match in NAMED.finditer(text):
        parser: argparse.ArgumentParser = full_parser_once()
        words = match["words"].split()
        known: argparse.ArgumentParser | None = parser
        for word in words:
            choices = commands(parser)
            if not choices:
                break
            known = choices.get(word)
            if known is None:
                break
            parser = known
        # What follows `--` belongs to another program, and so does what is piped or chained.
        own = re.split(r" -- | \| | && |; |#| > ", match["rest"])[0]
        yield match[0], known, re.findall(r"(?<![\w/.:=-])(--[a-z][a-z-]+)", own)


_parsers: list[argparse.ArgumentParser] = []


def full_parser_once() -> argparse.ArgumentParser:
    if not _parsers:
        _parsers.append(full_parser())
    return _parsers[0]


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_and_options_exist(path: Path) -> None:
    wrong = []
    for line, parser, options in named(path.read_text("utf-8")):
        if parser is None:
            wrong.append(f"no such command: {line}")
            continue
        has = set(parser._option_string_actions)
        wrong += [f"{option} is not an option: {line}" for option in options if option not in has]
    assert not wrong, "\n".join(wrong)


def test_the_pattern_finds_command_lines() -> None:
    text = "`netlab nosuch x` and\n$ netlab up nat --nonsense\nhint: `netlab hdp sweep --json`"
    found = [(parser is not None, options) for _, parser, options in named(text)]
    assert found == [(False, []), (True, ["--nonsense"]), (True, ["--json"])]
