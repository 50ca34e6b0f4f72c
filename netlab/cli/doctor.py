"""``doctor``: what this machine and this user allow, found out by trying."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from netlab.cli import console

if TYPE_CHECKING:
    import argparse

    from netlab.lab.doctor import Fact

NEEDED = ("namespaces", "settings", "state", "veth", "nftables")
"""Without these no lab can be built, and `doctor` exits with 1."""


def doctor(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab doctor``."""
    parser.epilog = (
        "Exit code 1 if labs cannot be built here at all.\n\n"
        "examples:\n  netlab doctor\n  netlab doctor --json"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=_doctor)


def _command(fact: type[Fact]) -> Fact:
    """Whose command ``netlab`` is."""
    from netlab.cli.whose import first_in_path

    command = first_in_path()
    return fact(
        "command",
        command.is_ours,
        str(command),
        "nothing; but the word `netlab` does not start this program",
        "type `netlab-lab`, or put this one's directory first in PATH",
    )


def _doctor(arguments: argparse.Namespace) -> int:
    from netlab.lab import doctor as facts

    found = [*facts.probe(), _command(facts.Fact)]
    if arguments.json:
        console.print_json([fact._asdict() for fact in found])
    else:
        width = max(len(fact.name) for fact in found)
        for fact in found:
            mark = console.style("yes", "green") if fact.ok else console.style("no ", "red")
            print(f"{fact.name:<{width}}  {mark}  {fact.detail}".rstrip())
            if not fact.ok:
                indent = " " * (width + 7)
                for line in (f"without it: {fact.lost}", f"to get it: {fact.remedy}"):
                    # Options stay whole: a line does not break within --cap-add.
                    print(
                        textwrap.fill(
                            line,
                            96,
                            initial_indent=indent,
                            subsequent_indent=indent,
                            break_on_hyphens=False,
                        )
                    )
    return 0 if all(fact.ok for fact in found if fact.name in NEEDED) else 1
