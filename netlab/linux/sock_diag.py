"""Which ports are open, asked of the kernel by sock_diag(7).

``/proc/net/tcp`` says the same but walks the machine's whole table of connections: 7 ms a look.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW, socket
from struct import Struct

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST_DUMP = 0x301

PROTOCOLS = {
    "tcp": (6, 1 << 10),  # TCP_LISTEN
    "udp": (17, 1 << 7),  # TCP_CLOSE, the state of a UDP socket that is bound but not connected
}
"""The protocol number and the states that count as open."""

_HEADER = Struct("=IHHII")
_REQUEST = Struct("=BBBxIHH44x")  # family, protocol, extensions, states, source port, dest. port
_PORT_OFFSET = 4
"""Of the source port in an answer (struct inet_diag_msg, <linux/inet_diag.h>)."""


def is_open(protocol: str, port: int) -> bool:
    """Whether a socket of the calling thread's namespace is bound to ``port`` (TCP: listens)."""
    return port in open_ports(protocol)


def open_ports(protocol: str) -> set[int]:
    """The ports that sockets of the calling thread's namespace are bound to (TCP: listen at)."""
    number, states = PROTOCOLS[protocol]
    diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)
    try:
        return {
            int.from_bytes(port, "big")
            for family in (AF_INET, AF_INET6)
            for port in _open_ports(diag, _REQUEST.pack(family, number, 0, states, 0, 0))
        }
    finally:
        diag.close()


def _open_ports(diag: socket, request: bytes) -> set[bytes]:
    head = _HEADER.pack(16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, 0, 0)
    diag.send(head + request)
    ports: set[bytes] = set()
    while True:
        data = diag.recv(65_536)
        offset = 0
        while offset < len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
            if kind == NLMSG_DONE:
                return ports
            if kind == NLMSG_ERROR:
                number = -int.from_bytes(data[offset + 16 : offset + 20], "little", signed=True)
                raise OSError(number, "the kernel has no sock_diag for this protocol")
            place = offset + 16 + _PORT_OFFSET
            ports.add(data[place : place + 2])
            offset += (length + 3) & ~3
