"""IP addresses as on the wire: 4 or 16 bytes."""

from __future__ import annotations

import ipaddress


def packed(address: str) -> bytes:
    """The 4 or 16 bytes of an address in text form; ``ValueError`` for anything else."""
    return ipaddress.ip_address(address).packed


def text(address: bytes) -> str:
    """The canonical text of a packed address (IPv6: RFC 5952)."""
    if len(address) == 4:
        return ".".join(map(str, address))
    return str(ipaddress.IPv6Address(address))


def is_multicast(address: bytes) -> bool:
    """224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291 section 2.7)."""
    return address[0] >> 4 == 0xE if len(address) == 4 else address[0] == 0xFF


def is_unicast(address: bytes) -> bool:
    """True if a packet may come from, or a connection lead to, this address.

    Not so: multicast, the unspecified address, and IPv4's class E with the limited broadcast.
    A subnet's directed broadcast is not recognizable without its prefix.
    """
    return (
        any(address) and not is_multicast(address) and not (len(address) == 4 and address[0] >= 240)
    )
