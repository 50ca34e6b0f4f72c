"""A sweep as a list: CSV for programs, Markdown for people."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.probe.rows import Row, Sweep

COLUMNS = (
    "argument", "protocol", "socket_error", "send_error", "sent", "on_wire", "arrived", "received",
    "reply", "latency_us", "outcome", "reason",
)  # fmt: skip


def as_csv(made: Sweep) -> str:
    """The fields of ``Row`` but the hops; nothing is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_cells(row) for row in made.rows)
    return out.getvalue()


def markdown(made: Sweep) -> str:
    """The same as a table."""
    lines = [
        "| " + " | ".join(column.replace("_", " ") for column in COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    lines += ["| " + " | ".join(map(str, _cells(row))) + " |" for row in made.rows]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> list[object]:
    return ["" if (value := getattr(row, column)) is None else value for column in COLUMNS]
