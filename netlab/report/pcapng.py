"""One capture file of a whole lab, with what became of each packet as a comment.

pcapng (draft-ietf-opsawg-pcapng): a section header, a description of each interface (named
``node:if``, times in nanoseconds), then the frames. Written here in some sixty lines: what
libraries there are either cannot write comments or come with all of scapy.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from netlab import __version__
from netlab.fate.explain import because

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from netlab.fate.fates import Fate, Fates
    from netlab.observe.evidence import Evidence

SECTION_HEADER, INTERFACE_DESCRIPTION, ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
BYTE_ORDER_MAGIC = 0x1A2B3C4D
LINK_ETHERNET, LINK_RAW = 1, 101
LONGEST_OPTION = 0xFFFF

_COMMENT, _APPLICATION = 1, 4
_INTERFACE_NAME, _RESOLUTION = 2, 9
_FLAGS = 2
_NANOSECONDS = bytes([9])


def blocks(evidence: Evidence, fates: Fates | None = None) -> Iterator[bytes]:
    """The file, block by block; with ``fates`` each packet says what became of it."""
    about = comments(fates) if fates is not None else {}
    yield _block(
        SECTION_HEADER,
        struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, -1),
        [(_APPLICATION, f"netlab {__version__}".encode())],
    )
    interfaces: dict[tuple[str, str], int] = {}
    for index, frame in enumerate(evidence.frames):
        place = (frame.node, frame.interface)
        if place not in interfaces:
            interfaces[place] = len(interfaces)
            link = LINK_ETHERNET if frame.ethernet else LINK_RAW
            yield _block(
                INTERFACE_DESCRIPTION,
                struct.pack("<HHI", link, 0, 0),
                [(_INTERFACE_NAME, ":".join(place).encode()), (_RESOLUTION, _NANOSECONDS)],
            )
        options = [(_FLAGS, struct.pack("<I", 1 if frame.direction == "in" else 2))]
        if index in about:
            options.insert(0, (_COMMENT, about[index].encode()))
        yield _block(
            ENHANCED_PACKET,
            struct.pack(
                "<5I",
                interfaces[place],
                frame.time_ns >> 32,
                frame.time_ns & 0xFFFFFFFF,
                len(frame.data),
                max(frame.length, len(frame.data)),
            )
            + _padded(frame.data),
            options,
        )


def comments(fates: Iterable[Fate]) -> Mapping[int, str]:
    """What to say at each frame, by its index: the packet, what changed here, its end."""
    found = {}
    for fate in fates:
        for hop, frame in zip(fate.hops, fate.frames, strict=True):
            changed = f"; here {', '.join(hop.changes)}" if hop.changes else ""
            if frame in found and not changed:
                continue  # the frame stands for both ends of its wire
            found[frame] = (
                f"#{fate.id} {fate.disposition} in {fate.node}: {because(fate.reason)}{changed}"
            )
    return found


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


def _block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    for code, value in options:
        cut = value[:LONGEST_OPTION]
        body += struct.pack("<HH", code, len(cut)) + _padded(cut)
    body += bytes(4)  # opt_endofopt
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length
