"""``check``, ``plan``, ``graph``, ``schema``: what can be said of a file without building it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import console
from netlab.errors import InputError
from netlab.topology import shipped

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from netlab.errors import Diagnostic


def check(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab check``."""
    parser.epilog = (
        "examples:\n"
        "  netlab check topologies/nat.yaml\n"
        "  netlab check labs/*.yaml scenarios/*.yaml\n"
        "  my-generator | netlab check -"
    )
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="a topology or scenario file, the name of a topology that ships, or - for a topology"
        " on standard input",
    )
    parser.add_argument("--json", action="store_true", help="print the diagnostics as JSON")
    parser.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    diagnostics: list[Diagnostic] = []
    notes: list[str] = []
    for file in arguments.files:
        try:
            summary, found = _fine(file)
        except InputError as error:
            diagnostics += error.diagnostics
        else:
            notes += found
            if not arguments.json:
                print(f"{file}: fine ({summary})")
                print("".join(f"{note}\n" for note in found), end="")
    if arguments.json:
        problems = [diagnostic.to_json() for diagnostic in diagnostics]
        console.print_json({"ok": not diagnostics, "diagnostics": problems, "notes": notes})
        return InputError.exit_code if diagnostics else 0
    if diagnostics:
        raise InputError(*diagnostics)
    return 0


def _fine(file: str) -> tuple[str, Sequence[str]]:
    """What a file holds, and what of it may surprise; ``InputError`` with all its problems."""
    from netlab.topology import load, loads
    from netlab.topology.source import MAX_BYTES

    if file == "-":
        raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        topology = loads(raw.decode("utf-8", "surrogateescape"), "<stdin>")
    else:
        path = Path(shipped.find(file))
        if _is_scenario(path):
            from netlab.scenario.read import read

            return f"a scenario of {len(read(path).steps)} steps", ()
        topology = load(path)
    return f"{len(topology.nodes)} nodes, {len(topology.links)} links", topology.notes


def _is_scenario(path: Path) -> bool:
    """Whether a file has the keys of a scenario; what cannot be read is taken for a topology."""
    from netlab.topology import source
    from netlab.topology.problems import Problems

    problems = Problems(str(path))
    try:
        keys = source.parse(source.read(path, problems), problems).entries
    except InputError:
        return False
    return "steps" in keys and "nodes" not in keys


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
        from netlab.lab.home import HOME
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
        "  # yaml-language-server: $schema=netlab.schema.json\n"
        "  netlab schema --scenario > netlab-scenario.schema.json"
    )
    parser.add_argument("--scenario", action="store_true", help="that of scenario files")
    parser.set_defaults(run=_schema)


def _schema(arguments: argparse.Namespace) -> int:
    if arguments.scenario:
        from netlab.scenario.schema import json_schema
    else:
        from netlab.topology import json_schema
    console.print_json(json_schema())
    return 0
