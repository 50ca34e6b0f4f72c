"""Programs that know nothing of our TCP speak through it: SOCKS 5 and plain forwarding.

Three kinds of port, each a local one of the node's kernel or one of the stack:

    --socks       a program asks for a connection, or for a port to be called at (RFC 1928)
    --forward     whoever connects locally is connected onward through the stack
    --reverse     whoever connects to the stack is connected onward locally
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from typing import TYPE_CHECKING

from netlab.tcp.events import UserError
from netlab.wire import Malformed, socks5
from netlab.wire.socks5 import Command, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from netlab.io.tcp.streams import Stream, StreamListener, Streams

    Local = tuple[asyncio.StreamReader, asyncio.StreamWriter]
    LocalService = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    Resolve = Callable[[str], Awaitable[list[str]]]
    Dial = Callable[[str, int], Awaitable[Local]]

PIECE = 1 << 18
BIND_TIMEOUT = 120.0  # seconds in which whoever was announced has to call

_REPLIES = {
    errno.ENETUNREACH: Reply.NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: Reply.HOST_UNREACHABLE,
    errno.ECONNREFUSED: Reply.CONNECTION_REFUSED,
}


async def join(stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry octets both ways until both have ended; a reset of one side resets the other."""

    async def inward() -> None:
        while pieces := await stream.read_pieces(PIECE):
            for piece in pieces:
                writer.write(piece)
            await writer.drain()
        writer.write_eof()

    async def outward() -> None:
        while data := await reader.read(PIECE):
            await stream.write(data)
        await stream.write_eof()

    async with stream:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(inward())
                tasks.create_task(outward())
        except* OSError:
            _reset(writer)
            stream.abort()
    writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a local connection with an RST, as the far one did."""
    made = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


class Socks:
    """A SOCKS 5 server on ``stack``; ``resolve`` gives the addresses of a name."""

    def __init__(self, stack: Streams, resolve: Resolve) -> None:
        self._stack = stack
        self._resolve = resolve

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, to its end."""
        with contextlib.suppress(Malformed, ConnectionError, asyncio.IncompleteReadError):
            request = await self._greet(reader, writer)
            if request is not None:
                await self._answer(request, reader, writer)
        writer.close()

    async def _greet(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> socks5.Request | None:
        octets = b""
        while (greeting := socks5.parse_greeting(octets)) is None:
            octets += await _more(reader)
        answer = socks5.method(greeting[0])
        writer.write(answer)
        if answer[1] == socks5.NO_ACCEPTABLE_METHOD:
            return None
        octets = octets[greeting[1] :]
        try:
            while (found := socks5.parse_request(octets)) is None:
                octets += await _more(reader)
        except Malformed:
            writer.write(socks5.reply(Reply.ADDRESS_TYPE_NOT_SUPPORTED))
            return None
        return found[0]

    async def _answer(
        self, request: socks5.Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if request.command not in {Command.CONNECT, Command.BIND}:
            writer.write(socks5.reply(Reply.COMMAND_NOT_SUPPORTED))
            return
        try:
            if request.command == Command.BIND:
                stream = await self._bind(request, writer)
            else:
                stream = await self._connect(request)
        except (OSError, UserError) as error:
            writer.write(socks5.reply(_code(error)))
            return
        ours = stream.local if request.command == Command.CONNECT else stream.remote
        writer.write(socks5.reply(Reply.SUCCEEDED, *ours))
        await join(stream, reader, writer)

    async def _connect(self, request: socks5.Request) -> Stream:
        problem: Exception = OSError(errno.EHOSTUNREACH, f"{request.host} has no address")
        for address in await self._resolve(request.host):
            try:
                return await self._stack.connect(address, request.port)
            except (OSError, UserError) as error:
                problem = error
        raise problem

    async def _bind(self, request: socks5.Request, writer: asyncio.StreamWriter) -> Stream:
        """Take one connection; the first reply says where, the second who called.

        DST.ADDR is who is expected: anyone else is reset (section 4, BIND).
        """
        expected = set(await self._resolve(request.host))
        anyone = all(ipaddress.ip_address(address).is_unspecified for address in expected)
        versions = {ipaddress.ip_address(address).version for address in expected}
        ours = next(
            (a for a in self._stack.addresses if ipaddress.ip_address(a).version in versions),
            None,
        )
        if ours is None:
            raise OSError(errno.ENETUNREACH, "no address of that family")
        listener: StreamListener = await self._stack.listen(0, ours, backlog=1)
        try:
            writer.write(socks5.reply(Reply.SUCCEEDED, ours, listener.port))
            async with asyncio.timeout(BIND_TIMEOUT):
                while True:
                    stream = await listener.accept()
                    if anyone or stream.remote[0] in expected:
                        return stream
                    stream.abort()
        finally:
            await listener.close()


async def _more(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(512)
    if not data:
        raise ConnectionResetError
    return data


def _code(error: Exception) -> Reply:
    if isinstance(error, ConnectionRefusedError):
        return Reply.CONNECTION_REFUSED
    if isinstance(error, TimeoutError):
        return Reply.TTL_EXPIRED
    number = error.errno if isinstance(error, OSError) else None
    if number is None and "family" in str(error):
        return Reply.NETWORK_UNREACHABLE
    return _REPLIES.get(number or 0, Reply.GENERAL_FAILURE)


def forward(stack: Streams, host: str, port: int, resolve: Resolve) -> LocalService:
    """A service that connects each local caller onward through the stack."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            [address, *_] = await resolve(host)
            stream = await stack.connect(address, port)
        except (OSError, UserError, ValueError):
            _reset(writer)
            return
        await join(stream, reader, writer)

    return serve


async def reverse(listener: StreamListener, host: str, port: int, dial: Dial) -> None:
    """Connect each caller of the stack onward to a local port, for ever."""
    running: set[asyncio.Task[None]] = set()

    async def serve(stream: Stream) -> None:
        try:
            reader, writer = await dial(host, port)
        except OSError:
            stream.abort()
            return
        await join(stream, reader, writer)

    while True:
        task = asyncio.create_task(serve(await listener.accept()))
        running.add(task)
        task.add_done_callback(running.discard)
