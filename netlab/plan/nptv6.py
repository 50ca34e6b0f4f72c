"""NPTv6 (RFC 6296) as nftables rules: address bits are written, and nothing else.

No state and no checksum is involved. A raw payload write leaves checksums alone, which is right
here and only here: the mapping is such that they stay what they are.

Conntrack, between the two chains, sees inside addresses both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv6Network

    from netlab.nft.builder import Chains
    from netlab.topology.model import Nptv6

FIRST, LAST = -300, 300
"""Priorities: before conntrack looks at a packet, and behind everything else."""

ERRORS = "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }"

# Bit offsets: of the addresses in the IPv6 header, and of those in the packet that an error quotes.
SOURCE, DESTINATION = ("nh", 64), ("nh", 192)
QUOTED_SOURCE, QUOTED_DESTINATION = ("th", 128), ("th", 256)


def translate(chains: Chains, nat: Nptv6) -> None:
    """Add the rules of one prefix translation to a node's table."""
    listed = ", ".join(f'"{i}"' for i in nat.outsides)
    first, last = chains.hook_in("prerouting", FIRST), chains.hook_in("postrouting", LAST)
    arriving, leaving = f"iifname {{ {listed} }}", f"oifname {{ {listed} }}"
    # RFC 6296 section 4.2: inside hosts may meet at outside addresses.
    turning = f"iifname != {{ {listed} }} ip6 daddr {nat.outside}"

    def rule(chain: str, statement: str, label: str) -> None:
        chains.add(chain, statement, f"NPTv6 {label}", nat.origin)

    rule(first, f"{arriving} ip6 daddr {nat.inside} counter drop", "inside address from outside")
    for inside, outside in nat.blocks:
        rule(
            first,
            f"{turning} {_quotes(QUOTED_DESTINATION, inside)}"
            f" counter {_write(QUOTED_DESTINATION, outside)}",
            "hairpinning: quote",
        )
        rule(
            first,
            f"{turning} ip6 saddr {inside} counter {_write(SOURCE, outside)}",
            "hairpinning",
        )
    for inside, outside in nat.blocks:
        rule(
            first,
            f"ip6 daddr {nat.outside} {_quotes(QUOTED_SOURCE, outside)}"
            f" counter {_write(QUOTED_SOURCE, inside)}",
            "in: quote",
        )
    for inside, outside in nat.blocks:
        rule(first, f"ip6 daddr {outside} counter {_write(DESTINATION, inside)}", "in")
    rule(first, f"ip6 daddr {nat.outside} counter drop", "no host has this address")
    for inside, outside in nat.blocks:
        rule(
            last,
            f"{leaving} {_quotes(QUOTED_DESTINATION, inside)}"
            f" counter {_write(QUOTED_DESTINATION, outside)}",
            "out: quote",
        )
    for inside, outside in nat.blocks:
        rule(last, f"{leaving} ip6 saddr {inside} counter {_write(SOURCE, outside)}", "out")
    rule(last, f"{leaving} ip6 saddr {nat.inside} counter drop", "not an address of the file")


def _write(place: tuple[str, int], block: IPv6Network) -> str:
    return f"{_bits(place, block)} set {_number(block)}"


def _quotes(place: tuple[str, int], block: IPv6Network) -> str:
    return f"{ERRORS} {_bits(place, block)} {_number(block)}"


def _bits(place: tuple[str, int], block: IPv6Network) -> str:
    base, offset = place
    return f"@{base},{offset},{block.prefixlen}"


def _number(block: IPv6Network) -> str:
    return f"{int(block.network_address) >> 128 - block.prefixlen:#x}"
