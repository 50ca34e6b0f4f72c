"""The IP protocol numbers that rules and middleboxes may name (IANA, "Protocol Numbers").

nft looks names up in /etc/protocols, which slim images lack: rules that netlab writes use numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NUMBERS: Mapping[str, int] = {
    "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "dccp": 33, "ipv6": 41, "gre": 47,
    "esp": 50, "ah": 51, "icmpv6": 58, "ipv6-icmp": 58, "ospf": 89, "pim": 103, "comp": 108,
    "vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136,
}  # fmt: skip
"""Both names of ICMPv6 are in use: nft's own and that of /etc/protocols."""

NAMES: Mapping[int, str] = {NUMBERS[name]: name for name in reversed(list(NUMBERS))}


def number(word: str) -> int:
    """The protocol that a name or a number means.

    Raises ``ValueError`` if it is neither a name of ``NUMBERS`` nor a number up to 255.

    Raises:
        ValueError: it is neither a known name nor a number.
    """
    if word in NUMBERS:
        return NUMBERS[word]
    if word.isascii() and word.isdigit() and int(word) < 256:
        return int(word)
    raise ValueError(f"{word!r} is neither a protocol's name nor a number up to 255")
