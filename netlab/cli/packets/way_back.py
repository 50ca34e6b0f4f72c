"""Why no answer came to a packet that arrived: its receiver's kernel is asked for the way back."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING

from netlab.trace.disposition import Disposition
from netlab.trace.model import PacketTrace, Reason
from netlab.wire import address

if TYPE_CHECKING:
    from netlab.lab.lab import LabNode

_ROUTES = {
    errno.ENETUNREACH: (Disposition.NO_ROUTE, "no route to"),
    errno.EHOSTUNREACH: (Disposition.UNREACHABLE_ROUTE, "an unreachable route to"),
    errno.EACCES: (Disposition.PROHIBIT_ROUTE, "a prohibit route to"),
    errno.EINVAL: (Disposition.BLACKHOLE_ROUTE, "a blackhole route to"),
}
"""What the types of routes give a sender (ip-route(8))."""

_PORT = 33434


def no_answer(node: LabNode, arrived: PacketTrace) -> PacketTrace:
    """The end of the answer to ``arrived``, which no capture saw leave ``node``."""
    asked = arrived.last or arrived.packet
    back = asked._replace(source=asked.destination, destination=asked.source)
    number = node.inside(lambda: _connects(asked.destination, asked.source))
    if number in _ROUTES:
        disposition, text = _ROUTES[number]
        reason = Reason("kernel", f"{text} {address.text(asked.source)}")
    else:
        disposition = Disposition.UNKNOWN
        why = f" ({os.strerror(number)})" if number else ""
        reason = Reason("inferred", f"no capture saw one leave{why}")
    return PacketTrace(0, "answer", asked.protocol, disposition, node.name, "", reason, (), back)


def _connects(source: bytes, destination: bytes) -> int:
    """The errno of sending from here to there; nothing is sent."""
    family = socket.AF_INET if len(source) == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        with contextlib.suppress(OSError):  # a program speaks for this address
            asking.bind((address.text(source), 0))
        return asking.connect_ex((address.text(destination), _PORT))
