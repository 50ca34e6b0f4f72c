"""Probe packets: how they are made, and how they are recognized among all others.

Each carries four random octets and its number, right after the transport header, where every
witness sees it. TCP cannot carry anything in its first segment: there it is a connection that is
tried, known by its source port.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from netlab.errors import Diagnostic, InputError
from netlab.linux.raw_socket import raw_socket
from netlab.wire import icmp
from netlab.wire.address import packed
from netlab.wire.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netlab.wire.shapes import Shape

T = TypeVar("T")

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
PORT = 33434
"""A port without a listener: traceroute's."""

LEAST = 8
"""Octets of payload: the mark."""

TIMEOUT = 1.0
"""Seconds for a TCP connection to be made or refused."""

IP_PKTINFO = 8
_V6_PKTINFO = (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO)

_MARK = struct.Struct("!4sI")


class RunInNetns(Protocol):
    """Runs an action in the sender's network namespace."""

    def __call__(self, action: Callable[[], T], /) -> T:
        """The result of ``action``."""


SIZE = 32
"""Octets of payload where nobody wants another number."""

_SHAPED = {shape.protocol: shape for shape in (SHAPES["dccp"], SHAPES["udp-lite"])}


class Probes:
    """``count`` packets of ``size`` octets of payload to ``target``, an address in text form.

    With a ``shape`` of its protocol each looks like that transport's first packet; ``size`` is
    then the shape's affair. DCCP and UDP-Lite have their own shapes where no ``size`` is wanted.
    """

    def __init__(
        self,
        target: str,
        proto: int,
        *,
        port: int = PORT,
        count: int = 1,
        size: int = SIZE,
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
        # The kernel and conntrack read the headers of these two: what is not one is dropped, or
        # passes a NAT untranslated, and says nothing of the protocol.
        self.shape = shape or (_SHAPED.get(proto) if size == SIZE else None)
        self.refusals: dict[int, str] = {}
        """What the sender's kernel said instead of sending, by number from 1."""
        self._token = os.urandom(4)
        self._answer_token = bytes(octet ^ 0xFF for octet in self._token)
        self._ports: dict[int, int] = {}

    def send(self, inside: RunInNetns, held: ExitStack | None = None) -> None:
        """Send them all, one after the other.

        Their sockets close when ``held`` does, so that answers find them open; without it at once.
        """
        with ExitStack() as closing:
            held = held or closing
            if self.proto == TCP:
                for number in range(1, self.count + 1):
                    self._connect(held.enter_context(inside(self._tcp_socket)), number)
                return
            sending = held.enter_context(inside(self._socket))
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
        return self._marked(transport, self._token)

    def number_of_answer(self, transport: bytes) -> int | None:
        """Which of the probes an answer is to, if it has the mark of a ``Responder``."""
        return self._marked(transport, self._answer_token)

    def answer(self, received: bytes) -> bytes | None:
        """The payload that answers the payload of a probe; ``None`` if it is not one of these."""
        if len(received) < _MARK.size or not received.startswith(self._token):
            return None
        return self._answer_token + received[len(self._token) :]

    def _marked(self, transport: bytes, expected: bytes) -> int | None:
        proto = self.proto
        at = self.shape.mark_at if self.shape else {UDP: 8, ICMP: 8, ICMPV6: 8}.get(proto, 0)
        if len(transport) < at + _MARK.size:
            return None
        token, number = _MARK.unpack_from(transport, at)
        return number if token == expected else None

    def _destination_port(self) -> int:
        return self.port if self.proto == UDP else 0

    def _socket(self) -> socket.socket:
        if self.proto == UDP:
            opened = socket.socket(self._domain, socket.SOCK_DGRAM)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            return opened
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

    @property
    def _domain(self) -> int:
        return socket.AF_INET if self.family == 4 else socket.AF_INET6

    def _tcp_socket(self) -> socket.socket:
        return socket.socket(self._domain, socket.SOCK_STREAM)

    def _connect(self, trying: socket.socket, number: int) -> None:
        trying.setblocking(False)
        code = trying.connect_ex((self.target, self.port))
        if code not in (0, errno.EINPROGRESS):
            self.refusals[number] = os.strerror(code)
            return
        self._ports[trying.getsockname()[1]] = number
        if code:
            select.select([], [trying], [], TIMEOUT)


class Responder:
    """Answers each probe that a socket receives, from the address that it was sent to.

    A server that speaks TCP needs none: the kernel answers for it.
    """

    def __init__(self, probes: Probes, receiving: socket.socket) -> None:
        self.refusal = ""
        """What the receiver's kernel said instead of sending an answer."""
        self._probes = probes
        self._socket = receiving
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        four = self._probes.family == 4
        level, option = (socket.IPPROTO_IP, IP_PKTINFO) if four else _V6_PKTINFO
        self._socket.setsockopt(level, option, 1)
        self._socket.setblocking(False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.close()
        self._thread.join()
        self._stopped.close()

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._socket, self._stopped], [], [])
            if self._stopped in ready:
                return
            self._answer()

    def _answer(self) -> None:
        try:
            received, ancillary, _, sender = self._socket.recvmsg(1 << 16, 256)
        except OSError:
            return  # an ICMP error that came for an answer
        if self._probes.family == 4 and self._probes.proto != UDP:
            received = received[(received[0] & 15) * 4 :]
        answer = self._probes.answer(received)
        if answer is None:
            return
        try:
            self._socket.sendmsg([answer], _from_there(ancillary), 0, sender)
        except OSError as error:
            self.refusal = os.strerror(error.errno or 0)


def _from_there(ancillary: Iterable[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """Ancillary data that sends from the address to which something was sent (ip(7), ipv6(7))."""
    found = []
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            # struct in_pktinfo: interface, local address (sent from), destination of the header
            found.append((level, kind, struct.pack("=I4s4s", 0, data[4:8], bytes(4))))
        elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            found.append((level, kind, data))
    return found


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
