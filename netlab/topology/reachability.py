"""Whether every node has to do with the others: by wires, and by packets.

Nodes that no wire leads to are a mistake, unless the file says otherwise. Nodes that are joined by
wires but not by IP, as the two sides of an application proxy, may be meant; a note says so.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING

import networkx as nx

from netlab.topology import nat64
from netlab.topology.routing_domain import forwards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.topology.builder import TopologyBuilder, Wiring

    Homes = frozenset[int]


def check_reachable(builder: TopologyBuilder, wiring: Wiring) -> list[str]:
    """Note nodes without a link and parts without a wire between them; what else may surprise."""
    _check_links(builder, wiring)
    if not builder.form.disjoint and not builder.partial:
        _check_wires(builder, wiring)
    return list(dict.fromkeys(_not_by_ip(builder, wiring)))


def _check_links(builder: TopologyBuilder, wiring: Wiring) -> None:
    nodes = builder.form.nodes
    for name, node in nodes.items():
        alone = len(nodes) == 1 or node.isolated or name in builder.incomplete
        if not wiring.by_node[name] and not alone:
            builder.problems.add(
                "E229",
                f"`{name}` has no link",
                builder.at_key("nodes", name),
                "add one under `links:`, or say `isolated: true`",
            )


def _check_wires(builder: TopologyBuilder, wiring: Wiring) -> None:
    nodes = builder.form.nodes
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(name for name, ends in wiring.by_node.items() if ends)
    graph.add_edges_from((a.node, b.node) for a, b in wiring.links.values())
    parts = list(nx.connected_components(graph))
    order = list(nodes).index
    main = max(parts, key=lambda part: (len(part), -min(map(order, part))), default=set())
    for part in parts:
        members = sorted(part, key=order)
        if part is main or any(nodes[name].isolated for name in members):
            continue
        builder.problems.add(
            "E230",
            f"no wire leads from `{members[0]}` to `{min(main, key=order)}`",
            builder.at_key("nodes", members[0]),
            "add a link, or say `isolated: true` at a node of it or `disjoint: true` for the file",
        )


def _not_by_ip(builder: TopologyBuilder, wiring: Wiring) -> Iterator[str]:
    """Hosts between two networks that pass nothing on, where somebody might expect it."""
    nodes = builder.form.nodes
    homes = _homes(builder, wiring)
    groups: dict[Homes, str] = {}
    for name, home in homes.items():
        if nodes[name].kind != "bridge":
            groups.setdefault(home, name)
    at_home: dict[int, list[Homes]] = defaultdict(list)
    for home in groups:
        for number in home:
            at_home[number].append(home)
    for home, name in groups.items():
        if len(home) < 2 or forwards(nodes[name]):
            continue
        for one, other in combinations(sorted(home), 2):
            for a in at_home[one]:
                far = next((b for b in at_home[other] if not a & b), None)
                if far is not None:
                    place = builder.origin_key("nodes", name)
                    yield (
                        f"{place.file}:{place.line}: note: `{groups[a]}` cannot send to"
                        f" `{groups[far]}` by IP: `{name}` between them does not forward"
                        " (`kind: router` would)"
                    )
                    break


def _homes(builder: TopologyBuilder, wiring: Wiring) -> dict[str, Homes]:
    """For each node the networks, joined by what forwards, that it is on."""
    nodes = builder.form.nodes
    graph: nx.Graph[tuple[int, int]] = nx.Graph()
    # A vertex is a segment in one IP version; a lab may be joined by either.
    for lan in wiring.lans:
        graph.add_nodes_from((lan.index, version) for version in lan.networks)
        nx.add_path(graph, [(lan.index, version) for version in lan.networks])
    on: dict[str, list[tuple[int, int]]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for end in wiring.by_node[name]:
            if end.lan:
                on[name] += [(end.lan.index, v) for v in end.networks]
        if forwards(node):
            for version in (4, 6):
                nx.add_path(graph, [v for v in on[name] if v[1] == version])
        if nat64.device(wiring, name):
            nx.add_path(graph, on[name])
    component: dict[tuple[int, int], int] = {}
    for number, members in enumerate(nx.connected_components(graph)):
        component.update(dict.fromkeys(members, number))
    return {name: frozenset(component[v] for v in on[name]) for name in nodes}
