"""The stack for outside testers: system calls and packets by messages on a Unix socket.

A tester that wants to drive a TCP brings its own packets and calls. It connects to a SOCK_SEQPACKET
socket, once for each of its threads, and sends one ASCII request in each message:

    socket DOMAIN TYPE PROTOCOL      bind FD SOCKADDR         listen FD N        accept FD
    connect FD SOCKADDR              recv FD N FLAGS          send FD N FLAGS    close FD
    shutdown FD HOW                  getsockopt FD LEVEL OPTION LENGTH
    setsockopt FD LEVEL OPTION HEX   fcntl FD COMMAND ARGUMENT
    ioctl FD REQUEST                 poll MS FD:EVENTS ...

Addresses and option values are hexadecimal, as the C structures are in memory; ``send`` sends N
zero octets. The answer is ``RET ERRNO [HEX]`` with Linux' error numbers; HEX is the peer's address
(accept), the data (recv), the value (getsockopt, ioctl), or the 16-bit revents in turn (poll). A
call that blocks, blocks its own connection only.

A connection whose first message is ``pkt`` is answered ``ok``, and carries raw IP packets both
ways from then on: it is the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from netlab.io.tcp.asyncio import stream_ended
from netlab.io.tcp.driver import Driver
from netlab.io.tcp.emulated_socket import CallError, Descriptor
from netlab.tcp.events import End, UserError
from netlab.tcp.ip import complete
from netlab.tcp.sender import NEVER
from netlab.tcp.settings import DEFAULTS, Settings
from netlab.tcp.state import CAN_SEND, SYNCHRONISED, State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from netlab.io.tcp.tun import Arrival
    from netlab.tcp.connection import Connection
    from netlab.tcp.ip import Packet
    from netlab.tcp.stack import Socket

NONBLOCK = os.O_NONBLOCK
POLLIN, POLLOUT, POLLERR, POLLHUP, POLLNVAL, POLLRDHUP = 1, 4, 8, 16, 32, 0x2000
FIONREAD, TIOCOUTQ, SIOCOUTQNSD = 0x541B, 0x5411, 0x894B
LARGEST_MESSAGE = 1 << 17


class Answer(NamedTuple):
    """What a call returned."""

    result: int
    error: int = 0
    data: bytes = b""

    def __bytes__(self) -> bytes:
        text = f"{self.result} {self.error}"
        return (f"{text} {self.data.hex()}" if self.data else text).encode()


class Server:
    """A device whose other side is a tester's connection; without one, packets are lost."""

    offload = False
    reporter = None

    def __init__(self, mtu: int) -> None:
        self.mtu = mtu
        self.addresses: list[str] = []  # every one that a packet names
        self.peer: socket.socket | None = None

    def fileno(self) -> int:
        """Of the tester's connection."""
        return self.peer.fileno() if self.peer else -1

    def read(self) -> Arrival | None:
        """Packets are pushed, not read."""
        return None

    def write(self, packet: Packet) -> None:
        """To the tester, if it takes it."""
        if self.peer is not None:
            with contextlib.suppress(OSError):
                self.peer.send(complete(packet))


class Tester:
    """Sockets, their calls, and the stack behind them.

    ``network`` is where packets for this host go to; the stack answers for all of it, so a local
    address is what the packets say. Connections that nobody bound come from its first address.
    """

    def __init__(
        self, network: str = "192.168.0.0/16", settings: Settings = DEFAULTS, mtu: int = 1500
    ) -> None:
        self.network = ipaddress.ip_network(network)
        self.wire = Server(mtu)
        self.driver = Driver(self.wire, (), settings)
        self._descriptors: dict[int, Descriptor] = {}
        self._news: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # -- connections of the tester --

    async def serve(self, path: Path, ready: Callable[[], None] = lambda: None) -> None:
        """Take connections at ``path`` until cancelled."""
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(os.fspath(path))
            try:
                listener.listen(64)
                listener.setblocking(False)
                ready()
                while True:
                    caller, _ = await loop.sock_accept(listener)
                    task = asyncio.create_task(self._serve_one(caller))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)  # noqa: PTH108 - one system call, nothing to wait for
                for task in tasks:
                    task.cancel()

    async def _serve_one(self, caller: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with caller, contextlib.suppress(ConnectionError):
            request = await loop.sock_recv(caller, LARGEST_MESSAGE)
            if request.strip() == b"pkt":
                await loop.sock_sendall(caller, b"ok")
                await self._carry(caller)
                return
            while request:
                answer = await self.answer(request.decode("latin-1"))
                await loop.sock_sendall(caller, bytes(answer))
                request = await loop.sock_recv(caller, LARGEST_MESSAGE)

    async def _carry(self, caller: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.wire.peer = caller
        self.turn()
        try:
            while packet := await loop.sock_recv(caller, LARGEST_MESSAGE):
                if self._is_ours(packet):
                    self.driver.stack.receive(packet, self.driver.now())
                    self.turn()
        finally:
            self.wire.peer = None

    def _is_ours(self, packet: bytes) -> bool:
        if len(packet) < 40:
            return False
        target = packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]
        return ipaddress.ip_address(target) in self.network

    def turn(self) -> None:
        """Send what there is to send, wake who waits, set the timer."""
        loop = asyncio.get_running_loop()
        for place in self.driver.flush():
            place.connection.take_events()
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.driver.stack.next_timer()
        self._timer = loop.call_at(deadline, self._tick) if deadline < NEVER else None

    def _tick(self) -> None:
        self.driver.tick()
        self.turn()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._news is None or self._news.done():
                self._news = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._news)

    # -- calls --

    async def answer(self, request: str) -> Answer:
        """Do one call; whatever is wrong with it, there is an answer."""
        name, *words = request.split()
        call: Callable[..., Awaitable[Answer]] | None = getattr(self, f"_do_{name}", None)
        if call is None:
            return Answer(-1, errno.ENOSYS)
        try:
            answer = await call(*words)
        except CallError as error:
            return Answer(-1, error.number)
        except (TypeError, ValueError, struct.error):
            return Answer(-1, errno.EINVAL)
        self.turn()
        return answer

    def _descriptor(self, word: str) -> Descriptor:
        found = self._descriptors.get(int(word))
        if found is None:
            raise CallError(errno.EBADF)
        return found

    def _add(self, descriptor: Descriptor) -> int:
        number = 3
        while number in self._descriptors:
            number += 1
        self._descriptors[number] = descriptor
        return number

    async def _do_socket(self, domain: str, kind: str, protocol: str) -> Answer:
        if int(domain) not in {socket.AF_INET, socket.AF_INET6}:
            raise CallError(errno.EAFNOSUPPORT)
        if int(kind) & 15 != socket.SOCK_STREAM or int(protocol) not in {0, socket.IPPROTO_TCP}:
            raise CallError(errno.EPROTONOSUPPORT)
        nonblocking = bool(int(kind) & NONBLOCK)
        settings = self.driver.stack.settings
        return Answer(self._add(Descriptor(int(domain), settings, nonblocking=nonblocking)))

    async def _do_bind(self, fd: str, address: str) -> Answer:
        one = self._descriptor(fd)
        if one.local[1] or one.place or one.listener:
            raise CallError(errno.EINVAL)
        host, port = _address(one.domain, address)
        if any(host) and ipaddress.ip_address(host) not in self.network:
            raise CallError(errno.EADDRNOTAVAIL)
        local = host if any(host) else None
        if port and any(self._conflict(one, other, local, port) for other in self._others(one)):
            raise CallError(errno.EADDRINUSE)
        one.local = local, port
        return Answer(0)

    def _others(self, one: Descriptor) -> list[Descriptor]:
        return [other for other in self._descriptors.values() if other is not one]

    def _conflict(self, one: Descriptor, other: Descriptor, host: bytes | None, port: int) -> bool:
        """True if ``other`` has this name for itself (Linux' inet_csk_bind_conflict)."""
        there, taken = other.local
        shared = one.reuses and other.reuses and other.listener is None
        return taken == port and not shared and (host is None or there in {None, host})

    async def _do_listen(self, fd: str, backlog: str) -> Answer:
        one = self._descriptor(fd)
        if one.place:
            raise CallError(errno.EINVAL)
        if one.listener is None:
            host, port = one.local
            try:
                one.listener = self.driver.stack.listen(
                    port, host, max(int(backlog), 1), one.settings
                )
            except UserError:
                raise CallError(errno.EADDRINUSE) from None
        return Answer(0)

    async def _do_accept(self, fd: str) -> Answer:
        one = self._descriptor(fd)
        listener = one.listener
        if listener is None:
            raise CallError(errno.EINVAL)
        if one.nonblocking and not listener.ready:
            raise CallError(errno.EAGAIN)
        await self._until(lambda: bool(listener.ready) or one.listener is None)
        place = listener.accept()
        if place is None:
            raise CallError(errno.EBADF)
        accepted = Descriptor(one.domain, one.settings, nonblocking=False)
        accepted.place = place
        envelope = place.envelope
        return Answer(
            self._add(accepted), 0, _sockaddr(one.domain, envelope.remote, envelope.remote_port)
        )

    async def _do_connect(self, fd: str, address: str) -> Answer:
        one = self._descriptor(fd)
        if one.listener is not None:
            raise CallError(errno.EISCONN)
        if one.place is not None:
            if one.core.state is State.SYN_SENT:
                raise CallError(errno.EALREADY)
            if not one.connecting:
                raise CallError(errno.EISCONN)
            return self._connected(one)
        host, port = _address(one.domain, address)
        local, local_port = one.local
        local = local or self.network[1].packed
        if len(local) != len(host):
            raise CallError(errno.ENETUNREACH)
        try:
            one.place = self.driver.stack.connect(
                host,
                port,
                self.driver.now(),
                local=local,
                local_port=local_port,
                settings=one.settings,
            )
        except UserError as error:
            used = "exists" in str(error)
            raise CallError(errno.EADDRNOTAVAIL if used else errno.ENETUNREACH) from None
        self.turn()
        if one.nonblocking:
            one.connecting = True
            raise CallError(errno.EINPROGRESS)
        core = one.core
        await self._until(lambda: core.end is not None or core.state is not State.SYN_SENT)
        return self._connected(one)

    def _connected(self, one: Descriptor) -> Answer:
        """How a connect ended; a socket that it failed for is as new."""
        one.connecting = False
        try:
            self._raise_end(one)
        except CallError:
            one.place, one.error_told = None, False
            raise
        return Answer(0)

    async def _do_recv(self, fd: str, count: str, flags: str) -> Answer:
        one, bits = self._descriptor(fd), int(flags)
        core = one.core
        wanted = int(count) if bits & socket.MSG_WAITALL else 1
        if not (one.nonblocking or bits & socket.MSG_DONTWAIT):
            await self._until(lambda: core.receiver.waiting >= wanted or one.deaf or _over(core))
        if not core.receiver.waiting:
            if not (one.deaf or _over(core)):
                raise CallError(errno.EAGAIN)
            fin = core.receiver.fin
            if fin is not None and core.receiver.nxt > fin:
                return Answer(0)  # the end of the stream came before the end of the connection
            self._raise_end(one)
            if core.end is End.REFUSED:
                raise CallError(errno.ENOTCONN)
            return Answer(0)
        if bits & socket.MSG_PEEK:
            data = core.receiver.peek(int(count))
        else:
            data = b"".join(core.recv(int(count)))
            self.driver.stack.mark_dirty(self._place(one))
        return Answer(len(data), 0, data)

    async def _do_send(self, fd: str, count: str, flags: str) -> Answer:
        one, bits = self._descriptor(fd), int(flags)
        if one.place is None:
            raise CallError(errno.EPIPE)
        core, data = one.core, memoryview(bytes(int(count)))
        sent = 0
        while True:
            self._raise_end(one)
            if core.state not in CAN_SEND:
                raise CallError(errno.EPIPE)
            if core.state in SYNCHRONISED:
                core.sender.more = bool(bits & socket.MSG_MORE)
                sent += core.send(data[sent:], urgent=bool(bits & socket.MSG_OOB))
                self.driver.stack.mark_dirty(self._place(one))
                self.turn()
            if sent == len(data):
                return Answer(sent)
            if one.nonblocking or bits & socket.MSG_DONTWAIT:
                if sent:
                    return Answer(sent)
                raise CallError(errno.EAGAIN)
            await self._until(
                lambda: (
                    core.end is not None
                    or (core.state is not State.SYN_SENT and core.sender.room > 0)
                )
            )

    async def _do_shutdown(self, fd: str, how: str) -> Answer:
        one = self._descriptor(fd)
        if int(how) not in {socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR}:
            raise CallError(errno.EINVAL)
        core = one.core
        if core.state in CAN_SEND and int(how) != socket.SHUT_RD:
            core.close(self.driver.now())
        elif core.end is not None or core.state is State.TIME_WAIT:
            raise CallError(errno.ENOTCONN)
        if int(how) != socket.SHUT_WR:
            one.deaf = True
        self.driver.stack.mark_dirty(self._place(one))
        return Answer(0)

    async def _do_close(self, fd: str) -> Answer:
        one = self._descriptor(fd)
        del self._descriptors[int(fd)]
        if one.listener is not None:
            self.driver.stack.unlisten(one.listener)
            one.listener = None
        if one.place is not None:
            core = one.core
            if one.linger == 0:
                core.abort()
            else:
                if core.state in CAN_SEND:
                    core.close(self.driver.now())
                core.desert(self.driver.now())
            self.driver.stack.mark_dirty(one.place)
        return Answer(0)

    async def _do_getsockopt(self, fd: str, level: str, option: str, length: str) -> Answer:
        value = self._descriptor(fd).option(int(level), int(option))
        return Answer(0, 0, value[: int(length)])

    async def _do_setsockopt(self, fd: str, level: str, option: str, text: str) -> Answer:
        one = self._descriptor(fd)
        one.set_option(int(level), int(option), bytes.fromhex(text))
        if one.place is not None:
            one.core.configure(one.settings, self.driver.now())
            self.driver.stack.mark_dirty(one.place)
        return Answer(0)

    async def _do_fcntl(self, fd: str, command: str, argument: str) -> Answer:
        one = self._descriptor(fd)
        match int(command):
            case 1 | 2:  # F_GETFD, F_SETFD
                return Answer(0)
            case 3:  # F_GETFL
                return Answer(os.O_RDWR | (NONBLOCK if one.nonblocking else 0))
            case 4:  # F_SETFL
                one.nonblocking = bool(int(argument) & NONBLOCK)
                return Answer(0)
        raise CallError(errno.EINVAL)

    async def _do_ioctl(self, fd: str, request: str) -> Answer:
        one = self._descriptor(fd)
        asked = int(request, 0)
        if asked not in {FIONREAD, TIOCOUTQ, SIOCOUTQNSD}:
            raise CallError(errno.ENOTTY)
        if one.listener is not None:
            raise CallError(errno.EINVAL)
        number = 0
        if one.place is not None:
            core = one.core
            if asked == FIONREAD:
                number = core.receiver.waiting
            elif asked == TIOCOUTQ:
                number = len(core.sender.buffer)
            else:
                number = max(core.sender.end - core.sender.nxt, 0)
        return Answer(0, 0, struct.pack("=i", number))

    async def _do_poll(self, milliseconds: str, *words: str) -> Answer:
        asked = [tuple(map(int, word.split(":"))) for word in words]

        def ready() -> list[int]:
            return [self._events(fd, wanted) for fd, wanted in asked]

        timeout = int(milliseconds)
        if timeout:
            limit = None if timeout < 0 else timeout / 1000
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await self._until(lambda: any(ready()))
        found = ready()
        return Answer(sum(map(bool, found)), 0, struct.pack(f"={len(found)}H", *found))

    def _events(self, fd: int, wanted: int) -> int:
        one = self._descriptors.get(fd)
        if one is None:
            return POLLNVAL
        if one.listener is not None:
            return wanted & POLLIN if one.listener.ready else 0
        if one.place is None:
            return POLLHUP | wanted & POLLOUT
        core, found = one.core, 0
        over = one.deaf or _over(core)
        said_all = core.sender.fin or core.end is not None
        if core.receiver.waiting or over:
            found |= POLLIN
        if over:
            found |= POLLRDHUP
        if over and said_all:
            found |= POLLHUP
        if one.error:
            found |= POLLERR
        if said_all or (core.state in SYNCHRONISED and core.sender.room):
            found |= POLLOUT
        return found & (wanted | POLLERR | POLLHUP)

    # -- helpers --

    def _place(self, one: Descriptor) -> Socket:
        assert one.place is not None
        return one.place

    def _raise_end(self, one: Descriptor) -> None:
        """The error of a connection that broke, reported once, as Linux does."""
        if error := one.error:
            one.error_told = True
            raise CallError(error)


def _over(core: Connection) -> bool:
    """True if a reader need not wait: the stream has ended, in whatever way."""
    try:
        return stream_ended(core)
    except OSError:
        return True


def _address(domain: int, text: str) -> tuple[bytes, int]:
    """Address and port of a ``struct sockaddr_in`` or ``sockaddr_in6``."""
    octets = bytes.fromhex(text)
    (family,) = struct.unpack_from("=H", octets)
    if family != domain:
        raise CallError(errno.EAFNOSUPPORT)
    (port,) = struct.unpack_from("!H", octets, 2)
    host = octets[4:8] if domain == socket.AF_INET else octets[8:24]
    if len(host) != (4 if domain == socket.AF_INET else 16):
        raise CallError(errno.EINVAL)
    return host, port


def _sockaddr(domain: int, host: bytes, port: int) -> bytes:
    head = struct.pack("=H", domain) + struct.pack("!H", port)
    return head + (host + bytes(8) if domain == socket.AF_INET else bytes(4) + host + bytes(4))
