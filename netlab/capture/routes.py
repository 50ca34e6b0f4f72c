"""The routes of a node as it runs, and which of them refuse: ip-route(8).

The kernel's drop reasons do not tell unreachable, prohibit and blackhole routes apart from each
other, nor in IPv6 from having no route.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from netlab.capture.evidence import RefusingRoute, RunningRoute
from netlab.linux import netlink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOCAL = 255
"""The number of the table of a node's own addresses."""

_GET_ROUTE = 26
_DESTINATION, _INTERFACE, _GATEWAY, _METRIC, _SOURCE, _HOPS, _TABLE = 1, 4, 5, 6, 7, 9, 15
_KINDS = {1: "unicast", 6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}
_SIZES = {2: 4, 10: 16}
"""Octets of an address by family."""
# struct rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags
_ROUTE = struct.Struct("=8BI")
# struct rtnexthop: length, flags, weight, interface
_HOP = struct.Struct("=HBBi")
_NUMBER = struct.Struct("=I")


def routes() -> Iterator[RunningRoute]:
    """Those of the calling thread's namespace; ``OSError`` if the kernel refuses."""
    names = dict(socket.if_nameindex())
    for family, size in _SIZES.items():
        body = _ROUTE.pack(family, *bytes(7), 0)
        for route in netlink.dump(netlink.NETLINK_ROUTE, _GET_ROUTE, body):
            _, length, *_, kind, _ = _ROUTE.unpack_from(route)
            parts = dict(netlink.attributes(route, _ROUTE.size))
            if kind in _KINDS:
                yield RunningRoute(
                    parts.get(_DESTINATION, bytes(size)),
                    length,
                    _KINDS[kind],
                    tuple(_hops(parts, names)) if kind == 1 else (),
                    _number(parts.get(_METRIC)),
                    _number(parts.get(_TABLE)),
                    parts.get(_SOURCE, b""),
                )


def _hops(parts: Mapping[int, bytes], names: Mapping[int, str]) -> Iterator[tuple[bytes, str]]:
    several = parts.get(_HOPS, b"")
    if not several:
        yield parts.get(_GATEWAY, b""), names.get(_number(parts.get(_INTERFACE)), "")
    while len(several) >= _HOP.size:
        length, _, _, index = _HOP.unpack_from(several)
        own = dict(netlink.attributes(several[:length], _HOP.size))
        yield own.get(_GATEWAY, b""), names.get(index, "")
        several = several[max(length + 3 & ~3, _HOP.size) :]


def _number(value: bytes | None) -> int:
    number: int = _NUMBER.unpack(value)[0] if value else 0
    return number


def refusing_routes(node: str) -> Iterator[RefusingRoute]:
    """Those that refuse, of the calling thread's namespace; ``OSError`` if it refuses."""
    for route in routes():
        if route.kind not in ("unicast", "throw"):
            yield RefusingRoute(node, route.destination, route.length, route.kind)
