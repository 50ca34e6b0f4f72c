"""Answers tell on packets: an ICMP error quotes the one that it is about, a RST names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from netlab.trace.disposition import Disposition
from netlab.wire import icmp, tcp
from netlab.wire.view import TCP, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlab.trace.track import Track
    from netlab.wire.view import View

_Quote: TypeAlias = tuple[str, bytes, bytes, int, int, int, bytes]

_D = Disposition

_DISPOSITIONS: dict[int, dict[tuple[int, int], Disposition]] = {
    4: {
        (icmp.UNREACHABLE, icmp.NET_UNREACHABLE): _D.NO_ROUTE,
        (icmp.UNREACHABLE, icmp.HOST_UNREACHABLE): _D.NEIGHBOUR_UNREACHABLE,
        (icmp.UNREACHABLE, icmp.PROTOCOL_UNREACHABLE): _D.NO_LISTENER,
        (icmp.UNREACHABLE, icmp.PORT_UNREACHABLE): _D.NO_LISTENER,
        (icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED): _D.TOO_BIG,
        (icmp.UNREACHABLE, 9): _D.DENIED,
        (icmp.UNREACHABLE, 10): _D.DENIED,
        (icmp.UNREACHABLE, icmp.ADMINISTRATIVELY_PROHIBITED): _D.DENIED,
        (icmp.TIME_EXCEEDED, 0): _D.TTL_EXPIRED,
        (icmp.PARAMETER_PROBLEM, 0): _D.MALFORMED,
    },
    6: {
        (icmp.V6_UNREACHABLE, icmp.V6_NO_ROUTE): _D.NO_ROUTE,
        (icmp.V6_UNREACHABLE, icmp.V6_ADMINISTRATIVELY_PROHIBITED): _D.DENIED,
        (icmp.V6_UNREACHABLE, icmp.V6_ADDRESS_UNREACHABLE): _D.NEIGHBOUR_UNREACHABLE,
        (icmp.V6_UNREACHABLE, icmp.V6_PORT_UNREACHABLE): _D.NO_LISTENER,
        (icmp.V6_PACKET_TOO_BIG, 0): _D.TOO_BIG,
        (icmp.V6_TIME_EXCEEDED, 0): _D.TTL_EXPIRED,
        (icmp.V6_PARAMETER_PROBLEM, icmp.V6_UNRECOGNIZED_NEXT_HEADER): _D.NO_LISTENER,
    },
}


class IcmpError(NamedTuple):
    """What an answer says of the packet that provoked it."""

    disposition: Disposition
    text: str


class Answers:
    """All answers among some tracks, by the packet that they are about."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        self._errors: dict[_Quote, list[IcmpError]] = {}
        self._resets: dict[tuple[object, ...], list[IcmpError]] = {}
        self._reset: dict[int, IcmpError] = {}
        asked: dict[tuple[object, ...], list[Track]] = {}
        for track in tracks:
            if track.view.protocol == TCP and track.view.flags & tcp.ACK:
                which = (track.node, *track.view.flow, track.view.acknowledgement)
                asked.setdefault(which, []).append(track)
        for track in tracks:
            if not track.sightings:
                continue
            packet, node = track.begins, track.sightings[0].node
            about = quoted(packet)
            if about:
                version, (kind, code) = packet.version, packet.transport[:2]
                disposition = _DISPOSITIONS[version].get((kind, code), _D.KERNEL_DROP)
                name = icmp.MEANINGS[version].get((kind, code), f"type {kind}/{code}")
                said = IcmpError(disposition, f"answered by {node} with ICMP: {name}")
                self._errors.setdefault(_quote(node, about), []).append(said)
            elif packet.protocol == TCP and packet.flags & tcp.RST:
                said = IcmpError(_D.NO_LISTENER, f"answered by {node} with a RST")
                if packet.flags & tcp.ACK:
                    tried = (node, *_reverse(packet), packet.acknowledgement)
                    self._resets.setdefault(tried, []).append(said)
                    continue
                # It begins where the segment that it answers ended: the last one before it.
                asking = (node, *_reverse(packet), packet.sequence)
                before = [t for t in asked.get(asking, ()) if t.time_at_end < track.time_ns]
                if before:
                    self._reset[id(max(before, key=lambda t: t.time_at_end))] = said

    def of(self, track: Track) -> IcmpError | None:
        """What answered this packet at the node where it ended; each answer serves once.

        A SYN is refused by a RST that acknowledges it, what came for a connection that is gone by
        one that acknowledges nothing (RFC 9293 section 3.5.2).
        """
        packet = track.view
        found = self._errors.get(_quote(track.node, packet))
        if not found and packet.protocol == TCP:
            if packet.flags & tcp.ACK:
                return self._reset.get(id(track))
            if packet.flags & tcp.SYN:
                after = packet.sequence + packet.payload_length + 1 & 0xFFFFFFFF
                found = self._resets.get((track.node, *packet.flow, after))
        return found.pop(0) if found else None


def _quote(node: str, packet: View) -> _Quote:
    """The packet as the node saw it; eight octets of its transport are in every quote."""
    return (
        node,
        packet.source,
        packet.destination,
        packet.protocol,
        packet.identification,
        packet.fragment_offset,
        packet.transport[:8],
    )


def _reverse(packet: View) -> tuple[object, ...]:
    source, destination, protocol, source_port, destination_port = packet.flow
    return (destination, source, protocol, destination_port, source_port)


def accepted(tracks: Iterable[Track]) -> set[tuple[object, ...]]:
    """SYNs that a SYN-ACK answered: the node that answered, their flow, their sequence number."""
    both = tcp.SYN | tcp.ACK
    return {
        (
            track.sightings[0].node,
            *reverse(track.begins),
            (track.begins.acknowledgement - 1) % 2**32,
        )
        for track in tracks
        if track.sightings and track.begins.protocol == TCP and track.begins.flags & both == both
    }


def reverse(of: View) -> tuple[bytes, bytes, int, int, int]:
    """The flow of a packet that this one answers."""
    return of.destination, of.source, of.protocol, of.destination_port, of.source_port
