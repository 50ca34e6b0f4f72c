"""What NATs do with ports, with time and with each other, seen by sockets on both sides.

Every function is a step of a scenario. All sockets wait on one processor: there, packets arrive in
the order in which they were sent, so that silence is known and not waited for.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Self

from netlab.lab import reconfigure
from netlab.verify.probe import SECONDS, Probe, drain, one_cpu

if TYPE_CHECKING:
    import random

    from netlab.lab.lab import Lab

    Endpoint = tuple[str, int]

SERVICE = 3478

UDP, TCP = 17, 6


def _unused(rng: random.Random) -> int:
    """A port that no earlier flow has, so that nothing is left of it in the NAT."""
    return rng.randrange(1024, 30_000)


def _outside(inside: socket.socket, server: socket.socket) -> Endpoint:
    inside.sendto(b"who am I", server.getsockname())
    endpoint: Endpoint = server.recvfrom(100)[1]
    return endpoint


def _yes(found: object) -> str:
    return "yes" if found else "no"


# Port preservation


def alone(lab: Lab, rng: random.Random) -> list[dict[str, str]]:
    """What two servers see of one host that sends to both: the port that it took, or another."""
    return _ports(lab, rng, (("anna", "one"), ("anna", "two")))


def together(lab: Lab, rng: random.Random) -> list[dict[str, str]]:
    """The same with two hosts that took the same port, each with another server first."""
    order = (("anna", "one"), ("boris", "two"), ("anna", "two"), ("boris", "one"))
    return _ports(lab, rng, order)


def _ports(
    lab: Lab, rng: random.Random, order: tuple[tuple[str, str], ...]
) -> list[dict[str, str]]:
    port = _unused(rng)
    with one_cpu(), Probe(lab) as probe:
        servers = {name: probe.udp(name, lab[name].address, SERVICE) for name in ("one", "two")}
        hosts = {name: probe.udp(name, "", port) for name, _ in order[:2]}
        seen = [_outside(hosts[host], servers[server]) for host, server in order]
    return [
        {"host": host, "to": server, "outside port": "kept" if endpoint[1] == port else "another"}
        for (host, server), endpoint in zip(order, seen, strict=True)
    ]


# Hairpinning


def hairpin(lab: Lab, rng: random.Random) -> list[dict[str, str]]:
    """Whether Boris reaches Anna by her outside endpoint, and as whom she sees him."""
    with one_cpu(), Probe(lab) as probe:
        server = probe.udp("one", lab["one"].address, SERVICE)
        anna, boris = (probe.udp(name, "", _unused(rng)) for name in ("anna", "boris"))
        of_anna, of_boris = _outside(anna, server), _outside(boris, server)
        boris.sendto(b"hello", of_anna)
        # Through the same NAT to the same host, by an address that needs no hairpinning.
        probe.settle(("boris", ""), ("anna", lab["anna"].address))
        sources = [source for _, source in drain(anna)]
    as_whom = "nobody"
    if sources:
        as_whom = "his outside endpoint" if sources == [of_boris] else "his inside endpoint"
    return [{"arrives": _yes(sources), "anna sees": as_whom}]


# Timeouts


class Flow:
    """A UDP flow from Anna to the server ``one``, through the NAT; closed at the end of a block."""

    def __init__(self, lab: Lab) -> None:
        self._probe = Probe(lab)
        self._server = self._probe.udp("one", lab["one"].address, SERVICE)
        self._anna = self._probe.udp("anna")
        self._outside = ("", 0)
        self.send()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._probe.__exit__()

    def send(self) -> None:
        """Another datagram from inside."""
        self._outside = _outside(self._anna, self._server)

    def answered(self) -> bool:
        """Whether a datagram from the server still comes in."""
        self._server.sendto(b"answer", self._outside)
        # Behind it goes one to a mapping that is there for sure.
        fresh = self._probe.udp("anna")
        self._server.sendto(b"done", _outside(fresh, self._server))
        fresh.recv(100)
        return bool(drain(self._anna))

    def talk(self) -> None:
        """A datagram each way."""
        self.send()
        self._server.sendto(b"answer", self._outside)
        self._anna.recv(100)


LIMITS = {"linux": 30, "hotel": 30, "home-router": 120, "rfc4787": 300}
"""Seconds that a mapping lives after one datagram, by NAT."""

SHORT = 5
"""So many seconds before the limit an answer is in time, however slow this machine is."""


def idle(lab: Lab, _: random.Random) -> list[dict[str, object]]:
    """Whether an answer comes in some seconds before each NAT's limit, and one second after."""
    rows: list[dict[str, object]] = []
    with one_cpu():
        for nat, limit in LIMITS.items():
            if nat != "linux":
                reconfigure.change(lab, {"nat.nat.preset": nat})
            for seconds in (limit - SHORT, limit + 1):
                with Flow(lab) as flow:
                    reconfigure.age(lab, "nat", seconds, UDP)
                    rows.append({"nat": nat, "idle": seconds, "answer": _yes(flow.answered())})
    return rows


def conversation(lab: Lab, _: random.Random) -> list[dict[str, object]]:
    """The same for Linux and a flow that conntrack calls assured, after some two seconds of it."""
    rows: list[dict[str, object]] = []
    with one_cpu(), Flow(lab) as flow:
        while "ASSURED" not in lab["nat"].inside(CONNTRACK.read_text):
            flow.talk()
        for seconds in (120 - SHORT, 120 + 1):
            reconfigure.age(lab, "nat", seconds, UDP)
            rows.append({"idle": seconds, "answer": _yes(flow.answered())})
    return rows


CONNTRACK = Path("/proc/thread-self/net/nf_conntrack")


def refresh(lab: Lab, _: random.Random) -> list[dict[str, str]]:
    """Whose packets keep a mapping of 120 s: 100 s pass, one goes, 100 s pass, an answer comes."""
    rows = []
    with one_cpu():
        for inbound in ("true", "false"):
            reconfigure.change(lab, {"nat.nat.inbound-refresh": inbound})
            for who in ("inside", "outside"):
                with Flow(lab) as flow:
                    reconfigure.age(lab, "nat", 100, UDP)
                    if who == "inside":
                        flow.send()
                    else:
                        flow.answered()
                    reconfigure.age(lab, "nat", 100, UDP)
                    answer = _yes(flow.answered())
                rows.append({"inbound-refresh": inbound, "packet from": who, "answer": answer})
    return rows


def connection(lab: Lab, _: random.Random) -> list[dict[str, object]]:
    """How long an idle TCP connection lives: Linux keeps five days, RFC 5382 asks for 2 h 4 min."""
    rows: list[dict[str, object]] = []
    with one_cpu():
        for nat, limit in (("rfc4787", 7440), ("hotel", 300)):
            reconfigure.change(lab, {"nat.nat.preset": nat})
            for seconds in (limit - SHORT, limit + 1):
                with Probe(lab) as probe:
                    client, server = _connected(probe)
                    reconfigure.age(lab, "nat", seconds, TCP)
                    server.send(b"news")
                    with Flow(lab) as behind:
                        behind.answered()
                    rows.append({"nat": nat, "idle": seconds, "data": _yes(drain(client))})
                    server.close()
    return rows


def _connected(probe: Probe) -> tuple[socket.socket, socket.socket]:
    listener = probe.open("one", socket.SOCK_STREAM, 0, (probe.lab["one"].address, 0))
    listener.listen()
    client = probe.open("anna", socket.SOCK_STREAM)
    client.connect(listener.getsockname())
    return client, listener.accept()[0]


# Two NATs in a row


def mappings(lab: Lab, _: random.Random) -> list[dict[str, str]]:
    """What two ports of the server see behind each pair of NATs, and who may come in."""
    rows = []
    with one_cpu():
        for home in ("full-cone", "symmetric"):
            for carrier in ("carrier-grade", "symmetric"):
                reconfigure.change(lab, {"home-a.nat.preset": home, "carrier.nat.preset": carrier})
                with Probe(lab) as probe:
                    rows.append({"home": home, "carrier": carrier, **_seen(probe)})
    return rows


def _seen(probe: Probe) -> dict[str, str]:
    address = probe.lab["server"].address
    servers = [probe.udp("server", address, SERVICE + n) for n in range(3)]
    anna = probe.udp("anna", "")
    first, second = (_outside(anna, server) for server in servers[:2])
    servers[2].sendto(b"stranger", first)  # a port that Anna never wrote to
    servers[0].sendto(b"friend", first)
    heard = set()
    while b"friend" not in heard:
        heard.add(anna.recv(100))
    mapping = "one endpoint" if first == second else "one for each destination"
    return {"mapping": mapping, "strangers": "come in" if b"stranger" in heard else "do not"}


def meet(lab: Lab, rng: random.Random) -> list[dict[str, str]]:
    """Whether Anna and Boris, of two homes behind one carrier, meet at their outside endpoints."""
    with one_cpu(), Probe(lab) as probe:
        server = probe.udp("server", lab["server"].address, SERVICE)
        peers = [probe.udp(name, "", _unused(rng)) for name in ("anna", "boris")]
        outside = [_outside(peer, server) for peer in peers]
        for _round in range(2):
            for peer, other in zip(peers, reversed(outside), strict=True):
                peer.sendto(b"hello", other)
        heard = []
        for peer, endpoint in zip(peers, outside, strict=True):
            server.sendto(b"done", endpoint)
            got = b""
            while got != b"done":
                got = peer.recv(100)
                heard.append(got == b"hello")
        address = "one" if outside[0][0] == outside[1][0] else "two"
    return [{"outside addresses": address, "meet": _yes(heard.count(True) >= 2)}]


# IPv6 hosts and an IPv4 server


def from_ipv6(lab: Lab, rng: random.Random) -> list[dict[str, str]]:
    """As whom an IPv4 server sees two IPv6 hosts with the same port, and who answers them."""
    rows = []
    port = _unused(rng)
    with Probe(lab) as probe:
        server = probe.udp("server", lab["server"].address, SERVICE)
        gate = next(i for i in lab["gate"].interfaces if i.name == "wan").addresses[0]
        for name in ("phone", "laptop"):
            with lab[name].socket(socket.AF_INET6, socket.SOCK_DGRAM) as host:
                host.settimeout(SECONDS)
                host.bind(("::", port))
                host.sendto(b"who am I", ("64:ff9b::c633:6402", SERVICE))
                address, seen = server.recvfrom(100)[1]
                server.sendto(b"you are", (address, seen))
                rows.append(
                    {
                        "host": name,
                        "the server sees": "the gate"
                        if address == gate.partition("/")[0]
                        else address,
                        "port": "kept" if seen == port else "another",
                        "the answer comes from": host.recvfrom(100)[1][0],
                    }
                )
    return rows
