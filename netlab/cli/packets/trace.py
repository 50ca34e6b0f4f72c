"""``trace`` and ``ladder``: run a command while the lab is watched, then tell or draw it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from netlab.cli import console
from netlab.cli.packets.target import sender, unwritable, write
from netlab.errors import Diagnostic, InputError, LabError

if TYPE_CHECKING:
    from netlab.lab.lab import Lab, LabNode
    from netlab.trace.model import Traces
    from netlab.trace.watch import Watch

WHERE = (
    "The command runs in NODE; with --host it runs here, outside of the lab: for a script that\n"
    "drives several nodes. All of the lab is watched. The exit code is the command's."
)


def trace(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab trace``."""
    parser.usage = (
        "netlab trace [-h] [--json] [--all] [-w FILE] {[LAB/]NODE | --host [LAB]} -- CMD..."
    )
    parser.epilog = (
        f"{WHERE}\nIGMP, MLD, ARP and Neighbour Discovery are shown with --all, and requests that\n"
        "no one answers always.\n\n"
        "examples:\n"
        "  netlab trace client -- ping -c1 server\n"
        "  netlab trace -w ping.pcapng nat/client -- ping -c1 server\n"
        "  netlab trace --host nat -- ./test-of-the-whole-lab.sh"
    )
    parser.add_argument("--json", action="store_true", help="print the fates as JSON")
    _all(parser)
    parser.add_argument("-w", dest="file", metavar="FILE", help="also write a pcapng file")
    _command(parser)
    parser.set_defaults(run=_trace, parser=parser)


def ladder(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab ladder``."""
    parser.usage = (
        "netlab ladder [-h] [--format FORMAT] [--all] [-o FILE]"
        " {[LAB/]NODE | --host [LAB]} -- CMD..."
    )
    parser.epilog = (
        f"{WHERE}\n\n"
        "examples:\n"
        "  netlab ladder client -- ping -c1 server\n"
        "  netlab ladder --format svg -o ping.svg nat/client -- ping -c1 server"
    )
    parser.add_argument(
        "--format", choices=("text", "svg", "mermaid"), default="text", help="how to draw"
    )
    _all(parser)
    parser.add_argument("-o", dest="output", metavar="FILE", help="where to (default: here)")
    _command(parser)
    parser.set_defaults(run=_ladder, parser=parser)


def _all(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--all", action="store_true", help="show IGMP, MLD, ARP and Neighbour Discovery, too"
    )


def _command(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host", action="store_true", help="run CMD on this machine, beside the lab, in no node"
    )
    # One list for both: argparse would take the first word of CMD for a target that is left out.
    parser.add_argument(
        "words",
        metavar="[LAB/]NODE -- CMD",
        nargs=argparse.REMAINDER,
        help="where to run what; LAB may be left out if only one runs",
    )


class _Watched(NamedTuple):
    """A command that has run, what was seen meanwhile, and its exit code."""

    lab: Lab
    command: list[str]
    watch: Watch
    code: int


def split(words: list[str]) -> tuple[str | None, list[str]]:
    """The target, if there is one, and the command of ``[TARGET] [--] CMD...``."""
    if words[:1] == ["--"]:
        return None, words[1:]
    where, command = (words[0] if words else None), words[1:]
    return where, command[1:] if command[:1] == ["--"] else command


def _watched(arguments: argparse.Namespace, *, quiet: bool) -> _Watched:
    """Run the command of ``arguments`` while the lab is watched."""
    where, command = split(arguments.words)
    if not command:
        arguments.parser.error("no command: -- ping -c1 server")
    lab, node = _place(where, command, on_host=arguments.host)
    sys.stdout.flush()
    with lab.observe() as watch:
        out = sys.stderr if quiet else None
        try:
            if node is None:
                process = subprocess.Popen(command, stdout=out)
            else:
                process = node.popen(command, stdout=out)
        except OSError as error:
            message = f"cannot run {command[0]}: {error.strerror}"
            raise LabError(Diagnostic("E410", message)) from None
        code = _wait(process)
        watch.settle()
    return _Watched(lab, command, watch, code)


def _place(where: str | None, command: list[str], *, on_host: bool) -> tuple[Lab, LabNode | None]:
    """The lab to watch, and the node that the command is for; without one it is for the host."""
    from netlab.lab.lab import Lab

    if on_host:
        return Lab.attach(where), None
    if where is None:
        words = " ".join(command)
        hint = f"`NODE -- {words}`, or `--host -- {words}` to run it outside of the lab"
        raise InputError(Diagnostic("E512", "no node is named for the command", hint=hint))
    return sender(where)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit code; Ctrl-C ends the command, not the observation."""
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            continue
        return code if code >= 0 else 128 - code


def _shown(ran: _Watched, arguments: argparse.Namespace) -> Traces:
    return ran.watch.traces if arguments.all else ran.watch.traces.of_interest


def _trace(arguments: argparse.Namespace) -> int:
    # With --json the answer alone belongs on standard output.
    ran = _watched(arguments, quiet=arguments.json)
    if arguments.file:
        write(arguments.file, ran.watch)
    if arguments.json:
        console.print_json(_shown(ran, arguments).to_json())
    else:
        from netlab.diagram.trace_text import text

        print(text(_shown(ran, arguments)), end="")
    return ran.code


def _ladder(arguments: argparse.Namespace) -> int:
    from netlab.diagram import trace_text
    from netlab.diagram.sequence import draw as drawing

    ran = _watched(arguments, quiet=True)
    title = f"{ran.lab.name}: {' '.join(ran.command)}"
    steps = trace_text.ladder(_shown(ran, arguments), ran.lab.plan, title)
    if arguments.format == "text":
        width = os.get_terminal_size().columns if sys.stdout.isatty() else 100
        drawn = drawing.text(steps, width=width)
    else:
        drawn = getattr(drawing, arguments.format)(steps)
    if not arguments.output:
        print(drawn, end="")
        return ran.code
    try:
        Path(arguments.output).write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise unwritable(arguments.output, error) from None
    return ran.code
