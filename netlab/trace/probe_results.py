"""The fates of the packets that were sent to find out, among all that were seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.trace.explain import Outcome, decisive
from netlab.trace.model import Fates
from netlab.wire import icmp
from netlab.wire.view import ICMP, ICMPV6

if TYPE_CHECKING:
    from netlab.io.probes import Probes
    from netlab.trace.model import Fate


def probed(fates: Fates, probes: Probes) -> tuple[Fates, list[Outcome]]:
    """The fates of the probes alone, and the outcome of each probe."""
    parts: dict[int, list[int]] = {number: [] for number in range(1, probes.count + 1)}
    datagrams: dict[tuple[object, ...], int] = {}
    everything = {fate.id: fate for fate in fates}
    for fate in fates:
        packet = fate.packet
        if fate.parents or _answers(fate):
            continue
        ports = (packet.source_port, packet.destination_port)
        number = probes.number_of(fate.proto, ports, packet.transport)
        datagram = (packet.source, packet.destination, *packet.datagram)
        if number is None and packet.fragment_offset:
            number = datagrams.get(datagram)
        elif number is not None and packet.is_fragment:
            datagrams[datagram] = number
        if number in parts and not (fate.proto == 6 and not packet.flags & 2):
            parts[number].append(fate.id)
    results = [
        Outcome(
            number,
            decisive([everything[part] for part in of], everything),
            probes.refusals.get(number, ""),
        )
        for number, of in parts.items()
    ]
    chosen = {part for of in parts.values() for part in of}
    return Fates((fate for fate in fates if fate.id in chosen), fates.gaps), results


def _answers(fate: Fate) -> bool:
    """Whether it is an echo reply, which carries what the request did."""
    kind = fate.packet.transport[:1]
    return (fate.proto, kind) in (
        (ICMP, bytes([icmp.ECHO_REPLY])),
        (ICMPV6, bytes([icmp.V6_ECHO_REPLY])),
    )
