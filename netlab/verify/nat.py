"""A NAT alone, asked by sockets: for the table of requirements and for NAT64.

::

    a 10.0.0.1 --+
                 +-- lan nat wan 192.0.2.1 ... -- server 192.0.2.100, .101
    b 10.0.0.2 --+

The probes are those of RFC 5780 section 4, with sockets on both sides instead of STUN.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.topology.model import Masquerade, Nat64
from netlab.topology.nat import Translator, blocks
from netlab.verify import allocation
from netlab.verify.probe import Probe, answer, drain, one_cpu

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.topology.model import Topology

A, B, INSIDE = "10.0.0.1", "10.0.0.2", "10.0.0.3"
MANY, ONE = "10.0.0.111", "10.0.0.112"
SERVER, OTHER = "192.0.2.100", "192.0.2.101"

LAB = """
name: verify-nat
nodes:
  a: {}
  b: {}
  lan: {kind: bridge, subnet: 10.0.0.0/24}
  nat: {kind: nat, outside: wan, nat: {static: []}}
  server: {}
links:
  - [a:eth0, lan]
  - [b:eth0, lan]
  - [nat:lan, lan]
  - {ends: [nat:wan, server:eth0], subnet: 192.0.2.0/24, addresses: {nat: 192.0.2.1, server: 192.0.2.100}}
"""  # noqa: E501 - a file is what it is

UNKNOWN = 253
"""An IP protocol for experiments (RFC 3692) that no NAT knows."""

FEW = 100
"""Sessions: a limit up to this is tried, a higher one believed."""

SILENCE = 0.5
"""Seconds without an answer that count as none."""


def declaration(nat: Translator) -> dict[str, Any]:
    """What follows from the words of a NAT, in those of ``measure``."""
    low, high = blocks(nat)[0] if nat.port_block else nat.port_range
    declared: dict[str, Any] = {
        "mapping udp": nat.mapping,
        "mapping tcp": nat.mapping,
        "filtering udp": nat.filtering,
        "filtering tcp": nat.filtering,
        "port preservation": nat.ports not in ("random", "sequential") and low <= 40000 <= high,
        "port overloading": nat.ports == "overload" and low <= 40001 <= high,
        "hairpinning": nat.hairpinning,
        "icmp errors": nat.icmp_errors,
        "unknown protocols": nat.unknown_protocols,
        "unsolicited": nat.unsolicited,
    }
    if 0 < nat.sessions_per_subscriber <= FEW:
        declared["sessions per subscriber"] = nat.sessions_per_subscriber
    if allocation.is_told(nat):
        declared["port allocation"] = allocation.declared(nat)
    if nat.port_block:
        declared["port block"] = nat.port_block
    return declared


def stock() -> dict[str, Any]:
    """Linux masquerade with an input drop: what it looks like to one client and to a second."""
    return {
        "mapping udp": "endpoint-independent",
        "mapping tcp": "endpoint-independent",
        "filtering udp": "address-and-port-dependent",
        "filtering tcp": "address-and-port-dependent",
        "port preservation": True,
        "port overloading": True,
        "port allocation": "overload",
        "hairpinning": False,
        "icmp errors": True,
        "unknown protocols": "translate",
        "unsolicited": "drop",
    }


def measure(nat: Translator | Masquerade) -> dict[str, Any]:
    """Build the NAT alone and ask it everything."""
    probes: dict[str, Callable[[Probe, Translator | Masquerade], Any]] = {
        "mapping udp": _mapping_udp,
        "mapping tcp": _mapping_tcp,
        "filtering udp": _filtering_udp,
        "filtering tcp": _filtering_tcp,
        "port preservation": _preservation,
        "port overloading": _overloading,
        "hairpinning": _hairpinning,
        "icmp errors": _icmp_errors,
        "unknown protocols": _unknown,
        "unsolicited": _unsolicited,
    }
    if isinstance(nat, Translator) and 0 < nat.sessions_per_subscriber <= FEW:
        probes["sessions per subscriber"] = _sessions
    if not isinstance(nat, Translator) or allocation.is_told(nat):
        probes["port allocation"] = allocation.measure
    if isinstance(nat, Translator) and nat.port_block:
        probes["port block"] = allocation.measure_block
    measured = {}
    with one_cpu(), Lab(alone(nat)) as lab:
        lab["server"].run(["ip", "address", "add", f"{OTHER}/24", "dev", "eth0"], check=True)
        for name, ask in probes.items():
            with Probe(lab) as probe:
                measured[name] = answer(ask, probe, nat)
    return measured


def alone(nat: Translator | Masquerade, text: str = LAB) -> Topology:
    """The lab of the drawing, with this NAT in it; ``text`` is another with the same names."""
    topology = loads(text, "verify")
    moved: Translator | Masquerade = replace(nat, outside="wan")
    extra = 0
    if isinstance(moved, Translator):
        extra = len(moved.addresses) - 1
        own = tuple(IPv4Address("192.0.2.1") + i for i in range(extra + 1))
        moved = replace(moved, addresses=own)
    nodes = []
    for node in topology.nodes:
        if node.name == "nat":
            lan, wan, *others = node.interfaces
            more = tuple(type(wan.addresses[0])(f"192.0.2.{i + 2}/24") for i in range(extra))
            wan = replace(wan, addresses=(*wan.addresses, *more))
            between = [n for n in node.nat if isinstance(n, Nat64)]
            node = replace(  # noqa: PLW2901
                node, nat=(moved, *between), interfaces=(lan, wan, *others)
            )
        nodes.append(node)
    return replace(topology, nodes=tuple(nodes))


# Mapping: RFC 5780 section 4.3.

TARGETS = ((SERVER, 3478), (SERVER, 3479), (OTHER, 3478))


def classify_mapping(seen: list[tuple[str, int]]) -> str:
    """The mapping that shows these outside endpoints to the three ``TARGETS``."""
    first, port, address = seen
    if first == port == address:
        return "endpoint-independent"
    return "address-dependent" if first == port else "address-and-port-dependent"


def _mapping_udp(probe: Probe, _: object) -> str:
    servers = [probe.udp("server", *target) for target in TARGETS]
    client = probe.udp("a", A)
    seen = []
    for server, target in zip(servers, TARGETS, strict=True):
        client.sendto(b"x", target)
        seen.append(server.recvfrom(9)[1])
    return classify_mapping(seen)


def _mapping_tcp(probe: Probe, _: object) -> str:
    seen = []
    port = 0
    for target in TARGETS:
        server = probe.open("server", socket.SOCK_STREAM, 0, target)
        server.listen()
        client = probe.open("a", socket.SOCK_STREAM, 0, (A, port))
        port = client.getsockname()[1]
        client.connect(target)
        accepted, peer = server.accept()
        accepted.close()
        seen.append(peer)
    return classify_mapping(seen)


# Filtering: section 4.4. The last prober is let in by any filter, so that its packet shows
# that those before it were refused.


def _filtering_udp(probe: Probe, _: object) -> str:
    known = probe.udp("server", SERVER)
    other_port = probe.udp("server", SERVER)
    other_address = probe.udp("server", OTHER)
    client = probe.udp("a", A)
    client.sendto(b"x", known.getsockname())
    outside = known.recvfrom(9)[1]
    for sender, text in ((other_address, b"address"), (other_port, b"port"), (known, b"known")):
        sender.sendto(text, outside)
    arrived = set()
    while b"known" not in arrived:
        arrived.add(client.recv(9))
    return classify_filtering(b"address" in arrived, b"port" in arrived)


def classify_filtering(address: bool, port: bool) -> str:  # noqa: FBT001 - two answers
    """The filter that lets in from another address, and from another port of a known one."""
    if address and port:
        return "endpoint-independent"
    return "address-dependent" if port else "address-and-port-dependent"


def _filtering_tcp(probe: Probe, _: object) -> str:
    server = probe.open("server", socket.SOCK_STREAM, 0, (SERVER, 0))
    server.listen()
    inside = probe.open("a", socket.SOCK_STREAM, 0, (A, 0))
    port = inside.getsockname()[1]
    inside.connect(server.getsockname())
    accepted, outside = server.accept()
    listener = probe.open("a", socket.SOCK_STREAM, 0, (A, port))
    listener.listen()
    with accepted:
        return classify_filtering(
            _connects(probe, (OTHER, 0), outside), _connects(probe, (SERVER, 0), outside)
        )


def _connects(probe: Probe, source: tuple[str, int], target: tuple[str, int]) -> bool:
    client = probe.open("server", socket.SOCK_STREAM, 0, source)
    client.settimeout(SILENCE)
    try:
        client.connect(target)
    except OSError:
        return False
    return True


# Ports: RFC 4787 section 4.2.


def _preservation(probe: Probe, _: object) -> bool:
    server = probe.udp("server", SERVER)
    client = probe.udp("a", A, 40000)
    client.sendto(b"x", server.getsockname())
    return bool(server.recvfrom(9)[1][1] == 40000)


def _overloading(probe: Probe, _: object) -> bool:
    """Whether two inside endpoints share an outside port, towards different destinations."""
    seen = []
    for node, inside, outside in (("a", A, SERVER), ("b", B, OTHER)):
        server = probe.udp("server", outside)
        probe.udp(node, inside, 40001).sendto(b"x", server.getsockname())
        seen.append(server.recvfrom(9)[1])
    return bool(seen[0] == seen[1])


def _hairpinning(probe: Probe, _: object) -> bool:
    """RFC 4787 REQ-9, and its (a): the source is an outside endpoint."""
    server = probe.udp("server", SERVER)
    a, b = probe.udp("a", A), probe.udp("b", B)
    for each in (a, b):
        each.sendto(b"x", server.getsockname())
    outside_a, outside_b = (server.recvfrom(9)[1] for _ in range(2))
    b.sendto(b"hairpin", outside_a)
    probe.settle(("b", B), ("nat", INSIDE), ("a", A))
    return any(source[0] == outside_b[0] for _, source in drain(a))


# The rest.


def _icmp_errors(probe: Probe, _: object) -> bool:
    """Whether "port unreachable" for a translated datagram reaches its sender."""
    client = probe.udp("a", A)
    client.connect((SERVER, 9))
    client.send(b"x")
    client.settimeout(SILENCE)
    try:
        client.recv(1)
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    return False


def _unknown(probe: Probe, _: object) -> str:
    server = probe.open("server", socket.SOCK_RAW, UNKNOWN)
    sources = []
    for node, inside in (("a", A), ("b", B)):
        sender = probe.open(node, socket.SOCK_RAW, UNKNOWN, (inside, 0))
        sender.sendto(b"x", (SERVER, 0))
        probe.settle((node, inside), ("nat", INSIDE))
        probe.settle(("nat", "192.0.2.1"), ("server", SERVER))
        arrived = drain(server)
        sources.append(arrived[0][1][0] if arrived else None)
    first, second = sources
    if first is None:
        return "drop"
    if first == A:
        return "leak"
    return "pool" if second not in (None, first, B) else "translate"


def _unsolicited(probe: Probe, _: object) -> str:
    client = probe.open("server", socket.SOCK_STREAM, 0, (SERVER, 0))
    client.settimeout(SILENCE)
    try:
        client.connect(("192.0.2.1", 7))
    except ConnectionRefusedError:
        return "reset"
    except TimeoutError:
        return "drop"
    return "accept"


def _sessions(probe: Probe, nat: Translator | Masquerade) -> int | None:
    """How many sessions a host gets beside another, who has one of its own all the while.

    Sessions of other probes still count for the hosts of the drawing, so these are new ones.
    """
    assert isinstance(nat, Translator)
    server = probe.udp("server", SERVER)
    for node, address in (("a", MANY), ("b", ONE)):
        probe.lab[node].run(["ip", "address", "add", f"{address}/24", "dev", "eth0"], check=True)
    for _ in range(nat.sessions_per_subscriber + 3):
        client = probe.udp("a", MANY)
        client.sendto(b"x", server.getsockname())
    probe.udp("b", ONE).sendto(b"one", server.getsockname())
    arrived = []
    while b"one" not in arrived:
        arrived.append(server.recv(9))
    return len(arrived) - 1
