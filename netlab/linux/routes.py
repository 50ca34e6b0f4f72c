"""Which addresses the kernel sends to a device without owning them: those of a stack behind it."""

from __future__ import annotations

import contextlib
import ipaddress
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path("/proc/thread-self/net")


def addresses_behind(device: str) -> list[str]:
    """The destinations of host routes to ``device`` in the calling thread's namespace."""
    with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
        return [*_ipv4(device), *_ipv6(device)]
    return list(_ipv4(device))


def _ipv4(device: str) -> Iterator[str]:
    for line in (_HERE / "route").read_text(encoding="ascii").splitlines():
        name, destination, *_, mask, _, _, _ = line.split()
        if name == device and mask == "FFFFFFFF":
            yield str(ipaddress.IPv4Address(struct.pack("=I", int(destination, 16))))


def _ipv6(device: str) -> Iterator[str]:
    for line in (_HERE / "ipv6_route").read_text(encoding="ascii").splitlines():
        destination, length, *_, name = line.split()
        address = ipaddress.IPv6Address(bytes.fromhex(destination))
        if (
            name == device
            and length == "80"
            and not (address.is_link_local or address.is_multicast)
        ):
            yield str(address)
