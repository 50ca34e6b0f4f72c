"""A node as it runs: links, routes and entries of conntrack, read at once.

Messages: include/uapi/linux/if_link.h, rtnetlink.h, netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

from netlab.capture.conntrack import flow
from netlab.capture.evidence import NodeState
from netlab.capture.routes import LOCAL, routes
from netlab.linux import netlink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.capture.evidence import Flow

_GET_LINK, _GET_CONNTRACK = 18, 1 << 8 | 1
_NAME = 3
_UP, _LOWER_UP = 1 << 0, 1 << 16
"""IFF_RUNNING follows the carrier late, IFF_LOWER_UP at once (networking/operstates.rst)."""
_ORIGINAL, _REPLY, _STATUS = 1, 2, 3
# struct ifinfomsg: family, pad, type, index, flags, change
_LINK = struct.Struct("=BxHiII")


def node_state() -> NodeState:
    """That of the calling thread's namespace; ``OSError`` if it cannot be read."""
    flows: list[tuple[Flow, Flow, int]] = []
    with contextlib.suppress(OSError):  # no conntrack in this kernel
        flows += _flows()
    others = (route for route in routes() if route.table != LOCAL)
    return NodeState(frozenset(_down()), tuple(others), tuple(flows))


def _down() -> Iterator[str]:
    for link in netlink.dump(netlink.NETLINK_ROUTE, _GET_LINK, _LINK.pack(0, 0, 0, 0, 0)):
        *_, flags, _ = _LINK.unpack_from(link)
        name = dict(netlink.attributes(link, _LINK.size)).get(_NAME, b"").rstrip(b"\0").decode()
        if flags & (_UP | _LOWER_UP) != _UP | _LOWER_UP:
            yield name


def _flows() -> Iterator[tuple[Flow, Flow, int]]:
    for entry in netlink.dump(
        netlink.NETLINK_NETFILTER, _GET_CONNTRACK, struct.pack("BBH", 0, 0, 0)
    ):
        parts = dict(netlink.attributes(entry, 4))
        one, other = (flow(parts.get(part, b"")) for part in (_ORIGINAL, _REPLY))
        if one and other:
            yield one, other, int.from_bytes(parts.get(_STATUS, b""), "big")
