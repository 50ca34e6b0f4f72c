"""Whether NATs and middleboxes do what the topology says: measured from their ends.

Each NAT and each box is built once more, alone, between hosts of our own, so that nothing else in
the lab gets in the way and nothing of a running lab is touched.

    nat.py     a NAT between two inside hosts and a server with two addresses (as RFC 5780 asks)
    timeouts.py  the same NAT with hours compressed to seconds
    nat64.py   a NAT64 between IPv6 hosts and an IPv4 server
    nptv6.py   one IPv6 prefix for another
    path.py    a box between a client and a server: header fields in and out, numbered datagrams
    probe.py   sockets in nodes, and knowing that all which was sent has arrived or never will
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from netlab.topology.model import Topology


class Check(NamedTuple):
    """One property of a node or link: what the topology says and what was measured."""

    node: str
    name: str
    declared: Any
    measured: Any

    @property
    def ok(self) -> bool:
        """Whether the two agree."""
        return bool(self.declared == self.measured)


def verify(topology: Topology) -> list[Check]:
    """Measure every NAT and every box, in the topology's order; ``LabError`` if one cannot be."""
    from netlab.verify.nat import check_nat
    from netlab.verify.nat64 import check_nat64
    from netlab.verify.nptv6 import check_nptv6
    from netlab.verify.path import check_link, check_node
    from netlab.verify.timeouts import check_timeouts

    checks: list[Check] = []
    for node in topology.nodes:
        checks += check_nat(node)
        checks += check_timeouts(node)
        checks += check_nat64(node)
        checks += check_nptv6(node)
        checks += check_node(node)
    for link in topology.links:
        checks += check_link(link)
    return checks
