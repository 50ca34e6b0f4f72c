"""One stack for several processes: the one that has the device serves the others.

A TUN device belongs to one process. Others of the same node become its guests: they make their
calls over a Unix socket (``frames``), and their connections are connections of the one stack.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from typing import TYPE_CHECKING, Any

from netlab.io.tcp import frames
from netlab.tcp.events import UserError

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from netlab.io.tcp.asyncio import TcpConnection, TcpStack

PIECE = 1 << 18


class Sharing:
    """The guests of a stack; ``alone`` is set while there are none."""

    def __init__(self, tcp: TcpStack) -> None:
        self.tcp = tcp
        self.guests = 0
        self.alone = asyncio.Event()
        self.alone.set()
        self._numbers = itertools.count()
        self._accepted: dict[int, TcpConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One Unix connection of a guest, to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.guests += 1
        self.alone.clear()
        try:
            with contextlib.suppress(ConnectionError):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the stack ends; asyncio would print this one
        finally:
            writer.close()
            self._tasks.discard(task)
            self.guests -= 1
            if not self.guests:
                self.alone.set()

    def stop(self) -> None:
        """End what is still going on."""
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind, octets = await frames.receive(reader)
        try:
            values: dict[str, Any] = json.loads(octets or b"{}")
            if kind == frames.CONNECT:
                connection = await self._connect(values)
            elif kind == frames.TAKE:
                connection = self._accepted.pop(values["id"])
            elif kind == frames.LISTEN:
                await self._listen(values, reader, writer)
                return
            elif kind == frames.ABOUT:
                frames.send_json(writer, frames.OPENED, addresses=self.tcp.addresses)
                await writer.drain()
                return
            else:
                return
        except (OSError, UserError, KeyError, ValueError) as error:
            frames.failed(writer, error)
            await writer.drain()
            return
        frames.send_json(writer, frames.OPENED, local=connection.local, remote=connection.remote)
        await _join(connection, reader, writer)

    async def _connect(self, values: dict[str, Any]) -> TcpConnection:
        settings = frames.applied(self.tcp.driver.stack.settings, values)
        return await self.tcp.connect(
            values["address"],
            values["port"],
            local=values.get("local"),
            local_port=values.get("local_port", 0),
            settings=settings,
        )

    async def _listen(
        self,
        values: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        settings = frames.applied(self.tcp.driver.stack.settings, values)
        listener = await self.tcp.listen(
            values["port"],
            values.get("address"),
            backlog=values.get("backlog", 128),
            settings=settings,
        )
        frames.send_json(writer, frames.OPENED, port=listener.port)
        waiting: set[int] = set()

        async def accept() -> None:
            while True:
                connection = await listener.accept()
                number = next(self._numbers)
                self._accepted[number] = connection
                waiting.add(number)
                frames.send_json(writer, frames.ACCEPTED, id=number)
                await writer.drain()

        task = asyncio.create_task(accept())
        try:
            await frames.receive(reader)  # the guest says nothing more until it goes
        finally:
            task.cancel()
            await listener.close()
            for number in waiting:
                left = self._accepted.pop(number, None)
                if left is not None:
                    left.abort()


async def _join(
    connection: TcpConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Carry octets both ways, each with its own end."""

    async def inward() -> None:
        try:
            while pieces := await connection.read_pieces(PIECE):
                for piece in pieces:
                    frames.send(writer, frames.DATA, piece)
                await writer.drain()
            frames.send(writer, frames.END)
        except OSError as error:
            frames.failed(writer, error)
        await writer.drain()

    async def outward() -> bool:
        """True if the guest closed in good order."""
        while True:
            kind, octets = await frames.receive(reader)
            if kind == frames.DATA:
                await connection.write(octets)
                continue
            return kind == frames.END

    receiving = asyncio.create_task(inward())
    try:
        if not await outward():
            connection.abort()
            return
        with contextlib.suppress(OSError):
            await connection.write_eof()
        # What comes from here on is only the guest's going away.
        gone = asyncio.create_task(reader.read(1))
        await asyncio.wait((receiving, gone), return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        await connection.close()
    except OSError:
        await asyncio.wait((receiving,))  # it says how the connection ended
    except asyncio.CancelledError:
        connection.abort()
        raise
    finally:
        receiving.cancel()


@contextlib.asynccontextmanager
async def shared(tcp: TcpStack, listening: socket.socket) -> AsyncIterator[Sharing]:
    """Serve guests at this socket. At the end the caller decides whether to wait for them."""
    sharing = Sharing(tcp)
    server = await asyncio.start_unix_server(sharing.serve, sock=listening)
    try:
        yield sharing
    finally:
        server.close()
        sharing.stop()
