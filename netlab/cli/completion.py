"""``completion``: scripts for bash, zsh and tcsh, written by shtab from the parsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def completion(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab completion``."""
    parser.epilog = (
        "example:\n  netlab completion bash > ~/.local/share/bash-completion/completions/netlab"
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="your shell")
    parser.set_defaults(run=_completion)


def _completion(arguments: argparse.Namespace) -> int:
    import shtab

    from netlab.cli import full_parser

    print(shtab.complete(full_parser(), shell=arguments.shell))
    return 0
