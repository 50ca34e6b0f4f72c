"""What conntrack made of flows: its own events, by netlink.

An entry is reported when its first packet has left the node (its translation is settled then), when
its state changes, and when it goes. Messages: include/uapi/linux/netfilter/nfnetlink_conntrack.h,

    tuple     IP part (source, destination), protocol part (number, ports, ICMP identifier)
    entry     the tuple of the original direction, the one of the reply, status, timeout, id
"""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Literal

from netlab.capture.collector import RECORDS
from netlab.capture.evidence import Flow, FlowEvent, Gap
from netlab.linux import netlink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from socket import socket

    from netlab.capture.collector import RunInNetns

NEW, UPDATE, DESTROY = 1, 2, 3
"""NFNLGRP_CONNTRACK_...: the groups that are listened to."""

BUFFER = 1 << 23
"""Octets of a node's socket buffer."""

_ENTRY, _GONE = 1 << 8 | 0, 1 << 8 | 2
_NLM_F_CREATE = 0x400
_ORIGINAL, _REPLY, _STATUS = 1, 2, 3
_IP, _PROTOCOL = 1, 2
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_IDENTIFIERS = (4, 7)


class Conntrack:
    """Every entry of conntrack in all ``nodes`` that came, changed or went."""

    def __init__(self, nodes: Sequence[str], inside: RunInNetns) -> None:
        self.gaps: list[Gap] = []
        self._inside = inside
        self._nodes = nodes
        self._listening: list[_Listening] = []

    def start(self) -> None:
        """Listen in every node."""
        for node in self._nodes:
            self._listening.append(self._inside(node, lambda n=node: _Listening(n)))  # type: ignore[misc]

    def buffers(self) -> Iterable[tuple[int, Callable[[], None]]]:
        """One for each node."""
        return [(one.socket.fileno(), one.drain) for one in self._listening]

    def stop(self) -> None:
        """Take the last events."""
        for one in self._listening:
            one.drain()
            one.socket.close()
            if one.overrun or one.refused:
                text = "entries came faster than they could be read"
                self.gaps.append(Gap("conntrack", text, one.node))

    def events(self) -> list[FlowEvent]:
        """All events that were not taken, in order for each node."""
        return [event for one in self._listening for event in one.events(one.datagrams)]

    def take(self) -> Callable[[], list[FlowEvent]]:
        """The events since the last time; they are forgotten here, and read by the result."""
        taken = [(one, one.take()) for one in self._listening if one.datagrams]
        return lambda: [event for one, datagrams in taken for event in one.events(datagrams)]

    def discard(self) -> None:
        """Forget what was copied and not yet taken."""
        for one in self._listening:
            one.take()


class _Listening:
    """The socket of one node; made inside its namespace."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.overrun = False
        self.refused = 0
        self.datagrams: list[tuple[int, bytes]] = []
        self.socket: socket = netlink.open_socket(
            netlink.NETLINK_NETFILTER, groups=(NEW, UPDATE, DESTROY), buffer=BUFFER
        )
        self.socket.setblocking(False)

    def drain(self) -> None:
        """Copy what has arrived."""
        while True:
            try:
                datagram = self.socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overrun = True
            else:
                if len(self.datagrams) < RECORDS:
                    self.datagrams.append((time.time_ns(), datagram))
                else:
                    self.refused += 1

    def take(self) -> list[tuple[int, bytes]]:
        taken, self.datagrams = self.datagrams, []
        return taken

    def events(self, datagrams: Iterable[tuple[int, bytes]]) -> Iterator[FlowEvent]:
        for when, datagram in datagrams:
            for kind, flags, payload in netlink.messages(datagram):
                if kind in (_ENTRY, _GONE):
                    event = _event(self.node, when, kind, flags, payload)
                    if event:
                        yield event


def _event(node: str, when: int, kind: int, flags: int, payload: bytes) -> FlowEvent | None:
    # nfgenmsg comes first: family, version, resource id.
    found = dict(netlink.attributes(payload, 4))
    original, reply = (flow(found.get(part, b"")) for part in (_ORIGINAL, _REPLY))
    if original is None or reply is None:
        return None
    what: Literal["new", "update", "destroy"] = "new" if flags & _NLM_F_CREATE else "update"
    status = int.from_bytes(found.get(_STATUS, b""), "big")
    return FlowEvent(node, when, "destroy" if kind == _GONE else what, original, reply, status)


def flow(nested: bytes) -> Flow | None:
    """A tuple; of an ICMP echo the identifier is both ports. ``None`` if it is broken."""
    parts = dict(netlink.attributes(nested))
    addresses = dict(netlink.attributes(parts.get(_IP, b"")))
    above = dict(netlink.attributes(parts.get(_PROTOCOL, b"")))
    if len(addresses) < 2 or _NUMBER not in above:
        return None
    # IPv4's come first as 1 and 2, IPv6's as 3 and 4.
    source, destination = (addresses[kind] for kind in sorted(addresses)[:2])
    identifier = next((above[kind] for kind in _IDENTIFIERS if kind in above), b"")
    source_port, destination_port = (
        int.from_bytes(above.get(kind, identifier), "big")
        for kind in (_SOURCE_PORT, _DESTINATION_PORT)
    )
    return Flow(source, destination, above[_NUMBER][0], source_port, destination_port)
