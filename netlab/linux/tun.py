"""TUN devices through the kernel's own ioctl (Documentation/networking/tuntap.rst)."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time

from netlab.linux import rtnetlink

TUNSETIFF = 0x400454CA
TUNSETPERSIST = 0x400454CB
TUNGETIFF = 0x800454D2
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
TUNSETOFFLOAD = 0x400454D0
_TUN_F_CSUM_TSO4_TSO6 = 1 | 2 | 4

CARRIER_TIMEOUT = 10.0
"""Seconds for the kernel to notice a carrier; it takes microseconds on a machine that is idle."""

_POLL = 0.001

_IFREQ = struct.Struct("16sH22x")


def attach(name: str, *, offload: bool = False) -> int:
    """A descriptor of the TUN device ``name`` in the calling thread's namespace.

    Each read gives, and each write takes, one IP packet without any header before it. The device
    is created if there is none. It belongs to the namespace in which the descriptor was opened,
    so the descriptor may be used from anywhere afterwards.

    With ``offload`` a virtio header precedes each packet, and packets may be longer than the
    MTU with their checksums unfinished (linux/if_tun.h).
    """
    flags = IFF_TUN | IFF_NO_PI | (IFF_VNET_HDR if offload else 0)
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, TUNSETIFF, _IFREQ.pack(os.fsencode(name), flags))
        if offload:
            fcntl.ioctl(fd, TUNSETOFFLOAD, _TUN_F_CSUM_TSO4_TSO6)
    except BaseException:
        os.close(fd)
        raise
    return fd


def name_of(descriptor: int) -> str:
    """The device that ``attach`` gave the descriptor of."""
    found = fcntl.ioctl(descriptor, TUNGETIFF, _IFREQ.pack(b"", 0))
    name: bytes = _IFREQ.unpack(found)[0]
    return os.fsdecode(name.rstrip(b"\0"))


def settle(name: str) -> None:
    """Wait until a device that a program has opened takes packets.

    A program is the carrier of a TUN device. The kernel notes it asynchronously, and until
    it has, what is sent to the device is lost without a word.

    Raises:
        TimeoutError: after ``CARRIER_TIMEOUT`` seconds.
    """
    link = rtnetlink.open_route_socket()
    try:
        index = socket.if_nametoindex(name)
        deadline = time.monotonic() + CARRIER_TIMEOUT
        while rtnetlink.operational_state(link, index) != rtnetlink.IF_OPER_UP:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the carrier of {name} is not up after {CARRIER_TIMEOUT:g} s")
            time.sleep(_POLL)
    finally:
        link.close()


def create(name: str) -> None:
    """Make a TUN device that stays until its namespace ends.

    Persistence also makes closing cheap: the last close of a device that is not persistent
    removes it, which takes 18 ms.
    """
    fd = attach(name)
    try:
        fcntl.ioctl(fd, TUNSETPERSIST, 1)
    finally:
        os.close(fd)
