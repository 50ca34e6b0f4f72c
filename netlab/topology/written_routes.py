"""Routes that the author wrote: `routes:` and `gateway:` of a node -> Route."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from netlab.topology.fields import ip
from netlab.topology.model import MAIN_TABLE, NextHop, Route
from netlab.topology.names import show
from netlab.topology.problems import nearest
from netlab.topology.route_text import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.topology.builder import Lan, TopologyBuilder, Wiring
    from netlab.topology.model import Address, Network
    from netlab.topology.problems import SourceLocation
    from netlab.topology.schema import NodeForm, RouteForm

    Steps = tuple[str | int, ...]
    Key = tuple[Network, int, int]

DEFAULT: dict[int, Network] = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("::/0")}
OTHER_FAMILY = "inet6 "
"""Before a next hop of IPv6 for IPv4, as in ip-route(8) (RFC 9229 has why)."""
FIRST_TABLE = 100


def tables(node: NodeForm) -> dict[str, int]:
    """The numbers of the tables that a node's file names, in order from 100."""
    asked = [route.table for route in node.routes]
    asked += [rule.table for rule in node.rules if rule.table is not None]
    taken = {table for table in asked if isinstance(table, int)} | {*RESERVED.values()}
    found: dict[str, int] = {}
    number = FIRST_TABLE
    for table in asked:
        if isinstance(table, str) and table not in found:
            while number in taken:
                number += 1
            taken.add(number)
            found[table] = number
    return found


class WrittenRoutes:
    """Reads the routes of all nodes."""

    def __init__(self, builder: TopologyBuilder, wiring: Wiring) -> None:
        self.builder = builder
        self.wiring = wiring

    def routes(self, name: str) -> list[Route]:
        """What the file says of one node, in its order, the gateways last."""
        node = self.builder.form.nodes[name]
        numbers = tables(node)
        found: dict[Key, Route] = {}
        for i, form in enumerate(node.routes):
            path: Steps = ("nodes", name, "routes", i)
            table = numbers[form.table] if isinstance(form.table, str) else form.table
            for route in self._of_form(name, form, path, table):
                self._keep(name, route, found, path)
        for i, via in enumerate(node.gateway):
            path = ("nodes", name, "gateway", i)
            for gateway in self._gateways(name, "default", via, self.builder.at(*path)):
                route = Route(DEFAULT[gateway.version], gateway, "", self.builder.origin(*path))
                self._keep(name, route, found, path)
        return list(found.values())

    def _keep(self, name: str, route: Route, found: dict[Key, Route], path: Steps) -> None:
        """Add a route, with the interface that follows from its gateway."""
        if self._clashes(name, route, found, self.builder.at(*path)):
            return
        place = self.builder.at(*path, "via")
        if route.gateway and not route.interface:
            interface = self._interface_to(name, route.gateway, place)
            if not interface:
                return
            route = replace(route, interface=interface)
        found[route.destination, route.table, route.metric] = route

    def _of_form(self, name: str, form: RouteForm, path: Steps, table: int) -> Iterator[Route]:
        """The routes that one entry means: for `default`, one in each family of the next hop."""
        origin = self.builder.origin(*path)
        metric = form.metric or 0
        problems = len(self.builder.problems)
        source = self._source(name, form, path)
        interface = self._device(name, form.dev, (*path, "dev"))
        if len(self.builder.problems) > problems:
            return
        if form.type != "unicast":
            for to in self._destinations(name, form.to):
                yield Route(to, None, "", origin, form.type, None, metric, table)
            return
        if form.nexthops:
            like = Route(DEFAULT[4], None, "", origin, "unicast", source, metric, table)
            yield from self._several(name, form, path, like)
            return
        if form.via is None:
            for to in self._destinations(name, form.to, source, form.dev):
                yield Route(to, None, interface, origin, "unicast", source, metric, table)
            return
        place = self.builder.at(*path, "via")
        for gateway in self._gateways(name, form.to, form.via, place, interface):
            version = 4 if form.via.startswith(OTHER_FAMILY) else gateway.version
            to = DEFAULT[version] if form.to == "default" else form.to
            if source and source.version != to.version:
                continue
            if interface and not self._is_on(name, interface, gateway, place):
                continue
            yield Route(to, gateway, interface, origin, "unicast", source, metric, table)

    def _several(self, name: str, form: RouteForm, path: Steps, like: Route) -> Iterator[Route]:
        ways: dict[int, list[NextHop]] = {}
        for i, hop in enumerate(form.nexthops):
            where: Steps = (*path, "nexthops", i)
            device = self._device(name, hop.dev, (*where, "dev"))
            if hop.via is None:
                for to in self._destinations(name, form.to, like.source, hop.dev):
                    ways.setdefault(to.version, []).append(NextHop(None, device, hop.weight))
                continue
            place = self.builder.at(*where, "via")
            for gateway in self._gateways(name, form.to, hop.via, place, device):
                interface = device or self._interface_to(name, gateway, place)
                if interface:
                    version = 4 if hop.via.startswith(OTHER_FAMILY) else gateway.version
                    ways.setdefault(version, []).append(NextHop(gateway, interface, hop.weight))
        for family, hops in sorted(ways.items()):
            if len(hops) == len(form.nexthops):
                to = DEFAULT[family] if form.to == "default" else form.to
                if like.source is None or like.source.version == family:
                    yield replace(like, destination=to, next_hops=tuple(hops))

    def _families(self, name: str) -> set[int]:
        return {a.version for e in self.wiring.by_node[name] for a in e.addresses}

    def _destinations(
        self, name: str, to: Network | str, source: Address | None = None, device: str | None = None
    ) -> list[Network]:
        """`default` in every family of the node, or of the source, or of the interface."""
        if not isinstance(to, str):
            return [to]
        families = {v for v in self._families(name) if source is None or v == source.version}
        if device and not source:
            end = self.wiring.end(name, device)
            families &= set(end.networks) if end else families
        return [DEFAULT[version] for version in sorted(families)]

    def _source(self, name: str, form: RouteForm, path: Steps) -> Address | None:
        if form.src is None or name in self.builder.incomplete:
            return None
        own = self.wiring.addresses(name)
        source: Address = form.src
        if form.src not in own:
            shown = ", ".join(map(str, own[:8]))
            self.builder.problems.add(
                "E257",
                f"`{name}` has no address {form.src} to send from",
                self.builder.at(*path, "src"),
                f"it has: {shown}" if own else "it has none",
            )
        elif not isinstance(form.to, str) and form.src.version != form.to.version:
            self.builder.problems.add(
                "E254",
                f"{form.to} and {form.src} are of different IP versions",
                self.builder.at(*path, "src"),
                "a packet has one version",
            )
        return source

    def _device(self, name: str, device: str | None, path: Steps) -> str:
        """An interface that a route names, if the node has it."""
        if device is None or self.wiring.end(name, device) or name in self.builder.incomplete:
            return device or ""
        known = [e.interface for e in self.wiring.by_node[name]]
        self.builder.problems.add(
            "E253",
            f"`{name}` has no interface `{show(device)}`",
            self.builder.at(*path),
            nearest(device, known),
        )
        return ""

    def _is_on(self, name: str, device: str, gateway: Address, place: SourceLocation) -> bool:
        """Whether a next hop is on the link of the interface that is written beside it."""
        end = self.wiring.end(name, device)
        if end is None or any(gateway in n for n in end.networks.values()):
            return True
        self.builder.problems.add(
            "E253",
            f"gateway {gateway} is not on the link of `{device}`",
            place,
            f"subnets there: {', '.join(map(str, end.networks.values())) or 'none'}",
        )
        return False

    def _gateways(
        self, name: str, to: Network | str, via: str, place: SourceLocation, device: str = ""
    ) -> list[Address]:
        """The address that ``via`` is or names, of the family of ``to``, or of IPv6 by `inet6`."""
        wanted: tuple[int, ...] = (4, 6) if isinstance(to, str) else (to.version,)
        if via.startswith(OTHER_FAMILY):
            via = via.removeprefix(OTHER_FAMILY)
            if not isinstance(to, str) and to.version == 6:
                self.builder.problems.add(
                    "E254", f"`inet6` is for IPv4, and {to} is not", place, f"write `via {via}`"
                )
                return []
            wanted = (6,)
        elif not isinstance(to, str) and self._lacks(name, to, place):
            return []
        address = ip(via)
        if address:
            if address.version in wanted:
                return [address]
            self.builder.problems.add(
                "E254",
                f"{to} and {via} are of different IP versions",
                place,
                f"for a next hop of IPv6 write `via inet6 {via}`"
                if address.version == 6
                else "the next hop must have an address of that family",
            )
            return []
        if via not in self.builder.form.nodes:
            if via not in self.builder.broken:
                self.builder.problems.add(
                    "E252",
                    f"gateway `{via}` is neither an address nor a node",
                    place,
                    nearest(via, self.builder.form.nodes),
                )
            return []
        found = [a for v in wanted if (a := self.wiring.neighbour(name, via, v, device))]
        if (not found or via == name) and name not in self.builder.incomplete:
            self.builder.problems.add(
                "E253",
                f"gateway `{via}` is unreachable: it shares no link with `{name}`",
                place,
                "a next hop must be a direct neighbour",
            )
        return [] if via == name else found

    def _lacks(self, name: str, to: Network, place: SourceLocation) -> bool:
        """Note a route of a family that the node has no address of."""
        families = self._families(name)
        if not families or to.version in families:
            return False
        if name not in self.builder.incomplete:
            self.builder.problems.add(
                "E254",
                f"{name} has no IPv{to.version} address, so no route to {to}",
                place,
                f"give its link an IPv{to.version} subnet",
            )
        return True

    def _clashes(
        self, name: str, route: Route, found: dict[Key, Route], place: SourceLocation
    ) -> bool:
        destination = route.destination
        if (destination, route.table, route.metric) in found:
            self.builder.problems.add(
                "E255",
                f"`{name}` has a second route to {destination}",
                place,
                "keep one, or give it a `metric`, a `table`, or both as `nexthops` of one",
            )
            return True
        if route.table != MAIN_TABLE or route.metric:
            return False
        for end in self.wiring.by_node[name]:
            if end.lan and destination in end.networks.values():
                self.builder.problems.add(
                    "E255",
                    f"{destination} is directly connected ({end.lan.name}): it needs no route",
                    place,
                    "remove the route",
                )
                return True
        return False

    def _interface_to(self, name: str, gateway: Address, place: SourceLocation) -> str:
        for end in self.wiring.by_node[name]:
            lan = end.lan
            if lan is None or gateway not in end.networks.get(gateway.version, ()):
                continue
            holders = {a.ip: e.node for e in lan.ends for a in e.addresses}
            holders.update({a: e.node for e in lan.ends for a in e.answers})
            if holders.get(gateway) not in (None, name):
                return end.interface
            whose = (
                f"it is an address of `{name}` itself"
                if gateway in holders
                else f"no node on {lan.name} has this address"
            )
            self.builder.problems.add(
                "E253",
                f"gateway {gateway} is unreachable: {whose}",
                place,
                _neighbours_hint(name, lan, gateway.version),
            )
            return ""
        if name not in self.builder.incomplete:
            near = [n for e in self.wiring.by_node[name] for n in e.networks.values()]
            self.builder.problems.add(
                "E253",
                f"gateway {gateway} is unreachable: it is in none of `{name}`'s subnets",
                place,
                f"subnets: {', '.join(map(str, near))}" if near else "",
            )
        return ""


def _neighbours_hint(name: str, lan: Lan, version: int) -> str:
    near = [f"{e.node} {a}" for e in lan.ends if e.node != name and (a := e.address(version))]
    return f"nodes there: {', '.join(near[:8])}" if near else ""
