"""One node of a running lab on the bench: taps at all its interfaces, hosts of our own behind them.

Nothing of the lab is changed. The hosts have free addresses of the node's own subnets; what real
hosts there would do plays no part.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import cycle, islice
from typing import TYPE_CHECKING, Self

from netlab.plan.inline import insert_inline_nodes
from netlab.topology.model import StaticNat
from netlab.topology.nat import Translator
from netlab.verify.crafted import ends
from netlab.verify.tap import NotMeasured, Place, Taps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.lab.lab import Lab
    from netlab.middlebox import Packet
    from netlab.topology.model import Address, Interface, Node, Topology
    from netlab.verify.tap import Tap

FIRST_PORT, LAST_PORT = 20_000, 29_999
FAR = tuple(IPv4Network("198.18.77.0/28").hosts())
"""Addresses for benchmarks (RFC 2544): hosts behind a gateway, where its subnet has no room."""
_PORTS = cycle(range(FIRST_PORT, LAST_PORT + 1))
"""None comes again soon, in whichever lab: what is still remembered of a flow is of that flow."""

PATIENCE = 2.5
"""Seconds that a lab of somebody else's is watched for a session to be kept."""


def far_ends(topology: Topology) -> dict[tuple[str, str], tuple[str, str]]:
    """The other end of each veth pair, those of wires with boxes included."""
    found = {}
    for link in insert_inline_nodes(topology).links:
        found[link.a], found[link.b] = link.b, link.a
    return found


class Bench:
    """``send`` puts packets in at an interface and says what came out at each."""

    def __init__(self, lab: Lab, topology: Topology, node: Node, *, own: bool) -> None:
        self.lab, self.topology, self.node = lab, topology, node
        self.own = own
        """Whether the lab is ours: built for this, so that time may be made to pass in it."""
        self.taps = Taps(lab)
        self.at: dict[str, Tap] = {}
        self._given: dict[str, list[str]] = {}
        self.sent = 0
        self.came = 0
        ends_of = far_ends(topology)
        for interface in node.interfaces:
            far = ends_of.get((node.name, interface.name))
            if far is None or not interface.addresses:
                continue
            v4 = [str(a.ip) for a in interface.addresses if a.version == 4]
            address = (v4 or [str(a.ip) for a in interface.addresses])[0]
            place = Place(*far, bytes.fromhex(interface.mac.replace(":", "")), address)
            self.at[interface.name] = self.taps.add(interface.name, place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.taps.__exit__(*problem)

    def interface(self, name: str) -> Interface:
        """The interface of the node."""
        return next(i for i in self.node.interfaces if i.name == name)

    def port(self) -> int:
        """A source port that nothing here has used yet."""
        return fresh_port()

    def hosts(self, interface: str, number: int, version: int = 4) -> list[str]:
        """That many free addresses of an interface's subnet, each a host at the tap.

        ``NotMeasured`` if there are not so many.

        Raises:
            NotMeasured: the subnet has fewer.
        """
        tap = self.at.get(interface)
        mine = [a for a in self._given.get(interface, []) if (":" in a) is (version == 6)]
        if tap is not None and len(mine) < number:
            for address in self._free(interface, version):
                if len(mine) >= number:
                    break
                mine.append(address)
                self._given.setdefault(interface, []).append(address)
                tap.addresses.append(address)
                tap.ask(address)
            self.taps.fence([tap])
        if len(mine) < number and version == 4 and self._is_way_out(interface):
            far = [str(a) for a in FAR if str(a) not in mine][: number - len(mine)]
            self._given.setdefault(interface, []).extend(far)
            mine += far
        if len(mine) < number:
            of = next(
                (a.network for a in self.interface(interface).addresses if a.version == version),
                None,
            )
            raise NotMeasured(
                f"{self.node.name}:{interface} has no IPv{version} address"
                if of is None
                else f"{of} has no {number} free addresses for hosts to probe from"
            )
        return mine[:number]

    def _is_way_out(self, interface: str) -> bool:
        """Whether what is far away is reached here: then hosts may be there."""
        return any(
            route.gateway and route.destination.prefixlen == 0 and route.interface == interface
            for route in self.node.routes
        )

    def fresh(self, interface: str, version: int = 4) -> str:
        """One more host."""
        mine = [a for a in self._given.get(interface, []) if (":" in a) is (version == 6)]
        return self.hosts(interface, len(mine) + 1, version)[-1]

    def _free(self, interface: str, version: int) -> Iterator[str]:
        """Free addresses from the upper end, where files seldom have any."""
        taken = {a.ip for n in self.topology.nodes for i in n.interfaces for a in i.addresses}
        taken |= {a for n in self.topology.nodes for a in outside_addresses(n)}
        for address in self.interface(interface).addresses:
            if address.version != version:
                continue
            network = address.network
            last = int(network.broadcast_address)
            edge = 0 if network.prefixlen >= network.max_prefixlen - 1 else 1
            if version == 6:
                last = min(last, int(network.network_address) + 0xFFFE)
            for number in range(last - edge, int(network.network_address), -1):
                candidate = type(address.ip)(number)
                if candidate not in taken and str(candidate) not in self._given.get(interface, []):
                    yield str(candidate)

    # Sending.

    def send(self, interface: str, *packets: Packet) -> dict[str, list[Packet]]:
        """Send packets in at an interface; what came out at each, once nothing is under way."""
        for tap in self.at.values():
            tap.take()
        # One that rested may have been forgotten by its neighbour.
        self.at[interface].send(*packets)
        self.sent += len(packets)
        return self.collect()

    def collect(self) -> dict[str, list[Packet]]:
        """What has come out since; twice, since the node may ask for a neighbour first."""
        self.taps.fence()
        self.taps.fence()
        found = {name: tap.take() for name, tap in self.at.items()}
        self.came += sum(map(len, found.values()))
        return found

    def remind(self) -> None:
        """Let the node learn all hosts again: it forgets those that were silent for long."""
        for name, tap in self.at.items():
            for address in self._given.get(name, ()):
                if address in tap.addresses:
                    tap.ask(address)
        self.taps.fence()

    def pass_time(self, seconds: float) -> None:
        """Let the node's flows grow older: in a lab of ours at once, else by waiting."""
        if self.own and seconds >= 1:
            from netlab.lab.reconfigure import age

            age(self.lab, self.node.name, int(seconds))
        else:
            self.taps.rest(seconds)
        self.remind()

    def forget(self) -> None:
        """In a lab of ours: what the node remembers of flows is gone."""
        if self.own:
            self.pass_time(10_000_000)


def fresh_port() -> int:
    """A source port that this process has not used for long."""
    return next(_PORTS)


def begin_ports_at(number: int) -> None:
    """Begin elsewhere: a second look at a running lab should not meet the first one's flows."""
    for _ in islice(_PORTS, number % (LAST_PORT - FIRST_PORT)):
        pass


def to(packets: list[Packet], target: tuple[str, int], protocol: int | None = None) -> list[Packet]:
    """Those that go to an endpoint."""
    return [p for p in packets if ends(p)[1] == target and protocol in (None, p.protocol)]


def outside_addresses(node: Node) -> Iterator[Address]:
    """What a node translates to."""
    for nat in node.nat:
        if isinstance(nat, Translator):
            yield from nat.addresses
        elif isinstance(nat, StaticNat):
            yield nat.outside_address
