"""How a packet can end: a closed vocabulary, and what the kernel's drop reasons mean in it.

The names follow batfish's ``FlowDisposition`` in spirit: one word per end, whoever brought it
about. Which rule or which reason it was is in its ``Reason``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from netlab.wire.address import is_multicast
from netlab.wire.tcp import RST, SYN

if TYPE_CHECKING:
    from netlab.wire.view import View


class Disposition(StrEnum):
    """The end of a packet."""

    DELIVERED = "delivered"
    ABSORBED = "absorbed"  # a userspace box or program took it, and it was not the destination
    FRAGMENTED = "fragmented"  # into IP fragments, which have fates of their own
    SEGMENTED = "segmented"  # a super-packet, into segments, which have fates of their own (GSO)
    MERGED = "merged"  # into another packet, which has a fate of its own

    DENIED = "denied"  # by a rule, or by the policy of a chain
    NAT_CLASH = "nat-clash"  # conntrack could not confirm the translation
    NO_ROUTE = "no-route"
    UNREACHABLE_ROUTE = "unreachable-route"  # a route of this type, which refuses
    PROHIBIT_ROUTE = "prohibit-route"
    BLACKHOLE_ROUTE = "blackhole-route"
    NOT_FORWARDING = "not-forwarding"  # the node is not a router, or not for this packet
    RPF_FAILED = "rpf-failed"  # reverse path filter (RFC 3704)
    MARTIAN = "martian"  # a source or destination that cannot be on that link (RFC 1812)
    LINK_DOWN = "link-down"
    NO_LISTENER = "no-listener"
    TTL_EXPIRED = "ttl-expired"
    TOO_BIG = "too-big"
    NEIGHBOUR_UNREACHABLE = "neighbour-unreachable"
    UNACCEPTABLE = "unacceptable"  # to TCP: flags, sequence number or timestamp do not fit
    DUPLICATE = "duplicate"  # the receiver had all of it already
    REASSEMBLY_FAILED = "reassembly-failed"  # fragments overlap, or the rest did not come in time
    IGNORED = "ignored"  # by a node that it was not meant for: a flooded copy, a group of others
    BAD_OPTION = "bad-option"  # an IP option or extension header that the node does not accept
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
        return self in (Disposition.DELIVERED, Disposition.DUPLICATE)

    @property
    def lives_on(self) -> bool:
        """Whether its end follows from other packets."""
        return self in (Disposition.FRAGMENTED, Disposition.SEGMENTED, Disposition.MERGED)


_D = Disposition

NOT_JOINED = "the node has not joined the group"

NO_NEIGHBOUR = "no neighbour answers for the next hop"

REASONS: dict[str, tuple[Disposition, str]] = {
    "NETFILTER_DROP": (_D.DENIED, "dropped by netfilter"),
    "NETFILTER_INGRESS": (_D.DENIED, "dropped by netfilter at ingress"),
    "NO_SOCKET": (_D.NO_LISTENER, "no socket listens there"),
    "IP_NOPROTO": (_D.NO_LISTENER, "no socket takes this protocol"),
    "UNHANDLED_PROTO": (_D.NO_LISTENER, "the kernel does not know this protocol"),
    "OTHERHOST": (_D.IGNORED, "its Ethernet address is another node's"),
    "LOCAL_MAC": (_D.MARTIAN, "its Ethernet source is the receiver's own"),
    "IP_LOCALNET": (_D.MARTIAN, "a loopback address outside of its node"),
    "IP_LOCAL_SOURCE": (_D.MARTIAN, "its source address is the receiver's own"),
    "IP_INVALID_SOURCE": (_D.MARTIAN, "its source address cannot be a source"),
    "IP_INVALID_DEST": (_D.MARTIAN, "its destination address cannot be a destination"),
    "UNICAST_IN_L2_MULTICAST": (_D.MARTIAN, "a unicast packet in a multicast frame"),
    "IPV6_BAD_EXTHDR": (_D.BAD_OPTION, "its IPv6 extension headers are wrong"),
    "IPV6DISABLED": (_D.NO_LISTENER, "IPv6 is disabled there"),
    "TCP_FASTOPEN": (_D.UNACCEPTABLE, "its Fast Open cookie is not acceptable"),
    "XFRM_POLICY": (_D.DENIED, "refused by an IPsec policy"),
    "TC_INGRESS": (_D.DENIED, "dropped by a tc filter at ingress"),
    "TC_EGRESS": (_D.DENIED, "dropped by a tc filter at egress"),
    "XDP": (_D.DENIED, "dropped by an XDP program"),
    "BPF_CGROUP_EGRESS": (_D.DENIED, "dropped by a BPF program of its cgroup"),
    "SECURITY_HOOK": (_D.DENIED, "refused by a security module"),
    "IP_INNOROUTES": (_D.NO_ROUTE, "no route to the destination"),
    "IP_OUTNOROUTES": (_D.NO_ROUTE, "no route to the destination"),
    "IP_INHDR": (_D.MALFORMED, "the IP header is wrong"),
    "IP_INADDRERRORS": (_D.NOT_FORWARDING, "the node does not forward"),
    "PKT_TOO_BIG": (_D.TOO_BIG, "larger than the MTU and must not be fragmented"),
    "IP_RPFILTER": (_D.RPF_FAILED, "the way back to its source is another (reverse path filter)"),
    "NEIGH_FAILED": (_D.NEIGHBOUR_UNREACHABLE, NO_NEIGHBOUR),
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
    "DUP_FRAG": (_D.DUPLICATE, "reassembly had this fragment already"),
    "FRAG_REASM_TIMEOUT": (_D.REASSEMBLY_FAILED, "the rest of its datagram did not come in time"),
    "FRAG_TOO_FAR": (_D.REASSEMBLY_FAILED, "too many other fragments came between its own"),
    "SOCKET_FILTER": (_D.DENIED, "the socket's own filter refused it"),
    "SOCKET_RCVBUFF": (_D.SOCKET_FULL, "the socket's receive buffer is full"),
    "SOCKET_BACKLOG": (_D.SOCKET_FULL, "the socket's backlog is full"),
    "PROTO_MEM": (_D.SOCKET_FULL, "the protocol's memory is used up"),
    "QDISC_DROP": (_D.QUEUE_FULL, "the interface's queue is full"),
    "QDISC_OVERLIMIT": (_D.QUEUE_FULL, "the interface's queue is full"),
    "FULL_RING": (_D.QUEUE_FULL, "the device's ring is full"),
    "CPU_BACKLOG": (_D.QUEUE_FULL, "the processor's backlog is full"),
}
"""What the kernel calls it (include/net/dropreason-core.h), and what that means."""

TCP_REASONS: dict[str, tuple[Disposition, str]] = {
    "TCP_FLAGS": (_D.UNACCEPTABLE, "its TCP flags are not acceptable"),
    "TCP_RESET": (_D.UNACCEPTABLE, "its reset is not acceptable"),
    "TCP_INVALID_SYN": (_D.UNACCEPTABLE, "a SYN inside a connection (RFC 5961)"),
    "TCP_INVALID_SEQUENCE": (_D.UNACCEPTABLE, "outside of the receive window"),
    "TCP_INVALID_END_SEQUENCE": (_D.UNACCEPTABLE, "it ends outside of the receive window"),
    "TCP_INVALID_ACK_SEQUENCE": (_D.UNACCEPTABLE, "its acknowledgement number is wrong"),
    "TCP_OVERWINDOW": (_D.UNACCEPTABLE, "beyond the receive window"),
    "TCP_ACK_UNSENT_DATA": (_D.UNACCEPTABLE, "it acknowledges what was never sent"),
    "TCP_TOO_OLD_ACK": (_D.UNACCEPTABLE, "its acknowledgement number is too old (RFC 5961)"),
    "TCP_RFC7323_PAWS": (_D.UNACCEPTABLE, "its timestamp is too old (PAWS, RFC 7323)"),
    "TCP_RFC7323_TW_PAWS": (_D.UNACCEPTABLE, "its timestamp is too old (PAWS, RFC 7323)"),
    "TCP_RFC7323_TSECR": (_D.UNACCEPTABLE, "it echoes a timestamp that was never sent"),
    "TCP_CLOSE": (_D.UNACCEPTABLE, "the connection is closed"),
    "TCP_ABORT_ON_DATA": (_D.UNACCEPTABLE, "data after the program had closed the socket"),
    "TCP_AUTH_HDR": (_D.UNACCEPTABLE, "two authentication options"),
    "TCP_MINTTL": (_D.UNACCEPTABLE, "its TTL is below what the socket demands (RFC 5082)"),
    "TCP_OLD_SEQUENCE": (_D.DUPLICATE, "the receiver had it already, or it is a keep-alive"),
    "TCP_OLD_DATA": (_D.DUPLICATE, "the receiver had it already"),
    "TCP_OFOMERGE": (_D.DUPLICATE, "the receiver had it already"),
    "TCP_OLD_ACK": (_D.DUPLICATE, "it acknowledges what a later segment has acknowledged"),
    "TCP_RFC7323_PAWS_ACK": (_D.DUPLICATE, "an acknowledgement that later segments overtook"),
    "TCP_ZEROWINDOW": (_D.SOCKET_FULL, "the receive window is zero"),
    "TCP_LISTEN_OVERFLOW": (_D.SOCKET_FULL, "the listener's accept queue is full"),
    "TCP_OFO_QUEUE_PRUNE": (_D.SOCKET_FULL, "no memory for data that came out of order"),
    "TCP_OFO_DROP": (_D.SOCKET_FULL, "no memory for data that came out of order"),
} | {
    f"TCP_{option}": (_D.UNACCEPTABLE, "its TCP signature is missing or wrong (RFC 2385, RFC 5925)")
    for option in (
        "MD5NOTFOUND", "MD5UNEXPECTED", "MD5FAILURE",
        "AONOTFOUND", "AOUNEXPECTED", "AOKEYNOTFOUND", "AOFAILURE",
    )
}  # fmt: skip
"""Reasons for which TCP refuses a segment (RFC 9293, section 3.10.7)."""

REASONS |= TCP_REASONS

NO_NEXT_HEADER = 59
SMALLEST_MTU = 68 - 20
"""Octets after the header that every IPv4 link carries (RFC 791)."""


_TCP = ("tcp_v4_rcv", "tcp_v6_rcv")
_REASSEMBLY = ("ip_defrag", "ipv6_frag_rcv", "nf_ct_frag6_gather", "inet_frag")

_BY_FUNCTION: dict[tuple[str, str], tuple[Disposition, str]] = {
    ("IP_INNOROUTES", "ip6_pkt_prohibit"): (_D.PROHIBIT_ROUTE, "a prohibit route"),
    ("NOT_SPECIFIED", "dst_discard"): (_D.BLACKHOLE_ROUTE, "a blackhole route"),
    ("NOT_SPECIFIED", "ip_error"): (_D.BLACKHOLE_ROUTE, "a blackhole route"),
    ("NOT_SPECIFIED", "neigh_"): (_D.NEIGHBOUR_UNREACHABLE, NO_NEIGHBOUR),
    ("NOT_SPECIFIED", "ndisc_error_report"): (_D.NEIGHBOUR_UNREACHABLE, NO_NEIGHBOUR),
    ("NOT_SPECIFIED", "arp_error_report"): (_D.NEIGHBOUR_UNREACHABLE, NO_NEIGHBOUR),
    ("NOT_SPECIFIED", "ipv6_rthdr_rcv"): (_D.BAD_OPTION, "its routing header is refused"),
    ("UNHANDLED_PROTO", "ip6_tlvopt_unknown"): (_D.BAD_OPTION, "an unknown IPv6 option"),
    ("UNHANDLED_PROTO", "ip6_parse_tlv"): (_D.BAD_OPTION, "an unknown IPv6 option"),
    ("UNHANDLED_PROTO", "ip6_rcv_core"): (_D.MALFORMED, "the IP version is wrong"),
    ("NOT_SPECIFIED", "__udp4_lib_rcv"): (_D.NO_LISTENER, "no socket listens there"),
    ("NOT_SPECIFIED", "__udp6_lib_rcv"): (_D.NO_LISTENER, "no socket listens there"),
    ("NOT_SPECIFIED", "ip6_mc_input"): (_D.IGNORED, NOT_JOINED),
    ("IP_INADDRERRORS", "ip6_forward"): (_D.NOT_FORWARDING, "its addresses are not forwarded"),
}
"""Reasons that mean something else where certain functions give them, by the name's beginning."""

UNSAID = "for a reason that the kernel does not name"


def of_kernel(reason: str, function: str, packet: View, state: str = "") -> tuple[Disposition, str]:
    """The disposition and a phrase for a drop reason; the function tells similar ones apart.

    ``state`` is the state of the TCP socket that refused the packet, if that is known.
    """
    if reason == "IP_INHDR" and function in ("ip_forward", "ip6_forward") and packet.ttl <= 1:
        return _D.TTL_EXPIRED, "TTL expired"
    if reason == "NOT_SPECIFIED" and function in _TCP:
        return _by_half_connection(packet, state)
    if reason == "NOT_SPECIFIED" and function.startswith(_REASSEMBLY):
        return _D.REASSEMBLY_FAILED, "it overlaps another fragment of its datagram (RFC 5722)"
    special = _special(reason, function, packet)
    if special:
        return special
    known = REASONS.get(reason)
    if known:
        disposition, text = known
        in_state = f" in state {state}" if state and reason in ("TCP_FLAGS", "TCP_RESET") else ""
        return disposition, text + in_state
    if reason == "NOT_SPECIFIED" and function.startswith("__dev_forward_skb"):
        # is_skb_forwardable() in include/linux/netdevice.h: the peer of a veth is down or smaller.
        smaller = packet.length > SMALLEST_MTU
        other = ", or its MTU is smaller" if smaller else ""
        return _D.LINK_DOWN, f"the interface at the other end is down{other}"
    named = "refused by the kernel"
    return _D.KERNEL_DROP, f"{named} {UNSAID}" if reason == "NOT_SPECIFIED" else named


def _special(reason: str, function: str, packet: View) -> tuple[Disposition, str] | None:
    """What a reason means in this function, and for this packet."""
    to_group = bool(packet.destination) and is_multicast(packet.destination)
    if packet.protocol == NO_NEXT_HEADER and function.startswith("dst_discard"):
        return _D.NO_LISTENER, "nothing follows its headers (next header 59)"
    if (
        reason == "IP_INADDRERRORS"
        and function == "ip6_forward"
        and packet.source[:2] >= b"\xfe\x80"
    ):
        return _D.NOT_FORWARDING, "a link-local address is not forwarded"
    if reason == "IP_INHDR" and function == "ip6_rcv_core" and _is_no_source(packet.source):
        return _D.MARTIAN, "its source address cannot be a source"
    if reason in ("NOT_SPECIFIED", "IP_INADDRERRORS") and function.startswith("ip_r"):
        if to_group:
            return _D.IGNORED, NOT_JOINED
        if packet.options_length and reason == "NOT_SPECIFIED":
            return _D.BAD_OPTION, "its IP options are refused (source routing)"
        if reason == "NOT_SPECIFIED":
            return _D.MARTIAN, "its addresses cannot be on that link"
    if reason == "INVALID_PROTO" and function in ("icmp_rcv", "icmpv6_rcv"):
        return _D.IGNORED, "the node does not answer ICMP to a group"
    if (reason, function) == ("NOT_SPECIFIED", "icmpv6_rcv") and packet.key[0] == "echo":
        return _D.DELIVERED, "reached its destination, which could not answer"
    for (name, start), meaning in _BY_FUNCTION.items():
        if reason == name and function.startswith(start):
            return meaning
    return None


def _is_no_source(address: bytes) -> bool:
    return bool(address) and (is_multicast(address) or address == bytes(15) + b"\1")


def _by_half_connection(packet: View, state: str) -> tuple[Disposition, str]:
    """What is freed without a reason was taken by a connection that has no full socket.

    In TIME-WAIT the connection has lost its socket, half-open it has none yet: then ``state`` is
    the listener's.
    """
    if state == "LISTEN":
        if packet.flags & RST:
            return _D.DELIVERED, "it reached a half-open connection"
        if packet.flags & SYN:
            return _D.DUPLICATE, "a half-open connection had this SYN already"
        return _D.UNACCEPTABLE, "it does not complete the handshake of a half-open connection"
    if state == "TIME-WAIT":
        return _D.DELIVERED, "its connection is in TIME-WAIT, which took it"
    return _D.DELIVERED, "its connection is half-open or in TIME-WAIT, which took it"
