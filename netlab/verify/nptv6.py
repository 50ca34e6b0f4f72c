"""A prefix translation alone: two inside hosts, and a server that both sends and answers.

::

    a --+
        +-- lan nat wan -- server
    b --+
"""

from __future__ import annotations

import socket
from ipaddress import IPv6Network
from typing import TYPE_CHECKING, Any

from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.topology.model import Nptv6
from netlab.topology.nptv6 import counterpart
from netlab.verify import Check
from netlab.verify.probe import Probe, answer, drain, one_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from ipaddress import IPv6Address

    from netlab.topology.model import Node

LAB = """
name: verify-nptv6
nodes:
  a: {{}}
  b: {{}}
  lan: {{kind: bridge, subnet: "{subnet}"}}
  nat: {{kind: nat, outside: wan, nat: {{nptv6: {{inside: "{inside}", outside: "{outside}"}}}}}}
  server: {{}}
links:
  - [a:eth0, lan]
  - [b:eth0, lan]
  - [nat:lan, lan]
  - {{ends: [nat:wan, server:eth0], subnet: "{wan}"}}
"""

WANS = (IPv6Network("3fff:ff::/64"), IPv6Network("2001:db8:ffff:ffff::/64"))
"""Subnets for examples (RFC 9637, RFC 3849), of which one is not the NAT's own."""


def check_nptv6(node: Node, tamper: Callable[[Lab], object] | None = None) -> Iterator[Check]:
    """The prefix translation of a node."""
    for nat in node.nat:
        if isinstance(nat, Nptv6):
            measured = measure(nat, tamper)
            for name, value in dict.fromkeys(_PROBES, True).items():
                yield Check(node.name, f"nptv6 {name}", value, measured[name])


def measure(nat: Nptv6, tamper: Callable[[Lab], object] | None = None) -> dict[str, Any]:
    """Build it alone and ask it everything."""
    (block, _), *_ = nat.blocks
    subnet = IPv6Network((int(block.network_address), 64), strict=False)
    taken = (nat.inside, nat.outside)
    wan = next(w for w in WANS if not any(w.overlaps(t) for t in taken))
    text = LAB.format(subnet=subnet, inside=nat.inside, outside=nat.outside, wan=wan)
    measured: dict[str, Any] = {}
    with one_cpu(), Lab(loads(text, "verify")) as lab:
        if tamper:
            tamper(lab)
        for name, ask in _PROBES.items():
            with Probe(lab) as probe:
                ends = _Ends(probe, nat, subnet[1], subnet[2], wan[2])
                measured[name] = answer(ask, ends)
    return measured


class _Ends:
    """Sockets of the three hosts, and what each is called on the other side."""

    def __init__(
        self, probe: Probe, nat: Nptv6, a: IPv6Address, b: IPv6Address, server: IPv6Address
    ) -> None:
        self.probe = probe
        self.a, self.b, self.server = str(a), str(b), str(server)
        self.outside_a, self.outside_b = (
            str(counterpart(inside, nat.inside, nat.outside)) for inside in (a, b)
        )

    def udp(self, node: str) -> socket.socket:
        """A socket of a host at its own address."""
        return self.probe.udp(node, {"a": self.a, "b": self.b, "server": self.server}[node])


def _answered(ends: _Ends, *, inbound: bool) -> bool:
    """Whether a datagram arrives as from, or for, the counterpart; and its answer returns."""
    a, server = ends.udp("a"), ends.udp("server")
    outside = ends.outside_a, a.getsockname()[1]
    first, second = (server, a) if inbound else (a, server)
    target = outside if inbound else server.getsockname()[:2]
    try:
        first.sendto(b"there", target)
        _, source = second.recvfrom(9)
        second.sendto(b"back", source)
        _, answered_by = first.recvfrom(9)
    except TimeoutError:
        return False
    seen_by_server = answered_by if inbound else source
    return bool(seen_by_server[:2] == outside)


def _tcp(ends: _Ends) -> bool:
    server = ends.probe.open("a", socket.SOCK_STREAM, 0, (ends.a, 0))
    server.listen()
    client = ends.probe.open("server", socket.SOCK_STREAM, 0, (ends.server, 0))
    client.connect((ends.outside_a, server.getsockname()[1]))
    accepted, _ = server.accept()
    with accepted:
        accepted.sendall(b"hello")
        return client.recv(9) == b"hello"


def _echo(ends: _Ends) -> bool:
    ways = (("a", ends.server), ("server", ends.outside_b))
    return all(
        ends.probe.lab[node].run(["ping", "-c1", "-W5", target]).returncode == 0
        for node, target in ways
    )


def _errors(ends: _Ends) -> bool:
    """Whether "port unreachable" reaches the one that it quotes, both ways."""
    return all(
        _is_refused(ends.udp(node), target)
        for node, target in (("a", ends.server), ("server", ends.outside_b))
    )


def _is_refused(client: socket.socket, target: str) -> bool:
    client.connect((target, 9))
    client.send(b"x")
    try:
        client.recv(1)
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    return False


def _hairpinning(ends: _Ends) -> bool:
    a, b = ends.udp("a"), ends.udp("b")
    b.sendto(b"hairpin", (ends.outside_a, a.getsockname()[1]))
    try:
        _, source = a.recvfrom(9)
    except TimeoutError:
        return False
    return bool(source[0] == ends.outside_b)


def _hides_inside(ends: _Ends) -> bool:
    """Whether an inside address leads nowhere from outside, even by a route to it."""
    a, server = ends.udp("a"), ends.udp("server")
    lab = ends.probe.lab
    via = lab["nat"].run(["ip", "-6", "-o", "addr", "show", "dev", "wan"], check=True).stdout
    gateway = via.split()[3].partition("/")[0]
    lab["server"].run(["ip", "route", "add", f"{ends.a}/128", "via", gateway], check=True)
    port = a.getsockname()[1]
    server.sendto(b"inside", (ends.a, port))
    server.sendto(b"outside", (ends.outside_a, port))
    return a.recv(9) == b"outside" and not drain(a)


_PROBES: dict[str, Callable[[_Ends], bool]] = {
    "outbound": lambda ends: _answered(ends, inbound=False),
    "inbound": lambda ends: _answered(ends, inbound=True),
    "tcp": _tcp,
    "echo": _echo,
    "errors": _errors,
    "hairpinning": _hairpinning,
    "hides inside": _hides_inside,
}
