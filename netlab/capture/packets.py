"""Every frame on every interface: one AF_PACKET ring in each node.

A socket that is bound to no interface sees them all, the loopback too, and says of each frame
where it was and which way it went. The kernel writes frames into blocks of a ring that is shared
with us (TPACKET_V3, Documentation/networking/packet_mmap.rst); a full block, or one that is
``RETIRE_MS`` old, is ours until we give it back. So a few hundred frames cost one copy.

    block   version, private, status, packets, first, length, sequence, time of the first frame ...
    frame   next, sec, nsec, snaplen, len, status, mac, net, ...  (48 octets)
            sockaddr_ll: family, protocol, ifindex, hatype, pkttype, ...
            ... at ``mac``: the octets
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from netlab.capture.evidence import Frame, Gap

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from netlab.capture.collector import RunInNetns

SOL_PACKET = 263
PACKET_RX_RING = 5
PACKET_STATISTICS = 6
PACKET_VERSION = 10
PACKET_IGNORE_OUTGOING = 23
TPACKET_V3 = 2
TP_STATUS_CSUMNOTREADY = 1 << 3

ETH_P_ALL = 3
ARPHRD_NONE, ARPHRD_ETHER, ARPHRD_LOOPBACK = 0xFFFE, 1, 772
PACKET_OUTGOING = 4

BLOCK = 1 << 17
"""Octets of a block: the largest super-packet fits into it."""

RING = 1 << 24
"""Octets of a node's ring, as long as the lab is small."""

RINGS = 1 << 26
"""Octets of all rings together; each has two blocks in any case."""

RETIRE_MS = 4
"""Milliseconds after which a block is ours even if it is not full."""

KEPT = 1 << 28
"""Octets of frames that are kept; a flood beyond is counted, not kept."""

FRAMES = 200_000
"""Frames that are kept. What follows from a frame takes some 4 KB, and 70 µs to find out."""

AT_ONCE = 32
"""Rings that are opened or closed at a time: each waits for the kernel's RCU, about 10 ms."""

_libc = ctypes.CDLL(None, use_errno=True)

_REQUEST = struct.Struct("@7I")
_BLOCK = struct.Struct("@8x4I")
_TIMES = struct.Struct("@32x2I")
_FRAME = struct.Struct("@6I2H20xH2xiHB")
_STATISTICS = struct.Struct("@3I")
_STATUS = struct.Struct("@I")
_USER = 1
_NEVER = 1 << 63


class Capture:
    """Frames of all ``nodes``; in those of ``arrivals`` only the frames that come in.

    What comes in by a veth went out at its other end a moment before, octet for octet. Not to
    capture it there spares the sender a copy of each packet.
    """

    def __init__(
        self, nodes: Sequence[str], inside: RunInNetns, arrivals: Collection[str] = ()
    ) -> None:
        self.gaps: list[Gap] = []
        self._arrivals = arrivals
        self._inside = inside
        self._nodes = nodes
        self._rings: list[_Ring] = []
        self._room = _Room()
        self._told: dict[_Ring, int] = {}

    def start(self) -> None:
        """Open every ring; from here on nothing is missed."""
        blocks = max(2, min(RING, RINGS // max(len(self._nodes), 1)) // BLOCK)

        def begin(node: str) -> _Ring:
            incoming = node in self._arrivals
            return self._inside(node, lambda: _Ring(node, blocks, self._room, incoming=incoming))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            started = [pool.submit(begin, node) for node in self._nodes]
        # Those that succeeded are kept even if one failed, for ``stop`` to close.
        self._rings = [one.result() for one in started if not one.exception()]
        for one in started:
            one.result()

    def buffers(self) -> Iterable[tuple[int, Callable[[], None]]]:
        """One for each ring."""
        return [(ring.fileno(), ring.drain) for ring in self._rings]

    def stop(self) -> None:
        """Take the last frames and close the rings.

        A block that the kernel is still filling becomes ours when it retires it.
        """
        deadline = time.monotonic() + 25 * RETIRE_MS / 1000
        while sum(ring.is_filling() for ring in self._rings) and time.monotonic() < deadline:
            time.sleep(RETIRE_MS / 4000)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(_Ring.close, self._rings))
        for ring in self._rings:
            with contextlib.suppress(OSError):
                # Interfaces that were made meanwhile; the node may be gone by now.
                ring.names.update(self._inside(ring.node, _interface_names))
            if ring.lost:
                text = f"{ring.lost} frames came faster than they could be read"
                self.gaps.append(Gap("capture", text, ring.node))
            if ring.refused:
                text = f"{ring.refused} frames were more than are kept"
                self.gaps.append(Gap("capture", text, ring.node))

    def seen(self) -> int:
        """How many frames were copied so far."""
        return sum(ring.count for ring in self._rings)

    def interfaces(self) -> set[tuple[str, str]]:
        """Node and name of each interface that was there, known to the plan or not."""
        return {(ring.node, name) for ring in self._rings for name in ring.names.values()}

    def frames(self) -> list[Frame]:
        """All frames that were not taken, in order of time."""
        return _in_order(frame for ring in self._rings for frame in ring.frames(ring.copies))

    def news(self) -> list[Frame]:
        """The frames that were copied since the last time; they stay."""
        before, self._told = self._told, {ring: len(ring.copies) for ring in self._rings}
        return _in_order(
            frame
            for ring, count in self._told.items()
            for frame in ring.frames(ring.copies[before.get(ring, 0) : count])
        )

    def take(self, most: int | None = None, since_ns: int = 0) -> Callable[[], list[Frame]]:
        """What was copied since the last time; it is forgotten here, and read by the result.

        Of more than ``most`` frames the first since then are read, about so many: all up to some
        moment.
        """
        taken = [(ring, block) for ring in self._rings for block in ring.take()]
        # What one ring had no room for, others may have kept.
        until_ns = min((ring.until_ns for ring in self._rings), default=_NEVER)
        for ring in self._rings:
            ring.until_ns = _NEVER
        if most is None:
            return lambda: _in_order(f for ring, block in taken for f in ring.frames([block]))
        return lambda: _first(taken, most, since_ns, until_ns)

    def discard(self) -> None:
        """Forget what was copied and not yet taken."""
        for ring in self._rings:
            ring.take()
            ring.until_ns = _NEVER

    def lost(self) -> int:
        """How many frames came faster than they could be copied."""
        for ring in self._rings:
            ring.count_lost()
        return sum(ring.lost for ring in self._rings)

    def refused(self) -> int:
        """How many frames were copied, but more than are kept."""
        return sum(ring.refused for ring in self._rings)


class _Room:
    """What all rings together may keep."""

    def __init__(self) -> None:
        self.octets, self.frames = KEPT, FRAMES

    def take(self, octets: int, frames: int) -> bool:
        """Whether there is room for so much, which is then taken; below zero it is given back."""
        if octets > self.octets or frames > self.frames:
            return False
        self.octets -= octets
        self.frames -= frames
        return True


def _first(
    taken: list[tuple[_Ring, bytes]], most: int, since_ns: int, until_ns: int
) -> list[Frame]:
    """About ``most`` frames, up to the moment at which the first block begins that is left out."""
    taken.sort(key=lambda one: _begins(one[1]))
    found: list[Frame] = []
    total = sum(_BLOCK.unpack_from(block)[1] for _, block in taken)
    for ring, block in taken:
        if total > most and len(found) >= most:
            until_ns = min(until_ns, _begins(block))
            break
        found += (f for f in ring.frames([block]) if total <= most or f.time_ns >= since_ns)
    return _in_order(frame for frame in found if frame.time_ns < until_ns)


def _begins(block: bytes | mmap.mmap, at: int = 0) -> int:
    """The time of the first frame of a block, in nanoseconds."""
    seconds, nanoseconds = _TIMES.unpack_from(block, at)
    return int(seconds * 1_000_000_000 + nanoseconds)


def _in_order(frames: Iterable[Frame]) -> list[Frame]:
    return sorted(frames, key=lambda frame: frame.time_ns)


def _interface_names() -> dict[int, str]:
    return dict(socket.if_nameindex())


def _set_ring(fd: int, request: bytes) -> None:
    """setsockopt(2) of PACKET_RX_RING, through libc.

    The kernel waits for RCU here. Python's own setsockopt would hold the interpreter's lock
    meanwhile, so that all rings would wait one after the other.
    """
    if _libc.setsockopt(fd, SOL_PACKET, PACKET_RX_RING, request, len(request)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class _Ring:
    """The ring of one node; made inside its namespace."""

    def __init__(self, node: str, blocks: int, room: _Room, *, incoming: bool) -> None:
        self.node = node
        self.names = _interface_names()
        self.lost = self.refused = 0
        self.until_ns = _NEVER
        self._room = room
        self._count = blocks
        self._next = 0
        self.count = 0
        self.copies: list[bytes] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        try:
            self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
            self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, incoming)
            request = _REQUEST.pack(BLOCK, blocks, BLOCK, blocks, RETIRE_MS, 0, 0)
            _set_ring(self._socket.fileno(), request)
            self._memory = mmap.mmap(self._socket.fileno(), BLOCK * blocks)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> None:
        """Copy the blocks that are ours and give them back."""
        while True:
            at = self._next * BLOCK
            status, packets, _, length = _BLOCK.unpack_from(self._memory, at)
            if not status & _USER:
                return
            self.count += packets
            if self._room.take(length, packets):
                self.copies.append(self._memory[at : at + length])
            else:
                self.refused += packets
                self.until_ns = min(self.until_ns, _begins(self._memory, at))
            _STATUS.pack_into(self._memory, at + 8, 0)
            self._next = (self._next + 1) % self._count

    def is_filling(self) -> bool:
        """Whether there are frames in a block that is not yet ours; those that are get copied."""
        self.drain()
        _, packets, _, _ = _BLOCK.unpack_from(self._memory, self._next * BLOCK)
        return bool(packets)

    def take(self) -> list[bytes]:
        """The copies, for which there is room again."""
        taken, self.copies = self.copies, []
        for block in taken:
            self._room.take(-len(block), -_BLOCK.unpack_from(block)[1])
        return taken

    def count_lost(self) -> None:
        """What the kernel had no block for; it begins to count anew."""
        if self._socket.fileno() < 0:
            return  # closed, and counted then
        _, dropped, _ = _STATISTICS.unpack(
            self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, _STATISTICS.size)
        )
        self.lost += dropped

    def close(self) -> None:
        self.count_lost()
        self._memory.close()
        self._socket.close()

    def frames(self, copies: Iterable[bytes]) -> Iterator[Frame]:
        """Read copies of blocks."""
        for block in copies:
            _, packets, at, _ = _BLOCK.unpack_from(block)
            for _ in range(packets):
                (
                    following, seconds, nanoseconds, kept, length, status, mac, _,
                    _, index, kind, direction,
                ) = _FRAME.unpack_from(block, at)  # fmt: skip
                yield Frame(
                    seconds * 1_000_000_000 + nanoseconds,
                    self.node,
                    self.names.get(index, f"if{index}"),
                    "out" if direction == PACKET_OUTGOING else "in",
                    block[at + mac : at + mac + kept],
                    length,
                    kind in (ARPHRD_ETHER, ARPHRD_LOOPBACK),
                    not status & TP_STATUS_CSUMNOTREADY,
                )
                at += following
