"""Messages between a stack's process and its guests: a kind, a length, octets.

A guest opens one Unix connection for each TCP connection, and one for each listener:

    CONNECT {address, port, ...}    OPENED {local, remote}   then DATA and END both ways
    LISTEN {port, address, ...}     OPENED {port}            then ACCEPTED {id} for each that comes
    TAKE {id}                       OPENED {local, remote}   then DATA and END both ways
    ABOUT {}                        OPENED {addresses}

``FAILED`` answers instead of ``OPENED``, or ends a connection that broke.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from netlab.tcp.settings import Settings
    from netlab.wire import Buffer

CONNECT, LISTEN, TAKE, ABOUT = b"C", b"L", b"T", b"A"
OPENED, FAILED, ACCEPTED, DATA, END = b"O", b"F", b"N", b"D", b"E"
LARGEST = 1 << 20
_HEAD = struct.Struct("!cI")

_ERRORS: dict[str, type[OSError]] = {
    error.__name__: error
    for error in (
        ConnectionResetError,
        ConnectionRefusedError,
        ConnectionAbortedError,
        BrokenPipeError,
        TimeoutError,
        OSError,
    )
}
_CHOSEN = ("nagle", "congestion", "ecn")


def name(device: str) -> str:
    """The abstract Unix address at which the stack of this device is shared.

    An abstract address belongs to a network namespace, as the device does: nothing else is needed
    to tell one node's stack from another's, and it goes with the process.
    """
    return f"\0netlab-tcp/{device}"


async def receive(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next message; ``END`` if the other side has gone in good order.

    Raises:
        ConnectionResetError: it went in the middle of a message, or sent what is none.
    """
    import asyncio

    try:
        kind, size = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        if size > LARGEST:
            raise ConnectionResetError("a message that is too long")
        return kind, await reader.readexactly(size)
    except asyncio.IncompleteReadError as cut:
        if cut.partial:
            raise ConnectionResetError("the other side has gone") from None
        return END, b""


def send(writer: asyncio.StreamWriter, kind: bytes, octets: Buffer = b"") -> None:
    """Send a message, in parts if it is long."""
    view = memoryview(octets)
    while True:
        part, view = view[:LARGEST], view[LARGEST:]
        writer.write(_HEAD.pack(kind, len(part)))
        writer.write(part)
        if not view:
            return


def send_json(writer: asyncio.StreamWriter, kind: bytes, **values: Any) -> None:
    """A message with named values."""
    send(writer, kind, json.dumps(values).encode())


def failed(writer: asyncio.StreamWriter, error: Exception) -> None:
    """Say that something ended with this error."""
    kind = next((one for one in type(error).__mro__ if one.__name__ in _ERRORS), OSError)
    send_json(writer, FAILED, error=kind.__name__, text=str(error))


def error(octets: bytes) -> OSError:
    """The error that a ``FAILED`` message means."""
    values = json.loads(octets)
    return _ERRORS.get(values["error"], OSError)(values["text"])


def chosen(settings: Settings | None) -> dict[str, Any]:
    """What of the settings a guest may choose for a connection of its own."""
    return {} if settings is None else {key: getattr(settings, key) for key in _CHOSEN}


def applied(base: Settings, values: dict[str, Any]) -> Settings:
    """The stack's settings, with what a guest has chosen."""
    return base._replace(**{key: values[key] for key in _CHOSEN if key in values})
