"""What an argument may be: addresses with ports, numbers within bounds."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Endpoint(NamedTuple):
    """An address, as text or a name, and a port."""

    host: str
    port: int

    @property
    def packed(self) -> bytes:
        """The address as it is on the wire."""
        return ipaddress.ip_address(self.host).packed


def endpoint(text: str) -> Endpoint:
    """``HOST:PORT`` or ``[IPV6]:PORT``; an ``argparse`` type."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return Endpoint(host, int(port))


def endpoint_53(text: str) -> Endpoint:
    """As ``endpoint``, with port 53 for a host alone."""
    with contextlib.suppress(ValueError):
        return Endpoint(str(ipaddress.ip_address(text)), 53)
    return endpoint(text if ":" in text else f"{text}:53")


def listen(text: str) -> Endpoint:
    """As ``endpoint``, for one address of a host."""
    found = endpoint(text)
    try:
        address = ipaddress.ip_address(found.host)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{found.host!r} is not an IP address") from None
    if address.is_unspecified or address.is_multicast:
        raise argparse.ArgumentTypeError(f"{address} is not the address of one host")
    return Endpoint(str(address), found.port)


def number(low: int, high: int) -> Callable[[str], int]:
    """A whole number within bounds; an ``argparse`` type."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not between {low} and {high}")
        return int(text)

    return parse
