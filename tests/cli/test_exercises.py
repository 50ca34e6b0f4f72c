"""``exercise``, ``check-work`` and ``run --in``, as they are typed."""

import json
import os

import pytest

from netlab.lab.lab import Lab
from netlab.scenario import bundled
from tests.helpers.commands import printed as netlab


def test_list_names_the_exercises():
    printed = netlab("list", "--exercises")
    assert [name for name in bundled.exercises() if name not in printed] == []
    assert "missing-gateway" not in netlab("list")


def test_hints_open_one_by_one():
    assert "hints: 3" in netlab("exercise", "missing-gateway")
    assert netlab("exercise", "missing-gateway", "--hints", "2").count("\n") == 2
    assert "E923" in netlab("exercise", "missing-gateway", "--hints", "4", code=2)
    assert "E923" in netlab("exercise", "missing-gateway", "--hints", "-1", code=2)


def test_a_copy_never_replaces_a_file(tmp_path):
    file = tmp_path / "mine.yaml"
    netlab("exercise", "subnets", "--copy", str(file))
    assert "name: subnets" in file.read_text()
    file.write_text("my work")
    assert "E913" in netlab("exercise", "subnets", "--copy", str(file), code=1)
    assert file.read_text() == "my work"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("exercise", "hairpinning"), "E924"),
        (("exercise", "missing-gatway"), "did you mean `missing-gateway`?"),
        (("check-work", "topologies/nat.yaml"), "--exercise NAME"),
        (("check-work", "nowhere.yaml"), "E101"),
        (("run", "nat-timeouts", "--in", "x", "--repeat", "2"), "E912"),
        (("run", "nat-timeouts", "--in", "x", "--keep"), "E912"),
        (("run", "--all", "--in", "x"), "E912"),
    ],
)
def test_what_is_not_meant_is_said(argv, said):
    assert said in netlab(*argv, code=2)


@pytest.mark.kernel
def test_check_work_of_a_file_prints_json_and_markdown():
    file = "topologies/exercises/missing-gateway.yaml"
    found = json.loads(netlab("check-work", file, "--json", code=1).rpartition("}")[0] + "}")
    assert (found["exercise"], found["passed"]) == ("missing-gateway", False)
    assert (found["points"], found["of"]) == (1, 5)
    assert [step["points"] for step in found["steps"]] == [1, 0, 0]
    page = netlab("check-work", file, "--markdown", code=1)
    assert page.startswith("## topologies/exercises/missing-gateway.yaml: 1 of 5 points")
    assert "Network is unreachable" in page


@pytest.mark.kernel
def test_a_scenario_is_played_in_a_lab_that_runs():
    name = f"in-{os.getpid()}"
    with Lab("topologies/firewall.yaml", name=name) as lab:
        assert "the lab is named" in netlab("check-work", name, code=2)
        played = netlab("run", "firewall-order", "--in", name, code=1)
        assert "E404" in played  # this lab has no guest
        assert netlab("status", name)
        assert "netlab run matrix" in netlab("run", "matrix", "--in", name, code=2)
        assert lab["desk"].run(["ping", "-c1", "server"]).returncode == 0


@pytest.mark.kernel
def test_a_lab_by_hand_gets_its_points():
    name = f"by-hand-{os.getpid()}"
    with Lab("topologies/exercises/missing-gateway.yaml", name=name) as lab:
        lab["client"].run(["ip", "route", "add", "default", "via", "10.1.0.1"], check=True)
        said = netlab("check-work", name, "--exercise", "missing-gateway")
        assert said.endswith("passed: 5 of 5 points\n")
        assert "passed: 4 of 4" in netlab("run", "missing-gateway", "--in", name)
