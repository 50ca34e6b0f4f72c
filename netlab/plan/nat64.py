"""The translator of a NAT64: a program at a TUN device, and what keeps others away from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.topology.builder import NAT64
from netlab.topology.model import Nat64, Program, Ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.nft.builder import Chains
    from netlab.topology.model import Node

MODULE = "netlab.io.nat64"
READY_SECONDS = 20.0


def programs(node: Node) -> Iterator[Program]:
    """The program that translates, for each translator of a node."""
    for nat in node.nat:
        if isinstance(nat, Nat64):
            yield Program(
                NAT64,
                ready=Ready(log="^ready$", timeout=READY_SECONDS),
                origin=nat.origin,
                module=MODULE,
                arguments={
                    "device": NAT64,
                    "prefix": str(nat.prefix),
                    "lent": str(nat.lent),
                    "own": str(nat.own),
                    "mtu": nat.mtu,
                },
            )


def guard(chains: Chains, nat: Nat64) -> None:
    """From IPv4, only what the NAT has mapped reaches the translator; it leads outside only."""
    chains.add(
        "forward",
        f'oifname "{NAT64}" meta nfproto ipv4 ct state new ct status & dnat == 0 counter drop',
        "NAT64: not a mapping",
        nat.origin,
    )
    # What comes out may also turn round: hairpinning.
    beyond = ", ".join(f'"{i}"' for i in (*nat.outsides, NAT64))
    chains.add(
        "forward",
        f'iifname "{NAT64}" oifname != {{ {beyond} }} meta nfproto ipv4 counter drop',
        "NAT64: leads outside only",
        nat.origin,
    )
