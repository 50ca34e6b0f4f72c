"""Many echo requests at once, each from a node of its choice, and which of them are answered."""

from __future__ import annotations

import os
import select
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from netlab.linux.raw_socket import raw_socket
from netlab.wire import Malformed, icmp

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from netlab.io.probes import RunInNetns

_LARGEST = 65_536


class Ask(NamedTuple):
    """An echo request from the node ``sender`` to ``address``."""

    sender: str
    address: str


def ask(
    asks: Sequence[Ask], inside: Callable[[str], RunInNetns], timeout: float
) -> dict[Ask, str | None]:
    """Send one request for each; ``None`` for an answer, else why there is none.

    All must be of one IP version. ``inside`` gives what runs an action in a node. The wait ends
    when all are answered, or ``timeout`` seconds after the last request. Empty text means that no
    answer came; otherwise it is what the sender's kernel said instead of sending.
    """
    token = os.urandom(8)
    found: dict[Ask, str | None] = dict.fromkeys(asks, "")
    with ExitStack() as stack:
        sockets = {}
        for sender in dict.fromkeys(one.sender for one in asks):
            opened = inside(sender)(lambda: _socket(":" in asks[0].address))
            sockets[sender] = stack.enter_context(opened)
        numbers: dict[str, dict[int, Ask]] = {sender: {} for sender in sockets}
        for number, one in enumerate(asks):
            numbers[one.sender][number] = one
            # Half of all answers may be waiting before the last request has left.
            _receive(sockets[one.sender], token, numbers[one.sender], found)
            try:
                sockets[one.sender].sendto(_request(one, number, token), (one.address, 0))
            except OSError as error:
                found[one] = error.strerror or str(error)
        waiting = {opened.fileno(): sender for sender, opened in sockets.items()}
        poll = select.poll()
        for fd in waiting:
            poll.register(fd, select.POLLIN)
        end = time.monotonic() + timeout
        while "" in found.values() and (left := end - time.monotonic()) > 0:
            for fd, _ in poll.poll(left * 1000):
                sender = waiting[fd]
                _receive(sockets[sender], token, numbers[sender], found)
    return found


def _socket(six: bool) -> socket.socket:  # noqa: FBT001
    return raw_socket(6 if six else 4, icmp.PROTOCOL_V6 if six else icmp.PROTOCOL)


def _request(one: Ask, number: int, token: bytes) -> bytes:
    version = 6 if ":" in one.address else 4
    body = token + number.to_bytes(4, "big")
    identifier = int.from_bytes(token[:2], "big")
    message = icmp.echo_request(version, identifier, number & 0xFFFF, body)
    # The checksum of ICMPv6 covers addresses that only the kernel knows; it fills it in.
    return icmp.encode(message, bytes(4), bytes(4))


def _receive(
    opened: socket.socket, token: bytes, numbers: dict[int, Ask], found: dict[Ask, str | None]
) -> None:
    """Note all answers that wait at a socket."""
    while True:
        try:
            octets, sender = opened.recvfrom(_LARGEST)
        except BlockingIOError:
            return
        except OSError:
            continue  # an ICMP error is reported once and says nothing about the next packet
        # IPv4 sockets deliver the header, too (raw(7)).
        start = 0 if ":" in sender[0] else (octets[0] & 0xF) * 4
        try:
            message = icmp.parse(octets[start:])
        except Malformed:
            continue
        if message.type in (icmp.ECHO_REPLY, icmp.V6_ECHO_REPLY) and message.body[:8] == token:
            one = numbers.get(int.from_bytes(message.body[8:12], "big"))
            if one:
                found[one] = None
