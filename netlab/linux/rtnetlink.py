"""The few rtnetlink messages that building needs, encoded by hand.

A general library spends more time on a message than the kernel does. Each function below gives
one request; ``talk`` sends many in one system call. Layouts: rtnetlink(7),
``<linux/if_link.h>``, ``<linux/rtnetlink.h>``, ``<linux/fib_rules.h>``, ``<linux/neighbour.h>``;
all values are in host order except addresses, which are network order.

Only the last request of a batch asks for an acknowledgement: the kernel handles a batch before
``send`` returns and always reports an error, with the sequence number of its request.
"""

from __future__ import annotations

import os
import sys
from _socket import (  # importing `socket` itself would take 3 ms
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    AF_UNSPEC,
    SOCK_CLOEXEC,
    SOCK_RAW,
    inet_pton,
    socket,
)
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

NETLINK_ROUTE = 0
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11

NLMSG_ERROR = 2
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400

RTM_NEWLINK = 16
RTM_SETLINK = 19
RTM_GETLINK = 18
RTM_NEWADDR = 20
RTM_NEWROUTE = 24
RTM_GETROUTE = 26
RTM_NEWNEIGH = 28

IFLA_ADDRESS = 1
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_MASTER = 10
IFLA_OPERSTATE = 16
IFLA_LINKINFO = 18
IFLA_NET_NS_FD = 28
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2
VETH_INFO_PEER = 1
NLA_F_NESTED = 0x8000
IFLA_EXT_MASK = 29
RTEXT_FILTER_SKIP_STATS = 1 << 3
IFF_UP = 1
IF_OPER_DOWN = 2  # RFC 2863, ifOperStatus
IF_OPER_UP = 6

IFA_ADDRESS = 1
IFA_LOCAL = 2
IFA_F_NODAD = 0x02

RTA_DST = 1
RTA_OIF = 4
RTA_GATEWAY = 5
RTA_PRIORITY = 6
RTA_PREFSRC = 7
RTA_MULTIPATH = 9
RTA_TABLE = 15
RTA_VIA = 18
RT_TABLE_MAIN = 254
RTPROT_BOOT = 3
RT_SCOPE_UNIVERSE = 0
RT_SCOPE_LINK = 253
RTN_UNICAST = 1
RTN_LOCAL = 2
ROUTE_TYPES = {"unicast": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
"""RTN_*; the actions FR_ACT_* of rules have the same numbers."""

RTM_NEWRULE = 32
FRA_DST = 1
FRA_SRC = 2
FRA_IIFNAME = 3
FRA_PRIORITY = 6
FRA_FWMARK = 10
FRA_TABLE = 15
FRA_FWMASK = 16
FRA_OIFNAME = 17
FR_ACT_TO_TBL = 1

NDA_DST = 1
NDA_LLADDR = 2
NUD_PERMANENT = 0x80

NLMSGERR_ATTR_MSG = 1

_HEADER = Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = Struct("=HH")  # length, type
_IFINFOMSG = Struct("=BxHiII")  # family, device type, index, flags, change
_IFADDRMSG = Struct("=BBBBi")  # family, prefix length, flags, scope, index
_RTMSG = Struct("=BBBBBBBBI")  # family, dst, src, tos, table, protocol, scope, type, flags
_RTNEXTHOP = Struct("=HBBi")  # length, flags, hops, index
_NDMSG = Struct("=BxxxiHBB")  # family, index, state, flags, type
_U32 = Struct("=I")

_BATCH_BYTES = 32_768
"""Well below the default send buffer of a netlink socket (212,992 bytes)."""


class Request(NamedTuple):
    """One message without its header, which needs a sequence number."""

    type: int
    flags: int
    body: bytes


class Refusal(NamedTuple):
    """The kernel's answer to the request at ``position`` in a batch."""

    position: int
    errno: int
    text: str
    """What the kernel adds in words, often empty."""


def attribute(kind: int, payload: bytes) -> bytes:
    """A type-length-value, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _identity(name: str, mac: str, mtu: int) -> bytes:
    return (
        attribute(IFLA_IFNAME, os.fsencode(name) + b"\0")
        + (attribute(IFLA_ADDRESS, _mac(mac)) if mac else b"")
        + attribute(IFLA_MTU, _U32.pack(mtu))
    )


def _link_kind(kind: bytes, data: bytes = b"") -> bytes:
    details = attribute(IFLA_INFO_KIND, kind)
    if data:
        details += attribute(IFLA_INFO_DATA | NLA_F_NESTED, data)
    return attribute(IFLA_LINKINFO | NLA_F_NESTED, details)


def _address(text: str) -> tuple[int, bytes]:
    family = AF_INET6 if ":" in text else AF_INET
    return family, inet_pton(family, text)


def _network(text: str) -> tuple[int, bytes, int]:
    address, _, length = text.partition("/")
    family, packed = _address(address)
    return family, packed, int(length) if length else 8 * len(packed)


_CREATE = NLM_F_CREATE | NLM_F_EXCL


class End(NamedTuple):
    """One end of a veth pair."""

    name: str
    ifindex: int
    mac: str
    mtu: int


def new_veth(near: End, far: End, far_namespace: int) -> Request:
    """A veth pair: one end where the socket lives, the other in the namespace of the descriptor.

    Both ends are born where they belong, because moving a device costs 16 ms per end.
    """
    peer = (
        _IFINFOMSG.pack(AF_UNSPEC, 0, far.ifindex, 0, 0)
        + _identity(far.name, far.mac, far.mtu)
        + attribute(IFLA_NET_NS_FD, _U32.pack(far_namespace))
    )
    body = (
        _IFINFOMSG.pack(AF_UNSPEC, 0, near.ifindex, 0, 0)
        + _identity(near.name, near.mac, near.mtu)
        + _link_kind(b"veth", attribute(VETH_INFO_PEER | NLA_F_NESTED, peer))
    )
    return Request(RTM_NEWLINK, _CREATE, body)


def new_bridge(name: str, index: int, mac: str, mtu: int) -> Request:
    """A bridge with the kernel's defaults: no spanning tree, no VLAN filter."""
    head = _IFINFOMSG.pack(AF_UNSPEC, 0, index, 0, 0)
    return Request(RTM_NEWLINK, _CREATE, head + _identity(name, mac, mtu) + _link_kind(b"bridge"))


def set_up(index: int) -> Request:
    """Bring a device up."""
    return Request(RTM_SETLINK, 0, _IFINFOMSG.pack(AF_UNSPEC, 0, index, IFF_UP, IFF_UP))


def get_link(index: int) -> Request:
    """Ask what a device is like, without its statistics."""
    attributes = attribute(IFLA_EXT_MASK, _U32.pack(RTEXT_FILTER_SKIP_STATS))
    return Request(RTM_GETLINK, 0, _IFINFOMSG.pack(0, 0, index, 0, 0) + attributes)


def set_mtu(index: int, mtu: int) -> Request:
    """Change the MTU of a device."""
    head = _IFINFOMSG.pack(AF_UNSPEC, 0, index, 0, 0)
    return Request(RTM_SETLINK, 0, head + attribute(IFLA_MTU, _U32.pack(mtu)))


def set_master(index: int, master: int) -> Request:
    """Make a device a port of the bridge whose index is ``master``."""
    head = _IFINFOMSG.pack(AF_UNSPEC, 0, index, 0, 0)
    return Request(RTM_SETLINK, 0, head + attribute(IFLA_MASTER, _U32.pack(master)))


def add_address(index: int, address: str) -> Request:
    """An address with its prefix length.

    IPv6 addresses skip duplicate address detection (RFC 4862 section 5.4) and so can be used at
    once: in a lab every address is known to be unique.
    """
    family, packed, length = _network(address)
    flags = IFA_F_NODAD if family == AF_INET6 else 0
    attributes = attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    return Request(
        RTM_NEWADDR, _CREATE, _IFADDRMSG.pack(family, length, flags, 0, index) + attributes
    )


def add_route(index: int, destination: str, gateway: str) -> Request:
    """A unicast route in the main table; without ``gateway`` the destination is on the link."""
    family, packed, length = _network(destination)
    scope = RT_SCOPE_LINK if family == AF_INET and not gateway else RT_SCOPE_UNIVERSE
    body = _RTMSG.pack(family, length, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST, 0)
    if length:
        body += attribute(RTA_DST, packed)
    body += _hop(family, gateway)
    return Request(RTM_NEWROUTE, _CREATE, body + attribute(RTA_OIF, _U32.pack(index)))


def add_any_route(
    destination: str,
    gateway: str,
    index: int,
    *,
    kind: str,
    source: str,
    metric: int,
    table: int,
    next_hops: Sequence[tuple[str, int, int]],
) -> Request:
    """A route with all that it may have; ``next_hops`` are (gateway, index, weight)."""
    family, packed, length = _network(destination)
    on_link = kind == "unicast" and family == AF_INET and not gateway and not next_hops
    scope = RT_SCOPE_LINK if on_link else RT_SCOPE_UNIVERSE
    head = _RTMSG.pack(
        family, length, 0, 0, table if table < 256 else 0, RTPROT_BOOT, scope, ROUTE_TYPES[kind], 0
    )
    body = head + (attribute(RTA_DST, packed) if length else b"") + _hop(family, gateway)
    if index:
        body += attribute(RTA_OIF, _U32.pack(index))
    if source:
        body += attribute(RTA_PREFSRC, _address(source)[1])
    if metric:
        body += attribute(RTA_PRIORITY, _U32.pack(metric))
    body += attribute(RTA_TABLE, _U32.pack(table))
    if next_hops:
        hops = b""
        for via, out, weight in next_hops:
            details = _hop(family, via)
            hops += _RTNEXTHOP.pack(_RTNEXTHOP.size + len(details), 0, weight - 1, out) + details
        body += attribute(RTA_MULTIPATH, hops)
    return Request(RTM_NEWROUTE, _CREATE, body)


def _hop(family: int, gateway: str) -> bytes:
    """The next hop; of another family than the route's with its own family before it."""
    if not gateway:
        return b""
    own, packed = _address(gateway)
    if own == family:
        return attribute(RTA_GATEWAY, packed)
    return attribute(RTA_VIA, own.to_bytes(2, sys.byteorder) + packed)


def add_rule(  # noqa: PLR0917 - in the order of ``AddRoutingRule``
    version: int,
    priority: int,
    source: str,
    destination: str,
    iif: str,
    oif: str,
    mark: str,
    table: int,
    action: str,
) -> Request:
    """A routing rule (``<linux/fib_rules.h>``); ``mark`` is ``VALUE/MASK``."""
    lengths, attributes = [], b""
    for text, kind in ((destination, FRA_DST), (source, FRA_SRC)):
        packed, length = _network(text)[1:] if text else (b"", 0)
        lengths.append(length)
        attributes += attribute(kind, packed) if length else b""
    for name, kind in ((iif, FRA_IIFNAME), (oif, FRA_OIFNAME)):
        attributes += attribute(kind, os.fsencode(name) + b"\0") if name else b""
    attributes += attribute(FRA_PRIORITY, _U32.pack(priority))
    if mark:
        value, _, mask = mark.partition("/")
        attributes += attribute(FRA_FWMARK, _U32.pack(int(value, 0)))
        attributes += attribute(FRA_FWMASK, _U32.pack(int(mask, 0)))
    if table:
        attributes += attribute(FRA_TABLE, _U32.pack(table))
    head = _RTMSG.pack(
        AF_INET if version == 4 else AF_INET6, *lengths, 0, table if table < 256 else 0, 0, 0,
        FR_ACT_TO_TBL if table else ROUTE_TYPES[action], 0,
    )  # fmt: skip
    return Request(RTM_NEWRULE, _CREATE, head + attributes)


def add_neighbour(index: int, address: str, mac: str) -> Request:
    """A permanent entry of the neighbour table."""
    family, packed = _address(address)
    head = _NDMSG.pack(family, index, NUD_PERMANENT, 0, 0)
    attributes = attribute(NDA_DST, packed) + attribute(NDA_LLADDR, _mac(mac))
    return Request(RTM_NEWNEIGH, _CREATE, head + attributes)


def open_route_socket() -> socket:
    """An rtnetlink socket of the calling thread's network namespace."""
    link = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)
    try:
        link.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        link.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
    except BaseException:
        link.close()
        raise
    return link


def encode(requests: Sequence[Request], first: int = 0) -> bytes:
    """The bytes of a batch; sequence numbers count from ``first``, the last asks for an answer."""
    parts: list[bytes] = []
    last = len(requests) - 1
    for position, (kind, flags, body) in enumerate(requests):
        flags |= NLM_F_REQUEST | (NLM_F_ACK if position == last else 0)  # noqa: PLW2901
        parts.append(_HEADER.pack(16 + len(body), kind, flags, first + position, 0))
        parts.append(body)
    return b"".join(parts)


def talk(link: socket, requests: Sequence[Request]) -> Refusal | None:
    """Send all requests, in as few system calls as is wise; the first refusal, if any."""
    start = 0
    while start < len(requests):
        end, size = start, 0
        while end < len(requests) and size < _BATCH_BYTES:
            size += 16 + len(requests[end].body)
            end += 1
        link.send(encode(requests[start:end], start))
        refusal = _answers(link, end - 1)
        if refusal:
            return refusal
        start = end
    return None


def is_local(link: socket, address: str) -> bool:
    """Whether the kernel takes packets for an address that it was given.

    For IPv6 a worker of the kernel sees to it, later than the request is answered
    (``addrconf_dad_work`` in net/ipv6/addrconf.c), with or without duplicate address detection.
    """
    family, packed = _address(address)
    body = _RTMSG.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0) + attribute(RTA_DST, packed)
    link.send(_HEADER.pack(_HEADER.size + len(body), RTM_GETROUTE, NLM_F_REQUEST, 0, 0) + body)
    message = link.recv(65_536)
    kind = _HEADER.unpack_from(message)[1]
    # The last octet before the flags is the type of the route.
    return kind == RTM_NEWROUTE and message[_HEADER.size + 7] == RTN_LOCAL


def operational_state(link: socket, index: int) -> int:
    """What the kernel holds of a device's carrier: IF_OPER_UP once it can carry packets.

    Being asked for one link, kernels since 6.8 first catch up with what its carrier did
    (``linkwatch_sync_dev`` in net/core/rtnetlink.c); older ones do so in their own time.
    """
    link.send(encode([get_link(index)]))
    message = link.recv(65_536)
    _answers(link, 0)
    offset = _HEADER.size + _IFINFOMSG.size
    end = _U32.unpack_from(message)[0]
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(message, offset)
        if kind == IFLA_OPERSTATE:
            return message[offset + 4]
        offset += max((length + 3) & ~3, 4)
    return 0


def _answers(link: socket, last: int) -> Refusal | None:
    """Read until the answer to request ``last``; the refusal with the lowest number, if any."""
    first: Refusal | None = None
    while True:
        data = link.recv(65_536)
        offset = 0
        while offset < len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
            if kind == NLMSG_ERROR:
                number = -int.from_bytes(data[offset + 16 : offset + 20], "little", signed=True)
                if number and first is None:
                    message = data[offset : offset + length]
                    first = Refusal(sequence, number, _extended_text(message, flags))
                if sequence == last:
                    return first
            offset += (length + 3) & ~3


def _extended_text(message: bytes, flags: int) -> str:
    """The kernel's own words in an error message (``<linux/netlink.h>``, NLMSGERR_ATTR_MSG)."""
    if not flags & NLM_F_ACK_TLVS:
        return ""
    # After the headers of the answer and of the request, whose body is capped away.
    offset = 16 + 4 + 16
    if not flags & NLM_F_CAPPED:
        offset += _U32.unpack_from(message, 20)[0] - 16
    while offset + 4 <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, offset)
        if kind == NLMSGERR_ATTR_MSG:
            return message[offset + 4 : offset + length].rstrip(b"\0").decode(errors="replace")
        offset += max((length + 3) & ~3, 4)
    return ""
