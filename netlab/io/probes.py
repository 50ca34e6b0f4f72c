"""Probe packets: how they are made, and how they are recognized among all others.

Each carries four random octets and its number, right after the transport header, where every
witness sees it. TCP cannot carry anything in its first segment: there it is a connection that is
tried, known by its source port.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from typing import TYPE_CHECKING, Protocol, TypeVar

from netlab.errors import Diagnostic, InputError
from netlab.linux.raw_socket import raw_socket
from netlab.wire import icmp
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.wire.shapes import Shape

T = TypeVar("T")

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
PORT = 33434
"""A port without a listener: traceroute's."""

LEAST = 8
"""Octets of payload: the mark."""

TIMEOUT = 1.0
"""Seconds for a TCP connection to be made or refused."""

_MARK = struct.Struct("!4sI")


class RunInNetns(Protocol):
    """Runs an action in the sender's network namespace."""

    def __call__(self, action: Callable[[], T], /) -> T:
        """The result of ``action``."""


class Probes:
    """``count`` packets of ``size`` octets of payload to ``target``, an address in text form.

    With a ``shape`` of its protocol each looks like that transport's first packet; ``size`` is
    then the shape's affair.
    """

    def __init__(
        self,
        target: str,
        proto: int,
        *,
        port: int = PORT,
        count: int = 1,
        size: int = 32,
        shape: Shape | None = None,
    ) -> None:
        if size < LEAST or size > 0xFFFF - 40:
            message = f"{size} octets: between {LEAST} and {0xFFFF - 40} can be sent and recognized"
            raise InputError(Diagnostic("E510", message))
        self.target = target
        self.family = 6 if ":" in target else 4
        self.proto = ICMPV6 if proto == ICMP and self.family == 6 else proto
        self.port = port
        self.count = count
        self.size = size
        self.shape = shape
        self.refusals: dict[int, str] = {}
        """What the sender's kernel said instead of sending, by number from 1."""
        self._token = os.urandom(4)
        self._ports: dict[int, int] = {}

    def send(self, inside: RunInNetns) -> None:
        """Send them all, one after the other."""
        if self.proto == TCP:
            for number in range(1, self.count + 1):
                self._connect(inside, number)
            return
        with inside(self._socket) as sending:
            sending.setblocking(True)
            source = self._source(sending) if self.shape else b""
            for number in range(1, self.count + 1):
                octets = self._payload(number, source)
                try:
                    sending.sendto(octets, (self.target, self._destination_port()))
                except OSError as error:
                    self.refusals[number] = error.strerror or str(error)

    def number_of(self, proto: int, ports: tuple[int, int], transport: bytes) -> int | None:
        """Which of the probes a packet is, by what follows its IP header; ``None`` if none."""
        if proto != self.proto:
            return None
        if proto == TCP:
            return self._ports.get(ports[0])
        at = self.shape.mark_at if self.shape else {UDP: 8, ICMP: 8, ICMPV6: 8}.get(proto, 0)
        if len(transport) < at + _MARK.size:
            return None
        token, number = _MARK.unpack_from(transport, at)
        return number if token == self._token else None

    def _destination_port(self) -> int:
        return self.port if self.proto == UDP else 0

    def _socket(self) -> socket.socket:
        if self.proto == UDP:
            family = socket.AF_INET if self.family == 4 else socket.AF_INET6
            return socket.socket(family, socket.SOCK_DGRAM)
        return raw_socket(self.family, self.proto, kernel_header=True)

    def _source(self, sending: socket.socket) -> bytes:
        """Our address, which some checksums cover; zeros if there is no route to the target."""
        try:
            sending.connect((self.target, self._destination_port()))
        except OSError:
            return bytes(len(packed(self.target)))  # sending will say what is wrong
        return packed(sending.getsockname()[0])

    def _payload(self, number: int, source: bytes) -> bytes:
        mark = _MARK.pack(self._token, number)
        if self.shape:
            return self.shape.encode(mark, self.port, source, packed(self.target))
        mark += bytes(self.size - _MARK.size)
        if self.proto not in (ICMP, ICMPV6):
            return mark
        identifier = int.from_bytes(self._token[:2], "big")
        message = icmp.echo_request(self.family, identifier, number & 0xFFFF, mark)
        # The ICMPv6 checksum covers addresses that only the kernel knows; it fills it in.
        return icmp.encode(message, bytes(4), bytes(4))

    def _connect(self, inside: RunInNetns, number: int) -> None:
        family = socket.AF_INET if self.family == 4 else socket.AF_INET6
        with inside(lambda: socket.socket(family, socket.SOCK_STREAM)) as trying:
            trying.setblocking(False)
            code = trying.connect_ex((self.target, self.port))
            self._ports[trying.getsockname()[1]] = number
            if code and not select.select([], [trying], [], TIMEOUT)[1]:
                return
            refusal = trying.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if refusal and not trying.getsockname()[1]:
                self.refusals[number] = os.strerror(refusal)


def listener(family: int, proto: int, port: int) -> socket.socket:
    """A socket that takes what is sent to this node, so that it counts as delivered."""
    domain = socket.AF_INET if family == 4 else socket.AF_INET6
    if proto not in (TCP, UDP):
        return raw_socket(family, proto)
    kind = socket.SOCK_STREAM if proto == TCP else socket.SOCK_DGRAM
    opened = socket.socket(domain, kind)
    opened.bind(("", port))
    if proto == TCP:
        opened.listen()
    return opened
