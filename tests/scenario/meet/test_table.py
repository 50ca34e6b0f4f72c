"""A table of pairs in its forms, of values that nobody had to play."""

import json
from xml.etree import ElementTree as ET

import pytest

from netlab.errors import LabError
from netlab.scenario.meet import pages
from netlab.scenario.meet.pairs import Pair
from netlab.scenario.meet.played import Attempt, Played
from netlab.scenario.meet.table import Table, save

GOOD = Attempt(True, "reflexive", 0.5, 40, "", {}, {"packets": []}, "#1 …")
BAD = Attempt(False, "none", 1.0, 80, "boris' NAT refused <it>", {}, {"packets": []}, "#1 …")
ABOUT = {"netlab": "1", "kernel": "6"}


@pytest.fixture
def table(tmp_path):
    played = (
        Played("none", "cloud", (GOOD, GOOD)),
        Played("none", "hotel", (GOOD, BAD)),
        Played("hotel", "hotel", (BAD, BAD)),
    )
    return Table(played, 7, ABOUT, tmp_path / "fates")


def test_json_has_a_row_for_each_pair(table):
    made = table.to_json()
    assert made["seed"] == 7
    assert made["environment"] == ABOUT
    assert [(p["a"], p["b"], p["met"], p["runs"], p["met_runs"]) for p in made["pairs"]] == [
        ("none", "cloud", True, 2, 2),
        ("none", "hotel", False, 2, 1),
        ("hotel", "hotel", False, 2, 0),
    ]
    assert [p["how"] for p in made["pairs"]] == ["reflexive", "reflexive", "none"]
    assert [p["reason"] for p in made["pairs"]] == ["", BAD.reason, BAD.reason]
    assert made["pairs"][0]["fates"].endswith("/fates/none~cloud.json")


def test_red_green_and_flaky(table):
    assert [each.word for each in table.played] == ["met", "flaky", "not met"]
    assert table.summary() == "1 of 3 pairs met, 1 flaky"
    assert not table.met
    assert table["none:hotel"].is_flaky
    with pytest.raises(KeyError):
        table["cloud:none"]


def test_markdown_has_the_reasons(table):
    assert "| none | hotel | flaky | reflexive | 1/2 | 0.50 | 80 |" in table.markdown()
    assert "* **hotel and hotel**: boris' NAT refused <it>" in table.markdown()


def test_junit_fails_for_what_did_not_always_meet(table):
    suite = ET.fromstring(table.junit())
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "2", "0")
    assert [case.find("failure") is not None for case in suite] == [False, True, True]
    failures = suite.findall("testcase/failure")
    assert [failure.get("type") for failure in failures] == ["flaky", "not met"]
    assert "boris' NAT refused <it>" in failures[1].get("message", "")


def test_junit_skips_what_is_not_required(table):
    suite = ET.fromstring(table.junit([Pair("none", "hotel")]))
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "1")
    assert suite[2].find("skipped") is not None


def test_files_lead_from_cell_to_fates(table, tmp_path):
    save(table)
    pages.write(table, str(tmp_path))
    page = (tmp_path / "meet.html").read_text()
    for each in table.played:
        assert f'href="fates/{each.a}~{each.b}.html"' in page
        assert table.file(each).with_suffix(".html").is_file()
        assert Played.from_json(json.loads(table.file(each).read_text())) == each
    assert json.loads((tmp_path / "meet.json").read_text()) == table.to_json()
    assert "&lt;it&gt;" in page


def test_where_nothing_can_be_written(table, tmp_path):
    (tmp_path / "fates").write_text("a file")
    for action in (lambda: save(table), lambda: pages.write(table, str(tmp_path))):
        with pytest.raises(LabError) as caught:
            action()
        assert "E913" in str(caught.value)
