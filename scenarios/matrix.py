"""Which packets survive which box: three of each kind down every way of the lab.

The client's packets carry a mark in place of a header of their own, but for TCP, UDP and ICMP:
``number 50`` is what a box sees that looks for ESP and finds something else. Numbers whose header
Linux checks (SCTP, GRE, UDP-Lite) are left out: whether a random mark looks right would be chance.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from netlab.drive.probe import Probes, listener
from netlab.fate.probed import probed

if TYPE_CHECKING:
    import random
    import socket

    from netlab.fate.explain import Outcome
    from netlab.lab import Lab, LabNode

COUNT = 3

KINDS = {
    "icmp": (1, 0, 32),
    "udp": (17, 4000, 32),
    "quic-like": (17, 443, 1200),
    "tcp": (6, 80, 32),
    "number 99": (99, 0, 32),
    "number 50": (50, 0, 32),
    "number 253": (253, 0, 32),
}
"""Protocol number, port and octets of payload of each column."""


def survivors(lab: Lab, _: random.Random) -> list[dict[str, str]]:
    """A row for each box, a column for each kind: how many of three arrived, and what the rest met.

    The server behind a box is called ``to-BOX``.
    """
    rows = []
    for node in lab:
        server = f"to-{node.name}"
        if server in lab:
            rows.append({"box": node.name, **_down(lab, node, lab[server])})
    return rows


def _down(lab: Lab, box: LabNode, server: LabNode) -> dict[str, str]:
    sent = {
        name: Probes(server.address, protocol, port=port, count=COUNT, size=size)
        for name, (protocol, port, size) in KINDS.items()
    }
    with contextlib.ExitStack() as stack:
        for name, probes in sent.items():
            if name != "icmp":  # which every kernel answers by itself
                stack.enter_context(_ear(server, probes))
        watch = stack.enter_context(lab.observe())
        for probes in sent.values():
            probes.send(lab["client"].inside)
        watch.settle()
    return {name: _cell(probed(watch.fates, probes)[1], box) for name, probes in sent.items()}


def _ear(server: LabNode, probes: Probes) -> socket.socket:
    return server.inside(lambda: listener(probes.family, probes.proto, probes.port))


def _cell(outcomes: list[Outcome], box: LabNode) -> str:
    arrived = sum(outcome.arrived for outcome in outcomes)
    others = {
        str(outcome.decisive.disposition) if outcome.decisive else "never-left"
        for outcome in outcomes
        if not outcome.arrived
    }
    leaked = box.kind == "nat" and any(_keeps_source(outcome) for outcome in outcomes)
    return " ".join([str(arrived), *sorted(others), *(["untranslated"] if leaked else [])])


def _keeps_source(outcome: Outcome) -> bool:
    """Whether it arrived under the address that it was sent from."""
    if not (outcome.decisive and outcome.arrived):
        return False
    changes = [change for hop in outcome.decisive.hops for change in hop.changes]
    return not any(change.startswith("IP::Src") for change in changes)
