"""Fates as numbered packets, without what differs from run to run.

Times, identifiers, ports and sequence numbers are left out, and of what a box changed the new
value: what stays is which packet it was, where it was seen, what was changed, and its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.trace.explain import NEVER_LEFT
from netlab.trace.tree import copy_that_counts
from netlab.wire.view import ICMP, ICMPV6, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlab.scenario.model import Watched
    from netlab.trace.explain import ProbeResult
    from netlab.trace.model import PacketTrace

_FLAGS = ((2, "SYN"), (1, "FIN"), (4, "RST"), (16, "ACK"))


class Packet(NamedTuple):
    """One packet. ``way`` is each interface, as ``node:interface``; ``changes`` field names."""

    number: int
    what: str
    origin: str
    disposition: str
    at: str
    by: str
    way: tuple[str, ...]
    changes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As reports print it, and as the digest takes it."""
        return self._asdict() | {"way": list(self.way), "changes": list(self.changes)}

    def __str__(self) -> str:
        at = f" at {self.at}" if self.at else ""
        by = f" by {self.by}" if self.by else ""
        what = f" {self.what} from {self.origin}" if self.origin else ""
        return f"#{self.number}{what}: {self.disposition}{at}{by}"


def sent(outcomes: Iterable[ProbeResult]) -> Iterator[Packet]:
    """The packets that a step sent, by their numbers."""
    for outcome in outcomes:
        if outcome.decisive is None:
            said = outcome.refusal or "no capture saw it"
            yield Packet(outcome.number, "", "", NEVER_LEFT, "", said, (), ())
        else:
            yield _packet(outcome.number, outcome.decisive)


def watched(traces: Iterable[PacketTrace], which: Watched) -> Iterator[Packet]:
    """The packets of a command, by their numbers."""
    for number, packet_trace in chosen(traces, which):
        yield _packet(number, packet_trace)


def chosen(traces: Iterable[PacketTrace], which: Watched) -> Iterator[tuple[int, PacketTrace]]:
    """The packets that are numbered, in the order in which they were first seen."""
    number = 0
    everything = {packet_trace.id: packet_trace for packet_trace in traces}
    for packet_trace in everything.values():
        ports = (None, packet_trace.packet.source_port, packet_trace.packet.destination_port)
        if (
            packet_trace.proto == which.protocol
            and which.port in ports
            and not packet_trace.parents
        ):
            number += 1
            yield number, copy_that_counts(packet_trace, everything)


def numbered(
    traces: Iterable[PacketTrace], ends: Iterable[tuple[int, PacketTrace]]
) -> dict[int, int]:
    """The number of each fate by its id; ``ends`` are those that packets were judged by.

    What a packet was cut into or merged from shares its number.
    """
    everything = {packet_trace.id: packet_trace for packet_trace in traces}
    found: dict[int, int] = {}
    for number, end in ends:
        waiting = [end.id]
        while waiting:
            one = waiting.pop()
            if one in found or one not in everything:
                continue
            found[one] = number
            waiting += [*everything[one].parents, *everything[one].children]
    return found


def _packet(number: int, packet_trace: PacketTrace) -> Packet:
    reason = packet_trace.reason
    return Packet(
        number,
        what(packet_trace),
        packet_trace.origin,
        str(packet_trace.disposition),
        packet_trace.node,
        "" if packet_trace.arrived else reason.label or reason.rule or reason.text,
        tuple(f"{hop.node}:{hop.interface}" for hop in packet_trace.hops),
        tuple(
            f"{hop.node} {_field(change)}" for hop in packet_trace.hops for change in hop.changes
        ),
    )


def _field(change: str) -> str:
    """``IP::TTL`` of ``IP::TTL 64 -> 63``."""
    return change.partition(" ")[0]


def what(packet_trace: PacketTrace) -> str:
    """``SYN+ACK``, ``UDP``, ``ICMP 3/4``, ``protocol 253``; of TCP also whether it has data."""
    packet = packet_trace.packet
    if packet_trace.proto == TCP:
        names = [name for bit, name in _FLAGS if packet.flags & bit]
        return "+".join(names) + (" data" if packet.payload_length else "")
    if packet_trace.proto == UDP:
        return "UDP"
    head, _, rest = packet_trace.label.partition(" ")
    if packet_trace.proto in (ICMP, ICMPV6):
        return f"{head} {rest.partition(' ')[0]}"
    return f"protocol {packet_trace.proto}"
