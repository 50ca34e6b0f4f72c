"""Topologies that are written in Python are those of files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given

import netlab
from netlab.errors import InputError
from netlab.topology import loads
from tests.topology.strategies import topologies
from tests.topology.test_properties import QUICK

PAGE = Path(__file__).parents[2] / "docs" / "topology.md"


def test_calls_give_the_model_of_the_file():
    made = (
        netlab.Topology("x", description="d")
        .host("a", count=2)
        .nat("n", outside="wan", firewall=["drop tcp/25"])
        .bridge("sw")
        .link("a", "sw")
        .link("n", "sw")
        .host("s")
        .link("n:wan", "s", subnet="198.51.100.0/24", loss="1%")
    )
    assert yaml.safe_load(made.text) == json.loads(made.text)
    assert made.resolve() == loads(made.text, "<Topology>")
    assert [node.name for node in made.resolve().nodes] == ["a1", "a2", "n", "sw", "s"]


@QUICK
@given(topologies(2))
def test_any_file_can_be_written_in_python(drawn):
    made = netlab.Topology("lab", defaults=drawn.file["defaults"])
    for name, keys in drawn.file["nodes"].items():
        rest = {key: value for key, value in keys.items() if key != "kind"}
        made.node(name, keys.get("kind", "host"), **rest)
    for link in drawn.file["links"]:
        keys = dict(link) if isinstance(link, dict) else {"ends": link}
        made.link(*keys.pop("ends"), **keys)
    nodes = [(n.name, n.interfaces, n.routes) for n in made.resolve().nodes]
    expected = [(n.name, n.interfaces, n.routes) for n in loads(drawn.text).nodes]
    assert [n[0] for n in nodes] == [n[0] for n in expected]
    assert [[i.addresses for i in n[1]] for n in nodes] == [
        [i.addresses for i in n[1]] for n in expected
    ]


def test_problems_are_those_of_a_file():
    with pytest.raises(InputError) as caught:
        netlab.Topology().host("a", gatway="b").host("b").link("a", "c").resolve()
    said = str(caught.value)
    assert "error[E201]: unknown key `gatway`" in said
    assert "error[E224]: unknown node `c`" in said
    assert '"a": {"kind": "host", "gatway": "b"}' in said


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_state")
def test_the_program_of_the_page_runs():
    section = PAGE.read_text().split("## In Python")[1]
    program = section.split("```python\n")[1].split("```")[0]
    exec(compile(program, "docs/topology.md", "exec"), {})
