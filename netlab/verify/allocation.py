"""Which outside port a new mapping gets, seen from both ends (RFC 4787 section 4.2, RFC 7422)."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from typing import TYPE_CHECKING

from netlab.plan.nat import COUNTERS
from netlab.topology.nat import Translator, blocks

if TYPE_CHECKING:
    import socket

    from netlab.topology.model import Masquerade
    from netlab.verify.probe import Probe

A, B = "10.0.0.1", "10.0.0.2"
SERVER, OTHER = "192.0.2.100", "192.0.2.101"
TRIES = 8
"""Pairs of sessions. That random ports look like something else is one in a million or less."""

ENOUGH = 200
"""Ports and sessions that must be there: what is asked here takes some, and others need them."""

FIRST = 2000
"""An inside port that no other probe takes, if the NAT has it."""


def is_told(nat: Translator) -> bool:
    """Whether there are enough ports to tell one way to choose them from another."""
    share = 8 * TRIES * (COUNTERS * nat.port_step if nat.port_counter == "destination" else 1)
    few = 0 < nat.sessions_per_subscriber < ENOUGH
    return not few and all(last - first >= max(share, ENOUGH) for first, last in _ranges(nat))


def declared(nat: Translator) -> str:
    """What a NAT is said to do, in the words of ``measure``."""
    if nat.ports != "sequential":
        return nat.ports
    return _sequential(nat.port_step, per_destination=nat.port_counter == "destination")


def _sequential(step: int, *, per_destination: bool) -> str:
    return f"sequential, step {step}" + (", per destination" if per_destination else "")


def measure(probe: Probe, nat: Translator | Masquerade) -> str:
    """How ports are chosen: ``preserve``, ``sequential, step 2``, and so on."""
    low, high = _ranges(nat)[0]
    first = FIRST if low <= FIRST <= high - 6 * TRIES else low
    inside = [first + 3 * number for number in range(2 * TRIES)]
    servers = [probe.udp("server", SERVER), probe.udp("server", OTHER)]
    seen = [_seen(probe, "a", A, port, servers[number % 2]) for number, port in enumerate(inside)]
    if seen == inside:
        return _where_taken(probe, inside, servers)
    if step := _step(seen):
        return _sequential(step, per_destination=False)
    one, other = _step(seen[::2]), _step(seen[1::2])
    if one and one == other:
        return _sequential(one, per_destination=True)
    return "random"


def _where_taken(probe: Probe, inside: list[int], servers: list[socket.socket]) -> str:
    """What a second host gets that uses the same inside ports, towards the other server."""
    seen = [
        _seen(probe, "b", B, port, servers[1 - number % 2]) for number, port in enumerate(inside)
    ]
    if seen == inside:
        return "overload"
    is_same = all(a % 2 == b % 2 for a, b in zip(inside, seen, strict=True))
    return "preserve-parity" if is_same else "preserve"


def _seen(probe: Probe, node: str, address: str, port: int, server: socket.socket) -> int:
    """The outside port of a new session.

    A NAT that draws a port which is taken drops the packet, so one that does not come goes again.

    Raises:
        TimeoutError: none of ``TRIES`` came.
    """
    inside = probe.udp(node, address, port)
    for _ in range(TRIES - 1):
        inside.sendto(b"x", server.getsockname())
        with contextlib.suppress(TimeoutError):
            return int(server.recvfrom(9)[1][1])
    inside.sendto(b"x", server.getsockname())
    return int(server.recvfrom(9)[1][1])


def _step(ports: list[int]) -> int:
    """The one distance between ports that follow each other; 0 if there are several."""
    steps = {b - a for a, b in pairwise(ports)}
    return steps.pop() if len(steps) == 1 else 0


def _ranges(nat: Translator | Masquerade) -> list[tuple[int, int]]:
    """The ports that the two hosts may get."""
    if not isinstance(nat, Translator):
        return [(1024, 65535)] * 2
    if not nat.port_block:
        return [nat.port_range] * 2
    every = blocks(nat)
    return [every[number % len(every)] for number in (1, 2)]  # the last octets of A and B


def measure_block(probe: Probe, nat: Translator | Masquerade) -> int:
    """The size of the blocks, if all ports of two hosts are of theirs; else how far they reach."""
    assert isinstance(nat, Translator)
    server = probe.udp("server", SERVER)
    reach = nat.port_block
    for node, address, (first, last) in zip("ab", (A, B), _ranges(nat), strict=True):
        for _ in range(2 * TRIES):
            port = _seen(probe, node, address, 0, server)
            if not first <= port <= last:
                reach = max(reach, port - first + 1, last - port + 1)
    return reach
