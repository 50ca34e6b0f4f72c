from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from netlab.diagram import graph
from netlab.diagram.paths import Leg, Way
from netlab.diagram.sequence.draw import svg as ladder_svg
from netlab.diagram.sequence.model import Arrow, Column, Ladder
from netlab.diagram.topology.view_model import Mark, portray
from netlab.plan.inline import insert_inline_nodes
from netlab.topology import loads
from netlab.topology.nat import Translator
from tests.diagram.labs import HOST, LABS, NAT, ROUTER, lab


def test_a_bridge_shows_the_subnet_of_its_lan() -> None:
    cards = {card.name: card for card in portray(LABS["lan"]).cards}
    assert cards["switch"].networks == ("10.0.0.0/24",)
    assert cards["h1"].networks == ()


def test_realms_nest() -> None:
    realms = {card.name: card.realm for card in portray(LABS["cgn"]).cards}
    assert realms["alice"] == ("nat", "home1")
    assert realms["home1"] == ("nat",)
    assert realms["nat"] == realms["server"] == ()


def test_a_nat_that_can_be_walked_around_has_no_inside() -> None:
    topology = lab(
        "around",
        "",
        {"a": HOST, "nat": NAT, "r": ROUTER},
        [
            "a e0 10.0.0.1/24 -- nat lan 10.0.0.2/24",
            "nat wan 10.0.1.1/24 -- r e0 10.0.1.2/24",
            "a e1 10.0.2.1/24 -- r e1 10.0.2.2/24",
        ],
    )
    assert portray(topology).realms == ()


def test_wires_run_from_inside_to_outside_whichever_way_they_were_written() -> None:
    topology = LABS["nat"]
    turned = replace(
        topology, links=tuple(replace(link, a=link.b, b=link.a) for link in topology.links)
    )
    ends = [(wire.a.node, wire.b.node) for wire in portray(turned).wires]
    assert ends[:2] == [("client", "nat"), ("nat", "router")]


def test_an_address_off_the_subnet_of_its_wire_keeps_its_prefix() -> None:
    topology = lab("odd", "", {"a": HOST, "b": HOST}, ["a e 10.0.0.1/24 -- b e 10.0.9.1/30"])
    (wire,) = portray(topology).wires
    assert (wire.a.notes, wire.b.notes) == (("10.0.0.1",), ("10.0.9.1/30",))


def test_a_translator_is_named_by_its_mapping_and_filtering() -> None:
    nat = Translator("wan", (IPv4Address("203.0.113.2"),), filtering="address-dependent")
    topology = lab("t", "", {"nat": {"kind": "nat", "nat": (nat,)}}, [])
    (card,) = portray(topology).cards
    assert card.marks == (Mark("nat", ("NAT wan", "EIM/ADF")),)


def test_an_unusual_mtu_is_shown_once_or_at_the_end_that_has_it() -> None:
    both, one = (
        lab("m", "", {"a": HOST, "b": HOST}, ["a e 10.0.0.1/24 -- b e 10.0.0.2/24 @1280"]),
        lab("m", "", {"a": HOST, "b": HOST}, ["a e 10.0.0.1/24 -- b e 10.0.0.2/24"]),
    )
    assert portray(both).wires[0].notes == ("10.0.0.0/24", "MTU 1280")
    node = one.nodes[0]
    small = replace(node, interfaces=(replace(node.interfaces[0], mtu=1400),))
    (wire,) = portray(replace(one, nodes=(small, one.nodes[1]))).wires
    assert wire.a.notes == ("10.0.0.1", "MTU 1400")
    assert wire.b.notes == ("10.0.0.2", "MTU 1500")


def test_a_node_says_which_boxes_stand_at_it() -> None:
    boxes = "ecn-bleach, mss-clamp, strict-window, ttl-normalise, ip-id, reset"
    text = f"nodes: {{a: , r: {{kind: router, middleboxes: [{boxes}]}}}}\nlinks: [[a:e, r:e]]\n"
    topology = loads(text, "boxes.yaml")
    [mark] = portray(topology).cards[1].marks
    assert mark.kind == "boxes"
    assert mark.lines == ("ecn-bleach", "mss-clamp", "strict-window", "ttl-normalise", "2 more")
    for draw in (graph.svg, graph.text, graph.dot, graph.mermaid):
        assert "strict-window" in draw(topology)


def test_a_link_says_what_is_in_it() -> None:
    text = (
        "nodes: {a: , b: }\n"
        "links:\n"
        "  - {ends: [a:e, b:e], subnet: 10.0.0.0/24, delay: 20ms, loss: 2%, seed: 7,"
        " middleboxes: [sequence-rewrite]}\n"
    )
    [wire] = portray(loads(text, "wire.yaml")).wires
    assert wire.notes == ("10.0.0.0/24", "delay 20ms, loss 2%", "sequence-rewrite")


def test_a_wire_with_boxes_is_a_node_where_packets_are_followed() -> None:
    topology = insert_inline_nodes(
        loads("nodes: {a: , b: }\nlinks: [{ends: [a:e, b:e], loss: 2%}]\n", "w.yaml")
    )
    cards = {card.name: card for card in portray(topology).cards}
    assert cards["a~b"].kind == "inline"
    assert cards["a~b"].programs == ()
    drawn = graph.svg(topology, [Way((1,), (Leg("a", "e"),), "a~b", "dropped", "its seed")])
    assert "#1 its seed" in drawn
    ladder = Ladder(
        "",
        (Column("a"), Column("a~b", "inline")),
        (Arrow(0, "a", "a~b", "UDP"),),
    )
    assert "s-inline" in ladder_svg(ladder)
