"""Two sides of something, and packets from one to the other: a node's, or a link's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from netlab.verify.bench import fresh_port
from netlab.verify.tap import NotMeasured, Place, Tap, Taps

if TYPE_CHECKING:
    from netlab.lab.lab import Lab
    from netlab.middlebox import Packet
    from netlab.topology.model import Link, Topology
    from netlab.verify.bench import Bench


class Scene(Protocol):
    """``a`` and ``b`` are the addresses of the two sides."""

    a: str
    b: str
    hops: int
    """By how much a TTL is less at the other side."""

    def send(self, side: str, *packets: Packet) -> None:
        """Put packets in at a side, and wait until nothing is under way."""

    def wait(self, side: str, number: int, seconds: float) -> None:
        """Wait for so many packets at a side, at most so long."""

    def take(self, side: str) -> list[Packet]:
        """What has come out at a side."""

    def port(self) -> int:
        """A port that nothing has used yet."""


class NodeScene:
    """Through a node that forwards, from one of its interfaces to another."""

    hops = 1

    def __init__(self, bench: Bench, inside: str = "") -> None:
        self.bench = bench
        names = [n for n in bench.at if n != inside]
        usable = []
        for name in ([inside] if inside else []) + names:
            try:
                usable.append((name, bench.hosts(name, 1)[0]))
            except NotMeasured:
                continue
        if len(usable) < 2 or (inside and usable[0][0] != inside):
            raise NotMeasured(f"{bench.node.name} has no two subnets with free IPv4 addresses")
        (self._a, self.a), (self._b, self.b) = usable[:2]

    def _name(self, side: str) -> str:
        return self._a if side == "a" else self._b

    def send(self, side: str, *packets: Packet) -> None:
        """Put packets in at a side, and wait until nothing is under way."""
        for tap in self.bench.at.values():
            tap.take()
        self.bench.at[self._name(side)].send(*packets)
        self.bench.taps.fence()
        self.bench.taps.fence()

    def wait(self, side: str, number: int, seconds: float) -> None:
        """Wait for so many packets at a side, at most so long."""
        tap = self.bench.at[self._name(side)]
        self.bench.taps.until(lambda: len(tap.received) >= number > 0, seconds)
        self.bench.remind()

    def take(self, side: str) -> list[Packet]:
        """What has come out at a side; behind the node, at any interface but the first."""
        if side == "a":
            return self.bench.at[self._a].take()
        return [p for name, tap in self.bench.at.items() if name != self._a for p in tap.take()]

    def port(self) -> int:
        """A port that nothing has used yet."""
        return self.bench.port()


class LinkScene:
    """Along a wire, from its first end to its second."""

    hops = 0
    a, b = "198.18.1.1", "198.18.1.2"

    def __init__(self, lab: Lab, topology: Topology, link: Link) -> None:
        self.taps = Taps(lab)
        self.side: dict[str, Tap] = {}
        for name, end in (("a", link.a), ("b", link.b)):
            node = topology.node(end[0])
            mac = next(i.mac for i in node.interfaces if i.name == end[1])
            place = Place(*end, bytes.fromhex(mac.replace(":", "")), "")
            self.side[name] = self.taps.add(name, place)

    def close(self) -> None:
        """Take the taps away."""
        self.taps.__exit__()

    def send(self, side: str, *packets: Packet) -> None:
        """Put packets in at a side, and wait until what is not held back has come."""
        one, other = (self.side[s] for s in ((side, "b" if side == "a" else "a")))
        for tap in self.side.values():
            tap.take()
        for at in range(0, len(packets), 64):
            one.send(*packets[at : at + 64], to=other.mac)
            self.taps.through(one, other)

    def wait(self, side: str, number: int, seconds: float) -> None:
        """Wait for so many packets at a side, at most so long."""
        tap = self.side[side]
        self.taps.until(lambda: len(tap.received) >= number > 0, seconds)
        self.taps.through(*self.side.values())

    def take(self, side: str) -> list[Packet]:
        """What has come out at a side."""
        return self.side[side].take()

    def port(self) -> int:
        """A port that nothing has used yet."""
        return fresh_port()
