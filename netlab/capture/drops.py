"""Why the kernel freed a packet: a BPF program at the tracepoint skb:kfree_skb.

The tracepoint knows the packet, the freeing code's address and the reason, but not the namespace,
and there is one for the whole machine. So a program runs there that follows whatever leads from
the packet to a namespace, and records what happens in ours:

    the receiving socket ─► skc_net ───────┐
    skb ─► dev ───────────► nd_net ────────┤
      ├──► sk ────────────► skc_net ───────┼─► ns.inum  one of our nodes? ─► ring buffer: time,
      └──► dst ─► dev ────► nd_net ────────┤                reason, address, start of the packet
    the running task ─► nsproxy ─► net_ns ─┘

One way is not enough: TCP and UDP clear or reuse ``skb->dev`` once a socket has the packet, and
reassembly overwrites ``dev`` and ``sk``. The receiving socket is an argument of the tracepoint
since Linux 6.11. The running task is anyone's while the kernel handles an interrupt, so it only
counts for functions that run on behalf of a reader of the socket.

Offsets and the names of the reasons come from the kernel's BTF, both change between kernels. The
program is assembled here because that takes fifty lines; a compiler or bpftrace would be a large
dependency, and bpftrace needs more than a second to start.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
import os
import struct
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.capture.collector import RECORDS
from netlab.capture.evidence import Gap, KernelDrop
from netlab.linux import bpf, confinement
from netlab.linux.bpf import FP, R0, R1, R2, R3, R4, R6, R7, R8, R9, Assembler
from netlab.linux.btf import running_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from netlab.capture.collector import RunInNetns

BUFFER = 1 << 24
"""Octets of the ring buffer: some 70,000 drops."""

SEEN = 192
"""Octets of the packet that are kept."""

# time, namespace, reason, address, network header, tail, way to the namespace, state, packet
_RECORD = struct.Struct(f"<QIIQIiII{SEEN}s")
_TASK = 1
"""The way to the namespace was the running task."""

STATES = {
    1: "ESTABLISHED", 2: "SYN-SENT", 3: "SYN-RECEIVED", 4: "FIN-WAIT-1", 5: "FIN-WAIT-2",
    6: "TIME-WAIT", 7: "CLOSED", 8: "CLOSE-WAIT", 9: "LAST-ACK", 10: "LISTEN", 11: "CLOSING",
    12: "SYN-RECEIVED",
}  # fmt: skip
"""A socket's ``skc_state`` (include/net/tcp_states.h) by the names of RFC 9293."""

READERS = ("first_packet_length", "udp_recvmsg", "udpv6_recvmsg", "__udp_poll")
"""Functions that free a packet while its reader waits: the running task is the reader."""

_PREFIX = "SKB_DROP_REASON_"


PURGES = frozenset({"skb_queue_purge", "sk_stream_kill_queues", "inet_sock_destruct"})
"""Functions that free what is left in a queue when its owner goes.

Linux 6.12 gives QUEUE_PURGE as the reason; 6.1 gives none.
"""

ECHO_REPLIES = frozenset({"icmp_rcv", "icmpv6_rcv"})
"""Functions that free an echo reply which no ping socket wants, until 6.12; then ``ping_rcv``."""


class Drops:
    """Packets that the kernel dropped in any of ``nodes``."""

    def __init__(self, nodes: Sequence[str], inside: RunInNetns) -> None:
        self.gaps: list[Gap] = []
        self._inside = inside
        self._nodes = nodes
        self._names: dict[int, str] = {}
        self._records: list[bytes] = []
        self._refused = 0
        self._opened: contextlib.ExitStack | None = None
        self._offset = 0

    def start(self) -> None:
        """Load and attach the program.

        Raises:
            OSError: this process may not, or could not tell by the records which function dropped
                a packet, without which a copy that nobody wanted looks like a death.
        """
        if confinement.hides_functions():
            message = "the names of the kernel's functions are hidden (capability SYSLOG)"
            raise OSError(errno.EPERM, message)
        with contextlib.ExitStack() as opened:
            ring = bpf.RingBuffer(BUFFER)
            opened.callback(ring.close)
            nodes = bpf.create_map(bpf.HASH, 4, 8, max(len(self._nodes), 1))
            opened.callback(os.close, nodes)
            for node in self._nodes:
                number = self._inside(node, _namespace)
                self._names[number] = node
                bpf.update(nodes, number.to_bytes(4, "little"), bytes(8))
            opened.callback(os.close, _attach(nodes, ring.fd))
            self._ring, self._map = ring, nodes
            self._offset = _epoch()
            self._opened = opened.pop_all()

    def buffers(self) -> Iterable[tuple[int, Callable[[], None]]]:
        """The ring buffer."""
        return [(self._ring.fd, self.drain)]

    def drain(self) -> None:
        """Copy what has arrived."""
        records = self._ring.read()
        kept = records[: RECORDS - len(self._records)]
        self._refused += len(records) - len(kept)
        self._records += kept

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
        if self._refused:
            self.gaps.append(Gap("drops", f"{self._refused} drops were more than are kept"))
        self._opened.close()

    def drops(self) -> list[KernelDrop]:
        """All drops that were not taken, in order."""
        return self._read(self._records)

    def take(self) -> Callable[[], list[KernelDrop]]:
        """The drops since the last time; they are forgotten here, and read by the result."""
        taken, self._records = self._records, []
        return lambda: self._read(taken)

    def discard(self) -> None:
        """Forget what was copied and not yet taken."""
        self._records = []

    def _read(self, records: Iterable[bytes]) -> list[KernelDrop]:
        names = reasons() if records else {}
        found = []
        for record in records:
            stamp, number, reason, address, start, tail, way, state, data = _RECORD.unpack(record)
            place = function(address)
            if way == _TASK and not place.startswith(READERS):
                continue
            # Past the tail of the linear part there is something else's memory.
            seen = data[: max(tail - start, 0)]
            place, name = as_today(place, names.get(reason, f"reason {reason}"))
            of_tcp = place.startswith("tcp_")
            found.append(
                KernelDrop(
                    stamp + self._offset,
                    self._names[number],
                    name,
                    place,
                    seen,
                    STATES.get(state, "") if of_tcp else "",
                )
            )
        return found


def as_today(function: str, reason: str) -> tuple[str, str]:
    """Function and reason that a kernel of today gives where an older one gives these."""
    if function in PURGES and reason == "NOT_SPECIFIED":
        return function, "QUEUE_PURGE"
    if function in ECHO_REPLIES and reason == "NO_SOCKET":
        return "ping_rcv", reason
    return function, reason


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
        "dst": types.offset("sk_buff", "_skb_refdst"),
        "dst_dev": types.offset("dst_entry", "dev"),
        "head": types.offset("sk_buff", "head"),
        "network_header": types.offset("sk_buff", "network_header"),
        "tail": types.offset("sk_buff", "tail"),
        "nd_net": types.offset("net_device", "nd_net"),
        "skc_net": types.offset("sock", "__sk_common", "skc_net"),
        "nsproxy": types.offset("task_struct", "nsproxy"),
        "net_ns": types.offset("nsproxy", "net_ns"),
        "state": types.offset("sock", "__sk_common", "skc_state"),
        "inum": types.offset("net", "ns", "inum"),
    }


@cache
def reasons() -> Mapping[int, str]:
    """The names that the running kernel has for its reasons (enum skb_drop_reason)."""
    types = running_kernel()
    values = types.enumeration("skb_drop_reason", _PREFIX + "NOT_SPECIFIED")
    return {number: name.removeprefix(_PREFIX) for number, name in values.items()}


def _attach(nodes: int, ring: int) -> int:
    """Run the program as long as the returned descriptor is open."""
    for knows_socket in (True, False):
        program = bpf.load(_program(_offsets(), nodes, ring, knows_socket), "netlab_drops")
        try:
            return bpf.attach(program, "kfree_skb")
        except OSError as error:
            # The kernel refuses a program that reads an argument which the tracepoint lacks.
            if error.errno != errno.EINVAL or not knows_socket:
                raise
        finally:
            os.close(program)
    raise AssertionError("unreachable")


_DST_FLAGS = ~3
"""The lowest bits of ``_skb_refdst`` are flags, not part of the address (SKB_DST_PTRMASK)."""


def _program(at: Mapping[str, int], nodes: int, ring: int, knows_socket: bool) -> bytes:  # noqa: FBT001
    """The program; ``at`` are the offsets.

    Its stack: -8 a pointer, -16 the namespace, -24 its entry, -32 the way, -40 the state of the
    receiving socket. ``knows_socket`` is whether the tracepoint has the receiving socket as its
    fourth argument.
    """
    a = Assembler()
    a.move(R6, R1)
    a.load(8, R7, R6, 0)
    a.constant(R1, 0)
    a.store(8, FP, -32, R1)
    a.store(8, FP, -40, R1)

    def follow(*offsets: int) -> None:
        """R8 = the pointer at the end of these, each an offset into what the one before found."""
        for offset in offsets:
            a.read(-8, 8, R8, offset)
            a.load(8, R8, FP, -8)

    def found(name: str) -> None:
        """Record the packet if R8 is the namespace of one of our nodes."""
        a.read(-16, 4, R8, at["inum"])
        a.map(R1, nodes)
        a.move(R2, FP)
        a.add(R2, -16)
        a.function(bpf.LOOKUP)
        a.store(8, FP, -24, R0)
        a.jump_if_zero(R0, f"not by {name}")
        a.jump("ours")
        a.label(f"not by {name}")

    if knows_socket:
        a.load(8, R8, R6, 24)
        a.read(-40, 1, R8, at["state"])
        follow(at["skc_net"])
        found("receiving socket")
    a.move(R8, R7)
    follow(at["dev"], at["nd_net"])
    found("device")
    a.move(R8, R7)
    follow(at["sk"], at["skc_net"])
    found("socket")
    a.move(R8, R7)
    follow(at["dst"])
    a.mask(R8, _DST_FLAGS)
    follow(at["dst_dev"], at["nd_net"])
    found("route")
    a.constant(R1, _TASK)
    a.store(8, FP, -32, R1)
    a.function(bpf.CURRENT_TASK)
    a.move(R8, R0)
    follow(at["nsproxy"], at["net_ns"])
    found("task")
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

    a.load(4, R1, FP, -32)
    a.store(4, R9, 32, R1)
    a.load(4, R1, FP, -40)
    a.store(4, R9, 36, R1)

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
    a.add(R1, 40)
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
