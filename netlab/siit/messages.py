"""ICMP in terms of ICMPv6 and the other way (RFC 7915 sections 4.2 and 5.2).

Messages that stay on one link (redirects, Neighbour Discovery, multicast groups) and those that
are obsolete (source quench) have no counterpart: they are not in the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.wire import icmp

if TYPE_CHECKING:
    from collections.abc import Mapping

TO_V6_QUERY = {
    icmp.ECHO_REQUEST: icmp.V6_ECHO_REQUEST,
    icmp.ECHO_REPLY: icmp.V6_ECHO_REPLY,
}
TO_V4_QUERY = {v6: v4 for v4, v6 in TO_V6_QUERY.items()}

MINIMUM_MTU = 1280
"""Of every IPv6 link (RFC 8200 section 5)."""

DIFFERENCE = 20
"""Octets by which an IPv6 header is longer than an IPv4 one."""

_NO_ROUTE = (icmp.V6_UNREACHABLE, icmp.V6_NO_ROUTE)
_PROHIBITED = (icmp.V6_UNREACHABLE, icmp.V6_ADMINISTRATIVELY_PROHIBITED)
_UNRECOGNIZED_NEXT_HEADER = 1

_UNREACHABLE_TO_V6 = {
    0: _NO_ROUTE,
    1: _NO_ROUTE,
    3: (icmp.V6_UNREACHABLE, icmp.V6_PORT_UNREACHABLE),
    5: _NO_ROUTE,
    6: _NO_ROUTE,
    7: _NO_ROUTE,
    8: _NO_ROUTE,
    9: _PROHIBITED,
    10: _PROHIBITED,
    11: _NO_ROUTE,
    12: _NO_ROUTE,
    13: _PROHIBITED,
    15: _PROHIBITED,
}
_UNREACHABLE_TO_V4 = {
    icmp.V6_NO_ROUTE: 1,
    icmp.V6_ADMINISTRATIVELY_PROHIBITED: 10,
    icmp.V6_BEYOND_SCOPE: 1,
    icmp.V6_ADDRESS_UNREACHABLE: 1,
    icmp.V6_PORT_UNREACHABLE: 3,
}

# Which octet of the header was at fault: figures 3 and 6 of RFC 7915.
_POINTER_TO_V6: Mapping[int, int] = {
    0: 0, 1: 1, 2: 4, 3: 4, 8: 7, 9: 6,
    **dict.fromkeys(range(12, 16), 8), **dict.fromkeys(range(16, 20), 24),
}  # fmt: skip
_POINTER_TO_V4: Mapping[int, int] = {
    0: 0, 1: 1, 4: 2, 5: 2, 6: 9, 7: 8,
    **dict.fromkeys(range(8, 24), 12), **dict.fromkeys(range(24, 40), 16),
}  # fmt: skip

_PLATEAUS = (65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68)
"""RFC 1191 section 7: guesses of the MTU where a router does not say it."""


class Error(NamedTuple):
    """Type, code and second word of an error message."""

    type: int
    code: int
    rest: int = 0


def error_to_v6(message: icmp.Message, mtu: int) -> Error | None:
    """An ICMP error as ICMPv6 says it; ``mtu`` is that of the IPv6 link. ``None``: not at all."""
    match message.type, message.code:
        case icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED:
            reported = message.rest & 0xFFFF or _plateau(message.body)
            fits = max(MINIMUM_MTU, min(reported + DIFFERENCE, mtu))
            return Error(icmp.V6_PACKET_TOO_BIG, 0, fits)
        case icmp.UNREACHABLE, icmp.PROTOCOL_UNREACHABLE:
            # Octet 6 of an IPv6 header is its next header.
            return Error(icmp.V6_PARAMETER_PROBLEM, _UNRECOGNIZED_NEXT_HEADER, 6)
        case icmp.UNREACHABLE, code if code in _UNREACHABLE_TO_V6:
            return Error(*_UNREACHABLE_TO_V6[code])
        case icmp.TIME_EXCEEDED, code:
            return Error(icmp.V6_TIME_EXCEEDED, code)
        case icmp.PARAMETER_PROBLEM, 0 | 2:
            pointer = _POINTER_TO_V6.get(message.rest >> 24)
            return None if pointer is None else Error(icmp.V6_PARAMETER_PROBLEM, 0, pointer)
    return None


def error_to_v4(message: icmp.Message) -> Error | None:
    """An ICMPv6 error as ICMP says it; ``None`` if it cannot."""
    match message.type, message.code:
        case icmp.V6_UNREACHABLE, code if code in _UNREACHABLE_TO_V4:
            return Error(icmp.UNREACHABLE, _UNREACHABLE_TO_V4[code])
        case icmp.V6_PACKET_TOO_BIG, _:
            reported = min(max(message.rest - DIFFERENCE, 0), 0xFFFF)
            return Error(icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, reported)
        case icmp.V6_TIME_EXCEEDED, code:
            return Error(icmp.TIME_EXCEEDED, code)
        case icmp.V6_PARAMETER_PROBLEM, 0:
            pointer = _POINTER_TO_V4.get(message.rest)
            return None if pointer is None else Error(icmp.PARAMETER_PROBLEM, 0, pointer << 24)
        case icmp.V6_PARAMETER_PROBLEM, code if code == _UNRECOGNIZED_NEXT_HEADER:
            return Error(icmp.UNREACHABLE, icmp.PROTOCOL_UNREACHABLE)
    return None


def _plateau(quote: bytes) -> int:
    """The largest MTU that is plausible below the length of the packet that was too long."""
    length = int.from_bytes(quote[2:4], "big")
    return next((p for p in _PLATEAUS if p < length), _PLATEAUS[-1])
