"""PURE: a packet's trace as the page draws it: plain values, no HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.diagram.trace_text import end
from netlab.wire import address
from netlab.wire.view import TCP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlab.trace.model import Hop, PacketTrace
    from netlab.wire.view import View

End = tuple[str, str]
"""Node and interface."""

_FLAGS = ((2, "SYN"), (1, "FIN"), (4, "RST"), (8, "PSH"), (16, "ACK"), (32, "URG"))


def journey(
    trace: PacketTrace, peers: Mapping[End, End], lines: Mapping[int, str]
) -> dict[str, Any]:
    """What the page knows of a packet.

    ``peers`` is the other end of each link, ``lines`` the lines of the topology file by number.
    Times are microseconds since the packet was first seen; ``at_ns`` is when that was. A leg is a
    link that it crossed; ``place`` is ``node:interface``.
    """
    start = trace.hops[0].time_ns if trace.hops else trace.time_ns
    return {
        "id": trace.id,
        "label": trace.label,
        "proto": trace.proto,
        "flow": flow(trace.packet),
        "at_ns": str(start),
        "hops": [_hop(hop, start) for hop in trace.hops],
        "legs": list(_legs(trace, peers, start)),
        "tcp": _tcp(trace.packet),
        "end": {
            "node": trace.node,
            "interface": trace.interface,
            "disposition": str(trace.disposition),
            "arrived": trace.arrived,
            "dead": not trace.arrived and not trace.disposition.lives_on,
            "sentence": end(trace),
            "rule": trace.reason.rule,
            "place": trace.reason.topology,
            "line": lines.get(_line(trace.reason.topology), ""),
        },
    }


def flow(packet: View) -> str:
    """The same text for both directions of a conversation."""
    ends = (
        (address.text(packet.source), packet.source_port),
        (address.text(packet.destination), packet.destination_port),
    )
    low, high = sorted(ends)
    return f"{packet.protocol} {_end(*low)} {_end(*high)}"


def _end(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _hop(hop: Hop, start: int) -> dict[str, Any]:
    return {
        "node": hop.node,
        "interface": hop.interface,
        "direction": hop.direction,
        "us": (hop.time_ns - start) / 1000,
        "changes": list(hop.changes),
        "boxes": list(hop.boxes),
        "binding": hop.binding,
    }


def _legs(trace: PacketTrace, peers: Mapping[End, End], start: int) -> list[dict[str, Any]]:
    legs: list[dict[str, Any]] = []
    changed = False
    for place, hop in enumerate(trace.hops):
        changed = changed or any(not change.startswith("IP::TTL") for change in hop.changes)
        far = peers.get((hop.node, hop.interface))
        if hop.direction != "out" or far is None:
            continue
        came = [
            later.time_ns
            for later in trace.hops[place + 1 :]
            if (later.node, later.interface) == far and later.direction == "in"
        ]
        legs.append(
            {
                "from": f"{hop.node}:{hop.interface}",
                "to": f"{far[0]}:{far[1]}",
                "us": (hop.time_ns - start) / 1000,
                "arrives": bool(came),
                "changed": changed,
            }
        )
    return legs


def _tcp(packet: View) -> dict[str, Any] | None:
    if packet.protocol != TCP or packet.fragment_offset:
        return None
    return {
        "flags": "+".join(name for bit, name in _FLAGS if packet.flags & bit),
        "seq": packet.sequence,
        "ack": packet.acknowledgement,
        "length": packet.payload_length,
    }


def _line(place: str) -> int:
    """The number in ``nat.yaml:23``; 0 if there is none."""
    number = place.rpartition(":")[2]
    return int(number) if number.isdecimal() else 0
