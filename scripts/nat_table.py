"""Measure stock Linux and every NAT preset, and write the table of docs/nat.md anew."""

from __future__ import annotations

import sys
from pathlib import Path

from netlab.verify.requirements import findings, heading, judged, rows

DOCUMENT = Path(__file__).parents[1] / "docs" / "nat.md"
BEGIN, END = "<!-- measured -->\n", "<!-- end -->\n"


def main() -> None:
    """Replace what stands between the marks."""
    columns = {}
    for name, nat in judged().items():
        print(name, file=sys.stderr)
        columns[name] = findings(nat)
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join([*heading(columns), *rows(columns)]) + "\n"
    DOCUMENT.write_text(before + BEGIN + table + END + after, encoding="utf-8")


main()
