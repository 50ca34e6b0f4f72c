"""A userspace stack in the node ``stack`` of ``tcp_stack.yaml``, and what tests do with it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
from typing import TYPE_CHECKING

from netlab.io.tcp import log, services
from netlab.io.tcp.asyncio import TcpConnection, TcpStack
from netlab.io.tcp.tun import Tun
from netlab.linux import namespaces
from netlab.tcp.settings import DEFAULTS, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from netlab.lab.lab import Lab, LabNode
    from netlab.wire import Buffer

ADDRESS = {4: "10.1.0.100", 6: "fd00:1::100"}
HOST = {4: "10.2.0.2", 6: "fd00:2::2"}
URL = {4: "http://10.1.0.100", 6: "http://[fd00:1::100]"}
FAR = "203.0.113.2"
DEADLINE = 60.0


def run(test: Coroutine[None, None, None], deadline: float = DEADLINE) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(deadline):
            await test

    asyncio.run(bounded())


@contextlib.asynccontextmanager
async def stack_in(
    lab: Lab,
    settings: Settings = DEFAULTS,
    *,
    offload: bool = True,
    watcher: Callable[[Buffer, bool], None] | None = None,
) -> AsyncIterator[TcpStack]:
    tun = namespaces.inside(lab["stack"].namespace, lambda: Tun("tun0", offload=offload))
    assert sorted(tun.addresses) == sorted(ADDRESS.values())
    with tun:
        device = log.Watched(tun, watcher) if watcher else tun
        async with TcpStack(device, settings=settings) as tcp:
            yield tcp


@contextlib.asynccontextmanager
async def serving(tcp: TcpStack, port: int, service: services.Service) -> AsyncIterator[None]:
    listener = await tcp.listen(port, backlog=1024)
    task = asyncio.create_task(services.serve(listener, service))
    try:
        yield
    finally:
        task.cancel()
        await listener.close()


async def output(node: LabNode, *argv: str, text: str | None = None) -> str:
    ran = await asyncio.to_thread(node.run, list(argv), input=text, timeout=DEADLINE)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def opened(
    tcp: TcpStack, node: LabNode, family: int = 4
) -> tuple[socket.socket, TcpConnection]:
    """A connection from a node's kernel to the stack: its two ends."""
    listener = await tcp.listen(99)
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    peer = node.socket(kind, socket.SOCK_STREAM)
    peer.setblocking(False)
    await asyncio.get_running_loop().sock_connect(peer, (ADDRESS[family], 99))
    connection = await listener.accept()
    await listener.close()
    return peer, connection
