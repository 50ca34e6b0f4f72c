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
        "The file's lab is built, without its programs, and everything declared in it is\n"
        "probed from its ends: each NAT, middlebox, link, firewall and static forward, in its\n"
        "place. Of a lab that runs nothing is changed. What each word means is data, with its\n"
        "source.\n"
        "With --together NATs one behind the other are probed too, from hosts of the lab.\n"
        "Exit code 1 if something is otherwise than declared, 3 if something declared was not\n"
        "measured.\n\n"
        "examples:\n"
        "  netlab verify topologies/nat-behaviours.yaml\n"
        "  netlab verify --together topologies/carrier-grade.yaml\n"
        "  netlab verify --allow-unmeasured carrier-grade    # a lab that runs\n"
        "  netlab verify --sabotage topologies/nat.yaml"
    )
    parser.add_argument(
        "target", metavar="FILE|LAB", help="a topology file, one that ships, or a running lab"
    )
    parser.add_argument("--together", action="store_true", help="probe the lab as a whole, too")
    parser.add_argument(
        "--allow-unmeasured",
        action="store_true",
        help="exit with 0 although something declared was not measured",
    )
    parser.add_argument(
        "--sabotage",
        action="store_true",
        help="test the test: switch off or move each declared behaviour behind the lab's back, "
        "one at a time, and see whether it is noticed",
    )
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    parser.set_defaults(run=_verify)


NOT_MEASURED = 3
"""Exit code where something declared was not measured."""


def _verify(arguments: argparse.Namespace) -> int:
    if arguments.sabotage:
        return _sabotage(arguments)
    checks = _checks(arguments)
    wrong = sum(c.is_otherwise for c in checks)
    unmeasured = 0 if arguments.allow_unmeasured else sum(bool(c.why) for c in checks)
    code = 1 if wrong else NOT_MEASURED if unmeasured else 0
    if arguments.json:
        console.print_json({"ok": not code, "checks": [as_json(c) for c in checks]})
        return code
    if not checks:
        print(f"{arguments.target}: nothing that it declares could be otherwise")
        return 0
    rows = [("", "WHERE", "PROPERTY", "DECLARED", "MEASURED", "HOW")]
    rows += [
        (
            "ok" if c.ok else "-" if c.why else "NO",
            c.node,
            c.name,
            _shown(c.declared),
            c.verdict if c.why else _shown(c.measured),
            c.how,
        )
        for c in checks
    ]
    print(console.columns(rows))
    print(_summary(checks))
    return code


def _sabotage(arguments: argparse.Namespace) -> int:
    from netlab.topology import load
    from netlab.verify.sabotage import sabotage

    if _is_lab(arguments.target):
        message = f"--sabotage is for a file: {arguments.target} is a lab, and others may use it"
        hint = "name its topology file: a lab of its own is built from it"
        raise InputError(Diagnostic("E302", message, hint=hint))
    report = sabotage(load(shipped.find(arguments.target)))
    if arguments.json:
        found = [
            {
                "what": r.what,
                "where": r.where,
                "noticed": r.noticed,
                "row": as_json(r.row) if r.row else {},
            }
            for r in report.results
        ]
        alarms = len(report.alarms)
        console.print_json({"ok": report.ok, "sabotages": found, "false_alarms": alarms})
        return 0 if report.ok else 1
    if not report.results:
        print(f"{arguments.target}: declares nothing that could be sabotaged")
        return 0
    rows = [("", "WHERE", "SABOTAGE", "NOTICED BY", "MEASURED")]
    rows += [
        ("ok", r.where, r.what, r.row.name, _shown(r.row.measured))
        if r.row
        else ("NO", r.where, r.what, "no row", "")
        for r in report.results
    ]
    print(console.columns(rows))
    for row in report.alarms:
        print(f"false alarm: {row.node}: {row.name}: {_shown(row.measured)}")
    missed = sum(not r.noticed for r in report.results)
    print(
        f"{len(report.results)} sabotages, "
        + (f"{missed} of them not noticed" if missed else "all noticed")
        + f"; {len(report.alarms)} false alarms"
    )
    return 0 if report.ok else 1


def _summary(checks: list[Check]) -> str:
    wrong = sum(c.is_otherwise for c in checks)
    left = sum(bool(c.why) for c in checks)
    said = f"{len(checks)} checks, " + (
        f"{wrong} of them not as declared" if wrong else "all as declared"
        if not left else "none otherwise than declared"
    )  # fmt: skip
    return said + (f", {left} not measured" if left else "")


def as_json(check: Check) -> dict[str, Any]:
    """A row for programs."""
    return {
        "node": check.node,
        "property": check.name,
        "declared": check.declared,
        "measured": check.measured,
        "how": check.how,
        "verdict": check.verdict,
        "source": check.source,
        "ok": check.ok,
    }


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
    parser.epilog = "examples:\n  netlab preset\n  netlab preset home-router\n  netlab preset 4g"
    parser.add_argument("name", metavar="NAME", nargs="?", help="a preset; without it, all names")
    parser.set_defaults(run=_preset)


def _preset(arguments: argparse.Namespace) -> int:
    from netlab.topology import link_presets, presets

    nats, links = presets.names(), link_presets.names()
    if arguments.name is None:
        for name in nats:
            print(console.style(name, "bold"))
            print(_paragraph(presets.load(name).summary))
        for name in links:
            print(console.style(f"{name} (a link)", "bold"))
            print(_paragraph(link_presets.load(name).summary))
        return 0
    if arguments.name in links:
        print(link_presets.load(arguments.name).text, end="")
        return 0
    if arguments.name not in nats:
        raise InputError(_unknown("E266", "preset", arguments.name, [*nats, *links]))
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
