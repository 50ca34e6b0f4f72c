"""What a program needs of a stack: its own (``asyncio``) or another process's (``guest``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from types import TracebackType

    from netlab.tcp.settings import Settings
    from netlab.wire import Buffer


class Stream(Protocol):
    """A connection: a stream of octets each way; its errors are Python's own."""

    @property
    def local(self) -> tuple[str, int]: ...  # noqa: D102
    @property
    def remote(self) -> tuple[str, int]: ...  # noqa: D102
    async def read(self, limit: int = ...) -> bytes: ...  # noqa: D102
    async def read_pieces(self, limit: int = ...) -> Sequence[Buffer]: ...  # noqa: D102
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def write(self, data: Buffer) -> None: ...  # noqa: D102
    async def write_eof(self) -> None: ...  # noqa: D102
    async def close(self) -> None: ...  # noqa: D102
    def abort(self) -> None: ...  # noqa: D102
    async def closed(self) -> None: ...  # noqa: D102
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class StreamListener(Protocol):
    """A port that takes connections."""

    @property
    def port(self) -> int: ...  # noqa: D102
    async def accept(self) -> Stream: ...  # noqa: D102
    async def close(self) -> None: ...  # noqa: D102


class Streams(Protocol):
    """A stack."""

    addresses: list[str]

    async def listen(  # noqa: D102
        self,
        port: int,
        address: str | None = None,
        *,
        backlog: int = 128,
        settings: Settings | None = None,
    ) -> StreamListener: ...
    async def connect(  # noqa: D102
        self,
        address: str,
        port: int,
        *,
        local: str | None = None,
        local_port: int = 0,
        settings: Settings | None = None,
    ) -> Stream: ...
