from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from netlab.diagram.hdp import grid
from netlab.probe.rows import OUTCOMES, Row
from netlab.trace.kernel_reasons import CLASH
from tests.probe.imagined import swept

if TYPE_CHECKING:
    from netlab.hdp.probes import Probe

SVG = "{http://www.w3.org/2000/svg}"


def end(probe: Probe) -> str:
    if probe.argument == 200 and probe.serial:
        return "rule"
    return {6: "taken", 99: "refused", 103: "clash"}.get(probe.argument, "received")


@pytest.fixture
def rows() -> tuple[Row, ...]:
    return swept(end).rows


def test_every_outcome_has_its_own_look() -> None:
    assert list(grid.LOOKS) == list(OUTCOMES)
    for field in ("sign", "fill", "terminal", "meaning"):
        assert len({getattr(look, field) for look in grid.LOOKS.values()}) == len(OUTCOMES)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_text_stands_out_on_every_fill(outcome: str) -> None:
    fill = luminance(grid.LOOKS[outcome].fill)  # type: ignore[index]
    assert (fill + 0.05) / (luminance("#141414") + 0.05) >= 7  # WCAG 2.1, level AAA


def test_no_line_is_wider_than_a_terminal(rows: tuple[Row, ...]) -> None:
    lines = grid.terminal(rows, "title", colour=False).splitlines()
    assert max(map(len, lines[:18])) <= 80


def test_a_sweep_of_few_numbers_has_few_lines() -> None:
    rows = swept(end, range(40, 60)).rows
    lines = grid.terminal(rows, "title", colour=False).splitlines()
    assert lines[2].startswith(" 32   33 ")
    assert lines[3].startswith(" 48✓  49✓")
    assert lines[4] == ""


def test_the_signs_alone_tell_the_outcome(rows: tuple[Row, ...]) -> None:
    text = grid.terminal(rows, "title", colour=False)
    assert "\x1b" not in text
    for cell in ("  6■", " 99↩", "103✗", "200◐", "255✓", "  0✓"):
        assert cell in text
    assert ' ◐  #2 and #3 died in nat, forward chain, rule "allow-list" (nat.yaml:9): 200\n' in text


def test_colour_adds_nothing_but_colour(rows: tuple[Row, ...]) -> None:
    coloured = grid.terminal(rows, "title", colour=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == grid.terminal(rows, "title", colour=False)


def test_the_cell_of_0_is_the_argument_that_leaves_as_0(rows: tuple[Row, ...]) -> None:
    shown = grid.cells(rows)
    assert shown[0].argument == 256
    assert shown[6].argument == 6
    assert set(shown) == set(range(256))


def test_a_number_that_nothing_sends_shows_why() -> None:
    shown = grid.cells(swept(end, range(256)).rows)
    assert (shown[0].argument, shown[0].outcome) == (0, "unsent")


def test_counts_add_up(rows: tuple[Row, ...]) -> None:
    shown = grid.cells(rows)
    assert dict(grid.counts(shown)) == {
        "received": 252, "partly": 1, "refused": 1, "taken": 1, "lost": 1,
    }  # fmt: skip
    assert sum(len(members) for _, _, members in grid.reasons(shown)) == 256


@pytest.mark.parametrize(
    ("members", "text"),
    [([], ""), ([1], "1"), ([1, 2], "1 2"), ([1, 2, 3, 5, 7, 8, 9], "1-3 5 7-9")],
)
def test_ranges(members: list[int], text: str) -> None:
    assert grid.ranges(members) == text


def test_the_picture_is_well_formed_and_whole(rows: tuple[Row, ...]) -> None:
    root = ET.fromstring(grid.svg(rows, 'A <title> & "more"', "below"))
    cells = root.findall(f"{SVG}g")
    assert len(cells) == 256
    titles = [cell.findtext(f"{SVG}title") or "" for cell in cells]
    assert titles[103] == f"103 PIM: died in nat: {CLASH}"
    assert "1/3" in [text.text for text in cells[200].findall(f"{SVG}text")]


def test_cells_do_not_overlap_and_lie_within(rows: tuple[Row, ...]) -> None:
    root = ET.fromstring(grid.svg(rows, "t"))
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    boxes = []
    for box in root.iter(f"{SVG}rect"):
        if box.attrib["width"] != "100%":
            x, y, w, h = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
            assert 0 <= x <= x + w <= width
            assert 0 <= y <= y + h <= height
            boxes.append((x, y, x + w, y + h))
    for a, b in combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_many_reasons_are_cut_short_in_the_picture() -> None:
    made = swept(lambda _: "received")
    many = [row._replace(reason=f"reason {row.argument}") for row in made.rows]
    assert "and 244 more reasons" in grid.svg(many, "t")
