"""Counters of a node, before and after: SNMP, connection tracking, queues.

A counter does not say which packet, but it is the only witness of some deaths (a NAT clash), and
without BPF of many. What did not rise is left out.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.capture.evidence import Count, Gap
from netlab.linux import netlink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from netlab.capture.collector import RunInNetns

# enum ctattr_stats_cpu, include/uapi/linux/netfilter/nfnetlink_conntrack.h
CONNTRACK = {
    4: "invalid", 8: "insert", 9: "insert_failed", 10: "drop", 11: "early_drop", 12: "error",
    14: "clash_resolve", 15: "chaintoolong",
}  # fmt: skip
_GET_CONNTRACK_STATISTICS = 1 << 8 | 4
_GET_QDISC = 38
_QDISC_KIND, _QDISC_STATISTICS = 1, 7
_QUEUE = 3

FILES = ("snmp", "netstat", "snmp6")


class Counters:
    """Counters of all ``nodes`` that rose between ``start`` and ``stop``."""

    def __init__(self, nodes: Sequence[str], inside: RunInNetns) -> None:
        self.gaps: list[Gap] = []
        self._inside = inside
        self._nodes = nodes
        self._before: dict[str, dict[str, int]] = {}
        self._counts: list[Count] = []

    def start(self) -> None:
        """Read them a first time."""
        self._before = {node: self._inside(node, read) for node in self._nodes}

    def buffers(self) -> Iterable[tuple[int, Callable[[], None]]]:
        """None: nothing comes by itself."""
        return ()

    def discard(self) -> None:
        """Nothing was copied."""

    def since_last(self, node: str) -> list[Count]:
        """What rose in ``node`` since it was last asked; ``OSError`` if the node is gone."""
        before, after = self._before.get(node, {}), self._inside(node, read)
        self._before[node] = after
        return _rose(node, before, after)

    def stop(self) -> None:
        """Read them again."""
        for node, before in self._before.items():
            try:
                after = self._inside(node, read)
            except OSError as error:
                text = f"the counters cannot be read any more: {error.strerror}"
                self.gaps.append(Gap("counters", text, node))
                continue
            self._counts += _rose(node, before, after)

    def counts(self) -> list[Count]:
        """What rose."""
        return self._counts


def _rose(node: str, before: Mapping[str, int], after: Mapping[str, int]) -> list[Count]:
    found = []
    for name, value in after.items():
        # A backlog is not a sum: what is there now is what is queued now.
        delta = value - (0 if name.endswith(".backlog") else before.get(name, 0))
        if delta > 0:
            found.append(Count(node, name, delta))
    return found


def read() -> dict[str, int]:
    """Every counter of the calling thread's namespace."""
    found: dict[str, int] = {}
    for name in FILES:
        with contextlib.suppress(OSError):
            found.update(table(Path(f"/proc/thread-self/net/{name}").read_text(encoding="ascii")))
    with contextlib.suppress(OSError):  # no conntrack in this kernel
        found.update(_conntrack())
    found.update(_queues())
    return found


def table(text: str) -> dict[str, int]:
    """``/proc/net/snmp`` (a line of names, a line of values) or ``snmp6`` (name and value)."""
    found: dict[str, int] = {}
    names: list[str] = []
    for line in text.splitlines():
        prefix, *rest = line.split()
        if not prefix.endswith(":"):
            found[prefix] = int(rest[0])
        elif names and rest and rest[0].lstrip("-").isdigit():
            found.update(
                (f"{prefix[:-1]}.{name}", int(value))
                for name, value in zip(names, rest, strict=False)
            )
            names = []
        else:
            names = rest
    return found


def _conntrack() -> dict[str, int]:
    found: dict[str, int] = {}
    body = struct.pack("BBH", 0, 0, 0)
    for cpu in netlink.dump(netlink.NETLINK_NETFILTER, _GET_CONNTRACK_STATISTICS, body):
        for kind, value in netlink.attributes(cpu, 4):
            if kind in CONNTRACK:
                name = f"conntrack.{CONNTRACK[kind]}"
                found[name] = found.get(name, 0) + int.from_bytes(value, "big")
    return found


def _queues() -> dict[str, int]:
    """Drops and backlog of each interface's queueing discipline, the root and its classes' own."""
    found: dict[str, int] = {}
    names = dict(socket.if_nameindex())
    for queue in netlink.dump(netlink.NETLINK_ROUTE, _GET_QDISC, bytes(20)):
        (index,) = struct.unpack_from("=i", queue, 4)
        parts = dict(netlink.attributes(queue, 20))
        numbers = dict(netlink.attributes(parts.get(_QDISC_STATISTICS, b""))).get(_QUEUE)
        if not numbers or len(numbers) < 12:
            continue
        # struct gnet_stats_queue: packets waiting, octets waiting, drops ...
        waiting, _, drops = struct.unpack_from("=3I", numbers)
        for what, value in (("drops", drops), ("backlog", waiting)):
            name = f"queue.{names.get(index, index)}.{what}"
            found[name] = max(found.get(name, 0), value)
    return found
