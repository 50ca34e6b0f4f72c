"""``logs``: what the programs of a lab have printed."""

from __future__ import annotations

import os
import select
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from netlab.cli import console
from netlab.errors import Diagnostic, LabError
from netlab.lab import lab as labs
from netlab.lab import record
from netlab.plan.operations import StartProgram
from netlab.topology.problems import nearest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

AGAIN = 0.1
"""Seconds between two looks at logs that are followed: a file does not say that it grows."""

_PART = 1 << 16


class Log(NamedTuple):
    """What a program of a lab prints: ``name`` is NODE/PROGRAM."""

    name: str
    file: str


def logs(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab logs``."""
    parser.epilog = (
        "Of a lab or a node: the logs of all its programs, each line with the program's name.\n"
        "With -f it ends when the lab goes, or with Ctrl-C.\n\n"
        "examples:\n"
        "  netlab logs server\n"
        "  netlab logs nat/server/http -f"
    )
    parser.add_argument(
        "target", metavar="[LAB/]NODE[/PROGRAM]", nargs="?",
        help="or a lab; may be left out if only one lab is running",
    )  # fmt: skip
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with what is printed from now on"
    )
    parser.set_defaults(run=_logs)


def _logs(arguments: argparse.Namespace) -> int:
    lab, chosen = _find(arguments.target)
    printers = [_Printer(log, named=len(chosen) > 1) for log in chosen]
    if not chosen:
        print(f"no program of the topology runs in {arguments.target or lab.name}", file=sys.stderr)
    try:
        while _print(printers) and arguments.follow and record.read(lab.directory) == lab:
            time.sleep(AGAIN)
            if _reader_is_gone():
                break
        _print(printers)
        for printer in printers:
            printer.finish()
    finally:
        for printer in printers:
            printer.close()
    return 0


def _find(target: str | None) -> tuple[record.Lab, list[Log]]:
    """The lab that is meant, and the logs of it."""
    words = target.split("/") if target is not None else []
    if words and (len(words) == 3 or any(lab.name == words[0] for lab in record.labs())):
        lab, words = labs.find(words[0]), words[1:]
    else:
        lab = labs.find()
    if len(words) > 2:
        raise LabError(
            Diagnostic("E442", f"{target} is not [LAB/]NODE[/PROGRAM]", hint="netlab logs NODE")
        )
    if words and words[0] not in lab.record.nodes:
        raise labs.no_such_node(lab.name, words[0], lab.record.nodes)
    programs = list(_programs(lab, words[0] if words else ""))
    if len(words) == 2:
        known = [program for _, program in programs]
        if words[1] not in known:
            hint = nearest(words[1], known) if known else "it has none"
            message = f"{words[0]} has no program {words[1]!r}"
            raise LabError(Diagnostic("E441", message, hint=hint))
        programs = [(words[0], words[1])]
    return lab, [Log(f"{node}/{program}", lab.log(node, program)) for node, program in programs]


def _programs(lab: record.Lab, node: str) -> Iterator[tuple[str, str]]:
    """Node and name of the programs of a lab, or of one node of it."""
    for start in labs.plan_of(lab).operations:
        if isinstance(start, StartProgram) and node in ("", start.node):
            yield start.node, start.program


def _print(printers: Sequence[_Printer]) -> bool:
    """Print all that is new, and say whether to go on."""
    for printer in printers:
        printer.print_new()
    sys.stdout.flush()
    return bool(printers)


def _reader_is_gone() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(state & select.POLLERR for _, state in poll.poll(0))


class _Printer:
    """Prints one log, line by line where the line says whose it is."""

    def __init__(self, log: Log, *, named: bool) -> None:
        self._log = log
        self._prefix = console.style(f"{log.name}: ", "cyan") if named else ""
        self._fd = -1
        self._rest = b""

    def print_new(self) -> None:
        """Print what was written since the last time."""
        if self._fd < 0:
            try:
                self._fd = os.open(self._log.file, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return  # it has not been started yet
        while part := os.read(self._fd, _PART):
            self._rest += part
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                self._line(line)

    def finish(self) -> None:
        """Print what has no end of line."""
        if self._rest:
            self._line(self._rest)
            self._rest = b""

    def _line(self, line: bytes) -> None:
        text = line.decode(errors="replace")
        if sys.stdout.isatty():
            # A terminal would obey what a stranger made a server log.
            text = "".join(c if c.isprintable() or c == "\t" else _visible(c) for c in text)
        print(f"{self._prefix}{text}")

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _visible(character: str) -> str:
    """A control character as a picture of itself, as `less` and `journalctl` show it."""
    return character.encode("unicode_escape").decode() if character != "\r" else ""
