"""Small servers for the userspace stack: echo, discard, chargen, and files over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import mimetypes
import mmap
import urllib.parse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from netlab.io.tcp.streams import Stream, StreamListener
    from netlab.wire import Buffer

    Service = Callable[[Stream], Awaitable[None]]

LONGEST_REQUEST = 16384
_LINE = bytes(range(33, 127))
_TEXT = b"".join((_LINE * 2)[n : n + 72] + b"\r\n" for n in range(95)) * 9


async def echo(connection: Stream) -> None:
    """RFC 862: what comes goes back."""
    while pieces := await connection.read_pieces():
        for piece in pieces:
            await connection.write(piece)


async def discard(connection: Stream) -> None:
    """RFC 863: what comes is thrown away."""
    while await connection.read_pieces():
        pass


async def chargen(connection: Stream) -> None:
    """RFC 864: lines of characters until the peer has enough."""
    while True:
        await connection.write(_TEXT)


def http(directory: Path) -> Service:
    """GET and HEAD of the files below ``directory``, with persistent connections (RFC 9112)."""
    root = directory.resolve()

    async def serve(connection: Stream) -> None:
        waiting = b""
        while True:
            while (end := waiting.find(b"\r\n\r\n")) < 0:
                more = await connection.read()
                if not more:
                    return
                waiting += more
                if len(waiting) > LONGEST_REQUEST:
                    await connection.write(_head(431, 0, "text/plain", keep=False))
                    return
            request, waiting = waiting[:end], waiting[end + 4 :]
            if not await _answer(connection, root, request):
                return

    return serve


async def _answer(connection: Stream, root: Path, request: bytes) -> bool:
    """Answer one request; True if the connection is to stay open."""
    lines = request.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    fields = {
        name.strip().lower(): value.strip().lower()
        for name, _, value in (line.partition(":") for line in lines[1:])
    }
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        await connection.write(_head(400, 0, "text/plain", keep=False))
        return False
    method, target, version = words
    wanted = fields.get("connection", "")
    keep = wanted == "keep-alive" if version == "HTTP/1.0" else wanted != "close"
    if method not in {"GET", "HEAD"}:
        await connection.write(_head(501, 0, "text/plain", keep=False))
        return False
    path = _find(root, target)
    if path is None:
        await connection.write(_head(404, 0, "text/plain", keep=keep))
        return keep
    body = _contents(path)
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    head = _head(200, len(body), kind, keep=keep)
    if method == "HEAD":
        await connection.write(head)
    elif len(body) < LONGEST_REQUEST:
        await connection.write(head + bytes(body))
    else:
        await connection.write(head)
        await connection.write(body)
    return keep


def _find(root: Path, target: str) -> Path | None:
    """The file that a request means; nothing outside of ``root``."""
    name = urllib.parse.unquote(target.partition("?")[0]).lstrip("/")
    if "\0" in name:
        return None
    try:
        path = (root / name).resolve()
        if path.is_dir():
            path /= "index.html"
        return path if path.is_file() and path.is_relative_to(root) else None
    except OSError:
        return None


def _contents(path: Path) -> Buffer:
    """A file's octets; those of a large one are mapped, and go out without a copy."""
    size = path.stat().st_size
    if size < LONGEST_REQUEST:
        return path.read_bytes()
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))


_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
}


def _head(status: int, length: int, kind: str, *, keep: bool) -> bytes:
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        f"Date: {email.utils.formatdate(usegmt=True)}\r\n"
        f"Content-Type: {kind}\r\n"
        f"Content-Length: {length}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    ).encode()


async def serve(listener: StreamListener, service: Service, count: int | None = None) -> None:
    """Run ``service`` for each connection, all at once; after ``count`` connections, end.

    A peer that goes away ends its own connection only.
    """
    running: set[asyncio.Task[None]] = set()
    served = 0
    while count is None or served < count:
        connection = await listener.accept()
        served += 1
        task = asyncio.create_task(_one(connection, service))
        running.add(task)
        task.add_done_callback(running.discard)
    if running:
        await asyncio.wait(running)


async def _one(connection: Stream, service: Service) -> None:
    with contextlib.suppress(OSError):
        async with connection:
            await service(connection)
