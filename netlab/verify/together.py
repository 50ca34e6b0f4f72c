"""Translations one behind the other, and boxes between them: a whole lab, from its own ends.

What one NAT does alone says little of what it does behind another. For each chain of translations
that a host's packets go through, the host and a server behind the chain are asked: does the host
keep its outside port, who may send to it? Of NATs in a row the strictest counts, for mapping and
for filtering each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.middlebox.catalogue import CATALOGUE
from netlab.topology.model import Masquerade
from netlab.topology.nat import DEPENDENCES, Translator
from netlab.verify import Check
from netlab.verify.nat import SILENCE, declaration, stock
from netlab.verify.probe import Probe, answer

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from netlab.lab.lab import Lab
    from netlab.topology.model import Address, Box, Node, Topology

LONGEST = 64
"""Hops after which a way that has not ended is a loop."""

COUNT = 20
"""Numbered datagrams, of which a box may keep some."""

BY_PORT = DEPENDENCES[2]
NOT_BY_PORT = "not by port"
"""What one server alone can show: not whether another address would make a difference."""


class Chain(NamedTuple):
    """A host, servers that it reaches by the same translations, and what is between."""

    client: str
    servers: tuple[tuple[str, str], ...]
    """Node and address; one, or two."""
    nats: tuple[tuple[str, Masquerade | Translator], ...]
    boxes: tuple[Box, ...]

    @property
    def name(self) -> str:
        """``anna > home > carrier > server``."""
        return " > ".join((self.client, *(n for n, _ in self.nats), self.servers[0][0]))


def chains(topology: Topology) -> list[Chain]:
    """Every different sequence of translations in a lab, with the first host that has it.

    Ways through a firewall, rules of the author's own or a program on a link are left out: what
    they let pass is not for NATs to declare.
    """
    found: dict[tuple[str, ...], Chain] = {}
    hosts = [n for n in topology.nodes if n.kind == "host"]
    for client in hosts:
        reached: dict[tuple[str, ...], Chain] = {}
        for server in hosts:
            address = _ipv4(server)
            if server is client or address is None:
                continue
            way = _way(topology, client, address)
            nats = _translations(way)
            if (
                not nats
                or any(n.firewall or n.nftables for n, _ in way)
                or _programs(topology, way)
            ):
                continue
            boxes = tuple(box for n, _ in way for box in n.middleboxes)
            key = tuple(f"{name}:{nat.outside}" for name, nat in nats)
            known = reached.get(key)
            servers = (*(known.servers if known else ()), (server.name, str(address)))[:2]
            reached[key] = Chain(client.name, servers, nats, known.boxes if known else boxes)
        for key, chain in reached.items():
            # A second server shows more.
            if key not in found or len(chain.servers) > len(found[key].servers):
                found[key] = chain
    return list(found.values())


def _ipv4(node: Node) -> Address | None:
    return next((a.ip for i in node.interfaces for a in i.addresses if a.version == 4), None)


def _way(topology: Topology, client: Node, target: Address) -> list[tuple[Node, str]]:
    """Each node that a packet comes by, with the interface it leaves by; empty if it is lost."""
    found: list[tuple[Node, str]] = []
    node: Node | None = client
    while node and len(found) < LONGEST:
        if _owns(node, target):
            return [*found, (node, "")]
        interface, gateway = _next(node, target)
        if not interface or (found and not node.forwards):
            return []
        found.append((node, interface))
        node = _neighbour(topology, node, interface, gateway or target)
    return []


def _translations(
    way: list[tuple[Node, str]],
) -> tuple[tuple[str, Masquerade | Translator], ...]:
    """The NATs that a packet leaves by an outside interface of."""
    return tuple(
        (node.name, nat)
        for node, interface in way
        for nat in node.nat
        if isinstance(nat, (Masquerade, Translator)) and nat.outside == interface
    )


def _programs(topology: Topology, way: list[tuple[Node, str]]) -> bool:
    """Whether a box of a link may be on the way; rather one too many than one too few."""
    nodes = {node.name for node, _ in way}
    return any(link.middleboxes and nodes & {link.a[0], link.b[0]} for link in topology.links)


def _owns(node: Node, address: Address) -> bool:
    return any(a.ip == address for i in node.interfaces for a in i.addresses)


def _next(node: Node, target: Address) -> tuple[str, Address | None]:
    """The interface and the gateway of the longest prefix that holds ``target``."""
    best: tuple[int, str, Address | None] = (-1, "", None)
    for i in node.interfaces:
        for a in i.addresses:
            if target in a.network and a.network.prefixlen > best[0]:
                best = (a.network.prefixlen, i.name, None)
    for route in node.routes:
        if target in route.destination and route.destination.prefixlen > best[0]:
            best = (route.destination.prefixlen, route.interface, route.gateway)
    return best[1:]


def _neighbour(topology: Topology, node: Node, interface: str, address: Address) -> Node | None:
    """Who has ``address`` on the segment of an interface: by the neighbour's MAC address."""
    mac = next(
        (n.mac for n in node.neighbours if n.interface == interface and n.address == address), None
    )
    for other in topology.nodes:
        if any(mac == i.mac or (mac is None and address in [a.ip for a in i.addresses])
               for i in other.interfaces if other is not node):  # fmt: skip
            return other
    return None


# Measuring.


def check_together(lab: Lab, topology: Topology, *, is_fresh: bool) -> Iterator[Check]:
    """All chains of a lab that runs; nothing is changed, but its NATs get new flows.

    ``is_fresh``: it has carried nothing yet, so that boxes which count packets begin at the first.
    """
    for chain in chains(topology):
        traces = [
            CATALOGUE[b.kind].expected_arrivals(COUNT, dict(b.parameters)) for b in chain.boxes
        ]
        if all(packet_trace == list(range(COUNT)) for packet_trace in traces):
            yield from _check_nats(lab, chain)
        elif len(traces) == 1 and traces[0] is not None and is_fresh:
            (box,) = chain.boxes
            with Probe(lab) as probe:
                found = answer(arrivals, probe, chain)
            yield Check(chain.name, f"{box.kind}: datagrams that arrive", traces[0], found)


def _check_nats(lab: Lab, chain: Chain) -> Iterator[Check]:
    declared = declare(chain)
    with Probe(lab) as probe:
        found = answer(measure, probe, chain) or dict.fromkeys(declared)
    for name, value in declared.items():
        yield Check(chain.name, name, value, found[name])


def declare(chain: Chain) -> dict[str, str]:
    """The strictest of the chain's NATs, in the words that ``measure`` has for its servers."""
    each = [stock() if isinstance(n, Masquerade) else declaration(n) for _, n in chain.nats]
    return {
        name: _told(max((e[name] for e in each), key=DEPENDENCES.index), len(chain.servers))
        for name in ("mapping udp", "filtering udp")
    }


def _told(dependence: str, servers: int) -> str:
    return dependence if servers > 1 or dependence == BY_PORT else NOT_BY_PORT


def _client(probe: Probe, chain: Chain) -> socket.socket:
    return probe.udp(chain.client, "0.0.0.0")  # noqa: S104 - in a namespace of the lab


def arrivals(probe: Probe, chain: Chain) -> list[int]:
    """Which of ``COUNT`` numbered datagrams reach the server; the rest had time enough."""
    server = probe.udp(*chain.servers[0])
    client = _client(probe, chain)
    for number in range(COUNT):
        client.sendto(bytes([number]), server.getsockname())
    server.settimeout(1.0)
    found: list[int] = []
    try:
        while len(found) < COUNT:
            found.append(server.recv(9)[0])
    except TimeoutError:
        pass
    return sorted(found)


def measure(probe: Probe, chain: Chain) -> dict[str, str]:
    """Mapping and filtering of the chain as a whole, by UDP.

    Raises:
        TimeoutError: nothing came back in time.
    """
    (node, address), *others = chain.servers
    known, other_port = probe.udp(node, address), probe.udp(node, address)
    elsewhere = [probe.udp(*other) for other in others]
    client = _client(probe, chain)
    outside = _seen(client, known)
    same = [_seen(client, each) == outside for each in (other_port, *elsewhere)]
    # What was sent to may answer: the filter is asked of a mapping that knows one endpoint only.
    client = _client(probe, chain)
    outside = _seen(client, known)
    let_in = [_comes(each, outside, client) for each in (other_port, *elsewhere)]
    known.sendto(b"known", outside)
    if client.recv(9) != b"known":
        raise TimeoutError("what the known peer sends does not arrive")
    return {"mapping udp": _class(same), "filtering udp": _class(let_in)}


def _seen(client: socket.socket, server: socket.socket) -> tuple[str, int]:
    """The client's outside endpoint as the server sees it."""
    client.sendto(b"x", server.getsockname())
    source: tuple[str, int] = server.recvfrom(9)[1]
    return source


def _comes(server: socket.socket, outside: tuple[str, int], client: socket.socket) -> bool:
    """Whether a filter lets in what was not asked for; other servers may be further away."""
    server.sendto(b"unasked", outside)
    client.settimeout(SILENCE)
    try:
        return client.recv(9) == b"unasked"
    except TimeoutError:
        return False


def _class(same: list[bool]) -> str:
    """From "another port changes nothing" and, if it was asked, "nor does another address"."""
    by_port, *by_address = same
    if not by_port:
        return BY_PORT
    if not by_address:
        return NOT_BY_PORT
    return DEPENDENCES[0] if by_address[0] else DEPENDENCES[1]
