"""``verify``, ``preset``, ``boxes``: what NATs and middleboxes are, and whether they are."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.cli import console
from netlab.errors import Diagnostic, InputError
from netlab.topology import shipped

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from netlab.middlebox.kind import Kind
    from netlab.middlebox.parameters import Parameter
    from netlab.verify import Check

WIDTH = 96


def verify(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab verify``."""
    parser.epilog = (
        "Each NAT and middlebox is built once more, alone, and probed from its ends. With\n"
        "--together the whole lab is built too, and NATs one behind the other are probed from a\n"
        "host and servers of the lab; of a lab that runs only that is done.\n"
        "Exit code 1 if one is not what the file says.\n\n"
        "examples:\n"
        "  netlab verify topologies/nat-behaviours.yaml\n"
        "  netlab verify --together topologies/carrier-grade.yaml\n"
        "  netlab verify carrier-grade                       # a lab that runs"
    )
    parser.add_argument(
        "target", metavar="FILE|LAB", help="a topology file, one that ships, or a running lab"
    )
    parser.add_argument("--together", action="store_true", help="probe the lab as a whole, too")
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    parser.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    checks = _checks(arguments)
    good = all(check.ok for check in checks)
    if arguments.json:
        found = [
            {
                "node": c.node,
                "property": c.name,
                "declared": c.declared,
                "measured": c.measured,
                "ok": c.ok,
            }
            for c in checks
        ]
        console.print_json({"ok": good, "checks": found})
        return 0 if good else 1
    if not checks:
        print(f"{arguments.target}: no NAT and no middlebox")
        return 0
    rows = [("", "WHERE", "PROPERTY", "DECLARED", "MEASURED")]
    rows += [
        ("ok" if c.ok else "NO", c.node, c.name, _shown(c.declared), _shown(c.measured))
        for c in checks
    ]
    print(console.columns(rows))
    wrong = sum(not c.ok for c in checks)
    print(f"{len(checks)} checks, {wrong} of them not as declared" if wrong else
          f"{len(checks)} checks, all as declared")  # fmt: skip
    return 0 if good else 1


def _checks(arguments: argparse.Namespace) -> list[Check]:
    from netlab import verify as room
    from netlab.topology import load

    if _is_lab(arguments.target):
        from netlab.lab.lab import Lab

        return room.verify_running(Lab.attach(arguments.target))
    topology = load(shipped.find(arguments.target))
    together = room.verify_together(topology) if arguments.together else []
    return [*room.verify(topology), *together]


def _is_lab(target: str) -> bool:
    """Whether it names a lab: a running one, or nothing else that we know of."""
    if target.endswith(shipped.SUFFIXES) or "/" in target or Path(target).exists():
        return False
    from netlab.lab import record

    return shipped.path(target) is None or target in (lab.name for lab in record.labs())


def _shown(value: Any) -> str:
    match value:
        case True:
            return "yes"
        case False:
            return "no"
        case None:
            return "?"
        case []:
            return "none"
        case [int(), *_]:
            return _ranges(value)
        case list():
            return " ".join(value)
        case _:
            return str(value)


def _ranges(numbers: list[int]) -> str:
    """0-3 5 7-9."""
    spans: list[list[int]] = []
    for n in numbers:
        if spans and n == spans[-1][1] + 1:
            spans[-1][1] = n
        else:
            spans.append([n, n])
    return " ".join(f"{a}-{b}" if b > a else f"{a}" for a, b in spans)


def preset(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab preset``."""
    parser.epilog = "examples:\n  netlab preset\n  netlab preset home-router"
    parser.add_argument("name", metavar="NAME", nargs="?", help="a preset; without it, all names")
    parser.set_defaults(run=_preset)


def _preset(arguments: argparse.Namespace) -> int:
    from netlab.topology import presets

    known = presets.names()
    if arguments.name is None:
        for name in known:
            print(console.style(name, "bold"))
            print(_paragraph(presets.load(name).summary))
        return 0
    if arguments.name not in known:
        raise InputError(_unknown("E266", "preset", arguments.name, known))
    print(presets.load(arguments.name).text, end="")
    return 0


def boxes(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab boxes``."""
    parser.epilog = "examples:\n  netlab boxes\n  netlab boxes seeded-loss"
    parser.add_argument(
        "kind", metavar="KIND", nargs="?", help="a kind of middlebox; without it, all of them"
    )
    parser.set_defaults(run=_boxes)


def _boxes(arguments: argparse.Namespace) -> int:
    from netlab.middlebox.catalogue import CATALOGUE

    if arguments.kind is None:
        rows = [("KIND", "STANDS", "PARAMETERS")]
        rows += [
            (k.name, _place(k), " ".join(p.name for p in k.parameters)) for k in CATALOGUE.values()
        ]
        print(console.columns(rows))
        return 0
    kind = CATALOGUE.get(arguments.kind)
    if kind is None:
        raise InputError(_unknown("E271", "kind of middlebox", arguments.kind, CATALOGUE))
    print(console.style(kind.name, "bold"), f"({_place(kind)})")
    print(_paragraph(kind.summary))
    print(_paragraph(f"Seen from the ends: {kind.seen}"))
    print(_paragraph(f"Source: {kind.source}"))
    for parameter in kind.parameters:
        print(f"\n  {parameter.name}: {default(parameter)}")
        print(_paragraph(parameter.help, "    "))
    return 0


def _place(kind: Kind) -> str:
    return "at a node" if kind.is_rules else "on a link"


def default(parameter: Parameter) -> str:
    """The type of a parameter and what it is if it is left out."""
    kind = " or ".join(parameter.choices) or parameter.type
    if parameter.required:
        return f"{kind}, required"
    value = parameter.default
    shown = ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else value
    return f"{kind}, default {str(shown).lower() if isinstance(shown, bool) else shown}"


def _paragraph(text: str, indent: str = "  ") -> str:
    text = " ".join(text.split())
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _unknown(code: str, what: str, name: str, known: Iterable[str]) -> Diagnostic:
    from netlab.topology.problems import nearest

    return Diagnostic(code, f"there is no {what} {name!r}", hint=nearest(name, known))
