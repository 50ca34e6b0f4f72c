"""The whole way: evidence -> tracks -> fates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.trace.box_events import describe
from netlab.trace.correlate import correlate
from netlab.trace.model import Hop, PacketTrace, Traces
from netlab.trace.nat_bindings import Bindings
from netlab.trace.neighbours import asks_for
from netlab.trace.program_reports import Programs
from netlab.trace.verdict import Judge
from netlab.wire import address
from netlab.wire.diff import TRANSPORT_NAMES, changes
from netlab.wire.view import ARP, ICMP, ICMPV6, MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.capture.evidence import Evidence
    from netlab.trace.track import Track
    from netlab.trace.verdict import Verdict
    from netlab.wire.view import View


def build_traces(evidence: Evidence) -> Traces:
    """The fate of every packet that the evidence knows of."""
    bindings = Bindings(evidence.flows)
    programs = Programs(evidence)
    tracks = correlate(evidence, bindings, programs)
    numbers = {id(track): number for number, track in enumerate(tracks, 1)}
    judge = Judge(evidence, tracks, bindings, programs)
    traces = [fate(track, judge.verdict(track), numbers, bindings) for track in tracks]
    return Traces(traces, (*evidence.gaps, *programs.gaps()))


def fate(track: Track, end: Verdict, numbers: dict[int, int], bindings: Bindings) -> PacketTrace:
    """The trace of a packet that ended so; ``numbers`` are those of all tracks, by ``id``."""
    return PacketTrace(
        numbers[id(track)],
        label(track.begins),
        track.begins.protocol,
        end.disposition,
        end.node,
        end.interface,
        end.reason,
        tuple(_hops(track, bindings)),
        track.begins,
        tuple(seen.frame for seen in track.sightings),
        tuple(numbers[id(parent)] for parent in track.parents),
        tuple(numbers[id(child)] for child in track.children),
        track.copied,
        track.time_ns,
        track.view,
    )


def _hops(track: Track, bindings: Bindings) -> Iterator[Hop]:
    before = track.copied_from or track.begins
    for number, seen in enumerate(track.sightings):
        box_event = track.box_events.get(number)
        changed = changes(before, seen.view)
        yield Hop(
            seen.node,
            seen.interface,
            seen.direction,
            seen.time_ns,
            changed,
            describe(box_event) if box_event else (),
            bindings.translated(seen.node, before, seen.view) if changed else "",
        )
        before = seen.view


def label(packet: View) -> str:
    """A packet in a few words: ``UDP 10.0.0.2:4000 > 10.0.1.2:80, 20 octets``."""
    if packet.protocol == MALFORMED:
        return f"malformed IPv{packet.version} packet, {packet.length} octets"
    if packet.protocol == ARP:
        asks = asks_for(packet) is not None
        source, target = address.text(packet.source), address.text(packet.destination)
        return f"ARP who has {target}? asks {source}" if asks else f"ARP reply of {source}"
    source, destination = address.text(packet.source), address.text(packet.destination)
    name = TRANSPORT_NAMES.get(packet.protocol, "")
    if packet.protocol in (ICMP, ICMPV6):
        name = "ICMP" if packet.protocol == ICMP else "ICMPv6"
        name += f" {packet.transport[0]}/{packet.transport[1]}" if len(packet.transport) > 1 else ""
    if name in TRANSPORT_NAMES.values() and not packet.fragment_offset:
        six = packet.version == 6
        source = f"[{source}]" if six else source
        destination = f"[{destination}]" if six else destination
        source += f":{packet.source_port}"
        destination += f":{packet.destination_port}"
    piece = f" fragment at {packet.fragment_offset}" if packet.is_fragment else ""
    return (
        f"{name or f'protocol {packet.protocol}'}{piece} {source} > {destination},"
        f" {packet.payload_length} octets"
    )
