"""``exec`` and ``shell``: this process becomes a command of a node."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, LabError
from netlab.lab import lab as labs
from netlab.plan.operations import own_variables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def exec_(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab exec``."""
    parser.usage = "netlab exec [-h] [LAB/]NODE -- CMD..."
    parser.epilog = (
        "The exit code is the command's; terminal, signals and standard input pass through.\n\n"
        "examples:\n"
        "  netlab exec client -- ping -c1 server\n"
        "  netlab exec nat/nat -- nft list ruleset"
    )
    parser.add_argument("node", metavar="[LAB/]NODE", help="LAB may be left out if only one runs")
    parser.add_argument("command", metavar="CMD", nargs=argparse.REMAINDER, help="what to run")
    parser.set_defaults(run=_exec, parser=parser)


def _exec(arguments: argparse.Namespace) -> int:
    command = arguments.command
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        arguments.parser.error("no command: netlab exec client -- ping -c1 server")
    _become(arguments.node, command)


def shell(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab shell``."""
    parser.usage = "netlab shell [-h] [LAB/]NODE\n       netlab shell [-h] --all [LAB]"
    parser.epilog = (
        "--all needs tmux: a window for each node, which goes when its shell ends.\n\n"
        "examples:\n  netlab shell client\n  netlab shell --all nat"
    )
    parser.add_argument(
        "node", metavar="[LAB/]NODE", nargs="?", help="LAB may be left out if only one runs"
    )
    parser.add_argument("--all", action="store_true", help="a shell in every node, by tmux")
    parser.set_defaults(run=_shell, parser=parser)


def tmux(lab: str, nodes: Sequence[str], netlab: Sequence[str]) -> list[str]:
    """The command that opens a window with a shell for each node.

    It has a tmux server of its own (``-L``), which ends with its last window and leaves the user's
    sessions alone. ``netlab`` are the words of our own command.
    """
    import shlex

    words = ["tmux", "-L", f"netlab-{lab}"]
    for number, node in enumerate(nodes):
        start = ["new-window"] if number else ["new-session", "-s", f"netlab-{lab}"]
        shell = shlex.join([*netlab, "shell", f"{lab}/{node}"])
        words += [*([";"] if number else []), *start, "-n", node, shell]
    return [*words, ";", "select-window", "-t", ":=" + nodes[0]]


def _shell_all(name: str | None) -> NoReturn:
    lab = labs.find(name)
    nodes = [node.name for node in labs.plan_of(lab).nodes if node.kind != "inline"]
    command = tmux(lab.name, nodes, [sys.executable, "-m", "netlab"])
    try:
        os.execvp(command[0], command)  # noqa: S606 - that is the point
    except FileNotFoundError:
        message = "--all needs tmux"
        raise LabError(Diagnostic("E410", message, hint="apt install tmux")) from None


def _shell(arguments: argparse.Namespace) -> int:
    if arguments.all:
        _shell_all(arguments.node)
    if arguments.node is None:
        arguments.parser.error("no node: netlab shell client, or netlab shell --all")
    _become(arguments.node, [os.environ.get("SHELL") or "/bin/sh"])


def _become(target: str, command: list[str]) -> NoReturn:
    from netlab.lab import enter, rootless

    lab, node = labs.find_node(target)
    rootless.join(lab)
    summary = next(n for n in labs.plan_of(lab).nodes if n.name == node)
    if summary.isolate:
        from netlab.lab import isolation

        command = isolation.command(command, [str(Path(lab.directory).parent)])
    enter.execute(lab, node, command, own_variables(summary.environment))
