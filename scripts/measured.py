"""Measure every kind of middlebox and every NAT preset, and write what docs/ shows of it.

The rows of boxes go to docs/measured/boxes.json, from which ``scripts/middleboxes.py`` makes its
page; those of NATs into docs/nat.md, between the marks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from netlab.middlebox.catalogue import CATALOGUE
from netlab.topology import loads, presets
from netlab.topology.model import Box
from netlab.verify import verify
from netlab.verify.alone import at_node, on_link

ROOT = Path(__file__).parents[1]
BOXES = ROOT / "docs" / "measured" / "boxes.json"
NATS = ROOT / "docs" / "nat.md"
BEGIN, END = "<!-- verified -->\n", "<!-- end of verified -->\n"

PARAMETERS: dict[str, dict[str, object]] = {
    "seeded-loss": {"loss": "3/20"},
    "outbound-only": {"inside": "a"},
    "block": {"ports": [80, 443]},
    "payload-rewrite": {"find": "cat", "replace": "mouse"},
    "reset-on-payload": {"pattern": "secret"},
    "impair": {"delay": "20ms", "jitter": "10ms", "loss": "5%", "duplicate": "5%"},
}
"""Of kinds that need some, or do nothing without."""

LAB = """
nodes:
  one: {}
  two: {}
  lan: {kind: bridge, subnet: 10.0.0.0/24}
  nat: {kind: nat, outside: wan%s}
  server: {}
links:
  - [one:eth0, lan]
  - [two:eth0, lan]
  - [nat:lan, lan]
  - {ends: [nat:wan, server:eth0], subnet: 192.0.2.0/24}
"""


def boxes() -> dict[str, list[dict[str, str]]]:
    """Each kind alone, with its defaults or the parameters above."""
    found = {}
    for kind in CATALOGUE.values():
        print(kind.name, file=sys.stderr)
        box = Box(kind.name, tuple(PARAMETERS.get(kind.name, {}).items()))
        checks = at_node(box) if kind.is_rules else on_link(box)
        found[kind.name] = [
            {
                "row": c.name.removeprefix(f"{kind.name}: "),
                "declared": str(c.declared),
                "measured": c.verdict if c.why else str(c.measured),
            }
            for c in checks
        ]
    return found


def nats() -> list[str]:
    """A table: a line for each row, a column for plain Linux and for each preset."""
    columns: dict[str, dict[str, str]] = {}
    for name in ("Linux", *presets.names()):
        print(name, file=sys.stderr)
        words = "" if name == "Linux" else f", nat: {{preset: {name}}}"
        columns[name] = {}
        for check in verify(loads(LAB % words)):
            row, _, seconds = check.name.partition(" timeout, ")
            label = f"{row} timeout" if seconds else row
            measured = {True: "yes", False: "no"}.get(check.measured, str(check.measured))
            if seconds and check.ok:
                measured = seconds
            columns[name][label] = measured if check.ok else f"**{measured}**"
    rows = dict.fromkeys(row for found in columns.values() for row in found)
    return [
        f"| Seen from the ends | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
        *(f"| {row} | {' | '.join(c.get(row, '') for c in columns.values())} |" for row in rows),
    ]


def main() -> None:
    """Write both."""
    BOXES.parent.mkdir(exist_ok=True)
    text = json.dumps(boxes(), indent=1, ensure_ascii=False)
    BOXES.write_text(text + "\n", encoding="utf-8")
    before, _, rest = NATS.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    NATS.write_text(before + BEGIN + "\n".join(nats()) + "\n" + END + after, encoding="utf-8")


main()
