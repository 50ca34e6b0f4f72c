"""``trace`` and ``ladder``: run a command while the lab is watched, then write or draw it.

``trace --follow`` runs no command: it writes what becomes of every packet as it happens.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from netlab.cli import console
from netlab.cli.packets.follow import follow, options
from netlab.cli.packets.target import CaptureFile, sender, unwritable, write
from netlab.cli.packets.until import Until
from netlab.errors import Diagnostic, InputError, LabError

if TYPE_CHECKING:
    from netlab.lab.lab import Lab, LabNode
    from netlab.trace.fold import Folded
    from netlab.trace.model import Traces
    from netlab.trace.watch import Watch

WHERE = (
    "The command runs in NODE; with --host it runs here, outside of the lab: for a script that\n"
    "drives several nodes. All of the lab is watched. The exit code is the command's."
)


MOST_FRAMES = 20_000
"""Frames that are kept to be judged at the end, all together; in a flood they are judged sooner."""

REST = 0.05
"""Seconds between two looks at how much there is."""

MANY = 3
"""Signals after which a command is killed that did not end by those before."""


def trace(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab trace``."""
    parser.usage = (
        "netlab trace [-h] [--json] [--all] [-w FILE] {[LAB/]NODE | --host [LAB]} -- CMD...\n"
        "       netlab trace --follow [--json] [--all] [-w FILE] [--seconds S] [LAB]"
    )
    parser.epilog = (
        f"{WHERE}\nIGMP, MLD, ARP and Neighbour Discovery are shown with --all, and requests that\n"
        "no one answers always. Of many packets equal ones are summed up.\n\n"
        "With --follow no command is run: each packet's fate is printed within 200 ms of its end,\n"
        "until Ctrl-C; with --json each is a line of JSON. What was too much is counted.\n\n"
        "examples:\n"
        "  netlab trace client -- ping -c1 server\n"
        "  netlab trace -w ping.pcapng nat/client -- ping -c1 server\n"
        "  netlab trace --host nat -- ./test-of-the-whole-lab.sh\n"
        "  netlab trace --follow nat"
    )
    options(parser)
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
    """A command that has run, what was seen meanwhile, and its exit code.

    ``folded`` is there if there was so much that it had to be summed up meanwhile.
    """

    lab: Lab
    command: list[str]
    watch: Watch
    code: int
    folded: Folded | None = None


def split(words: list[str]) -> tuple[str | None, list[str]]:
    """The target, if there is one, and the command of ``[TARGET] [--] CMD...``."""
    if words[:1] == ["--"]:
        return None, words[1:]
    where, command = (words[0] if words else None), words[1:]
    return where, command[1:] if command[:1] == ["--"] else command


def _watched(arguments: argparse.Namespace, *, quiet: bool, sums_up: bool = False) -> _Watched:
    """Run the command of ``arguments`` while the lab is watched."""
    where, command = split(arguments.words)
    if not command:
        arguments.parser.error("no command: -- ping -c1 server")
    lab, node = _place(where, command, on_host=arguments.host)
    sys.stdout.flush()
    with Until() as until, lab.observe() as watch:
        out = sys.stderr if quiet else None
        try:
            if node is None:
                process = subprocess.Popen(command, stdout=out)
            else:
                process = node.popen(command, stdout=out)
        except OSError as error:
            message = f"cannot run {command[0]}: {error.strerror}"
            raise LabError(Diagnostic("E410", message)) from None
        flood = _Flood(watch, arguments) if sums_up else None
        code = _wait(process, until, flood)
        watch.settle()
        folded = flood.finish() if flood else None
    return _Watched(lab, command, watch, code, folded)


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


class _Flood:
    """Sums up what is seen, as soon as it is more than can be kept to the end."""

    def __init__(self, watch: Watch, arguments: argparse.Namespace) -> None:
        self._watch = watch
        self._path: str | None = arguments.file
        self._file: CaptureFile | None = None
        self._everything: bool = arguments.all
        self._folded: Folded | None = None

    def look(self) -> None:
        if self._folded is not None or self._watch.activity() > MOST_FRAMES:
            self._step()

    def finish(self) -> Folded | None:
        """What was summed up; ``None`` if all of it is kept."""
        if self._folded is not None or self._watch.activity() > MOST_FRAMES:
            self._step(is_last=True)
        if self._file:
            self._file.close()
        return self._folded

    def _step(self, *, is_last: bool = False) -> None:
        from netlab.diagram.follow_text import of_interest
        from netlab.trace.fold import Folded

        if self._folded is None:
            self._folded = Folded()
            self._file = CaptureFile(self._path) if self._path else None
        settled = self._watch.step(is_last=is_last, all_frames=self._file is not None)
        self._folded.add(of_interest(settled.traces, everything=self._everything))
        if self._file:
            self._file.write(settled)


def _wait(process: subprocess.Popen[bytes], until: Until, flood: _Flood | None) -> int:
    """The exit code; signals end the command, not the observation.

    Ctrl-C reaches the command by the terminal; SIGTERM and SIGHUP are passed on, and any third
    signal kills it.
    """
    passed_on = 0
    while True:
        try:
            code = process.wait(REST)
        except subprocess.TimeoutExpired:
            if flood:
                flood.look()
            for number in until.signals[passed_on:]:
                passed_on += 1
                if passed_on >= MANY:
                    process.kill()
                elif number != signal.SIGINT:
                    process.send_signal(number)
            continue
        return code if code >= 0 else 128 - code


def _shown(ran: _Watched, arguments: argparse.Namespace) -> Traces:
    return ran.watch.traces if arguments.all else ran.watch.traces.of_interest


def _trace(arguments: argparse.Namespace) -> int:
    if arguments.follow:
        return follow(arguments)
    if arguments.seconds is not None:
        arguments.parser.error("--seconds is for --follow: timeout 10 netlab trace -- CMD")
    # With --json the answer alone belongs on standard output.
    ran = _watched(arguments, quiet=arguments.json, sums_up=True)
    if ran.folded:
        _print_folded(ran.folded, ran.watch, as_json=arguments.json)
        return ran.code
    if arguments.file:
        write(arguments.file, ran.watch)
    if arguments.json:
        console.print_json(_shown(ran, arguments).to_json())
    else:
        from netlab.diagram.trace_text import text

        print(text(_shown(ran, arguments)), end="")
    return ran.code


def _print_folded(folded: Folded, watch: Watch, *, as_json: bool) -> None:
    from netlab.diagram.trace_text import folded_text

    gone = watch.let_go
    if as_json:
        more = [{"like": number, "packets": count} for number, count in folded.more.items()]
        console.print_json(
            {
                **folded.kept.to_json(),
                "more": more,
                "let_go": gone._asdict(),
                "complete": not any(gone) and not watch.evidence.gaps,
            }
        )
        return
    print(folded_text(folded, watch.evidence.gaps), end="")
    if any(gone):
        print(f"\n{gone}")


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
