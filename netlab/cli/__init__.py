"""The command line: one table of commands, each in a module that is imported only when used.

A command is a function that describes its arguments to an ``argparse`` parser and names what
runs: ``parser.set_defaults(run=...)``, where ``run(arguments)`` returns the exit code.

Exit codes: 0 fine, 1 the thing failed, 2 wrong usage or a bad file; ``exec`` and ``shell`` give
the code of the command that they ran.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from netlab.errors import Diagnostic, NetlabError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


class Command(NamedTuple):
    """Where a command lives (``module:function``) and what it does, in a line."""

    where: str
    summary: str


COMMANDS = {
    "up": Command("lab:up", "build the lab of a topology file"),
    "down": Command("lab:down", "remove a lab and everything in it"),
    "status": Command("lab:status", "labs, their nodes, addresses and programs"),
    "exec": Command("enter:exec_", "run a command in a node"),
    "shell": Command("enter:shell", "open a shell in a node"),
    "logs": Command("logs:logs", "print what the programs of a lab have printed"),
    "pingall": Command("packets.pingall:pingall", "let every node ping every other by name"),
    "trace": Command("packets.trace:trace", "run a command and say what became of every packet"),
    "explain": Command(
        "packets.explain:explain", "send packets and say in a sentence where they died"
    ),
    "capture": Command(
        "packets.capture:capture", "watch every interface, or write one pcapng of the lab"
    ),
    "ladder": Command("packets.trace:ladder", "draw a conversation across all nodes"),
    "check": Command("topology:check", "find every problem of a topology file"),
    "plan": Command("topology:plan", "show what `up` would do, and why"),
    "graph": Command("topology:graph", "draw a topology"),
    "schema": Command("topology:schema", "print the JSON Schema of topology files"),
    "verify": Command(
        "verify:verify", "measure NATs and middleboxes and compare them with the file"
    ),
    "preset": Command("verify:preset", "show a known NAT behaviour, or kind of link, as data"),
    "boxes": Command("verify:boxes", "show the catalogue of middleboxes"),
    "set": Command("reconfigure:set_", "change a setting of a running lab"),
    "link": Command("reconfigure:link", "bring a link of a running lab down, up, or change it"),
    "nat": Command("nat:nat", "make a NAT forget or change ports; STUN on two addresses"),
    "hdp": Command(
        "hdp:hdp", "HDP, an unregistered IP protocol: server, client, sweep over all numbers"
    ),
    "stateless": Command(
        "stateless:stateless", "a TCP server that remembers nothing: http, dns, echo"
    ),
    "tcp": Command("tcp:tcp", "a userspace TCP on a TUN device: netcat, servers, states"),
    "list": Command("scenario:list_", "the scenarios that ship"),
    "serve": Command("serve:serve", "show a lab, or a scenario as a lesson, as a page that lives"),
    "run": Command("scenario:run", "play a scenario and judge it; write a report"),
    "meet": Command("meet:meet", "which pairs of NATs two programs find each other through"),
    "demo": Command("scenario:demo", "play a scenario step by step, with explanations"),
    "exercise": Command(
        "scenario.exercise:exercise", "show an exercise: its task, its hints, a copy of its lab"
    ),
    "check-work": Command(
        "scenario.exercise:check_work", "check a student's lab or topology file, with points"
    ),
    "grade": Command("scenario.grade:grade", "check a folder of submissions, each in a sandbox"),
    "doctor": Command("doctor:doctor", "what this machine allows, and how to get the rest"),
    "gc": Command("lab:gc", "find and remove what a crash left behind"),
    "completion": Command("completion:completion", "print a completion script for your shell"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``netlab`` with these arguments (default: the process's own); return the exit code."""
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except NetlabError as error:
        from netlab.cli import console

        console.report(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (`netlab plan … | head`); keep Python from complaining at exit.
        _write_nowhere()
        return 1
    except (OSError, MemoryError, RecursionError) as error:
        from netlab.cli import console

        console.report(_shortage(error))
        return 1


def _shortage(error: BaseException) -> NetlabError:
    """What the machine refused, where nothing nearer to it knew better."""
    what = ""
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename is not None else ""
        what += error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EPIPE, errno.EIO) and error.filename is None:
            _write_nowhere()  # it may be standard output that is full
    else:
        what = "out of memory" if isinstance(error, MemoryError) else "nested too deeply"
    return NetlabError(Diagnostic("E419", f"the machine refuses: {what}"))


def _write_nowhere() -> None:
    """What standard output still holds is lost, without a complaint at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def entry() -> NoReturn:
    """The command ``netlab``: run, flush, exit.

    Taking a Python process apart module by module would cost as much as argparse does.
    """
    _prepare_streams()
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 1
    os._exit(code)


def _prepare_streams() -> None:
    """Standard streams that take all that is written to them."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # It is closed: the next file that is opened would take its number.
            null = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(null, "r" if name == "stdin" else "w", closefd=False))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and name != "stdin":
            # A locale without the character, a file name that is not UTF-8.
            stream.reconfigure(errors="backslashreplace")


def _run(argv: list[str]) -> int:
    if argv == ["--version"]:
        from netlab import __version__
        from netlab.cli.whose import first_in_path

        print(f"netlab {__version__}\n{first_in_path()}")
        return 0
    if argv and argv[0] in COMMANDS:
        # Only the parser that is needed: describing all of them would cost as much as a lab.
        parser = command_parser(argv[0])
        arguments = parser.parse_args(argv[1:])
    else:
        parser = full_parser()
        arguments = parser.parse_args(argv)
    code: int = arguments.run(arguments)
    sys.stdout.flush()
    return code


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    parser = argparse.ArgumentParser(
        prog=f"netlab {name}",
        description=_sentence(COMMANDS[name].summary),
        formatter_class=_Help,
    )
    _describe(name, parser)
    return parser


def full_parser(prog: str = "netlab") -> argparse.ArgumentParser:
    """The parser of everything: for the overall help, unknown commands and completion."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Network labs of Linux namespaces that can say why a packet died.",
        epilog="example:\n  netlab up topologies/nat.yaml\n  netlab exec client -- ping -c1 server",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        _describe(name, add_command(commands, name, command.summary))
    return parser


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    """A command below another one; its summary is also its description."""
    return commands.add_parser(
        name, help=summary, description=_sentence(summary), formatter_class=_Help
    )


def _describe(name: str, parser: argparse.ArgumentParser) -> None:
    module, _, function = COMMANDS[name].where.partition(":")
    getattr(importlib.import_module(f"netlab.cli.{module}"), function)(parser)


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:] + "."


class _Help(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal.

    argparse makes a formatter for each argument that is added, and would import shutil (3 ms)
    only to learn the width.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width() - 2)


def _width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80
