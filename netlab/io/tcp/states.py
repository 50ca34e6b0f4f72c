"""The connections of stacks that run now, as ``ss -i`` shows those of the kernel.

Each stack answers on a Unix socket named for its process; whoever connects is sent one JSON list.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.tcp.seq import wrap
from netlab.wire.address import text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from netlab.io.tcp.asyncio import TcpStack
    from netlab.tcp.stack import Socket


def directory() -> Path:
    """Where the sockets are: NETLAB_TCP_DIR, or a place of the user's own."""
    chosen = os.environ.get("NETLAB_TCP_DIR")
    if chosen:
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/run/netlab-tcp")
    return Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp")) / f"netlab-tcp-{os.geteuid()}"  # noqa: S108


def describe(place: Socket, now: float) -> dict[str, Any]:
    """One connection in plain values; times in milliseconds, windows in octets."""
    core, envelope = place.connection, place.envelope
    sender, receiver = core.sender, core.receiver
    timers = {
        "retransmit": sender.retransmit_at,
        "persist": sender.persist_at,
        "delayed-ack": core.delayed_ack_at,
        "keepalive": core.keepalive_at,
        "wait": core.wait_at,
    }
    return {
        "state": core.state.value,
        "local": f"{text(envelope.local)}:{envelope.local_port}",
        "remote": f"{text(envelope.remote)}:{envelope.remote_port}",
        "recv_q": receiver.waiting,
        "send_q": len(sender.buffer),
        "congestion": sender.congestion.name,
        "cwnd": sender.congestion.cwnd,
        "mss": sender.mss,
        "srtt": round(sender.rto.srtt * 1000, 3),
        "rttvar": round(sender.rto.var * 1000, 3),
        "rto": round(sender.rto.value * 1000, 3),
        "backoff": sender.rto.backoff,
        "retransmissions": sender.retransmissions,
        "in_recovery": sender.in_recovery,
        "snd_una": wrap(sender.una),
        "snd_nxt": wrap(sender.nxt),
        "snd_wnd": sender.wnd,
        "rcv_nxt": wrap(receiver.nxt),
        "rcv_wnd": receiver.wnd,
        "timers": {
            name: round((at - now) * 1000) for name, at in timers.items() if at < float("inf")
        },
    }


@contextlib.asynccontextmanager
async def published(tcp: TcpStack) -> AsyncIterator[None]:
    """Answer those who ask about the connections of ``tcp``."""
    where = directory()
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = where / f"{os.getpid()}.sock"

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = tcp.driver.now()
        found = [describe(place, now) for place in tcp.driver.stack.places()]
        writer.write(json.dumps(found).encode())
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, path)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            where.rmdir()


def ask() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The process id and the connections of each stack that runs; dead sockets are removed."""
    for path in sorted(directory().glob("*.sock")):
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(5)
            try:
                asking.connect(os.fspath(path))
            except (ConnectionRefusedError, FileNotFoundError):
                path.unlink(missing_ok=True)
                continue
            octets = b"".join(iter(lambda s=asking: s.recv(65536), b""))  # type: ignore[misc]
        yield int(path.stem), json.loads(octets)
