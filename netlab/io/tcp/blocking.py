"""The same stack without asyncio: each call waits, and turns the stack while it waits.

    with BlockingStack(tun) as tcp:
        connection = tcp.listen(7).accept()
        while data := connection.read():
            connection.write(data)
        connection.close()

For teaching, and where nothing but one conversation goes on: between two calls nothing happens, so
a program that computes for long answers nobody meanwhile. One thread only.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Self

from netlab.io.tcp.asyncio import failure, stream_ended
from netlab.io.tcp.driver import Driver
from netlab.tcp.events import UserError
from netlab.tcp.sender import NEVER
from netlab.tcp.settings import DEFAULTS, Settings
from netlab.tcp.state import CAN_SEND, State
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from netlab.io.tcp.driver import Device
    from netlab.tcp.stack import Listener, Socket
    from netlab.wire import Buffer

READ_SIZE = 1 << 18


class BlockingConnection:
    """One connection; the errors are Python's own, as of a socket."""

    def __init__(self, stack: BlockingStack, place: Socket) -> None:
        self._stack = stack
        self._place = place
        self.core = place.connection

    def read(self, limit: int = READ_SIZE) -> bytes:
        """What has come, at least one octet and at most ``limit``; ``b""`` at the end."""
        core = self.core
        self._stack.wait(lambda: core.receiver.waiting > 0 or stream_ended(core))
        data = b"".join(core.recv(limit))
        if core.ack_due:
            self._stack.wake(self._place)
        return data

    def write(self, data: Buffer) -> None:
        """Send all of ``data``; returns when the last octet is in the send buffer."""
        view, core = memoryview(data), self.core
        while True:
            try:
                taken = core.send(view)
            except UserError:
                raise failure(core) from None
            self._stack.wake(self._place)
            if taken == len(view):
                return
            view = view[taken:]
            self._stack.wait(lambda: core.sender.room > 0 or core.end is not None)

    def close(self) -> None:
        """Close both directions, and wait until the peer has all and has closed too."""
        core, now = self.core, self._stack.driver.now()
        if core.state in CAN_SEND:
            core.close(now)
        core.desert(now)
        self._stack.wake(self._place)
        self._stack.wait(lambda: core.end is not None or core.state is State.TIME_WAIT)


class BlockingListener:
    """A port that takes connections."""

    def __init__(self, stack: BlockingStack, listener: Listener) -> None:
        self._stack = stack
        self._listener = listener

    def accept(self) -> BlockingConnection:
        """Wait for the next connection."""
        self._stack.wait(lambda: bool(self._listener.ready))
        place = self._listener.accept()
        assert place is not None
        return BlockingConnection(self._stack, place)


class BlockingStack:
    """As ``TcpStack``; ``timeout`` in seconds bounds each wait (``TimeoutError``)."""

    def __init__(
        self,
        device: Device,
        addresses: Iterable[str] | None = None,
        settings: Settings = DEFAULTS,
        *,
        timeout: float = NEVER,
    ) -> None:
        self.driver = Driver(device, addresses, settings)
        self.timeout = timeout
        self._poll = select.poll()
        self._poll.register(device.fileno(), select.POLLIN)

    def listen(self, port: int, address: str | None = None, backlog: int = 128) -> BlockingListener:
        """Take connections to ``port``, on all addresses of the stack or on one."""
        where = None if address is None else packed(address)
        return BlockingListener(self, self.driver.stack.listen(port, where, backlog))

    def connect(self, address: str, port: int) -> BlockingConnection:
        """Open a connection and wait until it is established."""
        place = self.driver.stack.connect(packed(address), port, self.driver.now())
        core = place.connection
        self.wake(place)
        self.wait(lambda: core.end is not None or core.state is not State.SYN_SENT)
        if core.end is not None:
            raise failure(core)
        return BlockingConnection(self, place)

    def wake(self, place: Socket) -> None:
        """A method of this place's connection was called: send what follows from it."""
        self.driver.stack.mark_dirty(place)
        self.driver.flush()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Turn the stack until ``condition`` holds.

        Raises:
            TimeoutError: it did not hold in time.
        """
        driver = self.driver
        give_up = driver.now() + self.timeout
        while not condition():
            now = driver.now()
            if now >= give_up:
                raise TimeoutError(f"nothing happened for {self.timeout:g} s")
            until = min(driver.stack.next_timer(), give_up)
            wait = None if until == NEVER else max(until - now, 0) * 1000 + 1
            self._poll.poll(wait)
            driver.receive_all()
            driver.tick()
            driver.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for place in self.driver.stack.places():
            place.connection.abort()
            self.driver.stack.mark_dirty(place)
        self.driver.flush()
