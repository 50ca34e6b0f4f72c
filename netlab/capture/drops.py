"""Why the kernel freed a packet: a BPF program at the tracepoint skb:kfree_skb.

The tracepoint knows the packet, the freeing code's address and the reason, but not the namespace,
and there is one for the whole machine. So a program runs there that follows ``skb->dev`` (or
``skb->sk``) to its namespace, and records what happens in ours:

    skb ─► dev ─► nd_net ─► ns.inum ─┐
      └──► sk ──► skc_net ► ns.inum ─┴─ one of our nodes? ─► ring buffer: time, reason, address,
                                                             start of the packet

Offsets and the names of the reasons come from the kernel's BTF, both change between kernels. The
program is assembled here because that takes fifty lines; a compiler or bpftrace would be a large
dependency, and bpftrace needs more than a second to start.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import struct
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.capture.evidence import Gap, KernelDrop
from netlab.linux import bpf
from netlab.linux.bpf import FP, R0, R1, R2, R3, R4, R6, R7, R8, R9, Assembler
from netlab.linux.btf import running_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from netlab.capture.collector import RunInNetns

BUFFER = 1 << 24
"""Octets of the ring buffer: some 70,000 drops."""

SEEN = 192
"""Octets of the packet that are kept."""

# time, namespace, reason, address, network header, tail, and the packet
_RECORD = struct.Struct(f"<QIIQIi{SEEN}s")
_PREFIX = "SKB_DROP_REASON_"


PURGES = frozenset({"skb_queue_purge", "sk_stream_kill_queues", "inet_sock_destruct"})
"""Functions that free what is left in a queue when its owner goes.

Linux 6.12 gives QUEUE_PURGE as the reason; 6.1 gives none.
"""


class Drops:
    """Packets that the kernel dropped in any of ``nodes``."""

    def __init__(self, nodes: Sequence[str], inside: RunInNetns) -> None:
        self.gaps: list[Gap] = []
        self._inside = inside
        self._nodes = nodes
        self._names: dict[int, str] = {}
        self._records: list[bytes] = []
        self._opened: contextlib.ExitStack | None = None
        self._offset = 0

    def start(self) -> None:
        """Load and attach the program."""
        with contextlib.ExitStack() as opened:
            ring = bpf.RingBuffer(BUFFER)
            opened.callback(ring.close)
            nodes = bpf.create_map(bpf.HASH, 4, 8, max(len(self._nodes), 1))
            opened.callback(os.close, nodes)
            for node in self._nodes:
                number = self._inside(node, _namespace)
                self._names[number] = node
                bpf.update(nodes, number.to_bytes(4, "little"), bytes(8))
            program = bpf.load(_program(_offsets(), nodes, ring.fd), "netlab_drops")
            opened.callback(os.close, program)
            opened.callback(os.close, bpf.attach(program, "kfree_skb"))
            self._ring, self._map = ring, nodes
            self._offset = _epoch()
            self._opened = opened.pop_all()

    def buffers(self) -> Iterable[tuple[int, Callable[[], None]]]:
        """The ring buffer."""
        return [(self._ring.fd, self.drain)]

    def drain(self) -> None:
        """Copy what has arrived."""
        self._records += self._ring.read()

    def stop(self) -> None:
        """Take the last records and remove the program."""
        if self._opened is None:
            return
        self.drain()
        for number, node in self._names.items():
            lost = int.from_bytes(bpf.lookup(self._map, number.to_bytes(4, "little"), 8), "little")
            if lost:
                text = f"{lost} drops came faster than they could be read"
                self.gaps.append(Gap("drops", text, node))
        self._opened.close()

    def drops(self) -> list[KernelDrop]:
        """All drops, in order."""
        reasons = _reasons()
        found = []
        for record in self._records:
            stamp, number, reason, address, start, tail, data = _RECORD.unpack(record)
            # Past the tail of the linear part there is something else's memory.
            seen = data[: max(tail - start, 0)]
            place = function(address)
            name = reason_at(place, reasons.get(reason, f"reason {reason}"))
            found.append(KernelDrop(stamp + self._offset, self._names[number], name, place, seen))
        return found


def reason_at(function: str, reason: str) -> str:
    """The reason that a kernel of today gives where an older one gives ``reason``, or none."""
    return "QUEUE_PURGE" if reason == "NOT_SPECIFIED" and function in PURGES else reason


def _epoch() -> int:
    """CLOCK_REALTIME less CLOCK_MONOTONIC: BPF has the one, frames are stamped with the other.

    A drop follows its frame within a microsecond, so the two readings must be taken together.
    """
    readings = []
    for _ in range(32):
        before = time.monotonic_ns()
        real = time.time_ns()
        after = time.monotonic_ns()
        readings.append((after - before, real - (before + after) // 2))
    return min(readings)[1]


def _namespace() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


@cache
def _offsets() -> Mapping[str, int]:
    """Octets from the start of a structure to what is needed of it."""
    types = running_kernel()
    return {
        "dev": types.offset("sk_buff", "dev"),
        "sk": types.offset("sk_buff", "sk"),
        "head": types.offset("sk_buff", "head"),
        "network_header": types.offset("sk_buff", "network_header"),
        "tail": types.offset("sk_buff", "tail"),
        "nd_net": types.offset("net_device", "nd_net"),
        "skc_net": types.offset("sock", "__sk_common", "skc_net"),
        "inum": types.offset("net", "ns", "inum"),
    }


@cache
def _reasons() -> Mapping[int, str]:
    types = running_kernel()
    values = types.enumeration("skb_drop_reason", _PREFIX + "NOT_SPECIFIED")
    return {number: name.removeprefix(_PREFIX) for number, name in values.items()}


def _program(at: Mapping[str, int], nodes: int, ring: int) -> bytes:
    """``at`` are the offsets; stack: -8 a pointer, -16 the namespace, -24 its entry."""
    a = Assembler()
    a.move(R6, R1)
    a.load(8, R7, R6, 0)

    def follow(holder: str, net: str, found: str) -> None:
        a.read(-8, 8, R7, at[holder])
        a.load(8, R8, FP, -8)
        a.read(-8, 8, R8, at[net])
        a.load(8, R8, FP, -8)
        a.read(-16, 4, R8, at["inum"])
        a.map(R1, nodes)
        a.move(R2, FP)
        a.add(R2, -16)
        a.function(bpf.LOOKUP)
        a.store(8, FP, -24, R0)
        a.jump_if_zero(R0, f"not {found}")
        a.jump("ours")
        a.label(f"not {found}")

    follow("dev", "nd_net", "device")
    # No device, or its place used for something else once a socket has the packet.
    follow("sk", "skc_net", "socket")
    a.end()

    a.label("ours")
    a.map(R1, ring)
    a.constant(R2, _RECORD.size)
    a.constant(R3, 0)
    a.function(bpf.RESERVE)
    a.jump_if_zero(R0, "lost")
    a.move(R9, R0)
    a.function(bpf.KTIME)
    a.store(8, R9, 0, R0)
    a.load(4, R1, FP, -16)
    a.store(4, R9, 8, R1)
    a.load(8, R1, R6, 16)
    a.store(4, R9, 12, R1)
    a.load(8, R1, R6, 8)
    a.store(8, R9, 16, R1)

    a.constant(R1, 0)
    a.store(8, FP, -8, R1)
    a.read(-8, 2, R7, at["network_header"])
    a.load(8, R8, FP, -8)
    a.store(4, R9, 24, R8)
    a.read(-8, 4, R7, at["tail"])
    a.load(4, R4, FP, -8)
    a.store(4, R9, 28, R4)
    a.read(-8, 8, R7, at["head"])
    a.load(8, R3, FP, -8)
    a.add_register(R3, R8)
    a.move(R1, R9)
    a.add(R1, 32)
    a.constant(R2, SEEN)
    a.function(bpf.PROBE_READ_KERNEL)
    a.move(R1, R9)
    a.constant(R2, 0)
    a.function(bpf.SUBMIT)
    a.end()

    a.label("lost")
    a.load(8, R1, FP, -24)
    a.constant(R2, 1)
    a.atomic_add(R1, 0, R2)
    a.end()
    return a.assembled()


@cache
def _symbols() -> list[bytes]:
    """The lines of /proc/kallsyms by address; the digits are as many in each, so they sort."""
    try:
        lines = Path("/proc/kallsyms").read_bytes().split(b"\n")
    except OSError:
        return []
    lines.sort()
    # Where the kernel hides addresses from this user they are all zero.
    return [] if lines[-1].startswith(b"0000000000000000 ") else lines


@cache
def function(address: int) -> str:
    """The name of the kernel function that ``address`` is in; empty if that is not known."""
    lines = _symbols()
    at = bisect.bisect_right(lines, b"%016x~" % address) - 1
    while at >= 0:
        _, kind, name, *_ = lines[at].split()
        if kind in b"tTwW":
            # A compiler's part of a function counts as the function: nft_do_chain.cold, .isra.0.
            return name.partition(b".")[0].decode()
        at -= 1
    return ""
