"""A pool of IPv4 addresses, one for each IPv6 host while they last (RFC 6146)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Network


class AddressPool:
    """Addresses of ``network``, in order, to hosts in the order in which they first speak.

    The network's own address and the broadcast address are not lent. When all are, who has been
    silent longest gives his away: a new host is served rather than one that is gone.
    """

    def __init__(self, network: IPv4Network) -> None:
        self._first = int(network.network_address) + 1
        self._count = network.num_addresses - 2
        self._by_host: OrderedDict[bytes, bytes] = OrderedDict()
        self._by_address: dict[bytes, bytes] = {}
        self._start = int(network.network_address)
        self._end = int(network.broadcast_address)

    def __contains__(self, address: bytes) -> bool:
        return self._start <= int.from_bytes(address, "big") <= self._end

    def lend(self, host: bytes) -> bytes:
        """The address of a host, which it now has if it had none."""
        address = self._by_host.get(host)
        if address is not None:
            self._by_host.move_to_end(host)
            return address
        if len(self._by_host) < self._count:
            address = (self._first + len(self._by_host)).to_bytes(4, "big")
        else:
            _, address = self._by_host.popitem(last=False)
        self._by_host[host] = address
        self._by_address[address] = host
        return address

    def holder(self, address: bytes) -> bytes | None:
        """The holder of the address; ``None`` if it is free."""
        return self._by_address.get(address)
