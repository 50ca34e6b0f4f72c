"""Whether two peers behind NATs reach each other by UDP, for every pair of NAT kinds.

The peers do what ICE does (RFC 8445), no more: each learns its outside endpoint from a server,
sends to the other's, and answers whatever address a packet of the other came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.lab import reconfigure
from netlab.verify.probe import Probe, one_cpu

if TYPE_CHECKING:
    import random
    import socket

    from netlab.lab.lab import Lab

KINDS = {
    "full cone": "full-cone",
    "address-restricted": "restricted-cone",
    "port-restricted": "home-router",
    "symmetric": "symmetric",
}
"""The classic names (RFC 3489 section 5), and the preset of each."""

ROUNDS = 3
"""How often each peer sends: to open its own NAT, to be let in, to answer."""

PORT = 3478
DONE = b"done"


def pairs(lab: Lab, rng: random.Random) -> list[dict[str, str]]:
    """A row for each pair, those of different kinds once: whether they connect both ways."""
    rows = []
    kinds = list(KINDS)
    with one_cpu():
        for number, ours in enumerate(kinds):
            for theirs in kinds[number:]:
                presets = {"nat-a.nat.preset": KINDS[ours], "nat-b.nat.preset": KINDS[theirs]}
                reconfigure.change(lab, presets)
                # A port that no earlier mapping has, so that each pair starts afresh.
                connected = _connect(lab, rng.randrange(1024, 30_000) * 2)
                rows.append(
                    {"one": ours, "other": theirs, "connected": "yes" if connected else "no"}
                )
    return rows


def meet(lab: Lab, rng: random.Random) -> list[dict[str, str]]:
    """Whether the two peers connect through the NATs as they are."""
    with one_cpu():
        connected = _connect(lab, rng.randrange(1024, 30_000) * 2)
    return [{"connected": "yes" if connected else "no"}]


def _connect(lab: Lab, port: int) -> bool:
    with Probe(lab) as probe:
        server = probe.udp("server", "", PORT)
        peers = [probe.udp("anna", "", port), probe.udp("boris", "", port)]
        outside = []
        for peer in peers:
            peer.sendto(b"who am I", (lab["server"].address, PORT))
            outside.append(server.recvfrom(100)[1])
        targets = [{outside[1]}, {outside[0]}]
        heard = [False, False]
        for _ in range(ROUNDS):
            for number, peer in enumerate(peers):
                for target in sorted(targets[number]):
                    peer.sendto(b"hello", target)
            for number, peer in enumerate(peers):
                server.sendto(DONE, outside[number])
                for source in _until_done(peer):
                    heard[number] = True
                    targets[number].add(source)
        return all(heard)


def _until_done(peer: socket.socket) -> set[tuple[str, int]]:
    """Who was heard before the server's ``DONE``.

    On one processor, Linux carries packets from socket to socket in the order of sending: what
    was sent before it and is not there by then never will be.
    """
    heard: set[tuple[str, int]] = set()
    while True:
        octets, source = peer.recvfrom(100)
        if octets == DONE:
            return heard
        heard.add(source)
