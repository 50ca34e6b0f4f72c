"""The kinds of traffic that a matrix knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Tcp: TypeAlias = Literal["kernel", "ours", "stateless"]


class Traffic(NamedTuple):
    """One kind: numbered packets, or with ``tcp`` a message that goes there and comes back.

    ``protocol`` is IP's number, ``shape`` one of ``netlab.wire.shapes``, ``size`` octets of
    payload. ``port`` is the destination's where there are ports.
    """

    summary: str
    protocol: int
    port: int = 0
    size: int = 32
    shape: str = ""
    tcp: Tcp | None = None

    @property
    def needs_tun(self) -> bool:
        """Whether a program replaces the kernel at an endpoint."""
        return self.tcp in ("ours", "stateless")


KINDS = {
    "icmp": Traffic("echo requests", 1),
    "udp": Traffic("datagrams to port 4000", 17, 4000),
    "quic-like": Traffic("UDP to port 443 that looks like QUIC", 17, 443, shape="quic"),
    "hdp": Traffic("IP protocol 255", 255),
    "sctp-shaped": Traffic("INITs of SCTP", 132, 4000, shape="sctp"),
    "dccp-shaped": Traffic("Requests of DCCP", 33, 4000, shape="dccp"),
    "udp-lite-shaped": Traffic("datagrams of UDP-Lite", 136, 4000, shape="udp-lite"),
    "kernel-tcp": Traffic("Linux's TCP at both ends", 6, 80, tcp="kernel"),
    "our-tcp": Traffic("netlab's TCP at both ends, on TUN devices", 6, 80, tcp="ours"),
    "stateless-tcp": Traffic(
        "Linux's TCP to a server that remembers nothing, on a TUN device", 6, 80, tcp="stateless"
    ),
}

NUMBER = "number-"
"""``number-99`` is IP protocol 99, with nothing above it that anybody knows."""

KNOWN_ABOVE_IP = frozenset({1, 2, 6, 17, 47, 58, 132, 136})
"""Numbers whose header Linux or its conntrack checks: filler would die of being filler."""


def find(name: str) -> Traffic | None:
    """The kind of this name; ``None`` if there is none."""
    if name.startswith(NUMBER):
        digits = name.removeprefix(NUMBER)
        number = int(digits) if digits.isdecimal() and len(digits) < 4 else 0
        if not 0 < number < 256 or number in KNOWN_ABOVE_IP or str(number) != digits:
            return None
        return Traffic(f"IP protocol {number}", number)
    return KINDS.get(name)


def with_tun(names: Iterable[str]) -> list[str]:
    """Those of the named kinds that need a TUN device."""
    return [name for name in names if (kind := find(name)) and kind.needs_tun]
