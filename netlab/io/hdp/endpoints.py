"""The HDP client and server on this machine, or in whichever namespace they are started.

Both are generators of what happens, one event at a time, so that a caller prints, collects or
stops as it likes; closing a generator closes its sockets.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from netlab.errors import Diagnostic, InputError, LabError
from netlab.hdp.table import ClientRow
from netlab.linux import raw_socket
from netlab.wire import hdp
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from netlab.hdp.endpoint import Client, Garbage, Received, Server


class Target(NamedTuple):
    """A resolved destination and the address that packets to it come from, both as text."""

    family: int
    address: str
    source: str


def resolve(target: str, family: int | None) -> Target:
    """Where ``target``, a name or an address, is.

    ``family`` is 4, 6 or ``None`` for whatever the name has. Asking the kernel for the source
    address connects a UDP socket, which sends nothing.

    Raises:
        InputError: the name or address is unknown.
        LabError: there is no route to it.
    """
    domain = {4: socket.AF_INET, 6: socket.AF_INET6, None: socket.AF_UNSPEC}[family]
    try:
        found = socket.getaddrinfo(target, hdp.PORT, domain, socket.SOCK_DGRAM)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "an address, or a name that resolves"
        raise InputError(Diagnostic("E602", f"{target}: {reason}", hint=hint)) from None
    domain, kind, _, _, address = found[0]
    with socket.socket(domain, kind) as probe:
        try:
            probe.connect(address)
        except OSError as error:
            raise LabError(Diagnostic("E603", f"no way to {target}: {error.strerror}")) from None
        source = probe.getsockname()[0]
    version = 4 if domain == socket.AF_INET else 6
    return Target(version, str(address[0]), str(source).partition("%")[0])


def client(
    end: Client, target: Target, arguments: Sequence[int], count: int, interval: float
) -> Iterator[ClientRow]:
    """Send ``count`` datagrams for each socket argument; a row for each, failed ones too.

    ``interval`` is the pause between two datagrams in seconds.
    """
    source, destination = packed(target.source), packed(target.address.partition("%")[0])
    due = time.monotonic()
    for argument in arguments:
        try:
            tx = raw_socket.raw_socket(target.family, argument)
        except OSError as error:
            yield ClientRow(argument, False, error=_told(error))
            continue
        with tx:
            for index in range(count):
                _wait_until(due)
                due = time.monotonic() + interval
                now = time.time_ns()
                datagram = end.datagram(index, now, source, destination)
                yield _sent(tx, target, argument, datagram, now)


def _sent(tx: socket.socket, target: Target, argument: int, datagram: bytes, now: int) -> ClientRow:
    try:
        tx.sendto(datagram, (target.address, 0))
    except OSError as error:
        return ClientRow(argument, False, now, len(datagram), _told(error))
    return ClientRow(argument, True, now, len(datagram))


def _told(error: OSError) -> str:
    return f"{os.strerror(error.errno or 0)} (os error {error.errno})"


def _wait_until(due: float) -> None:
    pause = due - time.monotonic()
    if pause > 0:
        time.sleep(pause)


class Listen(NamedTuple):
    """What a server listens to: one protocol number of a family, or with ``None`` all of them.

    ``hold``: with all numbers, hold a raw socket for each too, so that the kernel answers none of
    them with ICMP "protocol unreachable". ``seconds`` bounds the time.
    """

    family: int
    protocol: int | None = None
    hold: bool = True
    seconds: float | None = None


def server(
    end: Server, listen: Listen, stop: int | None = None
) -> Generator[Received | Garbage | None]:
    """What arrives. The first item is ``None``: the sockets are open, clients may start.

    It ends when the descriptor ``stop`` becomes readable; all that had arrived by then comes first.
    """
    with contextlib.ExitStack() as stack:
        source = _everything(listen, stack) if listen.protocol is None else _one(listen, stack)
        yield None
        deadline = None if listen.seconds is None else time.monotonic() + listen.seconds
        watched = [source] if stop is None else [source, stop]
        stopping = False
        while True:
            for packet in source.take():
                event = _judged(end, listen, packet)
                if event is not None:
                    yield event
            left = None if deadline is None else deadline - time.monotonic()
            if stopping or (left is not None and left <= 0):
                return
            stopping = stop in select.select(watched, [], [], left)[0]


class _One:
    """Packets of one number, from a raw socket."""

    def __init__(self, family: int, protocol: int) -> None:
        self._socket = raw_socket.raw_socket(family, protocol)
        raw_socket.stamp_arrivals(self._socket)

    def fileno(self) -> int:
        return self._socket.fileno()

    def take(self) -> Iterator[raw_socket.Packet]:
        return raw_socket.packets(self._socket)

    def close(self) -> None:
        self._socket.close()


class _Everything:
    """Packets of every number, from a tap; those that leave are not ours to receive."""

    def __init__(self) -> None:
        self._tap = raw_socket.Tap()

    def fileno(self) -> int:
        return self._tap.fileno()

    def take(self) -> Iterator[raw_socket.Packet]:
        for frame in self._tap.frames():
            if not frame.outgoing:
                yield raw_socket.Packet(frame.time, "", frame.data)

    def close(self) -> None:
        self._tap.close()


def _one(listen: Listen, stack: contextlib.ExitStack) -> _One:
    try:
        return stack.enter_context(contextlib.closing(_One(listen.family, listen.protocol or 0)))
    except OSError as error:
        message = f"protocol {listen.protocol}: {_told(error)}"
        hint = "a raw socket receives 1 ... 255; `--protocol all` receives 0 too"
        raise InputError(Diagnostic("E604", message, hint=hint)) from None


def _everything(listen: Listen, stack: contextlib.ExitStack) -> _Everything:
    if listen.hold:
        held = [raw_socket.raw_socket(listen.family, number) for number in range(1, 256)]
        stack.enter_context(raw_socket.closing_all(held))
        for holder in held:
            # Nobody reads from it; a full small buffer makes the kernel drop the copies.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
    return stack.enter_context(contextlib.closing(_Everything()))


def _judged(end: Server, listen: Listen, packet: raw_socket.Packet) -> Received | Garbage | None:
    if listen.protocol is None:
        return None if _is_of_others(packet.data, listen.family) else end.packet(*_timed(packet))
    if listen.family == 4:
        return end.packet(*_timed(packet))
    source = packed(packet.source.partition("%")[0])
    return end.payload(packet.data, listen.protocol, packet.time, source)


def _timed(packet: raw_socket.Packet) -> tuple[bytes, int]:
    return packet.data, packet.time


def _is_of_others(data: bytes, family: int) -> bool:
    """A tap sees all the machine's traffic: what is everyday and not from port 420 is not ours."""
    if not data or data[0] >> 4 != family:
        return True
    protocol, start = (data[9:10], (data[0] & 15) * 4) if family == 4 else (data[6:7], 40)
    return protocol in _EVERYDAY and data[start : start + 2] != _PORT


_PORT = hdp.PORT.to_bytes(2, "big")
_EVERYDAY = {bytes([number]) for number in (0, 1, 2, 6, 17, 58)}
