"""A client, a router that can be any middlebox, a server; and sockets at all three.

client 10.0.0.1 -- a router b -- 10.0.1.2 server
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from netlab.io.inline.bridge import CONTROL
from netlab.lab.lab import Lab
from netlab.middlebox.catalogue import CATALOGUE
from netlab.plan import boxes, firewall
from netlab.topology import loads
from netlab.topology.model import Box, Node
from netlab.wire import ipv4, tcp
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = """
nodes:
  client: {}
  router: {kind: router, sysctls: {net.netfilter.nf_conntrack_tcp_loose: 0}}
  server: {}
links:
  - {ends: [client:eth0, router:a], subnet: 10.0.0.0/24}
  - {ends: [router:b, server:eth0], subnet: 10.0.1.0/24, mtu: 1400}
"""

CLIENT, ROUTER, SERVER = "10.0.0.1", "10.0.0.2", "10.0.1.2"
BEHIND = "10.0.1.1"
UDP_PORT, TCP_PORT, CLOSED_PORT = 5000, 5001, 5002
SECONDS = 5.0


class Path:
    """The lab, and what a test does with it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._open: list[socket.socket] = []

    def become(self, kind: str, **parameters: Any) -> None:
        """Make the router this kind of middlebox, as if it had just been built."""
        given = tuple((name.replace("_", "-"), value) for name, value in parameters.items())
        assert not list(CATALOGUE[kind].problems(dict(given)))
        self.use(Node("router", "router", middleboxes=(Box(kind, given),)))

    def use(self, node: Node) -> None:
        router = self.lab["router"]
        text = "flush ruleset\n" + firewall.ruleset(node)
        router.run(["nft", "-f", "-"], input=text, check=True)
        for key, value in boxes.sysctls(node):
            router.run(["sysctl", "-qw", f"{key}={value}"], check=True)
        router.run(["conntrack", "-F"])
        for each in ("client", "server"):
            self.lab[each].run(["ip", "route", "flush", "cache"], check=True)

    def open(self, node: str, kind: int, protocol: int = 0, address: Any = None) -> socket.socket:
        """A socket in a node that ``close`` closes."""
        made = self.lab[node].socket(socket.AF_INET, kind, protocol)
        self._open.append(made)
        made.settimeout(SECONDS)
        if address is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
        return made

    def close(self) -> None:
        for each in self._open:
            each.close()
        self._open.clear()

    def settle(self) -> None:
        """Return when all that was sent before is where it goes: to the server or nowhere."""
        for sender, receiver, address in (
            ("client", "router", ROUTER),
            ("router", "server", SERVER),
        ):
            with self.lab[receiver].socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
                far.settimeout(SECONDS)
                far.bind((address, 7777))
                with self.lab[sender].socket(socket.AF_INET, socket.SOCK_DGRAM) as near:
                    near.sendto(b"", (address, 7777))
                    far.recv(1)

    def datagrams(self, count: int, size: int = 8, port: int = UDP_PORT) -> list[int]:
        """The numbers, out of ``count`` sent, of the datagrams that arrive."""
        server = self.open("server", socket.SOCK_DGRAM, 0, (SERVER, port))
        client = self.open("client", socket.SOCK_DGRAM)
        for number in range(count):
            client.sendto(number.to_bytes(4, "big") + bytes(size - 4), (SERVER, port))
        self.settle()
        return [int.from_bytes(data[:4], "big") for data, _ in drain(server)]

    def header(self, **fields: Any) -> ipv4.Header:
        """The IP header that the server sees of a datagram, sent with these fields."""
        server = self.open("server", socket.SOCK_RAW, 253)
        client = self.open("client", socket.SOCK_RAW, socket.IPPROTO_RAW)
        sent = ipv4.Header(packed(CLIENT), packed(SERVER), 253)._replace(**fields)
        client.sendto(ipv4.encode(sent, b"data"), (SERVER, 0))
        return ipv4.parse(server.recv(65535))

    def segments(self, make: Callable[[], object]) -> list[tcp.Header]:
        """The TCP headers that reach the server while ``make`` runs."""
        server = self.open("server", socket.SOCK_RAW, tcp.PROTOCOL)
        make()
        self.settle()
        found = []
        for data, _ in drain(server):
            packet = ipv4.parse(data)
            found.append(tcp.parse(ipv4.payload(data, packet)))
        return found

    def inject(self, head: tcp.Header, data: bytes = b"") -> None:
        """A TCP segment of our own making, from the client."""
        client = self.open("client", socket.SOCK_RAW, socket.IPPROTO_RAW)
        a, b = packed(CLIENT), packed(SERVER)
        packet = ipv4.encode(ipv4.Header(a, b, tcp.PROTOCOL), tcp.encode(head, data, a, b))
        client.sendto(packet, (SERVER, 0))

    def listen(self) -> socket.socket:
        """A server for TCP."""
        server = self.open("server", socket.SOCK_STREAM, 0, (SERVER, TCP_PORT))
        server.listen()
        return server

    def connect(self, port: int = TCP_PORT) -> socket.socket:
        """A client of it."""
        client = self.open("client", socket.SOCK_STREAM)
        client.connect((SERVER, port))
        return client


def drain(receiver: socket.socket) -> list[tuple[bytes, Any]]:
    """All that has arrived."""
    receiver.setblocking(False)
    found = []
    while True:
        try:
            found.append(receiver.recvfrom(65535))
        except BlockingIOError:
            return found


def build() -> Lab:
    """The lab, running."""
    return Lab(loads(FILE, "path.yaml")).start()


def fill(lab: Lab, boxes: list[dict[str, Any]]) -> None:
    """Put new boxes in the wire, that remember nothing."""
    with lab["client~server"].socket(socket.AF_UNIX, socket.SOCK_DGRAM) as control:
        control.settimeout(SECONDS)
        control.bind("")
        control.sendto(json.dumps(boxes).encode(), CONTROL)
        assert "error" not in json.loads(control.recv(1 << 16))
