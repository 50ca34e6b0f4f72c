"""A message there and back over TCP: the kernel's, ours, and one that keeps no state.

Everything runs in one event loop and without threads; only the sockets and devices live in the
nodes of the lab.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from netlab.lab.lab import LabNode
    from netlab.scenario.matrix.traffic import Tcp

MESSAGE = b"this is a message that is to come back as it went. " * 80
"""Four kilobytes: three segments of Ethernet's size."""

SHORT = MESSAGE[: len(MESSAGE) // 10]
"""For a server that takes each segment for a whole request: one segment, even of the smallest."""

TIMEOUT = 10.0
"""Seconds for the whole, which takes hundredths of one: the kernel repeats what is lost after 1 and
after 3 seconds, and a machine may be busy with other things."""

PORT = 80


class Stream(Protocol):
    """One end of a connection."""

    async def read(self, limit: int, /) -> bytes:
        """What has come; nothing at the end."""

    async def write(self, data: bytes, /) -> None:
        """Send."""


def converse(tcp: Tcp, client: LabNode, server: LabNode, timeout: float = TIMEOUT) -> str:
    """How it went: ``works``, or what went wrong.

    ``no answer`` and ``refused`` are about the connection, ``stalls`` and ``reset`` about what was
    said over it. ``altered``: something else came back.
    """
    message = SHORT if tcp == "stateless" else MESSAGE
    return asyncio.run(_converse(_KINDS[tcp](client, server), message, timeout))


async def _converse(
    connected: AbstractAsyncContextManager[Stream], message: bytes, limit: float
) -> str:
    """The connection is made on entering ``connected``."""
    opened = False
    try:
        async with asyncio.timeout(limit), connected as stream:
            opened = True
            await stream.write(message)
            back = b""
            while len(back) < len(message):
                if not (piece := await stream.read(len(message))):
                    return "cut short"
                back += piece
            return "works" if back == message else "altered"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "stalls" if opened else "no answer"
    except OSError:
        return "reset" if opened else "no answer"


class _Kernel:
    """A connected socket of the kernel."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    async def read(self, limit: int, /) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self._socket, limit)

    async def write(self, data: bytes, /) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data)


@contextlib.asynccontextmanager
async def _dial(client: LabNode, address: str) -> AsyncIterator[Stream]:
    """A connection of the client's kernel."""
    with client.socket(socket.AF_INET, socket.SOCK_STREAM) as dialling:
        dialling.setblocking(False)
        await asyncio.get_running_loop().sock_connect(dialling, (address, PORT))
        yield _Kernel(dialling)


async def _echo(stream: Stream) -> None:
    with contextlib.suppress(OSError):
        while data := await stream.read(65_536):
            await stream.write(data)


@contextlib.asynccontextmanager
async def _meanwhile(*tasks: asyncio.Task[None]) -> AsyncIterator[None]:
    """What goes on for as long as the block lasts."""
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _kernel(client: LabNode, server: LabNode) -> AsyncIterator[Stream]:
    """Linux at both ends."""
    with server.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setblocking(False)
        listening.bind((server.address, PORT))
        listening.listen()

        async def serve() -> None:
            accepted, _ = await asyncio.get_running_loop().sock_accept(listening)
            with accepted:
                await _echo(_Kernel(accepted))

        serving = asyncio.create_task(serve())
        async with _meanwhile(serving), _dial(client, server.address) as stream:
            yield stream


@contextlib.asynccontextmanager
async def _ours(client: LabNode, server: LabNode) -> AsyncIterator[Stream]:
    """Our stack at both ends."""
    from netlab.io.tcp.asyncio import TcpStack
    from netlab.io.tcp.tun import Tun
    from netlab.linux import tun

    def attach() -> Tun:
        device = Tun("tun0")
        tun.settle("tun0")
        return device

    with contextlib.ExitStack() as devices:
        near, far = (
            devices.enter_context(contextlib.closing(node.inside(attach)))
            for node in (client, server)
        )
        async with TcpStack(far) as there, TcpStack(near) as here:
            listener = await there.listen(PORT)

            async def serve() -> None:
                await _echo(await listener.accept())

            serving = asyncio.create_task(serve())
            async with _meanwhile(serving):
                yield await here.connect(there.addresses[0], PORT)


@contextlib.asynccontextmanager
async def _stateless(client: LabNode, server: LabNode) -> AsyncIterator[Stream]:
    """Linux's TCP to our server that keeps nothing of its connections."""
    from netlab.io.stateless.backends import echo
    from netlab.io.stateless.ports import TunPort
    from netlab.io.stateless.server import Server
    from netlab.linux import tun
    from netlab.linux.routes import addresses_behind
    from netlab.stateless import responder
    from netlab.stateless.framing import Echo
    from netlab.stateless.interfaces import Rules
    from netlab.wire.address import packed

    def attach() -> tuple[int, list[str]]:
        device = tun.attach("tun0", offload=True)
        tun.settle("tun0")
        return device, addresses_behind("tun0")

    device, addresses = server.inside(attach)
    try:
        listen = (packed(addresses[0]), PORT)
        rules = Rules(Echo())
        port = TunPort(device)
        serving = Server(port, listen, rules, echo, core=responder, secret=os.urandom(32))
        serving.start()
        try:
            async with _dial(client, addresses[0]) as stream:
                yield stream
        finally:
            serving.stop()
            port.close()
    finally:
        os.close(device)


_KINDS: dict[Tcp, Callable[[LabNode, LabNode], AbstractAsyncContextManager[Stream]]] = {
    "kernel": _kernel,
    "ours": _ours,
    "stateless": _stateless,
}
