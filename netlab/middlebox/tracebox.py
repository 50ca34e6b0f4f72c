"""What a path changed in a packet, in the notation of tracebox (Detal et al., IMC 2013).

``IP::TTL`` and ``TCP::SeqNumber`` are fields that differ, ``-TCP::Option_SACKP`` an option that is
gone, ``+TCP::Option_MSS`` one that was added, ``TCP::Option_MSS`` one that says something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.wire import ipv4, tcp

if TYPE_CHECKING:
    from netlab.middlebox.packet import Packet

LOST = ("lost",)
"""In place of changes, for a packet that did not arrive."""

OPTION_NAMES = {
    tcp.MAXIMUM_SEGMENT_SIZE: "MSS",
    tcp.WINDOW_SCALE: "WScale",
    tcp.SACK_PERMITTED: "SACKP",
    tcp.SACK: "SACK",
    tcp.TIMESTAMPS: "Timestamp",
    30: "MPTCP",
    34: "TFO",
}


def changes(before: Packet, after: Packet | None, hops: int = 0) -> tuple[str, ...]:
    """What differs, in the order of the headers; a TTL less by ``hops`` does not."""
    if after is None:
        return LOST
    return (*_ip(before, after, hops), *_tcp(before, after))


def _ip(before: Packet, after: Packet, hops: int) -> list[str]:
    a, b = before.ip, after.ip
    if not (isinstance(a, ipv4.Header) and isinstance(b, ipv4.Header)):
        return []
    fields = {
        "DSCP": (a.traffic_class >> 2, b.traffic_class >> 2),
        "ECN": (a.traffic_class & 3, b.traffic_class & 3),
        "Length": (a.total_length, b.total_length),
        "ID": (a.identification, b.identification),
        "TTL": (a.ttl - hops, b.ttl),
        "SourceAddr": (a.source, b.source),
        "DestAddr": (a.destination, b.destination),
    }
    return [f"IP::{name}" for name, (old, new) in fields.items() if old != new]


def _tcp(before: Packet, after: Packet) -> list[str]:
    a, b = before.tcp, after.tcp
    if a is None or b is None:
        return []
    fields = {
        "SourcePort": (a.source_port, b.source_port),
        "DestPort": (a.destination_port, b.destination_port),
        "SeqNumber": (a.seq, b.seq),
        "AckNumber": (a.ack, b.ack),
        "DataOffset": (a.header_length, b.header_length),
        "Flags": (a.flags, b.flags),
        "Window": (a.window, b.window),
        "Payload": (before.payload, after.payload),
    }
    found = [f"TCP::{name}" for name, (old, new) in fields.items() if old != new]
    old_options, new_options = _options(a.options), _options(b.options)
    for kind in sorted(old_options.keys() | new_options.keys()):
        name = f"TCP::Option_{OPTION_NAMES.get(kind, kind)}"
        if kind not in new_options:
            found.append(f"-{name}")
        elif kind not in old_options:
            found.append(f"+{name}")
        elif old_options[kind] != new_options[kind]:
            found.append(name)
    return found


def _options(octets: bytes) -> dict[int, bytes]:
    found = {}
    at = 0
    while at + 1 < len(octets) and octets[at] != tcp.END_OF_OPTIONS:
        if octets[at] == tcp.NO_OPERATION:
            at += 1
            continue
        size = octets[at + 1]
        if size < 2 or at + size > len(octets):
            break
        found[octets[at]] = octets[at + 2 : at + size]
        at += size
    return found
