"""How long a datagram takes from one program to another, HDP against UDP, interleaved.

One datagram is under way at a time. The listener is a process of its own, as a real server is: it
wakes up, looks at the clock, and reports to the sender through a pipe, which then sends the next.
The kinds take turns, and who begins changes from round to round, so that whatever else the machine
does falls on all of them alike.

Run as a program it is the listener: ``python -m netlab.io.hdp.latency FAMILY``.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from netlab.errors import Diagnostic, LabError
from netlab.linux import raw_socket
from netlab.wire import hdp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROTOCOL = 253
SMALL, SEGMENT = 32, 1448
"""Octets after the header: a short message, and what a full TCP segment carries (RFC 7323)."""

_TIME = struct.Struct("!Q")
_WAIT = 5.0


class Kind(NamedTuple):
    """One kind of datagram; ``fresh``: from a socket that is made for it, as the original does."""

    name: str
    transport: str
    size: int
    fresh: bool = False


KINDS = (
    Kind("UDP, 32 octets", "udp", SMALL),
    Kind("HDP, 32 octets", "hdp", SMALL),
    Kind("UDP, 32 octets, a new socket each", "udp", SMALL, fresh=True),
    Kind("HDP, 32 octets, a new socket each", "hdp", SMALL, fresh=True),
    Kind("UDP, 1448 octets", "udp", SEGMENT),
    Kind("HDP, 1448 octets", "hdp", SEGMENT),
)


def listen(family: int) -> None:
    """Tell on standard output when each datagram of either transport arrived, until it closes."""
    domain = socket.AF_INET if family == 4 else socket.AF_INET6
    with (
        raw_socket.raw_socket(family, PROTOCOL) as of_hdp,
        socket.socket(domain, socket.SOCK_DGRAM) as of_udp,
    ):
        of_udp.bind(("", hdp.PORT))
        of_udp.setblocking(False)
        waiting = select.poll()
        for receiver in of_hdp, of_udp:
            waiting.register(receiver, select.POLLIN)
        waiting.register(sys.stdin, select.POLLIN)
        os.write(1, _TIME.pack(0))
        while True:
            for fd, _ in waiting.poll():
                now = time.time_ns()
                if fd == sys.stdin.fileno():
                    return  # the sender has gone
                receiver = of_hdp if fd == of_hdp.fileno() else of_udp
                receiver.recv(65_536)
                os.write(1, _TIME.pack(now))


def measure(
    family: int, target: str, reports: int, rounds: int, kinds: Sequence[Kind] = KINDS
) -> dict[str, list[int]]:
    """Nanoseconds of each datagram by the kind's name; ``reports`` is the listener's output.

    Runs in the sender's namespace. ``LabError`` if the listener hears nothing for five seconds.
    """
    _await(reports)  # it is listening
    found: dict[str, list[int]] = {kind.name: [] for kind in kinds}
    with contextlib.ExitStack() as stack:
        send = {kind: stack.enter_context(_sender(kind, family, target)) for kind in kinds}
        for turn in range(rounds):
            first = turn % len(kinds)
            for kind in (*kinds[first:], *kinds[:first]):
                sent = send[kind]()
                found[kind.name].append(_await(reports) - sent)
    return found


def _await(reports: int) -> int:
    if not select.select([reports], [], [], _WAIT)[0]:
        raise LabError(Diagnostic("E615", "a datagram did not arrive", hint="netlab hdp sweep"))
    (moment,) = _TIME.unpack(os.read(reports, _TIME.size).ljust(_TIME.size, b"\0"))
    return int(moment)


@contextlib.contextmanager
def _sender(kind: Kind, family: int, target: str) -> Iterator[Callable[[], int]]:
    """A function that sends one datagram and returns the time before it did."""
    domain = socket.AF_INET if family == 4 else socket.AF_INET6
    data = bytes(kind.size)
    to = (target, hdp.PORT if kind.transport == "udp" else 0)

    def tx() -> socket.socket:
        if kind.transport == "udp":
            return socket.socket(domain, socket.SOCK_DGRAM)
        return raw_socket.raw_socket(family, PROTOCOL)

    def octets(now: int) -> bytes:
        # Both carry the same but for their own header, which is made new for each.
        header = hdp.encode(hdp.Header(now), data)
        return header if kind.transport == "hdp" else header[hdp.HEADER_LENGTH :]

    def fresh() -> int:
        now = time.time_ns()
        with tx() as opened:
            opened.sendto(octets(now), to)
        return now

    if kind.fresh:
        yield fresh
        return
    with tx() as kept:

        def again() -> int:
            now = time.time_ns()
            kept.sendto(octets(now), to)
            return now

        yield again


if __name__ == "__main__":
    listen(int(sys.argv[1]))
