"""What happened to a header between two places, in the notation of tracebox.

tracebox (Detal et al., "Revealing Middlebox Interference with Tracebox", IMC 2013) names a field
as ``Layer::Field`` and says what became of it: ``IP::Src 10.0.0.2 -> 203.0.113.1``,
``TCP::Option_SACKP removed``. Checksums are left out: they follow from the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.wire import address, tcp
from netlab.wire.view import ICMP, ICMPV6, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.wire.view import View

TRANSPORT_NAMES = {TCP: "TCP", UDP: "UDP", 33: "DCCP", 132: "SCTP", 136: "UDPLite"}

_OPTION_NAMES = {
    "mss": "MSS",
    "window_scale": "WSOPT",
    "sack_permitted": "SACKP",
    "timestamps": "TS",
    "sack": "SACK",
}


def changes(before: View, after: View) -> tuple[str, ...]:
    """Every header field that differs, outermost first; a packet cut or joined says so."""
    return () if before is after else tuple(_changes(before, after))


def _changes(before: View, after: View) -> Iterator[str]:
    if before.version != after.version:
        yield f"IP::Version {before.version} -> {after.version}"
    for name, old, new in (
        ("Src", before.source, after.source),
        ("Dst", before.destination, after.destination),
    ):
        if old != new and old and new:
            yield f"IP::{name} {address.text(old)} -> {address.text(new)}"
    for name, was, now in (
        ("TTL", before.ttl, after.ttl),
        ("DSCP", before.traffic_class >> 2, after.traffic_class >> 2),
        ("ECN", before.traffic_class & 3, after.traffic_class & 3),
        ("ID", before.identification, after.identification),
        ("DF", int(before.dont_fragment), int(after.dont_fragment)),
    ):
        if was != now and (before.version == after.version or name == "TTL"):
            yield f"IP::{name} {was} -> {now}"
    if before.protocol != after.protocol:
        yield f"IP::Protocol {before.protocol} -> {after.protocol}"
        return
    yield from _transport(before, after)
    if before.length != after.length:
        yield f"IP::Length {before.length} -> {after.length}"


def _transport(before: View, after: View) -> Iterator[str]:
    layer = TRANSPORT_NAMES.get(before.protocol)
    if layer:
        for name, was, now in (
            ("SPort", before.source_port, after.source_port),
            ("DPort", before.destination_port, after.destination_port),
        ):
            if was != now and not (before.fragment_offset or after.fragment_offset):
                yield f"{layer}::{name} {was} -> {now}"
    if before.protocol == TCP:
        yield from _tcp(before, after)
    elif before.key[0] == "echo":
        old, new = (int.from_bytes(v.transport[4:6], "big") for v in (before, after))
        if old != new:
            yield f"ICMP::ID {old} -> {new}"
    header = max(before.header_length, 8 if before.protocol in (ICMP, ICMPV6) else 0)
    same_cut = before.length == after.length and before.header_length == after.header_length
    if same_cut and _differ(before.transport[header:], after.transport[header:]):
        quotes = before.protocol in (ICMP, ICMPV6) and before.key[0] != "echo"
        yield "ICMP::Quote changed" if quotes else "Payload changed"


def _differ(a: bytes, b: bytes) -> bool:
    """Whether two octet strings differ where both were seen."""
    both = min(len(a), len(b))
    return a[:both] != b[:both]


def _tcp(before: View, after: View) -> Iterator[str]:
    for name, was, now in (
        ("Seq", str(before.sequence), str(after.sequence)),
        ("Ack", str(before.acknowledgement), str(after.acknowledgement)),
        ("Flags", _flags(before.flags), _flags(after.flags)),
        ("Window", _window(before), _window(after)),
    ):
        if was != now:
            yield f"TCP::{name} {was} -> {now}"
    old, new = _options(before), _options(after)
    if old is None or new is None:
        return
    for field, name in _OPTION_NAMES.items():
        had, has = getattr(old, field), getattr(new, field)
        if had == has:
            continue
        if not has:
            yield f"TCP::Option_{name} removed"
        elif not had:
            yield f"TCP::Option_{name} added"
        else:
            yield f"TCP::Option_{name} {_value(had)} -> {_value(has)}"
    kinds_before, kinds_after = ({kind for kind, _ in o.unknown} for o in (old, new))
    for kind in sorted(kinds_before - kinds_after):
        yield f"TCP::Option_{kind} removed"
    for kind in sorted(kinds_after - kinds_before):
        yield f"TCP::Option_{kind} added"


def _options(of: View) -> tcp.Options | None:
    """The options; ``None`` where the witness did not see them all."""
    if len(of.transport) < of.header_length:
        return None
    return tcp.parse_options(of.transport[20 : of.header_length])


def _window(of: View) -> str:
    return str(int.from_bytes(of.transport[14:16], "big"))


def _flags(flags: int) -> str:
    names = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
    return "|".join(n for bit, n in enumerate(names) if flags >> bit & 1) or "none"


def _value(value: object) -> str:
    return str(value).replace(" ", "")
