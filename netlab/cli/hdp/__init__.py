"""``hdp``: an unregistered transport protocol, under any IP protocol number."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from netlab.cli import add_command
from netlab.errors import Diagnostic, InputError, LabError

if TYPE_CHECKING:
    from collections.abc import Callable


def hdp(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab hdp`` and its subcommands."""
    from netlab.cli.hdp import endpoints, files, latency, sweep

    parser.epilog = (
        "examples:\n"
        "  netlab hdp server --protocol all\n"
        "  fortune | cowsay | netlab hdp client 192.0.2.10\n"
        "  netlab hdp sweep --lab nat --from client --to server"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, summary: str, describe: Callable[[argparse.ArgumentParser], None]) -> None:
        describe(add_command(commands, name, summary))

    add("server", "receive HDP under one protocol number or under all", endpoints.server)
    add("client", "send HDP under one protocol number or under many", endpoints.client)
    add("sweep", "try every protocol number and say which pass, which not, and why", sweep.sweep)
    add("latency", "compare HDP with UDP through a running lab", latency.latency)
    add("merge", "join the tables of a client and a server", files.merge)
    add("diff", "say what changed between two sweeps", files.diff)
    add("decode", "print the HDP datagrams of a pcap or pcapng file", files.decode)
    add("macos", "show the table that HDP's author published for macOS", files.macos)
    add("dissector", "print the Wireshark dissector", files.dissector)


_SPAN = re.compile(r"(-?\d+)(?:-(\d+))?")


def spans(text: str) -> tuple[int, ...]:
    """The numbers of ``1-5,7``; an ``argparse`` type."""
    found: list[int] = []
    for part in text.split(","):
        match = _SPAN.fullmatch(part.strip())
        if not match or not -1 <= int(match[1]) <= int(match[2] or match[1]) <= 32767:
            raise argparse.ArgumentTypeError(
                f"{part!r} is not a number or range, such as 1-5,7,253"
            )
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return tuple(dict.fromkeys(found))


def within(low: float, high: float, kind: type[int | float] = int) -> Callable[[str], float]:
    """An ``argparse`` type for a number between bounds, both included."""

    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return number


def text_of(path: str) -> str:
    """The text of a file; ``-`` is standard input."""
    return octets_of(path).decode("utf-8", "replace")


def write(path: str, content: str) -> None:
    """Put text into a file; ``LabError`` if that is refused."""
    from pathlib import Path

    try:
        Path(path).write_text(content, "utf-8")
    except OSError as error:
        raise LabError(Diagnostic("E605", f"{path}: {error.strerror}")) from None


def octets_of(path: str) -> bytes:
    """The content of a file; ``-`` is standard input; ``InputError`` if it cannot be read."""
    import sys
    from pathlib import Path

    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise InputError(Diagnostic("E605", f"{path}: {error.strerror}")) from None
