"""Connection tracking of a namespace: what it failed to confirm, and making it forget.

Acts on the namespace of the calling thread.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

_NETLINK_NETFILTER = 12
_CT_DELETE = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
_REQUEST_WITH_ACK = 1 | 4
_MESSAGE = struct.Struct("=IHHIIBBH")


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
        answer = netlink.recv(4096)
    (code,) = struct.unpack_from("=i", answer, 16)
    if code:
        raise OSError(-code, os.strerror(-code))
