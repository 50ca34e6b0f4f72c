"""TUN devices through the kernel's own ioctl (Documentation/networking/tuntap.rst)."""

from __future__ import annotations

import fcntl
import os
import struct

TUNSETIFF = 0x400454CA
TUNSETPERSIST = 0x400454CB
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
TUNSETOFFLOAD = 0x400454D0
_TUN_F_CSUM_TSO4_TSO6 = 1 | 2 | 4

_IFREQ = struct.Struct("16sH22x")


def attach(name: str, *, offload: bool = False) -> int:
    """A descriptor of the TUN device ``name`` in the calling thread's namespace.

    Each read gives, and each write takes, one IP packet without any header before it. The device
    is created if there is none. It belongs to the namespace in which the descriptor was opened,
    so the descriptor may be used from anywhere afterwards.

    With ``offload`` a virtio header stands before each packet, and packets may be longer than the
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
