"""TCP connections for asyncio, on a userspace stack behind a TUN device.

    async with TcpStack(tun) as tcp:
        listener = await tcp.listen(80)
        connection = await listener.accept()
        request = await connection.read()
        await connection.write(request.upper())
        await connection.close()

The stack runs inside the event loop: no thread, no lock. All of TCP itself is in
``netlab.tcp``; this file only waits.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from netlab.io.tcp.driver import Driver
from netlab.tcp.events import CLOSED, CONNECTED, PEER_CLOSED, READABLE, WRITABLE, End, UserError
from netlab.tcp.sender import NEVER
from netlab.tcp.settings import DEFAULTS, Settings
from netlab.tcp.state import CAN_SEND, State
from netlab.wire.address import packed, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from types import TracebackType

    from netlab.io.tcp.driver import Device
    from netlab.tcp.connection import Connection
    from netlab.tcp.stack import Listener, Socket
    from netlab.wire import Buffer

READ_SIZE = 1 << 18
HIGH_WATER = 1 << 18  # octets

_FAILURES = {
    End.RESET: ConnectionResetError,
    End.REFUSED: ConnectionRefusedError,
    End.ABORTED: ConnectionAbortedError,
    End.TIMED_OUT: TimeoutError,
    End.UNREACHABLE: OSError,
}


def failure(core: Connection) -> OSError:
    """The exception that says how a connection ended."""
    if core.end is None or core.end is End.NORMAL:
        return BrokenPipeError("connection closing")
    return _FAILURES[core.end](core.trouble or core.end.value)


def stream_ended(core: Connection) -> bool:
    """True when nothing more will come; raises if the stream was cut."""
    if core.end is not None and core.end is not End.NORMAL:
        raise failure(core)
    fin = core.receiver.fin
    return core.end is not None or (fin is not None and core.receiver.nxt > fin)


class TcpConnection:
    """One connection: a stream of octets each way.

    ``local`` and ``remote`` are (address, port). Errors are Python's own: ``ConnectionResetError``
    and its like, ``TimeoutError``.
    """

    def __init__(self, stack: TcpStack, place: Socket) -> None:
        self._stack = stack
        self._place = place
        self._readable: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        place.user = self

    @property
    def core(self) -> Connection:
        """The connection itself, with its state and its variables."""
        return self._place.connection

    @property
    def local(self) -> tuple[str, int]:
        """The address and port on this side."""
        return text(self._place.envelope.local), self._place.envelope.local_port

    @property
    def remote(self) -> tuple[str, int]:
        """The peer's address and port."""
        return text(self._place.envelope.remote), self._place.envelope.remote_port

    # -- reading --

    async def read(self, limit: int = READ_SIZE) -> bytes:
        """What has come, at least one octet and at most ``limit``; ``b""`` at the end."""
        return b"".join(await self.read_pieces(limit))

    async def read_pieces(self, limit: int = 1 << 62) -> list[Buffer]:
        """As ``read``, in the pieces in which it came and without copying; ``[]`` at the end."""
        core = self.core
        while not core.receiver.waiting and not stream_ended(core):
            await self.news()
        pieces = core.recv(limit)
        if core.ack_due:
            self._stack.wake(self._place)
        return pieces

    async def readexactly(self, count: int) -> bytes:
        """``count`` octets.

        Raises:
            asyncio.IncompleteReadError: the stream ended before.
        """
        pieces: list[Buffer] = []
        missing = count
        while missing:
            news = await self.read_pieces(missing)
            if not news:
                raise asyncio.IncompleteReadError(b"".join(pieces), count)
            pieces += news
            missing -= sum(map(len, news))
        return b"".join(pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data

    # -- writing --

    async def write(self, data: Buffer) -> None:
        """Send all of ``data``; returns when the last octet is in the send buffer."""
        view = memoryview(data)
        core = self.core
        while True:
            try:
                taken = core.send(view)
            except UserError:
                raise failure(self.core) from None
            self._stack.wake(self._place)
            if taken == len(view):
                if len(core.sender.buffer) > HIGH_WATER:
                    await asyncio.sleep(0)  # room for one writer must not starve the others
                return
            view = view[taken:]
            while not core.sender.room and core.end is None:
                self._writable = self._future(self._writable)
                await self._writable

    async def write_eof(self) -> None:
        """Send FIN after what was written; the peer may go on sending."""
        try:
            self.core.close(self._stack.driver.now())
        except UserError:
            raise failure(self.core) from None
        self._stack.wake(self._place)

    async def close(self) -> None:
        """Close both directions; what was written is still delivered, by and by."""
        core = self.core
        now = self._stack.driver.now()
        if core.state in CAN_SEND:
            core.close(now)
        core.desert(now)
        self._stack.wake(self._place)

    def abort(self) -> None:
        """End it at once; the peer gets an RST."""
        self.core.abort()
        self._stack.wake(self._place)

    async def closed(self) -> None:
        """Wait until the connection is gone, or only TIME-WAIT is left of it."""
        while self.core.end is None and self.core.state is not State.TIME_WAIT:
            await self.news()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.close()
        else:
            self.abort()

    # -- for the stack --

    async def news(self) -> None:
        """Wait until data, the peer's FIN or the end has come."""
        self._readable = self._future(self._readable)
        await self._readable

    def _future(self, present: asyncio.Future[None] | None) -> asyncio.Future[None]:
        if present is None or present.done():
            return self._stack.loop.create_future()
        return present

    def wake(self, events: int) -> None:
        """Something happened: whoever waits for it goes on."""
        if self._readable and events & _READER and not self._readable.done():
            self._readable.set_result(None)
        if self._writable and events & _WRITER and not self._writable.done():
            core = self.core
            # Not for each octet of room: a writer in bulk fills a good part of the buffer at once.
            if core.end is not None or core.sender.room * 3 >= core.sender.capacity:
                self._writable.set_result(None)


_READER = READABLE | PEER_CLOSED | CLOSED | CONNECTED
_WRITER = WRITABLE | CLOSED


class TcpListener:
    """A port that takes connections: ``accept`` them, or iterate over it."""

    def __init__(self, stack: TcpStack, listener: Listener) -> None:
        self._stack = stack
        self._listener = listener
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def port(self) -> int:
        """The port, which the stack has chosen if it was asked for port 0."""
        return self._listener.port

    async def accept(self) -> TcpConnection:
        """The next connection."""
        while (place := self._listener.accept()) is None:
            future = self._stack.loop.create_future()
            self._waiting.append(future)
            await future
        return TcpConnection(self._stack, place)

    async def __aiter__(self) -> AsyncIterator[TcpConnection]:
        while True:
            yield await self.accept()

    def wake(self) -> None:
        """A connection waits."""
        while self._waiting:
            future = self._waiting.pop(0)
            if not future.done():
                future.set_result(None)
                return

    async def close(self) -> None:
        """Take no more connections."""
        self._stack.unlisten(self._listener)


class TcpStack:
    """A TCP/IP host with addresses of its own, inside the running event loop.

    ``device`` is a ``Tun`` or something like it, and stays the caller's to close. ``addresses``,
    as text, are by default those that are routed to the device.
    """

    def __init__(
        self,
        device: Device,
        addresses: Iterable[str] | None = None,
        settings: Settings = DEFAULTS,
    ) -> None:
        self.driver = Driver(device, addresses, settings)
        self.addresses = [text(address) for address in self.driver.stack.addresses]
        self.on_state: Callable[[str, str, str], None] | None = None
        """Called with both ends and the new state of each connection that changed its state."""
        self._states: dict[Socket, State] = {}
        self._listeners: dict[Listener, TcpListener] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._flush_due = False

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        self.loop.add_reader(self.driver.device.fileno(), self._on_packets)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Reset what is still open, and let go of the device."""
        for place in self.driver.stack.places():
            place.connection.abort()
            self.driver.stack.mark_dirty(place)
        self._flush()
        self.loop.remove_reader(self.driver.device.fileno())
        if self._timer:
            self._timer.cancel()

    # -- the user's calls --

    async def listen(
        self,
        port: int,
        address: str | None = None,
        *,
        backlog: int = 128,
        settings: Settings | None = None,
    ) -> TcpListener:
        """Take connections to ``port``, on all addresses of the stack or on one."""
        where = None if address is None else packed(address)
        listener = self.driver.stack.listen(port, where, backlog, settings)
        shell = self._listeners[listener] = TcpListener(self, listener)
        return shell

    def unlisten(self, listener: Listener) -> None:
        """Undo ``listen``."""
        self._listeners.pop(listener, None)
        self.driver.stack.unlisten(listener)
        self._flush()

    async def connect(
        self,
        address: str,
        port: int,
        *,
        local: str | None = None,
        local_port: int = 0,
        settings: Settings | None = None,
    ) -> TcpConnection:
        """Open a connection; returns when it is established."""
        place = self.driver.stack.connect(
            packed(address),
            port,
            self.driver.now(),
            local=None if local is None else packed(local),
            local_port=local_port,
            settings=settings,
        )
        connection = TcpConnection(self, place)
        self._flush()
        core = place.connection
        try:
            while core.end is None and core.state is State.SYN_SENT:
                await connection.news()
        except asyncio.CancelledError:
            connection.abort()
            raise
        if core.end is not None:
            raise failure(core)
        return connection

    # -- the loop --

    def wake(self, place: Socket) -> None:
        """A method of this place's connection was called: send what follows from it, soon.

        What one task does in one go leaves together: the end of an answer, and the FIN.
        """
        self.driver.stack.mark_dirty(place)
        if not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self._flush)

    def _on_packets(self) -> None:
        self.driver.receive_all()
        self._flush()

    def _on_timer(self) -> None:
        self._timer_at = NEVER
        self.driver.tick()
        self._flush()

    def _tell_states(self) -> None:
        """Look at all states: slow, and only for those who asked."""
        assert self.on_state is not None
        present = {place: place.connection.state for place in self.driver.stack.places()}
        gone = dict.fromkeys(self._states.keys() - present.keys(), State.CLOSED)
        for place, state in (present | gone).items():
            if self._states.get(place) is not state:
                envelope = place.envelope
                local = f"{text(envelope.local)}.{envelope.local_port}"
                remote = f"{text(envelope.remote)}.{envelope.remote_port}"
                self.on_state(local, remote, state.value)
        self._states = present

    def _flush(self) -> None:
        self._flush_due = False
        if self.on_state is not None:
            self._tell_states()
        for place in self.driver.flush():
            connection = place.connection
            user = place.user
            if isinstance(user, TcpConnection):
                user.wake(connection.take_events())
            elif place.listener is not None and connection.events & CONNECTED:
                connection.take_events()
                shell = self._listeners.get(place.listener)
                if shell is not None:
                    shell.wake()
        deadline = self.driver.stack.next_timer()
        if deadline < self._timer_at:
            if self._timer:
                self._timer.cancel()
            self._timer_at = deadline
            self._timer = self.loop.call_at(deadline, self._on_timer)
