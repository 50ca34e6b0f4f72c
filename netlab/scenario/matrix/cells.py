"""From a step of a scenario to its cells, each with the plan of its lab."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

from netlab.plan.build import build
from netlab.scenario.matrix import traffic
from netlab.topology import source
from netlab.topology.problems import Problems
from netlab.topology.resolve import resolve
from netlab.topology.source import Listing, Mapping, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from netlab.plan.operations import Plan
    from netlab.scenario.model import Matrix, Obstacle


class Cell(NamedTuple):
    """One kind of traffic against one obstacle: everything that a worker has to know."""

    traffic: str
    obstacle: str
    source: str
    target: str
    box: str
    plan: Plan


def cells(matrix: Matrix, scenario: Path, topology: Path) -> Iterator[Cell]:
    """All cells, row by row; ``InputError`` with what is wrong with an obstacle, at its place.

    ``scenario`` is the file with the obstacles, ``topology`` the one into which they are put.
    """
    problems = Problems(str(scenario))
    # Only to have the offending line at hand; it was parsed when the scenario was read.
    source.parse(source.read(scenario, problems), problems)
    template = source.parse(source.read(topology, problems), Problems(str(topology)))
    for obstacle in matrix.obstacles:
        plans: dict[bool, Plan] = {}
        for name in matrix.traffic:
            kind = traffic.find(name)
            assert kind
            if kind.needs_tun not in plans:
                tree = _put(obstacle, matrix, copy.deepcopy(template), tun=kind.needs_tun)
                plans[kind.needs_tun] = build(resolve(tree, problems, topology.stem))
            yield Cell(
                name, obstacle.name, matrix.source, matrix.target, matrix.box, plans[kind.needs_tun]
            )


def _put(obstacle: Obstacle, matrix: Matrix, tree: Mapping, *, tun: bool) -> Mapping:
    """The topology with the obstacle in it; without ``tun`` no node has a stack of its own."""
    nodes = tree.entries["nodes"][1]
    assert isinstance(nodes, Mapping)
    node = nodes.entries[matrix.box][1]
    if not isinstance(node, Mapping):  # `box:` and nothing behind it
        key = nodes.entries[matrix.box][0]
        node = Mapping(key.line, key.column)
        nodes.entries[matrix.box] = (key, node)
    node.entries.update(obstacle.node.entries)
    _link(tree, matrix.wire).entries.update(obstacle.link.entries)
    for _, each in nodes.entries.values():
        if not tun and isinstance(each, Mapping) and "stack" in each.entries:
            del each.entries["stack"], each.entries["kind"]
    return tree


def _link(tree: Mapping, end: str) -> Mapping:
    """The link with this end, which the scenario's reader has seen there."""
    listing = tree.entries["links"][1]
    assert isinstance(listing, Listing)
    for number, link in enumerate(listing.items):
        if isinstance(link, Listing):  # the short form
            link = Mapping(link.line, link.column, {"ends": (_scalar("ends", link), link)})  # noqa: PLW2901
            listing.items[number] = link
        assert isinstance(link, Mapping)
        ends = link.entries["ends"][1]
        assert isinstance(ends, Listing)
        if any(isinstance(each, Scalar) and each.value == end for each in ends.items):
            return link
    raise AssertionError(f"no link has the end {end}")


def _scalar(text: str, place: Listing) -> Scalar:
    return Scalar(text, place.line, place.column)
