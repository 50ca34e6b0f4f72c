"""``exec`` and ``shell``: this process becomes a command of a node."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.lab import lab as labs
from netlab.plan.operations import own_variables

if TYPE_CHECKING:
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
    parser.epilog = "example:\n  netlab shell client"
    parser.add_argument("node", metavar="[LAB/]NODE", help="LAB may be left out if only one runs")
    parser.set_defaults(run=_shell)


def _shell(arguments: argparse.Namespace) -> int:
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
