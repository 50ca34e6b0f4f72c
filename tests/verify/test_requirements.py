"""The table of docs/nat.md, cell by cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.verify.requirements import REQUIREMENTS, findings, heading, judged, rows
from tests.programs import needs

DOCUMENT = Path(__file__).parents[2] / "docs" / "nat.md"
NATS = judged()


def documented() -> list[str]:
    text = DOCUMENT.read_text()
    return text.split("<!-- measured -->\n")[1].split("<!-- end -->")[0].splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_the_table_has_a_column_for_linux_and_each_preset_and_a_row_for_each_requirement():
    head, rule, *lines = documented()
    assert [head, rule] == heading(NATS)
    assert len(lines) == len(REQUIREMENTS)


@pytest.mark.kernel
@needs("conntrack")  # to read timeouts
@pytest.mark.parametrize("name", NATS)
def test_each_cell_is_what_is_measured(netlab_state, name):
    column = 3 + list(NATS).index(name)
    head, _, *lines = documented()
    assert cells(head)[column] == name
    measured = [cells(line)[3] for line in rows({name: findings(NATS[name])})]
    assert [cells(line)[column] for line in lines] == measured
