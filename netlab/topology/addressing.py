"""Subnets for LANs and addresses for their endpoints.

Automatic subnets are counted through in the order of the file, so that they are easy to read
and lie side by side, which lets routes be summed up: 10.0.0.0/24, 10.0.1.0/24, … and
fd00::/64, fd00:0:0:1::/64, … (RFC 1918, RFC 4193). A LAN too large for a /24 gets the next block
of its size. What the file gives by hand is left out of the count.
"""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.topology.builder import End, Lan, TopologyBuilder, Wiring
    from netlab.topology.model import Address, InterfaceAddress, Network
    from netlab.topology.problems import SourceLocation

POOL4 = IPv4Network("10.0.0.0/8")
POOL6 = IPv6Network("fd00::/16")
FAMILY = {"ipv4": 4, "ipv6": 6}
MIN_IPV6_MTU = 1280
"""RFC 8200 section 5."""


def give_addresses(builder: TopologyBuilder, wiring: Wiring) -> None:
    """Assign the subnets of all LANs and the addresses of all endpoints."""
    for lan in wiring.lans:
        _leave_out(builder, lan)
        _written_networks(builder, lan)
        _networks_of_addresses(builder, lan)
    _automatic_networks(builder, wiring)
    for lan in wiring.lans:
        _Addresses(builder, wiring, lan).give()
        _check_mtu(builder, lan)


def _leave_out(builder: TopologyBuilder, lan: Lan) -> None:
    """Mark the ends that the file gives no address, by `addresses: none`."""
    for end in lan.ends:
        written = builder.form.links[end.link].addresses
        end.unaddressed = written is None or (end.node in written and written[end.node] is None)


def _networks_of_addresses(builder: TopologyBuilder, lan: Lan) -> None:
    """Subnets that follow from an address with its prefix length, `10.0.0.1/24`."""
    for index in lan.links:
        for node, addresses in (builder.form.links[index].addresses or {}).items():
            for i, address in enumerate(addresses or ()):
                if not isinstance(address, IPv4Interface | IPv6Interface):
                    continue
                known = lan.networks.setdefault(address.version, address.network)
                if known != address.network:
                    builder.problems.add(
                        "E243",
                        f"{address} is of {address.network}, but {lan.name} has {known}",
                        builder.at("links", index, "addresses", node, i),
                        f"write {address.ip}, or {address.ip}/{known.prefixlen}",
                    )


def _written_networks(builder: TopologyBuilder, lan: Lan) -> None:
    form = builder.form
    sources: list[tuple[tuple[str | int, ...], list[Network]]] = [
        (("nodes", name, "subnet"), form.nodes[name].subnet) for name in lan.bridges
    ]
    for index in lan.links:
        written = form.links[index].subnet
        if written and form.links[index].addresses is None:
            builder.problems.add(
                "E242",
                "this link has `addresses: none`, so it has no subnet",
                builder.at_key("links", index, "subnet"),
                "keep one of the two",
            )
            continue
        if lan.bridges and written:
            builder.problems.add(
                "E242",
                f"this link belongs to {lan.name}, whose bridge sets the subnet",
                builder.at_key("links", index, "subnet"),
                f"write `subnet:` at the bridge {lan.bridges[0]}",
            )
        elif written:
            sources.append((("links", index, "subnet"), written))
    for path, networks in sources:
        for i, network in enumerate(networks):
            known = lan.networks.setdefault(network.version, network)
            if known != network or networks.index(network) != i:
                builder.problems.add(
                    "E242",
                    f"{lan.name} already has an IPv{network.version} subnet, {known}",
                    builder.at(*path, i),
                    "only one subnet per address family",
                )


def _automatic_networks(builder: TopologyBuilder, wiring: Wiring) -> None:
    form = builder.form
    written = [n for s in wiring.lans for n in s.networks.values()]
    pools = {4: _Pool(POOL4, 24, written), 6: _Pool(POOL6, 64, written)}
    for lan in wiring.lans:
        if not lan.networks and not all(end.unaddressed for end in lan.ends):
            own = [f for i in lan.links for f in form.links[i].families or ()]
            for version in sorted({FAMILY[f] for f in own or form.defaults.families}):
                lan.networks[version] = pools[version].take(len(lan.ends))


class _Pool:
    """Blocks of one pool in order, those left out that touch what the file has written."""

    def __init__(
        self, pool: IPv4Network | IPv6Network, prefix: int, written: list[Network]
    ) -> None:
        self.pool = pool
        self.prefix = prefix
        self.next = int(pool.network_address)
        self.taken = sorted(
            (int(n.network_address), int(n.broadcast_address))
            for n in written
            if n.version == pool.version
        )

    def take(self, ends: int) -> Network:
        """The next free block with room for ``ends`` and a few more."""
        bits = self.pool.max_prefixlen
        # Network and broadcast address, and some for stacks and static NAT.
        prefix = min(self.prefix, bits - (2 * ends + 8).bit_length())
        size = 1 << (bits - prefix)
        while True:
            start = -(-self.next // size) * size
            end = start + size - 1
            self.next = end + 1
            if all(last < start or first > end for first, last in self.taken):
                kind = IPv4Network if bits == 32 else IPv6Network
                return kind((start, prefix))


def hosts(network: Network) -> Iterator[Address]:
    """The addresses that an interface may have, lazily and in order.

    All of an IPv4 /31 (RFC 3021) and an IPv6 /127 (RFC 6164); else not the first, which is the
    network's own or the subnet-router anycast address (RFC 4291 section 2.6.1), nor the IPv4
    broadcast address.
    """
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.num_addresses > 2:
        first += 1
        last -= network.version == 4
    kind = type(network.network_address)
    return (kind(n) for n in range(first, last + 1))


def _is_host(address: Address, network: Network) -> bool:
    if network.num_addresses <= 2:
        return address in network
    if address == network.network_address:
        return False
    return address in network and not (
        network.version == 4 and address == network.broadcast_address
    )


class _Addresses:
    """Assigns the addresses of one LAN; ``taken`` maps each to its holder."""

    def __init__(self, builder: TopologyBuilder, wiring: Wiring, lan: Lan) -> None:
        self.builder = builder
        self.wiring = wiring
        self.lan = lan
        self.taken: dict[Address, str] = {}

    def give(self) -> None:
        """What is written first, so that no automatic address takes its place."""
        for index in self.lan.links:
            self._written(index)
        for end in self.lan.ends:
            self._written_stack(end)
        translated = {end: self._translated(end) for end in self.lan.ends}
        for version, network in sorted(self.lan.networks.items()):
            self._automatic(version, network)
        for end in self.lan.ends:
            end.addresses.sort(key=lambda a: a.version)
            # With a prefix of full length it is never chosen as the source of own traffic.
            end.addresses += [_interface(a, a.max_prefixlen) for a in translated[end]]

    def _written(self, index: int) -> None:
        ends = {e.node: e for e in self.wiring.links[index] if e.lan}
        for node, addresses in (self.builder.form.links[index].addresses or {}).items():
            path = ("links", index, "addresses", node)
            if node not in ends:
                self.builder.problems.add(
                    "E244",
                    f"`{node}` is not an addressed endpoint of this link",
                    self.builder.at_key(*path),
                    f"endpoints: {', '.join(ends)}" if ends else "bridge ports have no addresses",
                )
                continue
            for i, written in enumerate(addresses or ()):
                address = getattr(written, "ip", written)
                if self._claim(address, node, self.builder.at(*path, i)):
                    prefix = self.lan.networks[address.version].prefixlen
                    ends[node].addresses.append(_interface(address, prefix))

    def _written_stack(self, end: End) -> None:
        stack = self.builder.form.nodes[end.node].stack
        for i, address in enumerate(stack.address if stack else ()):
            if self._home(end.node, address) is end:
                place = self.builder.at("nodes", end.node, "stack", "address", i)
                if self._claim(address, end.node, place):
                    end.answers.append(address)

    def _home(self, node: str, address: Address) -> End:
        """The interface on whose subnet ``address`` lies; the first if there is none."""
        ends = self.wiring.by_node[node]
        for end in ends:
            if any(address in n for n in end.networks.values()):
                return end
        return ends[0]

    def _translated(self, end: End) -> list[Address]:
        """Outside addresses of NAT that lie here: this end must have them, too."""
        nat = self.builder.form.nodes[end.node].nat
        if nat is None:
            return []
        written: list[tuple[Address | None, tuple[str | int, ...]]] = [
            *((static.outside, ("static", i, "outside")) for i, static in enumerate(nat.static)),
            *((address, ("addresses", i)) for i, address in enumerate(nat.addresses)),
        ]
        found: list[Address] = []
        for address, path in written:
            if address is None or address in found or self._home(end.node, address) is not end:
                continue
            if self.taken.get(address) == end.node:
                continue
            if self._claim(address, end.node, self.builder.at("nodes", end.node, "nat", *path)):
                found.append(address)
        return found

    def _claim(self, address: Address, node: str, place: SourceLocation) -> bool:
        """Take an address that the file gives, if it can be had."""
        lan = self.lan
        network = lan.networks.get(address.version)
        if network is None:
            self.builder.problems.add(
                "E243",
                f"{lan.name} has no IPv{address.version} subnet for {address}",
                place,
                "add one to `subnet:`",
            )
        elif not _is_host(address, network):
            fault = "is not a host address in" if address in network else "is outside"
            self.builder.problems.add(
                "E243",
                f"address {address} {fault} {network}",
                place,
                f"the first host address is {next(hosts(network))}",
            )
        elif address in self.taken:
            self.builder.problems.add(
                "E246",
                f"address {address} is given twice on {lan.name}",
                place,
                f"`{self.taken[address]}` has it already",
            )
        else:
            self.taken[address] = node
            return True
        return False

    def _automatic(self, version: int, network: Network) -> None:
        free = (a for a in hosts(network) if a not in self.taken)
        wanting = [e for e in self.lan.ends if e.address(version) is None and not e.unaddressed]
        stacks = [e for e in self.lan.ends if self._wants_stack_address(e)]
        given = list(zip([*wanting, *stacks], free, strict=False))
        for n, (end, address) in enumerate(given):
            self.taken[address] = end.node
            if n < len(wanting):
                end.addresses.append(_interface(address, network.prefixlen))
            else:
                end.answers.append(address)
        missing = len(wanting) + len(stacks) - len(given)
        if missing:
            self.builder.problems.add(
                "E245",
                f"subnet {network} of {self.lan.name} is exhausted: {missing} more needed",
                network_place(self.builder, self.lan, network),
                "use a shorter prefix",
            )

    def _wants_stack_address(self, end: End) -> bool:
        node = self.builder.form.nodes[end.node]
        first = self.wiring.by_node[end.node][0] is end
        return node.kind == "stack" and first and not (node.stack and node.stack.address)


def network_place(builder: TopologyBuilder, lan: Lan, network: Network) -> SourceLocation:
    """Where the file gives ``network`` to ``lan``; else the link itself."""
    if lan.behind:
        name, key = lan.behind
        return builder.at("nodes", name, "nat", key)
    paths: list[tuple[str | int, ...]] = [("nodes", name, "subnet") for name in lan.bridges]
    paths += [("links", index, "subnet") for index in lan.links]
    for path in paths:
        form = (
            builder.form.nodes[str(path[1])]
            if path[0] == "nodes"
            else builder.form.links[int(path[1])]
        )
        if network in form.subnet:
            return builder.at(*path, form.subnet.index(network))
    return builder.at("links", lan.links[0])


def _interface(address: Address, prefix: int) -> InterfaceAddress:
    kind = IPv4Interface if address.version == 4 else IPv6Interface
    return kind((int(address), prefix))


def _check_mtu(builder: TopologyBuilder, lan: Lan) -> None:
    if 6 not in lan.networks:
        return
    for end in lan.ends:
        if end.mtu < MIN_IPV6_MTU:
            builder.problems.add(
                "E247",
                f"MTU {end.mtu} is below {MIN_IPV6_MTU}, and {lan.name} has IPv6",
                builder.at("links", end.link, "mtu"),
                f"IPv6 needs links of at least {MIN_IPV6_MTU} bytes (RFC 8200 section 5)",
            )
            return
