"""A terminal in a node: a pseudo-terminal whose other end is a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from netlab.lab import enter

if TYPE_CHECKING:
    import subprocess

    from netlab.lab.lab import Lab

MOST = 16
"""Terminals that may be open at the same time."""

_PART = 1 << 14
GRACE = 2.0
"""Seconds between SIGHUP and SIGKILL, when the page has gone."""


async def serve(lab: Lab, node: str, channel: web.WebSocketResponse) -> None:
    """Join a shell in ``node`` and the page, until one of them ends.

    The page sends what is typed as binary messages, and ``ROWS COLUMNS`` as text.
    """
    master, slave = os.openpty()
    process: subprocess.Popen[bytes] | None = None
    try:
        try:
            process = await asyncio.to_thread(_start, lab, node, slave)
        finally:
            os.close(slave)
        os.set_blocking(master, False)
        reader = asyncio.create_task(_to_page(master, channel))
        writer = asyncio.create_task(_to_shell(master, channel))
        await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
        for task in (reader, writer):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, ConnectionError):
                await task
    finally:
        os.close(master)
        if process is not None:
            await asyncio.to_thread(_end, process)


def _start(lab: Lab, node: str, slave: int) -> subprocess.Popen[bytes]:
    shell = os.environ.get("SHELL") or "/bin/sh"
    extra = {**dict(lab[node].summary.environment), "TERM": "xterm-256color"}
    # A session of its own; `setsid -c` makes the pseudo-terminal its controlling one.
    return enter.spawn(
        lab.running, node, ["setsid", "-c", shell], extra, stdin=slave, stdout=slave, stderr=slave,
        start_new_session=False, process_group=0,
    )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    import subprocess

    for number in (signal.SIGHUP, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)


async def _to_page(master: int, channel: web.WebSocketResponse) -> None:
    loop = asyncio.get_running_loop()
    while True:
        ready = asyncio.Event()
        loop.add_reader(master, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(master)
        try:
            part = os.read(master, _PART)
        except BlockingIOError:
            continue
        except OSError:
            return  # the shell has ended (EIO)
        if not part:
            return
        await channel.send_bytes(part)


async def _to_shell(master: int, channel: web.WebSocketResponse) -> None:
    async for message in channel:
        if message.type == WSMsgType.BINARY:
            await _write(master, message.data)
        elif message.type == WSMsgType.TEXT:
            rows, _, columns = message.data.partition(" ")
            if rows.isdecimal() and columns.isdecimal():
                size = struct.pack("HHHH", min(int(rows), 500), min(int(columns), 1000), 0, 0)
                with contextlib.suppress(OSError):
                    fcntl.ioctl(master, termios.TIOCSWINSZ, size)


async def _write(master: int, octets: bytes) -> None:
    while octets:
        try:
            octets = octets[os.write(master, octets) :]
        except BlockingIOError:
            await asyncio.sleep(0.01)
        except OSError:
            return
