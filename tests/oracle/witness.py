"""Independent witnesses: the kernel's counters, sockets at both ends, ICMP errors at the sender."""

import contextlib
import errno
import json
import select
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from netlab.lab.lab import Lab

PATIENCE = 0.4
"""Seconds that witnesses have to confirm a sample, unless it says otherwise."""


class Error(NamedTuple):
    """An ICMP error that came to the sender."""

    type: int
    code: int
    source: str


@dataclass
class Seen:
    """What rose between the two readings, and what the sockets got."""

    counters: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By node and name: ``Ip.InReceives``, ``Udp6NoPorts``, ``rx eth0``, ``rule COMMENT``."""
    errors: list[Error] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    accepted: int = 0
    neighbours: dict[tuple[str, str], str] = field(default_factory=dict)
    """The state of neighbour entries by node and address."""
    refusals: dict[tuple[str, str], str] = field(default_factory=dict)
    """What a connected UDP socket, which sends nothing, is refused with."""

    def rule(self, node: str, part: str) -> int:
        """How many packets the node's rules counted whose comment has this part."""
        prefix = "rule "
        return sum(
            count
            for (where, name), count in self.counters.items()
            if where == node and name.startswith(prefix) and part in name
        )


class Witness(NamedTuple):
    """Something that must have been seen if the obstacle acted."""

    text: str
    holds: Callable[[Seen], bool]
    needs: str = ""
    """``rules``, ``neighbours`` or ``route``: what is read for this witness only."""
    about: tuple[str, str] = ("", "")
    """Node and address, of a route."""


def counter(node: str, name: str, least: int = 1) -> Witness:
    """A counter of a node rose by at least this much."""
    return Witness(f"{name} of {node}", lambda seen: seen.counters[node, name] >= least)


def steady(node: str, name: str) -> Witness:
    """A counter of a node did not rise."""
    return Witness(f"no {name} of {node}", lambda seen: not seen.counters[node, name])


def rule(node: str, part: str, least: int = 1) -> Witness:
    """A rule whose comment has this part counted packets."""
    return Witness(f"rule {part!r} of {node}", lambda seen: seen.rule(node, part) >= least, "rules")


def error(type_: int, code: int, source: str = "") -> Witness:
    """The sender got this ICMP error; from this address, if it is given."""
    return Witness(
        f"ICMP {type_}/{code} from {source or 'anyone'}",
        lambda seen: any(
            (e.type, e.code) == (type_, code) and source in ("", e.source) for e in seen.errors
        ),
    )


def received(count: int) -> Witness:
    """The oracle's own socket got so many datagrams, no fewer and no more."""
    return Witness(f"{count} datagrams", lambda seen: len(seen.received) == count)


def received_some() -> Witness:
    """It got each datagram, perhaps more than once."""
    return Witness("a datagram", lambda seen: bool(seen.received))


def accepted(count: int) -> Witness:
    """The oracle's own server accepted so many connections."""
    return Witness(f"{count} connections", lambda seen: seen.accepted == count)


def neighbour(node: str, address: str) -> Witness:
    """A node asked for the address of a neighbour and got no answer."""
    return Witness(
        f"{node} does not find {address}",
        lambda seen: seen.neighbours.get((node, address)) in ("FAILED", "INCOMPLETE"),
        "neighbours",
    )


def refusal(node: str, address: str, name: str) -> Witness:
    """A node's own kernel refuses to send to an address, with this errno."""
    return Witness(
        f"{name} at {node}",
        lambda seen: seen.refusals.get((node, address)) == name,
        "route",
        (node, address),
    )


class Door(NamedTuple):
    """A socket of the oracle's own that takes what is sent to a node."""

    node: str
    protocol: str
    """``tcp``, ``udp`` or the number of an IP protocol."""
    family: int
    port: int = 0
    buffer: int = 0
    backlog: int = 16


class Watch:
    """Reads before and after; ``seen`` says what rose between."""

    def __init__(
        self, lab: Lab, sender: str, doors: Iterable[Door], witnesses: Iterable[Witness]
    ) -> None:
        self._lab = lab
        self._witnesses = list(witnesses)
        needs = {witness.needs for witness in self._witnesses}
        self._ruled = "rules" in needs
        self._neighbours = "neighbours" in needs
        self._stack = contextlib.ExitStack()
        self.seen = Seen()
        self._errors = [
            (family, self._opened(sender, _domain(family), socket.SOCK_RAW, protocol))
            for family, protocol in ((4, socket.IPPROTO_ICMP), (6, socket.IPPROTO_ICMPV6))
        ]
        self._doors = [(door, self._door(door)) for door in doors]
        self._before = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def confirm(self, patience: float = PATIENCE) -> list[str]:
        """Read until all witnesses hold; what does not hold in the end."""
        end = time.monotonic() + patience
        while True:
            self._look()
            missing = [w.text for w in self._witnesses if not w.holds(self.seen)]
            if not missing or time.monotonic() > end:
                return missing
            time.sleep(0.02)

    def _look(self) -> None:
        now = self._read()
        now.subtract(self._before)
        self.seen.counters = now
        for family, sock in self._errors:
            self.seen.errors += _errors(sock, family)
        for door, sock in self._doors:
            self._take(door, sock)
        for name, address in (w.about for w in self._witnesses if w.needs == "route"):
            self.seen.refusals[name, address] = self._refusal(name, address)
        for node in self._lab.nodes if self._neighbours else ():
            if node.kind != "bridge":
                self.seen.neighbours |= {
                    (node.name, address): state for address, state in _neighbours(node.namespace)
                }

    def _take(self, door: Door, sock: socket.socket) -> None:
        while select.select([sock], [], [], 0)[0]:
            if door.protocol == "tcp":
                connection, _ = sock.accept()
                self._stack.callback(connection.close)
                self.seen.accepted += 1
            else:
                self.seen.received.append(sock.recv(65535))

    def _refusal(self, node: str, address: str) -> str:
        family = _domain(6 if ":" in address else 4)
        with self._lab[node].socket(family, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect((address, 9))
            except OSError as refused:
                return errno.errorcode.get(refused.errno or 0, "")
        return ""

    def _opened(self, node: str, domain: int, kind: int, protocol: int = 0) -> socket.socket:
        sock = self._lab[node].socket(domain, kind, protocol)
        self._stack.callback(sock.close)
        return sock

    def _door(self, door: Door) -> socket.socket:
        domain = _domain(door.family)
        if door.protocol not in ("tcp", "udp"):
            return self._opened(door.node, domain, socket.SOCK_RAW, int(door.protocol))
        kind = socket.SOCK_STREAM if door.protocol == "tcp" else socket.SOCK_DGRAM
        sock = self._opened(door.node, domain, kind)
        if door.buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, door.buffer)
        sock.bind(("", door.port))
        if door.protocol == "tcp":
            sock.listen(door.backlog)
        return sock

    def _read(self) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for node in self._lab.nodes:
            values = node.inside(_counters)
            if self._ruled:
                values |= _rules(node.namespace)
            found.update({(node.name, name): value for name, value in values.items()})
        return found


def _domain(family: int) -> int:
    return socket.AF_INET6 if family == 6 else socket.AF_INET


def _counters() -> dict[str, int]:
    """The calling thread's namespace: SNMP and TcpExt counters, packets of each interface."""
    net = Path("/proc/thread-self/net")
    values: dict[str, int] = {}
    for file in ("snmp", "netstat"):
        lines = (net / file).read_text(encoding="ascii").splitlines()
        for names, numbers in zip(lines[::2], lines[1::2], strict=True):
            group, _, rest = names.partition(":")
            pairs = zip(rest.split(), numbers.partition(":")[2].split(), strict=True)
            values |= {f"{group}.{name}": int(number) for name, number in pairs}
    for line in (net / "snmp6").read_text(encoding="ascii").splitlines():
        name, number = line.split()
        values[name] = int(number)
    for line in (net / "dev").read_text(encoding="ascii").splitlines()[2:]:
        name, _, rest = line.partition(":")
        fields = rest.split()
        values |= {f"rx {name.strip()}": int(fields[1]), f"tx {name.strip()}": int(fields[9])}
    return values


def _inside(namespace: str, *argv: str) -> str:
    ran = subprocess.run(
        ["nsenter", f"--net={namespace}", *argv], capture_output=True, text=True, check=True
    )
    return ran.stdout


def _rules(namespace: str) -> dict[str, int]:
    """The counter of each rule that has a comment."""
    found: dict[str, int] = {}
    for item in json.loads(_inside(namespace, "nft", "-j", "list", "ruleset"))["nftables"]:
        held = item.get("rule", {})
        for part in held.get("expr", ()):
            if "counter" in part and "comment" in held:
                name = f"rule {held['comment']}"
                found[name] = found.get(name, 0) + part["counter"]["packets"]
    return found


def _neighbours(namespace: str) -> list[tuple[str, str]]:
    entries = json.loads(_inside(namespace, "ip", "-j", "neigh", "show") or "[]")
    return [(entry["dst"], entry["state"][0]) for entry in entries]


def _errors(sock: socket.socket, family: int) -> list[Error]:
    """Errors only: not what answers, nor Neighbour Discovery."""
    found = []
    while select.select([sock], [], [], 0)[0]:
        octets, source = sock.recvfrom(65535)
        message = octets[(octets[0] & 15) * 4 :] if family == 4 else octets
        kind, code = message[:2]
        if kind < 128 if family == 6 else kind in (3, 4, 5, 11, 12):
            found.append(Error(kind, code, source[0]))
    return found
