from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from netlab.diagram.hdp import listing

if TYPE_CHECKING:
    from netlab.probe.rows import Sweep


def test_csv_has_a_line_for_each_row(all_received: Sweep) -> None:
    lines = list(csv.DictReader(io.StringIO(listing.as_csv(all_received))))
    assert len(lines) == len(all_received.rows)
    assert lines[0] == dict.fromkeys(listing.COLUMNS, "") | {
        "argument": "-1", "socket_error": "22", "sent": "0", "on_wire": "0", "arrived": "0",
        "received": "0", "outcome": "unsent", "reason": "socket(): Linux knows 0 ... 262",
    }  # fmt: skip
    assert lines[-1]["latency_us"] == "5.0"


def test_markdown_is_a_table(all_received: Sweep) -> None:
    lines = listing.markdown(all_received).splitlines()
    assert len(lines) == 2 + len(all_received.rows)
    assert {line.count("|") for line in lines} == {len(listing.COLUMNS) + 1}
