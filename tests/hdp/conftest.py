"""A lab of three nodes that is only imagined: evidence as a driver would bring it home."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netlab.hdp import sweep
from netlab.wire.address import packed

INSIDE, OUTSIDE = packed("10.1.0.2"), packed("192.0.2.1")

Fate = Callable[[sweep.Probe], str]
"""For each probe: ``received``, ``refused``, ``taken``, ``untranslated``, ``rule`` or ``clash``."""


def imagined(
    packet_trace: Fate, arguments: range = range(-1, 263), packets: int = 3
) -> sweep.Evidence:
    """client -> nat -> server; the time between two hops is 10 us."""
    attempts, sightings, deliveries, replies, drops = [], [], [], [], []
    clashed = 0
    for now, probe in enumerate(sweep.plan(4, packets, arguments)):
        time = now * 1_000_000
        if probe.argument < 1:
            attempts.append(sweep.Attempt(probe, time, 22 if probe.argument < 0 else 93))
            continue
        attempts.append(sweep.Attempt(probe, time))
        end = packet_trace(probe)
        outside = INSIDE if end == "untranslated" else OUTSIDE
        path = [("client", "eth0", True, INSIDE), ("nat", "lan", False, INSIDE)]
        if end not in ("rule", "clash"):
            path += [("nat", "wan", True, outside), ("server", "eth0", False, outside)]
        for step, (node, interface, outgoing, source) in enumerate(path, 1):
            when = time + 10_000 * step
            sightings.append(sweep.Sighting(probe, node, interface, outgoing, when, source, 37))
        if end in ("received", "untranslated"):
            deliveries.append(sweep.Delivery(probe, time + 50_000, 37))
        elif end == "refused":
            replies.append(sweep.Reply(probe, "icmp 3/2", packed("198.51.100.2")))
        elif end == "rule":
            drops.append(sweep.Drop(probe, "nat", "rule allow-list"))
        clashed += end == "clash"
    return sweep.Evidence(
        4,
        "client",
        "server",
        True,
        tuple(attempts),
        tuple(sightings),
        tuple(deliveries),
        tuple(replies),
        tuple(drops),
        (("nat", clashed),),
    )


@pytest.fixture
def all_received() -> sweep.Sweep:
    return sweep.join(imagined(lambda _: "received"))
