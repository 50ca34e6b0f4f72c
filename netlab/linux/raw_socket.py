"""Raw sockets for any protocol number (raw(7), ipv6(7)) and packet sockets (packet(7)).

A socket belongs to the network namespace of the thread that opened it and works from any thread.
Nothing here blocks: sockets are non-blocking, waiting is the business of a selector.

What one should know of Linux raw sockets:

- ``socket()`` takes 0 ... 262 and refuses 0 for SOCK_RAW; the header keeps eight bits of the rest.
- Python turns the protocol -1 into 0, so that libc has to be called to learn what -1 does.
- 255, IPPROTO_RAW, makes the IPv4 kernel expect a header from the sender (IP_HDRINCL); the option
  is switched off again here. IPv6 has the same rule (IPV6_HDRINCL), which is left as it is unless
  asked for: sendto() then says EINVAL, as it does to everybody. Its sockets deliver no header.
- A raw socket receives its own number only, so there is no "all" but a packet socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple, Self

from netlab.errors import Diagnostic, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

IPPROTO_RAW = 255

_ETH_P_IP = 0x0800
_ETH_P_IPV6 = 0x86DD
_ETH_P_ALL = 0x0003
_PACKET_OUTGOING = 4
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_IPV6_HDRINCL = 36
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35  # also the type of the control message that answers it (asm/socket.h)

_TIMESPEC = struct.Struct("@qq")
_CONTROL = socket.CMSG_SPACE(_TIMESPEC.size)
_LARGEST = 65_536
_BUFFER = 32 << 20

_libc = ctypes.CDLL(None, use_errno=True)


class Packet(NamedTuple):
    """One packet that a raw socket received; ``time`` is the kernel's, Unix epoch nanoseconds.

    ``data`` starts with the IP header on IPv4 and after it on IPv6.
    """

    time: int
    source: str
    data: bytes


class Frame(NamedTuple):
    """One packet on an interface, from its IP header on."""

    time: int
    interface: str
    outgoing: bool
    data: bytes


def missing_right(what: str) -> Unavailable:
    """The error for a process that may not open such a socket."""
    return Unavailable(
        Diagnostic(
            "E601",
            f"{what} needs the capability CAP_NET_RAW",
            hint="run as root, or inside a lab (`netlab exec NODE -- …`), or give it to your "
            "Python: sudo setcap cap_net_raw+ep $(readlink -f $(which python3))",
        )
    )


def raw_socket(family: int, argument: int, *, kernel_header: bool = False) -> socket.socket:
    """A non-blocking raw socket; ``OSError`` as socket() gives it, ``Unavailable`` without right.

    ``family`` is 4 or 6, ``argument`` the protocol as socket() gets it, sensible or not. With
    ``kernel_header`` an IPv6 socket for 255 does not ask for the IPv6 header either.
    """
    domain = socket.AF_INET if family == 4 else socket.AF_INET6
    try:
        if argument < 0:
            opened = _through_libc(domain, argument)
        else:
            opened = socket.socket(domain, socket.SOCK_RAW, argument)
    except PermissionError:
        raise missing_right("a raw socket") from None
    opened.setblocking(False)
    if family == 4 and argument == IPPROTO_RAW:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 0)
    if family == 6 and argument == IPPROTO_RAW and kernel_header:
        opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_HDRINCL, 0)
    return opened


def _through_libc(domain: int, argument: int) -> socket.socket:
    fd = _libc.socket(int(domain), int(socket.SOCK_RAW) | int(socket.SOCK_CLOEXEC), argument)
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return socket.socket(fileno=fd)


def stamp_arrivals(receiver: socket.socket) -> None:
    """Have the kernel note when each packet arrived, and give it a buffer for a burst."""
    receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    try:
        receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    except PermissionError:
        # Without CAP_NET_ADMIN over the machine the limit net.core.rmem_max holds.
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)


def _receive(receiver: socket.socket) -> tuple[bytes, int, tuple[object, ...]] | None:
    """Data, time and address of the next packet; ``None`` if none is waiting."""
    while True:
        try:
            data, control, _, address = receiver.recvmsg(_LARGEST, _CONTROL)
        except BlockingIOError:
            return None
        except OSError as error:
            # An ICMP error or a link that went down is reported once and says nothing about the
            # next packet.
            if error.errno in (errno.ENETDOWN, errno.ECONNREFUSED, errno.EHOSTUNREACH):
                continue
            raise
        return data, _time(control), address


def _time(control: list[tuple[int, int, bytes]]) -> int:
    for level, kind, value in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return 0


def packets(receiver: socket.socket) -> Iterator[Packet]:
    """All that waits on a raw socket that was prepared by ``stamp_arrivals``."""
    while received := _receive(receiver):
        data, time, address = received
        yield Packet(time, str(address[0]), data)


class Tap:
    """Sees every IP packet on every interface of the namespace where it was opened.

    Use as a context manager. ``lost`` counts what came faster than it was read.
    """

    def __init__(self) -> None:
        try:
            everything = socket.htons(_ETH_P_ALL)
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, everything)
        except PermissionError:
            raise missing_right("a packet socket") from None
        self._socket.setblocking(False)
        stamp_arrivals(self._socket)
        self._lost = 0

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def frames(self) -> Iterator[Frame]:
        """All IP packets that wait."""
        while received := _receive(self._socket):
            data, time, address = received
            name, ethertype, kind = address[0], address[1], address[2]
            if ethertype in (_ETH_P_IP, _ETH_P_IPV6):
                yield Frame(time, str(name), kind == _PACKET_OUTGOING, data)

    @property
    def lost(self) -> int:
        """Packets that the kernel could not queue for this tap so far."""
        self._lost += newly_lost(self._socket)
        return self._lost

    def close(self) -> None:
        """Stop; idempotent."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def newly_lost(packet_socket: socket.socket) -> int:
    """Packets that the kernel could not queue for a packet socket since the last call."""
    # Reading the counters resets them.
    counters = packet_socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
    lost: int = struct.unpack("@II", counters)[1]
    return lost


@contextlib.contextmanager
def closing_all(sockets: list[socket.socket]) -> Iterator[None]:
    """Close every socket that is in the list by the end of the block."""
    try:
        yield
    finally:
        for opened in sockets:
            opened.close()
