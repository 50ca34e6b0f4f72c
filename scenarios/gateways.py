"""What home gateways do, measured as Hätönen et al. (2010) did, on NATs of several kinds."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from netlab.lab import reconfigure
from netlab.verify.probe import Probe, drain, one_cpu

if TYPE_CHECKING:
    import random

    from netlab.lab.lab import Lab

GATEWAYS = ("linux", "home-router", "rfc4787", "symmetric", "corporate", "hotel")
"""Linux as the topology has it, then presets."""

UDP, SCTP, UNKNOWN = 17, 132, 253
LONGEST = 1024
"""Seconds of silence that no mapping survives here."""

EXACT = 5
"""Seconds to which a timeout is measured."""

CLOSED = 9


def study(lab: Lab, _: random.Random) -> list[dict[str, str]]:
    """A row for each gateway."""
    rows = []
    with one_cpu():
        for name in GATEWAYS:
            if name != "linux":
                reconfigure.change(lab, {"nat.nat.preset": name})
            reconfigure.age(lab, "nat", 1_000_000)
            with Probe(lab) as probe:
                rows.append(
                    {
                        "gateway": name,
                        "inside port": _port(probe),
                        "UDP timeout": str(_timeout(lab)),
                        "ICMP error": _icmp_error(probe),
                        "unknown protocol": _protocol(probe, UNKNOWN),
                        "SCTP-shaped": _protocol(probe, SCTP),
                    }
                )
    return rows


def _port(probe: Probe) -> str:
    server, anna = probe.udp("one", probe.lab["one"].address), probe.udp("anna")
    anna.sendto(b"x", server.getsockname())
    kept = server.recvfrom(9)[1][1] == anna.getsockname()[1]
    return "kept" if kept else "another"


def _timeout(lab: Lab) -> int:
    """Seconds of silence after one datagram from inside until an answer does not come in."""
    lives, dead = 0, LONGEST
    while dead - lives > 1:
        middle = (lives + dead) // 2
        if _answered_after(lab, middle):
            lives = middle
        else:
            dead = middle
    return round(dead / EXACT) * EXACT


def _answered_after(lab: Lab, seconds: int) -> bool:
    with Probe(lab) as probe:
        server = probe.udp("one", lab["one"].address)
        anna, behind = probe.udp("anna"), probe.udp("anna")
        anna.sendto(b"x", server.getsockname())
        outside = server.recvfrom(9)[1]
        reconfigure.age(lab, "nat", seconds, UDP)
        server.sendto(b"late", outside)
        # What is sent after it, to a mapping that is new, tells that it is not under way.
        behind.sendto(b"x", server.getsockname())
        server.sendto(b"done", server.recvfrom(9)[1])
        behind.recv(9)
        return bool(drain(anna))


def _icmp_error(probe: Probe) -> str:
    """Whether "port unreachable" comes to the one whose datagram it is about."""
    anna = probe.udp("anna")
    anna.connect((probe.lab["one"].address, CLOSED))
    anna.send(b"x")
    server, behind = probe.udp("one", probe.lab["one"].address), probe.udp("anna")
    behind.sendto(b"x", server.getsockname())
    server.sendto(b"done", server.recvfrom(9)[1])
    behind.recv(9)
    try:
        drain(anna)
    except ConnectionRefusedError:
        return "arrives"
    return "dropped"


def _protocol(probe: Probe, number: int) -> str:
    """What becomes of a protocol that has no ports which the gateway could read."""
    anna, one = probe.lab["anna"].address, probe.lab["one"].address
    server = probe.open("one", socket.SOCK_RAW, number)
    probe.open("anna", socket.SOCK_RAW, number).sendto(bytes(20), (one, 0))
    probe.settle(("anna", ""), ("one", one))
    arrived = drain(server)
    if not arrived:
        return "dropped"
    source = arrived[0][1][0]
    return "untranslated" if source == anna else "address rewritten"
