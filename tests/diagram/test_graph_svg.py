from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from netlab.diagram import graph
from netlab.topology import load
from tests.diagram import shapes, strategies
from tests.diagram.labs import LABS

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.topology.model import Topology

SHIPPED = sorted((Path(__file__).parents[2] / "topologies").glob("*.yaml"))
CARDS = tuple(f"f-card s-{kind}" for kind in ("host", "router", "nat", "bridge", "stack"))


def legible(document: str) -> None:
    """No text meets another text, a wire, or the edge of what holds it."""
    drawing = shapes.read(document)
    for text in drawing.texts:
        assert drawing.page.holds(text), text
    for one, other in combinations(drawing.texts, 2):
        assert not one.meets(other), (one, other)
    for line in drawing.lines:
        for text in drawing.texts:
            assert not any(
                text.left < x < text.right and text.top < y < text.bottom for x, y in line
            ), text
    cards = [box for box in drawing.boxes if box.what in CARDS]
    for one, other in combinations(cards, 2):
        assert not one.meets(other), (one, other)
    for box in drawing.boxes:
        if box.what != "f-nat-tint s-nat":  # a realm ends inside its NAT
            for text in drawing.texts:
                assert box.holds(text) or not box.meets(text), (box, text)


@pytest.mark.parametrize("name", LABS)
def test_every_text_can_be_read(name: str) -> None:
    legible(graph.svg(LABS[name]))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_text_of_what_is_shipped_can_be_read(path: Path) -> None:
    topology = load(path)
    document = graph.svg(topology)
    legible(document)
    written = {text.what for text in shapes.read(document).texts}
    for node in topology.nodes:
        assert node.name in written
        for interface in node.interfaces:
            for address in interface.addresses:
                assert any(str(address.ip) in text for text in written)


@given(strategies.topologies())
@settings(max_examples=60, deadline=None)
def test_every_text_of_any_topology_can_be_read(topology: Topology) -> None:
    legible(graph.svg(topology))


@pytest.mark.parametrize("name", ["nat", "three-sites", "two-clients"])
def test_looks_as_approved(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.svg", graph.svg(LABS[name]))


def test_a_path_is_one_straight_line() -> None:
    lines = shapes.read(graph.svg(LABS["nat"])).lines
    assert len(lines) >= 3  # one for each link
    for line in lines:
        assert len({round(y) for _, y in line}) == 1


def test_the_inside_is_on_the_left() -> None:
    left = {
        text.what: text.left
        for text in shapes.read(graph.svg(LABS["three-sites"])).texts
        if text.what in {"s1c1", "s3c3", "site1", "site3", "core", "server"}
    }
    assert max(left["s1c1"], left["s3c3"]) < min(left["site1"], left["site3"])
    assert max(left["site1"], left["site3"]) < left["core"] < left["server"]


def test_realms_hold_what_is_behind_a_nat_and_nothing_else() -> None:
    drawing = shapes.read(graph.svg(LABS["cgn"]))
    realms = [box for box in drawing.boxes if box.what == "f-nat-tint s-nat"][:3]
    inside = [
        {
            name
            for name in ("alice", "bob", "router", "server")
            for text in drawing.texts
            if text.what == name and realm.holds(text)
        }
        for realm in realms
    ]
    assert inside == [{"alice", "bob"}, {"alice"}, {"bob"}]


def test_markup_in_names_stays_text() -> None:
    hostile = LABS["single"]
    hostile = type(hostile)('<script>"&', hostile.file, "a < b & c", hostile.nodes, hostile.links)
    document = graph.svg(hostile)
    assert "<script" not in document
    assert '<script>"&' in {text.what for text in shapes.read(document).texts}


def test_control_characters_reach_neither_a_terminal_nor_a_parser() -> None:
    topology = replace(LABS["single"], description="ring\a the \x1b[31mbell\x00")
    legible(graph.svg(topology))
    assert "ring the [31mbell" in graph.text(topology)


def test_needs_nothing_from_outside() -> None:
    document = graph.svg(LABS["three-sites"])
    assert "http" not in document.replace("http://www.w3.org/2000/svg", "").replace("http :80", "")
    assert "url(" not in document
    assert "@import" not in document


def test_can_be_heard() -> None:
    document = graph.svg(LABS["nat"])
    assert 'role="img" aria-labelledby="title desc"' in document
    assert "client (eth0 192.168.1.2) is linked to nat (lan 192.168.1.1)" in document
