from __future__ import annotations

from netlab.plan import inline
from netlab.plan.build import build
from netlab.plan.operations import CreateVeth, DisableOffloads, StartProgram
from netlab.topology import loads

FILE = """
nodes: {client: {}, middle: {kind: router}, server: {kind: router}}
links:
  - [client:eth0, middle:a]
  - {ends: [client:eth1, server:eth0], loss: 3/20, seed: 7, inbound: {rate: 1mbit}, middleboxes: [split]}
  - {ends: [middle:b, server:eth1], delay: 1ms}
"""  # noqa: E501 - a file is what it is


def test_a_link_with_boxes_becomes_two_and_a_node_with_a_free_name():
    topology = inline.insert_inline_nodes(loads(FILE))
    assert [n.name for n in topology.nodes] == [
        "client",
        "middle",
        "server",
        "client~server",
        "middle~server",
    ]
    assert [(link.a, link.b) for link in topology.links] == [
        (("client", "eth0"), ("middle", "a")),
        (("client", "eth1"), ("client~server", "a")),
        (("client~server", "b"), ("server", "eth0")),
        (("middle", "b"), ("middle~server", "a")),
        (("middle~server", "b"), ("server", "eth1")),
    ]


def test_only_the_far_ends_lose_their_offloads():
    plan = build(loads(FILE))
    plain = [(o.node, o.name) for o in plan.operations if isinstance(o, DisableOffloads)]
    assert plain == [
        ("client", "eth1"),
        ("middle", "b"),
        ("server", "eth0"),
        ("server", "eth1"),
    ]


def test_the_program_is_given_its_boxes_as_data():
    plan = build(loads(FILE, "wires.yaml"))
    first, _ = (o for o in plan.operations if isinstance(o, StartProgram))
    assert first.node == "client~server"
    assert first.ready == "log ^ready$"
    assert first.arguments == [
        {
            "kind": "impair",
            "parameters": {"loss": "3/20", "direction": "outbound", "seed": 7},
            "seed": 0,
            "topology": "wires.yaml:5",
        },
        {
            "kind": "impair",
            "parameters": {"rate": "1mbit", "loss": "3/20", "direction": "inbound", "seed": 7},
            "seed": 0,
            "topology": "wires.yaml:5",
        },
        {"kind": "split", "parameters": {}, "seed": 0, "topology": "wires.yaml:5"},
    ]


def test_without_boxes_nothing_changes():
    topology = loads("nodes: {a: {}, b: {}}\nlinks: [[a:eth0, b:eth0]]")
    assert inline.insert_inline_nodes(topology) is topology
    assert sum(isinstance(o, CreateVeth) for o in build(topology).operations) == 1


def test_two_links_between_the_same_nodes_get_two_names():
    links = "[{ends: [a:x, b:x], delay: 1ms}, {ends: [a:y, b:y], delay: 1ms}]"
    topology = inline.insert_inline_nodes(loads(f"nodes: {{a: , b: }}\nlinks: {links}\n"))
    assert [n.name for n in topology.nodes] == ["a", "b", "a~b", "a~b~2"]
