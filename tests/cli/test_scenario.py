"""``list``, ``run``, ``demo`` as a user types them."""

import json
import re

import pytest

from netlab.cli import main


def test_list_names_them_all(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert "one-packet-offload" in printed
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(row["title"] for row in rows)


@pytest.mark.parametrize(
    "argv", [["run"], ["run", "--all", "two-clients"], ["run", "--all", "--keep"], ["run", "no"]]
)
def test_wrong_usage(argv, capsys):
    assert main(argv) == 2
    assert re.search(r"error\[E91[02]\]", capsys.readouterr().err)


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_leaves_no_trace")
def test_run_prints_json_and_writes_a_report(capsys, tmp_path):
    assert main(["run", "one-packet-filter", "--json", "--report", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == [
        "scenario", "passed", "runs", "digest", "digests_equal",
        "expectations", "fates", "seed", "environment",
    ]  # fmt: skip
    assert found["fates"][1]["by"] == "first-packet-only"
    page = (tmp_path / "one-packet-filter.html").read_text()
    assert page.count("<svg ") >= 4
    assert "first-packet-only" in page
    assert "✅" in (tmp_path / "one-packet-filter.md").read_text()


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_leaves_no_trace")
def test_a_demo_without_a_terminal_tells_all_and_does_not_stop(capsys):
    assert main(["demo", "one-packet-filter"]) == 0
    printed = capsys.readouterr().out
    assert "netlab explain one-packet-filter/client server --proto 253" in printed
    assert "## Why" in printed
