"""What RFC 4787, 5382 and 5508 ask of a NAT, and whether one does it.

A requirement is listed only if it can be measured from the ends or in conntrack; what it rests
on is in ``findings``.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.lab.lab import Lab
from netlab.topology import loads, presets
from netlab.topology.model import Masquerade
from netlab.topology.nat import Translator
from netlab.verify.exchanges import EXCHANGES
from netlab.verify.nat import (
    LAB,
    OTHER,
    SERVER,
    TARGETS,
    A,
    B,
    alone,
    classify_mapping,
    measure,
)
from netlab.verify.probe import Probe, one_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

DRAWS = 3
"""Datagrams that a NAT gets to find a free port for a host."""

CLASHES = 16
"""Ports that two hosts use at once: chance alone keeps the parity of all with 2**-16."""


class Requirement(NamedTuple):
    """One requirement: its number, its level (MUST, SHOULD), its words, how it is judged."""

    rfc: int
    number: str
    level: str
    words: str
    is_met: Callable[[dict[str, Any]], bool]


REQUIREMENTS = (
    Requirement(
        4787, "1", "MUST", "mapping is endpoint-independent",
        lambda f: bool(f["mapping udp"] == "endpoint-independent"),
    ),
    Requirement(
        4787, "2", "SHOULD", "a host keeps to one outside address",
        lambda f: bool(f["one address"]),
    ),
    Requirement(
        4787, "3", "MUST", "two mappings never share an outside port",
        lambda f: not f["port overloading"],
    ),
    Requirement(
        4787, "4", "SHOULD", "an odd port stays odd, an even one even",
        lambda f: bool(f["port parity"]),
    ),
    Requirement(
        4787, "5", "MUST", "a UDP mapping lives two minutes",
        lambda f: bool(f["udp seconds"] >= 120),
    ),
    Requirement(
        4787, "6", "MUST", "outbound packets refresh a mapping",
        lambda f: bool(f["outbound refreshes"]),
    ),
    Requirement(
        4787, "8", "SHOULD", "filtering is endpoint-independent or address-dependent",
        lambda f: bool(f["filtering udp"] != "address-and-port-dependent"),
    ),
    Requirement(
        4787, "9", "MUST", "hairpinning, with an outside source",
        lambda f: bool(f["hairpinning"]),
    ),
    Requirement(
        4787, "10", "SHOULD", "no ALG changes what UDP carries",
        lambda f: bool(f["udp unchanged"]),
    ),
    Requirement(
        4787, "11", "MUST", "deterministic: mapping is the same when the port was taken",
        lambda f: bool(f["mapping under clash"] == f["mapping udp"]),
    ),
    Requirement(
        4787, "12", "MUST", "an ICMP error does not end a mapping",
        lambda f: bool(f["mapping survives icmp"]),
    ),
    Requirement(
        4787, "13", "MUST", "a datagram too long, not to be fragmented, is answered",
        lambda f: bool(f["frag needed"]),
    ),
    Requirement(
        4787, "14", "MUST", "fragments pass both ways",
        lambda f: bool(f["fragments"]),
    ),
    Requirement(
        5382, "1", "MUST", "mapping is endpoint-independent (TCP)",
        lambda f: bool(f["mapping tcp"] == "endpoint-independent"),
    ),
    Requirement(
        5382, "2", "MUST", "two ends that open at once get a connection",
        lambda f: bool(f["simultaneous open"]),
    ),
    Requirement(
        5382, "3", "SHOULD", "filtering is endpoint-independent or address-dependent (TCP)",
        lambda f: bool(f["filtering tcp"] != "address-and-port-dependent"),
    ),
    Requirement(
        5382, "4", "MUST", "an unsolicited SYN is not answered at once",
        lambda f: bool(f["unsolicited"] == "drop"),
    ),
    Requirement(
        5382, "5", "MUST", "an idle connection is kept 2 h 4 min",
        lambda f: bool(f["tcp seconds"] >= 7440),
    ),
    Requirement(
        5382, "6", "SHOULD", "no ALG changes what TCP carries",
        lambda f: bool(f["tcp unchanged"]),
    ),
    Requirement(
        5382, "7", "MUST", "two connections never share an outside port",
        lambda f: not f["port overloading tcp"],
    ),
    Requirement(
        5382, "8", "MUST", "hairpinning, with an outside source (TCP)",
        lambda f: bool(f["hairpinning tcp"]),
    ),
    Requirement(
        5382, "9", "SHOULD", "errors about segments come back to their sender",
        lambda f: bool(f["icmp errors tcp"]),
    ),
    Requirement(
        5382, "10", "MUST", "an ICMP error does not end a connection",
        lambda f: bool(f["connection survives icmp"]),
    ),
    Requirement(
        5508, "1", "MUST", "queries from inside are answered",
        lambda f: bool(f["icmp queries"]),
    ),
    Requirement(
        5508, "2", "MUST", "a query session lives 60 s",
        lambda f: bool(f["icmp seconds"] >= 60),
    ),
    Requirement(
        5508, "3", "SHOULD", "an error with a wrong checksum goes no further",
        lambda f: bool(f["broken errors dropped"]),
    ),
    Requirement(
        5508, "4", "MUST", "errors about translated packets come back to their sender",
        lambda f: bool(f["icmp errors"]),
    ),
    Requirement(
        5508, "5", "MUST", "an error from inside shows nothing of the inside",
        lambda f: bool(f["errors from inside"]),
    ),
    Requirement(
        5508, "10", "MUST", '"time exceeded" comes in: traceroute works',
        lambda f: bool(f["time exceeded"]),
    ),
)  # fmt: skip


def findings(nat: Translator | Masquerade) -> dict[str, Any]:
    """All that is measured of a NAT: that of ``nat.measure`` and what requirements need besides.

    Needs the program ``conntrack`` for the timeouts.
    """
    found = measure(nat)
    with one_cpu(), Lab(alone(nat)) as lab:
        lab["server"].run(["ip", "address", "add", f"{OTHER}/24", "dev", "eth0"], check=True)
        for name, ask in (
            ("port parity", _parity),
            ("mapping under clash", _clash),
            ("mapping survives icmp", _survives),
            ("fragments", _fragments),
            *EXCHANGES.items(),
        ):
            with Probe(lab) as probe:
                found[name] = ask(probe)
        found["icmp queries"] = lab["a"].run(["ping", "-c1", "-W1", SERVER]).returncode == 0
        with Probe(lab) as probe:
            found |= _seconds(probe)
    return found


def _parity(probe: Probe) -> bool:
    """Two hosts with one port and one destination: one of them has to get another port."""
    same = []
    for port in range(41_000, 41_000 + CLASHES):
        server = probe.udp("server", SERVER)
        for node, inside in (("a", A), ("b", B)):
            client = probe.udp(node, inside, port)
            same.append(_outside_port(client, server) % 2 == port % 2)
    return all(same)


def _outside_port(client: socket.socket, server: socket.socket) -> int:
    """The port from which the server sees the client.

    A NAT that draws another port at random may draw one that is taken, and drops the datagram
    then: as from any client, it comes again.
    """
    for _ in range(DRAWS):
        client.sendto(b"x", server.getsockname())
        with suppress(TimeoutError):
            return int(server.recvfrom(9)[1][1])
    raise TimeoutError(f"{DRAWS} datagrams, and none arrived")


def _clash(probe: Probe) -> str:
    """The mapping of a host whose port another one uses towards the last of its destinations."""
    servers = {target: probe.udp("server", *target) for target in TARGETS}
    probe.udp("a", A, 40_002).sendto(b"x", TARGETS[0])
    servers[TARGETS[0]].recv(9)
    client = probe.udp("b", B, 40_002)
    seen = {}
    for target in reversed(TARGETS):
        client.sendto(b"x", target)
        seen[target] = servers[target].recvfrom(9)[1]
    return classify_mapping([seen[target] for target in TARGETS])


def _survives(probe: Probe) -> bool:
    known = probe.udp("server", SERVER)
    client = probe.udp("a", A)
    client.sendto(b"x", known.getsockname())
    outside = known.recvfrom(9)[1]
    client.sendto(b"x", (SERVER, 9))
    # The error is reported once, to whatever comes next; it is not about this peer.
    try:
        client.sendto(b"again", known.getsockname())
    except ConnectionRefusedError:
        client.sendto(b"again", known.getsockname())
    known.recv(9)
    known.sendto(b"back", outside)
    return client.recv(9) == b"back"


def _fragments(probe: Probe) -> bool:
    server = probe.udp("server", SERVER)
    client = probe.udp("a", A)
    client.settimeout(1)
    server.settimeout(1)
    try:
        client.sendto(bytes(4000), server.getsockname())
        data, outside = server.recvfrom(9999)
        server.sendto(data, outside)
        return client.recv(9999) == data
    except TimeoutError:
        return False


def _seconds(probe: Probe) -> dict[str, int]:
    """What conntrack gives to sessions that have just been used, in whole seconds.

    A UDP session that was never answered counts: RFC 4787 REQ-5 knows no difference.
    """
    udp_server = probe.udp("server", SERVER)
    udp_client = probe.udp("a", A)
    udp_client.sendto(b"x", udp_server.getsockname())
    udp_server.recv(9)
    server = probe.open("server", socket.SOCK_STREAM, 0, (SERVER, 0))
    server.listen()
    client = probe.open("a", socket.SOCK_STREAM, 0, (A, 0))
    client.connect(server.getsockname())
    accepted, _ = server.accept()
    with accepted:
        probe.lab["a"].run(["ping", "-c1", SERVER], check=True)
        return {
            "udp seconds": _remaining(probe.lab, "udp", udp_client.getsockname()[1]),
            "tcp seconds": _remaining(probe.lab, "tcp", client.getsockname()[1]),
            "icmp seconds": _remaining(probe.lab, "icmp"),
        }


def _remaining(lab: Lab, protocol: str, port: int | None = None) -> int:
    where = ["--sport", str(port)] if port else []
    listed = lab["nat"].run(["conntrack", "-L", "-p", protocol, *where], check=True).stdout
    seconds = [int(n) for n in re.findall(rf"^{protocol}\s+\d+ (\d+)", listed, re.MULTILINE)]
    # The one that is running counts.
    return max(seconds) + 1


def judged() -> dict[str, Translator | Masquerade]:
    """What the table of docs/nat.md is about: stock Linux and each preset."""
    nats: dict[str, Translator | Masquerade] = {"Linux": Masquerade("wan")}
    for name in presets.names():
        text = LAB.replace("nat: {static: []}", f"nat: {{preset: {name}}}")
        (nat,) = loads(text, name).node("nat").nat
        assert isinstance(nat, Translator)
        nats[name] = nat
    return nats


def heading(columns: Iterable[str]) -> list[str]:
    """The first two lines of the table."""
    names = list(columns)
    return [
        f"| RFC | Requirement | Level | {' | '.join(names)} |",
        f"|---|---|---|{'---|' * len(names)}",
    ]


def rows(columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The lines of the table: one a requirement, one cell for the findings of each column."""
    lines = []
    for r in REQUIREMENTS:
        cells = ["yes" if r.is_met(dict(found)) else "**no**" for found in columns.values()]
        lines.append(f"| {r.rfc} REQ-{r.number} | {r.words} | {r.level} | {' | '.join(cells)} |")
    return lines
