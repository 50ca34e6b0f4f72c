"""IPv4 addresses within IPv6 ones (RFC 6052 section 2.2).

    +--+---+---+---+---+---+---+---+---+---+---+---+---+
    |PL| 0-------------32--40--48--56--64--72--80--88--96--104---|
    |32|     prefix    |v4(32)         | u | suffix             |
    |40|     prefix        |v4(24)     | u |(8)| suffix         |
    |48|     prefix            |v4(16) | u | (16)  | suffix     |
    |56|     prefix                |(8)| u |  v4(24)   | suffix |
    |64|     prefix                    | u |   v4(32)      |    |
    |96|     prefix                                    | v4(32) |
    +--+---+---+---+---+---+---+---+---+---+---+---+---+

Octet 8, ``u``, is zero: it is stepped over wherever the address would cover it.
"""

from __future__ import annotations

from ipaddress import IPv6Network

LENGTHS = (32, 40, 48, 56, 64, 96)
"""Prefix lengths that there are."""

WELL_KNOWN = IPv6Network("64:ff9b::/96")
"""RFC 6052 section 2.1."""

_U = 8


class Embedding:
    """The addresses below one prefix, whose length is one of ``LENGTHS``."""

    def __init__(self, prefix: IPv6Network) -> None:
        if prefix.prefixlen not in LENGTHS:
            raise ValueError(f"a prefix of {prefix.prefixlen} bits")
        octets = prefix.prefixlen // 8
        self._start = prefix.network_address.packed[:octets]
        # The positions of the four octets of an IPv4 address.
        self._places = [i for i in range(octets, 16) if i != _U][:4]

    def __contains__(self, address: bytes) -> bool:
        return address.startswith(self._start)

    def embed(self, address: bytes) -> bytes:
        """The IPv6 address that represents an IPv4 one."""
        octets = bytearray(self._start.ljust(16, b"\0"))
        for place, octet in zip(self._places, address, strict=True):
            octets[place] = octet
        return bytes(octets)

    def extract(self, address: bytes) -> bytes:
        """The IPv4 address in an IPv6 one, which is below the prefix."""
        return bytes(address[place] for place in self._places)
