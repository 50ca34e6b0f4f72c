"""How a packet can end: a closed vocabulary, and what the kernel's drop reasons mean in it.

The names follow batfish's ``FlowDisposition`` in spirit: one word per end, whoever brought it
about. Which rule or which reason it was stands beside it (``Reason``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.wire.view import View


class Disposition(StrEnum):
    """The end of a packet."""

    DELIVERED = "delivered"
    ABSORBED = "absorbed"  # a userspace box or program took it, and it was not the destination
    FRAGMENTED = "fragmented"  # into pieces, which have fates of their own
    MERGED = "merged"  # into another packet, which has a fate of its own

    DENIED = "denied"  # by a rule, or by the policy of a chain
    NAT_CLASH = "nat-clash"  # conntrack could not confirm the translation
    NO_ROUTE = "no-route"
    NULL_ROUTED = "null-routed"  # a blackhole, prohibit or unreachable route
    NOT_FORWARDING = "not-forwarding"  # the node is no router, or not for this packet
    RPF_FAILED = "rpf-failed"  # reverse path filter (RFC 3704)
    NO_LISTENER = "no-listener"
    TTL_EXPIRED = "ttl-expired"
    TOO_BIG = "too-big"
    NEIGHBOUR_UNREACHABLE = "neighbour-unreachable"
    BAD_CHECKSUM = "bad-checksum"
    MALFORMED = "malformed"
    QUEUE_FULL = "queue-full"
    SOCKET_FULL = "socket-full"
    KERNEL_DROP = "kernel-drop"  # by the kernel, for another reason that it names

    LOST_ON_LINK = "lost-on-link"
    STILL_QUEUED = "still-queued"
    UNKNOWN = "unknown"

    @property
    def arrived(self) -> bool:
        """Whether the packet reached its destination."""
        return self is Disposition.DELIVERED

    @property
    def lives_on(self) -> bool:
        """Whether its end is told by other packets."""
        return self in (Disposition.FRAGMENTED, Disposition.MERGED)


_D = Disposition

REASONS: dict[str, tuple[Disposition, str]] = {
    "NETFILTER_DROP": (_D.DENIED, "dropped by netfilter"),
    "NETFILTER_INGRESS": (_D.DENIED, "dropped by netfilter at ingress"),
    "NO_SOCKET": (_D.NO_LISTENER, "no socket listens there"),
    "IP_NOPROTO": (_D.NO_LISTENER, "nobody listens for this protocol"),
    "UNHANDLED_PROTO": (_D.NO_LISTENER, "the kernel does not know this protocol"),
    "IP_INNOROUTES": (_D.NO_ROUTE, "no route to the destination"),
    "IP_OUTNOROUTES": (_D.NO_ROUTE, "no route to the destination"),
    "IP_INHDR": (_D.MALFORMED, "the IP header is wrong"),
    "IP_INADDRERRORS": (_D.NOT_FORWARDING, "the node does not forward"),
    "PKT_TOO_BIG": (_D.TOO_BIG, "larger than the MTU and must not be fragmented"),
    "IP_RPFILTER": (_D.RPF_FAILED, "the way back to its source is another (reverse path filter)"),
    "NEIGH_FAILED": (_D.NEIGHBOUR_UNREACHABLE, "the next hop did not answer ARP or ND"),
    "NEIGH_QUEUEFULL": (_D.NEIGHBOUR_UNREACHABLE, "too many packets wait for ARP or ND"),
    "NEIGH_DEAD": (_D.NEIGHBOUR_UNREACHABLE, "the next hop's neighbour entry is dead"),
    "NEIGH_CREATEFAIL": (_D.NEIGHBOUR_UNREACHABLE, "no neighbour entry could be made"),
    "IP_CSUM": (_D.BAD_CHECKSUM, "the IP header checksum is wrong"),
    "UDP_CSUM": (_D.BAD_CHECKSUM, "the UDP checksum is wrong"),
    "TCP_CSUM": (_D.BAD_CHECKSUM, "the TCP checksum is wrong"),
    "ICMP_CSUM": (_D.BAD_CHECKSUM, "the ICMP checksum is wrong"),
    "SKB_CSUM": (_D.BAD_CHECKSUM, "the checksum is wrong"),
    "PKT_TOO_SMALL": (_D.MALFORMED, "shorter than its headers"),
    "HDR_TRUNC": (_D.MALFORMED, "its headers are cut short"),
    "SOCKET_RCVBUFF": (_D.SOCKET_FULL, "the socket's receive buffer is full"),
    "SOCKET_BACKLOG": (_D.SOCKET_FULL, "the socket's backlog is full"),
    "PROTO_MEM": (_D.SOCKET_FULL, "the protocol's memory is used up"),
    "QDISC_DROP": (_D.QUEUE_FULL, "the interface's queue is full, or nothing is behind it"),
    "QDISC_OVERLIMIT": (_D.QUEUE_FULL, "the interface's queue is full"),
    "FULL_RING": (_D.QUEUE_FULL, "the device's ring is full"),
    "CPU_BACKLOG": (_D.QUEUE_FULL, "the processor's backlog is full"),
}
"""What the kernel calls it (include/net/dropreason-core.h), and what that means."""

_TCP = ("tcp_v4_rcv", "tcp_v6_rcv")
_ROUTE_ERRORS = ("ip_error", "ip6_pkt_discard", "ip6_pkt_prohibit", "dst_discard")


def of_kernel(reason: str, function: str, packet: View) -> tuple[Disposition, str]:
    """The disposition and a phrase for a drop reason; the function tells similar ones apart."""
    if reason == "IP_INHDR" and function in ("ip_forward", "ip6_forward") and packet.ttl <= 1:
        return _D.TTL_EXPIRED, "TTL expired"
    if reason == "NOT_SPECIFIED" and function in _TCP:
        # What TIME-WAIT has taken is freed like what nobody wants.
        return _D.DELIVERED, "its connection is in TIME-WAIT, which took it"
    if reason == "NOT_SPECIFIED" and function.startswith(_ROUTE_ERRORS):
        return _D.NULL_ROUTED, "a blackhole or prohibit route"
    known = REASONS.get(reason)
    if known:
        return known
    return (
        _D.KERNEL_DROP,
        f"refused by the kernel ({reason} in {function or 'an unknown function'})",
    )
