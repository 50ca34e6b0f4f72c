"""nftables rulesets through libnftables, inside the calling thread's namespace."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from netlab.errors import Diagnostic, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

HINT = "install Debian's libnftables1 and the Python package pip-nftables"


_ERROR = re.compile(r"\S+?:(?P<line>\d+):(?P<column>\d+)(?:-\d+)?: Error: (?P<text>.*)")


class Complaint(NamedTuple):
    """What nft says of a ruleset: line and column count from 1, both 0 if it gave no place."""

    line: int
    column: int
    text: str


def load(text: str) -> Sequence[Complaint]:
    """Load a ruleset as one transaction; empty if nft took it, else nothing was loaded."""
    try:
        import nftables

        context = nftables.Nftables()
    except (ImportError, OSError) as error:
        message = f"rules need libnftables: {error}"
        raise Unavailable(Diagnostic("E407", message, hint=HINT)) from None
    # From a buffer nft 1.0 tells no line numbers; from a file it does.
    fd = os.memfd_create("rules")
    try:
        with open(fd, "w", encoding="utf-8", closefd=False) as stream:
            stream.write(text)
        code, _, errors = context.cmd(f'include "/proc/self/fd/{fd}"\n')
    finally:
        os.close(fd)
    return complaints(errors) if code else ()


def tables() -> Sequence[str]:
    """Every table here, as ``inet netlab``; empty where nft cannot be asked."""
    try:
        import nftables
    except ImportError:
        return ()
    try:
        context = nftables.Nftables()
    except OSError:
        return ()
    code, listed, _ = context.cmd("list tables")
    return [] if code else [line.removeprefix("table ") for line in listed.splitlines()]


def complaints(errors: str) -> Sequence[Complaint]:
    """Read nft's messages, ``/dev/stdin:2:5-10: Error: syntax error, unexpected newline``."""
    found = [
        Complaint(int(m["line"]), int(m["column"]), m["text"])
        for m in re.finditer(
            r"^\S*?:(?P<line>\d+):(?P<column>\d+)(?:-\d+)?: Error: (?P<text>.*)$",
            errors,
            re.MULTILINE,
        )
    ]
    return found or [Complaint(0, 0, " ".join(errors.split()) or "refused without a reason")]
