"""A stack that another process runs: the same calls as ``asyncio.TcpStack``, over a Unix socket."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self

from netlab.io.tcp import frames

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType

    from netlab.tcp.settings import Settings
    from netlab.wire import Buffer

    Dial = Callable[[], socket.socket]


class GuestConnection:
    """One connection of the other process's stack; the errors are as ``TcpConnection``'s."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, values: dict[str, Any]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.local: tuple[str, int] = tuple(values["local"])
        self.remote: tuple[str, int] = tuple(values["remote"])
        self._rest = b""
        self._ended = False
        self._finished = False

    async def read(self, limit: int = frames.LARGEST) -> bytes:
        """What has come, at least one octet and at most ``limit``; ``b""`` at the end."""
        if not self._rest and not self._ended:
            kind, octets = await frames.receive(self._reader)
            if kind == frames.FAILED:
                raise frames.error(octets)
            self._ended = kind != frames.DATA
            self._rest = octets if kind == frames.DATA else b""
        taken, self._rest = self._rest[:limit], self._rest[limit:]
        return taken

    async def read_pieces(self, limit: int = frames.LARGEST) -> list[Buffer]:
        """As ``read``, as a list of one piece; ``[]`` at the end."""
        data = await self.read(limit)
        return [data] if data else []

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data

    async def write(self, data: Buffer) -> None:
        """Send all of ``data``."""
        frames.send(self._writer, frames.DATA, data)
        await self._writer.drain()

    async def write_eof(self) -> None:
        """Send FIN after what was written; the peer may go on sending."""
        if not self._finished:
            self._finished = True
            frames.send(self._writer, frames.END)
            await self._writer.drain()

    async def close(self) -> None:
        """Close both directions; what was written is still delivered, by and by."""
        try:
            await self.write_eof()
        except OSError:
            pass
        finally:
            self._writer.close()

    def abort(self) -> None:
        """End it at once; the peer gets an RST."""
        frames.send_json(self._writer, frames.FAILED, error="ConnectionAbortedError", text="")
        self._writer.close()

    async def closed(self) -> None:
        """Nothing to wait for: what is left is the other process's to do."""

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


class GuestListener:
    """A port of the other process's stack."""

    def __init__(
        self,
        stack: GuestStack,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        port: int,
    ) -> None:
        self._stack = stack
        self._reader = reader
        self._writer = writer
        self.port = port

    async def accept(self) -> GuestConnection:
        """The next connection.

        Raises:
            ConnectionResetError: the process with the stack has ended.
        """
        kind, octets = await frames.receive(self._reader)
        if kind != frames.ACCEPTED:
            raise ConnectionResetError("the process that runs the stack has ended")
        return await self._stack.opened(frames.TAKE, id=json.loads(octets)["id"])

    async def close(self) -> None:
        """Take no more connections."""
        self._writer.close()


class GuestStack:
    """``dial`` gives a new connection to the process that runs the stack, and does not wait.

    ``settings`` are those of its connections, as far as a guest may choose.
    """

    def __init__(self, dial: Dial, settings: Settings | None = None) -> None:
        self._dial = dial
        self._settings = settings
        self.addresses: list[str] = []

    async def begin(self) -> None:
        """Ask the stack about itself."""
        _, writer, values = await self._ask(frames.ABOUT)
        self.addresses = values["addresses"]
        writer.close()

    async def listen(
        self,
        port: int,
        address: str | None = None,
        *,
        backlog: int = 128,
        settings: Settings | None = None,
    ) -> GuestListener:
        """As ``TcpStack.listen``."""
        chosen = frames.chosen(settings or self._settings)
        reader, writer, values = await self._ask(
            frames.LISTEN, port=port, address=address, backlog=backlog, **chosen
        )
        return GuestListener(self, reader, writer, values["port"])

    async def connect(
        self,
        address: str,
        port: int,
        *,
        local: str | None = None,
        local_port: int = 0,
        settings: Settings | None = None,
    ) -> GuestConnection:
        """As ``TcpStack.connect``."""
        return await self.opened(
            frames.CONNECT,
            address=address,
            port=port,
            local=local,
            local_port=local_port,
            **frames.chosen(settings or self._settings),
        )

    async def opened(self, kind: bytes, **values: Any) -> GuestConnection:
        """A connection that the other process has opened, or accepted."""
        return GuestConnection(*await self._ask(kind, **values))

    async def _ask(
        self, kind: bytes, **values: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, dict[str, Any]]:
        reader, writer = await asyncio.open_unix_connection(sock=self._dial())
        frames.send_json(writer, kind, **values)
        try:
            answer, octets = await frames.receive(reader)
        except BaseException:
            writer.close()
            raise
        if answer != frames.OPENED:
            writer.close()
            if answer == frames.FAILED:
                raise frames.error(octets)
            raise ConnectionResetError("the process that runs the stack has ended")
        return reader, writer, json.loads(octets)
