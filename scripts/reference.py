"""Print docs/commands.md: what each command says of itself with ``--help``."""

from __future__ import annotations

import argparse
import os

from netlab.cli import COMMANDS, full_parser

HEAD = """\
# Commands

Written by `make docs` from each command's `--help`; a test compares.

Exit codes: 0 fine, 1 the thing failed, 2 wrong usage or a bad file. `exec` and `shell` give the
exit code of what they ran. Colours appear only on a terminal and without `NO_COLOR`.
"""


def reference() -> str:
    """The whole page."""
    os.environ["COLUMNS"] = "90"  # argparse wraps to the terminal otherwise
    parser = full_parser()
    parts = [HEAD, *_sections("netlab", parser)]
    return "\n".join(parts)


def _sections(name: str, parser: argparse.ArgumentParser) -> list[str]:
    if len(name.split()) > 1:
        parts = [
            f"{'#' * len(name.split())} `{name}`\n",
            f"```\n{parser.format_help().rstrip()}\n```\n",
        ]
    else:
        rows = [f"| `{command}` | {about.summary} |" for command, about in COMMANDS.items()]
        parts = ["\n".join(["| command | does |", "|---|---|", *rows]) + "\n"]
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for word, child in action.choices.items():
                parts += _sections(f"{name} {word}", child)
    return parts


if __name__ == "__main__":
    print(reference(), end="")
