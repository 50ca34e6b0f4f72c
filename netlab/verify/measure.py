"""Everything that a topology declares, in its place in a lab that is up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.topology.model import Masquerade, Nat64, Nptv6, StaticNat
from netlab.topology.nat import Translator
from netlab.verify import box_rows, firewall_rows, nat_rows
from netlab.verify.bench import Bench
from netlab.verify.check import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.lab.lab import Lab
    from netlab.topology.model import Link, Node, Topology

ALONE = "alone it is measured by `netlab verify FILE`"


def declares(topology: Topology) -> bool:
    """Whether there is anything to measure."""
    return any(n.nat or n.firewall or n.middleboxes for n in topology.nodes) or any(
        link.middleboxes for link in topology.links
    )


def quiet(topology: Topology) -> Topology:
    """The same lab without the author's programs: they have no part in what is measured."""
    nodes = tuple(replace(node, programs=()) for node in topology.nodes)
    return replace(topology, nodes=nodes)


def measured(
    lab: Lab,
    topology: Topology,
    *,
    own: bool,
    only: Callable[[Node | Link], bool] = lambda _: True,
) -> Iterator[Check]:
    """All rows; with ``own`` time may be made to pass in the lab.

    ``only`` chooses nodes and links.
    """
    for node in topology.nodes:
        if (node.nat or node.firewall or node.middleboxes) and only(node):
            yield from check_node(lab, topology, node, own=own)
    for link in topology.links:
        if link.middleboxes and only(link):
            yield from box_rows.check_link(lab, topology, link)


def check_node(lab: Lab, topology: Topology, node: Node, *, own: bool) -> Iterator[Check]:
    """All that is declared of one node."""
    with Bench(lab, topology, node, own=own) as bench:
        hairpins = {n.outside for n in node.nat if isinstance(n, Translator) and n.hairpinning}
        for nat in node.nat:
            if isinstance(nat, (Masquerade, Translator)):
                yield from nat_rows.check_nat(bench, nat)
            elif isinstance(nat, StaticNat):
                yield from nat_rows.check_static(bench, nat, hairpins=nat.outside in hairpins)
            elif isinstance(nat, Nat64):
                yield Check(node.name, "nat64", "RFC 7915", None, why=ALONE)
            elif isinstance(nat, Nptv6):
                yield Check(node.name, "nptv6", "RFC 6296", None, why=ALONE)
        yield from box_rows.check_node(bench)
        yield from firewall_rows.check(bench)
