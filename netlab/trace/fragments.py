"""What a fragment was before its node gave it another number, or made it of a segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.wire.view import TCP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.trace.pending import PendingPackets
    from netlab.trace.track import Sighting
    from netlab.wire.view import View

BEFORE_CONTENT = 8
"""Octets that a NAT may change in a transport header: ports and UDP's checksum."""

LEAST_ALIKE = 8
"""Octets of content that make two first fragments those of one datagram."""


class FragmentOrigins:
    """What the first fragment of a datagram shows by its content holds for those that follow."""

    def __init__(self) -> None:
        self._segments: dict[tuple[str, bytes, bytes, int, int], View] = {}
        self._numbers: dict[tuple[str, tuple[bytes, bytes, int, int]], int] = {}

    def of(self, room: PendingPackets, seen: Sighting) -> Iterator[View]:
        """What a fragment may have been in ``room``, the node that it leaves."""
        renumbered = self._renumbered(room, seen)
        if renumbered:
            yield renumbered
        segment = self._as_segment(seen)
        if segment:
            yield segment

    def _as_segment(self, seen: Sighting) -> View | None:
        """A fragment of a TCP segment as a segment of its own: where it is in the stream.

        A super-packet may be cut into segments and these into fragments in one node.
        """
        packet = seen.view
        if packet.protocol != TCP or not packet.is_fragment:
            return None
        which = (seen.node, packet.source, packet.destination, *packet.datagram)
        if packet.fragment_offset == 0:
            self._segments[which] = packet
            return packet._replace(more_fragments=False)
        first = self._segments.get(which)
        if first is None:
            return None
        place = first.sequence + packet.fragment_offset - first.header_length
        return packet._replace(
            fragment_offset=0,
            more_fragments=False,
            sequence=place & 0xFFFFFFFF,
            acknowledgement=first.acknowledgement,
        )

    def _renumbered(self, room: PendingPackets, seen: Sighting) -> View | None:
        """A fragment as it was numbered before the node gave its datagram another number.

        The first fragment tells by its content which datagram it is of; the others follow.
        """
        packet = seen.view
        if not packet.is_fragment:
            return None
        flow = (packet.source, packet.destination, *packet.datagram)
        if packet.fragment_offset == 0:
            start = packet.transport[BEFORE_CONTENT:]
            for track in reversed(room.latest()):
                came = track.view
                both = min(len(start), len(came.transport) - BEFORE_CONTENT)
                if (
                    (came.protocol, came.fragment_offset) == (packet.protocol, 0)
                    and both >= LEAST_ALIKE
                    and came.transport[BEFORE_CONTENT:][:both] == start[:both]
                ):
                    self._numbers[seen.node, flow] = came.identification
                    break
        before = self._numbers.get((seen.node, flow))
        return None if before is None else packet._replace(identification=before)
