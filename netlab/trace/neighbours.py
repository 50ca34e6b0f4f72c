"""Who asked for a neighbour and got no answer, by the requests of ARP and Neighbour Discovery."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.trace.disposition import Disposition
from netlab.trace.model import Reason
from netlab.wire import address
from netlab.wire.view import ARP, ICMPV6, frame_view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlab.capture.evidence import Evidence, Frame, NodeInfo
    from netlab.trace.track import Track
    from netlab.wire.view import View

SOLICITATION, ADVERTISEMENT = 135, 136
ARP_REQUEST = 1


class Request(NamedTuple):
    """``node`` asked by ``interface`` who has ``target``, an address."""

    node: str
    interface: str
    target: bytes


class Requests:
    """The requests among some tracks that were not answered."""

    def __init__(self, tracks: Sequence[Track], inventory: Mapping[str, NodeInfo]) -> None:
        self._own = {
            node: {a for i in place.interfaces for a in i.addresses}
            for node, place in inventory.items()
        }
        self._asked: dict[str, dict[bytes, Request]] = {}
        for track in tracks:
            target = asks_for(track.begins)
            if target and track.sightings and track.sightings[0].direction == "out":
                first = track.sightings[0]
                found = self._asked.setdefault(first.node, {})
                found[target] = Request(first.node, first.interface, target)
        for track in tracks:
            known = tells_of(track.view)
            last = track.last
            if known and last and last.direction == "in":
                self._asked.get(last.node, {}).pop(known, None)

    def of(self, node: str, destination: bytes) -> Request | None:
        """The unanswered request because of which a packet waits in ``node``, or died there.

        It asks for the destination, or for a gateway: then for whatever no one answered last.
        """
        asked = self._asked.get(node, {})
        if destination in asked:
            return asked[destination]
        same_family = [r for r in asked.values() if len(r.target) == len(destination)]
        return same_family[-1] if same_family else None

    def is_for(self, node: str, target: bytes) -> bool:
        """Whether a request asks for an address of ``node``."""
        return target in self._own.get(node, ())


def text(request: Request) -> str:
    """``no neighbour answers ARP for 10.0.0.77 at r:y``."""
    protocol = "ARP" if len(request.target) == 4 else "ND"
    place = f"{request.node}:{request.interface}"
    return f"no neighbour answers {protocol} for {address.text(request.target)} at {place}"


def unanswered(evidence: Evidence, node: str, destination: bytes) -> str:
    """The same for a packet that waits in ``node`` unseen; empty if it waits for no one."""
    asked: Request | None = None
    for frame in evidence.frames:
        if frame.node != node or not _may_be_of_neighbours(frame):
            continue
        packet = frame_view(frame.data, ethernet=frame.ethernet)
        if packet is None:
            continue
        target = asks_for(packet)
        if target and frame.direction == "out" and len(target) == len(destination):
            asked = Request(node, frame.interface, target)
        elif asked and tells_of(packet) == asked.target and frame.direction == "in":
            asked = None
    return text(asked) if asked else ""


def _may_be_of_neighbours(frame: Frame) -> bool:
    """Whether it is ARP or ICMPv6, by its first octets."""
    kind = frame.data[12:14]
    return kind == b"\x08\x06" or (kind == b"\x86\xdd" and frame.data[20:21] == bytes([ICMPV6]))


def at_stranger(packet: View) -> tuple[Disposition, Reason]:
    """The end of a request at a node that does not have the address."""
    what = address.text(asks_for(packet) or b"")
    return Disposition.IGNORED, Reason("inferred", f"the node does not have {what}")


def asks_for(packet: View) -> bytes | None:
    """The address that a request asks for; ``None`` for all else."""
    if packet.protocol == ARP:
        return packet.destination if packet.transport[7:8] == bytes([ARP_REQUEST]) else None
    if packet.protocol == ICMPV6 and packet.transport[:1] == bytes([SOLICITATION]):
        return packet.transport[8:24]
    return None


def tells_of(packet: View) -> bytes | None:
    """The address that an answer tells the Ethernet address of; ``None`` for all else."""
    if packet.protocol == ARP:
        return packet.source if asks_for(packet) is None else None
    if packet.protocol == ICMPV6 and packet.transport[:1] == bytes([ADVERTISEMENT]):
        return packet.transport[8:24]
    return None
