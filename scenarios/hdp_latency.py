"""HDP's latency beside UDP's: which costs more, as an order and never in microseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.probe.latency import measure

if TYPE_CHECKING:
    import random

    from netlab.lab.lab import Lab

ROUNDS = 400


def compare(lab: Lab, _: random.Random) -> list[dict[str, str]]:
    """What a new socket costs, beside what the protocol costs.

    Of each kind the fastest tenth is compared: what else this machine does only ever delays.
    """
    found = measure(lab, "client", "server", ROUNDS)
    fast = {name: sorted(values)[len(values) // 10] for name, values in found.items()}
    rows = []
    for protocol in ("UDP", "HDP"):
        kept, new = (
            fast[f"{protocol}, 32 octets"],
            fast[f"{protocol}, 32 octets, a new socket each"],
        )
        rows.append(_row(f"{protocol}: a new socket for each datagram", kept, new))
    for kind in ("32 octets", "32 octets, a new socket each"):
        protocol_costs = abs(fast[f"HDP, {kind}"] - fast[f"UDP, {kind}"])
        socket_costs = fast["UDP, 32 octets, a new socket each"] - fast["UDP, 32 octets"]
        rows.append(
            _row(f"HDP in place of UDP, {kind}, beside a new socket", socket_costs, protocol_costs)
        )
    return rows


def _row(what: str, this: int, that: int) -> dict[str, str]:
    return {"what": what, "order": "costs more" if that > this else "costs less"}
