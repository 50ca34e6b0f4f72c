"""What cannot be seen apart in its place, measured in a lab of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.verify import box_rows
from netlab.verify.bench import Bench
from netlab.verify.box_rows import compressed, is_alone, link_name
from netlab.verify.measure import ALONE
from netlab.verify.nat64 import check_nat64
from netlab.verify.nptv6 import check_nptv6
from netlab.verify.probe import one_cpu

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.topology.model import Box, Topology
    from netlab.verify.check import Check

THROUGH_NODE = """
name: verify-box
nodes: {client: {}, router: {kind: router}, server: {}}
links:
  - {ends: [client:eth0, router:a], subnet: 10.0.0.0/24}
  - {ends: [router:b, server:eth0], subnet: 10.0.1.0/24}
"""
THROUGH_LINK = """
name: verify-box
nodes: {client: {}, server: {}}
links: [{ends: [client:eth0, server:eth0], subnet: 10.0.0.0/24}]
"""


def check_alone(topology: Topology, checks: list[Check]) -> Iterator[Check]:
    """The rows, and in the place of those that share theirs, those of the boxes alone."""
    left = [c for c in checks if not (c.why in (box_rows.SHARED, ALONE) or _slow(c))]
    yield from left
    for node in topology.nodes:
        for box in node.middleboxes:
            if not is_alone(node) or compressed(box) != box:
                for check in at_node(box):
                    yield check._replace(node=node.name)
        yield from check_nat64(node)
        yield from check_nptv6(node)
    for link in topology.links:
        if len(link.middleboxes) < 2 or all(b.kind == "impair" for b in link.middleboxes):
            continue
        for box in link.middleboxes:
            if box.kind:
                for check in on_link(box):
                    yield check._replace(node=link_name(link))


def _slow(check: Check) -> bool:
    """Rows that a box with shorter times has instead."""
    return check.name.startswith("idle-timeout") and bool(check.why)


def node_lab(box: Box) -> Topology:
    """A router that is this box, between a client and a server."""
    given = dict(box.parameters)
    if "inside" in given:
        given["inside"] = "a"
    only = (replace(box, parameters=tuple(given.items())),)
    topology = loads(THROUGH_NODE, "verify")
    nodes = tuple(replace(n, middleboxes=only) if n.name == "router" else n for n in topology.nodes)
    return replace(topology, nodes=nodes)


def link_lab(*boxes: Box) -> Topology:
    """A client and a server, and between them a link with these boxes."""
    topology = loads(THROUGH_LINK, "verify")
    (link,) = topology.links
    return replace(topology, links=(replace(link, middleboxes=boxes),))


def at_node(box: Box) -> list[Check]:
    """The rows of a box made of rules, in a lab of its own."""
    topology = node_lab(compressed(box))
    router = topology.node("router")
    with one_cpu(), Lab(topology) as lab, Bench(lab, topology, router, own=True) as bench:
        return list(box_rows.check_node(bench))


def on_link(box: Box) -> list[Check]:
    """The rows of a box that is a program, in a lab of its own."""
    topology = link_lab(box)
    with one_cpu(), Lab(topology) as lab:
        return list(box_rows.check_link(lab, topology, topology.links[0]))
