"""SOCKS version 5 (RFC 1928): what a client asks of a relay, and what it is answered.

client                               relay
VER NMETHODS METHODS       --->
<---      VER METHOD
VER CMD RSV ATYP ADDR PORT --->
<---      VER REP RSV ATYP ADDR PORT     (twice for BIND)
"""

from __future__ import annotations

import ipaddress
import struct
from enum import IntEnum
from typing import NamedTuple

from netlab.wire import Malformed

VERSION = 5
NO_AUTHENTICATION, NO_ACCEPTABLE_METHOD = 0x00, 0xFF
IPV4, NAME, IPV6 = 1, 3, 4


class Command(IntEnum):
    """CMD."""

    CONNECT = 1
    BIND = 2
    UDP_ASSOCIATE = 3


class Reply(IntEnum):
    """REP."""

    SUCCEEDED = 0
    GENERAL_FAILURE = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    CONNECTION_REFUSED = 5
    TTL_EXPIRED = 6
    COMMAND_NOT_SUPPORTED = 7
    ADDRESS_TYPE_NOT_SUPPORTED = 8


class Request(NamedTuple):
    """``command`` need not be one of ``Command``; ``host`` is an address or a name."""

    command: int
    host: str
    port: int


def parse_greeting(octets: bytes) -> tuple[frozenset[int], int] | None:
    """The methods that a client offers, and the octets taken; ``None`` if more must come.

    Raises:
        Malformed: it does not speak version 5.
    """
    if octets[:1] and octets[0] != VERSION:
        raise Malformed(f"SOCKS version {octets[0]}")
    if len(octets) < 2 or len(octets) < 2 + octets[1]:
        return None
    return frozenset(octets[2 : 2 + octets[1]]), 2 + octets[1]


def method(offered: frozenset[int]) -> bytes:
    """The answer to a greeting: no authentication, or no."""
    chosen = NO_AUTHENTICATION if NO_AUTHENTICATION in offered else NO_ACCEPTABLE_METHOD
    return bytes((VERSION, chosen))


def parse_request(octets: bytes) -> tuple[Request, int] | None:
    """A request, and the octets taken; ``None`` if more must come.

    Raises:
        Malformed: another version, or a type of address that is none of the RFC's.
    """
    if octets[:1] and octets[0] != VERSION:
        raise Malformed(f"SOCKS version {octets[0]}")
    if len(octets) < 5:
        return None
    _, command, _, kind, first = octets[:5]
    if kind == NAME:
        start, size = 5, first
    elif kind in {IPV4, IPV6}:
        start, size = 4, 4 if kind == IPV4 else 16
    else:
        raise Malformed(f"SOCKS address type {kind}")
    end = start + size + 2
    if len(octets) < end:
        return None
    address = octets[start : start + size]
    host = address.decode("latin-1") if kind == NAME else str(ipaddress.ip_address(address))
    return Request(command, host, int.from_bytes(octets[end - 2 : end], "big")), end


def reply(code: Reply, host: str = "0.0.0.0", port: int = 0) -> bytes:  # noqa: S104
    """An answer to a request, with BND.ADDR and BND.PORT."""
    address = ipaddress.ip_address(host)
    kind = IPV4 if address.version == 4 else IPV6
    return struct.pack("!BBBB", VERSION, code, 0, kind) + address.packed + port.to_bytes(2, "big")
