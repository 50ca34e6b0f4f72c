"""The /etc/hosts of each node, so that ``ping server`` works by name, and its other files."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from netlab.topology import nptv6
from netlab.topology.model import File
from netlab.topology.nat64 import synthesized
from netlab.topology.written_routes import tables

if TYPE_CHECKING:
    from netlab.topology.builder import TopologyBuilder, Wiring
    from netlab.topology.routing import Routing

HOSTS = "/etc/hosts"
TABLES = "/etc/iproute2/rt_tables.d/netlab.conf"
"""Where `ip route show table dsl` looks for names."""
LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


class HostsFiles:
    """Makes the files; nodes that see the same subnets share one text.

    A name's first address is one that the node can send to: for a server outside, its clients'
    NAT is the NAT's outside address. Whom only a NAT64 leads to has an address below its prefix.
    """

    def __init__(self, builder: TopologyBuilder, wiring: Wiring, routing: Routing) -> None:
        self.builder = builder
        self.routing = routing
        self._texts: dict[tuple[int, int], str] = {}
        self._addresses = [
            (name, str(address), address.version, end.lan.index)
            for name in builder.form.nodes
            for end in wiring.by_node[name]
            if end.lan
            for address in [*(a.ip for a in end.addresses), *end.answers]
        ]
        self._nat64s = [
            (lan.index, lan.networks[6], routing.domains[0].view_beyond(lan.behind[0]))
            for lan in wiring.lans
            if lan.behind and lan.behind[1] == "nat64"
        ]
        self._nptv6s = [
            (lan.index, form)
            for lan in wiring.lans
            if lan.behind and (form := nptv6.form_of(builder, lan))
        ]

    def files(self, name: str) -> tuple[File, ...]:
        """All files of a node; the author's replace netlab's."""
        node = self.builder.form.nodes[name]
        files = dict(node.files)
        for path in files:
            inside = next((other for other in files if other.startswith(f"{path}/")), "")
            if inside:
                self.builder.problems.add(
                    "E206",
                    f"`{path}` is a file, and a directory for `{inside}`",
                    self.builder.at_key("nodes", name, "files", path),
                    "remove one of the two",
                )
        if named := tables(node):
            lines = "".join(f"{number}\t{table}\n" for table, number in named.items())
            files.setdefault(TABLES, lines)
        if node.hosts and node.kind != "bridge":
            files.setdefault(HOSTS, self._text(self.routing.view(name)))
        return tuple(File(path, content) for path, content in sorted(files.items()))

    def _text(self, view: tuple[int, int]) -> str:
        if view not in self._texts:
            visible: list[tuple[str, str, int, int]] = [
                a for a in self._addresses if view[a[2] == 6] >> a[3] & 1
            ]
            visible += self._translated(view[1], {a[0] for a in visible})
            visible += self._synthesized(view[1], {a[0] for a in visible})
            named = {a[0] for a in visible}
            taken = {a[1] for a in visible}
            # Who cannot be reached has a name all the same, unless it would lead to another.
            rest = [a for a in self._addresses if a[0] not in named and a[1] not in taken]
            lines = [f"{address}\t{name}\n" for name, address, _, _ in [*visible, *rest]]
            self._texts[view] = LOCAL + "".join(lines)
        return self._texts[view]

    def _translated(self, view: int, named: set[str]) -> list[tuple[str, str, int, int]]:
        """Who is hidden behind another prefix."""
        return [
            (name, str(there), 6, index)
            for index, form in self._nptv6s
            if view >> index & 1
            for name, address, version, _ in self._addresses
            if version == 6
            and name not in named
            and (inside := IPv6Address(address)) in form.inside
            and (there := nptv6.counterpart(inside, form.inside, form.outside))
        ]

    def _synthesized(self, view: int, named: set[str]) -> list[tuple[str, str, int, int]]:
        """Whom a NAT64 makes visible: what DNS64 would say of names that have no other address."""
        return [
            (name, str(synthesized(prefix, IPv4Address(address))), 6, index)
            for index, prefix, beyond in self._nat64s
            if view >> index & 1
            for name, address, version, lan in self._addresses
            if version == 4 and beyond >> lan & 1 and name not in named
        ]
