"""``completion``: scripts for bash, zsh, fish and tcsh, written by shtab from the parsers."""

from __future__ import annotations

import argparse
from typing import Any


def completion(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab completion``."""
    parser.epilog = (
        "examples:\n"
        "  netlab completion bash > ~/.local/share/bash-completion/completions/netlab\n"
        "  netlab completion fish > ~/.config/fish/completions/netlab.fish"
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "tcsh"), help="your shell")
    parser.set_defaults(run=_completion)


def _completion(arguments: argparse.Namespace) -> int:
    print(script(arguments.shell))
    return 0


def script(shell: str, prog: str = "netlab") -> str:
    """The completion script of the command ``prog`` for a shell."""
    import shtab

    from netlab.cli import full_parser

    parser = full_parser(prog)
    _complete_files(parser, shtab.FILE)
    text: str = shtab.complete(parser, shell=shell)
    return text


def _complete_files(parser: argparse.ArgumentParser, file: dict[str, Any]) -> None:
    """Let the shell complete the arguments that are files."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for child in action.choices.values():
                _complete_files(child, file)
        elif isinstance(action.metavar, str) and "FILE" in action.metavar:
            action.complete = file  # type: ignore[attr-defined]
