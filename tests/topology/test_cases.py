"""Every data case: what a bad file is told, and what comes of a good one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netlab.errors import InputError
from netlab.topology import load, loads
from tests.topology.cases import BAD, GOOD, SHIPPED, rendered_problems, rendered_topology

ROOM = Path(__file__).parents[2] / "netlab" / "topology"
DOCUMENTED = Path(__file__).parents[2] / "docs" / "errors.md"
SOURCE_ONLY = {"E101", "E102", "E103", "E104", "E211"}
"""What no file in a folder can show; test_source.py and test_amend.py have them."""


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_bad_file_is_told_all_its_problems(path):
    assert rendered_problems(path) == path.with_suffix(".txt").read_text()


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_every_problem_has_a_place_a_line_and_a_hint(path):
    with pytest.raises(InputError) as caught:
        loads(path.read_text(), path.name)
    lines = path.read_text().splitlines()
    for problem in caught.value.diagnostics:
        assert problem.position is not None
        assert problem.hint
        if lines:
            shown = problem.source.replace("\ufffd", "\x1b")
            assert shown == lines[problem.position.line - 1]
            assert 1 <= problem.position.column <= len(shown) + 1


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_a_case_is_named_for_a_code_that_it_shows(path):
    if path.stem.startswith("E"):
        assert f"error[{path.stem[:4]}]" in path.with_suffix(".txt").read_text()


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_good_file_becomes_this_topology(path):
    topology = loads(path.read_text(), path.name)
    assert rendered_topology(topology) == path.with_suffix(".json").read_text()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_topology_is_valid_described_and_explained(path):
    topology = load(path)
    assert topology.name == path.stem
    assert topology.description
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", [*GOOD, *SHIPPED], ids=lambda p: p.stem)
def test_same_file_gives_the_same_topology(path):
    assert load(path) == load(path)


def test_every_code_has_a_case_and_is_documented():
    used = {c for f in ROOM.glob("*.py") for c in re.findall(r'"(E\d{3})"', f.read_text())}
    shown = {c for f in BAD for c in re.findall(r"error\[(E\d{3})\]", rendered_problems(f))}
    section = DOCUMENTED.read_text().split("## Topology files")[1].split("\n## ")[0]
    table = set(re.findall(r"^\| (E\d{3}) \|", section, re.MULTILINE))
    assert used - shown == SOURCE_ONLY
    assert table == used
