"""``tcp listen`` and ``tcp connect``: a connection between a peer and stdin and stdout."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

from netlab.cli.tcp import stack
from netlab.errors import Diagnostic, InputError

if TYPE_CHECKING:
    import argparse

    from netlab.io.tcp.streams import Stream

PIECE = 1 << 18


def listen(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab tcp listen``."""
    parser.epilog = "example:\n  netlab tcp listen --node probe 4000 > received"
    stack.options(parser)
    parser.add_argument("port", metavar="PORT", type=stack.port, help="where to listen")
    parser.set_defaults(run=lambda arguments: stack.run(_listen(arguments)))


def connect(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab tcp connect``."""
    parser.epilog = "example:\n  echo hello | netlab tcp connect --node probe 198.51.100.2 4000"
    stack.options(parser)
    parser.add_argument("host", metavar="HOST", help="an IP address")
    parser.add_argument("port", metavar="PORT", type=stack.port, help="the port there")
    parser.set_defaults(run=lambda arguments: stack.run(_connect(arguments)))


async def _listen(arguments: argparse.Namespace) -> int:
    async with stack.stack(arguments) as tcp:
        listener = await tcp.listen(arguments.port)
        stack.tell(f"listening: port {arguments.port}")
        connection = await listener.accept()
        await listener.close()
        await _join(connection)
    return 0


async def _connect(arguments: argparse.Namespace) -> int:
    import ipaddress

    try:
        address = str(ipaddress.ip_address(arguments.host))
    except ValueError:
        raise InputError(Diagnostic("E704", f"{arguments.host} is not an IP address")) from None
    async with stack.stack(arguments) as tcp:
        await _join(await tcp.connect(address, arguments.port))
    return 0


async def _join(connection: Stream) -> None:
    """Copy both ways; the end of stdin closes one half, the peer's FIN ends the other."""
    async with connection:
        sending = asyncio.create_task(_send(connection))
        try:
            await _receive(connection)
            await sending
        finally:
            sending.cancel()
    await connection.closed()


async def _send(connection: Stream) -> None:
    # A thread that reads: files and terminals cannot be waited for as sockets can. It is a daemon,
    # so that a read that never returns does not keep the program.
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    room = threading.Semaphore(4)

    def read() -> None:
        piece = b"-"
        while piece:
            room.acquire()
            piece = os.read(0, PIECE)
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

    threading.Thread(target=read, daemon=True).start()
    while piece := await pieces.get():
        await connection.write(piece)
        room.release()
    await connection.write_eof()


async def _receive(connection: Stream) -> None:
    loop = asyncio.get_running_loop()
    while data := await connection.read():
        view = memoryview(data)
        while view:
            view = view[await loop.run_in_executor(None, os.write, 1, view) :]
