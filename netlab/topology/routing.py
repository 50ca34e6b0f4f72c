"""Routes and permanent neighbours.

A host sends everything to its gateway, the nearest node that leads on; a NAT sends what it does
not know to its outside; a router knows every subnet that it can see by its shortest path. Where
many of a router's subnets lie behind one next hop they are summed up, exactly: never to a prefix
that holds a subnet it does not lead to.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from netlab.topology import nat64
from netlab.topology.addressing import network_place
from netlab.topology.builder import TUN
from netlab.topology.model import MAIN_TABLE, Neighbour, Route
from netlab.topology.routing_domain import Hop, RoutingDomain, forwards
from netlab.topology.written_routes import DEFAULT, WrittenRoutes

if TYPE_CHECKING:
    from netlab.topology.builder import TopologyBuilder, Wiring
    from netlab.topology.model import Address, Network
    from netlab.topology.schema import NodeForm

SUM_UP = 32
"""More routes than this to one next hop are summed up; fewer are easier to read one by one."""
FULL_MESH = 128
"""On a LAN of more ends, ordinary hosts know only who forwards: n² entries would be too many."""


class Routing:
    """Routes of all nodes, and what each can see."""

    def __init__(self, builder: TopologyBuilder, wiring: Wiring) -> None:
        self.builder = builder
        self.wiring = wiring
        self._written = WrittenRoutes(builder, wiring)
        self.domains = [RoutingDomain(builder, wiring, version) for version in (4, 6)]
        self._leading = [
            [e for e in lan.ends if forwards(builder.form.nodes[e.node])] for lan in wiring.lans
        ]

    def routes(self, name: str) -> tuple[Route, ...]:
        """All routes of a node but those that its addresses bring."""
        node = self.builder.form.nodes[name]
        routes = self._written.routes(name)
        written = {r.destination for r in routes if (r.table, r.metric) == (MAIN_TABLE, 0)}
        routes += [
            Route(_single(address), None, TUN)
            for end in self.wiring.by_node[name]
            for address in end.answers
        ]
        routes += nat64.routes(self.wiring, name)
        if node.automatic_routes:
            for domain in self.domains:
                ends_here = not _routes_for_others(node)
                if ends_here and DEFAULT[domain.version] in written:
                    continue
                routes += [
                    r for r in self._automatic(domain, name, node) if r.destination not in written
                ]
        return tuple(routes)

    def _automatic(self, domain: RoutingDomain, name: str, node: NodeForm) -> list[Route]:
        if not domain.own_segments(name):
            return []
        steps = domain.steps_of(name)
        if len(steps) <= 1 and not _routes_for_others(node):
            # Most nodes of a large lab: one way out, and no need to look where it leads.
            leads = [s.hop for s in steps if domain.leads_on(s)]
            return [self._route(DEFAULT[domain.version], hop) for hop in leads]
        default: Hop | None = None
        paths = domain.paths(name)
        if node.kind == "nat":
            outside = domain.outside[name]
            default = next((h for h in paths if h.interface in outside), None)
        elif not _routes_for_others(node):
            default = next(iter(paths), None)
        routes = []
        for hop, lans in paths.items():
            if hop == default:
                continue
            if len(lans) > SUM_UP:
                networks = domain.summary.of(lans)
            else:
                networks = [self.wiring.lans[s].networks[domain.version] for s in lans]
            routes += [self._route(network, hop) for network in networks]
        if default:
            routes.append(self._route(DEFAULT[domain.version], default))
        return routes

    @staticmethod
    def _route(destination: Network, hop: Hop) -> Route:
        return Route(destination, hop.gateway, hop.interface)

    def neighbours(self, name: str) -> tuple[Neighbour, ...]:
        """A permanent entry for every address on the links of a node.

        With ``neighbours: dynamic`` only those of stacks, which do not answer ARP or ND.
        """
        dynamic = self.builder.form.defaults.neighbours == "dynamic"
        found = []
        for end in self.wiring.by_node[name]:
            if end.lan is None or end.unaddressed:
                continue
            ends, leading = end.lan.ends, self._leading[end.lan.index]
            for far in ends if len(ends) <= FULL_MESH or end in leading else leading:
                if far is end:
                    continue
                addresses = [] if dynamic else [a.ip for a in far.addresses]
                found += [Neighbour(end.interface, a, far.mac) for a in [*addresses, *far.answers]]
        return tuple(found)

    def view(self, name: str) -> tuple[int, int]:
        """For IPv4 and IPv6: the segments that a node can send to, as bits."""
        return self.domains[0].view_of(name), self.domains[1].view_of(name)

    def addresses(self, viewer: str, name: str) -> list[Address]:
        """The addresses by which ``viewer`` can send to ``name``; all if there are none."""
        views = self.view(viewer)
        ends = self.wiring.by_node[name]
        pairs = [(a.ip, e) for e in ends for a in e.addresses]
        pairs += [(a, e) for e in ends for a in e.answers]
        seen = [a for a, e in pairs if e.lan and views[a.version == 6] >> e.lan.index & 1]
        return seen or [a for a, _ in pairs]

    def check_overlaps(self) -> None:
        """Every two subnets that one routing table sees must be apart."""
        checked: set[tuple[int, int]] = set()
        for name in self.builder.form.nodes:
            for domain, view in zip(self.domains, self.view(name), strict=True):
                if (domain.version, view) not in checked:
                    checked.add((domain.version, view))
                    self._check_overlap(name, domain.version, view)

    def _check_overlap(self, name: str, version: int, view: int) -> None:
        seen = [s for s in self.wiring.lans if view >> s.index & 1 and version in s.networks]
        spans = sorted(
            (
                int(s.networks[version].network_address),
                int(s.networks[version].broadcast_address),
                s.index,
            )
            for s in seen
        )
        widest = -1, -1
        for start, end, index in spans:
            if start <= widest[0]:
                first, second = sorted((index, widest[1]))
                a, b = (self.wiring.lans[i] for i in (first, second))
                self.builder.problems.add(
                    "E248",
                    f"subnet {b.networks[version]} of {b.name} overlaps "
                    f"{a.networks[version]} of {a.name}",
                    network_place(self.builder, b, b.networks[version]),
                    f"`{_vantage(self, first, second, version) or name}` can reach both;"
                    " a subnet may be used twice only behind different NATs",
                )
            widest = max(widest, (end, index))


def _routes_for_others(node: NodeForm) -> bool:
    """Whether a node needs a route for each subnet, where a host has enough with a gateway."""
    return node.kind in ("router", "nat") or (node.kind == "host" and bool(node.forwarding))


def _vantage(routing: Routing, first: int, second: int, version: int) -> str:
    """The first node of the file that sees both segments."""
    for name in routing.builder.form.nodes:
        view = routing.view(name)[version == 6]
        if view >> first & view >> second & 1:
            return name
    return ""


def _single(address: Address) -> Network:
    return IPv4Network(address) if address.version == 4 else IPv6Network(address)
