"""Packets' ways over a topology: what is drawn, that it can be read, and where it ends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.diagram import graph
from netlab.diagram.paths import Leg, Way, span
from netlab.diagram.topology.path_overlay import MOST_LANES
from tests.diagram import shapes, strategies
from tests.diagram.labs import LABS
from tests.diagram.test_graph_svg import legible

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.topology.model import Topology

REASON = 'forward chain, rule "first-packet-only" (one-packet-filter.yaml:17)'


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((), ""),
        ((1,), "#1"),
        ((5, 2, 3, 4), "#2-5"),
        ((1, 3, 5), "#1 #3 #5"),
        ((1, 3, 5, 7, 8), "#1 #3 …"),
    ],
)
def test_numbers_in_short(numbers, shown):
    assert span(numbers) == shown


@st.composite
def drawings(draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[Topology, list[Way]]:
    """A topology and walks along its links, with any end."""
    topology = draw(strategies.topologies())
    ways = []
    for number in range(draw(st.integers(0, 4))):
        at = draw(st.sampled_from(topology.nodes)).name
        legs = []
        for _ in range(draw(st.integers(0, 4))):
            out = [end for link in topology.links for end in ((link.a, link.b), (link.b, link.a))
                   if end[0][0] == at and link.a[0] != link.b[0]]  # fmt: skip
            if not out:
                break
            (node, interface), (at, _) = draw(st.sampled_from(out))
            legs.append(Leg(node, interface, draw(st.booleans())))
        ending = draw(st.sampled_from(["arrived", "dropped", "lost", "onward"]))
        rewrites = ((at, "IP::Src 192.168.1.2 -> 203.0.113.2"),) if draw(st.booleans()) else ()
        ways.append(Way((number + 1,), tuple(legs), at, ending, REASON, rewrites))
    return topology, ways


@given(drawings())
@settings(max_examples=15)
def test_every_text_can_be_read_whatever_way_packets_go(drawn):
    topology, ways = drawn
    document = graph.svg(topology, ways)
    legible(document)
    found = shapes.read(document)
    labels = [text for text in found.texts if not text.what.startswith("#")]
    for lane in found.lanes:
        for text in labels:
            cards = any(
                box.what.startswith("f-card") and box.holds(text) for box in found.boxes
            )  # a way passes under a card
            assert cards or not any(
                text.left < x < text.right and text.top < y < text.bottom for x, y in lane
            ), text


THERE = (
    Leg("client", "eth0"),
    Leg("nat", "wan", rewritten=True),
    Leg("router", "eth1", rewritten=True),
)


def test_each_way_has_a_lane_and_says_what_became_of_it():
    ways = [
        Way((1,), THERE, "server", "arrived", "", (("nat", "IP::Src a -> b"),)),
        Way((2, 3), THERE[:1], "nat", "dropped", "its policy"),
        Way((4,), THERE[:2], "router", "lost", "noise"),
    ]
    document = graph.svg(LABS["nat"], ways)
    found = shapes.read(document)
    written = [text.what for text in found.texts]
    assert len(found.lanes) == 6
    assert written.count("#1") == 3  # where it leaves each card
    assert {"#1 arrived", "#2-3 its policy", "#4 noise"} <= set(written)
    assert "#1 IP::Src a -> b" in written
    assert 'data-packets="2 3"' in document
    assert "#2-3: client → nat, died there: its policy." in document


def crosses(*ways: Way) -> list[float]:
    """How far right the crosses stand, in the drawing of a path from client to server."""
    return [float(x) + 8 for x in
            re.findall(r"M(\S+) \S+l16 16m0 -16l-16 16", graph.svg(LABS["nat"], ways))]  # fmt: skip


def test_a_cross_stands_where_packets_died():
    [on_wire] = crosses(Way((1,), THERE[:1], "client", "lost", "noise"))
    [at_nat] = crosses(Way((1,), THERE[:1], "nat", "dropped", "no"))
    [leaving] = crosses(Way((1,), THERE[:1], "client", "dropped", "no"))
    assert leaving < on_wire < at_nat
    assert not crosses(Way((1,), (), "client", "dropped", "no route"))
    assert not crosses(Way((1,), THERE, "server", "arrived"))


def test_no_more_ways_than_can_be_told_apart():
    ways = [Way((n,), THERE, "server", "arrived") for n in range(1, 20)]
    found = shapes.read(graph.svg(LABS["nat"], ways))
    assert len(found.lanes) == MOST_LANES * len(THERE)
