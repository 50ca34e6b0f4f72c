"""docs/rfc9293.md names every requirement once, places that exist, and tests that exist."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rfc9293.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if re.match(r"\| (MUST|SHLD|MAY|REC)-\d+ ", line)
]
NUMBERS = [row[0] for row in ROWS]


def test_no_number_is_missing_or_twice() -> None:
    expected = [f"MUST-{n}" for n in range(1, 70)]
    expected += [f"SHLD-{n}" for n in range(1, 32)] + ["REC-1"]
    expected += [f"MAY-{n}" for n in range(1, 19)]
    assert expected == NUMBERS


@pytest.mark.parametrize("row", ROWS, ids=NUMBERS)
def test_the_place_and_the_test_exist(row: list[str]) -> None:
    _, section, statement, where, test = row
    assert re.fullmatch(r"3(\.\d+)+", section)
    assert statement.endswith(".")
    if where == "left out":
        assert test.endswith(".")  # the reason
        return
    assert exists(where)
    file, _, name = test.strip("`").partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def exists(place: str) -> bool:
    module, _, path = place.strip("`").partition(":")
    found = importlib.import_module(f"netlab.{module}")
    for name in path.split("."):
        found = getattr(found, name)
    return True


def test_few_musts_are_left_out() -> None:
    left_out = {row[0] for row in ROWS if row[3] == "left out" and row[0].startswith("MUST")}
    assert left_out == {"MUST-51", "MUST-52", "MUST-53"}


@pytest.mark.parametrize("place", re.findall(r"^\| RFC .* \| (`[^`]+`) \|$", PAGE, re.MULTILINE))
def test_the_other_places_exist(place: str) -> None:
    assert exists(place)
