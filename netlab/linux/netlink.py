"""As much of netlink as watching needs: attributes, dumps, a socket with a large buffer."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
SO_RCVBUFFORCE = 33

NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
HEADER_LENGTH = _HEADER.size


def open_socket(protocol: int, *, groups: Iterable[int] = (), buffer: int = 0) -> socket.socket:
    """A netlink socket of the calling thread's namespace."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    try:
        made.bind((0, 0))
        if buffer:
            try:
                made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer)
            except PermissionError:  # in a user namespace: as much as net.core.rmem_max allows
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        for group in groups:
            made.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    except BaseException:
        made.close()
        raise
    return made


def attributes(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each attribute; a broken one ends the reading."""
    end = len(data)
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < 4:
            return
        yield kind & 0x3FFF, data[start + 4 : start + length]
        start += (length + 3) & ~3


def messages(datagram: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and payload of each message in what one ``recv`` returned."""
    start = 0
    while start + HEADER_LENGTH <= len(datagram):
        length, kind, flags, *_ = _HEADER.unpack_from(datagram, start)
        if length < HEADER_LENGTH:
            return
        yield kind, flags, datagram[start + HEADER_LENGTH : start + length]
        start += (length + 3) & ~3


def dump(protocol: int, kind: int, body: bytes) -> list[bytes]:
    """The payloads that a dump request brings.

    Raises:
        OSError: the kernel refused the request.
    """
    with open_socket(protocol) as asking:
        header = _HEADER.pack(HEADER_LENGTH + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
        asking.send(header + body)
        found: list[bytes] = []
        while True:
            for answer, _, payload in messages(asking.recv(1 << 16)):
                if answer == NLMSG_DONE:
                    return found
                if answer == NLMSG_ERROR:
                    (code,) = struct.unpack_from("=i", payload)
                    number = -code or errno.EPROTO
                    raise OSError(number, os.strerror(number))
                found.append(payload)
