"""Sockets in the nodes of a lab, and a way to know that nothing is under way any more.

All probing is done on one CPU: there, Linux carries packets from socket to socket in order, so
that once a later packet has gone the same way an earlier one is either there or nowhere.
"""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.lab.lab import Lab

SECONDS = 5.0
"""How long to wait for what must come."""


class Probe:
    """Opens sockets in the nodes of ``lab``; all are closed at the end of a ``with`` block."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._open:
            each.close()

    def open(
        self, node: str, kind: int, protocol: int = 0, at: tuple[str, int] | None = None
    ) -> socket.socket:
        """A socket in a node, bound if ``at`` is given; several may have one address."""
        family = socket.AF_INET6 if at and ":" in at[0] else socket.AF_INET
        made = self.lab[node].socket(family, kind, protocol)
        self._open.append(made)
        made.settimeout(SECONDS)
        if at is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            made.bind(at)
        return made

    def keep(self, opened: socket.socket) -> None:
        """Close this one, too, at the end."""
        self._open.append(opened)

    def udp(self, node: str, address: str = "", port: int = 0) -> socket.socket:
        """A UDP socket."""
        return self.open(node, socket.SOCK_DGRAM, 0, (address, port))

    def settle(self, *way: tuple[str, str]) -> None:
        """Send a datagram along each step of ``way``: to a (node, address), from the one before.

        When it is there, all that was sent that way before is there, too, or will never be.
        """
        for (sender, _), (receiver, address) in pairwise(way):
            with Probe(self.lab) as pair:
                far = pair.udp(receiver, address)
                pair.udp(sender, "::" if ":" in address else "").sendto(b"", far.getsockname())
                far.recv(1)


def drain(receiver: socket.socket) -> list[tuple[bytes, Any]]:
    """All that has arrived, with where from."""
    receiver.setblocking(False)
    found = []
    try:
        while True:
            found.append(receiver.recvfrom(65_535))
    except BlockingIOError:
        pass
    finally:
        receiver.settimeout(SECONDS)
    return found


def answer(ask: Callable[..., Any], *about: object) -> Any:
    """The result of a probe; ``None`` if there is none, which no declaration matches."""
    try:
        return ask(*about)
    except (OSError, subprocess.CalledProcessError):
        return None


@contextmanager
def one_cpu() -> Iterator[None]:
    """Keep the calling thread on one CPU."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
