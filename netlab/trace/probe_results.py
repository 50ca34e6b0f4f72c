"""The fates of the packets that were sent to find out, among all that were seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.trace.explain import ProbeResult, decisive
from netlab.trace.model import Traces
from netlab.wire import icmp
from netlab.wire.view import ICMP, ICMPV6

if TYPE_CHECKING:
    from netlab.io.probes import Probes
    from netlab.trace.model import PacketTrace


def probed(traces: Traces, probes: Probes) -> tuple[Traces, list[ProbeResult]]:
    """The fates of the probes alone, and the outcome of each probe."""
    parts: dict[int, list[int]] = {number: [] for number in range(1, probes.count + 1)}
    datagrams: dict[tuple[object, ...], int] = {}
    everything = {packet_trace.id: packet_trace for packet_trace in traces}
    for packet_trace in traces:
        packet = packet_trace.packet
        if packet_trace.parents or _answers(packet_trace):
            continue
        ports = (packet.source_port, packet.destination_port)
        number = probes.number_of(packet_trace.proto, ports, packet.transport)
        datagram = (packet.source, packet.destination, *packet.datagram)
        if number is None and packet.fragment_offset:
            number = datagrams.get(datagram)
        elif number is not None and packet.is_fragment:
            datagrams[datagram] = number
        if number in parts and not (packet_trace.proto == 6 and not packet.flags & 2):
            parts[number].append(packet_trace.id)
    results = [
        ProbeResult(
            number,
            decisive([everything[part] for part in of], everything),
            probes.refusals.get(number, ""),
        )
        for number, of in parts.items()
    ]
    chosen = {part for of in parts.values() for part in of}
    return Traces(
        (packet_trace for packet_trace in traces if packet_trace.id in chosen), traces.gaps
    ), results


def _answers(packet_trace: PacketTrace) -> bool:
    """Whether it is an echo reply, which carries what the request did."""
    kind = packet_trace.packet.transport[:1]
    return (packet_trace.proto, kind) in (
        (ICMP, bytes([icmp.ECHO_REPLY])),
        (ICMPV6, bytes([icmp.V6_ECHO_REPLY])),
    )
