from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from netlab.diagram import graph
from netlab.diagram.primitives.metrics import cells
from netlab.topology import load
from tests.diagram import strategies
from tests.diagram.labs import LABS

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.topology.model import Topology


SHIPPED = sorted((Path(__file__).parents[2] / "topologies").glob("*.yaml"))


@pytest.mark.parametrize("name", LABS)
def test_looks_as_approved(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.txt", graph.text(LABS[name]))


def test_the_same_picture_in_ascii(golden: Callable[[str, str], None]) -> None:
    drawing = graph.text(LABS["lan"], unicode=False)
    assert drawing.isascii()
    golden("lan.ascii.txt", drawing)


@pytest.mark.parametrize("name", ["nat", "lan", "firewall", "stack", "two-clients", "cgn", "ring"])
def test_small_labs_are_pictures(name: str) -> None:
    drawing = graph.text(LABS[name])
    assert "┴" in drawing or "┤" in drawing
    assert max(map(cells, drawing.splitlines())) <= 100


def test_less_room_turns_a_picture_and_then_makes_it_a_list() -> None:
    lying, standing, listed = (graph.text(LABS["nat"], width=n) for n in (100, 60, 15))
    assert "├──" in lying
    assert "┴" not in lying
    assert "┴" in standing
    assert "├──" not in standing
    assert "╭" not in listed
    assert "╰─ eth0  192.168.1.2  → nat lan" in listed


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_is_a_picture(path: Path) -> None:
    drawing = graph.text(load(path))
    assert "╮" in drawing
    assert max(map(cells, drawing.splitlines())) <= 100


@given(strategies.topologies())
@settings(max_examples=100, deadline=None)
def test_any_topology_is_told_whole(topology: Topology) -> None:
    drawing = graph.text(topology)
    assert drawing == graph.text(topology)
    assert drawing.endswith("\n")
    assert not drawing.endswith("\n\n")
    for node in topology.nodes:
        assert node.name in drawing
        for interface in node.interfaces:
            assert interface.name in drawing
            for address in interface.addresses:
                assert str(address.ip) in drawing
    for link in topology.links:
        for network in link.networks:
            assert str(network) in drawing
