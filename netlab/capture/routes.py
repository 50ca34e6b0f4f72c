"""Routes that refuse: unreachable, prohibit and blackhole (ip-route(8)).

The kernel's drop reasons do not tell them apart from each other, nor in IPv6 from having no route.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from netlab.capture.evidence import RefusingRoute
from netlab.linux import netlink

if TYPE_CHECKING:
    from collections.abc import Iterator

_GET_ROUTE = 26
_DESTINATION = 1
_KINDS = {6: "blackhole", 7: "unreachable", 8: "prohibit"}
_FAMILIES = (2, 10)
# struct rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags
_ROUTE = struct.Struct("=8BI")


def refusing_routes(node: str) -> Iterator[RefusingRoute]:
    """Those of the calling thread's namespace; ``OSError`` if they cannot be read."""
    for family in _FAMILIES:
        body = _ROUTE.pack(family, *bytes(7), 0)
        for route in netlink.dump(netlink.NETLINK_ROUTE, _GET_ROUTE, body):
            _, length, *_, kind, _ = _ROUTE.unpack_from(route)
            if kind in _KINDS:
                parts = dict(netlink.attributes(route, _ROUTE.size))
                anywhere = bytes(4 if family == _FAMILIES[0] else 16)
                yield RefusingRoute(node, parts.get(_DESTINATION, anywhere), length, _KINDS[kind])
