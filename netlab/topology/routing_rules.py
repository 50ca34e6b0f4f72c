"""Routing rules that the author wrote: `rules:` of a node -> RoutingRule."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Literal

from netlab.topology.model import RoutingRule
from netlab.topology.names import show
from netlab.topology.problems import nearest
from netlab.topology.written_routes import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.topology.builder import TopologyBuilder
    from netlab.topology.model import Network
    from netlab.topology.routing import Routing
    from netlab.topology.schema import RuleForm

    Version = Literal[4, 6]
    Side = dict[Version, list[Network]]

FIRST_PRIORITY = 1000
VERSIONS: tuple[Version, Version] = (4, 6)


def routing_rules(builder: TopologyBuilder, routing: Routing, name: str) -> tuple[RoutingRule, ...]:
    """All rules of a node, in the order of the file."""
    node = builder.form.nodes[name]
    if node.kind == "bridge":
        return ()
    numbers = tables(node)
    with_routes = {form.table for form in node.routes}
    found: list[RoutingRule] = []
    for i, form in enumerate(node.rules):
        if isinstance(form.table, str) and form.table not in with_routes:
            known = [table for table in with_routes if isinstance(table, str)]
            builder.problems.add(
                "E256",
                f"no route of `{name}` is in table `{form.table}`",
                builder.at("nodes", name, "rules", i, "table"),
                nearest(form.table, known),
            )
            continue
        number = numbers[form.table] if isinstance(form.table, str) else form.table
        reader = _Reader(builder, routing, name, i)
        for rule in reader.rules(form, number or 0):
            same = [r for r in found if (r.version, r.priority) == (rule.version, rule.priority)]
            if form.priority and any(r.origin != rule.origin for r in same):
                builder.problems.add(
                    "E256",
                    f"a second rule of priority {rule.priority}",
                    builder.at("nodes", name, "rules", i, "priority"),
                    "which is asked first would be chance: give each its own",
                )
                break
            found.append(rule)
    return tuple(found)


class _Reader:
    """Reads one rule at one node."""

    def __init__(self, builder: TopologyBuilder, routing: Routing, name: str, index: int) -> None:
        self.builder = builder
        self.routing = routing
        self.name = name
        self.path = ("nodes", name, "rules", index)
        self.index = index

    def rules(self, form: RuleForm, table: int) -> Iterator[RoutingRule]:
        """One for each family, and for each address of a node that it names."""
        before = len(self.builder.problems)
        source, destination = self._side(form.from_, "from"), self._side(form.to, "to")
        self._check_interfaces(form)
        versions = [v for v in VERSIONS if self._is_of(v, form, source, destination)]
        if len(self.builder.problems) > before:
            return
        if not versions and self.name not in self.builder.incomplete:
            self.builder.problems.add(
                "E256",
                f"no packet of `{self.name}` can match: its addresses and those of the rule are of"
                " different IP versions",
                self.builder.at(*self.path),
                "a rule for each version that the node has, or give its link the other, too",
            )
        origin = self.builder.origin(*self.path)
        for version in versions:
            for a in source[version] if source else [None]:
                for b in destination[version] if destination else [None]:
                    yield RoutingRule(
                        form.priority or FIRST_PRIORITY + self.index,
                        version,
                        a,
                        b,
                        form.iif or "",
                        form.oif or "",
                        form.fwmark,
                        table,
                        form.action or "",
                        origin,
                    )

    def _is_of(
        self, version: Version, form: RuleForm, source: Side | None, destination: Side | None
    ) -> bool:
        ends = self.routing.wiring.by_node[self.name]
        return (
            form.family in (None, f"ipv{version}")
            and all(side is None or version in side for side in (source, destination))
            and any(version in end.networks for end in ends)
        )

    def _side(self, text: str | None, key: str) -> Side | None:
        """The networks that `from` or `to` means, by version; ``None`` for any."""
        if text in (None, "all"):
            return None
        assert text is not None
        try:
            network = ip_network(text)
        except ValueError:
            pass
        else:
            return {4: [network]} if network.version == 4 else {6: [network]}
        if text not in self.builder.form.nodes:
            if text not in self.builder.broken:
                self.builder.problems.add(
                    "E256",
                    f"`{show(text)}` is neither an address, a subnet nor a node",
                    self.builder.at(*self.path, key),
                    nearest(text, self.builder.form.nodes),
                )
            return None
        found: Side = {}
        for address in self.routing.addresses(self.name, text):
            single = IPv4Network(address) if address.version == 4 else IPv6Network(address)
            found.setdefault(address.version, []).append(single)
        return found

    def _check_interfaces(self, form: RuleForm) -> None:
        known = [e.interface for e in self.routing.wiring.by_node[self.name] if e.interface]
        for key, value in (("iif", form.iif), ("oif", form.oif)):
            if value in (None, "lo", *known) or self.name in self.builder.incomplete:
                continue
            self.builder.problems.add(
                "E256",
                f"`{self.name}` has no interface `{show(str(value))}`",
                self.builder.at(*self.path, key),
                nearest(str(value), known),
            )
