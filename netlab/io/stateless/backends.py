"""Where answers come from: a text, files, an HTTP server behind, a DNS resolver behind."""

from __future__ import annotations

import asyncio
import logging
import mimetypes
import secrets
import socket
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from netlab.stateless import dns, http
from netlab.wire import Malformed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from netlab.io.stateless.server import Client

_log = logging.getLogger(__name__)

LONGEST_ANSWER = 0xFFFF
EDNS_SIZE = 4096


def echo(request: bytes, client: Client) -> bytes:  # noqa: ARG001 - an Application
    """RFC 862."""
    return request


class Text:
    """Every GET gets the same body."""

    def __init__(self, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self._get = http.response(200, body, content_type)
        self._head = http.response(200, body, content_type, head=True)

    def __call__(self, request: bytes, client: Client) -> bytes:  # noqa: ARG002 - an Application
        """The answer to one request."""
        if request.startswith(b"GET "):
            return self._get
        head = http.parse(request)
        if head is None:
            return http.response(400, b"not HTTP\n")
        if head.method == "HEAD":
            return self._head
        return http.response(405, b"only GET and HEAD\n")


class Files:
    """The files of one directory tree as it was at the start, by number (``bursts.Source``).

    Names are compared whole with a list, so no request reaches a file outside. A file that shrinks
    while it is sent breaks that answer, as with any server.
    """

    def __init__(self, directory: Path) -> None:
        """``OSError`` if it cannot be read, ``ValueError`` if it holds too many files."""
        files = sorted(path for path in directory.rglob("*") if path.is_file())
        if len(files) > 0xFFFF:
            raise ValueError(f"{directory} holds {len(files)} files; 65,535 have a number")
        self._files = files
        self._numbers = {
            "/" + path.relative_to(directory).as_posix(): number
            for number, path in enumerate(files)
        }

    def _find(self, request: bytes) -> tuple[int | None, bytes, bool]:
        """The file's number or the error to send, and whether only the head is wanted."""
        head = http.parse(request)
        if head is None:
            return None, http.response(400, b"not HTTP\n"), False
        if head.method not in ("GET", "HEAD"):
            return None, http.response(405, b"only GET and HEAD\n"), False
        target = head.target.partition("?")[0]
        if target.endswith("/"):
            target += "index.html"
        number = self._numbers.get(target)
        missing = http.response(404, b"no such file\n", head=head.method == "HEAD")
        return number, missing, head.method == "HEAD"

    def _start(self, number: int) -> bytes:
        path = self._files[number]
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return http.response_head(200, path.stat().st_size, kind)

    def __call__(self, request: bytes, client: Client) -> bytes:  # noqa: ARG002 - an Application
        """The whole answer to one request."""
        number, error, only_head = self._find(request)
        if number is None:
            return error
        start = self._start(number)
        return start if only_head else start + self._files[number].read_bytes()

    def resource(self, request: bytes) -> int | None:
        """The number of the file that a GET asks for."""
        number, _, only_head = self._find(request)
        return None if only_head else number

    def length(self, resource: int) -> int:
        """Octets of the whole answer, head included."""
        if resource >= len(self._files):
            return 0
        try:
            return len(self._start(resource)) + self._files[resource].stat().st_size
        except OSError:
            return 0

    def read(self, resource: int, start: int, stop: int) -> bytes:
        """A slice of the whole answer."""
        head = self._start(resource)
        with self._files[resource].open("rb") as file:
            file.seek(max(start - len(head), 0))
            return head[start:stop] + file.read(max(stop - max(start, len(head)), 0))


class HttpBackend:
    """Asks an ordinary HTTP server, one kernel TCP connection for each request.

    With ``raw`` the octets pass both ways as they are, as the published proxy did.
    """

    def __init__(self, host: str, port: int, *, timeout: float = 5.0, raw: bool = False) -> None:
        self._host, self._port = host, port
        self._timeout = timeout
        self._raw = raw

    async def __call__(self, request: bytes, client: Client) -> bytes:
        """The backend's answer, or 502 or 504 in its place."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._ask(request)
        except TimeoutError:
            _log.warning("no answer from %s port %d for %s", self._host, self._port, client)
            return http.response(504, b"the backend does not answer\n")
        except OSError as error:
            _log.warning("%s port %d: %s", self._host, self._port, error)
            return http.response(502, b"the backend cannot be reached\n")

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(request if self._raw else http.closing(request))
            # One octet more than any client's window shows that the answer is too long.
            pieces, size = [], 0
            while size <= LONGEST_ANSWER and (piece := await reader.read(LONGEST_ANSWER + 1)):
                pieces.append(piece)
                size += len(piece)
        finally:
            writer.transport.abort()
        answer = b"".join(pieces)
        if not answer:
            return http.response(502, b"the backend closed without an answer\n")
        return answer if self._raw else http.closing(answer)


class _Question(NamedTuple):
    future: asyncio.Future[bytes | None]
    query: bytes
    identifier: bytes
    added_edns: bool
    since: float


class Resolver:
    """Asks a DNS resolver by UDP; a truncated answer once more by TCP (RFC 7766 section 5).

    Each query gets an identifier of its own, picked at random among those that are free, and the
    answer must repeat the question. With ``raw`` neither EDNS nor truncation is looked at, as in
    the published proxy.
    """

    def __init__(
        self, host: str, port: int = 53, *, timeout: float = 3.0, raw: bool = False
    ) -> None:
        """``OSError`` if there is no such host or no way to it."""
        family, kind, _, _, server = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._host, self._port = str(server[0]), port
        self._timeout = timeout
        self._raw = raw
        self._open: dict[bytes, _Question] = {}
        self._retries: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(family, kind | socket.SOCK_NONBLOCK)
        self._socket.connect(server)
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._sweeper = self._loop.call_later(timeout / 4, self._sweep)

    def close(self) -> None:
        """Let go of the socket."""
        self._sweeper.cancel()
        for task in self._retries:
            task.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def __call__(self, request: bytes, client: Client) -> asyncio.Future[bytes | None]:  # noqa: ARG002 - an Application
        """The answer to one query; SERVFAIL if there is none in time, ``None`` for no query."""
        future: asyncio.Future[bytes | None] = self._loop.create_future()
        query, added = request, False
        if not self._raw:
            try:
                query, added = dns.with_edns(request, EDNS_SIZE)
            except Malformed:
                future.set_result(None)
                return future
        elif len(request) < dns.HEADER_LENGTH:
            future.set_result(None)
            return future
        identifier = secrets.token_bytes(2)
        while identifier in self._open:
            identifier = secrets.token_bytes(2)
        query = identifier + query[2:]
        self._open[identifier] = _Question(future, query, request[:2], added, monotonic())
        try:
            self._socket.send(query)
        except OSError:  # no room, or the resolver is away: the same as a lost datagram
            _log.debug("a query could not be sent", exc_info=True)
        return future

    def _readable(self) -> None:
        for _ in range(64):
            try:
                message = self._socket.recv(LONGEST_ANSWER)
            except BlockingIOError:
                return
            except ConnectionRefusedError:  # it may come back; the sweep gives up in time
                return
            question = self._open.get(message[:2])
            if question is None or not dns.answers(question.query, message):
                continue
            del self._open[message[:2]]
            if dns.is_truncated(message) and not self._raw:
                task = self._loop.create_task(self._ask_by_tcp(question))
                self._retries.add(task)  # the loop itself holds tasks only weakly
                task.add_done_callback(self._retries.discard)
            else:
                self._settle(question, message)

    def _settle(self, question: _Question, message: bytes) -> None:
        if question.added_edns:
            message = dns.without_edns(message)
        if not question.future.done():
            question.future.set_result(question.identifier + message[2:])

    async def _ask_by_tcp(self, question: _Question) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                reader, writer = await asyncio.open_connection(self._host, self._port)
                try:
                    writer.write(len(question.query).to_bytes(2, "big") + question.query)
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    message = await reader.readexactly(length)
                finally:
                    writer.transport.abort()
        except (OSError, EOFError):  # TimeoutError is an OSError
            self._give_up(question)
            return
        if dns.answers(question.query, message):
            self._settle(question, message)
        else:
            self._give_up(question)

    def _give_up(self, question: _Question) -> None:
        if not question.future.done():
            question.future.set_result(dns.failure(question.identifier + question.query[2:]))

    def _sweep(self) -> None:
        """Give up on what got no answer; all wait equally long, so the oldest comes first."""
        limit = monotonic() - self._timeout
        expired: Sequence[bytes] = [
            identifier for identifier, question in self._open.items() if question.since < limit
        ]
        for identifier in expired:
            self._give_up(self._open.pop(identifier))
        self._sweeper = self._loop.call_later(self._timeout / 4, self._sweep)
