"""One capture file of a whole lab, with the fate of each packet as a comment.

Interfaces are named ``node:if``, times are in nanoseconds; the format is ``wire.pcapng``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab import __version__
from netlab.trace.explain import because
from netlab.wire import pcapng

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from netlab.capture.evidence import Evidence, Frame
    from netlab.trace.model import PacketTrace, Traces


def blocks(evidence: Evidence, traces: Traces | None = None) -> Iterator[bytes]:
    """The file, block by block; with ``traces`` each packet says what became of it."""
    about = comments(traces) if traces is not None else {}
    writer = Writer()
    yield writer.begins()
    for index, frame in enumerate(evidence.frames):
        yield writer.packet(frame, about.get(index, ""))


class Writer:
    """The blocks of one file, frame by frame; the file is whole after each of them."""

    def __init__(self) -> None:
        self._interfaces: dict[tuple[str, str], int] = {}

    def begins(self) -> bytes:
        """What the file begins with."""
        return pcapng.section(f"netlab {__version__}")

    def packet(self, frame: Frame, comment: str = "") -> bytes:
        """A frame, and before it its interface if that is new."""
        place = (frame.node, frame.interface)
        described = b""
        if place not in self._interfaces:
            self._interfaces[place] = len(self._interfaces)
            link = pcapng.LINKTYPE_ETHERNET if frame.ethernet else pcapng.LINKTYPE_RAW
            described = pcapng.interface(link, ":".join(place))
        return described + pcapng.packet(
            self._interfaces[place],
            frame.time_ns,
            frame.data,
            length=frame.length,
            direction=pcapng.INBOUND if frame.direction == "in" else pcapng.OUTBOUND,
            comment=comment,
        )


def comment(packet_trace: PacketTrace, hop: int) -> str:
    """What to say at a frame of a packet: the packet, what changed at this hop, its end."""
    here = packet_trace.hops[hop].changes + packet_trace.hops[hop].boxes
    changed = f"; here {', '.join(here)}" if here else ""
    end = f"{packet_trace.disposition} in {packet_trace.node}"
    return f"#{packet_trace.id} {end}: {because(packet_trace.reason)}{changed}"


def comments(traces: Iterable[PacketTrace]) -> Mapping[int, str]:
    """What to say at each frame, by its index."""
    found: dict[int, str] = {}
    for packet_trace in traces:
        for number, frame in enumerate(packet_trace.frames):
            hop = packet_trace.hops[number]
            if frame in found and not (hop.changes or hop.boxes):
                continue  # one frame represents both ends of its link
            found[frame] = comment(packet_trace, number)
    return found
