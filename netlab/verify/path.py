"""A box alone: its effect on a SYN and on twenty numbered datagrams.

::

    client 10.0.0.1 -- a router b -- 10.0.1.2 server        a box made of rules is the router
    client 10.0.0.1 --[ box, ... ]-- 10.0.0.2 server        a program is in the wire

What a program should do is known by running it over a simulated wire; what rules should do, the
catalogue says.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.lab.lab import Lab
from netlab.middlebox import Packet, SimulatedLink
from netlab.middlebox.catalogue import CATALOGUE
from netlab.middlebox.chain import Chain
from netlab.middlebox.factory import boxes
from netlab.middlebox.rules import headers
from netlab.middlebox.tracebox import changes
from netlab.plan.inline import describe
from netlab.topology import loads
from netlab.verify import Check
from netlab.verify.probe import Probe, drain, one_cpu
from netlab.wire import ipv4, tcp, udp
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.topology.model import Box, Link, Node, Topology

COUNT = 20
CLIENT = "10.0.0.1"
PORT, UDP_PORT = 80, 5000

THROUGH_NODE = """
name: verify-box
nodes: {client: {}, router: {kind: router}, server: {}}
links:
  - {ends: [client:eth0, router:a], subnet: 10.0.0.0/24}
  - {ends: [router:b, server:eth0], subnet: 10.0.1.0/24}
"""
THROUGH_LINK = """
name: verify-box
nodes: {client: {}, server: {}}
links: [{ends: [client:eth0, server:eth0], subnet: 10.0.0.0/24}]
"""


def check_node(node: Node) -> Iterator[Check]:
    """The boxes of a node, each alone."""
    for box in node.middleboxes:
        kind, given = CATALOGUE[box.kind], dict(box.parameters)
        if "inside" in given:
            given["inside"] = "a"
        alone = replace(box, parameters=tuple(given.items()))
        measured_changes, measured_arrivals = measure(_at_node(alone))
        expected = kind.expected_changes(given)
        if expected is not None:
            yield Check(node.name, f"{box.kind}: changes", list(expected), list(measured_changes))
        arrivals = kind.expected_arrivals(COUNT, given)
        if arrivals is not None:
            yield Check(
                node.name, f"{box.kind}: datagrams that arrive", arrivals, measured_arrivals
            )


def check_link(link: Link) -> Iterator[Check]:
    """All boxes of a link together, from its first end to its second."""
    if not link.middleboxes:
        return
    name = f"{':'.join(link.a)} -- {':'.join(link.b)}"
    names = ", ".join(box.kind or box.python.rpartition(":")[2] for box in link.middleboxes)
    measured_changes, measured_arrivals = measure(_in_link(link.middleboxes))
    simulated_changes, simulated_fate = simulate(link.middleboxes)
    yield Check(name, f"{names}: changes", list(simulated_changes), list(measured_changes))
    if not any(dict(box.parameters).get("rate") for box in link.middleboxes):
        yield Check(name, f"{names}: datagrams that arrive", simulated_fate, measured_arrivals)


def _at_node(box: Box) -> Topology:
    topology = loads(THROUGH_NODE, "verify")
    nodes = tuple(
        replace(n, middleboxes=(box,)) if n.name == "router" else n for n in topology.nodes
    )
    return replace(topology, nodes=nodes)


def _in_link(middleboxes: tuple[Box, ...]) -> Topology:
    topology = loads(THROUGH_LINK, "verify")
    (link,) = topology.links
    return replace(topology, links=(replace(link, middleboxes=middleboxes),))


def syn(server: str) -> Packet:
    """The SYN of the catalogue's ``changes``."""
    options = tcp.Options(
        mss=headers.PROBE_MSS, window_scale=7, sack_permitted=True, timestamps=(1, 0)
    )
    a, b = packed(CLIENT), packed(server)
    head = tcp.Header(
        40000, PORT, 1000, flags=tcp.SYN, window=65535, options=tcp.encode_options(options)
    )
    ip = ipv4.Header(
        a,
        b,
        tcp.PROTOCOL,
        ttl=headers.PROBE_TTL,
        identification=headers.PROBE_ID,
        traffic_class=headers.PROBE_DSCP << 2 | 1,
    )
    return Packet(ipv4.encode(ip, tcp.encode(head, b"", a, b)))


def simulate(middleboxes: tuple[Box, ...]) -> tuple[tuple[str, ...], list[int]]:
    """What the boxes of a link do to datagrams and then to a SYN, without a kernel."""
    wire = SimulatedLink.of(Chain(boxes(describe(middleboxes))))
    a, b = packed(CLIENT), packed("10.0.0.2")
    for number in range(COUNT):
        body = udp.encode(udp.Header(4000, UDP_PORT), bytes([number]), a, b)
        wire.send("outbound", [ipv4.encode(ipv4.Header(a, b, udp.PROTOCOL), body)])
    arrived = sorted(p.payload[0] for _, way, p in wire.run() if way == "outbound")
    wire.send("outbound", [syn("10.0.0.2")])
    after = next((p for _, way, p in wire.run() if way == "outbound" and p.tcp), None)
    return changes(syn("10.0.0.2"), after), arrived


def measure(topology: Topology) -> tuple[tuple[str, ...], list[int]]:
    """The same in a lab. What does not come within a second after the last is lost."""
    with one_cpu(), Lab(topology) as lab, Probe(lab) as probe:
        server = lab["server"].address
        hops = 1 if "router" in lab else 0
        receiver = probe.udp("server", server, UDP_PORT)
        client = probe.udp("client", CLIENT, 4000)
        for number in range(COUNT):
            client.sendto(bytes([number]), (server, UDP_PORT))
        arrived = sorted(data[0] for data in _all(probe, receiver, hops))
        raw = probe.open("server", socket.SOCK_RAW, tcp.PROTOCOL)
        before = syn(server)
        probe.open("client", socket.SOCK_RAW, socket.IPPROTO_RAW).sendto(before.octets, (server, 0))
        packets = [Packet(data) for data in _all(probe, raw, hops)]
        after = next((p for p in packets if p.tcp and p.tcp.destination_port == PORT), None)
        return changes(before, after, hops), arrived


def _all(probe: Probe, receiver: socket.socket, hops: int) -> list[bytes]:
    """Everything that arrives: at once through rules, after a while through a program."""
    if hops:
        probe.settle(("client", CLIENT), ("router", "10.0.0.2"))
        probe.settle(("router", ""), ("server", "10.0.1.2"))
        return [data for data, _ in drain(receiver)]
    found = []
    receiver.settimeout(1.0)
    try:
        while True:
            found.append(receiver.recv(65_535))
    except TimeoutError:
        return found
