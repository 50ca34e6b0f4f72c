"""What a running node shows: which links are up, how full its NAT is, what it forwards."""

from __future__ import annotations

import fcntl
import re
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.linux import libnftables
from netlab.plan.operations import LoadRules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlab.lab.lab import LabNode
    from netlab.plan.operations import Plan

_SIOCGIFFLAGS = 0x8913  # <linux/sockios.h>
_IFF_UP, _IFF_RUNNING = 0x1, 0x40  # <linux/if.h>
_FORWARD = re.compile(
    r'iifname "(?P<outside>[^"]+)" ip6? daddr (?P<address>\S+) (?P<protocol>tcp|udp) dport'
    r" (?P<port>\d+) .*dnat ip6? to (?P<to>\S+)"
)
_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")


def link_states(node: LabNode) -> dict[str, str]:
    """For each interface: ``up``, ``down``, or ``no carrier`` where the far end is down."""
    return node.inside(lambda: dict(_states(i.name for i in node.interfaces)))


def _states(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for name in names:
            request = struct.pack("16sH22x", name.encode(), 0)
            try:
                answer = fcntl.ioctl(asking, _SIOCGIFFLAGS, request)
            except OSError:
                yield name, "gone"
                continue
            flags = struct.unpack_from("H", answer, 16)[0]
            running = "up" if flags & _IFF_RUNNING else "no carrier"
            yield name, running if flags & _IFF_UP else "down"


def forwards(plan: Plan, node: str) -> list[str]:
    """The ports that a NAT forwards, as ``wan tcp/8080 to 10.0.0.1:80``."""
    found = []
    for rules in plan.operations:
        if isinstance(rules, LoadRules) and rules.node == node and not rules.origin:
            found += [
                f"{one['outside']} {one['protocol']}/{one['port']} to {one['to']}"
                for one in _FORWARD.finditer(rules.text)
            ]
    return found


def translations(node: LabNode) -> dict[str, Any]:
    """How full a NAT is: conntrack's sessions, and the elements of its own maps and sets."""

    def ask() -> dict[str, Any]:
        found: dict[str, Any] = {"tables": [t._asdict() for t in libnftables.fill("netlab")]}
        if _COUNT.exists():
            found = {"sessions": int(_COUNT.read_text(encoding="ascii"))} | found
        return found

    return node.inside(ask)
