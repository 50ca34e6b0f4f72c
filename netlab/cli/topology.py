"""``check``, ``plan``, ``graph``, ``schema``: what can be said of a file without building it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab.cli import console
from netlab.errors import InputError
from netlab.topology import shipped

if TYPE_CHECKING:
    import argparse

    from netlab.errors import Diagnostic


def check(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab check``."""
    parser.epilog = "examples:\n  netlab check topologies/nat.yaml\n  netlab check labs/*.yaml"
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="a topology file, or the name of one that ships"
    )
    parser.add_argument("--json", action="store_true", help="print the diagnostics as JSON")
    parser.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    from netlab.topology import load

    diagnostics: list[Diagnostic] = []
    notes: list[str] = []
    for file in arguments.files:
        try:
            topology = load(shipped.find(file))
        except InputError as error:
            diagnostics += error.diagnostics
        else:
            nodes, links = len(topology.nodes), len(topology.links)
            notes += topology.notes
            if not arguments.json:
                print(f"{file}: fine ({nodes} nodes, {links} links)")
                print("".join(f"{note}\n" for note in topology.notes), end="")
    if arguments.json:
        problems = [diagnostic.to_json() for diagnostic in diagnostics]
        console.print_json({"ok": not diagnostics, "diagnostics": problems, "notes": notes})
        return InputError.exit_code if diagnostics else 0
    if diagnostics:
        raise InputError(*diagnostics)
    return 0


def plan(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab plan``."""
    parser.epilog = (
        "examples:\n"
        "  netlab plan topologies/nat.yaml\n"
        "  netlab plan topologies/nat.yaml --format sh > nat.sh && sudo sh nat.sh"
    )
    parser.add_argument(
        "file", metavar="FILE", help="a topology file, or the name of one that ships"
    )
    parser.add_argument(
        "--format",
        choices=("text", "sh", "json"),
        default="text",
        help="for reading, as a script of ip and nft commands, or for programs (default: text)",
    )
    parser.set_defaults(run=_plan)


def _plan(arguments: argparse.Namespace) -> int:
    from netlab.plan.build import build
    from netlab.topology import load

    made = build(load(shipped.find(arguments.file)))
    if arguments.format == "json":
        from netlab.plan.codec import to_json

        console.print_json(to_json(made))
    elif arguments.format == "sh":
        from netlab.lab.programs import HOME
        from netlab.plan.script import script

        print(script(made, ["env", f"PYTHONPATH={HOME}", sys.executable]), end="")
    else:
        from netlab.plan.text import text

        print(text(made), end="")
    return 0


def graph(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab graph``."""
    parser.epilog = (
        "examples:\n"
        "  netlab graph topologies/nat.yaml\n"
        "  netlab graph topologies/nat.yaml --format svg > nat.svg"
    )
    parser.add_argument(
        "file", metavar="FILE", help="a topology file, or the name of one that ships"
    )
    parser.add_argument(
        "--format",
        choices=("text", "dot", "mermaid", "svg"),
        default="text",
        help="how to draw (default: text)",
    )
    parser.set_defaults(run=_graph)


def _graph(arguments: argparse.Namespace) -> int:
    from netlab.diagram import graph as drawings
    from netlab.topology import load

    print(getattr(drawings, arguments.format)(load(shipped.find(arguments.file))).rstrip("\n"))
    return 0


def schema(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab schema``."""
    parser.epilog = (
        "example:\n"
        "  netlab schema > netlab.schema.json\n"
        "  # then, as the first line of a topology file:\n"
        "  # yaml-language-server: $schema=netlab.schema.json"
    )
    parser.set_defaults(run=_schema)


def _schema(_: argparse.Namespace) -> int:
    from netlab.topology import json_schema

    console.print_json(json_schema())
    return 0
