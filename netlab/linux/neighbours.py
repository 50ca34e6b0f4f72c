"""The neighbour tables of ARP and Neighbour Discovery (ip-neighbour(8))."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from netlab.linux import netlink

if TYPE_CHECKING:
    from collections.abc import Iterator

_GET_NEIGHBOUR = 30
_DESTINATION = 1
_INCOMPLETE = 0x01
# struct ndmsg: family, two of padding, interface, state, flags, type
_NEIGHBOUR = struct.Struct("=BxxxiHBB")


def awaited() -> Iterator[bytes]:
    """The addresses that the calling thread's namespace has asked for and got no answer yet."""
    for entry in netlink.dump(netlink.NETLINK_ROUTE, _GET_NEIGHBOUR, bytes(_NEIGHBOUR.size)):
        _, _, state, _, _ = _NEIGHBOUR.unpack_from(entry)
        if state & _INCOMPLETE:
            yield dict(netlink.attributes(entry, _NEIGHBOUR.size)).get(_DESTINATION, b"")
