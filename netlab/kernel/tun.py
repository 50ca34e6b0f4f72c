"""TUN devices through the kernel's own ioctl (Documentation/networking/tuntap.rst)."""

from __future__ import annotations

import fcntl
import os
import struct

TUNSETIFF = 0x400454CA
TUNSETPERSIST = 0x400454CB
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000

_IFREQ = struct.Struct("16sH22x")


def attach(name: str) -> int:
    """A descriptor of the TUN device ``name`` in the calling thread's namespace.

    Each read gives, and each write takes, one IP packet without any header before it. The device
    is created if there is none. It belongs to the namespace in which the descriptor was opened,
    so the descriptor may be used from anywhere afterwards.
    """
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, TUNSETIFF, _IFREQ.pack(os.fsencode(name), IFF_TUN | IFF_NO_PI))
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
