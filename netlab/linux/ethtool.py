"""Offloads of a device by ethtool's ioctl (linux/ethtool.h), in the calling thread's namespace."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import socket
import struct

SIOCETHTOOL = 0x8946
_SET_TX_CHECKSUM, _SET_TSO, _SET_GSO, _SET_GRO = 0x17, 0x1F, 0x24, 0x2C


def disable(name: str) -> None:
    """Switch off checksum, TCP and generic segmentation offload, and generic receive offload.

    What a device does not have, it does not have to switch off. ``OSError`` otherwise.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        # Checksums last: the others depend on them and go with them, unasked.
        for command in (_SET_TSO, _SET_GSO, _SET_GRO, _SET_TX_CHECKSUM):
            value = ctypes.create_string_buffer(struct.pack("@II", command, 0))
            request = struct.pack("@16sP", name.encode(), ctypes.addressof(value))
            try:
                fcntl.ioctl(control, SIOCETHTOOL, request.ljust(40, b"\0"))
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise
