"""Which way a node sends a packet: its rules and tables of routes, as its plan has them.

What the kernel does in ``fib_rules_lookup`` and ``fib_table_lookup``: rules by priority, in the
table of each the longest prefix, of that the least metric. A node's own addresses, which the kernel
asks for first, are ``Node.own``.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, NamedTuple

from netlab.wire.address import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlab.capture.evidence import RunningRoute
    from netlab.plan.operations import AddRoute, AddRoutingRule

MAIN, DEFAULT = 254, 253
IPV6_METRIC = 1024
"""IP6_RT_PRIO_USER (include/uapi/linux/ipv6_route.h): of an IPv6 route without one."""


class Prefix(NamedTuple):
    """The addresses of one version that begin with these bits; a length of -1 means all."""

    version: int
    network: int
    length: int

    @classmethod
    def of(cls, written: str) -> Prefix:
        """From ``10.0.0.0/24``; an empty text is every address."""
        if not written:
            return cls(0, 0, -1)
        network = ip_network(written)
        return cls(network.version, int(network.network_address), network.prefixlen)

    def holds(self, address: bytes) -> bool:
        """Whether it holds an address of 4 or 16 octets."""
        if self.length < 0:
            return True
        width = 8 * len(address)
        if width != (32 if self.version == 4 else 128):
            return False
        return int.from_bytes(address, "big") >> (width - self.length) == self.network >> (
            width - self.length
        )


class Route(NamedTuple):
    """A route; ``hops`` are (gateway, interface), none for one of a ``kind`` that refuses."""

    prefix: Prefix
    metric: int
    kind: str
    hops: tuple[tuple[str, str], ...]
    source: str = ""


class _Rule(NamedTuple):
    priority: int
    version: int
    source: Prefix
    destination: Prefix
    iif: str
    oif: str
    mark: tuple[int, int]
    table: int
    action: str

    def matches(self, target: bytes, source: bytes, incoming: str) -> bool:
        # Nothing in a prediction is marked, or bound to an interface.
        return (
            self.version == (4 if len(target) == 4 else 6)
            and self.destination.holds(target)
            and self.source.holds(source)
            and self.iif in ("", incoming or "lo")
            and not self.oif
            and self.mark[0] & self.mark[1] == 0
        )


class Routes:
    """The rules and tables of one node."""

    def __init__(self) -> None:
        self._tables: dict[int, list[Route]] = {}
        self._rules = [
            _Rule(32766 + n, version, Prefix.of(""), Prefix.of(""), "", "", (0, 0), table, "")
            for version in (4, 6)
            for n, table in enumerate((MAIN, DEFAULT))
        ]

    def connect(self, network: str, interface: str) -> None:
        """What an address brings: its subnet is on the link."""
        metric = 256 if ":" in network else 0
        route = Route(Prefix.of(network), metric, "unicast", (("", interface),))
        self._tables.setdefault(MAIN, []).append(route)

    def add(self, o: AddRoute) -> None:
        """A route of the plan."""
        hops = tuple((gateway, name) for gateway, name, _ in o.next_hops)
        if o.type == "unicast" and not hops:
            hops = ((o.gateway, o.name),)
        metric = o.metric or (IPV6_METRIC if ":" in o.destination else 0)
        route = Route(Prefix.of(o.destination), metric, o.type, hops, o.source)
        self._tables.setdefault(o.table, []).append(route)

    def replace(self, running: Iterable[RunningRoute]) -> None:
        """The routes as they are, in place of those of the plan."""
        self._tables.clear()
        for one in running:
            prefix = Prefix(
                4 if len(one.destination) == 4 else 6,
                int.from_bytes(one.destination, "big"),
                one.length,
            )
            hops = tuple((text(via) if via else "", name) for via, name in one.hops)
            source = text(one.source) if one.source else ""
            route = Route(prefix, one.metric, one.kind, hops, source)
            self._tables.setdefault(one.table, []).append(route)

    def add_rule(self, o: AddRoutingRule) -> None:
        """A rule of the plan; a new one comes before those of its priority that there are."""
        value, _, mask = o.mark.partition("/")
        rule = _Rule(
            o.priority, o.version, Prefix.of(o.source), Prefix.of(o.destination), o.iif, o.oif,
            (int(value, 0), int(mask, 0)) if o.mark else (0, 0), o.table, o.action,
        )  # fmt: skip
        self._rules.append(rule)
        self._rules.sort(key=lambda rule: rule.priority)

    def lookup(self, target: bytes, source: bytes = b"", incoming: str = "") -> Route | None:
        """The route of a packet; one that refuses where a rule or a route does, ``None`` without.

        ``source`` is empty or zero where it is chosen afterwards; ``incoming`` is empty for what
        the node itself sends.
        """
        source = source or bytes(len(target))
        for rule in self._rules:
            if not rule.matches(target, source, incoming):
                continue
            if rule.action:
                return Route(rule.destination, 0, rule.action, ())
            fitting = [r for r in self._tables.get(rule.table, ()) if r.prefix.holds(target)]
            if fitting:
                best = min(fitting, key=lambda route: (-route.prefix.length, route.metric))
                if best.kind != "throw":
                    return best
        return None
