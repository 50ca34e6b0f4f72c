"""`check`, `schema` and what `explain` refuses: nothing here needs a lab."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))


def netlab(*argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netlab", *argv],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_topology_is_checked_from_standard_input():
    assert netlab("check", "-", stdin="nodes: {a: , b: }\nlinks: [[a, b]]\n").stdout == (
        "-: fine (2 nodes, 1 links)\n"
    )
    ran = netlab("check", "-", "--json", stdin="nodes: {a: }\nlinks: [[a, b]]\n")
    said = json.loads(ran.stdout)
    assert (ran.returncode, said["ok"]) == (2, False)
    assert said["diagnostics"][0]["file"] == "<stdin>"


def test_several_files_of_both_kinds_are_checked():
    ran = netlab("check", "topologies/nat.yaml", "scenarios/nat64.yaml", "scenarios/nowhere.yaml")
    assert ran.returncode == 2
    assert "nat.yaml: fine (4 nodes, 3 links)\n" in ran.stdout
    assert "nat64.yaml: fine (a scenario of " in ran.stdout
    assert "error[E101]" in ran.stderr


def test_a_note_is_printed_and_is_no_problem():
    file = "tests/topology/cases/good/a-host-between.yaml"
    ran = netlab("check", file)
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[1].startswith(f"{file}:1: note: `client` cannot send to ")
    assert len(json.loads(netlab("check", file, "--json").stdout)["notes"]) == 1


def test_every_scenario_is_valid_by_the_schema():
    schema = json.loads(netlab("schema", "--scenario").stdout)
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for file in SCENARIOS:
        validator.validate(yaml.safe_load(file.read_text()))
    assert not validator.is_valid({"title": "x", "steps": [{"sleep": 1}]})


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--file", "topologies/nat.yaml"], "error[E515]: --file is for --predict"),
        (["--dport", "80"], "error[E515]: --dport: IP protocol 1 has no ports"),
        (["--proto", "grey"], "'grey' is neither a number from 1 to 255 nor one of hdp, icmp"),
        (["--proto", "256"], "'256' is neither a number"),
    ],
)
def test_what_would_be_passed_over_is_refused(argv, says):
    ran = netlab("explain", "client", "server", *argv)
    assert ran.returncode == 2
    assert says in ran.stderr


@pytest.mark.parametrize("protocol", ["gre", "SCTP", "ospf", "132", "icmp"])
def test_a_protocol_has_a_name_or_a_number(protocol):
    asked = ["--predict", "--file", "topologies/nat.yaml", "--proto", protocol]
    assert netlab("explain", "client", "server", *asked).returncode in (0, 1)
