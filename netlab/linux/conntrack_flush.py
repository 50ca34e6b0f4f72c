"""Connection tracking of a namespace: what it failed to confirm, growing older, and forgetting.

Acts on the namespace of the calling thread.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import NamedTuple, TypeAlias

_NETLINK_NETFILTER = 12
_CT_NEW, _CT_GET, _CT_DELETE = (1 << 8 | number for number in range(3))  # NFNL_SUBSYS_CTNETLINK
_REQUEST_WITH_ACK = 1 | 4
_DUMP = 1 | 0x300
_MESSAGE = struct.Struct("=IHHIIBBH")
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR, _DONE = 2, 3
_ORIGINAL, _REPLY, _TIMEOUT = 1, 2, 7  # CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_TIMEOUT
_PROTO, _NUMBER = 2, 1  # CTA_TUPLE_PROTO, CTA_PROTO_NUM
_NESTED = 0x8000


def clashes() -> int:
    """How many packets conntrack failed to confirm so far (``insert_failed``).

    Such a packet has passed every rule, so no trace of the rules shows its end: another flow has
    taken the translated addresses that it would need.
    """
    try:
        lines = Path("/proc/thread-self/net/stat/nf_conntrack").read_text("ascii").splitlines()
    except OSError:
        return 0
    column = lines[0].split().index("insert_failed")
    return sum(int(line.split()[column], 16) for line in lines[1:])


def forget() -> None:
    """Delete every entry, so that the next packet of any flow is the first one again."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.bind((0, 0))
        header = (_MESSAGE.size, _CT_DELETE, _REQUEST_WITH_ACK, 1, 0)
        netlink.send(_MESSAGE.pack(*header, socket.AF_UNSPEC, 0, 0))
        _check(netlink.recv(4096))


def age(seconds: int, protocol: int | None = None) -> tuple[int, int]:
    """Let every entry, or those of an IP protocol, have been idle for that many seconds longer.

    Returns how many entries grew older, and how many of them the kernel has forgotten for it.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.bind((0, 0))
        older = [e for e in _entries(netlink) if protocol in (None, e.protocol)]
        gone = 0
        for entry in older:
            left = max(0, entry.left - seconds)
            gone += not left
            timeout = _ATTRIBUTE.pack(8, _TIMEOUT) + left.to_bytes(4, "big")
            size = _MESSAGE.size + len(entry.key) + len(timeout)
            header = (size, _CT_NEW, _REQUEST_WITH_ACK, 1, 0, entry.family, 0, 0)
            netlink.send(_MESSAGE.pack(*header) + entry.key + timeout)
            _check(netlink.recv(4096))
        return len(older), gone


Endpoint: TypeAlias = tuple[str, int, int]
"""The inside address, the IP protocol and the inside port."""


class Flow(NamedTuple):
    """A flow of TCP or UDP over IPv4; ``inside`` is the end that is not translated."""

    inside: Endpoint
    is_translated: bool


def endpoints() -> list[Flow]:
    """The flows that conntrack knows, each with its inside endpoint."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.bind((0, 0))
        entries = _entries(netlink)
    found = []
    for entry in entries:
        if entry.family == socket.AF_INET and entry.protocol in (6, 17):
            (source, target), (back, to) = _ends(entry.original), _ends(entry.reply)
            if target != back:  # it came from outside, and its destination was translated
                found.append(Flow((back[0], entry.protocol, back[1]), True))
            else:
                found.append(Flow((source[0], entry.protocol, source[1]), to != source))
    return found


def _ends(octets: bytes) -> tuple[tuple[str, int], tuple[str, int]]:
    """Source and destination of a tuple of conntrack's (CTA_TUPLE_IP, CTA_TUPLE_PROTO)."""
    parts = _attributes(octets)
    hosts, ports = _attributes(parts[1]), _attributes(parts[_PROTO])
    source, target = (
        (socket.inet_ntoa(hosts[number]), int.from_bytes(ports[number + 1], "big"))
        for number in (1, 2)
    )
    return source, target


class _Entry(NamedTuple):
    """``key`` are the attributes that name it to the kernel; ``left`` seconds until it expires."""

    family: int
    protocol: int
    left: int
    key: bytes
    original: bytes = b""
    reply: bytes = b""


def _entries(netlink: socket.socket) -> list[_Entry]:
    netlink.send(_MESSAGE.pack(_MESSAGE.size, _CT_GET, _DUMP, 1, 0, socket.AF_UNSPEC, 0, 0))
    found: list[_Entry] = []
    while True:
        answer = netlink.recv(1 << 17)
        at = 0
        while at < len(answer):
            size, kind, *_ = _HEADER.unpack_from(answer, at)
            if kind == _DONE:
                return found
            if kind == _ERROR:
                _check(answer[at:])
            attributes = _attributes(answer[at + _MESSAGE.size : at + size])
            # What is closing has no time to live any more.
            if _TIMEOUT in attributes:
                original = attributes[_ORIGINAL]
                protocol = _attributes(_attributes(original)[_PROTO])[_NUMBER][0]
                key = _ATTRIBUTE.pack(4 + len(original), _ORIGINAL | _NESTED) + original
                left = int.from_bytes(attributes[_TIMEOUT], "big")
                family = answer[at + _HEADER.size]
                found.append(
                    _Entry(family, protocol, left, key, original, attributes.get(_REPLY, b""))
                )
            at += size


def _attributes(octets: bytes) -> dict[int, bytes]:
    found = {}
    at = 0
    while at < len(octets):
        size, number = _ATTRIBUTE.unpack_from(octets, at)
        found[number & ~_NESTED] = octets[at + _ATTRIBUTE.size : at + size]
        at += size + 3 & ~3
    return found


def _check(answer: bytes) -> None:
    (code,) = struct.unpack_from("=i", answer, 16)
    if code:
        raise OSError(-code, os.strerror(-code))
