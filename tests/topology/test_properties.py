"""What holds for every topology, drawn at random."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.errors import InputError
from netlab.topology import loads
from tests.topology.strategies import broken_topologies, topologies

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from netlab.errors import Diagnostic
    from netlab.topology.model import Node, Topology

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


class Forwarding:
    """Walks a packet through the finished model, by longest prefix, as kernels would."""

    def __init__(self, topology: Topology, *, dynamic: bool = False) -> None:
        self.nodes = {node.name: node for node in topology.nodes}
        self.dynamic = dynamic
        self.lans: dict[tuple[str, str], int] = {}
        self._join_segments(topology)

    def _join_segments(self, topology: Topology) -> None:
        for number, link in enumerate(topology.links):
            self.lans[link.a] = self.lans[link.b] = number
        # Ports of one bridge, and what is plugged into them, are one segment.
        changed = True
        while changed:
            changed = False
            for node in topology.nodes:
                ports = [(node.name, i.name) for i in node.interfaces if i.master]
                ends = [e for link in topology.links for e in (link.a, link.b)]
                wanted = min((self.lans[p] for p in ports), default=0)
                joined = {self.lans[p] for p in ports}
                for end in ends:
                    if self.lans[end] in joined and self.lans[end] != wanted:
                        self.lans[end] = wanted
                        changed = True

    def path(self, source: str, target: IPv4Address | IPv6Address) -> list[str] | str:
        """The nodes on the way; a word if the packet dies, and why."""
        node, way = self.nodes[source], [source]
        for _ in range(64):
            if self._has(node, target):
                return way
            if len(way) > 1 and not node.forwards:
                return f"{node.name} does not forward"
            step = self._step(node, target)
            if isinstance(step, str):
                return step
            node = step
            way.append(node.name)
        return "loop"

    @staticmethod
    def _has(node: Node, target: IPv4Address | IPv6Address) -> bool:
        own = [a.ip for i in node.interfaces for a in i.addresses]
        return target in [*own, *node.stack_addresses]

    def _step(self, node: Node, target: IPv4Address | IPv6Address) -> Node | str:
        routes = [
            (a.network.prefixlen, i.name, target)
            for i in node.interfaces
            for a in i.addresses
            if target in a.network
        ]
        routes += [
            (r.destination.prefixlen, r.interface, r.gateway or target)
            for r in node.routes
            if target in r.destination
        ]
        if not routes:
            return f"{node.name} has no route"
        _, interface, gateway = max(routes, key=lambda route: route[0])
        known = {(n.interface, n.address): n.mac for n in node.neighbours}
        segment = self.lans[node.name, interface]
        holders = [
            (other, i)
            for other in self.nodes.values()
            for i in other.interfaces
            if self.lans.get((other.name, i.name)) == segment
            and other is not node
            and (gateway in [a.ip for a in i.addresses] or gateway in other.stack_addresses)
        ]
        if len(holders) != 1:
            return f"{len(holders)} nodes answer for {gateway}"
        holder, its_interface = holders[0]
        mac = known.get((interface, gateway))
        if mac is None and not (self.dynamic and gateway not in holder.stack_addresses):
            return f"{node.name} has no neighbour entry for {gateway}"
        if mac not in (None, its_interface.mac):
            return f"{node.name} has a wrong neighbour for {gateway}"
        return holder


def addresses(node: Node) -> list[IPv4Address | IPv6Address]:
    return [a.ip for i in node.interfaces for a in i.addresses] + list(node.stack_addresses)


@QUICK
@given(topologies())
def test_a_node_reaches_every_address_that_no_nat_hides(drawn):
    topology = loads(drawn.text)
    forwarding = Forwarding(topology, dynamic="neighbours" in drawn.file["defaults"])
    ends = [n for n in topology.nodes if n.kind in ("host", "stack")]
    for source in ends[:4]:
        versions = {a.version for a in addresses(source)}
        for target in ends:
            here, there = drawn.realm[source.name], drawn.realm[target.name]
            for address in addresses(target):
                if address.version not in versions:
                    continue
                way = forwarding.path(source.name, address)
                hidden = address.version == 4 and here[: len(there)] != there
                if not hidden:
                    assert isinstance(way, list), (source.name, address, way)
                    assert way[-1] == target.name
                else:
                    assert way[-1] != target.name
                    assert way != "loop"


@QUICK
@given(topologies())
def test_identities_are_unique_and_in_order(drawn):
    topology = loads(drawn.text)
    macs = [i.mac for n in topology.nodes for i in n.interfaces if i.mac]
    assert len(set(macs)) == len(macs)
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs), "locally administered unicast"
    for node in topology.nodes:
        assert [i.ifindex for i in node.interfaces] == list(range(2, len(node.interfaces) + 2))
        destinations = [r.destination for r in node.routes]
        assert len(set(destinations)) == len(destinations)
    segments = Forwarding(topology).lans
    held = [
        (segments[n.name, i.name], a.ip)
        for n in topology.nodes
        for i in n.interfaces
        for a in i.addresses
    ]
    assert len(set(held)) == len(held)


@QUICK
@given(topologies())
def test_a_topology_is_a_function_of_its_text(drawn):
    assert loads(drawn.text) == loads(drawn.text)


@QUICK
@given(topologies(3))
def test_every_link_has_two_ends_that_agree(drawn):
    topology = loads(drawn.text)
    interfaces = {(n.name, i.name): i for n in topology.nodes for i in n.interfaces}
    for link in topology.links:
        a, b = interfaces[link.a], interfaces[link.b]
        assert (a.peer, b.peer) == (link.b, link.a)
        assert a.mtu == b.mtu


def problems(text: str) -> tuple[Diagnostic, ...] | None:
    """What is wrong with a text; ``None`` if it is a topology. Anything else goes through."""
    try:
        loads(text, "broken.yaml")
    except InputError as error:
        return error.diagnostics
    return None


@settings(QUICK, max_examples=300)
@given(broken_topologies())
def test_a_broken_file_gives_diagnostics_in_file_order_and_never_a_traceback(text):
    found = problems(text)
    assert found != ()
    last = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").count("\n") + 2
    for problem in found or ():
        assert problem.hint
        assert problem.position is not None
        assert 1 <= problem.position.line <= last
    places = [d.position for d in found or () if d.position]
    assert all(a <= b for a, b in pairwise(places))


@settings(QUICK, max_examples=300)
@given(st.one_of(st.text(), st.text(alphabet="{}[],:&*!|>'\"%@`#?- \n\tab01~<")))
def test_any_text_at_all_is_a_topology_or_an_input_error(text):
    assert problems(text) != ()
