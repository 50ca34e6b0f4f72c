"""Who sees which subnet: the graph of forwarding nodes for one IP family.

Masquerading hides what is inside (RFC 3022): a packet from outside sees only a NAT's
outside segments, who comes from inside sees both. A NAT is therefore two vertices of a directed
graph, one for each way in, and the routing domains follow from what can be reached in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import networkx as nx

from netlab.topology.aggregate import Aggregate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlab.topology.builder import Lan, TopologyBuilder, Wiring
    from netlab.topology.model import Address
    from netlab.topology.schema import NodeForm


class Hop(NamedTuple):
    """A next hop as its user sees it: out of ``interface`` to ``gateway``."""

    interface: str
    gateway: Address


class Step(NamedTuple):
    """A way to a vertex, and the next hop it begins with."""

    vertex: int
    hop: Hop


class RoutingDomain:
    """The forwarding graph of one IP version, and shortest paths over it."""

    def __init__(self, builder: TopologyBuilder, wiring: Wiring, version: int) -> None:
        self.version = version
        self.wiring = wiring
        self.outside = {n: outside_of(builder, n, version) for n in builder.form.nodes}
        self.graph: nx.DiGraph[int] = nx.DiGraph()
        self._full: dict[str, int] = {}
        self._masked: dict[str, int] = {}
        self._lans: list[list[int]] = []
        for name, node in builder.form.nodes.items():
            if not forwards(node) or node.kind == "stack":
                continue
            self._full[name] = self._vertex(name, masked=False)
            self._masked[name] = (
                self._vertex(name, masked=True) if self.outside[name] else self._full[name]
            )
        self._entries = [self._entries_of(lan) for lan in wiring.lans]
        self.steps = [self._steps_from(v) for v in self.graph.nodes]
        for vertex, steps in enumerate(self.steps):
            self.graph.add_edges_from((vertex, step.vertex) for step in steps)
        self._next = [list(self.graph.adj[v]) for v in range(len(self.steps))]
        self._views = self._find_views()
        self.summary = Aggregate(
            {s.index: s.networks[version] for s in wiring.lans if version in s.networks}
        )

    def _vertex(self, name: str, *, masked: bool) -> int:
        vertex = len(self._lans)
        self.graph.add_node(vertex, name=name, masked=masked)
        outside = self.outside[name]
        self._lans.append(
            [
                e.lan.index
                for e in self.wiring.by_node[name]
                if e.lan
                and self.version in e.networks
                and not (masked and e.interface and e.interface not in outside)
            ]
        )
        return vertex

    def _steps_from(self, vertex: int) -> list[Step]:
        node = self.graph.nodes[vertex]
        allowed = self.outside[node["name"]] if node["masked"] else None
        return self.steps_of(node["name"], allowed)

    def steps_of(self, name: str, allowed: Iterable[str] | None = None) -> list[Step]:
        """The forwarding neighbours of a node, in the order of its interfaces and of the file."""
        return [
            Step(vertex, Hop(end.interface, gateway))
            for end in self.wiring.by_node[name]
            if end.lan and (allowed is None or end.interface in allowed)
            for node, vertex, gateway in self._entries[end.lan.index]
            if node != name
        ]

    def _entries_of(self, lan: Lan) -> list[tuple[str, int, Address]]:
        """Who forwards on a segment: node, vertex that is entered by it, address."""
        entries = []
        for end in lan.ends:
            gateway = end.address(self.version)
            if gateway and end.node in self._full:
                masked = end.interface in self.outside[end.node]
                vertex = (self._masked if masked else self._full)[end.node]
                entries.append((end.node, vertex, gateway))
        return entries

    def own_segments(self, name: str) -> list[int]:
        """Segments on which a node has an address of this family."""
        return [
            e.lan.index for e in self.wiring.by_node[name] if e.lan and self.version in e.networks
        ]

    def leads_on(self, step: Step) -> bool:
        """Whether a next hop has any other segment to offer."""
        return self._views[step.vertex].bit_count() > 1

    def _find_views(self) -> list[int]:
        """For each vertex the segments that can be reached from it, as bits.

        Vertices that reach each other see the same, so that one sweep over the components
        serves all, those that lead nowhere else first.
        """
        condensed = nx.condensation(self.graph)
        views: dict[int, int] = {}
        for component in reversed(list(nx.topological_sort(condensed))):
            view = 0
            for vertex in condensed.nodes[component]["members"]:
                for lan in self._lans[vertex]:
                    view |= 1 << lan
            for following in condensed.adj[component]:
                view |= views[following]
            views[component] = view
        mapping = condensed.graph["mapping"]
        return [views[mapping[vertex]] for vertex in range(len(self._next))]

    def view_of(self, name: str) -> int:
        """The segments that a node can send to, as bits."""
        view = 0
        for lan in self.own_segments(name):
            view |= 1 << lan
        for step in self.steps_of(name):
            view |= self._views[step.vertex]
        return view

    def view_beyond(self, name: str) -> int:
        """The segments that can be reached from outside a NAT's translation, as bits."""
        return self._views[self._masked[name]]

    def paths(self, name: str) -> dict[Hop, list[int]]:
        """Remote segments by the next hop of a shortest path; ties go to the first in the file.

        A breadth-first walk that hands each vertex the first hop of its parent: networkx would
        build every path as a list, a thousand times too much in a chain of a thousand.
        """
        first: list[int] = [-1] * len(self._next)
        if name in self._full:
            first[self._full[name]] = first[self._masked[name]] = -2
        hops: list[Hop] = []
        queue = []
        for step in self.steps_of(name):
            if first[step.vertex] == -1:
                first[step.vertex] = len(hops)
                hops.append(step.hop)
                queue.append(step.vertex)
        for v in queue:
            hop = first[v]
            for w in self._next[v]:
                if first[w] == -1:
                    first[w] = hop
                    queue.append(w)
        seen = bytearray(len(self.wiring.lans))
        for s in self.own_segments(name):
            seen[s] = 1
        groups: list[list[int]] = [[] for _ in hops]
        for v in queue:
            for s in self._lans[v]:
                if not seen[s]:
                    seen[s] = 1
                    groups[first[v]].append(s)
        return {hop: sorted(group) for hop, group in zip(hops, groups, strict=True) if group}


def forwards(node: NodeForm) -> bool:
    """Whether packets may pass through a node."""
    if node.forwarding is not None:
        return node.forwarding
    return node.kind in ("router", "nat", "stack")


def outside_of(builder: TopologyBuilder, name: str, version: int) -> set[str]:
    """The interfaces of a node on which it hides what is inside; IPv6 is mostly passed as it is."""
    node = builder.form.nodes[name]
    if node.kind != "nat" or (version == 6 and not (node.nat and node.nat.nptv6)):
        return set()
    return {*node.outside, *(node.nat.masquerade if node.nat else ())}
