"""A NAT64 alone: IPv6 hosts on one side, an IPv4 server on the other.

::

    a 2001:db8:1::1 --+
                      +-- lan nat wan 192.0.2.1 ... -- server 192.0.2.100, .101
    b 2001:db8:1::2 --+

The probes are those of ``nat.py``, and what the change of version brings: lengths, fragments,
errors in other words.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from netlab.lab.lab import Lab
from netlab.topology.model import Masquerade, Nat64
from netlab.topology.nat import Translator
from netlab.topology.nat64 import synthesized
from netlab.verify import Check
from netlab.verify.nat import (
    OTHER,
    SERVER,
    TARGETS,
    alone,
    classify_filtering,
    classify_mapping,
    declaration,
    stock,
)
from netlab.verify.probe import Probe, answer, drain, one_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.topology.model import Node, Topology

A, B, INSIDE = "2001:db8:1::1", "2001:db8:1::2", "2001:db8:1::3"
OUTSIDE = "192.0.2.1"
LAN_MTU, WAN_MTU = 1400, 1300

LAB = """
name: verify-nat64
defaults: {{mtu: {lan}}}
nodes:
  a: {{}}
  b: {{}}
  lan: {{kind: bridge, subnet: "2001:db8:1::/64"}}
  nat: {{kind: nat, outside: wan, nat: {{nat64: "{prefix}"}}}}
  server: {{}}
links:
  - [a:eth0, lan]
  - [b:eth0, lan]
  - [nat:lan, lan]
  - {{ends: [nat:wan, server:eth0], mtu: {wan}, subnet: 192.0.2.0/24, addresses: {{nat: 192.0.2.1, server: 192.0.2.100}}}}
"""  # noqa: E501 - a file is what it is

_IPV6_MTU_DISCOVER, _IPV6_PMTUDISC_DO, _IPV6_MTU = 23, 2, 24  # linux/in6.h
LONGEST = 4000


def check_nat64(node: Node, tamper: Callable[[Lab], object] | None = None) -> Iterator[Check]:
    """The translator of a node, behind the first of the node's NATs."""
    between = next((n for n in node.nat if isinstance(n, Nat64)), None)
    nat = next((n for n in node.nat if isinstance(n, (Masquerade, Translator))), None)
    if between is None or nat is None:
        return
    measured = measure(nat, between, tamper)
    for name, value in declared(nat).items():
        yield Check(node.name, f"nat64 {name}", value, measured[name])


def declared(nat: Masquerade | Translator) -> dict[str, Any]:
    """What must be true of a translator before this NAT."""
    ipv4 = stock() if isinstance(nat, Masquerade) else declaration(nat)
    return {
        "tcp": True,
        "udp": True,
        "echo": True,
        "fragments": True,
        "path mtu": WAN_MTU + 20,
        "errors": ipv4["icmp errors"],
        "mapping udp": ipv4["mapping udp"],
        "filtering udp": ipv4["filtering udp"],
        "hairpinning": ipv4["hairpinning"],
    }


def measure(
    nat: Masquerade | Translator,
    between: Nat64,
    tamper: Callable[[Lab], object] | None = None,
) -> dict[str, Any]:
    """Build the two alone and ask them everything."""
    measured: dict[str, Any] = {}
    with one_cpu(), Lab(lab_of(nat, between)) as lab:
        lab["server"].run(["ip", "address", "add", f"{OTHER}/24", "dev", "eth0"], check=True)
        if tamper:
            tamper(lab)
        for name, ask in _PROBES.items():
            with Probe(lab) as probe:
                measured[name] = answer(ask, _Ends(probe, between))
    return measured


def lab_of(nat: Masquerade | Translator, between: Nat64) -> Topology:
    """The lab of the drawing, with these two in it."""
    return alone(nat, LAB.format(prefix=between.prefix, lan=LAN_MTU, wan=WAN_MTU))


class _Ends:
    """Sockets on both sides, and the inside's words for outside addresses."""

    def __init__(self, probe: Probe, between: Nat64) -> None:
        self.probe = probe
        self.between = between

    def to(self, endpoint: tuple[str, int]) -> tuple[str, int]:
        """An IPv4 endpoint as the IPv6 hosts address it."""
        address, port = endpoint
        return str(synthesized(self.between.prefix, IPv4Address(address))), port

    def exchange(self, data: bytes) -> bool:
        """Whether a datagram reaches the server from the NAT's address, and its answer returns."""
        server, client = self.probe.udp("server", SERVER), self.probe.udp("a", A)
        try:
            client.sendto(data, self.to(server.getsockname()))
            arrived, outside = server.recvfrom(LONGEST)
            server.sendto(arrived, outside)
            back, source = client.recvfrom(LONGEST)
        except TimeoutError:
            return False
        return back == data and source[:2] == self.to(server.getsockname())

    def settle(self) -> None:
        """Wait until what ``a`` or ``b`` sent to a lent address or outside is where it goes.

        The translator is a program: that its answer to a later echo is back proves that it has
        read, and written, all that came before.
        """
        for node in ("a", "b"):
            target = self.to((SERVER, 0))[0]
            self.probe.lab[node].run(["ping", "-c1", "-W5", target], check=True)
        self.probe.settle(("nat", INSIDE), ("a", A))
        self.probe.settle(("nat", INSIDE), ("b", B))


def _tcp(ends: _Ends) -> bool:
    server = ends.probe.open("server", socket.SOCK_STREAM, 0, (SERVER, 0))
    server.listen()
    client = ends.probe.open("a", socket.SOCK_STREAM, 0, (A, 0))
    client.connect(ends.to(server.getsockname()))
    accepted, (address, _) = server.accept()
    # Longer than the path's smallest MTU: segments must shrink to fit.
    data = bytes(LONGEST)
    with accepted:
        accepted.settimeout(5)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        accepted.sendall(_all(accepted))
        accepted.shutdown(socket.SHUT_WR)
        return _all(client) == data and bool(address.startswith("192.0.2."))


def _all(connection: socket.socket) -> bytes:
    found = b""
    while piece := connection.recv(65_535):
        found += piece
    return found


def _echo(ends: _Ends) -> bool:
    target = ends.to((SERVER, 0))[0]
    return ends.probe.lab["a"].run(["ping", "-c1", "-W5", target]).returncode == 0


def _path_mtu(ends: _Ends) -> int:
    """What a host learns from "packet too big" about the IPv4 link behind the translator."""
    client = ends.probe.udp("a", A)
    client.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _IPV6_PMTUDISC_DO)
    client.connect(ends.to((SERVER, 9)))
    client.send(bytes(LAN_MTU - 48))
    ends.settle()
    return int(client.getsockopt(socket.IPPROTO_IPV6, _IPV6_MTU))


def _errors(ends: _Ends) -> bool:
    """Whether "port unreachable" comes back as ICMPv6 says it."""
    client = ends.probe.udp("a", A)
    client.connect(ends.to((SERVER, 9)))
    client.send(b"x")
    ends.settle()
    client.setblocking(False)
    try:
        client.recv(1)
    except ConnectionRefusedError:
        return True
    except BlockingIOError:
        return False
    return False


def _mapping(ends: _Ends) -> str:
    servers = [ends.probe.udp("server", *target) for target in TARGETS]
    client = ends.probe.udp("a", A)
    seen = []
    for server, target in zip(servers, TARGETS, strict=True):
        client.sendto(b"x", ends.to(target))
        seen.append(server.recvfrom(9)[1])
    return classify_mapping(seen)


def _filtering(ends: _Ends) -> str:
    known, other_port = ends.probe.udp("server", SERVER), ends.probe.udp("server", SERVER)
    other_address = ends.probe.udp("server", OTHER)
    client = ends.probe.udp("a", A)
    client.sendto(b"x", ends.to(known.getsockname()))
    outside = known.recvfrom(9)[1]
    for sender, text in ((other_address, b"address"), (other_port, b"port"), (known, b"known")):
        sender.sendto(text, outside)
    arrived = set()
    while b"known" not in arrived:
        arrived.add(client.recv(9))
    return classify_filtering(b"address" in arrived, b"port" in arrived)


def _hairpinning(ends: _Ends) -> bool:
    """Two IPv6 hosts by their IPv4 mappings (RFC 6146 section 3.8)."""
    server = ends.probe.udp("server", SERVER)
    a, b = ends.probe.udp("a", A), ends.probe.udp("b", B)
    outside = []
    for each in (a, b):
        each.sendto(b"x", ends.to(server.getsockname()))
        outside.append(server.recvfrom(9)[1])
    b.sendto(b"hairpin", ends.to(outside[0]))
    ends.settle()
    return any(source[:2] == ends.to(outside[1]) for _, source in drain(a))


_PROBES: dict[str, Callable[[_Ends], Any]] = {
    # First of all: a host keeps in mind the path MTU that it has learned.
    "path mtu": _path_mtu,
    "tcp": _tcp,
    "udp": lambda ends: ends.exchange(b"data"),
    "fragments": lambda ends: ends.exchange(bytes(LONGEST)),
    "echo": _echo,
    "errors": _errors,
    "mapping udp": _mapping,
    "filtering udp": _filtering,
    "hairpinning": _hairpinning,
}
