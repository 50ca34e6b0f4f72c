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

    from netlab.capture.evidence import Evidence
    from netlab.trace.model import PacketTrace, Traces


def blocks(evidence: Evidence, traces: Traces | None = None) -> Iterator[bytes]:
    """The file, block by block; with ``traces`` each packet says what became of it."""
    about = comments(traces) if traces is not None else {}
    yield pcapng.section(f"netlab {__version__}")
    interfaces: dict[tuple[str, str], int] = {}
    for index, frame in enumerate(evidence.frames):
        place = (frame.node, frame.interface)
        if place not in interfaces:
            interfaces[place] = len(interfaces)
            link = pcapng.LINKTYPE_ETHERNET if frame.ethernet else pcapng.LINKTYPE_RAW
            yield pcapng.interface(link, ":".join(place))
        yield pcapng.packet(
            interfaces[place],
            frame.time_ns,
            frame.data,
            length=frame.length,
            direction=pcapng.INBOUND if frame.direction == "in" else pcapng.OUTBOUND,
            comment=about.get(index, ""),
        )


def comments(traces: Iterable[PacketTrace]) -> Mapping[int, str]:
    """What to say at each frame, by its index: the packet, what changed here, its end."""
    found = {}
    for packet_trace in traces:
        for hop, frame in zip(packet_trace.hops, packet_trace.frames, strict=True):
            here = hop.changes + hop.boxes
            changed = f"; here {', '.join(here)}" if here else ""
            if frame in found and not changed:
                continue  # one frame represents both ends of its link
            end = f"{packet_trace.disposition} in {packet_trace.node}"
            found[frame] = f"#{packet_trace.id} {end}: {because(packet_trace.reason)}{changed}"
    return found
